"""A process killed at any instant leaves the last good state, and the next run completes it."""

import multiprocessing
import random
import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from sparkify_dagster.settings import load_settings
from sparkify_dagster.simulate import Simulation, write_lake
from sparkify_dagster.warehouse import open_platform
from sparkify_dagster_tests.fixtures.warehouse import (
    FEW_QUESTIONS,
    TABLES,
    Platform,
    all_rows,
    assert_same_rows,
    bring_up_to_date,
    make_platform,
    rows_of,
    with_questions,
)

KILLS = 30
COMMITTED = "committed"
BEFORE = Simulation(date(2018, 11, 1), days=2, users=60, songs=200, events_per_day=1500, seed=3)
AFTER = Simulation(date(2018, 11, 3), days=4, users=60, songs=260, events_per_day=1500, seed=4)
CATALOGUE = with_questions(*FEW_QUESTIONS)
Fingerprint = tuple[object, ...]
COMPARED = (*TABLES, *FEW_QUESTIONS)


_NURSERY = multiprocessing.get_context("forkserver")
_NURSERY.set_forkserver_preload(["duckdb", "pyarrow.json", __name__])


class Child:
    """A process of its own that brings a warehouse up to date once it is told to.

    It is forked from one that has imported everything: a kill costs no imports.
    """

    def __init__(self, platform: Platform) -> None:
        self._pipe, theirs = _NURSERY.Pipe()
        self._process = _NURSERY.Process(target=_live, args=(platform.settings.config_file, theirs))
        self._process.start()
        theirs.close()
        assert self._pipe.recv() == "ready"

    def begin(self) -> None:
        self._pipe.send("begin")

    @property
    def running(self) -> bool:
        return self._process.is_alive()

    def kill_after(self, seconds: float) -> str:
        """What it had said when it was killed, so long after its beginning."""
        self.begin()
        time.sleep(seconds)
        self._process.kill()
        return self.end()

    def kill_at(self, commits: int, seconds: float) -> str:
        """What it had said when it was killed, so long after so many of its transactions."""
        self.begin()
        said = COMMITTED
        while commits and said == COMMITTED:
            said = self._next()
            commits -= 1
        time.sleep(seconds)
        self._process.kill()
        return self.end(said)

    def end(self, said: str = "") -> str:
        """The last that it said: "done", the traceback of an error, or nothing."""
        self._process.join()
        while more := self._next():
            said = more
        return "" if said == COMMITTED else said

    def _next(self) -> str:
        with suppress(EOFError, ConnectionResetError):  # reset: it died before it read "begin"
            return str(self._pipe.recv())
        return ""


def _live(config: Path, pipe: Connection) -> None:
    platform = open_platform(load_settings(config, {}), CATALOGUE)
    transact = platform.warehouse.transact

    def reported(*arguments: Any) -> Any:
        done = transact(*arguments)
        pipe.send(COMMITTED)
        return done

    platform.warehouse.transact = reported  # type: ignore[method-assign]
    pipe.send("ready")
    pipe.recv()
    try:
        bring_up_to_date(platform)
    except BaseException:  # the parent shows it, whatever it is
        pipe.send(traceback.format_exc())
        raise
    pipe.send("done")


def fingerprints(platform: Platform, tables: Sequence[str] = COMPARED) -> dict[str, Fingerprint]:
    """Each table's count and the sum of the hashes of its rows, in no order."""
    with platform.warehouse.read(print) as session:
        return {
            table: session.fetch(f"SELECT COUNT(*), SUM(HASH(t)) FROM {table} AS t")[0]
            for table in tables
        }


def assert_whole(
    found: Mapping[str, Fingerprint], states: Sequence[Mapping[str, Fingerprint]]
) -> None:
    """Every table is that of one of the states, never part of one."""
    for table, fingerprint in found.items():
        assert fingerprint in [state[table] for state in states], table


@pytest.fixture
def lakes(tmp_path: Path) -> tuple[Path, Path]:
    """A lake, and a later state of it in another folder: more days, and a changed first day."""
    before, after = tmp_path / "before", tmp_path / "after"
    write_lake(before, BEFORE)
    write_lake(after, AFTER)
    shutil.copytree(before, after, dirs_exist_ok=True)
    first = next(after.glob("log_data/*/*/2018-11-01-*"))
    first.write_bytes(b"".join(first.read_bytes().splitlines(keepends=True)[:700]))
    return before, after


@pytest.mark.slow(45)
def test_a_process_killed_at_any_instant_leaves_whole_tables_and_the_next_run_completes(
    lakes: tuple[Path, Path], tmp_path: Path
) -> None:
    dice = random.Random(11)
    old = make_platform(tmp_path / "old", lakes[0])
    bring_up_to_date(old)
    new = make_platform(tmp_path / "new", lakes[1])
    bring_up_to_date(new)
    states = [fingerprints(old), fingerprints(new)]
    between = rows_of(old, "SELECT COUNT(*) FROM main_state.refreshed")
    assert between == [(len(COMPARED) - len(old.catalogue.sources),)]
    child = Child(restart(tmp_path, lakes[1]))
    started = time.monotonic()
    child.begin()
    assert child.end() == "done"
    whole_run = time.monotonic() - started
    kills = moments = 0
    platform = restart(tmp_path, lakes[1])
    child = Child(platform)
    while kills < KILLS:
        # By the clock alone, a busy machine would kill most of them before their first commit.
        if dice.random() < 0.5:
            said = child.kill_after(dice.uniform(0, whole_run * 0.8))
        else:
            said = child.kill_at(dice.randint(1, 8), dice.uniform(0, whole_run / 10))
        assert said in ("", "done")
        child = Child(platform)
        finished = said == "done"
        kills += not finished
        found = fingerprints(platform)
        moments += found not in states
        assert_whole(found, states)
        if finished or dice.random() < 0.1:
            bring_up_to_date(platform)
            assert_same_rows(fingerprints(platform), states[1])
            platform = restart(tmp_path, lakes[1])
    child.begin()
    assert child.end() == "done"
    assert_same_rows(all_rows(platform), all_rows(new))
    assert moments > 3, "no kill hit a run halfway: the lake is too small for this machine"


def restart(tmp_path: Path, lake: Path) -> Platform:
    """The warehouse as it was before the lake grew."""
    platform = make_platform(tmp_path / "killed", lake)
    path = platform.settings.duckdb.path
    path.with_name(path.name + ".wal").unlink(missing_ok=True)
    shutil.copy(tmp_path / "old" / path.name, path)
    return platform


@pytest.mark.slow
def test_a_process_killed_while_it_makes_the_warehouse_leaves_one_that_opens(
    lakes: tuple[Path, Path], tmp_path: Path
) -> None:
    dice = random.Random(12)
    new = make_platform(tmp_path / "new", lakes[0])
    bring_up_to_date(new)
    platform = make_platform(tmp_path / "killed", lakes[0])
    path = platform.settings.duckdb.path
    for _ in range(12):
        Child(platform).kill_after(dice.uniform(0, 0.06))
        platform.status()
        if path.exists() and dice.random() < 0.7:
            path.unlink()
            path.with_name(path.name + ".wal").unlink(missing_ok=True)
    bring_up_to_date(platform)
    assert_same_rows(fingerprints(platform), fingerprints(new))
