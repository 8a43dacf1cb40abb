"""What only a server can do to a run: lose it, make it wait, refuse it, order text its own way."""

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import psycopg2
import pytest

from sparkify_dagster.engines.base import Session, TransientError
from sparkify_dagster.engines.server.errors import explained
from sparkify_dagster.engines.server.login import Credentials
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse import Platform, WarehouseBusyError, WarehouseError
from sparkify_dagster_tests.engines.postgres_server import Database, PostgresServer
from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    FolderLake,
    all_rows,
    assert_same_rows,
    bring_up_to_date,
    event,
    everything,
    rows_of,
    song,
)

END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def silent(_: str) -> None:
    """Nobody listens."""


@pytest.fixture
def server_platform(
    tmp_path: Path, folder_lake: FolderLake, postgres_database: Database
) -> Platform:
    return platform_on(postgres_database, tmp_path, folder_lake)


def platform_on(
    database: Database, folder: Path, lake: FolderLake, **overrides: object
) -> Platform:
    return EngineUnderTest("postgres", database.environ()).platform(folder, lake.root, **overrides)


def run_sql(database: Database, *statements: str) -> None:
    connection = database.connect()
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def failing_once(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Session], None], at: str
) -> list[str]:
    """Do harm at the first statement that contains some text; what was harmed."""
    harmed: list[str] = []
    session_of = platform.warehouse.session

    def session(*given: object) -> object:
        made = session_of(*given)
        execute = made.execute

        def harmful(sql: str, params: object = None) -> int:
            if at in sql and not harmed:
                harmed.append(sql)
                harm(made)
            return execute(sql, params)

        monkeypatch.setattr(made, "execute", harmful)
        return made

    monkeypatch.setattr(platform.warehouse, "session", session)
    return harmed


@pytest.mark.parametrize("at", ["DELETE FROM loading", "DELETE FROM load_files", "ANALYZE"])
def test_a_connection_lost_in_mid_transaction_is_followed_by_the_whole_transaction_again(
    at: str,
    server_platform: Platform,
    folder_lake: FolderLake,
    postgres_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder_lake.put_events(FIRST, *[event(itemInSession=n) for n in range(12_000)])
    harmed = failing_once(
        server_platform, monkeypatch, lambda _: run_sql(postgres_database, END_OTHERS), at
    )
    reported: list[str] = []
    report = server_platform.load(
        "staging_events", days=None, reload=False, run_id="r", notify=reported.append
    )
    assert len(harmed) == 1
    assert report.rows_total == 12_000
    assert len(reported) == 1
    assert ": the transaction was lost: " in reported[0]
    assert "Nothing was changed. Trying again (2 of 5)" in reported[0]
    assert rows_of(server_platform, "SELECT rows FROM load_files") == [(12_000,)]


def test_a_transaction_that_was_committed_before_its_answer_was_lost_is_not_done_twice(
    server_platform: Platform,
    folder_lake: FolderLake,
    postgres_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder_lake.put_events(FIRST, event())
    commit = server_platform.warehouse._commit
    commits: list[object] = []

    def lost_answer(connection: object) -> None:
        commit(connection)
        commits.append(connection)
        if len(commits) == 3:  # after the settings and the schemas: the transaction itself
            run_sql(postgres_database, END_OTHERS)
            commit_nothing = "SELECT 1"
            try:
                connection.cursor().execute(commit_nothing)
            except psycopg2.Error as error:
                raise TransientError("the answer was lost.") from error

    monkeypatch.setattr(server_platform.warehouse, "_commit", lost_answer)
    reported: list[str] = []
    server_platform.load(
        "staging_events", days=None, reload=False, run_id="r", notify=reported.append
    )
    assert reported == ["the answer was lost. Trying again (2 of 5)."]
    assert rows_of(server_platform, "SELECT COUNT(*) FROM staging_events") == [(1,)]
    assert rows_of(server_platform, "SELECT COUNT(*) FROM load_files") == [(1,)]


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_a_serialization_failure_is_followed_by_the_whole_transaction_again(
    code: str,
    server_platform: Platform,
    folder_lake: FolderLake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder_lake.put_events(FIRST, event())
    conflict = f"DO $$ BEGIN RAISE EXCEPTION 'in conflict' USING ERRCODE = '{code}'; END $$"
    harmed = failing_once(
        server_platform, monkeypatch, lambda s: s.rows(conflict), "DELETE FROM loading"
    )
    reported: list[str] = []
    server_platform.load(
        "staging_events", days=None, reload=False, run_id="r", notify=reported.append
    )
    assert (len(harmed), len(reported)) == (1, 1)
    assert "in conflict" in reported[0]
    assert rows_of(server_platform, "SELECT COUNT(*) FROM staging_events") == [(1,)]


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """One that may be stopped: no other test is on it."""
    with PostgresServer() as server:
        yield server


def test_a_server_that_restarts_in_mid_transaction_is_waited_for_and_that_is_said(
    own_server: PostgresServer,
    folder_lake: FolderLake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = platform_on(own_server.database("postgres"), tmp_path, folder_lake)
    folder_lake.put_events(FIRST, event())
    told: list[str] = []

    def notify(said: str) -> None:
        told.append(said)
        if "Waiting for the server" in said:
            own_server.start()

    harmed = failing_once(platform, monkeypatch, lambda _: own_server.stop(), "load_files")
    report = platform.load("staging_events", days=None, reload=False, run_id="r", notify=notify)
    assert (len(harmed), report.rows_total) == (1, 1)
    assert "the transaction was lost" in told[0]
    assert "Waiting for the server, at most 600 seconds." in told[1]
    assert len(told) == 2


def test_a_server_that_does_not_come_back_is_waited_for_no_longer_than_is_set(
    own_server: PostgresServer,
    folder_lake: FolderLake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = own_server.database("postgres")
    platform = platform_on(database, tmp_path, folder_lake, CLUSTER_LOCK_TIMEOUT=2)
    folder_lake.put_events(FIRST, event())
    failing_once(platform, monkeypatch, lambda _: own_server.stop(), "load_files")
    started = time.monotonic()
    with pytest.raises(TransientError, match=r"no connection: .*refused"):
        platform.load("staging_events", days=None, reload=False, run_id="r")
    assert 2 < time.monotonic() - started < 30


def test_a_refused_password_is_not_tried_again(
    server_platform: Platform,
    folder_lake: FolderLake,
    postgres_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder_lake.put_events(FIRST, event())
    asked: list[Credentials] = []

    def changed(_: Session) -> None:
        run_sql(postgres_database, END_OTHERS)
        wrong = Credentials(postgres_database.user, "changed since")
        monkeypatch.setattr(
            server_platform.warehouse, "credentials", lambda: asked.append(wrong) or wrong
        )

    failing_once(server_platform, monkeypatch, changed, "load_files")
    with pytest.raises(WarehouseError, match="password authentication failed") as caught:
        server_platform.load("staging_events", days=None, reload=False, run_id="r")
    assert not isinstance(caught.value, TransientError)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("said", "restarting"),
    [
        ("FATAL:  the database system is starting up", True),
        ("FATAL:  the database system is shutting down", True),
        ("connection to server failed: Connection refused", False),
        ("timeout expired", False),
        ("FATAL:  sorry, too many clients already", False),
    ],
)
def test_what_may_pass_at_a_connection_is_told_from_what_stays(said: str, restarting: bool) -> None:
    error = explained(psycopg2.OperationalError(said), "here", at_connect=True)
    assert isinstance(error, TransientError)
    assert error.restarting is restarting
    for stays in ("password authentication failed", 'database "x" does not exist', "certificate"):
        error = explained(psycopg2.OperationalError(stays), "here", at_connect=True)
        assert not isinstance(error, TransientError)


def test_what_cannot_be_mended_by_trying_again_is_not_tried_again(
    server_platform: Platform, folder_lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_lake.put_events(FIRST, event())
    tried = failing_once(
        server_platform, monkeypatch, lambda s: s.rows("SELECT * FROM nothing"), "loading"
    )
    with pytest.raises(WarehouseError, match=r'"nothing" does not exist\. Nothing was changed'):
        server_platform.load("staging_events", days=None, reload=False, run_id="r")
    assert len(tried) == 1


def test_writers_take_turns_and_a_reader_does_not_wait(
    server_platform: Platform, folder_lake: FolderLake, tmp_path: Path, postgres_database: Database
) -> None:
    folder_lake.put_songs("s", song())
    folder_lake.put_events(FIRST, event())
    bring_up_to_date(server_platform)
    impatient = platform_on(postgres_database, tmp_path, folder_lake, CLUSTER_LOCK_TIMEOUT=1)
    with server_platform.warehouse.write(silent, "the-first-run") as session:
        session.execute("DELETE FROM songplays")
        assert rows_of(server_platform, "SELECT COUNT(*) FROM songplays") == [(1,)]
        reported: list[str] = []
        with (
            pytest.raises(WarehouseBusyError, match=r"the-first-run .*has been writing for 1 sec"),
            impatient.warehouse.write(reported.append),
        ):
            pytest.fail("two writers at once")
    assert len(reported) == 1
    assert reported[0].startswith("waiting for sparkify the-first-run (process ")
    with impatient.warehouse.write(silent):
        pass  # its turn comes as soon as the other is done


@pytest.mark.slow
def test_sixteen_loads_of_different_days_at_once_all_succeed(
    server_platform: Platform, folder_lake: FolderLake, engine_database: Database, tmp_path: Path
) -> None:
    days = [FIRST.replace(day=n) for n in range(1, 17)]
    for day in days:
        folder_lake.put_events(day, event(day), event(day, userId="2", level="paid"))
    folder_lake.put_songs("s", song())

    def run(day: date) -> None:
        server_platform.load(
            "staging_events", days=DayRange(day, day), reload=False, run_id=str(day)
        )
        for table in server_platform.catalogue.transforms:
            server_platform.refresh(table)

    with ThreadPoolExecutor(len(days)) as pool:
        list(pool.map(run, days))
    bring_up_to_date(server_platform)
    fresh = platform_on(engine_database, tmp_path / "fresh", folder_lake)
    bring_up_to_date(fresh)
    assert_same_rows(all_rows(server_platform), all_rows(fresh))


def test_the_server_shows_which_run_is_connected(
    server_platform: Platform, folder_lake: FolderLake
) -> None:
    with server_platform.warehouse.write(silent, "4a1c") as session:
        assert session.fetch("SHOW application_name") == (("sparkify 4a1c",),)


def test_a_statement_beyond_the_time_limit_ends_with_one_message(
    postgres_database: Database, tmp_path: Path, folder_lake: FolderLake
) -> None:
    platform = platform_on(postgres_database, tmp_path, folder_lake, CLUSTER_STATEMENT_TIMEOUT=1)
    started = time.monotonic()
    with (
        pytest.raises(WarehouseError, match=r"took longer than \[CLUSTER\] STATEMENT_TIMEOUT"),
        platform.warehouse.write(silent) as session,
    ):
        session.execute("SELECT pg_sleep(60)")
    assert time.monotonic() - started < 20


def test_a_reader_cannot_write(server_platform: Platform, folder_lake: FolderLake) -> None:
    bring_up_to_date(server_platform)
    with (
        pytest.raises(WarehouseError, match="read-only transaction"),
        server_platform.warehouse.read(silent) as session,
    ):
        session.execute("DELETE FROM songplays")


def test_before_the_first_run_there_is_no_warehouse(server_platform: Platform) -> None:
    assert not server_platform.warehouse.exists()
    with (
        pytest.raises(WarehouseError, match=r"no warehouse in schema s\d+ yet.*sparkify run"),
        server_platform.warehouse.read(silent),
    ):
        pytest.fail("nothing can be read")


def test_a_wrong_password_is_reported_without_the_password(
    postgres_database: Database, tmp_path: Path, folder_lake: FolderLake
) -> None:
    secret = "planted-pw-1234"
    platform = platform_on(postgres_database, tmp_path, folder_lake, CLUSTER_DB_PASSWORD=secret)
    with pytest.raises(WarehouseError, match="password authentication failed") as caught:
        bring_up_to_date(platform)
    assert secret not in repr(caught.value) + str(caught.value.__cause__)
    assert secret not in repr(platform.settings)


def test_the_password_is_in_no_process_list(
    server_platform: Platform, postgres_database: Database
) -> None:
    with server_platform.warehouse.write(silent, "r"):
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "sparkify" in listed.stdout or "postgres" in listed.stdout
    assert postgres_database.password not in listed.stdout


def test_the_warehouse_of_another_schema_is_left_alone(
    postgres_database: Database, tmp_path: Path, folder_lake: FolderLake
) -> None:
    folder_lake.put_events(FIRST, event())
    one = platform_on(postgres_database, tmp_path / "one", folder_lake)
    bring_up_to_date(one)
    before = everything(one)
    other = platform_on(postgres_database, tmp_path / "two", folder_lake)
    bring_up_to_date(other)
    assert one.warehouse.schema != other.warehouse.schema
    assert everything(one) == before


def test_text_arrives_as_it_is_whatever_encoding_the_client_prefers(
    server_platform: Platform, folder_lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    folder_lake.put_songs("s", song(title="Café ☃"))
    bring_up_to_date(server_platform)
    assert rows_of(server_platform, "SELECT title FROM songs") == [("Café ☃",)]


def test_each_transaction_may_be_on_another_connection_of_a_pool(
    server_platform: Platform, folder_lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind PgBouncer: nothing that was set before holds, and nothing is left to others."""
    folder_lake.put_songs("s", song())
    commit, left = server_platform.warehouse._commit, set()

    def commit_and_change(connection: object) -> None:
        commit(connection)
        with connection.cursor() as cursor:
            cursor.execute("SHOW search_path")
            left.add(cursor.fetchall()[0][0])
            cursor.execute("RESET ALL")
        connection.commit()

    monkeypatch.setattr(server_platform.warehouse, "_commit", commit_and_change)
    bring_up_to_date(server_platform)
    assert rows_of(server_platform, "SELECT COUNT(*) FROM songs") == [(1,)]
    assert left == {'"$user", public'}


def test_waiting_for_another_run_may_take_longer_than_a_statement(
    server_platform: Platform, folder_lake: FolderLake, tmp_path: Path, postgres_database: Database
) -> None:
    bring_up_to_date(server_platform)
    hasty = platform_on(postgres_database, tmp_path, folder_lake, CLUSTER_STATEMENT_TIMEOUT=1)

    def wait() -> object:
        with hasty.warehouse.write(silent) as session:
            return session.fetch("SHOW statement_timeout")

    with ThreadPoolExecutor(1) as pool:
        with server_platform.warehouse.write(silent):
            waiting = pool.submit(wait)
            time.sleep(2)
            assert not waiting.done()
        assert waiting.result() == (("1s",),)


def test_a_few_rows_of_a_large_result_are_all_that_is_fetched(
    postgres_database: Database, tmp_path: Path, folder_lake: FolderLake
) -> None:
    platform = platform_on(postgres_database, tmp_path, folder_lake, CLUSTER_STATEMENT_TIMEOUT=20)
    bring_up_to_date(platform)
    slow = "SELECT n, pg_sleep(0.1) FROM generate_series(1, 100000) AS n -- 100 % of them"
    with platform.warehouse.read(silent) as session:
        assert [row[0] for row in session.rows(slow, limit=3).rows] == [1, 2, 3]
        ordered = "SELECT n FROM generate_series(1, 9) AS n ORDER BY n DESC"
        assert session.rows(ordered, limit=2).rows == ((9,), (8,))
        assert session.rows("SHOW search_path", limit=1).columns == ("search_path",)
        assert session.fetch("SELECT CAST('Infinity' AS NUMERIC)") == ((float("inf"),),)


def test_a_run_on_a_replica_gets_a_message_to_use_the_primary_server(
    server_platform: Platform, folder_lake: FolderLake, postgres_database: Database
) -> None:
    bring_up_to_date(server_platform)
    name = postgres_database.name
    run_sql(postgres_database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    folder_lake.put_events(FIRST, event())
    assert rows_of(server_platform, "SELECT COUNT(*) FROM songplays") == [(0,)]
    with pytest.raises(WarehouseError, match=r"Nothing was changed\. .*primary server"):
        bring_up_to_date(server_platform)


def test_a_schema_that_would_need_quotes_is_refused(
    postgres_database: Database, tmp_path: Path, folder_lake: FolderLake
) -> None:
    with pytest.raises(WarehouseError, match=r"\[WAREHOUSE\] SCHEMA: schema 'user' is a reserved"):
        platform_on(postgres_database, tmp_path, folder_lake, WAREHOUSE_SCHEMA="user")
