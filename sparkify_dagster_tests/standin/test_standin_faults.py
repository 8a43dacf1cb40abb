"""Trouble on demand: error 1023, broken connections, slow statements, any other error."""

import threading
import time

import psycopg2
import pytest

from sparkify_dagster_tests.fixtures.lake import S3Endpoint
from sparkify_dagster_tests.fixtures.standin import Connect
from sparkify_dagster_tests.standin import StandIn


@pytest.fixture
def connect_to_table(connect: Connect) -> Connect:
    """Connections to a cluster with an empty table `t`."""
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a INTEGER)")
    return connect


def rows(connect: Connect) -> int:
    with connect().cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM t")
        (count,) = cursor.fetchone() or (-1,)
        return int(count)


def test_error_1023_comes_at_the_nth_statement_and_once(
    standin: StandIn, connect_to_table: Connect
) -> None:
    fault = standin.fail_with_1023(r"^insert into t\b", nth=2)
    connection = connect_to_table()
    cursor = connection.cursor()
    cursor.execute("INSERT INTO t VALUES (1)")
    assert not fault.done.is_set()
    with pytest.raises(psycopg2.InternalError, match="1023") as caught:
        cursor.execute("INSERT INTO t VALUES (2)")
    assert caught.value.pgcode == "XX000"
    assert "Serializable isolation violation on table" in str(caught.value)
    assert fault.done.is_set()
    connection.rollback()
    for number in (1, 2):
        cursor.execute("INSERT INTO t VALUES (%s)", (number,))
    connection.commit()
    assert rows(connect_to_table) == 2


def test_a_connection_that_breaks_before_a_commit_has_committed_nothing(
    standin: StandIn, connect_to_table: Connect
) -> None:
    connection = connect_to_table()
    connection.cursor().execute("INSERT INTO t VALUES (1)")
    standin.drop_connection("^commit")
    with pytest.raises(psycopg2.OperationalError):
        connection.commit()
    assert connection.closed
    assert rows(connect_to_table) == 0


def test_a_connection_that_breaks_after_a_commit_has_committed(
    standin: StandIn, connect_to_table: Connect
) -> None:
    connection = connect_to_table()
    connection.cursor().execute("INSERT INTO t VALUES (1)")
    standin.drop_connection("^commit", after=True)
    with pytest.raises(psycopg2.OperationalError):
        connection.commit()
    assert rows(connect_to_table) == 1


def test_a_connection_that_breaks_in_the_middle_rolls_back(
    standin: StandIn, connect_to_table: Connect
) -> None:
    connection = connect_to_table()
    cursor = connection.cursor()
    cursor.execute("INSERT INTO t VALUES (1)")
    standin.drop_connection("^insert", after=True)
    with pytest.raises(psycopg2.OperationalError):
        cursor.execute("INSERT INTO t VALUES (2)")
    assert rows(connect_to_table) == 0


def test_without_a_transaction_a_statement_outlives_its_connection(
    standin: StandIn, connect_to_table: Connect
) -> None:
    connection = connect_to_table()
    connection.autocommit = True
    standin.drop_connection("^insert", after=True)
    with pytest.raises(psycopg2.OperationalError):
        connection.cursor().execute("INSERT INTO t VALUES (1)")
    assert rows(connect_to_table) == 1


def test_any_other_error_is_sent_as_given(standin: StandIn, connect_to_table: Connect) -> None:
    standin.fail_with("disk full", "^select", code="53100")
    with pytest.raises(psycopg2.OperationalError, match="disk full"):
        rows(connect_to_table)
    assert rows(connect_to_table) == 0


def test_a_slow_copy_keeps_its_rows_to_itself_until_its_end(
    standin: StandIn, connect_to_table: Connect, s3_endpoint: S3Endpoint
) -> None:
    s3_endpoint.put("slow", "a.json", b'{"a": 1}')
    connection = connect_to_table()
    connection.autocommit = True
    copy = "COPY t FROM 's3://slow/a.json' IAM_ROLE default JSON 'auto'"
    fault = standin.slow_down(1)
    started = time.monotonic()
    thread = threading.Thread(target=connection.cursor().execute, args=(copy,))
    thread.start()
    while not standin.statements[-1].text.startswith("COPY"):
        time.sleep(0.01)
    assert rows(connect_to_table) == 0
    assert not fault.done.is_set()
    thread.join()
    assert time.monotonic() - started >= 1
    assert rows(connect_to_table) == 1


def test_a_copy_that_runs_into_the_statement_timeout_leaves_nothing(
    standin: StandIn, connect_to_table: Connect, s3_endpoint: S3Endpoint
) -> None:
    s3_endpoint.put("slow", "b.json", b'{"a": 1}')
    standin.slow_down(20)
    connection = connect_to_table()
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout TO 300")
        with pytest.raises(psycopg2.errors.QueryCanceled):
            cursor.execute("COPY t FROM 's3://slow/b.json' IAM_ROLE default JSON 'auto'")
        cursor.execute("SELECT 1")  # the session is as good as new
    assert rows(connect_to_table) == 0


def test_faults_that_did_not_happen_are_forgotten_by_a_reset(
    standin: StandIn, connect_to_table: Connect
) -> None:
    standin.fail_with_1023("SELECT")
    standin.refuse_logins(1)
    standin.reset()
    with connect_to_table().cursor() as cursor:
        cursor.execute("SELECT 1")
