"""The Redshift and S3 resources: the fields of dagster-aws, without the defects of its execution.

Each defect of the notes has a test that fails with dagster-aws's client, on a real PostgreSQL.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import psycopg2
import pytest
from psycopg2.extras import DictCursor

from sparkify_dagster.defs.aws_resources import RedshiftClientResource, S3Resource, aws_resources
from sparkify_dagster.defs.redshift_client import RedshiftClientError, without_values
from sparkify_dagster.settings import Settings, load_settings
from sparkify_dagster_tests.engines.postgres_server import Database

SECRET = "pl4nted-s3cret"
INSERT, WRONG = "INSERT INTO t (a) VALUES (1)", "SELECT 1 FROM no_such_table"


@pytest.fixture
def database(postgres_database: Database) -> Database:
    run(postgres_database, "CREATE TABLE t (a INTEGER)")
    return postgres_database


@pytest.fixture
def redshift(database: Database) -> RedshiftClientResource:
    return resource_of(database)


@pytest.fixture
def logged() -> Iterator[list[logging.LogRecord]]:
    """What Dagster's logger is told, at every level."""
    records: list[logging.LogRecord] = []
    logger = dg.get_dagster_logger()
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]  # a handler that keeps records
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield records
    logger.removeHandler(handler)
    logger.setLevel(level)


def resource_of(database: Database, **changes: object) -> RedshiftClientResource:
    fields = {
        "host": database.host, "port": database.port, "user": database.user,
        "password": database.password, "database": database.name, "sslmode": "disable",
    }  # fmt: skip
    return RedshiftClientResource(**fields | changes)


def run(database: Database, statement: str) -> list[tuple[object, ...]]:
    """On a connection of its own: what others see."""
    connection = database.connect()
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def standing(database: Database) -> list[tuple[object, ...]]:
    return run(database, "SELECT a FROM t ORDER BY a")


def connections(database: Database) -> list[tuple[object, ...]]:
    return run(
        database, "SELECT pid, state FROM pg_stat_activity WHERE application_name = 'sparkify'"
    )


def test_the_fields_of_both_resources_are_those_of_dagster_aws() -> None:
    from dagster_aws.redshift import RedshiftClientResource as TheirRedshift
    from dagster_aws.s3 import S3Resource as TheirS3

    for ours, theirs in ((RedshiftClientResource, TheirRedshift), (S3Resource, TheirS3)):
        for name, field in theirs.model_fields.items():
            assert ours.model_fields[name].annotation == field.annotation, name
            assert ours.model_fields[name].is_required() == field.is_required(), name
    assert set(RedshiftClientResource.model_fields) - set(TheirRedshift.model_fields) == {
        "sslrootcert", "config_file",
    }  # fmt: skip
    assert set(S3Resource.model_fields) == set(TheirS3.model_fields)


def test_defaults_differ_from_dagster_aws_only_where_these_are_unsafe() -> None:
    from dagster_aws.redshift import RedshiftClientResource as TheirRedshift
    from dagster_aws.s3 import S3Resource as TheirS3

    def differing(ours: type, theirs: type) -> dict[str, object]:
        fields = ours.model_fields
        return {
            name: fields[name].default
            for name, field in theirs.model_fields.items()
            if fields[name].default != field.default
        }

    assert differing(RedshiftClientResource, TheirRedshift) == {
        "connect_timeout": 60, "sslmode": "verify-full",
    }  # fmt: skip
    assert differing(S3Resource, TheirS3) == {}


@pytest.mark.parametrize("method", ["execute_query", "execute_queries"])
def test_methods_take_the_parameters_of_dagster_aws(method: str) -> None:
    import inspect

    from dagster_aws.redshift import RedshiftClient as TheirClient

    from sparkify_dagster.defs.redshift_client import RedshiftClient

    ours, theirs = (
        inspect.signature(getattr(client, method)).parameters.values()
        for client in (RedshiftClient, TheirClient)
    )
    assert [(p.name, p.default, p.kind) for p in ours] == [
        (p.name, p.default, p.kind) for p in theirs
    ]


def test_a_query_gives_rows(redshift: RedshiftClientResource) -> None:
    client = redshift.get_client()
    assert client.execute_query("SELECT 1, 'x'", fetch_results=True) == [(1, "x")]
    assert client.execute_query("SELECT 1") is None
    assert client.execute_queries(["SELECT 1", INSERT, "SELECT a FROM t"], fetch_results=True) == [
        [(1,)], [], [(1,)],
    ]  # fmt: skip


def test_an_empty_result_is_an_empty_list(redshift: RedshiftClientResource) -> None:
    client = redshift.get_client()
    assert client.execute_query("SELECT a FROM t", fetch_results=True) == []
    assert client.execute_query(INSERT, fetch_results=True) == []


def test_a_call_is_committed_at_its_end(
    redshift: RedshiftClientResource, database: Database
) -> None:
    redshift.get_client().execute_query(INSERT)
    redshift.get_client().execute_queries([INSERT, INSERT])
    assert standing(database) == [(1,)] * 3


@pytest.mark.parametrize("callback", [None, lambda _error, _cursor, _log: None])
def test_an_error_undoes_all_queries_of_the_call_and_is_raised(
    redshift: RedshiftClientResource, database: Database, callback: Callable[..., None] | None
) -> None:
    client = redshift.get_client()
    with pytest.raises(psycopg2.errors.UndefinedTable):
        client.execute_queries([INSERT, WRONG, INSERT], error_callback=callback)
    assert standing(database) == []
    with pytest.raises(psycopg2.errors.UndefinedTable):
        client.execute_query(WRONG, error_callback=callback)


def test_an_error_callback_can_look_for_the_cause(
    redshift: RedshiftClientResource, database: Database
) -> None:
    seen: list[object] = []

    def look(error: Exception, cursor: psycopg2.extensions.cursor, log: logging.Logger) -> None:
        cursor.execute("SELECT COUNT(*) FROM t")
        seen.extend([type(error), cursor.fetchone(), log])
        cursor.execute(INSERT)

    with pytest.raises(psycopg2.errors.UndefinedTable):
        redshift.get_client().execute_queries([INSERT, WRONG], error_callback=look)
    assert seen == [psycopg2.errors.UndefinedTable, (0,), dg.get_dagster_logger()]
    assert standing(database) == []  # what the callback wrote went with it


def test_an_error_on_our_side_commits_nothing(
    redshift: RedshiftClientResource, database: Database
) -> None:
    class Stumbling(psycopg2.extensions.cursor):
        def fetchall(self) -> list[tuple[object, ...]]:
            raise MemoryError

    client = redshift.get_client()
    with pytest.raises(MemoryError):
        client.execute_queries([INSERT, "SELECT 1"], fetch_results=True, cursor_factory=Stumbling)
    with pytest.raises(UnicodeEncodeError):
        client.execute_queries([INSERT, "SELECT '\ud800'"])
    assert standing(database) == []


def test_an_interruption_commits_nothing(
    redshift: RedshiftClientResource, database: Database
) -> None:
    class Interrupted(psycopg2.extensions.cursor):
        def fetchall(self) -> list[tuple[object, ...]]:
            raise KeyboardInterrupt

    called: list[object] = []
    with redshift.get_client() as client:
        with pytest.raises(KeyboardInterrupt):
            client.execute_queries(
                [INSERT, "SELECT 1"], fetch_results=True, cursor_factory=Interrupted,
                error_callback=lambda *given: called.append(given),
            )  # fmt: skip
        client.execute_query("SELECT 1")
    assert standing(database) == []
    assert called == []


def test_what_cannot_be_used_is_reported_before_anything_is_sent(
    redshift: RedshiftClientResource, database: Database
) -> None:
    client = redshift.get_client()
    with pytest.raises(RedshiftClientError, match="one query each"):
        client.execute_queries(INSERT)
    with pytest.raises(RedshiftClientError, match="one query each"):
        client.execute_queries([INSERT, 7])
    with pytest.raises(RedshiftClientError, match="must be text, not NoneType"):
        client.execute_query(None)
    with pytest.raises(RedshiftClientError, match="function"):
        client.execute_query(INSERT, error_callback="look")
    assert standing(database) == []


def test_autocommit_commits_every_statement_by_itself(database: Database) -> None:
    client = resource_of(database, autocommit=True).get_client()
    seen: list[int] = []

    class Watching(psycopg2.extensions.cursor):
        def execute(self, query: str, values: object = None) -> None:
            super().execute(query, values)
            seen.append(len(standing(database)))

    client.execute_queries([INSERT, INSERT], cursor_factory=Watching)
    assert seen == [1, 2]
    with pytest.raises(psycopg2.errors.UndefinedTable):
        client.execute_queries([INSERT, WRONG, INSERT])
    assert len(standing(database)) == 3
    # VACUUM is refused in any transaction: only a real autocommit runs it.
    client.execute_query("VACUUM t")


def test_a_connection_is_closed_after_each_call(
    redshift: RedshiftClientResource, database: Database
) -> None:
    client = redshift.get_client()
    assert connections(database) == []
    client.execute_query(INSERT)
    with pytest.raises(psycopg2.Error):
        client.execute_query(WRONG)
    wait_until(lambda: connections(database) == [])


def test_a_block_keeps_one_connection_and_closes_it(
    redshift: RedshiftClientResource, database: Database
) -> None:
    with redshift.get_client() as client:
        first = client.execute_query("SELECT pg_backend_pid()", fetch_results=True)
        with pytest.raises(psycopg2.Error):
            client.execute_query(WRONG)
        assert client.execute_query("SELECT pg_backend_pid()", fetch_results=True) == first
        # Between calls no transaction is open, which would hold locks.
        assert [state for _, state in connections(database)] == ["idle"]
        with pytest.raises(RedshiftClientError, match="in use"):
            client.__enter__()
    wait_until(lambda: connections(database) == [])


def test_a_lost_connection_is_raised_as_it_is(
    redshift: RedshiftClientResource, database: Database
) -> None:
    with redshift.get_client() as client:
        [(pid,)] = client.execute_query("SELECT pg_backend_pid()", fetch_results=True) or []
        run(database, f"SELECT pg_terminate_backend({pid}, 5000)")
        with pytest.raises(psycopg2.OperationalError, match="terminat"):
            client.execute_query(INSERT)
    assert standing(database) == []


def test_calls_from_threads_do_not_meet(
    redshift: RedshiftClientResource, database: Database
) -> None:
    client = redshift.get_client()
    threads = [threading.Thread(target=client.execute_query, args=(INSERT,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert standing(database) == [(1,)] * 8


def test_a_cursor_factory_is_used(redshift: RedshiftClientResource) -> None:
    rows = redshift.get_client().execute_query(
        "SELECT 7 AS a", fetch_results=True, cursor_factory=DictCursor
    )
    assert rows is not None
    assert rows[0]["a"] == 7


def test_sql_is_logged_at_debug_without_its_values(
    redshift: RedshiftClientResource, logged: list[logging.LogRecord]
) -> None:
    redshift.get_client().execute_query(f"SELECT '{SECRET}', 421337, a FROM t")
    assert [(r.levelno, r.getMessage()) for r in logged] == [
        (logging.DEBUG, "Redshift executes: SELECT ?, ?, a FROM t")
    ]


@pytest.mark.parametrize(
    ("query", "reported"),
    [
        ("SELECT a1, 1.5,\n  'it''s' FROM \"t 1\"", 'SELECT a1, ?, ? FROM "t 1"'),
        (f"CREATE USER u PASSWORD '{SECRET}'", "CREATE USER u PASSWORD ?"),
        (f"SELECT 'a\\'b', '{SECRET}'", "SELECT …"),
        (f"SELECT 1 -- don't\n, '{SECRET}'", "SELECT ? …"),
        (f"SELECT $${SECRET}$$", "SELECT …"),
        (f"SELECT /* it's */ '{SECRET}'", "SELECT …"),
        (f"SELECT '{SECRET}", "SELECT …"),
        (f"SELECT \"it's\", '{SECRET}'", 'SELECT "it …'),
    ],
)
def test_no_value_is_left_in_a_logged_query(query: str, reported: str) -> None:
    assert without_values(query) == reported


def test_secrets_are_in_no_representation() -> None:
    resources = [
        RedshiftClientResource(host="h", password=SECRET),
        S3Resource(
            aws_access_key_id=SECRET, aws_secret_access_key=SECRET, aws_session_token=SECRET
        ),
    ]
    for resource in resources:
        assert SECRET not in f"{resource!r} {resource!s}"


def test_a_refused_login_does_not_tell_the_password(database: Database) -> None:
    with pytest.raises(psycopg2.OperationalError) as refused:
        resource_of(database, password=SECRET).get_client().execute_query("SELECT 1")
    assert SECRET not in str(refused.value)


def test_the_server_is_verified_unless_configured_otherwise(database: Database) -> None:
    # This server has no certificate: verify-full does not fall back to plain text.
    client = RedshiftClientResource(
        host=database.host, port=database.port, user=database.user, password=database.password,
        database=database.name,
    ).get_client()  # fmt: skip
    with pytest.raises(psycopg2.OperationalError, match="does not support SSL"):
        client.execute_query("SELECT 1")


def settings_of(folder: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A dwh.cfg for the server, with the password in the environment."""
    (folder / "dwh.cfg").write_text(
        f"[WAREHOUSE]\nENGINE = postgres\n[CLUSTER]\nHOST = {database.host}\n"
        f"DB_PORT = {database.port}\nDB_NAME = {database.name}\nDB_USER = {database.user}\n"
        "[S3]\nLOG_DATA = lake/log\nSONG_DATA = lake/song\nREGION = eu-west-1\n"
        "ENDPOINT_URL = http://localhost:9\n[PARTITIONS]\nFIRST_DAY = 2018-11-01\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("SPARKIFY_CLUSTER_DB_PASSWORD", database.password)
    return load_settings(folder / "dwh.cfg")


def test_settings_make_both_resources_without_a_secret_in_them(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources = aws_resources(settings_of(tmp_path, database, monkeypatch))
    assert set(resources) == {"redshift", "s3"}
    redshift, s3 = resources["redshift"], resources["s3"]
    assert isinstance(redshift, RedshiftClientResource)
    assert isinstance(s3, S3Resource)
    assert redshift.password is None
    assert (s3.region_name, s3.endpoint_url) == ("eu-west-1", "http://localhost:9")
    for resource in resources.values():
        assert database.password not in str(resource.model_dump())
    assert redshift.get_client().execute_query("SELECT 1", fetch_results=True) == [(1,)]


def test_without_a_server_only_s3_is_offered(tmp_path: Path) -> None:
    config = tmp_path / "dwh.cfg"
    config.write_text(
        "[S3]\nLOG_DATA = lake/log\nSONG_DATA = lake/song\n[PARTITIONS]\nFIRST_DAY = 2018-11-01\n"
    )
    assert set(aws_resources(load_settings(config, {}))) == {"s3"}


def test_an_asset_uses_them_under_their_names(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dg.asset
    def counted(redshift: RedshiftClientResource, s3: S3Resource) -> int:
        redshift.get_client().execute_query(INSERT)
        assert s3.get_client().meta.region_name == "eu-west-1"
        rows = redshift.get_client().execute_query("SELECT a FROM t", fetch_results=True)
        return len(rows or [])

    resources = aws_resources(settings_of(tmp_path, database, monkeypatch))
    result = dg.materialize([counted], resources=dict(resources))
    assert result.output_for_node("counted") == 1


def test_a_password_can_be_an_environment_variable(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dg.asset
    def asked(redshift: RedshiftClientResource) -> int:
        rows = redshift.get_client().execute_query("SELECT 7", fetch_results=True)
        return int(str(rows[0][0])) if rows else 0

    monkeypatch.setenv("MY_PASSWORD", database.password)
    resource = resource_of(database, password=dg.EnvVar("MY_PASSWORD"))
    assert database.password not in repr(resource)
    result = dg.materialize([asked], resources={"redshift": resource})
    assert result.output_for_node("asked") == 7


def test_the_s3_client_is_made_as_the_fields_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    client = S3Resource(
        region_name="eu-west-1", endpoint_url="http://localhost:9", max_attempts=2,
        aws_access_key_id="k", aws_secret_access_key="s",
    ).get_client()  # fmt: skip
    url = client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "c"})
    assert url.startswith("http://localhost:9/b/c?")
    assert client.meta.config.retries["total_max_attempts"] == 2
    unsigned = S3Resource(region_name="eu-west-1", use_unsigned_session=True).get_client()
    url = unsigned.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "c"})
    assert "Signature" not in url


@pytest.mark.slow
def test_drivers_are_imported_only_when_they_are_used() -> None:
    program = (
        "import sys, sparkify_dagster.defs.aws_resources as r;"
        "r.S3Resource(region_name='x'); r.RedshiftClientResource(host='h').get_client();"
        "print([m for m in ('boto3', 'botocore', 'psycopg2', 'dagster_aws') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"


def wait_until(condition: Callable[[], bool]) -> None:
    """A closed connection takes the server a moment to notice."""
    for _ in range(100):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not happen within 5 seconds")
