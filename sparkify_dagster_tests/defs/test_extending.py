"""docs/extending.md, done word for word in a temporary copy of the SQL folder."""

import ast
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from sparkify_dagster.catalogue.catalogue import read_catalogue
from sparkify_dagster.definitions import build_definitions
from sparkify_dagster.defs.instance.home import open_instance
from sparkify_dagster.defs.runs import RunResult, materialize
from sparkify_dagster.settings import KEYS, Settings, load_settings
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.settings.sources import SOURCES, Source
from sparkify_dagster.simulate import Simulation, write_lake
from sparkify_dagster.warehouse import Platform, open_platform
from sparkify_dagster_tests.defs.conftest import SmallRun
from sparkify_dagster_tests.fixtures.warehouse import few_questions_sql

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
DAYS = DayRange(date(2018, 11, 1), date(2018, 11, 3))


def files_of_the_page() -> Mapping[str, str]:
    """The SQL files that the page shows, by their path below sql/."""
    shown = r"`sparkify_dagster/sql/([\w/]+\.sql)`(?:(?!sparkify_dagster/sql/).)*?```sql\n(.*?)```"
    return dict(re.findall(shown, PAGE.read_text(), re.DOTALL))


def python_of_the_page() -> list[str]:
    """The declaration of a source, and an asset."""
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def declaration_of_the_page() -> Source:
    """The source that the page declares."""
    text = python_of_the_page()[0]
    call = ast.parse(textwrap.dedent(text)).body[0]
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    values = {word.arg: ast.literal_eval(word.value) for word in call.value.keywords if word.arg}
    return Source(**values)


def settings_in(folder: Path) -> Settings:
    """A configuration with a lake of three days."""
    lake = folder / "lake"
    write_lake(lake, Simulation(DAYS.first, 3, 20, 30, 200, 7))
    config = folder / "dwh.cfg"
    config.write_text(
        f"[S3]\nLOG_DATA = {lake}/log_data\nSONG_DATA = {lake}/song_data\n"
        "[PARTITIONS]\nFIRST_DAY = 2018-11-01\nLAST_DAY = 2018-11-03\n"
    )
    return load_settings(config, {})


@dataclass(frozen=True)
class Run:
    """A run of a platform, and what Dagster kept of it."""

    platform: Platform
    result: RunResult
    materialized: Mapping[str, dg.AssetMaterialization]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A platform with the page's files beside the shipped ones, and its first run."""
    folder = tmp_path_factory.mktemp("extended")
    sql = few_questions_sql(folder / "sql")
    for name, text in files_of_the_page().items():
        (sql / name).parent.mkdir(parents=True, exist_ok=True)
        (sql / name).write_text(text)
    platform = open_platform(settings_in(folder), read_catalogue(sql))
    with open_instance(platform.settings) as instance:
        result = materialize(platform, instance, days=DAYS)
        assert result.ok, result.message
        made = {}
        for table in ("locations", "plays_per_gender"):
            event = instance.get_latest_materialization_event(dg.AssetKey(table))
            assert event is not None
            assert event.asset_materialization is not None
            made[table] = event.asset_materialization
    return Run(platform, result, made)


def test_the_page_shows_a_question_and_a_table_with_its_transform_and_a_check() -> None:
    assert sorted(files_of_the_page()) == [
        "analytics/plays_per_gender.sql",
        "checks/locations/plays_counted.sql",
        "tables/locations.sql",
        "transforms/locations.sql",
    ]


def test_files_alone_make_an_asset_with_its_schema_checks_and_rows(extended: Run) -> None:
    schema = extended.materialized["locations"].metadata["dagster/column_schema"].value
    assert [column.name for column in schema.columns] == ["location", "first_play", "plays"]
    assert schema.columns[0].description == (
        "Metropolitan area of the listener. ← songplays.location"
    )
    ran = {outcome.check.name for outcome in extended.result.reports["locations"].outcomes}
    assert {"not_null", "unique_key", "plays_counted"} <= ran
    expected = extended.platform.query(
        "SELECT location, MIN(start_time) AS first_play, COUNT(*) AS plays FROM songplays"
        " WHERE location IS NOT NULL GROUP BY location ORDER BY location"
    )
    rows = extended.platform.query("SELECT * FROM locations ORDER BY location")
    assert len(rows) > 3
    assert rows.equals(expected)


def test_one_file_is_a_question_with_its_asset_schema_lineage_checks_and_rows(
    extended: Run,
) -> None:
    schema = extended.materialized["plays_per_gender"].metadata["dagster/column_schema"].value
    assert {column.name: column.description for column in schema.columns} == {
        "gender": "F or M, as last seen. ← users.gender",
        "plays": "Songs played. ← songplays (number of rows)",
        "listeners": "Listeners who played something. ← songplays.user_id",
    }
    ran = {outcome.check.name for outcome in extended.result.reports["plays_per_gender"].outcomes}
    assert ran == {"not_null", "unique_key"}
    expected = extended.platform.query(
        "SELECT gender, COUNT(*) AS plays, COUNT(DISTINCT user_id) AS listeners"
        " FROM songplays JOIN users USING (user_id) GROUP BY gender ORDER BY gender"
    )
    rows = extended.platform.query("SELECT * FROM plays_per_gender ORDER BY gender")
    assert rows["gender"].tolist() == ["F", "M"]
    assert rows.equals(expected)


def test_the_new_question_stands_in_the_group_of_questions(extended: Run) -> None:
    built = build_definitions(extended.platform.settings, extended.platform)
    node = built.resolve_asset_graph().get(dg.AssetKey("plays_per_gender"))
    assert {key.to_user_string() for key in node.parent_keys} == {"songplays", "users"}
    assert node.group_name == "analytics"
    assert (node.description or "").startswith("Who listens more, women or men?")
    assert node.key in built.resolve_job_def("analytics").asset_layer.selected_asset_keys


def test_the_new_asset_stands_behind_songplays_in_the_graph(extended: Run) -> None:
    graph = build_definitions(extended.platform.settings, extended.platform).resolve_asset_graph()
    node = graph.get(dg.AssetKey("locations"))
    assert {key.to_user_string() for key in node.parent_keys} == {"songplays"}
    assert node.description is not None
    assert "Places from which songs are played." in node.description


PODCASTS = """\
-- Podcast episodes as they were sent.
-- grain: one episode
-- json: snake_case
CREATE TABLE IF NOT EXISTS staging_podcasts (
    episode_id  VARCHAR(32)   NOT NULL ENCODE zstd,  -- Episode.
    minutes     INTEGER       ENCODE az64,           -- Length in minutes.
    source_file VARCHAR(1024) NOT NULL ENCODE zstd   -- Key of the file (platform).
)
DISTSTYLE EVEN
SORTKEY (episode_id);
"""


@pytest.mark.slow
def test_a_declaration_and_a_table_file_are_one_more_source(tmp_path: Path) -> None:
    settings, sql = settings_in(tmp_path), few_questions_sql(tmp_path / "sql")
    source = declaration_of_the_page()
    (sql / "tables" / f"{source.table}.sql").write_text(PODCASTS)
    folder = tmp_path / "lake" / source.name
    folder.mkdir()
    (folder / "a.json").write_text('{"episode_id": "E1", "minutes": 31}')
    (folder / "b.json").write_text('{"episode_id": "E2", "minutes": "long"}')
    places = {**settings.s3.prefixes, source.setting: str(folder)}
    settings = replace(
        settings,
        s3=replace(settings.s3, prefixes=places),
        load=replace(settings.load, max_reject_ratio=0.5),
    )
    platform = open_platform(settings, read_catalogue(sql, (*SOURCES, source)))
    with open_instance(settings) as instance:
        result = materialize(platform, instance, days=DAYS)
        assert result.ok, result.message
    assert platform.query("SELECT * FROM staging_podcasts").to_dict("records") == [
        {"episode_id": "E1", "minutes": 31, "source_file": "a.json"}
    ]
    quarantined = platform.query(
        "SELECT key, reason FROM load_rejects WHERE table_name = 'staging_podcasts'"
    )
    assert quarantined.to_dict("records") == [
        {"key": "b.json", "reason": "minutes: text where a whole number is expected"}
    ]


def test_an_asset_of_ones_own_asks_for_the_warehouse_and_runs_a_query(finished: SmallRun) -> None:
    written: dict[str, dg.AssetsDefinition] = {}
    exec(python_of_the_page()[1], written)
    asset = written["loyal_listeners"]
    built = dg.Definitions.merge(
        build_definitions(finished.settings, finished.platform), dg.Definitions(assets=[asset])
    )
    with dg.DagsterInstance.ephemeral() as instance:
        done = built.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=[asset.key]
        )
    (made,) = done.asset_materializations_for_node("loyal_listeners")
    assert {name: value.value for name, value in made.metadata.items()} == {
        "loyal": 2,  # both listeners of the small lake play a song each day
        "listeners": 2,
    }


def test_every_declared_source_has_its_key_in_the_configuration() -> None:
    assert {source.setting for source in SOURCES} <= set(KEYS["S3"])
