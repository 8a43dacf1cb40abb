"""The days that the UI shows are those that the warehouse holds, after whatever history."""

import random
from collections.abc import Callable
from datetime import date, timedelta

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from sparkify_dagster.defs import runs
from sparkify_dagster.defs.instance import process_identity
from sparkify_dagster.defs.instance.home import open_instance
from sparkify_dagster.defs.partitions import daily_partitions
from sparkify_dagster.lake import LakeError
from sparkify_dagster.settings import Settings
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.load.load_source import SourceLoad
from sparkify_dagster_tests.fixtures.dagster import FIRST, LAST, THREE_DAYS, SmallLake
from sparkify_dagster_tests.fixtures.warehouse import rows_of

DAILY = ("staging_events", "songplays")
DAYS = [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)]


def held(platform: Platform, table: str) -> dict[str, int]:
    """Rows of each day that has any."""
    if not platform.warehouse.exists():
        return {}
    sql = "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = '{}'"
    if rows_of(platform, sql.format(table)) == [(0,)]:
        return {}
    found = rows_of(platform, f"SELECT log_date, COUNT(*) FROM {table} GROUP BY log_date")
    return {str(day): int(str(rows)) for day, rows in found}


def reported(instance: dg.DagsterInstance, table: str) -> dict[str, int]:
    """Rows of each day that has any, by the newest materialization that the UI shows for it."""
    keys = instance.get_latest_storage_id_by_partition(
        dg.AssetKey(table), dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    found = {}
    for day in keys:
        records = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(table), asset_partitions=[day]), limit=1
        ).records
        materialization = records[0].asset_materialization
        assert materialization is not None
        found[day] = int(str(materialization.metadata["dagster/partition_row_count"].value))
    return {day: rows for day, rows in found.items() if rows}


def status_of(
    instance: dg.DagsterInstance, settings: Settings, table: str
) -> tuple[set[str], set[str]]:
    """Materialized and failed days, from the cache that the page is drawn from."""
    daily = daily_partitions(settings.partitions)
    cached = get_and_update_asset_status_cache_value(instance, dg.AssetKey(table), daily)
    if cached is None:  # nothing has happened yet
        return set(), set()
    materialized = set(
        cached.deserialize_materialized_partition_subsets(daily).get_partition_keys()
    )
    failed = set(cached.deserialize_failed_partition_subsets(daily).get_partition_keys())
    return materialized, failed


@pytest.mark.slow(20)
@pytest.mark.parametrize("seed", range(2))
def test_after_any_history_the_days_shown_are_the_days_held(
    seed: int, small_lake: SmallLake, small_platform: Platform, small_settings: Settings
) -> None:
    dice = random.Random(seed)
    asked: set[str] = set()
    last: dict[str, bool] = {}

    def load(days: DayRange) -> None:
        done = runs.materialize(
            small_platform, instance, days=days, tables=DAILY, reload=dice.random() < 0.5
        )
        names = [str(day) for day in days.days()]
        asked.update(names)
        last.update(dict.fromkeys(names, done.ok))

    def some_day() -> date:
        return dice.choice(DAYS)

    def some_range() -> DayRange:
        first, last_ = sorted((some_day(), some_day()))
        return DayRange(first, last_)

    def spoil() -> None:
        path = small_lake.put_day(some_day())
        path.write_text("no JSON\n" * dice.randint(3, 9))

    steps: list[Callable[[], object]] = [
        lambda: load(DayRange(day := some_day(), day)),
        lambda: load(some_range()),
        lambda: load(some_range()),
        lambda: small_lake.put_day(some_day(), users=range(1, dice.randint(2, 5))),
        spoil,
        lambda: small_lake.put_day(some_day(), users=()),
    ]
    with open_instance(small_settings) as instance:
        for _ in range(12):
            dice.choice(steps)()
            for table in DAILY:
                rows = held(small_platform, table)
                assert reported(instance, table) == rows
                materialized, failed = status_of(instance, small_settings, table)
                # Red is a day whose last run failed; what it held before is there all the same.
                assert set(rows) <= materialized | failed
                assert materialized | failed <= asked
                assert failed <= {day for day, ok in last.items() if not ok}
        for day in DAYS:
            small_lake.put_day(day)
        load(THREE_DAYS)
        for table in DAILY:
            materialized, failed = status_of(instance, small_settings, table)
            assert (materialized, failed) == (set(held(small_platform, table)), set())
            assert materialized == {str(day) for day in DAYS}


@pytest.mark.slow
def test_a_range_run_that_fails_leaves_every_day_as_it_was(
    small_lake: SmallLake,
    small_platform: Platform,
    small_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unanswered(*_: object) -> None:
        raise LakeError("The lake does not answer.")

    with open_instance(small_settings) as instance:
        assert runs.materialize(
            small_platform, instance, days=DayRange(FIRST, FIRST + timedelta(1))
        ).ok
        before = held(small_platform, "staging_events")
        small_lake.put_day(FIRST, users=(1, 2, 3))
        monkeypatch.setattr(SourceLoad, "run", unanswered)
        assert not runs.materialize(small_platform, instance, days=THREE_DAYS).ok
        assert held(small_platform, "staging_events") == before
        assert reported(instance, "staging_events") == before
        materialized, failed = status_of(instance, small_settings, "staging_events")
        # Dagster calls a day red whose newest run failed, and keeps in mind that it was loaded.
        assert failed == {str(day) for day in DAYS}
        assert materialized == set(before)


def test_the_process_of_a_run_signs_it(
    small_platform: Platform, small_instance: dg.DagsterInstance
) -> None:
    done = runs.materialize(
        small_platform, small_instance, days=THREE_DAYS, tables=["staging_songs"]
    )
    run = small_instance.get_run_by_id(done.run_id)
    assert run is not None
    assert (
        run.tags[process_identity.PROCESS_TAG] == f"{process_identity.process_tag()}/{done.run_id}"
    )


def test_a_retried_run_is_not_taken_for_that_of_the_process_that_died(
    small_instance: dg.DagsterInstance,
) -> None:
    host = process_identity.process_tag().partition(":")[0]
    run = small_instance.add_run(
        dg.DagsterRun(
            job_name="load_lake",
            status=dg.DagsterRunStatus.STARTED,
            tags={process_identity.PROCESS_TAG: f"{host}:999999999:1/the-run-before"},
        )
    )
    assert process_identity.close_dead_runs(small_instance) == 0
    small_instance.add_run_tags(
        run.run_id, {process_identity.PROCESS_TAG: f"{host}:999999999:1/{run.run_id}"}
    )
    assert process_identity.close_dead_runs(small_instance) == 1
