"""A process killed at any instant leaves the last good state, and the next run completes it."""

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pytest

from sparkify_dagster.simulate import Simulation, write_lake
from sparkify_dagster_tests.fixtures_warehouse import (
    FEW_QUESTIONS,
    TABLES,
    Platform,
    all_rows,
    assert_same_rows,
    bring_up_to_date,
    make_platform,
    rows_of,
)

pytestmark = pytest.mark.few_questions

KILLS = 50
BEFORE = Simulation(date(2018, 11, 1), days=2, users=60, songs=200, events_per_day=1500, seed=3)
AFTER = Simulation(date(2018, 11, 3), days=4, users=60, songs=260, events_per_day=1500, seed=4)
CHILD = """
import sys
from pathlib import Path
from sparkify_dagster.settings import load_settings
from sparkify_dagster.warehouse import open_platform
from sparkify_dagster_tests.fixtures_warehouse import (
    FEW_QUESTIONS, bring_up_to_date, with_questions
)
platform = open_platform(load_settings(Path(sys.argv[1]), {}), with_questions(*FEW_QUESTIONS))
import pyarrow.json, duckdb
print("ready", flush=True)
sys.stdin.read(1)
bring_up_to_date(platform)
print("done", flush=True)
"""
Fingerprint = tuple[object, ...]
COMPARED = (*TABLES, *FEW_QUESTIONS)


def spawn(platform: Platform) -> subprocess.Popen[bytes]:
    """A process that has imported everything and waits for a byte to begin."""
    command = [sys.executable, "-c", CHILD, str(platform.settings.config_file)]
    root = Path(__file__).parents[1]
    pipe = subprocess.PIPE
    child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=root)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


def begin(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.write(b"x")
    child.stdin.flush()


def kill_after(child: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, bytes]:
    """What it had written when it was killed, so long after its beginning."""
    begin(child)
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    return child.communicate()


def fingerprints(platform: Platform, tables: Sequence[str] = COMPARED) -> dict[str, Fingerprint]:
    """Each table's count and the sum of the hashes of its rows, in no order."""
    return {
        table: rows_of(platform, f"SELECT COUNT(*), SUM(HASH(t)) FROM {table} AS t")[0]
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


@pytest.mark.slow
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
    platform = restart(tmp_path, lakes[1])
    started = time.monotonic()
    bring_up_to_date(platform)
    whole_run = time.monotonic() - started
    kills = moments = 0
    platform = restart(tmp_path, lakes[1])
    child = spawn(platform)
    while kills < KILLS:
        out, errors = kill_after(child, dice.uniform(0, whole_run * 0.8))
        assert not errors, errors.decode()
        child = spawn(platform)  # starts up while this process looks
        finished = b"done" in out
        kills += not finished
        found = fingerprints(platform)
        moments += found not in states
        assert_whole(found, states)
        if finished or dice.random() < 0.1:
            bring_up_to_date(platform)
            assert_same_rows(fingerprints(platform), states[1])
            platform = restart(tmp_path, lakes[1])
    begin(child)
    out, errors = child.communicate()
    assert (out, errors) == (b"done\n", b"")
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
        child = spawn(platform)
        kill_after(child, dice.uniform(0, 0.06))
        platform.status()
        if path.exists() and dice.random() < 0.7:
            path.unlink()
            path.with_name(path.name + ".wal").unlink(missing_ok=True)
    bring_up_to_date(platform)
    assert_same_rows(fingerprints(platform), fingerprints(new))
