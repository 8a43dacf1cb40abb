"""The engines under test: DuckDB runs every example, the others the contract that all hold.

A test that takes `platform` or `engine` runs on DuckDB, and with the mark `every_engine` once for
each of them. The stand-in takes Redshift's place: it is a surrogate, and no test of it says that
Redshift passed.
"""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sparkify_dagster.catalogue.catalogue import Catalogue
from sparkify_dagster_tests.fixtures_lake import S3Endpoint, use_credentials
from sparkify_dagster_tests.fixtures_warehouse import FolderLake, Platform, make_platform
from sparkify_dagster_tests.postgres_server import Database, PostgresServer
from sparkify_dagster_tests.standin import StandIn

ENGINES = ("duckdb", "postgres", "redshift")
SCRATCH = "scratch/copies"
"""The bucket and prefix of what the stand-in copies."""
_numbers = itertools.count(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Which engines a test runs on, unless it names them itself."""
    named = {
        name.strip()
        for mark in metafunc.definition.iter_markers("parametrize")
        for name in (mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0])
    }
    whole = metafunc.definition.get_closest_marker("every_engine") is not None
    for fixture in {"engine", "module_engine"} & set(metafunc.fixturenames) - named:
        scope = "module" if fixture == "module_engine" else "function"
        engines = ENGINES if whole else ENGINES[:1]
        metafunc.parametrize(fixture, engines, indirect=True, scope=scope)


@dataclass
class EngineUnderTest:
    """Makes platforms on one engine, each with tables of its own."""

    name: str
    environ: Mapping[str, str] = field(default_factory=dict)

    def platform(
        self, folder: Path, lake: Path, catalogue: Catalogue | None = None, **overrides: object
    ) -> Platform:
        """The platform of `folder/dwh.cfg`; made twice for one folder, it is over one warehouse."""
        given = {name.removeprefix("SPARKIFY_"): value for name, value in self.environ.items()}
        if self.name != "duckdb":
            given["WAREHOUSE_SCHEMA"] = self._schema(folder)
        return make_platform(folder, lake, catalogue, **(given | overrides))

    def _schema(self, folder: Path) -> str:
        folder.mkdir(parents=True, exist_ok=True)
        note = folder / "schema"
        if not note.exists():
            note.write_text(f"s{next(_numbers)}")
        return note.read_text()


@pytest.fixture(scope="session")
def engine_database(postgres_server: PostgresServer) -> Iterator[Database]:
    with postgres_server.new_database() as database:
        yield database


def standin_environ(standin: StandIn, endpoint: S3Endpoint) -> dict[str, str]:
    """The variables that point the platform to Redshift's stand-in."""
    (endpoint.root / SCRATCH).mkdir(parents=True, exist_ok=True)
    return standin.environ() | {"SPARKIFY_S3_SCRATCH": f"s3://{SCRATCH}"}


@contextmanager
def _under_test(request: pytest.FixtureRequest) -> Iterator[EngineUnderTest]:
    if request.param == "duckdb":
        yield EngineUnderTest("duckdb")
    elif request.param == "postgres":
        database: Database = request.getfixturevalue("engine_database")
        yield EngineUnderTest("postgres", database.environ())
    else:
        endpoint: S3Endpoint = request.getfixturevalue("s3_endpoint")
        standin: StandIn = request.getfixturevalue("standin_server")
        with pytest.MonkeyPatch.context() as patch:
            use_credentials(patch)
            yield EngineUnderTest("redshift", standin_environ(standin, endpoint))


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[EngineUnderTest]:
    with _under_test(request) as under_test:
        yield under_test


@pytest.fixture(scope="module")
def module_engine(request: pytest.FixtureRequest) -> Iterator[EngineUnderTest]:
    """For what several tests of a module share."""
    with _under_test(request) as under_test:
        yield under_test


@pytest.fixture
def platform(engine: EngineUnderTest, tmp_path: Path, folder_lake: FolderLake) -> Platform:
    """An empty warehouse over an empty folder lake that accepts no bad line beyond the usual."""
    return engine.platform(tmp_path, folder_lake.root)
