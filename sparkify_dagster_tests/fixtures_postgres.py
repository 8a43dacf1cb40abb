"""Fixtures for PostgreSQL: one real server a worker, a fresh database a test.

No test lives here; the server itself is in postgres_server.py.
"""

from collections.abc import Iterator

import pytest

from sparkify_dagster_tests.postgres_server import Database, PostgresServer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[Database]:
    with postgres_server.new_database() as database:
        yield database
