"""Runs over the small lake that several tests share: made once by each process of the suite.

`finished` is for tests that only look. `resumed` is a copy, for tests that go on from there. What
a test wants to know of another run it lets that run do itself, or keeps with `run_small`.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from sparkify_dagster.catalogue.catalogue import Catalogue
from sparkify_dagster.defs import runs
from sparkify_dagster.defs.instance.home import open_instance
from sparkify_dagster.settings import Settings
from sparkify_dagster.warehouse import Platform, open_platform
from sparkify_dagster.warehouse.run_events import Event
from sparkify_dagster_tests.fixtures.dagster import (
    THREE_DAYS,
    SmallLake,
    link_files,
    small_settings_in,
)
from sparkify_dagster_tests.fixtures.warehouse import FEW_QUESTIONS, with_questions


@dataclass(frozen=True)
class SmallRun:
    """What a run of all assets over the three days left behind, and what it said."""

    lake: SmallLake
    settings: Settings
    platform: Platform
    instance: dg.DagsterInstance
    done: runs.RunResult
    heard: tuple[Event, ...]


@dataclass(frozen=True)
class KeptRun:
    """A run whose folder nobody opens: it is copied, as often as a test wants what it left."""

    folder: Path
    catalogue: Catalogue
    done: runs.RunResult
    heard: tuple[Event, ...]

    @contextmanager
    def copied(self, folder: Path) -> Iterator[SmallRun]:
        """A copy with a lake, a warehouse and an instance of its own.

        The files of its lake are links; a test replaces or removes them, and writes into none.
        """
        for name in ("home", "warehouse"):
            shutil.copytree(self.folder / name, folder / name)
        link_files(self.folder / "lake", folder / "lake")
        lake = SmallLake(folder / "lake", fill=False)
        settings = small_settings_in(folder)
        platform = open_platform(settings, self.catalogue)
        before = versions(self.folder / "lake")
        with open_instance(settings) as instance:
            yield SmallRun(lake, settings, platform, instance, self.done, self.heard)
        assert versions(self.folder / "lake") == before, "a file that others read was changed"


def versions(folder: Path) -> Mapping[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_ctime_ns, path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file()
    }


def run_small(
    folder: Path,
    catalogue: Catalogue | None = None,
    *,
    change: Callable[[SmallLake], object] = lambda _: None,
) -> KeptRun:
    """Run all assets over the small lake, with these changes; whether it succeeds is not asked."""
    change(SmallLake(folder / "lake"))
    settings = small_settings_in(folder)
    catalogue = catalogue or with_questions(*FEW_QUESTIONS)
    heard: list[Event] = []
    with open_instance(settings) as instance:
        platform = open_platform(settings, catalogue)
        done = runs.materialize(platform, instance, days=THREE_DAYS, observer=heard.append)
    return KeptRun(folder, catalogue, done, tuple(heard))


@pytest.fixture(scope="session")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> KeptRun:
    return run_small(tmp_path_factory.mktemp("run-once"))


@pytest.fixture(scope="session")
def _finished(run_once: KeptRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallRun]:
    with run_once.copied(tmp_path_factory.mktemp("finished")) as run:
        yield run


@pytest.fixture
def finished(_finished: SmallRun) -> Iterator[SmallRun]:
    """The run that all tests share which only look at one."""
    warehouse = _finished.settings.duckdb.path.parent
    before = versions(warehouse)
    yield _finished
    assert _finished.instance.get_runs_count() == 1, "a run of its own wants `resumed`"
    assert versions(warehouse) == before, "a test that writes wants `resumed`"


@pytest.fixture
def resumed(run_once: KeptRun, tmp_path: Path) -> Iterator[SmallRun]:
    """That run in a folder of its own, for a test to go on from there."""
    with run_once.copied(tmp_path / "resumed") as run:
        yield run
