"""The stand-in's tables, keys, transactions, locks and privileges, as Redshift has them."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import errors
from psycopg2.extensions import (
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_INERROR,
)
from psycopg2.extensions import cursor as Cursor

from sparkify_dagster_tests.fixtures.standin import Connect
from sparkify_dagster_tests.standin import StandIn

TABLES = Path(__file__).parents[2] / "sparkify_dagster" / "sql" / "tables"


@pytest.fixture
def cursor(connect: Connect) -> Iterator[Cursor]:
    """A cursor that commits each statement."""
    connection = connect()
    connection.autocommit = True
    with connection.cursor() as one:
        yield one


def value(cursor: Cursor, sql: str) -> object:
    cursor.execute(sql)
    row = cursor.fetchone()
    assert row
    return row[0]


def test_distribution_sort_keys_and_encodings_are_accepted_and_mean_nothing(
    cursor: Cursor,
) -> None:
    cursor.execute(
        "CREATE TABLE t (a INTEGER NOT NULL ENCODE az64 DISTKEY, "
        "b VARCHAR(9) ENCODE zstd DEFAULT 'x', "
        "c TIMESTAMP SORTKEY ENCODE raw, PRIMARY KEY (a)) BACKUP NO DISTSTYLE KEY"
    )
    cursor.execute("INSERT INTO t (a) VALUES (1)")
    cursor.execute("SELECT * FROM t")
    assert cursor.fetchall() == [(1, "x", None)]


def test_every_table_file_is_made_once_those_it_refers_to_are(cursor: Cursor) -> None:
    names = {path.stem for path in TABLES.glob("*.sql")}
    songplays = (TABLES / "songplays.sql").read_text(encoding="utf-8")
    with pytest.raises(errors.UndefinedTable):
        cursor.execute(songplays)
    children = ("songs", "user_levels", "songplays")
    for name in (*sorted(names.difference(children)), *children):
        cursor.execute((TABLES / f"{name}.sql").read_text(encoding="utf-8"))
        assert value(cursor, f"SELECT COUNT(*) FROM {name}") == 0


def test_primary_keys_are_not_enforced_but_are_not_null(cursor: Cursor) -> None:
    cursor.execute("CREATE TABLE t (a INTEGER, b INTEGER UNIQUE, PRIMARY KEY (a))")
    cursor.execute("INSERT INTO t VALUES (1, 1), (1, 1)")
    assert value(cursor, "SELECT COUNT(*) FROM t") == 2
    with pytest.raises(errors.NotNullViolation):
        cursor.execute("INSERT INTO t VALUES (NULL, 1)")


def test_foreign_keys_are_not_enforced(cursor: Cursor) -> None:
    cursor.execute("CREATE TABLE parent (a INTEGER PRIMARY KEY)")
    cursor.execute("CREATE TABLE child (a INTEGER REFERENCES parent (a))")
    cursor.execute("INSERT INTO child VALUES (5)")
    assert value(cursor, "SELECT COUNT(*) FROM child") == 1


@pytest.mark.parametrize(
    ("parent", "error"),
    [
        ("CREATE TABLE other (a INTEGER PRIMARY KEY)", errors.UndefinedTable),
        ("CREATE TABLE parent (a INTEGER)", errors.InvalidForeignKey),
        ("CREATE TABLE parent (a INTEGER, b INTEGER PRIMARY KEY)", errors.InvalidForeignKey),
    ],
)
def test_a_reference_needs_a_declared_key(
    cursor: Cursor, parent: str, error: type[psycopg2.Error]
) -> None:
    cursor.execute(parent)
    with pytest.raises(error):
        cursor.execute("CREATE TABLE child (a INTEGER REFERENCES parent (a))")


def test_a_table_that_another_refers_to_is_dropped_with_it_or_by_cascade(cursor: Cursor) -> None:
    cursor.execute("CREATE TABLE parent (a INTEGER PRIMARY KEY)")
    cursor.execute("CREATE TABLE child (a INTEGER REFERENCES parent)")
    with pytest.raises(errors.DependentObjectsStillExist, match="cannot drop table parent because"):
        cursor.execute("DROP TABLE parent")
    cursor.execute("DROP TABLE parent, child")
    cursor.execute("CREATE TABLE parent (a INTEGER PRIMARY KEY)")
    cursor.execute("CREATE TABLE child (a INTEGER REFERENCES parent)")
    cursor.execute("DROP TABLE IF EXISTS parent CASCADE")
    assert value(cursor, "SELECT COUNT(*) FROM child") == 0


def test_keys_belong_to_the_transaction_of_their_table(connect: Connect) -> None:
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE parent (a INTEGER PRIMARY KEY)")
        connection.commit()
        cursor.execute("CREATE TABLE child (a INTEGER REFERENCES parent)")
        connection.rollback()
        cursor.execute("DROP TABLE parent")
        connection.commit()


def test_a_child_that_is_gone_stands_in_no_ones_way(cursor: Cursor) -> None:
    cursor.execute("CREATE TABLE parent (a INTEGER PRIMARY KEY)")
    cursor.execute("CREATE TABLE child (a INTEGER REFERENCES parent)")
    cursor.execute("DROP TABLE child")
    cursor.execute("DROP TABLE parent")


def test_a_varchar_counts_bytes(cursor: Cursor) -> None:
    cursor.execute("CREATE TABLE t (a VARCHAR(4), b VARCHAR)")
    cursor.execute("INSERT INTO t (a) VALUES ('äö')")
    for text in ("äöü", "abcde"):
        with pytest.raises(errors.StringDataRightTruncation, match=r"character varying\(4\)"):
            cursor.execute("INSERT INTO t (a) VALUES (%s)", (text,))
    cursor.execute("INSERT INTO t (b) VALUES (%s)", ("x" * 256,))
    with pytest.raises(errors.StringDataRightTruncation, match=r"character varying\(256\)"):
        cursor.execute("INSERT INTO t (b) VALUES (%s)", ("x" * 257,))


def test_a_column_added_later_counts_bytes_too(cursor: Cursor) -> None:
    cursor.execute("CREATE TABLE t (a INTEGER)")
    cursor.execute("ALTER TABLE t ADD COLUMN b VARCHAR(2) ENCODE zstd DEFAULT 'x' NOT NULL")
    with pytest.raises(errors.StringDataRightTruncation):
        cursor.execute("INSERT INTO t (b) VALUES ('äö')")


def test_text_is_ordered_by_its_bytes(cursor: Cursor) -> None:
    cursor.execute("CREATE TABLE t (a VARCHAR(9))")
    cursor.execute("INSERT INTO t VALUES ('b'), ('A'), ('a'), ('ä'), ('Z')")
    cursor.execute("SELECT a FROM t ORDER BY a")
    assert [row[0] for row in cursor.fetchall()] == ["A", "Z", "a", "b", "ä"]


def test_identity_columns_are_filled(cursor: Cursor) -> None:
    cursor.execute("CREATE TABLE t (a BIGINT IDENTITY(5, 10), b INTEGER)")
    cursor.execute("INSERT INTO t (b) VALUES (1), (2)")
    cursor.execute("SELECT a FROM t ORDER BY b")
    assert cursor.fetchall() == [(5,), (15,)]


def test_create_table_as_takes_distribution(cursor: Cursor) -> None:
    cursor.execute("CREATE TABLE t DISTSTYLE EVEN SORTKEY (a) AS SELECT 1 AS a, SYSDATE AS b")
    cursor.execute("CREATE TEMP TABLE u (x, y) DISTKEY (x) AS (SELECT * FROM t)")
    assert value(cursor, "SELECT x FROM u") == 1


def test_what_only_changes_the_layout_is_accepted(cursor: Cursor) -> None:
    cursor.execute("CREATE TABLE t (a INTEGER)")
    for statement in (
        "ALTER TABLE t ALTER DISTSTYLE EVEN",
        "ALTER TABLE t ALTER SORTKEY (a)",
        "ALTER TABLE t ALTER COLUMN a ENCODE zstd",
        "ANALYZE t (a) PREDICATE COLUMNS",
        "ANALYZE VERBOSE t",
        "VACUUM DELETE ONLY t",
    ):
        cursor.execute(statement)


def test_vacuum_does_not_run_in_a_transaction(connect: Connect) -> None:
    connection = connect()
    with pytest.raises(errors.ActiveSqlTransaction):
        connection.cursor().execute("VACUUM")
    assert connection.info.transaction_status == TRANSACTION_STATUS_INERROR


def test_truncate_commits_the_open_transaction(connect: Connect) -> None:
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE t (a INTEGER)")
    cursor.execute("CREATE TABLE u (a INTEGER)")
    connection.commit()
    cursor.execute("INSERT INTO u VALUES (1)")
    cursor.execute("TRUNCATE t")
    assert connection.info.transaction_status == TRANSACTION_STATUS_IDLE
    connection.rollback()
    assert value(cursor, "SELECT COUNT(*) FROM u") == 1


def test_a_refused_statement_aborts_its_transaction(connect: Connect) -> None:
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE t (a INTEGER)")
    with pytest.raises(errors.SyntaxError):
        cursor.execute("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING")
    assert connection.info.transaction_status == TRANSACTION_STATUS_INERROR
    with pytest.raises(errors.InFailedSqlTransaction):
        cursor.execute("SELECT 1")
    connection.rollback()
    with pytest.raises(errors.UndefinedTable):
        cursor.execute("SELECT * FROM t")


def test_a_transaction_sees_one_snapshot_taken_after_its_lock(connect: Connect) -> None:
    first, second = connect().cursor(), connect().cursor()
    first.execute("CREATE TABLE t (a INTEGER)")
    first.execute("CREATE TABLE writer (a INTEGER)")
    first.connection.commit()
    second.execute("LOCK TABLE writer")  # takes no snapshot
    first.execute("INSERT INTO t VALUES (1)")
    first.connection.commit()
    assert value(second, "SELECT COUNT(*) FROM t") == 1
    first.execute("INSERT INTO t VALUES (2)")
    first.connection.commit()
    assert value(second, "SELECT COUNT(*) FROM t") == 1


def test_two_writers_of_a_row_end_in_error_1023(connect: Connect) -> None:
    first, second = connect().cursor(), connect().cursor()
    first.execute("CREATE TABLE t (a INTEGER)")
    first.execute("INSERT INTO t VALUES (1)")
    first.connection.commit()
    assert value(second, "SELECT COUNT(*) FROM t") == 1
    first.execute("DELETE FROM t")
    first.connection.commit()
    with pytest.raises(psycopg2.InternalError) as caught:
        second.execute("DELETE FROM t")
    assert caught.value.pgcode == "XX000"
    assert caught.value.diag.message_primary == "1023"
    assert "Serializable isolation violation on table" in str(caught.value)


def test_a_lock_is_exclusive_and_ends_with_its_transaction(connect: Connect) -> None:
    first, second = connect().cursor(), connect().cursor()
    first.execute("CREATE TABLE t (a INTEGER)")
    first.connection.commit()
    first.execute("LOCK TABLE t")
    second.execute("SET statement_timeout TO 200")
    with pytest.raises(errors.QueryCanceled, match="cancelled on user's request"):
        second.execute("SELECT * FROM t")
    second.connection.rollback()
    first.connection.rollback()
    second.execute("SELECT * FROM t")


def test_sysdate_is_the_transactions_start_and_getdate_the_statements(connect: Connect) -> None:
    cursor = connect().cursor()
    started = value(cursor, "SELECT SYSDATE")
    assert value(cursor, "SELECT sysdate") == started
    now = value(cursor, "SELECT GETDATE()")
    assert isinstance(now, datetime)
    assert now.microsecond == 0


def test_epoch_milliseconds_become_timestamps(cursor: Cursor) -> None:
    found = value(
        cursor, "SELECT TIMESTAMP 'epoch' + 1541990217796 * INTERVAL '0.001 second' AS moment"
    )
    assert found == datetime.fromisoformat("2018-11-12T02:36:57.796")


def test_settings_of_redshift_are_kept_and_others_refused(cursor: Cursor) -> None:
    cursor.execute("SET query_group TO 'run-1'")
    assert value(cursor, "SHOW query_group") == "run-1"
    cursor.execute("SET enable_result_cache_for_session TO off")
    cursor.execute("SET search_path TO public, other")
    assert value(cursor, "SHOW search_path") == "public, other"
    with pytest.raises(errors.UndefinedObject, match='parameter "lock_timeout"'):
        cursor.execute("SET lock_timeout TO 100")
    with pytest.raises(errors.UndefinedObject, match='parameter "work_mem"'):
        cursor.execute("SHOW work_mem")


def test_privileges_are_those_of_groups_and_roles(standin: StandIn, connect: Connect) -> None:
    owner = connect().cursor()
    for statement in (
        "CREATE SCHEMA s",
        "CREATE TABLE s.t (a INTEGER)",
        "CREATE TABLE s.hidden (a INTEGER)",
        "CREATE USER analyst PASSWORD 'Analyst-1' NOCREATEDB NOCREATEUSER",
        "CREATE GROUP analysts",
        "CREATE ROLE readers",
        "ALTER GROUP analysts ADD USER analyst",
        "GRANT ROLE readers TO analyst",
        "GRANT USAGE ON SCHEMA s TO GROUP analysts",
        "GRANT SELECT, DROP ON TABLE s.t TO ROLE readers",
        f'REVOKE TEMPORARY ON DATABASE "{standin.database}" FROM PUBLIC',
        f"GRANT TEMP ON DATABASE {standin.database} TO ROLE readers",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO GROUP analysts",
    ):
        owner.execute(statement)
    owner.execute("SELECT role_name FROM svv_roles WHERE role_name = 'readers'")
    assert owner.fetchall() == [("readers",)]
    owner.connection.commit()
    analyst = connect(user="analyst", password="Analyst-1").cursor()
    analyst.execute("SELECT * FROM s.t")
    for statement in (
        "SELECT * FROM s.hidden", "INSERT INTO s.t VALUES (1)", "DROP TABLE s.t",
        "SELECT * FROM pg_catalog.standin_load_errors",
    ):  # fmt: skip
        with pytest.raises(errors.InsufficientPrivilege):
            analyst.execute(statement)
        analyst.connection.rollback()
    owner.execute("REVOKE SELECT ON s.t FROM ROLE readers")
    owner.connection.commit()
    with pytest.raises(errors.InsufficientPrivilege):
        analyst.execute("SELECT * FROM s.t")
