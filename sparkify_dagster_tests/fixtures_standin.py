"""Fixtures for Redshift's stand-in: one server a worker, as new for each test.

No test lives here. The stand-in is a surrogate (see the package `standin`).
"""

from collections.abc import Callable, Iterator

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import make_dsn

from sparkify_dagster_tests.fixtures_lake import S3Endpoint
from sparkify_dagster_tests.postgres_server import PostgresServer
from sparkify_dagster_tests.standin import EVERYTHING, Postgres, S3Access, StandIn
from sparkify_dagster_tests.standin.certificates import make_certificate

ROLE = "arn:aws:iam::123456789012:role/reads-the-lake"
Connect = Callable[..., Connection]


def standin_access(endpoint: S3Endpoint) -> S3Access:
    """The endpoint of the tests, with a role that reads all of it."""
    return S3Access(
        endpoint.endpoint_url,
        endpoint.access_key,
        endpoint.secret_key,
        endpoint.region,
        roles={"default": EVERYTHING, ROLE: EVERYTHING},
    )


@pytest.fixture(scope="session")
def standin_server(postgres_server: PostgresServer, s3_endpoint: S3Endpoint) -> Iterator[StandIn]:
    with postgres_server.new_database() as made:
        postgres = Postgres(made.host, made.port, made.user, made.password, made.name)
        with StandIn(postgres, standin_access(s3_endpoint)) as server:
            yield server


@pytest.fixture
def standin(standin_server: StandIn) -> Iterator[StandIn]:
    """Redshift's stand-in without tables, faults or statements of other tests."""
    standin_server.reset()
    yield standin_server
    standin_server.hang_up()


@pytest.fixture
def connect(standin: StandIn) -> Iterator[Connect]:
    """Opens connections with psycopg2; they are closed at the end."""
    opened: list[Connection] = []

    def open_one(**options: str) -> Connection:
        given = {"user": standin.user, "password": standin.password, "dbname": standin.database}
        words = {"host": standin.host, "port": str(standin.port), "sslmode": "disable"}
        opened.append(psycopg2.connect(make_dsn(**(words | given | options))))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()


@pytest.fixture
def tls_standin(
    postgres_server: PostgresServer,
    s3_endpoint: S3Endpoint,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[StandIn, str]]:
    """A stand-in that speaks TLS, and the file of its certificate."""
    certificate = make_certificate(tmp_path_factory.mktemp("tls"))
    with postgres_server.new_database() as made:
        postgres = Postgres(made.host, made.port, made.user, made.password, made.name)
        access = standin_access(s3_endpoint)
        with StandIn(postgres, access, certificate=certificate) as server:
            yield server, str(certificate)
