"""Jobs by name: what each selects, what it wants in the launchpad, and that it runs to success."""

from datetime import date

import dagster as dg
import pytest

from sparkify_dagster.definitions import build_definitions
from sparkify_dagster.defs.partitions import daily_partitions, range_tags
from sparkify_dagster.settings import Settings
from sparkify_dagster.warehouse import Platform, open_platform
from sparkify_dagster_tests.fixtures.dagster import THREE_DAYS, small_settings_in
from sparkify_dagster_tests.fixtures.warehouse import FEW_QUESTIONS, bring_up_to_date

SECOND = date(2018, 11, 2)
STAGING = {"staging_events", "staging_songs"}
DIMENSIONS = {"users", "user_levels", "songs", "artists", "time"}
SELECTED = {
    "load_lake": STAGING | DIMENSIONS | {"songplays", *FEW_QUESTIONS, "report"},
    "staging": STAGING,
    "dimensions": DIMENSIONS,
    "analytics": {*FEW_QUESTIONS, "report"},
    "checks": set(),
    "create_tables": set(),
}
DAILY = {"load_lake", "staging", "analytics"}
DAYS = {"a range": range_tags(THREE_DAYS), "one day": {"dagster/partition": SECOND.isoformat()}}


@pytest.fixture
def built(small_settings: Settings, small_platform: Platform) -> dg.Definitions:
    return build_definitions(small_settings, small_platform)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[dg.Definitions, Platform]:
    """Definitions that are only looked at."""
    settings = small_settings_in(tmp_path_factory.mktemp("jobs"))
    platform = open_platform(settings)
    return build_definitions(settings, platform), platform


@pytest.mark.parametrize("name", SELECTED)
def test_a_job_selects_what_its_name_says_and_explains_itself(
    shipped: tuple[dg.Definitions, Platform], name: str
) -> None:
    job = shipped[0].resolve_job_def(name)
    keys = set(job.asset_layer.selected_asset_keys)
    assert {key.to_user_string() for key in keys} == SELECTED[name]
    assert job.description
    assert "layer" in job.tags
    assert job.owners


@pytest.mark.parametrize("name", SELECTED)
def test_a_job_runs_the_checks_of_its_assets_and_no_others(
    shipped: tuple[dg.Definitions, Platform], name: str
) -> None:
    built, platform = shipped
    found = {
        (key.asset_key.to_user_string(), key.name)
        for key in built.resolve_job_def(name).asset_layer.asset_graph.asset_check_keys
    }
    expected = {
        (check.table, check.name)
        for check in platform.catalogue.checks
        if name == "checks" or check.table in SELECTED[name]
    }
    assert found == expected


@pytest.mark.parametrize("name", SELECTED)
def test_only_jobs_with_daily_tables_ask_for_days(
    shipped: tuple[dg.Definitions, Platform], name: str
) -> None:
    built, platform = shipped
    days = built.resolve_job_def(name).partitions_def
    assert days is (daily_partitions(platform.settings.partitions) if name in DAILY else None)


@pytest.mark.parametrize(
    ("name", "days"),
    # The job of all checks runs in test_assets.py.
    [(name, "a range") for name in SELECTED if name != "checks"]
    + [(name, "one day") for name in SELECTED if name in DAILY],
)
def test_a_job_materializes_what_it_selects_for_the_days_of_the_run(
    built: dg.Definitions,
    small_platform: Platform,
    small_instance: dg.DagsterInstance,
    name: str,
    days: str,
) -> None:
    if name in ("dimensions", "analytics"):
        bring_up_to_date(small_platform)
    job = built.resolve_job_def(name)
    tags = DAYS[days]
    partition = tags.get("dagster/partition") if job.partitions_def else None
    done = job.execute_in_process(
        instance=small_instance,
        partition_key=partition,
        tags=None if partition else tags,
        raise_on_error=False,
    )
    assert done.success
    made = [event.materialization for event in done.get_asset_materialization_events()]
    assert {found.asset_key.to_user_string() for found in made} == SELECTED[name]
    reported = {found.partition for found in made if found.partition}
    expected = {partition} if partition else {day.isoformat() for day in THREE_DAYS.days()}
    assert reported == (expected if name in DAILY else set())


@pytest.mark.slow
def test_the_dimensions_hold_what_is_staged(
    built: dg.Definitions, small_platform: Platform, small_instance: dg.DagsterInstance
) -> None:
    for name in ("staging", "dimensions"):
        job = built.resolve_job_def(name)
        tags = range_tags(THREE_DAYS) if name in DAILY else None
        assert job.execute_in_process(instance=small_instance, tags=tags).success
    for table, rows in {"users": 2, "user_levels": 2, "songs": 2, "artists": 2, "time": 6}.items():
        found = small_platform.query(f"SELECT COUNT(*) AS n FROM {table}")
        assert found["n"].tolist() == [rows]
