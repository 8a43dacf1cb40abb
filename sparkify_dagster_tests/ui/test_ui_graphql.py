"""What the UI's page does, over GraphQL against a running `sparkify ui` and its daemon.

The lake is in S3 or a folder, the warehouse embedded; tables are compared with a fresh load.
"""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from sparkify_dagster.settings import load_settings
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.simulate import Simulation, write_lake
from sparkify_dagster.warehouse import Platform, open_platform
from sparkify_dagster_tests.fixtures.cli import Project, project_in
from sparkify_dagster_tests.fixtures.dagster import FIRST, SmallLake
from sparkify_dagster_tests.fixtures.lake import S3Endpoint
from sparkify_dagster_tests.fixtures.ui import LOCATION, REPOSITORY, RunningUi, running_ui
from sparkify_dagster_tests.fixtures.warehouse import (
    TABLES,
    all_rows,
    assert_same_rows,
    bring_up_to_date,
    rows_of,
)

DAYS = [str(FIRST + timedelta(n)) for n in range(16)]
DAILY = ("staging_events", "songplays")
_MESSAGES = """query ($run: ID!) {
  logsForRun(runId: $run, limit: 1000) {
    ... on EventConnection {events {... on MessageEvent {message}}}
  }
}"""
_START = """mutation ($sensor: SensorSelector!) {
  startSensor(sensorSelector: $sensor) {__typename ... on Sensor {name}}
}"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def lake_in_s3(s3_endpoint: S3Endpoint, tmp_path: Path) -> SmallLake:
    """Two songs and sixteen days in a bucket of their own."""
    return lake_of_days(s3_endpoint.root / re.sub("[^a-z0-9]", "-", tmp_path.name))


@pytest.fixture
def ui_of_s3(lake_in_s3: SmallLake, s3_endpoint: S3Endpoint, on_s3: Project) -> Iterator[RunningUi]:
    bucket = lake_in_s3.root.name
    project_in(on_s3.folder, DAYS[0], DAYS[-1])
    on_s3.environment.update(
        SPARKIFY_S3_LOG_DATA=f"s3://{bucket}/log_data",
        SPARKIFY_S3_SONG_DATA=f"s3://{bucket}/song_data",
        SPARKIFY_SENSORS_ENABLED="no",
        SPARKIFY_SENSORS_MINIMUM_INTERVAL="2",
        SPARKIFY_SCHEDULES_ENABLED="no",
    )
    with running_ui(on_s3) as running:
        yield running


def lake_of_days(root: Path) -> SmallLake:
    lake = SmallLake(root)
    shutil.rmtree(lake.log_data)
    for n, day in enumerate(DAYS):
        lake.put_day(date.fromisoformat(day), users=range(1, 3 + n % 3))
    return lake


def warehouse_of(project: Project) -> Platform:
    return open_platform(load_settings(project.folder / "dwh.cfg", {}))


def fresh_load(project: Project, lake: Path) -> Platform:
    """The same files in a warehouse of their own, loaded at once."""
    elsewhere = {
        "SPARKIFY_DUCKDB_PATH": str(project.folder / "fresh.duckdb"),
        "SPARKIFY_S3_LOG_DATA": str(lake / "log_data"),
        "SPARKIFY_S3_SONG_DATA": str(lake / "song_data"),
    }
    platform = open_platform(load_settings(project.folder / "dwh.cfg", elsewhere))
    bring_up_to_date(platform)
    return platform


def assert_as_fresh(project: Project, lake: Path) -> None:
    fresh = fresh_load(project, lake)
    assert_same_rows(all_rows(warehouse_of(project)), all_rows(fresh))


def days_with_rows(project: Project, table: str) -> set[str]:
    found = rows_of(warehouse_of(project), f"SELECT DISTINCT log_date FROM {table}")
    return {str(day) for (day,) in found}


def assert_shown_as_held(ui: RunningUi) -> None:
    """The days shown as materialized are those that have rows: all files of these lakes do."""
    for table in DAILY:
        shown = ui.days_by_status(table)
        assert shown.get("MATERIALIZED", set()) == days_with_rows(ui.project, table)
        assert shown.keys() <= {"MATERIALIZED", "MISSING"}


@pytest.mark.slow(100)
def test_days_are_loaded_from_s3_in_every_way_that_the_ui_has(
    ui_of_s3: RunningUi, lake_in_s3: SmallLake
) -> None:
    """What waits for the daemon, which looks at backfills every half minute, waits together."""
    ui = ui_of_s3
    a_day_is_one_run(ui, DAYS[0])
    good = spoiled(lake_in_s3, DAYS[11])
    by_job = ui.backfill(DAYS[1:8], job="load_lake", assets=TABLES)
    of_lineage_page = ui.backfill(DAYS[8:11], assets=TABLES)
    of_daily_assets = ui.backfill(DAYS[11:14], assets=DAILY)
    a_range_of_a_job_is_one_run(ui, by_job, DAYS[1:8])
    everything_from_the_lineage_page_succeeds(ui, of_lineage_page, DAYS[8:11])
    a_range_of_the_daily_assets_is_one_run(ui, of_daily_assets, DAYS[11:14])
    # The day that is held back is not shown as if it were loaded; the others of its range are.
    loaded = {*DAYS[:11], *DAYS[12:14]}
    assert days_with_rows(ui.project, "staging_events") == loaded
    for table in DAILY:
        assert ui.days_by_status(table)["MATERIALIZED"] == loaded, table
    lake_in_s3.put_day(date.fromisoformat(DAYS[11])).write_bytes(good)
    assert ui.finished(ui.launch(DAYS[11])).status == "SUCCESS"
    a_new_file_is_loaded_by_the_sensor(ui, lake_in_s3, DAYS[14:])
    assert_as_fresh(ui.project, lake_in_s3.root)


def spoiled(lake: SmallLake, day: str) -> bytes:
    """Put a file of no use in a day's place; what it had in it."""
    file = lake.put_day(date.fromisoformat(day), users=(1, 2, 3))
    good = file.read_bytes()
    file.write_text("no JSON\n" * 9)
    return good


def a_day_is_one_run(ui: RunningUi, day: str) -> None:
    run = ui.finished(ui.launch(day))
    assert run.status == "SUCCESS", ui.tail()
    assert days_with_rows(ui.project, "songplays") == {day}
    assert_shown_as_held(ui)


def a_range_of_a_job_is_one_run(ui: RunningUi, backfill: str, days: list[str]) -> None:
    run = ui.only_run(backfill)
    assert (run.status, run.days) == ("SUCCESS", (days[0], days[-1]))
    assert run.assets == set(TABLES)
    assert days_with_rows(ui.project, "songplays") >= set(days)


def a_range_of_the_daily_assets_is_one_run(ui: RunningUi, backfill: str, days: list[str]) -> None:
    run = ui.only_run(backfill)
    assert (run.status, run.days, run.assets) == ("SUCCESS", (days[0], days[-1]), set(DAILY))


def everything_from_the_lineage_page_succeeds(
    ui: RunningUi, backfill: str, days: list[str]
) -> None:
    """Dagster makes a run of its own where tables with days and without follow each other."""
    runs = ui.finished_backfill(backfill)
    assert {run.status for run in runs} == {"SUCCESS"}
    assert set[str]().union(*(run.assets for run in runs)) == set(TABLES)
    assert {run.days for run in runs} == {None, (days[0], days[-1])}


def a_new_file_is_loaded_by_the_sensor(ui: RunningUi, lake: SmallLake, days: list[str]) -> None:
    """The days that nobody has asked for yet; then one that changes while the sensor runs."""
    sensor = {
        "repositoryName": REPOSITORY,
        "repositoryLocationName": LOCATION,
        "sensorName": "new_log_files",
    }
    assert ui.ask(_START, sensor=sensor)["startSensor"] == {
        "__typename": "Sensor",
        "name": "new_log_files",
    }

    def loaded() -> set[tuple[str, str] | None]:
        runs = ui.runs(dagster__sensor_name="new_log_files")
        return {run.days for run in runs if run.status == "SUCCESS"}

    ui.wait(lambda: (days[0], days[-1]) in loaded(), 120, "the run of the sensor")
    lake.put_day(date.fromisoformat(days[0]), users=(7, 8, 9))
    ui.wait(lambda: (days[0], days[0]) in loaded(), 120, "the run for a changed file")
    assert_shown_as_held(ui)


@pytest.mark.slow(70)
def test_runs_requested_at_once_take_turns_and_one_whose_process_is_killed_is_run_again(
    empty_project: Project,
) -> None:
    days = DayRange(FIRST, FIRST + timedelta(59))
    project_in(empty_project.folder, str(days.first), str(days.last))
    write_lake(
        empty_project.lake,
        Simulation(FIRST, days=60, users=60, songs=60, events_per_day=500, seed=2),
    )
    empty_project.environment.update(SPARKIFY_SENSORS_ENABLED="no", SPARKIFY_SCHEDULES_ENABLED="no")
    with running_ui(empty_project) as ui:
        runs_of_different_days_take_turns(ui)
        a_killed_run_is_run_again(ui, days)
        assert_shown_as_held(ui)
    assert_as_fresh(empty_project, empty_project.lake)


def runs_of_different_days_take_turns(ui: RunningUi) -> None:
    with ThreadPoolExecutor(4) as pool:
        launched = list(pool.map(ui.launch, DAYS[:4]))
    runs = [ui.finished(run_id, seconds=400) for run_id in launched]
    assert {run.status for run in runs} == {"SUCCESS"}, ui.tail()
    in_turn = sorted((run.started, run.ended) for run in runs)
    overlaps = [pair for pair in pairwise(in_turn) if pair[0][1] > pair[1][0]]
    assert not overlaps, "runs met at the warehouse although its pool has one place"
    assert "STEP_START" not in ui.tail(), "the terminal repeats what the UI shows"
    for table in TABLES:
        assert ui.checks_by_status(table).keys() == {"SUCCEEDED"}, table
    assert_shown_as_held(ui)


def a_killed_run_is_run_again(ui: RunningUi, days: DayRange) -> None:
    killed = ui.launch(days)
    ui.wait(lambda: worker_of(ui, killed), 60, "a process that executes the run")
    os.kill(worker_of(ui, killed), signal.SIGKILL)
    assert ui.finished(killed).status == "FAILURE"
    ui.wait(lambda: ui.runs(dagster__parent_run_id=killed), 90, "a retry")
    (retry,) = ui.runs(dagster__parent_run_id=killed)
    assert ui.finished(retry.run_id).status == "SUCCESS"


def worker_of(ui: RunningUi, run_id: str) -> int:
    """The process that executes the steps of a run; 0 before there is one."""
    events = ui.ask(_MESSAGES, run=run_id)["logsForRun"]["events"]
    messages = " ".join(event.get("message", "") for event in events)
    found = re.search(r"Executing steps in process \(pid: (\d+)\)", messages)
    return int(found[1]) if found else 0
