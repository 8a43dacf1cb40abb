"""The stand-in as a server: logins, TLS, what it reports, what it does not speak, cancelling."""

import socket
import struct
import subprocess
import sys

import psycopg2
import pytest
from psycopg2 import errors
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, QueryCanceledError, make_dsn

from sparkify_dagster_tests.fixtures.standin import Connect
from sparkify_dagster_tests.standin import StandIn


def test_psycopg2_sees_redshifts_version_and_encoding(connect: Connect) -> None:
    connection = connect()
    assert connection.server_version == 80002
    assert connection.encoding == "UNICODE"
    assert connection.get_parameter_status("standard_conforming_strings") is None


@pytest.mark.parametrize("value", ["a\\b", "o'clock", "ä 猫 🎵", "a\nb\t\\n", "%s", "\\'"])
def test_a_bound_text_arrives_as_it_was(connect: Connect, value: str) -> None:
    with connect().cursor() as cursor:
        cursor.execute("SELECT %s", (value,))
        assert cursor.fetchall() == [(value,)]


def test_a_wrong_password_is_refused(connect: Connect) -> None:
    with pytest.raises(
        psycopg2.OperationalError, match='password authentication failed for user "'
    ):
        connect(password="wrong")


def test_an_unknown_user_is_refused_as_a_wrong_password_is(connect: Connect) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect(user="nobody")


def test_an_unknown_database_is_refused(connect: Connect) -> None:
    with pytest.raises(psycopg2.OperationalError, match='database "other" does not exist'):
        connect(dbname="other")


def test_the_sessions_number_is_the_same_wherever_it_is_shown(connect: Connect) -> None:
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), current_database()")
        assert cursor.fetchall() == [(connection.info.backend_pid, connection.info.dbname)]


def test_startup_options_are_refused(connect: Connect) -> None:
    with pytest.raises(psycopg2.OperationalError, match="startup options"):
        connect(options="-c statement_timeout=5")


def test_temporary_credentials_work_as_the_database_user(
    standin: StandIn, connect: Connect
) -> None:
    with connect().cursor() as cursor:
        cursor.execute("CREATE USER loader PASSWORD DISABLE")
        cursor.connection.commit()
    standin.allow("IAM:loader", "first")
    standin.allow("IAM:loader", "second")
    for password in ("first", "second"):
        with connect(user="IAM:loader", password=password).cursor() as cursor:
            cursor.execute("SELECT current_user")
            assert cursor.fetchall() == [("loader",)]
    with pytest.raises(psycopg2.OperationalError):
        connect(user="loader", password="first")
    standin.forbid("IAM:loader")
    with pytest.raises(psycopg2.OperationalError):
        connect(user="IAM:loader", password="first")


def test_a_user_that_was_created_logs_in_with_its_password(connect: Connect) -> None:
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER analyst PASSWORD 'Analyst-1'")
    with connect(user="analyst", password="Analyst-1").cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchall() == [("analyst",)]


def test_without_a_certificate_tls_is_declined(connect: Connect) -> None:
    with pytest.raises(psycopg2.OperationalError, match="server does not support SSL"):
        connect(sslmode="require")
    assert connect(sslmode="prefer").status


def test_with_a_certificate_verify_full_works_for_who_trusts_it(
    tls_standin: tuple[StandIn, str],
) -> None:
    server, certificate = tls_standin
    words = {"port": str(server.port), "user": server.user, "password": server.password}
    words |= {"dbname": server.database, "sslmode": "verify-full"}
    dsn = make_dsn(host="localhost", hostaddr="127.0.0.1", sslrootcert=certificate, **words)
    connection = psycopg2.connect(dsn)
    assert connection.info.ssl_in_use
    connection.close()
    with pytest.raises(psycopg2.OperationalError, match="certificate verify failed"):
        psycopg2.connect(make_dsn(host="localhost", sslrootcert="system", **words))
    with pytest.raises(psycopg2.OperationalError, match="does not match host name"):
        psycopg2.connect(
            make_dsn(host="other.test", hostaddr="127.0.0.1", sslrootcert=certificate, **words)
        )


def test_a_cluster_that_requires_tls_says_so(standin: StandIn, connect: Connect) -> None:
    standin.requires_tls = True
    with pytest.raises(psycopg2.OperationalError, match="SSL off"):
        connect()


def test_logins_are_refused_as_often_as_asked(standin: StandIn, connect: Connect) -> None:
    standin.refuse_logins(2)
    for _ in range(2):
        with pytest.raises(psycopg2.OperationalError, match="connection limit exceeded"):
            connect()
    assert connect().status


def test_several_statements_in_one_text_are_refused(connect: Connect) -> None:
    with connect().cursor() as cursor:
        with pytest.raises(errors.SyntaxError, match="multiple commands"):
            cursor.execute("SELECT 1; SELECT 2")
        cursor.connection.rollback()
        cursor.execute("SELECT ';';")
        assert cursor.fetchall() == [(";",)]


def test_the_extended_protocol_is_refused_and_the_session_goes_on(connect: Connect) -> None:
    connection = connect()
    parse = b"P" + struct.pack("!I", 4 + 1 + 9 + 2) + b"\0SELECT 1\0\0\0"
    with socket.socket(fileno=connection.fileno()) as raw:
        raw.setblocking(True)
        raw.sendall(parse + b"S" + struct.pack("!I", 4))
        answer = raw.recv(4096)
        raw.detach()
    assert answer[:1] == b"E"
    assert b"extended query protocol" in answer
    assert answer.endswith(b"Z\0\0\0\5I")


def test_a_statement_is_cancelled(standin: StandIn, connect: Connect) -> None:
    # In a process of its own: psycopg2 holds the interpreter until its cancel is answered.
    standin.slow_down(30, "SELECT 1")
    code = (
        "import sys, threading, psycopg2\n"
        "connection = psycopg2.connect(sys.argv[1])\n"
        "threading.Timer(0.3, connection.cancel).start()\n"
        "connection.cursor().execute('SELECT 1')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, connect().dsn.replace("password=xxx", "")],
        env={"PGPASSWORD": standin.password},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert "QueryCanceled" in done.stderr, done.stderr
    assert "cancelled on user's request" in done.stderr


def test_statement_timeout_ends_a_slow_statement(standin: StandIn, connect: Connect) -> None:
    with connect().cursor() as cursor:
        cursor.execute("SET statement_timeout TO 200")
        cursor.connection.commit()
        standin.slow_down(30, "SELECT 1")
        with pytest.raises(QueryCanceledError, match="cancelled"):
            cursor.execute("SELECT 1")


def test_every_statement_is_recorded_exactly_as_it_came(standin: StandIn, connect: Connect) -> None:
    connection = connect()
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("SELECT  %s -- why", ("x\\y",))
    with pytest.raises(errors.SyntaxError):
        cursor.execute("NONSENSE")
    assert [(s.text, s.error) for s in standin.statements] == [
        ("SELECT  'x\\\\y' -- why", ""),
        ("NONSENSE", 'syntax error at or near "NONSENSE"'),
    ]
    assert {s.user for s in standin.statements} == {standin.user}


def test_a_restart_ends_sessions_and_rolls_them_back(standin: StandIn, connect: Connect) -> None:
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (a INTEGER)")
        connection.commit()
        cursor.execute("INSERT INTO kept VALUES (1)")
        standin.hang_up()
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT 1")
    assert connection.closed
    with connect().cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM kept")
        assert cursor.fetchall() == [(0,)]


def test_floats_are_shown_with_fifteen_digits_unless_asked_otherwise(connect: Connect) -> None:
    with connect().cursor() as cursor:
        cursor.execute("SELECT CAST('0.1' AS DOUBLE PRECISION) + CAST('0.2' AS DOUBLE PRECISION)")
        assert cursor.fetchall() == [(0.3,)]
        cursor.execute("SET extra_float_digits TO 2")
        cursor.execute("SELECT CAST('0.1' AS DOUBLE PRECISION) + CAST('0.2' AS DOUBLE PRECISION)")
        assert cursor.fetchall() == [(0.30000000000000004,)]


def test_after_a_reset_nothing_of_before_is_left(standin: StandIn, connect: Connect) -> None:
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA old")
        cursor.execute("CREATE TABLE old.t (a INTEGER)")
        cursor.execute("CREATE USER former PASSWORD 'Former-1'")
    standin.fail_with_1023("SELECT")
    standin.reset()
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA old")
        cursor.execute("CREATE USER former PASSWORD 'Former-1'")
    assert connection.info.transaction_status == TRANSACTION_STATUS_IDLE
    assert not any("old.t" in s.text for s in standin.statements)
