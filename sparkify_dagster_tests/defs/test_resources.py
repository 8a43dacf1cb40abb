"""The resources `lake` and `warehouse`: who asks for them, and that their fields decide.

Fields have the names of dagster-aws's resources where Redshift and S3 are used; what they hold is
what a run uses, and no secret is among what Dagster keeps.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._core.snap.snap_to_yaml import default_values_yaml_from_type_snap
from dagster_shared.serdes import serialize_value

from sparkify_dagster.definitions import build_definitions
from sparkify_dagster.defs.instance.process_identity import PROCESS_TAG
from sparkify_dagster.defs.resources.lake import LakeResource, S3LakeResource, lake_resource
from sparkify_dagster.defs.resources.warehouse import (
    DuckDBWarehouseResource,
    PostgresWarehouseResource,
    RedshiftWarehouseResource,
    WarehouseResource,
    warehouse_resource,
)
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.lake import LakeError
from sparkify_dagster.settings import Settings, load_settings
from sparkify_dagster.warehouse import WarehouseError, open_platform
from sparkify_dagster_tests.defs.conftest import SmallRun
from sparkify_dagster_tests.engines.postgres_server import Database
from sparkify_dagster_tests.fixtures.dagster import FIRST, LAST, SmallLake
from sparkify_dagster_tests.fixtures.engines import standin_environ
from sparkify_dagster_tests.fixtures.lake import S3Endpoint
from sparkify_dagster_tests.fixtures.warehouse import rows_of
from sparkify_dagster_tests.lake.fake_s3 import ACCESS_KEY
from sparkify_dagster_tests.planted import SECRET_KEY
from sparkify_dagster_tests.standin import StandIn

SECRET = "pl4nted-s3cret"
QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}


def run(
    settings: Settings,
    assets: list[str],
    resources: Mapping[str, object],
    instance: dg.DagsterInstance,
) -> dg.ExecuteInProcessResult:
    """A run as the launchpad starts it: these values in the place of the configured ones."""
    config = {name: {"config": values} for name, values in resources.items()}
    return (
        build_definitions(settings)
        .resolve_job_def("load_lake")
        .execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(name) for name in assets],
            run_config={"resources": config, "loggers": QUIET},
            raise_on_error=False,
        )
    )


def launchpad(settings: Settings) -> dict[str, dict[str, object]]:
    """The resources of what the launchpad is filled with, for people to change."""
    job = build_definitions(settings).resolve_job_def("load_lake").get_job_snapshot()
    schema = job.config_schema_snapshot
    root = schema.get_config_snap(job.mode_def_snaps[0].root_config_key)
    filled = yaml.safe_load(default_values_yaml_from_type_snap(schema, root))["resources"]
    return {name: resource["config"] for name, resource in filled.items()}


def server_settings(
    folder: Path, environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """A project whose server the environment names, as a user's shell does."""
    (folder / "dwh.cfg").write_text(
        "[S3]\nLOG_DATA = lake/log_data\nSONG_DATA = lake/song_data\n[PARTITIONS]\n"
        f"FIRST_DAY = {FIRST}\nLAST_DAY = {LAST}\n",
        encoding="utf-8",
    )
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return load_settings(folder / "dwh.cfg")


def test_staging_asks_for_lake_and_warehouse_and_all_the_rest_for_the_warehouse(
    small_settings: Settings,
) -> None:
    expected = small_settings.config_file.parent / "expected"
    expected.mkdir()
    (expected / "users.csv").write_text("user_id\n")
    built = build_definitions(
        replace(small_settings, analytics=replace(small_settings.analytics, expected=expected))
    )
    nodes = built.resolve_job_def("load_lake").nodes
    asked = {node.name: set(node.definition.required_resource_keys) for node in nodes}
    assert len(asked) > 10
    for name, resources in asked.items():
        staging = name.startswith("staging_")
        assert resources == ({"lake", "warehouse"} if staging else {"warehouse"}), name
    for job in ("create_tables", "forget_user"):
        (node,) = built.resolve_job_def(job).nodes
        assert node.definition.required_resource_keys == {"warehouse"}


def test_fields_are_those_of_dagster_aws() -> None:
    from dagster_aws.redshift import RedshiftClientResource
    from dagster_aws.s3 import S3Resource

    for ours, theirs in (
        (RedshiftWarehouseResource, RedshiftClientResource),
        (S3LakeResource, S3Resource),
    ):
        for name, field in theirs.model_fields.items():
            assert ours.model_fields[name].annotation == field.annotation, name
            assert ours.model_fields[name].is_required() == field.is_required(), name
    assert set(S3LakeResource.model_fields) - set(S3Resource.model_fields) == {"prefixes"}


def test_defaults_differ_from_dagster_aws_only_where_these_are_unsafe() -> None:
    from dagster_aws.redshift import RedshiftClientResource
    from dagster_aws.s3 import S3Resource

    def differing(ours: type[dg.Config], theirs: type[dg.Config]) -> dict[str, object]:
        fields = ours.model_fields
        return {
            name: fields[name].default
            for name, field in theirs.model_fields.items()
            if fields[name].default != field.default
        }

    assert differing(RedshiftWarehouseResource, RedshiftClientResource) == {
        "connect_timeout": 60, "sslmode": "verify-full",
    }  # fmt: skip
    assert differing(S3LakeResource, S3Resource) == {}


@pytest.mark.parametrize(
    "resource",
    [
        LakeResource, S3LakeResource, DuckDBWarehouseResource, PostgresWarehouseResource,
        RedshiftWarehouseResource,
    ],
)  # fmt: skip
def test_resources_and_their_fields_are_described(resource: type[dg.Config]) -> None:
    assert resource.__doc__
    for name, field in resource.model_fields.items():
        assert field.description, name


@pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`")
def test_the_resources_hold_what_is_configured(tmp_path: Path) -> None:
    (tmp_path / "dwh.cfg").write_text(
        "[WAREHOUSE]\nENGINE = redshift\nSCHEMA = music\n[CLUSTER]\nHOST = h\nDB_NAME = d\n"
        f"DB_USER = u\nDB_PASSWORD = {SECRET}\nCONNECT_TIMEOUT = 7\n"
        "[IAM_ROLE]\nARN = default\n[S3]\nLOG_DATA = s3://b/log\nSONG_DATA = songs\n"
        "SCRATCH = s3://b/scratch\nREGION = eu-west-1\nENDPOINT_URL = http://localhost:9\n"
        "[PARTITIONS]\nFIRST_DAY = 2018-11-01\n"
    )
    settings = load_settings(tmp_path / "dwh.cfg", {})
    warehouse, lake = warehouse_resource(settings), lake_resource(settings)
    assert isinstance(warehouse, RedshiftWarehouseResource)
    assert isinstance(lake, S3LakeResource)
    assert (warehouse.schema_, warehouse.host, warehouse.port) == ("music", "h", 5439)
    assert (warehouse.user, warehouse.database, warehouse.connect_timeout) == ("u", "d", 7)
    assert (warehouse.scratch, warehouse.region_name) == ("s3://b/scratch", "eu-west-1")
    assert (lake.region_name, lake.endpoint_url) == ("eu-west-1", "http://localhost:9")
    assert lake.prefixes == {"LOG_DATA": "s3://b/log", "SONG_DATA": str(tmp_path / "songs")}
    # The settings that a run makes of both are those of the project, its password included.
    assert warehouse.settings() == settings
    assert lake.over(settings.s3) == settings.s3
    # What Dagster keeps of the definitions, and gives to every page of the UI.
    kept = serialize_value(
        RepositorySnap.from_def(build_definitions(settings).get_repository_def())
    )
    assert "RedshiftWarehouseResource" in kept
    assert SECRET not in f"{kept} {warehouse!r} {warehouse!s} {lake!r}"


def test_secrets_are_in_no_representation() -> None:
    warehouse = RedshiftWarehouseResource(host="h", password=SECRET)
    lake = S3LakeResource(
        prefixes={}, aws_access_key_id=SECRET, aws_secret_access_key=SECRET,
        aws_session_token=SECRET,
    )  # fmt: skip
    assert SECRET not in f"{warehouse!r} {warehouse!s} {lake!r} {lake!s}"


def test_another_file_and_schema_in_the_launchpad_are_where_the_rows_go(
    small_settings: Settings, small_instance: dg.DagsterInstance
) -> None:
    other = small_settings.config_file.parent / "other.duckdb"
    values = {"warehouse": {"database": str(other), "schema": "music", "threads": 1}}
    assert run(small_settings, ["staging_songs", "songs"], values, small_instance).success
    assert not small_settings.duckdb.path.exists()
    elsewhere = open_platform(
        replace(
            small_settings,
            duckdb=replace(small_settings.duckdb, path=other),
            warehouse=replace(small_settings.warehouse, schema="music"),
        )
    )
    assert rows_of(elsewhere, "SELECT COUNT(*) FROM music.songs") == [(2,)]
    made = small_instance.get_latest_materialization_event(dg.AssetKey("songs"))
    assert made is not None
    assert made.asset_materialization is not None
    shown = made.asset_materialization.metadata["dagster/table_name"].value
    assert shown == "other.music.songs"


def test_another_prefix_in_the_launchpad_is_what_is_read(
    small_settings: Settings, small_instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    other = SmallLake(tmp_path / "other", fill=False)
    other.put_song("S9", "Starlight")
    values = {"lake": {"prefixes": {"SONG_DATA": str(other.song_data)}}}
    assert run(small_settings, ["staging_songs"], values, small_instance).success
    found = rows_of(open_platform(small_settings), "SELECT title FROM staging_songs")
    assert found == [("Starlight",)]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"warehouse": {"memory_limit": "lots"}}, "[DUCKDB] MEMORY_LIMIT = 'lots' (run configura"),
        ({"warehouse": {"schema": "x; DROP TABLE y"}}, "[WAREHOUSE] SCHEMA"),
        ({"lake": {"prefixes": {"SONG_DATA": "ftp://x/y"}}}, "expected a folder of this machine"),
    ],
)
def test_a_value_that_cannot_be_used_fails_the_run_before_anything_is_done(
    small_settings: Settings, small_instance: dg.DagsterInstance, values: Mapping[str, object],
    said: str,
) -> None:  # fmt: skip
    done = run(small_settings, ["staging_songs"], values, small_instance)
    assert not done.success
    told = "".join(str(event.event_specific_data) for event in done.all_events)
    assert said in told
    assert not small_settings.duckdb.path.exists()


def test_an_asset_reads_and_writes_with_bound_values_and_atomically(resumed: SmallRun) -> None:
    @dg.asset
    def mine(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> list[object]:
        with warehouse.write(context.run.run_id) as session:
            session.execute("CREATE TABLE mine (level VARCHAR(8), plays BIGINT)")
        with suppress(SparkifyError), warehouse.write(context.run.run_id) as session:
            session.execute("INSERT INTO mine VALUES (:level, 1)", {"level": "lost"})
            session.execute("INSERT INTO no_such_table VALUES (1)")
        with warehouse.read() as session:
            [(paid,)] = session.fetch(
                "SELECT COUNT(*) FROM songplays WHERE level = :level", {"level": "paid"}
            )
        with pytest.raises(SparkifyError):
            warehouse.query("DELETE FROM mine")
        limit = warehouse.query("SELECT current_setting('memory_limit') AS found")["found"][0]
        return [len(warehouse.query("SELECT * FROM mine")), int(str(paid)), limit]

    resource = warehouse_resource(resumed.settings)
    done = dg.materialize(
        [mine], resources={"warehouse": resource}, instance=resumed.instance,
        run_config={"resources": {"warehouse": {"config": {"memory_limit": "600MiB"}}}},
    )  # fmt: skip
    assert done.output_for_node("mine") == [0, 0, "600.0 MiB"]
    # Which process executes it is noted, so that the run is closed should that process die.
    kept = resumed.instance.get_run_by_id(done.run_id)
    assert kept is not None
    assert PROCESS_TAG in kept.tags


def test_a_lake_is_listed_and_read_by_the_key_of_its_source(small_settings: Settings) -> None:
    lake = lake_resource(small_settings)
    files = lake.open("SONG_DATA").list()
    assert [file.key for file in files] == ["A/S0.json", "A/S1.json"]
    assert b'"Undo"' in next(iter(lake.open("SONG_DATA").read(files))).data
    with pytest.raises(LakeError, match="no PODCASTS: it has LOG_DATA, SONG_DATA"):
        lake.open("PODCASTS")


def test_another_server_in_the_launchpad_is_the_one_that_is_asked(
    tmp_path: Path, postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dg.asset
    def asked(warehouse: PostgresWarehouseResource) -> str:
        with warehouse.write() as session:
            return str(session.fetch("SELECT current_database() || ' ' || current_schema()")[0][0])

    environ = postgres_database.environ() | {
        "SPARKIFY_CLUSTER_HOST": "nowhere.invalid", "SPARKIFY_CLUSTER_DB_PASSWORD": "wrong",
    }  # fmt: skip
    settings = server_settings(tmp_path, environ, monkeypatch)
    resource = warehouse_resource(settings)
    monkeypatch.setenv("MY_PASSWORD", postgres_database.password)
    values = {
        "host": postgres_database.host, "schema": "mine", "password": {"env": "MY_PASSWORD"},
    }  # fmt: skip
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [asked], resources={"warehouse": resource}, instance=instance,
            run_config={"resources": {"warehouse": {"config": values}}},
        )  # fmt: skip
        assert done.output_for_node("asked") == f"{postgres_database.name} mine"
        kept = instance.get_run_by_id(done.run_id)
        assert kept is not None
        assert postgres_database.password not in str(kept.run_config)


@pytest.mark.s3
def test_every_statement_on_redshift_goes_through_the_resource(
    tmp_path: Path, standin: StandIn, s3_endpoint: S3Endpoint, aws_environment: pytest.MonkeyPatch
) -> None:
    environ = standin_environ(standin, s3_endpoint) | {
        "SPARKIFY_CLUSTER_HOST": "nowhere.invalid",
        "SPARKIFY_S3_LOG_DATA": "s3://music/log_data",
        "SPARKIFY_S3_SONG_DATA": "s3://music/song_data",
    }
    settings = server_settings(tmp_path, environ, aws_environment)
    s3_endpoint.put_folder("music", SmallLake(tmp_path / "lake").root)
    values = {"warehouse": {"host": standin.host, "schema": "music"}}
    filled = launchpad(settings)
    lake, warehouse = filled["lake"], filled["warehouse"]
    assert (lake["region_name"], warehouse["user"]) == (s3_endpoint.region, standin.user)
    assert not {"password", "aws_secret_access_key"}.intersection({*lake, *warehouse})
    filled["warehouse"] |= values["warehouse"]
    with dg.DagsterInstance.ephemeral() as instance:
        done = run(settings, ["staging_songs", "artists"], filled, instance)
        assert done.success, [e.message for e in done.all_events if e.is_failure]
    resource = RedshiftWarehouseResource(
        **warehouse_resource(settings).model_dump(by_alias=True) | values["warehouse"]
    )
    assert resource.query("SELECT COUNT(*) AS songs FROM staging_songs")["songs"].tolist() == [2]
    client = resource.get_client()
    assert client.execute_query("SELECT COUNT(*) FROM artists", fetch_results=True) == [(2,)]
    with pytest.raises(WarehouseError, match=r"nowhere\.invalid"):
        warehouse_resource(settings).query("SELECT 1")


@pytest.mark.s3
def test_the_fields_of_a_lake_in_s3_decide_how_it_is_asked(
    small_settings: Settings, s3_endpoint: S3Endpoint, aws_environment: pytest.MonkeyPatch
) -> None:
    s3_endpoint.put_folder("resources", small_settings.config_file.parent / "lake")
    places = {"SONG_DATA": "s3://resources/song_data"}
    lake = S3LakeResource(
        prefixes=places, region_name=s3_endpoint.region, endpoint_url=s3_endpoint.endpoint_url
    )
    assert len(lake.open("SONG_DATA").list()) == 2
    assert lake.get_client().list_objects_v2(Bucket="resources")["KeyCount"] == 5

    def changed(**values: object) -> list[object]:
        return list(S3LakeResource(**lake.model_dump() | values).open("SONG_DATA").list())

    aws_environment.setenv("AWS_ACCESS_KEY_ID", "wrong")
    with pytest.raises(LakeError):
        changed()
    assert len(changed(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY)) == 2
    with pytest.raises(LakeError):  # this server refuses what is not signed
        changed(use_unsigned_session=True)
    with pytest.raises(LakeError, match="refuses the connection"):
        changed(endpoint_url="http://127.0.0.1:9", max_attempts=1)
    with pytest.raises(LakeError, match="no usable AWS credentials"):
        changed(profile_name="no_such_profile")


def test_attempts_and_verification_are_those_of_the_fields() -> None:
    from sparkify_dagster.lake.s3 import S3Lake

    resource = S3LakeResource(
        prefixes={"LOG_DATA": "s3://b/log"}, region_name="eu-west-1", max_attempts=3, use_ssl=False,
        verify=False, use_unsigned_session=True,
    )  # fmt: skip
    lake = resource.open("LOG_DATA")
    assert isinstance(lake, S3Lake)
    assert lake.store.config["endpoint_url_s3"] == "http://s3.eu-west-1.amazonaws.com"
    assert lake.store.retry_config is not None
    assert lake.store.retry_config["max_retries"] == 2
    client = lake.store.client_options or {}
    assert (client["allow_invalid_certificates"], client["allow_http"]) == ("true", "true")


def test_the_client_of_s3_is_made_as_the_fields_say(aws_environment: pytest.MonkeyPatch) -> None:
    client = S3LakeResource(
        prefixes={}, region_name="eu-west-1", endpoint_url="http://localhost:9", max_attempts=2,
        aws_access_key_id="k", aws_secret_access_key="s",
    ).get_client()  # fmt: skip
    url = client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "c"})
    assert url.startswith("http://localhost:9/b/c?")
    assert client.meta.config.retries["total_max_attempts"] == 2
    unsigned = S3LakeResource(
        prefixes={}, region_name="eu-west-1", use_unsigned_session=True
    ).get_client()
    url = unsigned.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "c"})
    assert "Signature" not in url


def test_drivers_are_imported_only_when_they_are_used(small_settings: Settings) -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from sparkify_dagster.defs.resources import *;"
        "from sparkify_dagster.settings import load_settings;"
        f"s = load_settings(Path({str(small_settings.config_file)!r}));"
        "lake_resource(s); warehouse_resource(s);"
        "print([m for m in ('boto3', 'duckdb', 'obstore', 'psycopg2', 'dagster_aws')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"
