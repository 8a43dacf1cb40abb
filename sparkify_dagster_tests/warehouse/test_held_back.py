"""One bad thing costs only itself: a day that cannot be loaded is held back, and nothing else."""

import gzip
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from sparkify_dagster.catalogue.lake_checks import LEDGER_CURRENT, NOTHING_HELD_BACK
from sparkify_dagster.lake import Lake
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse.load.loading import READINGS
from sparkify_dagster.warehouse.reports import LoadReport
from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.lake import S3Endpoint
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    FolderLake,
    Platform,
    bring_up_to_date,
    event,
    everything,
    lines,
    moment,
    rows_of,
    song,
)

SECOND, THIRD = FIRST + timedelta(1), FIRST + timedelta(2)
BAD_KEY = "2018/11/2018-11-02-bad.json"
CUT_OFF = gzip.compress(lines([event(SECOND)] * 50))[:-9]
IN_SECONDS = lines([event(SECOND, ts=moment(SECOND) // 1000)] * 3)
SPOILT = lines([event(SECOND, itemInSession=n, status=None if n < 4 else 200) for n in range(300)])
TROUBLES: Mapping[str, tuple[bytes, str]] = {
    "a file that ends early": (CUT_OFF, "the gzip data ends early"),
    "too many bad lines": (
        SPOILT,
        "4 of 301 lines of 2018-11-02 do not fit, more than the allowed share of 0.01: "
        "line 1 and 3 more: status: missing, and required",
    ),
    "times in seconds": (
        IN_SECONDS,
        "3 of 4 lines of 2018-11-02 do not fit, more than the allowed share of 0.01: line 1 and 2 "
        "more: ts: 1970-01-18, 48 years before the day of its file; seconds where milliseconds are "
        "expected?",
    ),
    "a key in another case": (
        lines([event(SECOND) | {"userID": "1"}]),
        "1 of 2 lines of 2018-11-02 do not fit, more than the allowed share of 0.01: line 1: "
        "userID: is userId meant?",
    ),
}


def load(platform: Platform, table: str = "staging_events", **changes: object) -> LoadReport:
    return platform.load(table, **({"days": None, "reload": False, "run_id": "r"} | changes))


def days_loaded(platform: Platform, table: str = "staging_events") -> dict[object, object]:
    return dict(rows_of(platform, f"SELECT log_date, COUNT(*) FROM {table} GROUP BY log_date"))


def outcome(report: LoadReport, name: str):
    (found,) = (o for o in report.outcomes if o.check.name == name)
    return found


def good_lake(lake: FolderLake) -> None:
    for day in (FIRST, SECOND, THIRD):
        lake.put_events(day, event(day))
    lake.put_songs("s", song())


@pytest.mark.every_engine
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_day_that_cannot_be_loaded_is_held_back_and_every_other_day_is_published(
    trouble: str, platform: Platform, folder_lake: FolderLake
) -> None:
    content, cause = TROUBLES[trouble]
    good_lake(folder_lake)
    folder_lake.put("log_data", BAD_KEY, content)
    report = load(platform)
    bring_up_to_date(platform)
    culprit, waiting = report.held_back
    assert (culprit.key, culprit.day, culprit.cause) == (BAD_KEY, SECOND, cause)
    assert culprit.cure
    assert (waiting.key, waiting.waits) == ("2018/11/2018-11-02-events.json", True)
    assert report.held_days == {SECOND}
    for table in ("staging_events", "songplays"):
        assert days_loaded(platform, table) == {FIRST: 1, THIRD: 1}
    assert rows_of(platform, "SELECT COUNT(*) FROM load_rejects") == [(0,)]
    assert platform.status().held_back == report.held_back
    assert platform.status().days == (SECOND,)


@pytest.mark.every_engine
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_day_that_is_held_back_keeps_the_rows_that_it_had(
    trouble: str, platform: Platform, folder_lake: FolderLake
) -> None:
    good_lake(folder_lake)
    bring_up_to_date(platform)
    before = everything(platform)
    folder_lake.put("log_data", "2018/11/2018-11-02-events.json", TROUBLES[trouble][0])
    folder_lake.put_events(FIRST, event(), event(itemInSession=1))
    bring_up_to_date(platform)
    for table in ("staging_events", "songplays"):
        assert days_loaded(platform, table) == {FIRST: 2, SECOND: 1, THIRD: 1}
    folder_lake.put_events(FIRST, event())
    bring_up_to_date(platform)
    now = everything(platform)
    assert len(now.pop(f"{platform.warehouse.state_schema}.held_back")) == 1
    changing = ("load_files", ".refreshed", ".held_back")
    for table, rows in before.items():
        if not table.endswith(changing):
            assert now[table] == rows, table


@pytest.mark.every_engine
def test_a_day_is_loaded_whole_once_it_is_mended(
    platform: Platform, folder_lake: FolderLake
) -> None:
    good_lake(folder_lake)
    folder_lake.put("log_data", BAD_KEY, CUT_OFF)
    assert load(platform).held_days == {SECOND}
    assert load(platform).files == ()  # tried again, in vain
    folder_lake.put("log_data", BAD_KEY, lines([event(SECOND, itemInSession=1)]))
    report = load(platform)
    assert {file.day for file in report.files} == {SECOND}
    assert (report.rows_added, report.held_back) == (2, ())
    assert platform.status().held_back == ()
    assert rows_of(platform, f"SELECT * FROM {platform.warehouse.state_schema}.held_back") == []


def test_days_that_were_not_asked_for_stay_held_back(
    platform: Platform, folder_lake: FolderLake
) -> None:
    good_lake(folder_lake)
    folder_lake.put("log_data", BAD_KEY, CUT_OFF)
    held = load(platform).held_back
    assert load(platform, days=DayRange(FIRST, FIRST), reload=True).held_back == ()
    assert platform.status().held_back == held


def test_a_held_back_file_that_vanishes_is_forgotten_and_its_day_loaded(
    platform: Platform, folder_lake: FolderLake
) -> None:
    good_lake(folder_lake)
    path = folder_lake.put("log_data", BAD_KEY, CUT_OFF)
    load(platform)
    path.unlink()
    assert platform.status().held_back != ()  # the other file of the day was tried and waits
    assert load(platform).rows_total == 3
    assert platform.status().held_back == ()


@pytest.mark.every_engine
def test_a_song_file_that_cannot_be_read_holds_back_itself(
    platform: Platform, folder_lake: FolderLake
) -> None:
    folder_lake.put_songs("s", song())
    folder_lake.put("song_data", "cut.json", gzip.compress(b'{"song_id": "S2"}')[:-4])
    report = load(platform, "staging_songs")
    (held,) = report.held_back
    assert (held.key, held.day, held.cause) == ("cut.json", None, "the gzip data ends early")
    assert (report.rows_added, report.rows_total) == (1, 1)
    failed = outcome(report, NOTHING_HELD_BACK)
    assert (failed.offending, failed.failed_hard, failed.blocks) == (1, True, False)
    folder_lake.put_songs("cut", song(song_id="S2"))
    assert load(platform, "staging_songs").rows_total == 2


def test_a_check_names_file_day_reason_and_cure(
    platform: Platform, folder_lake: FolderLake
) -> None:
    good_lake(folder_lake)
    folder_lake.put("log_data", BAD_KEY, CUT_OFF)
    report = load(platform)
    failed = outcome(report, NOTHING_HELD_BACK)
    assert failed.offending_by_day == {SECOND: 2}
    assert failed.sample.rows[0] == (
        SECOND, BAD_KEY, "the gzip data ends early", "upload the file again",
    )  # fmt: skip
    assert outcome(report, LEDGER_CURRENT).passed
    assert platform.run_check(failed.check) == failed
    assert platform.run_check(failed.check, DayRange(FIRST, FIRST)).passed


class Restless:
    """A lake in which a file changes whenever it was listed, so many times."""

    def __init__(self, lake: Lake, path: Path, times: int) -> None:
        self._lake, self._path, self._times = lake, path, times
        self.read = lake.read
        self.url = lake.url
        self.uri = lake.uri

    def list(self):
        listing = self._lake.list()
        if self._times:
            self._times -= 1
            with self._path.open("ab") as file:
                file.write(lines([event(SECOND, itemInSession=self._times + 100)]))
            os.utime(self._path)
        return listing


def restless(
    platform: Platform, folder_lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], None]:
    lake = platform.lake("staging_events")
    path = folder_lake.root / "log_data/2018/11/2018-11-02-events.json"

    def make(times: int) -> None:
        monkeypatch.setattr(platform, "lake", lambda _: Restless(lake, path, times))

    return make


@pytest.mark.every_engine
@pytest.mark.parametrize("loaded_before", [False, True])
def test_a_file_that_changes_while_it_is_read_is_read_again(
    loaded_before: bool,
    platform: Platform,
    folder_lake: FolderLake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good_lake(folder_lake)
    if loaded_before:
        load(platform)
        folder_lake.put_events(SECOND, event(SECOND), event(SECOND, itemInSession=1))
    changes = restless(platform, folder_lake, monkeypatch)
    changes(READINGS - 1)
    report = load(platform)
    assert report.held_back == ()
    lines_now = 1 + loaded_before + READINGS - 1
    assert days_loaded(platform) == {FIRST: 1, SECOND: lines_now, THIRD: 1}
    monkeypatch.undo()
    assert load(platform).files == ()


@pytest.mark.parametrize("loaded_before", [False, True])
def test_a_file_that_never_stops_changing_holds_back_its_day(
    loaded_before: bool,
    platform: Platform,
    folder_lake: FolderLake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good_lake(folder_lake)
    if loaded_before:
        load(platform)
        folder_lake.put_events(SECOND, event(SECOND), event(SECOND, itemInSession=1))
    restless(platform, folder_lake, monkeypatch)(100)
    report = load(platform)
    (held,) = report.held_back
    assert (held.day, held.cause) == (SECOND, "changed while it was being read")
    kept = {SECOND: 1} if loaded_before else {}
    assert days_loaded(platform) == {FIRST: 1, THIRD: 1} | kept
    monkeypatch.undo()
    assert load(platform).held_back == ()
    assert days_loaded(platform).keys() == {FIRST, SECOND, THIRD}


@pytest.mark.every_engine
@pytest.mark.s3
@pytest.mark.parametrize("reads_logs", ["yes", "no"])
def test_in_s3_a_day_is_held_back_alone_whoever_reads_the_files(
    engine: EngineUnderTest,
    tmp_path: Path,
    s3_endpoint: S3Endpoint,
    aws_environment: pytest.MonkeyPatch,
    reads_logs: str,
) -> None:
    """Redshift copies log files itself; where it refuses one, they are read by the platform."""
    if engine.name != "redshift" and reads_logs == "no":
        return
    bucket = f"held-{engine.name}-{reads_logs}"
    lake = FolderLake(s3_endpoint.root / bucket)
    platform = engine.platform(
        tmp_path, lake.root, S3_LOG_DATA=f"s3://{bucket}/log_data",
        S3_SONG_DATA=f"s3://{bucket}/song_data", S3_ENDPOINT_URL=s3_endpoint.endpoint_url,
        S3_REGION=s3_endpoint.region, LOAD_REDSHIFT_READS_LOGS=reads_logs,
    )  # fmt: skip
    good_lake(lake)
    lake.put("log_data", "2018/11/2018-11-02-bad.json.gz", CUT_OFF)
    lake.put("log_data", "2018/11/2018-11-03-bad.json", IN_SECONDS)
    report = load(platform)
    assert report.held_days == {SECOND, THIRD}
    causes = {held.key: held.cause for held in report.held_back if not held.waits}
    assert causes["2018/11/2018-11-02-bad.json.gz"] == "the gzip data ends early"
    assert "seconds where milliseconds are expected?" in causes["2018/11/2018-11-03-bad.json"]
    assert days_loaded(platform) == {FIRST: 1}
    lake.put("log_data", "2018/11/2018-11-02-bad.json.gz", gzip.compress(lines([event(SECOND)])))
    assert load(platform).held_days == {THIRD}
    assert days_loaded(platform) == {FIRST: 1, SECOND: 2}
