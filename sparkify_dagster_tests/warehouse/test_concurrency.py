"""Processes that meet at one warehouse wait for each other, and a reader never breaks a writer."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sparkify_dagster.engines.duckdb import warehouse as duckdb_warehouse
from sparkify_dagster.simulate import Simulation, write_lake
from sparkify_dagster.warehouse import Platform, WarehouseBusyError, WarehouseError
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    FolderLake,
    all_rows,
    assert_same_rows,
    bring_up_to_date,
    event,
    make_platform,
    rows_of,
)
from sparkify_dagster_tests.warehouse.test_kill import Child

MEETING = Simulation(FIRST, days=4, users=40, songs=120, events_per_day=1500, seed=5)
HOLDER = """
import sys
from pathlib import Path
import duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("held", flush=True)
sys.stdin.read(1)
connection.close()
"""


def silent(_: str) -> None:
    """Nobody listens."""


@contextmanager
def held(path: Path, how: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the file open."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HOLDER, str(path), how]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        try:
            yield holder
        finally:
            holder.kill()


@pytest.mark.slow
def test_two_runs_and_a_reader_at_once_all_succeed(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    write_lake(lake, MEETING)
    alone = make_platform(tmp_path / "alone", lake)
    bring_up_to_date(alone)
    platform = make_platform(tmp_path / "shared", lake)
    runs = [Child(platform), Child(platform)]
    for run in runs:
        run.begin()
    reads = 0
    seen = [0]
    while any(run.running for run in runs):
        if platform.warehouse.exists():
            sql = "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'songplays'"
            if rows_of(platform, sql) != [(0,)]:
                seen.append(rows_of(platform, "SELECT COUNT(*) FROM songplays")[0][0])
            platform.status()
            reads += 1
        time.sleep(0.01)
    assert [run.end() for run in runs] == ["done", "done"]
    assert_same_rows(all_rows(platform), all_rows(alone))
    assert reads >= 1
    assert set(seen) <= {0, len(all_rows(alone, ["songplays"])["songplays"])}
    assert rows_of(platform, "SELECT COUNT(*) FROM load_files") == rows_of(
        alone, "SELECT COUNT(*) FROM load_files"
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", ["read", "write"])
def test_who_waits_too_long_gets_the_name_of_the_holder(
    how: str, tmp_path: Path, folder_lake: FolderLake
) -> None:
    bring_up_to_date(make_platform(tmp_path, folder_lake.root))
    platform = make_platform(tmp_path, folder_lake.root, DUCKDB_LOCK_TIMEOUT=2)
    reported: list[str] = []
    path = platform.settings.duckdb.path
    with held(path, how) as holder:
        message = f"process {holder.pid} has held the warehouse for 2 seconds"
        with pytest.raises(WarehouseBusyError, match=message):
            platform.refresh("users", notify=reported.append)
        assert reported == [f"waiting for process {holder.pid}, which is using {path}"]
        if how == "write":
            with pytest.raises(WarehouseBusyError, match=message):
                platform.query("SELECT 1")


def test_a_run_goes_on_once_the_other_is_done(tmp_path: Path, folder_lake: FolderLake) -> None:
    platform = make_platform(tmp_path, folder_lake.root)
    bring_up_to_date(platform)
    folder_lake.put_events(FIRST, event())
    with held(platform.settings.duckdb.path, "read") as holder:
        threading.Timer(0.4, holder.kill).start()
        bring_up_to_date(platform)
    assert rows_of(platform, "SELECT COUNT(*) FROM songplays") == [(1,)]


@pytest.fixture
def platform(tmp_path: Path, folder_lake: FolderLake) -> Platform:
    """Of the engine whose file one process at a time can use."""
    return make_platform(tmp_path, folder_lake.root)


def test_readers_share_the_warehouse(platform: Platform) -> None:
    bring_up_to_date(platform)
    with held(platform.settings.duckdb.path, "read"), platform.warehouse.read(silent) as one:
        assert rows_of(platform, "SELECT COUNT(*) FROM users") == [(0,)]
        assert one.fetch("SELECT COUNT(*) FROM users") == ((0,),)


def test_a_reader_in_a_thread_of_the_writer_waits_for_it(platform: Platform) -> None:
    bring_up_to_date(platform)
    writing = threading.Event()

    def write() -> None:
        with platform.warehouse.write(silent) as session:
            session.execute("INSERT INTO users VALUES (1, NULL, NULL, NULL, 'free')")
            writing.set()
            time.sleep(0.4)

    thread = threading.Thread(target=write)
    thread.start()
    assert writing.wait(5)
    assert rows_of(platform, "SELECT COUNT(*) FROM users") == [(1,)]
    thread.join()


def test_a_file_that_something_else_made_is_read_and_filled(
    platform: Platform, folder_lake: FolderLake
) -> None:
    connection = duckdb.connect(str(platform.settings.duckdb.path))
    connection.execute("CREATE TABLE mine AS SELECT 42 AS answer")
    connection.close()
    assert platform.status().pending_tables
    folder_lake.put_events(FIRST, event())
    bring_up_to_date(platform)
    assert rows_of(platform, "SELECT answer, (SELECT COUNT(*) FROM users) FROM mine") == [(42, 1)]


def test_making_the_warehouse_leaves_no_other_file(platform: Platform, tmp_path: Path) -> None:
    bring_up_to_date(platform)
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["dwh.cfg", "lake", "warehouse.duckdb"]


def opened(path: Path) -> int:
    """How often this process has the file open."""
    files = Path("/proc/self/fd")
    return sum(file.exists() and file.resolve() == path.resolve() for file in files.iterdir())


def write(platform: Platform, *statements: str) -> None:
    with platform.warehouse.write(silent) as session:
        for statement in ("CREATE TABLE IF NOT EXISTS looked (number INTEGER)", *statements):
            session.execute(statement)


def test_transactions_of_a_run_share_one_open_file_that_nobody_reads_meanwhile(
    tmp_path: Path,
) -> None:
    platform = make_platform(tmp_path, tmp_path)
    path = Path(platform.warehouse.location)
    with platform.warehouse.stay_open():
        for _ in range(2):
            write(platform)
            assert opened(path) == 1
        with pytest.raises(AssertionError), held(path, "read"):
            pass
    assert opened(path) == 0
    with held(path, "read"):
        pass


def test_after_its_turn_a_run_lets_others_read_between_two_transactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_warehouse, "_TURN", 0)
    platform = make_platform(tmp_path, tmp_path)
    path = Path(platform.warehouse.location)
    with platform.warehouse.stay_open():
        write(platform)
        write(platform)
        with held(path, "read"):
            pass
        write(platform)


def test_between_two_turns_the_file_is_closed_for_longer_than_those_who_wait_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_warehouse, "_TURN", 0)
    moments: list[float] = []
    connect = duckdb.connect

    def look(*arguments: Any, **options: Any) -> duckdb.DuckDBPyConnection:
        moments.append(time.monotonic())
        return connect(*arguments, **options)

    platform = make_platform(tmp_path, tmp_path)
    with platform.warehouse.stay_open():
        write(platform)
        begun = time.monotonic()
        write(platform)
        assert opened(Path(platform.warehouse.location)) == 0
        monkeypatch.setattr(duckdb, "connect", look)
        write(platform)
    longest_pause = duckdb_warehouse._LONGEST_PAUSE * 1.5
    assert moments[0] - begun > longest_pause


def test_what_reads_or_rewrites_the_file_within_a_run_has_it_to_itself(tmp_path: Path) -> None:
    platform = make_platform(tmp_path, tmp_path)
    with platform.warehouse.stay_open():
        write(platform)
        assert platform.query("SELECT COUNT(*) AS rows FROM looked")["rows"].tolist() == [0]
        write(platform)
        assert platform.warehouse.erase(["looked"]) == ""
        write(platform)
    assert platform.query("SELECT COUNT(*) AS rows FROM looked")["rows"].tolist() == [0]


def test_a_transaction_that_fails_leaves_the_file_fit_for_the_next(tmp_path: Path) -> None:
    platform = make_platform(tmp_path, tmp_path)
    with platform.warehouse.stay_open():
        write(platform)
        for refused in ("INSERT INTO looked VALUES (1), ('x')", "INSERT INTO nowhere VALUES (1)"):
            with pytest.raises(WarehouseError):
                write(platform, "INSERT INTO looked VALUES (2)", refused)
        write(platform)
    assert platform.query("SELECT * FROM looked").empty
