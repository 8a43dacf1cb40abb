"""The home folder: made once, never changed after, safe to make twice at once."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterEventType
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import (
    ConsolidatedSqliteEventLogStorage,
    SqliteEventLogStorage,
)
from dagster_shared.serdes import deserialize_value, serialize_value
from sqlalchemy import text

from sparkify_dagster.defs import runs
from sparkify_dagster.defs.instance.home import WAREHOUSE_POOL, HomeError, open_instance
from sparkify_dagster.event_storage import BatchingSqliteEventLogStorage
from sparkify_dagster.settings import Settings
from sparkify_dagster.warehouse import Platform
from sparkify_dagster_tests.defs.conftest import SmallRun
from sparkify_dagster_tests.fixtures.dagster import THREE_DAYS

# Columns that say when a row was written.
MOMENTS = ("create_timestamp", "migration_completed")
RACE = """
import os, sys, time
from pathlib import Path
from sparkify_dagster import event_storage
from sparkify_dagster.defs.instance.home import open_instance
from typing import Any
import dagster
from sparkify_dagster.settings import load_settings
settings = load_settings(Path(sys.argv[1]), {"DAGSTER_HOME": sys.argv[2]})
start = time.monotonic() + 0.2
children = []
for _ in range(4):
    child = os.fork()
    if child:
        children.append(child)
        continue
    time.sleep(max(0, start - time.monotonic()))
    with open_instance(settings) as instance:
        print(instance.get_runs_count(), flush=True)
    os._exit(0)
for child in children:
    print("status", os.waitpid(child, 0)[1], flush=True)
"""
"""Four processes that have imported everything and begin at the same moment."""


def test_a_fresh_home_is_made_with_its_settings(small_settings: Settings) -> None:
    with open_instance(small_settings) as instance:
        assert instance.root_directory == str(small_settings.home)
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.run_monitoring_enabled
        assert type(instance.run_coordinator).__name__ == "QueuedRunCoordinator"
        pool = instance.event_log_storage.get_concurrency_info(WAREHOUSE_POOL)
        assert pool.slot_count == 1


def test_dagsters_own_commands_open_the_home_as_it_is(
    small_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_instance(small_settings).dispose()
    monkeypatch.setenv("DAGSTER_HOME", str(small_settings.home))
    with dg.DagsterInstance.get() as opened:
        assert opened.get_runs_count() == 0
        assert isinstance(opened.event_log_storage, BatchingSqliteEventLogStorage)


def test_an_instance_is_the_same_in_another_process(small_settings: Settings) -> None:
    """Dagster hands it to the processes that it starts as text."""
    with open_instance(small_settings, at_terminal=False) as instance:
        ref = deserialize_value(serialize_value(instance.get_ref()), InstanceRef)
    with dg.DagsterInstance.from_ref(ref) as elsewhere:
        storage = elsewhere.event_log_storage
        assert isinstance(storage, BatchingSqliteEventLogStorage)
        assert storage.path_for_shard("x") == str(small_settings.home / "history/runs/x.db")
        assert type(elsewhere.compute_log_manager).__name__ == "LocalComputeLogManager"


def test_an_existing_dagster_yaml_is_left_as_it_is(small_settings: Settings) -> None:
    small_settings.home.mkdir()
    file = small_settings.home / "dagster.yaml"
    file.write_text("telemetry: {enabled: true}\n")
    with open_instance(small_settings) as instance:
        assert instance.telemetry_enabled
    assert file.read_text() == "telemetry: {enabled: true}\n"


def test_a_storage_that_the_user_chose_is_used(small_settings: Settings) -> None:
    small_settings.home.mkdir()
    (small_settings.home / "dagster.yaml").write_text(
        "event_log_storage:\n  module: dagster._core.storage.event_log\n"
        "  class: ConsolidatedSqliteEventLogStorage\n"
        f"  config: {{base_dir: {small_settings.home / 'events'}}}\n"
    )
    with open_instance(small_settings) as instance:
        assert isinstance(instance.event_log_storage, ConsolidatedSqliteEventLogStorage)


@pytest.mark.slow
def test_four_processes_that_make_a_fresh_home_at_once_all_succeed(
    small_settings: Settings,
) -> None:
    files = (str(small_settings.config_file), str(small_settings.home))
    raced = subprocess.run(
        [sys.executable, "-c", RACE, *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (raced.returncode, raced.stderr) == (0, "")
    assert sorted(raced.stdout.splitlines()) == ["0"] * 4 + ["status 0"] * 4


def test_a_relative_home_is_refused(small_settings: Settings) -> None:
    with pytest.raises(HomeError, match="must be an absolute path"):
        open_instance(replace(small_settings, home=Path("home")))


def test_a_home_that_is_a_file_is_refused(small_settings: Settings) -> None:
    small_settings.home.write_text("")
    with pytest.raises(HomeError, match="File exists"):
        open_instance(small_settings)


def test_a_home_that_cannot_be_made_is_refused(small_settings: Settings) -> None:
    with pytest.raises(HomeError, match=r"/proc/nothing cannot be used"):
        open_instance(replace(small_settings, home=Path("/proc/nothing")))


@pytest.mark.parametrize("text", ["foo: [", "no_such_key: 1", "- 1", "run_coordinator: 3"])
def test_a_malformed_dagster_yaml_is_one_short_message(text: str, small_settings: Settings) -> None:
    small_settings.home.mkdir()
    (small_settings.home / "dagster.yaml").write_text(text)
    with pytest.raises(HomeError, match=r"Correct its dagster\.yaml") as refusal:
        open_instance(small_settings)
    assert len(str(refusal.value)) < 500


def test_the_stock_storage_reads_every_event_that_was_written_in_batches(
    resumed: SmallRun,
) -> None:
    assert isinstance(resumed.instance.event_log_storage, BatchingSqliteEventLogStorage)
    run_id = resumed.done.run_id
    written = resumed.instance.all_logs(run_id)
    home = str(resumed.settings.home)
    stock_storage = {"storage": {"sqlite": {"base_dir": home}}}
    ref = InstanceRef.from_dir(home, overrides=stock_storage)
    with dg.DagsterInstance.from_ref(ref) as stock:
        assert type(stock.event_log_storage).__name__ == "SqliteEventLogStorage"
        assert stock.all_logs(run_id) == written
        run = stock.get_run_by_id(run_id)
        assert run is not None
        assert run.status is dg.DagsterRunStatus.SUCCESS


@pytest.mark.slow(20)
def test_a_batch_leaves_the_same_rows_as_its_events_one_by_one(
    small_platform: Platform,
    small_settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[list[dg.EventLogEntry]] = []
    store = BatchingSqliteEventLogStorage.store_event_batch

    def noting(self: BatchingSqliteEventLogStorage, events: list[dg.EventLogEntry]) -> None:
        batches.append(list(events))
        store(self, events)

    monkeypatch.setattr(BatchingSqliteEventLogStorage, "store_event_batch", noting)
    with open_instance(small_settings) as instance:
        days, tables = THREE_DAYS, ["staging_events", "staging_songs", "songplays"]
        run_id = runs.materialize(small_platform, instance, days=days, tables=tables).run_id
        runs.materialize(small_platform, instance, days=days, tables=tables[:1], reload=True)
        of_every_kind = instance.all_logs(run_id)
    monkeypatch.undo()
    kinds = {event.dagster_event_type for batch in batches for event in batch}
    assert {kind.name for kind in kinds if kind} >= {
        "ASSET_CHECK_EVALUATION",
        "ASSET_CHECK_EVALUATION_PLANNED",
        "ASSET_MATERIALIZATION",
        "ASSET_MATERIALIZATION_PLANNED",
    }
    evaluations = [
        event
        for batch in batches
        for event in batch
        if event.dagster_event_type is DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    # What no run does: a batch of every kind of event, outcomes without a plan, the same check
    # twice, and without a run.
    batches += [[e._replace(run_id="every-kind") for e in of_every_kind]]
    batches += [[e._replace(run_id="unplanned") for e in evaluations[:4]] * 2]
    batches += [[e._replace(run_id="") for e in evaluations[:4]]]
    together = BatchingSqliteEventLogStorage(str(tmp_path / "together"))
    alone = SqliteEventLogStorage(str(tmp_path / "alone"))
    for batch in batches:
        together.store_event_batch(batch)
        for event in batch:
            alone.store_event(event)
    assert all_rows(tmp_path / "together") == all_rows(tmp_path / "alone")


def all_rows(folder: Path) -> dict[tuple[str, str], list[tuple[object, ...]]]:
    """Of every table of every SQLite file, without the moments at which rows were written."""
    found = {}
    for path in sorted(folder.glob("*.db")):
        with closing(sqlite3.connect(path)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                kept = ", ".join(f'"{name}"' for name in columns if name not in MOMENTS)
                rows = connection.execute(f"SELECT {kept} FROM {table}").fetchall()
                found[path.name, table] = sorted(rows, key=repr)
    return found


def test_a_batch_that_fails_leaves_nothing_behind(
    resumed: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = resumed.instance.event_log_storage
    assert isinstance(storage, BatchingSqliteEventLogStorage)
    run_id = resumed.done.run_id
    before = all_rows(Path(storage._base_dir))
    evaluations = [
        event
        for event in storage.get_logs_for_run(run_id)
        if event.dagster_event_type is DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    assert evaluations

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(storage, "_note_evaluations", fail)
    with pytest.raises(OSError, match="disk full"):
        storage.store_event_batch(evaluations)
    assert all_rows(Path(storage._base_dir)) == before


def test_a_mixed_batch_that_fails_leaves_nothing_behind(
    small_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = small_instance.event_log_storage
    assert isinstance(storage, BatchingSqliteEventLogStorage)
    small_instance.report_engine_event("before", job_name="load_lake", run_id="a-run")
    (event,) = storage.get_logs_for_run("a-run")
    no_event = event._replace(job_name="another")
    store = storage.store_event

    def refuse(stored: dg.EventLogEntry) -> None:
        if stored is no_event:
            raise OSError("disk full")
        store(stored)

    monkeypatch.setattr(storage, "store_event", refuse)
    with pytest.raises(OSError, match="disk full"):
        storage.store_event_batch([event, no_event])
    assert storage.get_logs_for_run("a-run") == [event]


def wait_for(what: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.01)
    return what()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_while_an_event_is_stored_is_heard_when_it_is(
    number: signal.Signals, small_instance: dg.DagsterInstance
) -> None:
    storage = small_instance.event_log_storage
    assert isinstance(storage, BatchingSqliteEventLogStorage)
    planted = "INSERT INTO concurrency_limits (concurrency_key, \"limit\") VALUES ('planted', 1)"

    def store() -> None:
        with storage.index_connection() as outer, storage.index_connection() as inner:
            os.kill(os.getpid(), number)
            inner.execute(text(planted))
            outer.execute(text("SELECT 1"))

    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            store()
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert "planted" in storage.get_concurrency_keys()


def test_who_watches_a_run_hears_of_each_event_although_the_file_stays_open(
    small_settings: Settings,
) -> None:
    heard: list[str] = []

    def hear(event: dg.EventLogEntry, _: str) -> None:
        heard.append(event.message)

    with open_instance(small_settings) as writer, open_instance(small_settings) as web_server:
        writer.report_engine_event("one", job_name="load_lake", run_id="a-run")
        web_server.event_log_storage.watch("a-run", None, hear)
        for n, message in enumerate(("two", "three"), start=2):
            writer.report_engine_event(message, job_name="load_lake", run_id="a-run")
            assert wait_for(lambda n=n: len(heard) == n), heard
        web_server.event_log_storage.end_watch("a-run", hear)
        writer.report_engine_event("four", job_name="load_lake", run_id="a-run")
        time.sleep(0.3)
    assert heard == ["one", "two", "three"]


@pytest.mark.slow
def test_a_server_that_reads_many_runs_keeps_few_files_open(small_settings: Settings) -> None:
    def open_files() -> int:
        found = [os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        return sum(str(small_settings.home) in path for path in found)

    with open_instance(small_settings) as instance:
        for n in range(60):
            instance.report_engine_event(f"{n}", job_name="load_lake", run_id=f"run-{n}")
        assert open_files() < 60
        for n in range(60):
            (event,) = instance.event_log_storage.get_logs_for_run(f"run-{n}")
            assert event.message == f"{n}"
    assert open_files() == 0
