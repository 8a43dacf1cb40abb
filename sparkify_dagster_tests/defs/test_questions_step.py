"""The questions without days are one step: each is still made, checked, told and refused alone."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from sparkify_dagster.catalogue.catalogue import QUESTIONS, read_catalogue
from sparkify_dagster.catalogue.sql_files import SQL_FOLDER
from sparkify_dagster.definitions import build_definitions
from sparkify_dagster.defs import runs
from sparkify_dagster.defs.sensors.alert_failures import Reader
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.present.alerts.alert_message import Links
from sparkify_dagster.settings import Settings
from sparkify_dagster.warehouse import Platform, open_platform
from sparkify_dagster_tests.defs.conftest import KeptRun, run_small
from sparkify_dagster_tests.fixtures.dagster import THREE_DAYS
from sparkify_dagster_tests.fixtures.warehouse import few_questions_sql

NEVER = "-- Nothing was ever played.\n-- severity: error\nSELECT {columns} FROM {table}\n"
READS_WEEKS = """\
-- How many plays are there?
-- grain: one day
-- chart: line log_date plays
CREATE TABLE IF NOT EXISTS plays_by_weeks (
    log_date DATE   NOT NULL ENCODE raw,   -- Day.
    plays    BIGINT NOT NULL ENCODE az64,  -- Plays in all weeks.
    PRIMARY KEY (log_date)
)
DISTSTYLE ALL
SORTKEY (log_date);

-- name: insert
INSERT INTO plays_by_weeks (log_date, plays)
SELECT MAX(monday), CAST(SUM(plays) AS BIGINT) FROM plays_per_week HAVING COUNT(*) > 0
"""


def few_questions_and_more(folder: Path) -> Path:
    """The SQL of few questions, with three more: one of them reads another."""
    few_questions_sql(folder)
    for name in ("plays_per_week", "plays_per_weekday_hour", "plays_per_hour"):
        shutil.copy(SQL_FOLDER / "analytics" / f"{name}.sql", folder / "analytics")
    return folder


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    return few_questions_and_more(tmp_path / "sql")


FAILING = {"plays_per_level": "level", "plays_per_weekday_hour": "weekday, hour"}
"""Questions, and the columns that their check shows; `plays_per_hour` reads one of them."""


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> KeptRun:
    """A run in which two questions fail a check."""
    folder = tmp_path_factory.mktemp("failed")
    sql = few_questions_and_more(folder / "sql")
    for table, columns in FAILING.items():
        check = sql / "checks" / table / "never.sql"
        check.parent.mkdir(exist_ok=True)
        check.write_text(NEVER.format(columns=columns, table=table))
    return run_small(folder, read_catalogue(sql))


def materialized(instance: dg.DagsterInstance, platform: Platform) -> set[str]:
    keys = [dg.AssetKey(table) for table in platform.catalogue.transforms]
    records = instance.get_asset_records(keys)
    return {
        record.asset_entry.asset_key.to_user_string()
        for record in records
        if record.asset_entry.last_materialization
    }


@pytest.mark.slow
def test_questions_without_days_are_made_in_one_step(
    small_settings: Settings, small_instance: dg.DagsterInstance, sql: Path
) -> None:
    platform = open_platform(small_settings, read_catalogue(sql))
    assert set(platform.catalogue.steps[QUESTIONS]) == {
        "plays_per_level",
        "plays_per_week",
        "plays_per_weekday_hour",
        "plays_per_hour",
    }
    done = runs.materialize(platform, small_instance, days=THREE_DAYS)
    assert done.ok, done.message
    events = small_instance.all_logs(done.run_id, of_type=dg.DagsterEventType.STEP_START)
    steps = [event.dagster_event.step_key for event in events if event.dagster_event]
    assert steps.count(QUESTIONS) == 1
    assert "plays_per_hour" not in steps
    assert materialized(small_instance, platform) == set(platform.catalogue.transforms)


@pytest.mark.slow
def test_a_question_that_a_table_with_days_reads_is_made_before_that_table(
    small_settings: Settings, small_instance: dg.DagsterInstance, sql: Path
) -> None:
    (sql / "analytics" / "plays_by_weeks.sql").write_text(READS_WEEKS)
    catalogue = read_catalogue(sql)
    assert catalogue.is_daily("plays_by_weeks")
    assert catalogue.step_of("plays_per_week") == "plays_per_week"
    platform = open_platform(small_settings, catalogue)
    assert runs.materialize(platform, small_instance, days=THREE_DAYS).ok
    assert platform.query("SELECT plays FROM plays_by_weeks")["plays"].tolist() == [6]


def test_questions_that_fail_keep_only_those_that_read_them_from_being_made(
    failed: KeptRun, tmp_path: Path
) -> None:
    assert set(failed.done.failures) == {"plays_per_level", "plays_per_weekday_hour"}
    assert failed.done.skipped == ("plays_per_hour",)
    assert "plays_per_week" in failed.done.reports
    missing = {"plays_per_level", "plays_per_weekday_hour", "plays_per_hour"}
    made = set(failed.catalogue.transforms) - missing
    with failed.copied(tmp_path) as run:
        assert materialized(run.instance, run.platform) == made
        assert run.platform.query("SELECT * FROM plays_per_level").empty


def test_each_question_that_failed_is_reported_by_its_name(failed: KeptRun, tmp_path: Path) -> None:
    with failed.copied(tmp_path) as copy:
        run = copy.instance.get_run_by_id(copy.done.run_id)
        assert run is not None
        reader = Reader(copy.instance, Links("http://ui"), failed.catalogue, hide=str)
        reported = {failure.subject: failure.reason for failure in reader.failed_run(run)}
        assert reported.keys() == FAILING.keys()
        for subject, reason in reported.items():
            assert reason == str(failed.done.failures[subject])
        assert reader.failed_checks(run, warnings=True) == []


@pytest.mark.slow
def test_a_question_can_be_made_and_checked_alone(
    small_settings: Settings, small_instance: dg.DagsterInstance, sql: Path
) -> None:
    platform = open_platform(small_settings, read_catalogue(sql))
    assert runs.materialize(platform, small_instance, days=THREE_DAYS, tables=["staging_events"]).ok
    done = runs.materialize(
        platform, small_instance, days=THREE_DAYS, tables=["songplays", "plays_per_week"]
    )
    assert set(done.reports) == {"songplays", "plays_per_week"}
    assert {o.check.table for o in done.outcomes} >= {"plays_per_week"}
    job = build_definitions(small_settings, platform).resolve_job_def("checks")
    key = dg.AssetCheckKey(dg.AssetKey("plays_per_week"), "unique_key")
    alone = job.get_subset(asset_selection=set(), asset_check_selection={key})
    found = alone.execute_in_process(instance=small_instance)
    assert [e.check_name for e in found.get_asset_check_evaluations()] == ["unique_key"]
    assert not found.get_asset_materialization_events()


def test_no_question_takes_the_name_of_their_step(sql: Path) -> None:
    file = sql / "analytics" / "plays_per_level.sql"
    text = file.read_text().replace("plays_per_level", QUESTIONS)
    file.with_name(f"{QUESTIONS}.sql").write_text(text)
    with pytest.raises(
        SparkifyError, match=r"questions\.sql: questions is what the step is called"
    ):
        read_catalogue(sql)
