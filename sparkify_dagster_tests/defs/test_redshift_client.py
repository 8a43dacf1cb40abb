"""The client of the Redshift warehouse: dagster-aws's methods without the defects of its own.

Each defect of the notes has a test that fails with dagster-aws's client, on a real PostgreSQL.
"""

import logging
import threading
from collections.abc import Callable, Iterator

import dagster as dg
import psycopg2
import pytest
from psycopg2.extras import DictCursor

from sparkify_dagster.defs.resources.redshift_client import (
    RedshiftClient,
    RedshiftClientError,
    without_values,
)
from sparkify_dagster.engines.server.connections import open_connection
from sparkify_dagster_tests.engines.postgres_server import Database

SECRET = "pl4nted-s3cret"
INSERT, WRONG = "INSERT INTO t (a) VALUES (1)", "SELECT 1 FROM no_such_table"


@pytest.fixture
def database(postgres_database: Database) -> Database:
    run(postgres_database, "CREATE TABLE t (a INTEGER)")
    return postgres_database


@pytest.fixture
def client(database: Database) -> RedshiftClient:
    return client_of(database)


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


def client_of(database: Database, *, autocommit: bool | None = None) -> RedshiftClient:
    def connect() -> psycopg2.extensions.connection:
        return open_connection(
            host=database.host, port=database.port, user=database.user,
            password=database.password, dbname=database.name, sslmode="disable",
            sslrootcert="system", application_name="sparkify",
        )  # fmt: skip

    return RedshiftClient(connect, autocommit, dg.get_dagster_logger())


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


@pytest.mark.parametrize("method", ["execute_query", "execute_queries"])
def test_methods_take_the_parameters_of_dagster_aws(method: str) -> None:
    import inspect

    from dagster_aws.redshift import RedshiftClient as TheirClient

    ours, theirs = (
        inspect.signature(getattr(client, method)).parameters.values()
        for client in (RedshiftClient, TheirClient)
    )
    assert [(p.name, p.default, p.kind) for p in ours] == [
        (p.name, p.default, p.kind) for p in theirs
    ]


def test_a_query_gives_rows(client: RedshiftClient) -> None:
    assert client.execute_query("SELECT 1, 'x'", fetch_results=True) == [(1, "x")]
    assert client.execute_query("SELECT 1") is None
    assert client.execute_queries(["SELECT 1", INSERT, "SELECT a FROM t"], fetch_results=True) == [
        [(1,)], [], [(1,)],
    ]  # fmt: skip


def test_an_empty_result_is_an_empty_list(client: RedshiftClient) -> None:
    assert client.execute_query("SELECT a FROM t", fetch_results=True) == []
    assert client.execute_query(INSERT, fetch_results=True) == []


def test_a_call_is_committed_at_its_end(client: RedshiftClient, database: Database) -> None:
    client.execute_query(INSERT)
    client.execute_queries([INSERT, INSERT])
    assert standing(database) == [(1,)] * 3


@pytest.mark.parametrize("callback", [None, lambda _error, _cursor, _log: None])
def test_an_error_undoes_all_queries_of_the_call_and_is_raised(
    client: RedshiftClient, database: Database, callback: Callable[..., None] | None
) -> None:
    with pytest.raises(psycopg2.errors.UndefinedTable):
        client.execute_queries([INSERT, WRONG, INSERT], error_callback=callback)
    assert standing(database) == []
    with pytest.raises(psycopg2.errors.UndefinedTable):
        client.execute_query(WRONG, error_callback=callback)


def test_an_error_callback_can_look_for_the_cause(
    client: RedshiftClient, database: Database
) -> None:
    seen: list[object] = []

    def look(error: Exception, cursor: psycopg2.extensions.cursor, log: logging.Logger) -> None:
        cursor.execute("SELECT COUNT(*) FROM t")
        seen.extend([type(error), cursor.fetchone(), log])
        cursor.execute(INSERT)

    with pytest.raises(psycopg2.errors.UndefinedTable):
        client.execute_queries([INSERT, WRONG], error_callback=look)
    assert seen == [psycopg2.errors.UndefinedTable, (0,), dg.get_dagster_logger()]
    assert standing(database) == []  # what the callback wrote went with it


def test_an_error_on_our_side_commits_nothing(client: RedshiftClient, database: Database) -> None:
    class Stumbling(psycopg2.extensions.cursor):
        def fetchall(self) -> list[tuple[object, ...]]:
            raise MemoryError

    with pytest.raises(MemoryError):
        client.execute_queries([INSERT, "SELECT 1"], fetch_results=True, cursor_factory=Stumbling)
    with pytest.raises(UnicodeEncodeError):
        client.execute_queries([INSERT, "SELECT '\ud800'"])
    assert standing(database) == []


def test_an_interruption_commits_nothing(client: RedshiftClient, database: Database) -> None:
    class Interrupted(psycopg2.extensions.cursor):
        def fetchall(self) -> list[tuple[object, ...]]:
            raise KeyboardInterrupt

    called: list[object] = []
    with client:
        with pytest.raises(KeyboardInterrupt):
            client.execute_queries(
                [INSERT, "SELECT 1"], fetch_results=True, cursor_factory=Interrupted,
                error_callback=lambda *given: called.append(given),
            )  # fmt: skip
        client.execute_query("SELECT 1")
    assert standing(database) == []
    assert called == []


def test_what_cannot_be_used_is_told_before_anything_is_sent(
    client: RedshiftClient, database: Database
) -> None:
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
    client = client_of(database, autocommit=True)
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


def test_a_connection_is_closed_after_each_call(client: RedshiftClient, database: Database) -> None:
    assert connections(database) == []
    client.execute_query(INSERT)
    with pytest.raises(psycopg2.Error):
        client.execute_query(WRONG)
    wait_until(lambda: connections(database) == [])


def test_a_block_keeps_one_connection_and_closes_it(
    client: RedshiftClient, database: Database
) -> None:
    with client:
        first = client.execute_query("SELECT pg_backend_pid()", fetch_results=True)
        with pytest.raises(psycopg2.Error):
            client.execute_query(WRONG)
        assert client.execute_query("SELECT pg_backend_pid()", fetch_results=True) == first
        # Between calls no transaction is open, which would hold locks.
        assert [state for _, state in connections(database)] == ["idle"]
        with pytest.raises(RedshiftClientError, match="in use"):
            client.__enter__()
    wait_until(lambda: connections(database) == [])


def test_a_lost_connection_is_raised_as_it_is(client: RedshiftClient, database: Database) -> None:
    with client:
        [(pid,)] = client.execute_query("SELECT pg_backend_pid()", fetch_results=True) or []
        run(database, f"SELECT pg_terminate_backend({pid}, 5000)")
        with pytest.raises(psycopg2.OperationalError, match="terminat"):
            client.execute_query(INSERT)
    assert standing(database) == []


def test_calls_from_threads_do_not_meet(client: RedshiftClient, database: Database) -> None:
    threads = [threading.Thread(target=client.execute_query, args=(INSERT,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert standing(database) == [(1,)] * 8


def test_a_cursor_factory_is_used(client: RedshiftClient) -> None:
    rows = client.execute_query("SELECT 7 AS a", fetch_results=True, cursor_factory=DictCursor)
    assert rows is not None
    assert rows[0]["a"] == 7


def test_sql_is_logged_at_debug_without_its_values(
    client: RedshiftClient, logged: list[logging.LogRecord]
) -> None:
    client.execute_query(f"SELECT '{SECRET}', 421337, a FROM t")
    assert [(r.levelno, r.getMessage()) for r in logged] == [
        (logging.DEBUG, "Redshift executes: SELECT ?, ?, a FROM t")
    ]


@pytest.mark.parametrize(
    ("query", "told"),
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
def test_no_value_is_left_in_a_logged_query(query: str, told: str) -> None:
    assert without_values(query) == told


def wait_until(condition: Callable[[], bool]) -> None:
    """A closed connection takes the server a moment to notice."""
    for _ in range(100):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not happen within 5 seconds")
