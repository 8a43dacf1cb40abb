"""Runs on a real instance and a real warehouse: what is recorded, shown, refused and kept."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import cast

import dagster as dg
import pyarrow as pa
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.execution.api import execute_run
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from sparkify_dagster.catalogue.catalogue import Catalogue, read_catalogue
from sparkify_dagster.catalogue.lake_checks import NOTHING_HELD_BACK
from sparkify_dagster.definitions import build_definitions
from sparkify_dagster.defs import runs
from sparkify_dagster.defs.instance import process_identity
from sparkify_dagster.defs.partitions import range_tags
from sparkify_dagster.engines.base import Session
from sparkify_dagster.engines.duckdb.session import DuckDBSession
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings import Settings
from sparkify_dagster.settings.days import DayError, DayRange
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.reports import LoadReport
from sparkify_dagster.warehouse.run_events import Event, Failed, Finished, Started
from sparkify_dagster_tests.defs.conftest import KeptRun, SmallRun, run_small
from sparkify_dagster_tests.fixtures.dagster import FIRST, LAST, THREE_DAYS, SmallLake
from sparkify_dagster_tests.fixtures.warehouse import few_questions_sql

SECOND = date(2018, 11, 2)
CHECK_DAYS = {day.isoformat() for day in THREE_DAYS.days()}
NO_PAID_PLAYS = (
    "-- Nobody pays.\n-- severity: {severity}\n"
    "SELECT log_date, songplay_id, level FROM songplays WHERE level = 'paid'\n"
)


def catalogue_with_check(folder: Path, *, severity: str = "error") -> Catalogue:
    """The catalogue with one more check of songplays: a file, as a user would add it."""
    few_questions_sql(folder)
    check = folder / "checks" / "songplays" / "nobody_pays.sql"
    check.write_text(NO_PAID_PLAYS.format(severity=severity))
    return read_catalogue(folder)


def pay_on_the_second(lake: SmallLake) -> None:
    lake.put_day(SECOND, level="paid")


@pytest.fixture(scope="module")
def passed_check(tmp_path_factory: pytest.TempPathFactory) -> KeptRun:
    """A run that the check found nothing wrong with."""
    folder = tmp_path_factory.mktemp("passed")
    return run_small(folder, catalogue_with_check(folder / "sql"))


@pytest.fixture(scope="module")
def failed_check(tmp_path_factory: pytest.TempPathFactory) -> KeptRun:
    """The first run of a lake, which the check stopped."""
    folder = tmp_path_factory.mktemp("failed")
    return run_small(folder, catalogue_with_check(folder / "sql"), change=pay_on_the_second)


@pytest.fixture(scope="module")
def warning_check(tmp_path_factory: pytest.TempPathFactory) -> KeptRun:
    """The first run of a lake, of which the check only warned."""
    folder = tmp_path_factory.mktemp("warned")
    catalogue = catalogue_with_check(folder / "sql", severity="warn")
    return run_small(folder, catalogue, change=pay_on_the_second)


def materializations(instance: dg.DagsterInstance, asset: str) -> list[dg.AssetMaterialization]:
    """Newest first."""
    records = instance.fetch_materializations(dg.AssetKey(asset), limit=1000).records
    return [record.asset_materialization for record in records if record.asset_materialization]


def statuses(
    instance: dg.DagsterInstance, asset: str, check: str
) -> dict[str | None, AssetCheckExecutionRecordStatus]:
    """The newest status of a check, by day and for the whole run (None)."""
    key = dg.AssetCheckKey(dg.AssetKey(asset), check)
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=1000)
    return {record.partition: record.status for record in reversed(history)}


SUCCEEDED = AssetCheckExecutionRecordStatus.SUCCEEDED
FAILED = AssetCheckExecutionRecordStatus.FAILED


def test_a_range_is_one_run_that_records_every_day(finished: SmallRun) -> None:
    assert finished.done.ok, finished.done.message
    assert finished.instance.get_runs_count() == 1
    for asset, rows in (("staging_events", 2), ("songplays", 2)):
        found = materializations(finished.instance, asset)
        assert {m.partition for m in found} == CHECK_DAYS
        assert {m.metadata["dagster/partition_row_count"].value for m in found} == {rows}
        assert {m.metadata["dagster/row_count"].value for m in found} == {6}
    for asset, total in (("users", 2), ("songs", 2), ("artists", 2), ("time", 6)):
        (found_once,) = materializations(finished.instance, asset)
        assert found_once.metadata["dagster/row_count"].value == total


def test_a_materialization_shows_files_schema_sql_and_a_preview(finished: SmallRun) -> None:
    newest = materializations(finished.instance, "staging_events")[0]
    assert newest.partition == LAST.isoformat()
    shown = newest.metadata
    assert (shown["files"].value, shown["lines"].value, shown["rejects"].value) == (1, 2, 0)
    assert shown["bytes"].value == small_platform_file(finished.platform).stat().st_size
    assert shown["dagster/table_name"].value == "sparkify.main.staging_events"
    assert str(shown["sql"].value).startswith("```sql\n")
    assert isinstance(shown["dagster/column_schema"], dg.TableSchemaMetadataValue)
    preview = str(shown["preview"].value).splitlines()
    assert preview[0].split("|")[1].strip() == "log_date"
    assert len(preview) == 4  # head, rule and two rows: a bar in a value breaks no row
    assert {line.replace("\\|", "").count("|") for line in preview} == {preview[0].count("|")}


def small_platform_file(platform: Platform) -> Path:
    return Path(platform.lake_uri("staging_events")) / f"2018/11/{LAST}-events.json"


@pytest.mark.slow
def test_a_day_without_files_is_materialized_with_no_rows(
    small_platform: Platform, small_instance: dg.DagsterInstance, small_lake: SmallLake
) -> None:
    small_platform_file(small_platform).unlink()
    assert runs.materialize(small_platform, small_instance, days=THREE_DAYS).ok
    newest = materializations(small_instance, "songplays")[0]
    assert newest.partition == LAST.isoformat()
    assert newest.metadata["dagster/partition_row_count"].value == 0


def test_checks_are_recorded_for_the_run_and_for_every_day(finished: SmallRun) -> None:
    for asset in ("staging_events", "songplays"):
        found = statuses(finished.instance, asset, "not_null")
        assert found == dict.fromkeys([*CHECK_DAYS, None], SUCCEEDED)
    assert statuses(finished.instance, "users", "unique_key") == {None: SUCCEEDED}


@pytest.mark.slow
def test_the_status_of_a_day_names_the_materialization_of_that_day(resumed: SmallRun) -> None:
    runs.materialize(resumed.platform, resumed.instance, days=THREE_DAYS, reload=True)
    records = resumed.instance.fetch_materializations(dg.AssetKey("songplays"), limit=3).records
    newest = {record.partition_key: record.storage_id for record in records}
    key = dg.AssetCheckKey(dg.AssetKey("songplays"), "unique_key")
    storage = resumed.instance.event_log_storage
    history = storage.get_asset_check_execution_history(key, limit=4)
    targets = {}
    for record in history:
        assert record.event is not None
        evaluation = record.event.dagster_event
        assert evaluation is not None
        target = evaluation.asset_check_evaluation_data.target_materialization_data
        assert target is not None
        targets[record.partition] = target.storage_id
    assert {day: targets[day] for day in CHECK_DAYS} == newest


def test_a_failed_audit_changes_nothing_and_shows_the_rows(
    passed_check: KeptRun, tmp_path: Path
) -> None:
    assert passed_check.done.ok, passed_check.done.message
    with passed_check.copied(tmp_path) as run:
        before = run.platform.query("SELECT * FROM songplays ORDER BY songplay_id")
        recorded = len(materializations(run.instance, "songplays"))

        run.lake.put_day(SECOND, level="paid")
        done = runs.materialize(run.platform, run.instance, days=THREE_DAYS)

        assert not done.success
        assert list(done.failures) == ["songplays"]
        assert "nobody_pays (2 rows" in (done.message or "")
        assert "Traceback" not in (done.message or "")
        assert done.defect is None
        after = run.platform.query("SELECT * FROM songplays ORDER BY songplay_id")
        assert after.equals(before)
        assert len(materializations(run.instance, "songplays")) == recorded
        found = statuses(run.instance, "songplays", "nobody_pays")
        assert (found[None], found[SECOND.isoformat()]) == (FAILED, FAILED)
        evaluation = newest_evaluation(run.instance, "songplays", "nobody_pays", SECOND)
        assert evaluation.metadata["offending_rows"].value == 2
        assert "paid" in str(evaluation.metadata["sample"].value)


def newest_evaluation(
    instance: dg.DagsterInstance, asset: str, check: str, day: date | None
) -> dg.AssetCheckEvaluation:
    key = dg.AssetCheckKey(dg.AssetKey(asset), check)
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=1000)
    wanted = day.isoformat() if day else None
    record = next(record for record in history if record.partition == wanted)
    assert record.event is not None
    assert record.event.dagster_event is not None
    return record.event.dagster_event.asset_check_evaluation_data


def test_the_step_of_a_failed_audit_says_one_message_and_is_not_retried(
    failed_check: KeptRun, tmp_path: Path
) -> None:
    with failed_check.copied(tmp_path) as run:
        logs = run.instance.all_logs(run.done.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    failures = [event.dagster_event for event in logs]
    assert len(failures) == 1
    assert failures[0] is not None
    data = failures[0].step_failure_data
    assert data.user_failure_data is not None
    assert str(data.user_failure_data.description).startswith("songplays: nobody_pays (2 rows")
    assert data.error is not None
    assert data.error.cause is None
    assert data.error.context is None


@pytest.mark.slow
def test_after_the_cause_is_mended_the_next_run_completes(
    failed_check: KeptRun, tmp_path: Path
) -> None:
    assert not failed_check.done.success
    with failed_check.copied(tmp_path) as run:
        run.lake.put_day(SECOND)
        assert runs.materialize(run.platform, run.instance, days=THREE_DAYS).ok
        found = statuses(run.instance, "songplays", "nobody_pays")
        assert found == dict.fromkeys([*CHECK_DAYS, None], SUCCEEDED)


def test_a_warning_is_recorded_by_day_and_stops_nothing(
    warning_check: KeptRun, tmp_path: Path
) -> None:
    assert warning_check.done.ok
    with warning_check.copied(tmp_path) as run:
        found = statuses(run.instance, "songplays", "nobody_pays")
        assert (found[None], found[SECOND.isoformat()]) == (FAILED, FAILED)
        assert (found[FIRST.isoformat()], found[LAST.isoformat()]) == (SUCCEEDED, SUCCEEDED)
        evaluation = newest_evaluation(run.instance, "songplays", "nobody_pays", SECOND)
        assert evaluation.severity.value == "WARN"


@pytest.mark.slow
def test_a_warning_about_a_day_stays_when_a_run_passes_over_that_day(
    warning_check: KeptRun, tmp_path: Path
) -> None:
    with warning_check.copied(tmp_path) as run:
        run.lake.put_day(FIRST)
        run.lake.put_day(LAST)
        assert runs.materialize(run.platform, run.instance, days=THREE_DAYS).ok
        found = statuses(run.instance, "songplays", "nobody_pays")
        assert found[SECOND.isoformat()] == FAILED
        assert (found[FIRST.isoformat()], found[LAST.isoformat()]) == (SUCCEEDED, SUCCEEDED)


def test_a_failed_table_skips_what_needs_it_and_nothing_else(
    small_platform: Platform, small_instance: dg.DagsterInstance, small_lake: SmallLake
) -> None:
    small_lake.log_data.rename(small_lake.root / "elsewhere")
    done = runs.materialize(small_platform, small_instance, days=THREE_DAYS)
    assert list(done.failures) == ["staging_events"]
    assert f"{small_lake.log_data} does not exist" in (done.message or "")
    derived = set(small_platform.catalogue.transforms)
    assert set(done.skipped) == derived - {"songs", "artists"}
    assert {"staging_songs", "songs", "artists"} == set(done.reports)


DAILY = ("staging_events", "songplays", "songplays_per_day")


def materialized_days(instance: dg.DagsterInstance, table: str) -> set[str]:
    return instance.get_materialized_partitions(dg.AssetKey(table))


@pytest.mark.slow
def test_a_day_that_is_held_back_is_not_materialized_and_every_other_day_is(
    small_platform: Platform, small_instance: dg.DagsterInstance, small_lake: SmallLake
) -> None:
    good = small_platform_file(small_platform).read_bytes()
    small_platform_file(small_platform).write_text("no JSON at all\n" * 3)
    done = runs.materialize(small_platform, small_instance, days=THREE_DAYS)
    assert (done.success, done.ok, done.failures) == (True, False, {})
    assert [(held.day, held.cure != "") for held in done.held_back] == [(LAST, True)]
    days = {FIRST.isoformat(), SECOND.isoformat()}
    for table in DAILY:
        assert materialized_days(small_instance, table) == days, table
        newest = small_instance.fetch_materializations(dg.AssetKey(table), limit=5).records
        assert all(record.partition_key for record in newest), table
    assert set(done.reports) >= set(small_platform.catalogue.transforms)
    found = statuses(small_instance, "staging_events", NOTHING_HELD_BACK)
    assert found[LAST.isoformat()] == FAILED
    assert found[FIRST.isoformat()] == SUCCEEDED
    evaluation = newest_evaluation(small_instance, "staging_events", NOTHING_HELD_BACK, LAST)
    assert evaluation.severity is dg.AssetCheckSeverity.ERROR
    small_platform_file(small_platform).write_bytes(good)
    assert runs.materialize(small_platform, small_instance, days=DayRange(LAST, LAST)).ok
    for table in DAILY:
        assert materialized_days(small_instance, table) == days | {LAST.isoformat()}, table
    found = statuses(small_instance, "staging_events", NOTHING_HELD_BACK)
    assert found[LAST.isoformat()] == SUCCEEDED


@pytest.mark.slow
def test_a_run_of_nothing_but_a_day_that_is_held_back_materializes_no_day(
    small_platform: Platform, small_instance: dg.DagsterInstance, small_lake: SmallLake
) -> None:
    small_platform_file(small_platform).write_text("no JSON at all\n")
    done = runs.materialize(small_platform, small_instance, days=DayRange(LAST, LAST))
    assert (done.success, done.ok) == (True, False)
    assert done.reports["songs"].rows_added == 2
    for table in DAILY:
        assert small_instance.fetch_materializations(dg.AssetKey(table), limit=5).records == []


@pytest.mark.slow
def test_a_run_with_nothing_new_says_that_the_rows_are_those_that_passed(
    resumed: SmallRun,
) -> None:
    done = runs.materialize(resumed.platform, resumed.instance, days=THREE_DAYS)
    assert done.ok
    assert all(report.rows_added == 0 for report in done.reports.values())
    assert statuses(resumed.instance, "users", "unique_key") == {None: SUCCEEDED}
    said = newest_evaluation(resumed.instance, "users", "unique_key", None).description
    assert said is not None
    assert said.startswith("Nothing was written")


def test_a_reload_reads_loaded_files_again(resumed: SmallRun) -> None:
    one = DayRange(SECOND, SECOND)
    done = runs.materialize(
        resumed.platform, resumed.instance, days=one, tables=["staging_events"], reload=True
    )
    report = done.reports["staging_events"]
    assert isinstance(report, LoadReport)
    assert [file.day for file in report.files] == [SECOND]
    newest = materializations(resumed.instance, "staging_events")[0]
    assert newest.partition == SECOND.isoformat()


@pytest.mark.slow
def test_a_day_that_was_not_asked_for_but_refreshed_is_reported_as_well(resumed: SmallRun) -> None:
    before = Counter(m.partition for m in materializations(resumed.instance, "songplays"))
    resumed.lake.put_song("S0", "Undo again")  # the plays of all days lose their song
    one = DayRange(SECOND, SECOND)
    assert runs.materialize(resumed.platform, resumed.instance, days=one).ok
    after = Counter(m.partition for m in materializations(resumed.instance, "songplays"))
    assert after - before == dict.fromkeys(CHECK_DAYS, 1)
    assert statuses(resumed.instance, "songplays", "unique_key").keys() == {*CHECK_DAYS, None}


def test_tables_that_come_along_are_reported_as_well(
    small_platform: Platform, small_instance: dg.DagsterInstance
) -> None:
    chosen = ["staging_events", "staging_songs", "songplays"]
    assert runs.materialize(small_platform, small_instance, days=THREE_DAYS, tables=chosen).ok
    for asset in ("users", "songs", "artists", "time"):
        (reported,) = materializations(small_instance, asset)
        assert reported.partition is None
        assert reported.metadata["dagster/row_count"].value
        assert statuses(small_instance, asset, "unique_key") == {None: SUCCEEDED}
    assert materializations(small_instance, "user_levels") == []


@pytest.mark.slow
def test_every_check_can_be_run_alone_and_writes_nothing(resumed: SmallRun) -> None:
    job = build_definitions(resumed.settings, resumed.platform).resolve_job_def("checks")
    for tags in ({}, range_tags(THREE_DAYS)):
        done = job.execute_in_process(instance=resumed.instance, tags=tags, raise_on_error=False)
        assert done.success
        assert done.get_asset_materialization_events() == []
        keys = [evaluation.asset_check_key for evaluation in done.get_asset_check_evaluations()]
        found = {(key.asset_key.to_user_string(), key.name) for key in keys}
        assert found == {(c.table, c.name) for c in resumed.platform.catalogue.checks}


def test_one_blocking_check_can_be_run_alone_over_some_days(
    passed_check: KeptRun, tmp_path: Path
) -> None:
    key = dg.AssetCheckKey(dg.AssetKey("songplays"), "nobody_pays")
    job = dg.define_asset_job("one", selection=dg.AssetSelection.checks(key))
    with passed_check.copied(tmp_path) as run:
        built = dg.Definitions.merge(
            build_definitions(run.settings, run.platform), dg.Definitions(jobs=[job])
        )
        done = built.resolve_job_def("one").execute_in_process(
            instance=run.instance, tags=range_tags(DayRange(FIRST, SECOND))
        )
        assert [e.asset_check_key for e in done.get_asset_check_evaluations()] == [key]
        assert statuses(run.instance, "songplays", "nobody_pays")[FIRST.isoformat()] is SUCCEEDED


@pytest.mark.slow
def test_a_run_from_the_ui_of_one_day_reloads_that_day(resumed: SmallRun) -> None:
    job = build_definitions(resumed.settings, resumed.platform).resolve_job_def("load_lake")
    done = job.execute_in_process(
        instance=resumed.instance, partition_key=SECOND.isoformat(), raise_on_error=False
    )
    assert done.success
    newest, *others = materializations(resumed.instance, "staging_events")
    assert newest.partition == SECOND.isoformat()
    before = next(m for m in others if m.partition == newest.partition)
    assert [m.metadata["files"].value for m in (newest, before)] == [1, 1]


def test_ranges_are_refused_before_anything_is_launched(
    small_platform: Platform, small_instance: dg.DagsterInstance
) -> None:
    for days in (DayRange(LAST, FIRST), DayRange(FIRST, date(2018, 12, 1))):
        with pytest.raises(DayError):
            runs.materialize(small_platform, small_instance, days=days)
    assert small_instance.get_runs_count() == 0


def test_an_unknown_asset_is_refused_with_the_names_there_are(
    small_platform: Platform, small_instance: dg.DagsterInstance
) -> None:
    with pytest.raises(SparkifyError, match=r"no asset named plays\. The assets are: staging_"):
        runs.materialize(small_platform, small_instance, days=THREE_DAYS, tables=["plays"])


def test_the_observer_hears_each_asset_start_and_finish(finished: SmallRun) -> None:
    heard = finished.heard
    started = [event.table for event in heard if isinstance(event, Started)]
    reported = {event.table: event.report for event in heard if isinstance(event, Finished)}
    assert sorted(started) == sorted(reported)
    assert reported == finished.done.reports
    assert not any(isinstance(event, Failed) for event in heard)


def test_dagster_writes_nothing_on_the_terminal(
    small_platform: Platform,
    small_instance: dg.DagsterInstance,
    small_lake: SmallLake,
    capfd: pytest.CaptureFixture[str],
) -> None:
    small_platform_file(small_platform).write_text("no JSON at all\n" * 3)
    runs.materialize(small_platform, small_instance, days=THREE_DAYS)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_an_interrupted_run_is_recorded_as_failed_and_interrupts_the_caller(
    small_platform: Platform, small_instance: dg.DagsterInstance
) -> None:
    def interrupt(event: Event) -> None:
        if event == Started("staging_songs"):
            press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        runs.materialize(small_platform, small_instance, days=THREE_DAYS, observer=interrupt)
    (run,) = small_instance.get_runs()
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert runs.materialize(small_platform, small_instance, days=THREE_DAYS).ok


def test_an_interruption_between_two_steps_interrupts_the_caller_too(
    small_platform: Platform, small_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise DagsterExecutionInterruptedError

    monkeypatch.setattr(ActiveExecution, "verify_complete", interrupted)  # asked after each step
    with pytest.raises(KeyboardInterrupt):
        runs.materialize(small_platform, small_instance, days=THREE_DAYS)


def test_an_interruption_of_a_statement_interrupts_the_transaction(
    small_platform: Platform,
) -> None:
    def work(session: Session) -> None:
        session.execute("CREATE TABLE half_written (n INTEGER)")
        threading.Timer(0.3, press_ctrl_c).start()
        session.fetch("SELECT SUM(hash(range)) FROM range(1000000000000)")

    assert_interrupted(small_platform, work)


def test_an_interruption_while_the_engine_reads_what_is_lent_interrupts_the_transaction(
    small_platform: Platform,
) -> None:
    class Lent:
        def __arrow_c_stream__(self, schema: object = None) -> object:
            press_ctrl_c()
            return pa.table({"n": [1]}).__arrow_c_stream__(schema)

    def work(session: Session) -> None:
        assert isinstance(session, DuckDBSession)
        session.execute("CREATE TABLE half_written (n INTEGER)")
        with session.registered("lent", cast("pa.Table", Lent())):
            session.fetch("FROM lent")

    assert_interrupted(small_platform, work)


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def assert_interrupted(platform: Platform, work: Callable[[Session], None]) -> None:
    with pytest.raises(KeyboardInterrupt):
        platform.warehouse.transact(work, print)
    with platform.warehouse.write(print) as session:
        assert not session.fetch("FROM duckdb_tables() WHERE table_name = 'half_written'")


def test_a_defect_keeps_its_traceback(
    small_platform: Platform, small_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(Platform, "refresh", broken)
    done = runs.materialize(
        small_platform, small_instance, days=THREE_DAYS, tables=["staging_songs", "songs"]
    )
    assert not done.ok
    assert "in broken" in (done.defect or "")


def test_a_run_whose_process_died_is_closed(small_instance: dg.DagsterInstance) -> None:
    died = subprocess.Popen([sys.executable, "-c", ""])
    died.wait()
    mine = process_identity.process_tag()
    gone = mine.replace(f":{os.getpid()}:", f":{died.pid}:")
    reborn = f"{mine}1"  # the number of a living process, but born at another time
    started = {}
    for tag in (mine, gone, reborn, "another-machine:1:1"):
        run = dg.DagsterRun(
            job_name="load_lake",
            status=dg.DagsterRunStatus.STARTED,
            tags={process_identity.PROCESS_TAG: tag},
        )
        started[tag] = small_instance.add_run(run).run_id
    assert process_identity.close_dead_runs(small_instance) == 2
    for tag, run_id in started.items():
        run_now = small_instance.get_run_by_id(run_id)
        assert run_now is not None
        assert (run_now.status is dg.DagsterRunStatus.FAILURE) == (tag in (gone, reborn))


@pytest.mark.slow
def test_checks_are_those_of_the_run_that_came_last_whichever_was_asked_for_first(
    small_settings: Settings, small_platform: Platform, small_instance: dg.DagsterInstance
) -> None:
    job = build_definitions(small_settings, small_platform).resolve_job_def("load_lake")
    asked = [
        small_instance.create_run_for_job(job, tags={"dagster/partition": day.isoformat()})
        for day in (FIRST, SECOND, LAST)
    ]
    for run in (asked[1], asked[2], asked[0]):
        assert execute_run(InMemoryJob(job), run, small_instance).success
    storage = small_instance.event_log_storage
    for check in small_platform.catalogue.checks:
        key = dg.AssetCheckKey(dg.AssetKey(check.table), check.name)
        if check.table not in small_platform.catalogue.ledger_tables:
            (newest,) = storage.get_latest_asset_check_execution_by_key([key]).values()
            now = LoadingContextForTest(small_instance)
            assert asyncio.run(newest.targets_latest_materialization(now)), (key, newest.run_id)
            assert newest.status is SUCCEEDED, key
