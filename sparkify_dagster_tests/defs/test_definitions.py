"""The graph: what every asset, check and job says about itself, and how they hang together."""

import shutil
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from sparkify_dagster import definitions
from sparkify_dagster.catalogue.catalogue import read_catalogue
from sparkify_dagster.catalogue.lake_checks import NOTHING_HELD_BACK
from sparkify_dagster.catalogue.sql_files import SQL_FOLDER
from sparkify_dagster.definitions import build_definitions
from sparkify_dagster.defs.assets.report import REPORT
from sparkify_dagster.defs.partitions import daily_partitions
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings import Settings, load_settings
from sparkify_dagster.warehouse import Platform, open_platform
from sparkify_dagster_tests.fixtures.warehouse import ANALYTICS, DAILY_ANALYTICS

pytestmark = pytest.mark.all_questions

STAR = {"songplays", "users", "user_levels", "songs", "artists", "time"}
MADE = {"staging_events", "staging_songs", *STAR, *ANALYTICS}
DAILY = {"staging_events", "songplays", *DAILY_ANALYTICS}
EXTERNAL = {"log_data", "song_data", "load_files", "load_rejects"}


@pytest.fixture
def graph(small_settings: Settings) -> AssetGraph:
    return build_definitions(small_settings).resolve_asset_graph()


def names(keys: object) -> set[str]:
    assert isinstance(keys, set | frozenset)
    return {key.to_user_string() for key in keys}


def test_the_definitions_can_be_loaded(small_settings: Settings) -> None:
    dg.Definitions.validate_loadable(build_definitions(small_settings))


def test_building_takes_less_than_a_second(small_settings: Settings) -> None:
    started = time.process_time()  # of this process: what else the machine does is not counted
    build_definitions(small_settings).resolve_job_def("load_lake")
    assert time.process_time() - started < 1


def test_the_name_of_an_asset_is_the_name_of_its_table(
    graph: AssetGraph, small_platform: Platform
) -> None:
    assert names(graph.materializable_asset_keys) - {REPORT} == MADE
    assert names(graph.external_asset_keys) == EXTERNAL
    assert set(small_platform.catalogue.tables) == (MADE | EXTERNAL) - {"log_data", "song_data"}


def test_every_asset_explains_itself(graph: AssetGraph) -> None:
    for node in graph.asset_nodes:
        assert node.description, node.key
        assert node.owners, node.key
        assert node.kinds, node.key
        assert node.group_name in {"sources", "staging", "star", "analytics"}, node.key
        assert {"layer", "grain"} <= node.tags.keys(), node.key


def test_every_table_shows_its_columns_its_sql_and_its_code_version(graph: AssetGraph) -> None:
    for name in MADE:
        node = graph.get(dg.AssetKey(name))
        assert node.code_version
        assert node.metadata["dagster/table_name"] == f"sparkify.main.{name}"
        assert str(node.metadata["sql"].value).startswith("```sql\n")
        schema = node.metadata["dagster/column_schema"]
        assert all(column.description for column in schema.columns)
        assert "**Grain:** one " in (node.description or "")


def test_keys_and_references_are_in_the_column_schema(graph: AssetGraph) -> None:
    schema = graph.get(dg.AssetKey("songplays")).metadata["dagster/column_schema"]
    columns = {column.name: column for column in schema.columns}
    assert columns["songplay_id"].constraints.unique
    assert not columns["songplay_id"].constraints.nullable
    assert columns["song_id"].constraints.nullable
    assert columns["song_id"].tags["references"] == "songs"


def test_the_graph_goes_from_the_lake_to_songplays(graph: AssetGraph) -> None:
    def upstream(name: str) -> set[str]:
        return names(set(graph.get(dg.AssetKey(name)).parent_keys))

    assert upstream("staging_events") == {"log_data"}
    assert upstream("staging_songs") == {"song_data"}
    assert upstream("users") == {"staging_events"}
    assert upstream("artists") == {"staging_songs"}
    assert upstream("songplays") == {
        "staging_events", "staging_songs", "users", "songs", "artists", "time",
    }  # fmt: skip


def test_every_question_is_an_asset_of_its_own_group_behind_the_star(graph: AssetGraph) -> None:
    found = {
        node.key.to_user_string() for node in graph.asset_nodes if "analytics" in node.tags["layer"]
    }
    assert found == {*ANALYTICS, REPORT} == names(graph.asset_keys_for_group("analytics"))
    assert names(set(graph.get(dg.AssetKey(REPORT)).parent_keys)) == set(ANALYTICS)
    for name in ANALYTICS:
        node = graph.get(dg.AssetKey(name))
        parents = names(set(node.parent_keys))
        assert parents, name
        assert parents <= STAR | {"staging_events", "staging_songs"} | found, name
        assert names(graph.get_ancestor_asset_keys(node.key)) & {"log_data", "song_data"}, name
        question, _, _ = (node.description or "").partition("\n\n")
        assert question.endswith("?"), name
        assert (node.description or "").count(question) == 1, name
        assert {"sql", "table"} < node.kinds, name
        assert {key.name for key in node.check_keys} >= {"not_null", "unique_key"}, name


def test_the_daily_assets_share_one_partitions_object_and_load_ranges_at_once(
    graph: AssetGraph, small_settings: Settings
) -> None:
    daily = daily_partitions(small_settings.partitions)
    for name in ("log_data", *DAILY):
        assert graph.get(dg.AssetKey(name)).partitions_def is daily
    for name in DAILY:
        policy = graph.get(dg.AssetKey(name)).backfill_policy
        assert policy is not None
        assert policy.max_partitions_per_run is None
    for name in MADE - DAILY:
        assert graph.get(dg.AssetKey(name)).partitions_def is None


def test_every_check_of_the_catalogue_is_an_asset_check(
    graph: AssetGraph, small_platform: Platform
) -> None:
    declared = {(check.table, check.name) for check in small_platform.catalogue.checks}
    keys = graph.asset_check_keys
    assert {(key.asset_key.to_user_string(), key.name) for key in keys} == declared
    assert len(declared) == len(small_platform.catalogue.checks)


def test_a_check_of_error_severity_blocks_and_a_warning_does_not(
    graph: AssetGraph, small_platform: Platform
) -> None:
    for check in small_platform.catalogue.checks:
        node = graph.get(dg.AssetCheckKey(dg.AssetKey(check.table), check.name))
        publishes = check.name == NOTHING_HELD_BACK
        assert node.blocking == (check.severity.value == "error" and not publishes)
        assert node.description == check.description


def test_an_embedded_warehouse_runs_in_one_process_and_one_run_at_a_time(
    small_settings: Settings,
) -> None:
    built = build_definitions(small_settings)
    job = built.resolve_job_def("load_lake")
    assert job.executor_def is dg.in_process_executor
    pools = {
        node.definition.pool for node in job.nodes if isinstance(node.definition, dg.OpDefinition)
    }
    assert pools == {"warehouse"}


def test_the_jobs_explain_themselves(small_settings: Settings) -> None:
    built = build_definitions(small_settings)
    for name in ("load_lake", "checks"):
        assert built.resolve_job_def(name).description


def test_a_lake_in_s3_is_shown_as_one(small_settings: Settings) -> None:
    environ = {"SPARKIFY_S3_LOG_DATA": "s3://bucket/log_data"}
    settings = load_settings(small_settings.config_file, environ)
    shown = build_definitions(settings).resolve_asset_graph().get(dg.AssetKey("log_data"))
    assert shown.kinds == {"s3", "json"}
    assert shown.metadata["dagster/uri"] == dg.MetadataValue.url("s3://bucket/log_data")


def test_a_table_of_three_sql_files_is_an_asset(tmp_path: Path, small_settings: Settings) -> None:
    folder = tmp_path / "sql"
    shutil.copytree(SQL_FOLDER, folder)
    (folder / "tables" / "agents.sql").write_text(
        "-- Browsers that listeners used.\n-- grain: one browser\n"
        "CREATE TABLE IF NOT EXISTS agents (\n"
        "    user_agent VARCHAR(1024) NOT NULL,  -- As the browser names itself.\n"
        "    PRIMARY KEY (user_agent)\n);\n"
    )
    (folder / "transforms" / "agents.sql").write_text(
        "-- Every browser once.\nINSERT INTO agents (user_agent)\n"
        "SELECT DISTINCT user_agent FROM staging_events WHERE user_agent IS NOT NULL;\n"
    )
    platform = open_platform(small_settings, read_catalogue(folder))
    graph = build_definitions(small_settings, platform).resolve_asset_graph()
    node = graph.get(dg.AssetKey("agents"))
    assert names(set(node.parent_keys)) == {"staging_events"}
    assert {key.name for key in node.check_keys} == {"not_null", "unique_key"}


def test_a_wrong_configuration_is_one_clear_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "dwh.cfg"
    config.write_text("[WAREHOUSE]\nENGINE = oracle\n")
    monkeypatch.setenv("SPARKIFY_CONFIG", str(config))
    with pytest.raises(SparkifyError, match="ENGINE"):
        definitions.defs()


def test_what_dagster_loads_is_what_the_configuration_says(
    small_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARKIFY_CONFIG", str(small_settings.config_file))
    loaded = definitions.defs()
    assert isinstance(loaded, dg.Definitions)
    assert names(loaded.resolve_asset_graph().materializable_asset_keys) == {*MADE, REPORT}
