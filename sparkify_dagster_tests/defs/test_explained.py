"""What the UI is given to explain an asset: before the first run, and by real runs."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._serdes import serialize_value

from sparkify_dagster.definitions import build_definitions
from sparkify_dagster.defs import runs
from sparkify_dagster.defs.assets import links, metadata
from sparkify_dagster.defs.assets.report import REPORT
from sparkify_dagster.settings import Settings, load_settings
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse import Platform, open_platform
from sparkify_dagster.warehouse.reports import FileReport, LoadReport
from sparkify_dagster_tests.defs.conftest import SmallRun
from sparkify_dagster_tests.fixtures.dagster import FIRST, LAST, THREE_DAYS, SmallLake
from sparkify_dagster_tests.fixtures.lake import S3Endpoint
from sparkify_dagster_tests.planted import SECRET_KEY

SERVER = {
    "SPARKIFY_CLUSTER_HOST": "warehouse.example.com",
    "SPARKIFY_CLUSTER_DB_NAME": "sparkify",
    "SPARKIFY_CLUSTER_DB_USER": "loader",
    "SPARKIFY_CLUSTER_DB_PASSWORD": SECRET_KEY,
    "SPARKIFY_IAM_ROLE_ARN": "arn:aws:iam::123456789012:role/reads-lake",
    "SPARKIFY_S3_SCRATCH": "s3://scratch/sparkify",
}
SMALL, LARGE = 4_000, 40_000
"""Bytes of an event: one that each of many days has, and the longest there may be."""


@pytest.fixture
def graph(small_settings: Settings, small_platform: Platform) -> AssetGraph:
    return build_definitions(small_settings, small_platform).resolve_asset_graph()


def materializations(instance: dg.DagsterInstance, asset: str) -> list[dg.AssetMaterialization]:
    """Newest first."""
    records = instance.fetch_materializations(dg.AssetKey(asset), limit=1000).records
    return [record.asset_materialization for record in records if record.asset_materialization]


def platform_of(settings: Settings, environ: dict[str, str]) -> Platform:
    return open_platform(load_settings(settings.config_file, environ))


def test_lineage_names_columns_of_assets_upstream(graph: AssetGraph) -> None:
    for node in graph.asset_nodes:
        lineage = node.metadata.get("dagster/column_lineage")
        name = node.key.to_user_string()
        if node.group_name == "sources" or name.startswith("load_") or name == REPORT:
            assert lineage is None
            continue
        names = [column.name for column in node.metadata["dagster/column_schema"].columns]
        assert sorted(lineage.deps_by_column) == sorted(names)
        for deps in lineage.deps_by_column.values():
            assert deps
            for dep in deps:
                assert dep.asset_key in node.parent_keys
                schema = graph.get(dep.asset_key).metadata["dagster/column_schema"]
                assert dep.column_name in {column.name for column in schema.columns}


def test_each_column_says_in_the_schema_where_it_comes_from(graph: AssetGraph) -> None:
    def columns(asset: str) -> dict[str, str]:
        schema = graph.get(dg.AssetKey(asset)).metadata["dagster/column_schema"]
        return {column.name: column.description for column in schema.columns}

    assert columns("songplays")["song_id"].endswith(" ← staging_songs.song_id")
    assert columns("staging_events")["first_name"].endswith(" ← log_data.firstName")
    assert columns("log_data")["ts"].endswith(" → staging_events.ts, staging_events.event_time")
    assert columns("song_data")["file name"].endswith(" → staging_songs.source_file")
    assert not [text for text in columns("load_files").values() if "←" in text]


def test_lineage_can_be_read_as_a_table_where_dagster_does_not_draw_it(graph: AssetGraph) -> None:
    shown = graph.get(dg.AssetKey("user_levels")).metadata["columns_come_from"].value
    assert "| valid_to | staging_events.event_time |" in shown.splitlines()


def test_the_graph_reads_from_the_lake_over_staging_to_the_star(graph: AssetGraph) -> None:
    place = {"sources": 0, "staging": 1, "star": 2, "analytics": 3}
    for node in graph.asset_nodes:
        for parent in node.parent_keys:
            assert place[graph.get(parent).group_name] <= place[node.group_name], node.key


def test_every_source_code_link_leads_to_its_place(graph: AssetGraph) -> None:
    for node in graph.asset_nodes:
        references = node.metadata["dagster/code_references"].code_references
        assert len(references) >= (1 if node.key.to_user_string() == REPORT else 2)
        for reference in references:
            lines = Path(reference.file_path).read_text(encoding="utf-8").splitlines()
            if reference.file_path.endswith(".sql"):
                assert reference.line_number == 1
            else:
                name = reference.label.partition(" ")[0]
                near = " ".join(lines[reference.line_number - 1 :][:2])
                assert re.search(rf"(def|class) {name}\b", near)
    songs = graph.get(dg.AssetKey("songs")).metadata["dagster/code_references"].code_references
    labels = [reference.label for reference in songs]
    assert labels == ["tables/songs.sql", "transforms/songs.sql", "derived_assets (derived.py)"]


def test_every_kind_has_an_icon_in_the_ui(small_settings: Settings) -> None:
    package = find_spec("dagster_webserver")
    assert package is not None
    assert package.origin is not None
    scripts = Path(package.origin).parent.glob("webapp/build/_next/static/**/*.js")
    icons = set(re.findall(r"\b(\w+):\{icon:", "".join(s.read_text() for s in scripts)))
    for environ in (
        {},
        {"SPARKIFY_S3_LOG_DATA": "s3://bucket/log_data"},
        {**SERVER, "SPARKIFY_WAREHOUSE_ENGINE": "postgres"},
        {**SERVER, "SPARKIFY_WAREHOUSE_ENGINE": "redshift"},
    ):
        platform = platform_of(small_settings, environ)
        built = build_definitions(platform.settings, platform).resolve_asset_graph()
        kinds = {kind for node in built.asset_nodes for kind in node.kinds}
        assert {platform.settings.warehouse.engine.value, "json", "table", "sql"} <= kinds <= icons


@pytest.mark.parametrize(
    ("engine", "port", "schema"), [("postgres", 5432, "public"), ("redshift", 5439, "music")]
)
def test_a_table_of_a_server_is_shown_with_its_address_and_without_its_login(
    small_settings: Settings, engine: str, port: int, schema: str
) -> None:
    environ = {"SPARKIFY_WAREHOUSE_ENGINE": engine, "SPARKIFY_WAREHOUSE_SCHEMA": schema}
    platform = platform_of(small_settings, SERVER | environ)
    built = build_definitions(platform.settings, platform).resolve_asset_graph()
    shown = built.get(dg.AssetKey("songplays")).metadata
    assert shown["dagster/table_name"] == f"sparkify.{schema}.songplays"
    assert shown["dagster/storage_kind"] == engine
    uri = f"{engine}://warehouse.example.com:{port}/sparkify#{schema}.songplays"
    assert shown["dagster/uri"] == uri
    for node in built.asset_nodes:
        everything = serialize_value(dict(node.metadata))
        assert SECRET_KEY not in everything
        assert "loader" not in everything


@pytest.mark.parametrize(
    ("host", "shown"),
    [("2001:db8::7", "[2001:db8::7]"), ("/var/run/postgresql", "%2Fvar%2Frun%2Fpostgresql")],
)
def test_an_address_stays_one_address_whatever_the_host_is(
    small_settings: Settings, host: str, shown: str
) -> None:
    environ = {"SPARKIFY_WAREHOUSE_ENGINE": "postgres", "SPARKIFY_CLUSTER_HOST": host}
    platform = platform_of(small_settings, SERVER | environ)
    assert links.table_uri(platform, "t") == f"postgres://{shown}:5432/sparkify#public.t"


def test_the_name_of_a_table_is_the_one_that_duckdb_knows(
    small_settings: Settings, tmp_path: Path
) -> None:
    environ = {"SPARKIFY_DUCKDB_PATH": str(tmp_path / "my.ware house.duckdb")}
    platform = platform_of(small_settings, environ)
    platform.load("staging_songs", days=None, reload=False, run_id="test")
    name = links.table_name(platform, "staging_songs")
    assert name == "my.main.staging_songs"
    assert len(platform.query(f"SELECT * FROM {name}")) == 2
    place = urlsplit(links.table_uri(platform, "staging_songs"))
    assert Path(unquote(place.path)) == platform.settings.duckdb.path
    assert place.fragment == "main.staging_songs"


# Nobody changes level, and no artist's place is known.
EMPTY_IN_SMALL_LAKE = {"level_changes", "before_level_changes", "plays_per_artist_location"}


@pytest.mark.slow
@pytest.mark.all_questions
def test_a_run_records_columns_lineage_place_sql_and_preview(
    small_platform: Platform, small_instance: dg.DagsterInstance, graph: AssetGraph
) -> None:
    assert runs.materialize(small_platform, small_instance, days=THREE_DAYS).ok
    for table in (*small_platform.catalogue.sources, *small_platform.catalogue.transforms):
        newest = materializations(small_instance, table)[0].metadata
        declared = graph.get(dg.AssetKey(table)).metadata
        for key in ("dagster/column_schema", "dagster/column_lineage"):
            assert newest[key].value == declared[key]
        for key in ("dagster/table_name", "dagster/storage_kind", "dagster/uri"):
            assert newest[key].value == declared[key]
        assert newest["sql"] == declared["sql"]
        if table in EMPTY_IN_SMALL_LAKE:
            continue
        assert newest["dagster/row_count"].value > 0
        assert len(str(newest["preview"].value).splitlines()) > 2


def test_every_day_of_a_range_says_what_is_its_own_and_only_the_last_what_is_long(
    finished: SmallRun,
) -> None:
    assert finished.done.ok
    for table in ("staging_events", "songplays"):
        last, *others = materializations(finished.instance, table)
        assert last.partition == LAST.isoformat()
        assert len(others) == 2
        long = {"dagster/column_schema", "dagster/column_lineage", "sql", "preview"}
        for event in others:
            assert event.metadata["dagster/partition_row_count"].value == 2
            assert event.metadata["dagster/row_count"].value == 6
            assert not long & event.metadata.keys()
            assert len(serialize_value(event)) < SMALL
        assert long <= last.metadata.keys()
        assert len(serialize_value(last)) < LARGE


@pytest.mark.slow
def test_what_can_be_plotted_over_time_is_a_number(resumed: SmallRun) -> None:
    resumed.lake.put_song("S9", "Another")
    runs.materialize(resumed.platform, resumed.instance, days=THREE_DAYS)
    numbers = (dg.IntMetadataValue, dg.FloatMetadataValue)
    for table, counts in (("staging_songs", [3, 2]), ("songs", [3, 2]), ("users", [2, 2])):
        reported = materializations(resumed.instance, table)
        assert [m.metadata["dagster/row_count"].value for m in reported] == counts
        for key in ("dagster/row_count", "rows_added", "rows_removed", "seconds"):
            assert all(isinstance(m.metadata[key], numbers) for m in reported)


def test_a_day_lists_its_own_files(finished: SmallRun) -> None:
    events = materializations(finished.instance, "staging_events")
    assert len(events) == 3
    for event in events:
        rows = str(event.metadata["file_list"].value).splitlines()[2:]
        assert len(rows) == 1
        assert rows[0].startswith(f"| `2018/11/{event.partition}-events.json` | ")
        assert rows[0].endswith(" | 2 | 2 | 0 |")


@pytest.mark.slow
@pytest.mark.s3
def test_files_in_s3_are_linked_to_where_they_are(
    small_settings: Settings,
    small_lake: SmallLake,
    s3_endpoint: S3Endpoint,
    aws_environment: pytest.MonkeyPatch,
    small_instance: dg.DagsterInstance,
) -> None:
    s3_endpoint.put_folder("explained", small_lake.root, "the lake")
    platform = platform_of(
        small_settings,
        {
            "SPARKIFY_S3_LOG_DATA": "s3://explained/the lake/log_data",
            "SPARKIFY_S3_SONG_DATA": "s3://explained/the lake/song_data",
            "SPARKIFY_S3_ENDPOINT_URL": s3_endpoint.endpoint_url,
            "SPARKIFY_S3_REGION": s3_endpoint.region,
        },
    )
    assert runs.materialize(platform, small_instance, days=THREE_DAYS).ok
    shown = str(materializations(small_instance, "staging_songs")[0].metadata["file_list"].value)
    links = dict(re.findall(r"\[`([^`]+)`\]\(([^)]+)\)", shown))
    assert links.keys() == {"A/S0.json", "A/S1.json"}
    for key, link in links.items():
        assert link.startswith(f"{s3_endpoint.endpoint_url}/explained/")
        path = s3_endpoint.root / unquote(urlsplit(link).path).lstrip("/")
        assert json.loads(path.read_text()) == json.loads((small_lake.song_data / key).read_text())


def test_on_aws_a_file_is_linked_to_the_console(small_settings: Settings) -> None:
    platform = platform_of(small_settings, {"SPARKIFY_S3_LOG_DATA": "s3://bucket/some/logs"})
    link = links.file_link(platform, "staging_events", "2018/11/a b&c.json")
    assert link is not None
    place = urlsplit(link)
    assert (place.scheme, place.path) == ("https", "/s3/object/bucket")
    assert place.hostname == "us-west-2.console.aws.amazon.com"
    assert parse_qs(place.query) == {
        "region": ["us-west-2"],
        "prefix": ["some/logs/2018/11/a b&c.json"],
    }


def load_report(platform: Platform, *files: FileReport) -> LoadReport:
    """What a load that read these files would say."""
    report = platform.load("staging_songs", days=None, reload=False, run_id="test")
    return replace(report, files=files)


def test_of_many_files_those_with_rejects_are_listed_and_the_rest_counted(
    small_platform: Platform,
) -> None:
    folder = "A/" * 20
    files = [FileReport(f"{folder}{n:05}.json", None, 9, 1, 1, 0) for n in range(15_000)]
    files[12_345] = FileReport(f"{folder}bad.json", None, 9, 1, 0, 1)
    said = metadata.of_report(small_platform, load_report(small_platform, *files))
    assert said["files"] == 15_000
    listed = said["file_list"]
    assert isinstance(listed, dg.MarkdownMetadataValue)
    rows = str(listed.value).splitlines()[2:]
    assert len(rows) == 51
    assert rows[0] == f"| `{folder}bad.json` | 9 | 1 | 0 | 1 |"
    assert rows[-1].startswith("| and 14950 more |")
    assert len(str(listed.value)) < LARGE / 2


def test_a_name_of_the_lake_is_shown_as_it_is_and_is_no_markdown(small_platform: Platform) -> None:
    odd = "a|b`[c](javascript:x)`<b>.json"
    report = load_report(small_platform, FileReport(odd, None, 9, 1, 1, 0))
    listed = metadata.of_report(small_platform, report)["file_list"]
    assert isinstance(listed, dg.MarkdownMetadataValue)
    row = str(listed.value).splitlines()[2]
    assert row == "| `a\\|b'[c](javascript:x)'<b>.json` | 9 | 1 | 1 | 0 |"


@pytest.mark.slow
def test_many_days_are_recorded_in_little_space(
    small_settings: Settings, small_instance: dg.DagsterInstance
) -> None:
    first = FIRST - timedelta(60)
    platform = platform_of(small_settings, {"SPARKIFY_PARTITIONS_FIRST_DAY": first.isoformat()})
    assert runs.materialize(platform, small_instance, days=DayRange(first, LAST)).ok
    events = materializations(small_instance, "staging_events")
    assert len(events) == 63
    assert sum(len(serialize_value(event)) for event in events) < 63 * SMALL + LARGE
