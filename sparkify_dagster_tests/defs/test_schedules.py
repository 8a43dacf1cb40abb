"""The schedules: what they ask for at an hour, and why they do not."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.schedule_definition import ScheduleExecutionData

from sparkify_dagster.definitions import build_definitions
from sparkify_dagster.defs.schedules import schedules
from sparkify_dagster.defs.sensors.arrivals import TickError
from sparkify_dagster.warehouse import Platform
from sparkify_dagster_tests.defs.sensors.conftest import (
    SONGS,
    assert_as_a_fresh_load,
    days_of,
    lake_versions,
    loaded_versions,
    resources_of,
)
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    LAST,
    FolderLake,
    bring_up_to_date,
    event,
    make_platform,
    song,
    with_questions,
)
from sparkify_dagster_tests.warehouse.test_concurrency import held

NIGHT = datetime(2018, 11, 10, 4, tzinfo=UTC)


@pytest.fixture
def watched(tmp_path: Path, folder_lake: FolderLake) -> Platform:
    """A platform over an empty folder lake; it answers no questions: its runs are shorter."""
    return make_platform(tmp_path / "platform", folder_lake.root, with_questions())


def evaluate(platform: Platform, name: str, at: datetime = NIGHT) -> ScheduleExecutionData:
    found = {schedule.name: schedule for schedule in schedules(platform)}
    definitions = build_definitions(platform.settings, platform)
    with dg.build_schedule_context(
        scheduled_execution_time=at,
        repository_def=definitions.get_repository_def(),
        resources=resources_of(platform),
    ) as context:
        return found[name].evaluate_tick(context)


def requests(data: ScheduleExecutionData) -> list[dg.RunRequest]:
    assert data.run_requests is not None
    return list(data.run_requests)


def skipped(data: ScheduleExecutionData) -> str:
    assert not data.run_requests
    assert data.skip_message
    return data.skip_message


def execute(platform: Platform, request: dg.RunRequest) -> bool:
    job = build_definitions(platform.settings, platform).resolve_job_def("load_lake")
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(
            instance=instance,
            tags=dict(request.tags),
            run_config=dict(request.run_config),
            raise_on_error=False,
        )
    return done.success


# The day before


@pytest.mark.slow
def test_a_day_is_loaded_the_night_after_it(watched: Platform, folder_lake: FolderLake) -> None:
    day = NIGHT.date() - timedelta(1)
    folder_lake.put_events(day, event(day))
    folder_lake.put_songs("one", song())
    (request,) = requests(evaluate(watched, "daily_load"))
    assert days_of(request) == (day, day)
    assert request.run_key == f"daily_load-{day}"
    assert execute(watched, request)
    assert loaded_versions(watched) == lake_versions(watched)


def test_a_day_is_a_day_in_utc(watched: Platform) -> None:
    from zoneinfo import ZoneInfo

    late = datetime(2018, 11, 9, 23, tzinfo=ZoneInfo("America/Los_Angeles"))
    (request,) = requests(evaluate(watched, "daily_load", late))
    assert days_of(request)[0] == date(2018, 11, 9)


@pytest.mark.parametrize("night", [FIRST, LAST + timedelta(2)])
def test_a_day_that_the_platform_does_not_have_is_skipped(watched: Platform, night: date) -> None:
    at = datetime(night.year, night.month, night.day, 2, tzinfo=UTC)
    said = skipped(evaluate(watched, "daily_load", at))
    assert f"Outside the platform's days: {night - timedelta(1)}." in said
    assert "LAST_DAY" in said


def test_the_last_day_is_loaded_the_night_after_it(watched: Platform) -> None:
    at = datetime(2018, 12, 1, 2, tzinfo=UTC)
    (request,) = requests(evaluate(watched, "daily_load", at))
    assert days_of(request) == (LAST, LAST)


# The reconciliation


@pytest.mark.slow
def test_what_is_missing_anywhere_is_loaded_at_night(
    watched: Platform, folder_lake: FolderLake, tmp_path: Path
) -> None:
    folder_lake.put_events(FIRST, event())
    folder_lake.put_songs("one", song())
    bring_up_to_date(watched)
    folder_lake.put_events(FIRST, event(level="paid"))
    folder_lake.put_events(LAST, event(LAST))
    folder_lake.put_songs("two", song(song_id="S2", title="Two"))
    found = requests(evaluate(watched, "reconciliation"))
    for request in found:
        assert execute(watched, request)
    assert len({request.run_key for request in found}) == len(found)
    assert loaded_versions(watched) == lake_versions(watched)
    assert loaded_versions(watched, SONGS) == lake_versions(watched, SONGS)
    assert_as_a_fresh_load(watched, tmp_path / "fresh")
    assert "Lake, ledger and tables agree: 4 files" in skipped(evaluate(watched, "reconciliation"))


@pytest.mark.slow
def test_tables_that_are_behind_are_refreshed_at_night(
    watched: Platform, folder_lake: FolderLake
) -> None:
    folder_lake.put_events(FIRST, event())
    watched.load("staging_events", days=None, reload=False, run_id="killed afterwards")
    (request,) = requests(evaluate(watched, "reconciliation"))
    assert execute(watched, request)
    assert watched.status().up_to_date


def test_a_warehouse_in_use_skips_the_night(
    tmp_path: Path, folder_lake: FolderLake, watched: Platform
) -> None:
    bring_up_to_date(watched)
    hurried = make_platform(tmp_path / "platform", folder_lake.root, DUCKDB_LOCK_TIMEOUT=0.2)
    with held(watched.settings.duckdb.path, "write") as holder:
        said = skipped(evaluate(hurried, "reconciliation"))
    assert f"process {holder.pid} has held the warehouse" in said


def test_a_lake_that_is_not_there_fails_the_night_with_one_message(tmp_path: Path) -> None:
    platform = make_platform(tmp_path / "p", tmp_path / "nowhere")
    with pytest.raises(dg.DagsterError) as caught:
        evaluate(platform, "reconciliation")
    problem = caught.value.__cause__
    assert isinstance(problem, TickError)
    assert "does not exist: create it" in str(problem)
    assert problem.__context__ is None


@pytest.mark.slow
def test_every_check_is_run_each_night(watched: Platform) -> None:
    assert "There is no warehouse" in skipped(evaluate(watched, "nightly_checks"))
    bring_up_to_date(watched)
    (request,) = requests(evaluate(watched, "nightly_checks"))
    job = build_definitions(watched.settings, watched).resolve_job_def("checks")
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(instance=instance, run_config=dict(request.run_config))
    ran = {e.check_name for e in done.get_asset_check_evaluations()}
    assert {"ledger_current", "no_files_gone"} <= ran


def test_schedules_run_unless_switched_off(tmp_path: Path, folder_lake: FolderLake) -> None:
    on = schedules(make_platform(tmp_path, folder_lake.root))
    off = schedules(make_platform(tmp_path, folder_lake.root, SCHEDULES_ENABLED="no"))
    assert {s.default_status for s in on} == {dg.DefaultScheduleStatus.RUNNING}
    assert {s.default_status for s in off} == {dg.DefaultScheduleStatus.STOPPED}
    assert [s.cron_schedule for s in on] == ["0 2 * * *", "0 4 * * *", "30 4 * * *"]
    assert all(s.description and s.execution_timezone == "UTC" for s in on)
