"""Fixtures for the command line: a project folder with a small lake, and `sparkify` run in it.

Commands run in this process, which spares each the imports, and answer the questions that its
test's platforms do; those for which it matters run as processes of their own, as a user's do. No
test lives here.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from sparkify_dagster.cli.main import sparkify
from sparkify_dagster_tests.fixtures_dagster import FIRST, LAST, SmallLake, link_files, made_once
from sparkify_dagster_tests.fixtures_lake import CREDENTIALS, S3Endpoint

SPARKIFY = Path(sys.executable).with_name("sparkify")


@dataclass(frozen=True)
class Done:
    """What became of a command."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one message of a command that failed; what is more than one fails the test."""
        assert self.status != 0, self.out
        assert "Traceback" not in self.out + self.err, self.err
        assert self.err.count("Error:") == 1, self.err
        return self.err.partition("Error: ")[2].strip()


@dataclass(frozen=True)
class Project:
    """A folder with a dwh.cfg, and the environment in which commands run there."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse" / "sparkify.duckdb"

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    def sparkify(self, *arguments: str, given: str = "", **environment: str) -> Done:
        """What the command does, in this process."""
        everything = self.whole_environment | environment
        with chdir(self.folder), patch.dict(os.environ, everything, clear=True):
            done = CliRunner().invoke(sparkify, arguments, input=given, prog_name="sparkify")
        return Done(done.exit_code, done.stdout, done.stderr)

    def process(self, *arguments: str, **environment: str) -> Done:
        """The command as a process of its own."""
        return self._process([SPARKIFY, *arguments], **environment)

    def python(self, code: str, *arguments: str) -> Done:
        """Python code in a process of its own, with these command-line arguments."""
        return self._process([sys.executable, "-c", code, *arguments])

    def _process(self, command: Sequence[str | Path], **environment: str) -> Done:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.whole_environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [SPARKIFY, *arguments],
            cwd=self.folder,
            env=self.whole_environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def whole_environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SPARKIFY_", "DAGSTER_", "AWS_"))
        }
        return inherited | {"PYTHONUTF8": "1"} | self.environment

    def value(self, sql: str) -> str:
        """The one value of a query."""
        done = self.sparkify("query", sql, "--format", "csv")
        assert done.status == 0, done.err
        return done.out.splitlines()[1]

    def files(self) -> dict[str, bytes]:
        """Everything that there is in the folder, to see what a command changed."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}


def project_in(folder: Path, first: str = str(FIRST), last: str = str(LAST)) -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dwh.cfg").write_text(
        "[S3]\nLOG_DATA = lake/log_data\nSONG_DATA = lake/song_data\n"
        f"[PARTITIONS]\nFIRST_DAY = {first}\nLAST_DAY = {last}\n",
        encoding="utf-8",
    )
    return Project(folder)


@pytest.fixture
def empty_project(tmp_path: Path) -> Project:
    """A configuration, and no lake yet."""
    return project_in(tmp_path / "project")


@pytest.fixture
def project(empty_project: Project) -> Project:
    """A configuration and the small lake of three days, nothing loaded."""
    SmallLake(empty_project.lake)
    return empty_project


def _load(folder: Path) -> None:
    project = project_in(folder)
    SmallLake(project.lake)
    done = project.process("run")
    assert done.status == 0, done.err


def _copied(original: Path, folder: Path) -> Project:
    project = project_in(folder)
    for name in ("warehouse", ".dagster"):
        shutil.copytree(original / name, project.folder / name)
    link_files(original / "lake", project.lake)
    return project


@pytest.fixture(scope="session")
def _loaded_first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "loaded-project", _load)


@pytest.fixture(scope="session")
def loaded_once(_loaded_first: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small lake loaded, with every question; for tests that only read."""
    return _copied(_loaded_first, tmp_path_factory.mktemp("loaded"))


@pytest.fixture
def loaded(_loaded_first: Path, tmp_path: Path) -> Project:
    """The small lake loaded, in a folder of its own."""
    return _copied(_loaded_first, tmp_path / "project")


@pytest.fixture
def on_s3(empty_project: Project, s3_endpoint: S3Endpoint) -> Project:
    """A configuration whose lake is a bucket that exists."""
    s3_endpoint.put("cli-errors", "log_data/2018/11/2018-11-01-events.json", b"")
    s3_endpoint.put("cli-errors", "song_data/.keep", b"")
    empty_project.environment.update(
        CREDENTIALS
        | {
            "SPARKIFY_S3_LOG_DATA": "s3://cli-errors/log_data",
            "SPARKIFY_S3_SONG_DATA": "s3://cli-errors/song_data",
            "SPARKIFY_S3_ENDPOINT_URL": s3_endpoint.endpoint_url,
            "SPARKIFY_S3_REGION": s3_endpoint.region,
        }
    )
    return empty_project
