"""Loading: every line is a row or in quarantine, every version of a file in the ledger."""

import gzip
import random
import shutil
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest

from sparkify_dagster.settings.days import DayRange
from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.lake import S3Endpoint
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    FolderLake,
    Platform,
    all_rows,
    assert_same_rows,
    bring_up_to_date,
    event,
    lines,
    load_all,
    rows_of,
    song,
)
from sparkify_dagster_tests.lake.test_lake import zstd
from sparkify_dagster_tests.simulate.conftest import REAL
from sparkify_dagster_tests.warehouse.histories import everything_derived
from sparkify_dagster_tests.warehouse.test_parsing import BAD_LINES

SECOND = FIRST + timedelta(1)
KEY = "2018/11/2018-11-01-events.json"


def load(platform: Platform, table: str = "staging_events", **changes: object):
    return platform.load(table, **({"days": None, "reload": False, "run_id": "r"} | changes))


@pytest.mark.slow
def test_bad_lines_of_every_kind_are_quarantined_and_the_rest_of_the_real_files_loads(
    engine: EngineUnderTest, tmp_path: Path
) -> None:
    if not REAL.is_dir():
        pytest.skip("absent here: the real Sparkify data")
    clean = engine.platform(tmp_path / "clean", REAL)
    bring_up_to_date(clean)
    lake = tmp_path / "lake"
    shutil.copytree(REAL, lake)
    expected: dict[tuple[str, int], bytes] = {}
    bad = list(BAD_LINES.values())
    dice = random.Random(1)
    for file in sorted(lake.glob("log_data/*/*/*.json")):
        content = file.read_bytes().splitlines()
        for line in bad:
            content.insert(dice.randint(0, len(content)), line)
        file.write_bytes(b"\n".join(content))
        key = file.relative_to(lake / "log_data").as_posix()
        expected |= {(key, n): line for n, line in enumerate(content, 1) if line in bad}
    dirty = engine.platform(tmp_path / "dirty", lake, LOAD_MAX_REJECT_RATIO=0.9)
    bring_up_to_date(dirty)
    assert_same_rows(all_rows(dirty), all_rows(clean))
    rejects = rows_of(dirty, "SELECT key, line, reason, raw_line FROM load_rejects")
    assert {(key, line) for key, line, *_ in rejects} == expected.keys()
    assert all(reason and "\0" not in raw for *_, reason, raw in rejects)
    assert len(rejects) == len(expected)
    unequal = "SELECT * FROM load_files WHERE lines <> rows + rejects"
    assert rows_of(dirty, unequal) == []
    by_file = dict(rows_of(dirty, "SELECT key, lines FROM load_files WHERE day IS NOT NULL"))
    for key, count in by_file.items():
        content = (lake / "log_data" / str(key)).read_bytes()
        assert count == sum(1 for line in content.split(b"\n") if line.strip())


@pytest.mark.every_engine
def test_a_rejected_line_is_reported_with_file_number_reason_and_text(
    platform: Platform, folder_lake: FolderLake
) -> None:
    content = lines([event()]) * 199 + b'{"page": "Home"}\n'
    folder_lake.put("log_data", KEY, content)
    report = load(platform)
    assert (report.lines, report.rows_added, report.rejects) == (200, 199, 1)
    assert rows_of(platform, "SELECT * FROM load_rejects") == [
        ("staging_events", KEY, 200, "auth: missing, and required", '{"page": "Home"}')
    ]


@pytest.mark.parametrize(("bad", "fits"), [(1, True), (2, True), (3, False)])
def test_the_limit_is_a_share_of_the_lines_of_one_day(
    bad: int, fits: bool, platform: Platform, folder_lake: FolderLake
) -> None:
    """Two files of the day count together; other days do not help."""
    folder_lake.put_events(SECOND, *[event(SECOND)] * 1000)
    folder_lake.put_events(FIRST, *[event()] * 100, name="a")
    folder_lake.put("log_data", "2018-11-01-b.json", lines([event()]) * (100 - bad) + b"?\n" * bad)
    if fits:
        assert load(platform).rejects == bad
    else:
        (held,) = [one for one in load(platform).held_back if not one.waits]
        assert held.cause.startswith(f"{bad} of 200 lines of 2018-11-01 do not fit")


def test_a_file_that_comes_later_is_judged_with_the_rest_of_its_day(
    platform: Platform, folder_lake: FolderLake
) -> None:
    folder_lake.put_events(FIRST, *[event()] * 199, name="a")
    load(platform)
    folder_lake.put("log_data", "2018-11-01-b.json", b"null\n")
    assert load(platform).rejects == 1
    folder_lake.put("log_data", "2018-11-01-c.json", b"null\nnull\n")
    report = load(platform)
    assert [(one.key, one.cause[:9]) for one in report.held_back] == [
        ("2018-11-01-c.json", "3 of 202 ")
    ]
    assert report.rows_total == 199


def test_rejects_of_an_earlier_version_are_forgotten(
    engine: EngineUnderTest, tmp_path: Path, folder_lake: FolderLake
) -> None:
    platform = engine.platform(tmp_path, folder_lake.root, LOAD_MAX_REJECT_RATIO=1)
    folder_lake.put("log_data", KEY, b'null\n{"zzz": 1}\n' + lines([event(zzz=1)]))
    folder_lake.put("log_data", "2018-11-02.json", b"null\n")
    assert load(platform).unknown_keys == {"zzz": 1}
    folder_lake.put("log_data", KEY, lines([event()]))
    load(platform)
    assert rows_of(platform, "SELECT key FROM load_rejects") == [("2018-11-02.json",)]
    assert rows_of(platform, "SELECT * FROM unknown_keys") == []


def test_song_files_have_the_limit_of_the_whole_catalogue(
    platform: Platform, folder_lake: FolderLake
) -> None:
    for n in range(199):
        folder_lake.put_songs(f"s{n}", song(song_id=f"S{n}"))
    folder_lake.put("song_data", "bad.json", b"null")
    assert load(platform, "staging_songs").rejects == 1
    folder_lake.put("song_data", "worse.json", b"null\nnull\nnull")
    folder_lake.put_songs("good", song(song_id="G"))
    report = load(platform, "staging_songs")
    (held,) = report.held_back
    assert (held.key, held.day) == ("worse.json", None)
    assert held.cause.startswith("4 of 204 lines do not fit")
    assert (report.rows_added, report.rows_total) == (1, 200)


@pytest.mark.every_engine
def test_a_changed_file_replaces_its_own_rows_only(
    platform: Platform, folder_lake: FolderLake
) -> None:
    folder_lake.put_events(FIRST, event(userId="1"), event(userId="2"), name="a")
    folder_lake.put_events(FIRST, event(userId="3"), name="b")
    load(platform)
    folder_lake.put_events(FIRST, event(userId="4"), name="a")
    report = load(platform)
    assert (report.rows_removed, report.rows_added, report.rows_total) == (2, 1, 2)
    assert report.unchanged_files == 1
    assert rows_of(platform, "SELECT user_id FROM staging_events ORDER BY 1") == [(3,), (4,)]


@pytest.mark.every_engine
def test_a_file_that_vanishes_keeps_its_rows_and_is_reported(
    platform: Platform, folder_lake: FolderLake
) -> None:
    gone = folder_lake.put_events(FIRST, event(), name="a")
    folder_lake.put_events(FIRST, event(), name="b")
    load(platform)
    gone.unlink()
    for _ in range(2):
        report = load(platform)
        assert report.gone_files == ("2018/11/2018-11-01-a.json",)
        assert report.rows_total == 2
        (reported,) = (o for o in report.outcomes if o.check.name == "no_files_gone")
        assert (reported.passed, reported.failed_hard) == (False, False)
        assert reported.offending_by_day == {FIRST: 1}
    assert platform.status().gone_files["staging_events"] == 1


def test_a_file_that_comes_back_is_loaded_once(platform: Platform, folder_lake: FolderLake) -> None:
    path = folder_lake.put_events(FIRST, event())
    load(platform)
    path.unlink()
    load(platform)
    folder_lake.put_events(FIRST, event(), event())
    assert load(platform).rows_total == 2


@pytest.mark.every_engine
def test_a_day_asked_for_by_name_is_reloaded_alone(
    platform: Platform, folder_lake: FolderLake
) -> None:
    for day in (FIRST, SECOND):
        folder_lake.put_events(day, event(day))
    load(platform)
    report = load(platform, days=DayRange(FIRST, FIRST), reload=True)
    assert [file.day for file in report.files] == [FIRST]
    assert (report.rows_added, report.rows_removed, report.rows_total) == (1, 1, 2)
    assert report.rows_by_day == {FIRST: 1}
    assert load(platform, days=DayRange(FIRST, SECOND)).files == ()


def test_only_the_days_of_a_range_are_read(platform: Platform, folder_lake: FolderLake) -> None:
    days = [FIRST + timedelta(n) for n in range(4)]
    for day in days:
        folder_lake.put_events(day, event(day))
    report = load(platform, days=DayRange(days[1], days[2]))
    assert [file.day for file in report.files] == days[1:3]
    assert platform.status().days == (days[0], days[3])


@pytest.mark.every_engine
def test_the_ledger_keeps_every_version(platform: Platform, folder_lake: FolderLake) -> None:
    path = folder_lake.put_events(FIRST, event())
    load(platform, run_id="one")
    folder_lake.put_events(FIRST, event(), event())
    load(platform, run_id="two")
    ledger = (
        "SELECT table_name, key, size, day, lines, rows, rejects, run_id FROM load_files "
        "ORDER BY loaded_at"
    )
    size = path.stat().st_size
    assert rows_of(platform, ledger) == [
        ("staging_events", KEY, size // 2, FIRST, 1, 1, 0, "one"),
        ("staging_events", KEY, size, FIRST, 2, 2, 0, "two"),
    ]
    (modified,) = rows_of(platform, "SELECT MAX(last_modified) FROM load_files")[0]
    assert abs(modified.timestamp() - path.stat().st_mtime) < 90_000  # a day: time zones apart


@pytest.mark.s3
def test_content_that_returns_to_an_earlier_version_is_loaded_again(
    engine: EngineUnderTest,
    tmp_path: Path,
    s3_endpoint: S3Endpoint,
    aws_environment: pytest.MonkeyPatch,
) -> None:
    """On S3 the etag is that of the content: A, B, A has two etags."""
    lake = FolderLake(s3_endpoint.root / "abab")
    folder_lake_platform = engine.platform(
        tmp_path, lake.root, S3_LOG_DATA="s3://abab/log_data", S3_SONG_DATA="s3://abab/song_data",
        S3_ENDPOINT_URL=s3_endpoint.endpoint_url, S3_REGION=s3_endpoint.region,
    )  # fmt: skip
    seen = []
    for users in (("1",), ("2", "3"), ("1",), ("2", "3")):
        lake.put_events(FIRST, *[event(userId=user) for user in users])
        report = load(folder_lake_platform)
        seen.append((report.rows_added, report.rows_total))
        found = rows_of(folder_lake_platform, "SELECT user_id FROM staging_events ORDER BY 1")
        assert found == [(int(user),) for user in users]
        assert load(folder_lake_platform).files == ()
    assert seen == [(1, 1), (2, 2), (1, 1), (2, 2)]
    assert len(rows_of(folder_lake_platform, "SELECT * FROM load_files")) == 2


@pytest.mark.every_engine
def test_unknown_keys_are_counted_by_file_and_warned_about(
    platform: Platform, folder_lake: FolderLake
) -> None:
    plays = [event(itemInSession=n) | ({"device": n} if n % 2 else {}) for n in range(400)]
    folder_lake.put_events(FIRST, *plays, event(device=None, other={"a": [1]}))
    report = load(platform)
    assert report.unknown_keys == {"device": 200, "other": 1}
    assert report.rejects == 0
    (reported,) = (o for o in report.outcomes if o.check.name == "no_unknown_keys")
    assert Counter(dict.fromkeys(reported.offending_by_day, reported.offending)) == {FIRST: 2}
    assert not reported.failed_hard


@pytest.mark.every_engine
def test_files_as_people_have_them_are_loaded_into_their_days(
    platform: Platform, folder_lake: FolderLake
) -> None:
    names = {
        "2018-11-01-events.jsonl": FIRST,
        "2018/11/02/part-0000.ndjson.gz": SECOND,
        "year=2018/month=11/day=03/part-0000.json.zst": FIRST + timedelta(2),
        "dt=2018-11-04/part-0000.jsonl.zst": FIRST + timedelta(3),
        "2018/11/05/13/delivery-1-2018-11-05-13-00-00-0f9a": FIRST + timedelta(4),
    }
    for key, day in names.items():
        content = lines([event(day)])
        pack = {"gz": gzip.compress, "zst": zstd}.get(key.rpartition(".")[2], bytes)
        folder_lake.put("log_data", key, pack(content))
    folder_lake.put("song_data", "s.ndjson.zst", zstd(lines([song()])))
    folder_lake.put("log_data", "2018-11-021-events.json", lines([event()]))
    report = load(platform)
    assert {file.key: file.day for file in report.files} == names
    assert report.strange_files == ("2018-11-021-events.json",)
    assert load(platform, "staging_songs").rows_total == 1
    assert rows_of(platform, "SELECT source_file, log_date FROM staging_events") == sorted(
        names.items()
    )


def test_a_loaded_file_whose_name_has_no_day_by_now_keeps_its_rows_and_is_reported(
    platform: Platform, folder_lake: FolderLake
) -> None:
    key = "2018-11-011-events.json"
    folder_lake.put_events(FIRST, event())
    load(platform)
    for table in ("load_files", "staging_events"):
        column = "key" if table == "load_files" else "source_file"
        with platform.warehouse.write(print) as session:
            session.execute(f"UPDATE {table} SET {column} = '{key}'")
    (folder_lake.root / "log_data" / KEY).unlink()
    folder_lake.put("log_data", key, lines([event(), event(itemInSession=1)]))
    report = load(platform)
    assert (report.files, report.strange_files, report.rows_total) == ((), (key,), 1)


def test_files_with_strange_names_are_reported_and_not_read(
    platform: Platform, folder_lake: FolderLake
) -> None:
    strange = ["2018/11/events.json", "2018/11/2018-11-31-events.json", "README.txt",
               "2018/11/2018-11-01-events.csv", "x2018-11-01.json"]  # fmt: skip
    for key in strange:
        folder_lake.put("log_data", key, b"nonsense")
    folder_lake.put("log_data", "2018/11/.hidden.json", b"nonsense")
    folder_lake.put("log_data", "2017/12/2017-12-31-events.json", lines([event()]))
    folder_lake.put("log_data", "2018-11-30.json", lines([event()]))
    report = load(platform)
    assert [file.key for file in report.files] == ["2018-11-30.json"]
    assert sorted(report.strange_files) == sorted([*strange, "2017/12/2017-12-31-events.json"])
    status = platform.status()
    assert status.outside_partitions == ("2017/12/2017-12-31-events.json",)
    assert status.up_to_date is False  # the star is behind; no file is
    assert not any(status.new_files.values())


def test_a_file_and_its_compressed_copy_are_two_files(
    platform: Platform, folder_lake: FolderLake
) -> None:
    folder_lake.put_events(FIRST, event())
    folder_lake.put("log_data", KEY + ".gz", gzip.compress(lines([event()])))
    folder_lake.put_songs("s", song())
    bring_up_to_date(platform)
    counts = "SELECT (SELECT COUNT(*) FROM staging_events), (SELECT COUNT(*) FROM songplays)"
    assert rows_of(platform, counts) == [(2, 1)]


def test_the_clock_that_is_set_back_does_not_bring_back_an_old_version(
    platform: Platform, folder_lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_lake.put_events(FIRST, event())
    load(platform)
    with platform.warehouse.write(print) as session:
        session.execute("UPDATE load_files SET loaded_at = TIMESTAMP '2999-01-01 00:00:00'")
    folder_lake.put_events(FIRST, event(), event())
    load(platform)
    assert load(platform).files == ()
    assert platform.status().changed_files["staging_events"] == 0


def test_a_log_day_is_the_one_of_the_file_name_not_of_its_events(
    platform: Platform, folder_lake: FolderLake
) -> None:
    folder_lake.put_events(SECOND, event(date(2018, 10, 1)))
    load(platform)
    sql = "SELECT log_date, CAST(event_time AS DATE) FROM staging_events"
    assert rows_of(platform, sql) == [(SECOND, date(2018, 10, 1))]


@pytest.mark.slow
@pytest.mark.every_engine
def test_a_reload_of_everything_changes_no_row(platform: Platform, folder_lake: FolderLake) -> None:
    folder_lake.put_events(FIRST, *[event(itemInSession=n, x=1) for n in range(200)])
    folder_lake.put_songs("s", song())
    bring_up_to_date(platform)
    before = everything_derived(platform)
    load_all(platform, reload=True)
    bring_up_to_date(platform)
    assert everything_derived(platform) == before
