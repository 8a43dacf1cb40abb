"""Random histories of arrivals, failures and restarts: everything is loaded, nothing twice."""

import random
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sparkify_dagster.defs.instance.home import open_instance
from sparkify_dagster.defs.sensors.run_requests import DAYS_TAG
from sparkify_dagster.lake import LakeFile
from sparkify_dagster_tests.defs.sensors.conftest import (
    LOGS,
    SONGS,
    Daemon,
    assert_as_a_fresh_load,
    days_of,
    lake_versions,
    loaded_versions,
)
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    FolderLake,
    event,
    make_platform,
    song,
)

DAYS = [FIRST + timedelta(n) for n in range(6)]


class Story:
    """A lake, two sensors, and chance."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, seed: int) -> None:
        self.r = random.Random(seed)
        self.lake = FolderLake(folder / "lake")
        platform = make_platform(folder / "platform", self.lake.root, DUCKDB_THREADS=1)
        self.daemons = [Daemon(platform, instance, table) for table in (LOGS, SONGS)]
        self.platform = platform
        self.succeeded: Counter[tuple[str, str]] = Counter()

    def step(self) -> None:
        r = self.r
        for _ in range(r.choice((0, 1, 1, 3))):
            day, name = r.choice(DAYS), r.choice("ab")
            self.lake.put_events(day, event(day, sessionId=r.randrange(99)), name=name)
        if r.random() < 0.3:
            self.lake.put_songs(r.choice("ab"), song(year=r.randrange(1900, 2000)))
        daemon = r.choice(self.daemons)
        if r.random() < 0.2:
            daemon.restart()
        for request in daemon.tick():
            self.outcome(daemon, request)
        daemon.later(r.choice((0, 60, 3600)))

    def outcome(self, daemon: Daemon, request: dg.RunRequest) -> None:
        chance = self.r.random()
        if chance < 0.2:
            daemon.crash(request)
        elif chance < 0.4:
            daemon.crash(request, after_loading=True)
        else:
            assert daemon.complete(request)
            self.note(daemon, request)

    def note(self, daemon: Daemon, request: dg.RunRequest) -> None:
        """A run has succeeded: none may have before for the same content of the same day."""
        marks = request.tags[DAYS_TAG].split()
        first, _ = days_of(request)
        for n, mark in enumerate(marks):
            if mark != "-":
                what = (daemon.table, f"{first + timedelta(n)} {mark}")
                if mark.startswith("*"):
                    what = (daemon.table, mark)
                self.succeeded[what] += 1

    def end(self) -> None:
        for _ in range(12):
            for daemon in self.daemons:
                daemon.later(7 * 3600)
                for request in daemon.tick():
                    assert daemon.execute(request)
                    self.note(daemon, request)


def files_of(daemon: Daemon) -> list[LakeFile]:
    return daemon.platform.lake(daemon.table).list()


@pytest.mark.slow(60)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 6))
@example(seed=146928, steps=1)  # only songs ever come
def test_every_file_is_loaded_in_its_newest_version_and_no_content_twice(
    seed: int, steps: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = make_platform(folder / "home", folder / "lake").settings
        with open_instance(home) as instance:
            story = Story(folder, instance, seed)
            for _ in range(steps):
                story.step()
            story.end()
            for daemon in story.daemons:
                assert loaded_versions(story.platform, daemon.table) == lake_versions(
                    story.platform, daemon.table
                )
                assert daemon.tick() == []
            assert set(story.succeeded.values()) <= {1}
            if not any(map(files_of, story.daemons)):
                assert not story.platform.warehouse.exists(), "nothing came, so nothing is made"
                return
            assert story.platform.status().up_to_date
            assert_as_a_fresh_load(story.platform, folder / "fresh")
