"""When tables are overdue: which have a policy, what it is, and how a lake that ended is spared."""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy

from sparkify_dagster.definitions import build_definitions
from sparkify_dagster.defs.freshness import freshness_policy
from sparkify_dagster.defs.partitions import daily_partitions
from sparkify_dagster.settings import Settings, load_settings
from sparkify_dagster_tests.fixtures.warehouse import ANALYTICS, TABLES

pytestmark = pytest.mark.all_questions

MADE = {*TABLES, *ANALYTICS}


def changed(settings: Settings, *lines: str) -> Settings:
    """The same configuration with lines of [FRESHNESS], on a lake that goes on for ever."""
    text = settings.config_file.read_text(encoding="utf-8").partition("LAST_DAY")[0]
    settings.config_file.write_text("\n".join([text, "[FRESHNESS]", *lines, ""]))
    return load_settings(settings.config_file, {"DAGSTER_HOME": str(settings.home)})


def graph_of(settings: Settings) -> AssetGraph:
    return build_definitions(settings).resolve_asset_graph()


def with_policy(graph: AssetGraph) -> set[str]:
    return {node.key.to_user_string() for node in graph.asset_nodes if node.freshness_policy}


def test_the_tables_of_a_living_lake_have_a_policy_and_nothing_else(
    small_settings: Settings,
) -> None:
    assert with_policy(graph_of(changed(small_settings))) == MADE


@pytest.mark.parametrize(
    ("lines", "warn", "fail"),
    [((), 26, 50), (("WARN_HOURS = 2", "FAIL_HOURS = 3"), 2, 3)],
)
def test_it_warns_first_and_fails_later(
    small_settings: Settings, lines: Sequence[str], warn: int, fail: int
) -> None:
    policy = freshness_policy(changed(small_settings, *lines))
    assert isinstance(policy, TimeWindowFreshnessPolicy)
    assert policy.warn_window is not None
    assert policy.warn_window.to_timedelta() == timedelta(hours=warn)
    assert policy.fail_window.to_timedelta() == timedelta(hours=fail)


def test_a_lake_that_has_a_last_day_is_never_overdue(small_settings: Settings) -> None:
    assert with_policy(graph_of(small_settings)) == set()


@pytest.mark.parametrize("word", ["yes", "no"])
def test_the_switch_wins_over_the_last_day(small_settings: Settings, word: str) -> None:
    environ = {"SPARKIFY_FRESHNESS_ENABLED": word}
    for settings in (small_settings, changed(small_settings)):
        loaded = load_settings(settings.config_file, environ)
        assert (freshness_policy(loaded) is not None) == (word == "yes")


def test_an_asset_with_a_policy_keeps_its_days_its_checks_and_its_policy_of_backfills(
    small_settings: Settings,
) -> None:
    settings = changed(small_settings)
    without = graph_of(load_settings(settings.config_file, {"SPARKIFY_FRESHNESS_ENABLED": "no"}))
    graph = graph_of(settings)
    assert graph.asset_check_keys == without.asset_check_keys
    for name in sorted(MADE):
        node, before = (found.get(dg.AssetKey(name)) for found in (graph, without))
        assert node.metadata.keys() == before.metadata.keys()
        assert node.backfill_policy == before.backfill_policy
        assert node.partitions_def is before.partitions_def
    assert graph.get(dg.AssetKey("songplays")).partitions_def is daily_partitions(
        settings.partitions
    )
