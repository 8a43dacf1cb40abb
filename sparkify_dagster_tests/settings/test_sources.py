"""Which files are whose, and of which day."""

import pytest

from sparkify_dagster.settings.sources import SOURCES

LOGS, SONGS = SOURCES
KINDS = ("json", "jsonl", "ndjson")
ENDINGS = [f".{kind}{packed}" for kind in KINDS for packed in ("", ".gz", ".zst")]


@pytest.mark.parametrize("ending", ENDINGS)
def test_json_lines_of_every_name_are_log_files_and_song_files(ending: str) -> None:
    assert str(LOGS.day_of(f"2018/11/2018-11-02-events{ending}")) == "2018-11-02"
    assert SONGS.owns(f"A/B/TRAABJL{ending}")


@pytest.mark.parametrize("name", ["a.csv", "a.json.bz2", "a.json.gz.gz", "json", "a"])
def test_other_names_are_neither(name: str) -> None:
    assert not SONGS.owns(f"A/{name}")
    assert not LOGS.owns(f"2018/11/02/{name}")


@pytest.mark.parametrize(
    "key",
    [
        "2018-11-02.json",
        "2018-11-02T23-part.jsonl.zst",
        "2018/11/03/2018-11-02-events.json",
        "2018/11/02/part-0000.json",
        "app=web/2018/11/02/eu/part-0000.json",
        "year=2018/month=11/day=02/part-0000.json",
        "year=2018/month=11/day=2/hour=3/part-0000.json",
        "dt=2018-11-02/part-0000.ndjson.gz",
        "source=web/dt=2018-11-02/hour=05/part-0000.json",
        "2018/11/02/13/delivery-1-2018-11-03-13-00-00-0f9a",
        "2018/11/02/13/delivery-1-2018-11-03-13-00-00-0f9a.gz",
        "stream/2018/11/02/13/delivery",
    ],
)
def test_the_day_is_that_of_the_name_else_of_the_folders(key: str) -> None:
    assert str(LOGS.day_of(key)) == "2018-11-02"


@pytest.mark.parametrize(
    "key",
    [
        "2018-11-021-events.json",
        "2018/11/02/2018-11-021-events.json",
        "2018-11-31-events.json",
        "2018/11/31/part-0000.json",
        "2018/11/part-0000.json",
        "2018/11/021/part-0000.json",
        "12018/11/02/part-0000.json",
        "mydt=2018-11-02/part-0000.json",
        "2018/11/02/delivery",
        "2018/11/02/13/notes.txt",
        "2018/11/02//part-0000.json",
        "2018/11/02/./part-0000.json",
        "2018/11/02/part\t0000.json",
    ],
)
def test_other_keys_have_no_day(key: str) -> None:
    assert LOGS.day_of(key) is None
    assert not LOGS.owns(key)
