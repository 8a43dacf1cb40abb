"""`sparkify doctor` on a server: every failure is a real one, and told apart from the others."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg2 import sql

from sparkify_dagster_tests.engines.postgres_server import Database, PostgresServer
from sparkify_dagster_tests.fixtures.cli import Done, Project
from sparkify_dagster_tests.fixtures.engines import standin_environ
from sparkify_dagster_tests.fixtures.lake import CREDENTIALS, S3Endpoint
from sparkify_dagster_tests.fixtures.standin import ROLE, standin_access
from sparkify_dagster_tests.fixtures.warehouse import TABLE_COUNT
from sparkify_dagster_tests.grammar.gate import problems_of_session
from sparkify_dagster_tests.standin import EVERYTHING, Postgres, StandIn
from sparkify_dagster_tests.standin.certificates import make_certificate

PASSWORD = "planted-password-0123456789"


@pytest.fixture
def on_postgres(project: Project, postgres_database: Database) -> Project:
    """The small lake, and an empty database for it."""
    project.environment.update(postgres_database.environ())
    return project


@pytest.fixture
def over_tls(
    project: Project,
    postgres_server: PostgresServer,
    s3_endpoint: S3Endpoint,
    tmp_path: Path,
) -> Iterator[tuple[Project, Path]]:
    """A server with a certificate that nobody signed, for 127.0.0.1 and `elsewhere.example`.

    It is Redshift's stand-in: the PostgreSQL of the wheel is built without TLS.
    """
    certificate = make_certificate(tmp_path, "elsewhere.example")
    with postgres_server.new_database() as made:
        postgres = Postgres(made.host, made.port, made.user, made.password, made.name)
        access = standin_access(s3_endpoint)
        with StandIn(postgres, access, certificate=certificate) as server:
            project.environment.update(CREDENTIALS | standin_environ(server, s3_endpoint))
            yield project, certificate


def diagnosis(project: Project, **environment: str) -> Done:
    """What the doctor says: marked lines, nothing changed, and nowhere a password."""
    cluster = {f"SPARKIFY_CLUSTER_{name}": value for name, value in environment.items()}
    before = project.files()
    done = project.sparkify("doctor", **cluster)
    assert project.files() == before
    assert all(line[:2] in ("✓ ", "! ", "✗ ") for line in done.out.splitlines()), done.out
    assert ("✗ " in done.out) == (done.status == 1)
    assert "Traceback" not in done.err
    for secret in (
        PASSWORD,
        project.environment["SPARKIFY_CLUSTER_DB_PASSWORD"],
        cluster.get("SPARKIFY_CLUSTER_DB_PASSWORD", PASSWORD),
    ):
        assert secret not in done.out + done.err
    return done


def failure(project: Project, **environment: str) -> str:
    """The one thing that has to be mended."""
    done = diagnosis(project, **environment)
    [line] = [line for line in done.out.splitlines() if line.startswith("✗ ")]
    assert " → " in line, "it says what to do"
    return line.removeprefix("✗ ")


@contextmanager
def listening(backlog: int = 1) -> Iterator[socket.socket]:
    """Something that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(backlog)
        yield listener


# What is well


def test_an_empty_database_is_ready_for_the_first_run(on_postgres: Project) -> None:
    done = diagnosis(on_postgres)
    assert done.status == 0, done.out
    assert "lets postgres in, without TLS on this machine" in done.out
    assert "✓ clock: this machine and the server agree" in done.out
    assert "has no tables yet; the first run makes it" in done.out
    assert "duckdb" not in done.out.lower().partition("packages")[2].partition("\n")[2]


@pytest.mark.slow
def test_a_loaded_database_is_healthy(on_postgres: Project) -> None:
    loaded = on_postgres.sparkify("run")
    assert loaded.status == 0, loaded.err
    name = on_postgres.environment["SPARKIFY_CLUSTER_DB_NAME"]
    assert f"/{name}\n" in loaded.out.partition("Warehouse: PostgreSQL ")[2]
    done = diagnosis(on_postgres)
    assert done.status == 0, done.out
    assert "! " not in done.out
    assert f"{TABLE_COUNT} of {TABLE_COUNT} tables" in done.out
    assert "✓ tables: up to date with the lake" in done.out
    assert "✓ grants: this user may read and write the tables" in done.out


# Getting there


def test_a_host_name_that_does_not_exist(on_postgres: Project) -> None:
    said = failure(on_postgres, HOST="no-such-host.invalid")
    assert said.startswith("server name: ")
    assert "no-such-host.invalid" in said


def test_a_closed_port(on_postgres: Project) -> None:
    with listening() as listener:
        port = listener.getsockname()[1]
    said = failure(on_postgres, DB_PORT=str(port))
    assert said.startswith(f"server: nothing listens at 127.0.0.1:{port} → ")
    assert "DB_PORT" in said


def test_packets_that_are_dropped(on_postgres: Project) -> None:
    with listening(0) as listener, socket.socket() as one, socket.socket() as two:
        for held in (one, two):  # the queue of the listener is full: nobody answers any more
            held.setblocking(False)
            held.connect_ex(listener.getsockname())
        port = listener.getsockname()[1]
        said = failure(on_postgres, DB_PORT=str(port), CONNECT_TIMEOUT="2")
    assert said.startswith(f"server: nothing answers at 127.0.0.1:{port} within 2 s → ")
    assert "security group" in said


def test_something_that_never_answers(on_postgres: Project) -> None:
    with listening() as listener:
        port = listener.getsockname()[1]
        said = failure(on_postgres, DB_PORT=str(port), CONNECT_TIMEOUT="2")
    assert said.startswith(f"server: 127.0.0.1:{port} takes connections and then says nothing")


@pytest.mark.s3
def test_another_kind_of_server(on_postgres: Project, s3_endpoint: S3Endpoint) -> None:
    port = s3_endpoint.endpoint_url.rpartition(":")[2]
    said = failure(on_postgres, DB_PORT=port)
    assert f"127.0.0.1:{port} is not PostgreSQL" in said


# TLS


def test_a_server_without_tls(on_postgres: Project) -> None:
    said = failure(on_postgres, SSLMODE="require")
    assert said.startswith("TLS: the server has no TLS, and SSLMODE = require asks for it → ")


def test_a_server_over_tls_that_is_trusted(over_tls: tuple[Project, Path]) -> None:
    project, certificate = over_tls
    done = diagnosis(project, SSLMODE="verify-full", SSLROOTCERT=str(certificate))
    assert done.status == 0, done.out
    assert "lets awsuser in, over TLSv1.3" in done.out


def test_a_certificate_that_nobody_trusts(over_tls: tuple[Project, Path]) -> None:
    said = failure(over_tls[0], SSLMODE="verify-full")
    assert said.startswith("TLS: the certificate of the server is not trusted: self-signed")
    assert "SSLROOTCERT" in said


def test_a_certificate_for_another_name(over_tls: tuple[Project, Path]) -> None:
    project, certificate = over_tls
    said = failure(project, HOST="localhost", SSLMODE="verify-full", SSLROOTCERT=str(certificate))
    assert said.startswith("TLS: the certificate of the server is for elsewhere.example")
    assert "not for localhost" in said


def test_a_file_of_certificates_that_is_missing(over_tls: tuple[Project, Path]) -> None:
    project, certificate = over_tls
    missing = str(certificate.with_name("gone.pem"))
    said = failure(project, SSLMODE="verify-full", SSLROOTCERT=missing)
    assert said.startswith(f"TLS: the file of certificates {missing} cannot be used → ")


def test_a_file_that_holds_no_certificates(over_tls: tuple[Project, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    said = failure(over_tls[0], SSLMODE="verify-full", SSLROOTCERT=str(empty))
    assert said.startswith(f"TLS: the file of certificates {empty} cannot be used → ")


def test_modes_that_do_not_go_together(over_tls: tuple[Project, Path]) -> None:
    said = failure(over_tls[0], SSLMODE="verify-ca")
    assert said.startswith("TLS: SSLMODE = verify-ca does not go with SSLROOTCERT = system → ")


# Being let in


def test_a_wrong_password(on_postgres: Project) -> None:
    said = failure(on_postgres, DB_PASSWORD=PASSWORD)
    assert said.startswith("login: the server refuses postgres: password authentication failed")
    assert "SPARKIFY_CLUSTER_DB_PASSWORD" in said


def test_a_user_that_does_not_exist(on_postgres: Project) -> None:
    said = failure(on_postgres, DB_USER="nobody_here")
    assert said.startswith("login: the server refuses nobody_here: ")


def test_no_password_at_all(on_postgres: Project) -> None:
    done = on_postgres.sparkify("doctor", SPARKIFY_CLUSTER_DB_PASSWORD="")
    assert "✗ login: the server refuses postgres" in done.out


def test_a_database_that_does_not_exist(on_postgres: Project) -> None:
    said = failure(on_postgres, DB_NAME="nowhere")
    assert said.startswith("database: there is no database nowhere on this server → ")


def test_a_user_who_may_not_connect(on_postgres: Project, postgres_database: Database) -> None:
    with person(postgres_database) as user:
        run(postgres_database, f"REVOKE CONNECT ON DATABASE {postgres_database.name} FROM PUBLIC")
        said = failure(on_postgres, DB_USER=user, DB_PASSWORD=PASSWORD)
    assert said.startswith(f"database: {user} may not connect to database ")


def test_a_secret_that_cannot_be_had(on_postgres: Project) -> None:
    clean = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    on_postgres.environment.update(clean | {"AWS_EC2_METADATA_DISABLED": "true"})
    done = diagnosis(on_postgres, LOGIN="secret", SECRET_ID="some-secret")
    assert "✗ login: Cannot log in (LOGIN = secret). There are no AWS credentials" in done.out


# What the user may do


def test_a_user_who_may_make_nothing(on_postgres: Project, postgres_database: Database) -> None:
    with person(postgres_database) as user:
        said = failure(on_postgres, DB_USER=user, DB_PASSWORD=PASSWORD)
    assert said.startswith(
        "grants: public_state does not exist, and this user may not make schemas"
    )
    assert "sparkify tables create" in said


def test_a_user_without_grants(on_postgres: Project, postgres_database: Database) -> None:
    assert on_postgres.sparkify("tables", "create").status == 0
    with person(postgres_database) as user:
        said = failure(on_postgres, DB_USER=user, DB_PASSWORD=PASSWORD)
    assert said.startswith("grants: this user may not use the schema public_state → ")
    assert "sparkify tables grant" in said


def test_a_user_with_some_grants(on_postgres: Project, postgres_database: Database) -> None:
    assert on_postgres.sparkify("tables", "create").status == 0
    with person(postgres_database) as user:
        for schema in ("public", "public_state"):
            run(postgres_database, f"GRANT USAGE ON SCHEMA {schema} TO {user}")
            run(
                postgres_database,
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {user}",
            )
        run(postgres_database, f"REVOKE DELETE ON users, time FROM {user}")
        said = failure(on_postgres, DB_USER=user, DB_PASSWORD=PASSWORD)
        assert said.startswith("grants: this user lacks DELETE on public.time and public.users → ")
        run(postgres_database, "DROP TABLE songplays")
        done = diagnosis(on_postgres, DB_USER=user, DB_PASSWORD=PASSWORD)
    assert "✗ grants: public has no table songplays, and this user may not make tables" in done.out


# Redshift, on its stand-in


@pytest.fixture
def on_redshift(
    project: Project,
    standin: StandIn,
    s3_endpoint: S3Endpoint,
) -> Project:
    s3_endpoint.put_folder("doctors", project.lake)
    project.environment.update(
        CREDENTIALS
        | standin_environ(standin, s3_endpoint)
        | {
            "SPARKIFY_S3_LOG_DATA": "s3://doctors/log_data",
            "SPARKIFY_S3_SONG_DATA": "s3://doctors/song_data",
        }
    )
    return project


@pytest.mark.s3
def test_redshift_is_asked_whether_its_role_reads_the_scratch_prefix(
    on_redshift: Project, standin: StandIn, s3_endpoint: S3Endpoint
) -> None:
    done = diagnosis(on_redshift)
    assert done.status == 0, done.out
    assert "✓ scratch: s3://scratch/copies can be written to" in done.out
    assert "✓ S3 access: Redshift reads s3://scratch/copies/" in done.out
    assert "with the role default" in done.out
    assert [path for path in (s3_endpoint.root / "scratch").rglob("*") if path.is_file()] == []
    copies = [s for s in standin.statements if s.text.startswith("COPY sparkify_probe")]
    assert copies
    for copy in copies:
        session = [s.text for s in standin.statements if s.session == copy.session]
        assert "COMMIT" not in session
        assert problems_of_session(session) == []


@pytest.mark.s3
def test_a_role_that_may_not_read_the_lake(on_redshift: Project, standin: StandIn) -> None:
    with_access(standin, roles={"default": ("s3://scratch/",)})
    on_redshift.environment["SPARKIFY_LOAD_REDSHIFT_READS_LOGS"] = "yes"
    said = failure(on_redshift)
    assert said.startswith("S3 access: the role default may not read s3://doctors/log_data/2018/11")


@pytest.mark.slow
@pytest.mark.s3
def test_a_loaded_redshift_is_healthy(on_redshift: Project) -> None:
    loaded = on_redshift.sparkify("run")
    assert loaded.status == 0, loaded.err
    done = diagnosis(on_redshift)
    assert done.status == 0, done.out
    assert f"{TABLE_COUNT} of {TABLE_COUNT} tables" in done.out
    assert "✓ grants: this user may read and write the tables" in done.out
    assert "! " not in done.out


def with_access(standin: StandIn, **changes: object) -> None:
    standin.copying = replace(standin.copying, access=replace(standin.copying.access, **changes))


@pytest.mark.s3
def test_a_role_that_is_not_attached(on_redshift: Project, standin: StandIn) -> None:
    with_access(standin, roles={ROLE: EVERYTHING})
    said = failure(on_redshift)
    assert said.startswith("S3 access: Redshift cannot take the role default: ")
    assert "Attach the role" in said


@pytest.mark.s3
def test_a_role_that_may_not_read_there(on_redshift: Project, standin: StandIn) -> None:
    with_access(standin, roles={"default": ("s3://doctors/",)})
    said = failure(on_redshift)
    assert said.startswith("S3 access: the role default may not read s3://scratch/copies/")
    assert "s3:GetObject" in said


@pytest.mark.s3
def test_a_bucket_of_another_region(on_redshift: Project, standin: StandIn) -> None:
    with_access(standin, bucket_regions={"scratch": "eu-west-1"})
    said = failure(on_redshift)
    assert said.startswith("S3 access: the bucket is not in us-east-1: ")


@pytest.mark.s3
def test_a_scratch_bucket_that_is_not_there(on_redshift: Project) -> None:
    on_redshift.environment["SPARKIFY_S3_SCRATCH"] = "s3://no-such-bucket/work"
    done = diagnosis(on_redshift)
    assert "✗ scratch: [S3] SCRATCH: The bucket no-such-bucket does not exist" in done.out


@pytest.mark.s3
def test_a_redshift_that_refuses_the_password(on_redshift: Project) -> None:
    said = failure(on_redshift, DB_PASSWORD=PASSWORD)
    assert said.startswith("login: the server refuses awsuser: ")


@pytest.mark.s3
def test_jsonpaths_on_s3_are_read_and_checked(
    on_redshift: Project, s3_endpoint: S3Endpoint
) -> None:
    s3_endpoint.put("doctors", "paths.json", b'{"jsonpaths": ["$.artist"]}')
    on_redshift.environment["SPARKIFY_S3_LOG_JSONPATH"] = "s3://doctors/paths.json"
    said = failure(on_redshift)
    assert said.startswith("JSONPaths: s3://doctors/paths.json: expected ")


# People


@contextmanager
def person(database: Database) -> Iterator[str]:
    """A user who may log in and nothing else."""
    user = f"person_{database.name}"
    made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
    run(database, made.format(sql.Identifier(user), sql.Literal(PASSWORD)))
    try:
        yield user
    finally:
        run(database, f"DROP OWNED BY {user}")
        run(database, f"DROP ROLE {user}")


def run(database: Database, statement: str | sql.Composed) -> None:
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        connection.commit()


def test_a_database_that_cannot_hold_every_text_is_found(
    on_postgres: Project, postgres_database: Database
) -> None:
    name = f"{on_postgres.environment['SPARKIFY_CLUSTER_DB_NAME']}_latin1"
    with closing(postgres_database.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        said = failure(on_postgres, DB_NAME=name)
    finally:
        with closing(postgres_database.connect()) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f"DROP DATABASE {name}")
    assert said.startswith(f"encoding: database {name} is in LATIN1, which cannot hold every text")
