"""What the sensors promise, tick by tick: on a real instance, a real warehouse and real runs."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from sparkify_dagster.defs.partitions import RANGE_END_TAG, RANGE_START_TAG
from sparkify_dagster.defs.sensors.arrivals import TickError
from sparkify_dagster.defs.sensors.new_files import Cursor, arrival_sensors
from sparkify_dagster.defs.sensors.run_requests import MAX_OPEN_REQUESTS, SENSOR_TAG
from sparkify_dagster.engines.base import Notify
from sparkify_dagster.lake import LakeError
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.load.load_source import SourceLoad
from sparkify_dagster.warehouse.reports import LoadReport
from sparkify_dagster_tests.defs.sensors.conftest import (
    LOGS,
    SONGS,
    Daemon,
    assert_as_a_fresh_load,
    days_of,
    lake_versions,
    loaded_versions,
)
from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.warehouse import (
    FEW_QUESTIONS,
    FIRST,
    LAST,
    FolderLake,
    event,
    make_platform,
    rows_of,
    song,
    with_questions,
)
from sparkify_dagster_tests.warehouse.test_concurrency import held

SECOND, THIRD = FIRST + timedelta(1), FIRST + timedelta(2)
BAD = b"nothing of this is JSON\n"


def put_days(lake: FolderLake, *days: date, **changes: object) -> None:
    for day in days:
        lake.put_events(day, event(day, **changes))


@contextmanager
def unanswered(*days: date) -> Iterator[None]:
    """Every load of one of these days fails as a whole, as when the lake does not answer."""
    run = SourceLoad.run

    def refuse(load: SourceLoad, notify: Notify) -> LoadReport:
        asked = load._days
        if load._source.dated and (asked is None or any(asked.holds(day) for day in days)):
            raise LakeError("The lake does not answer.")
        return run(load, notify)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SourceLoad, "run", refuse)
        yield


def put_bad(lake: FolderLake, day: date) -> Path:
    return lake.put("log_data", f"{day:%Y/%m}/{day}-events.json", BAD)


# Files


@pytest.mark.slow
def test_a_file_is_asked_for_once(daemon: Daemon, folder_lake: FolderLake) -> None:
    put_days(folder_lake, SECOND)
    (request,) = daemon.tick()
    assert days_of(request) == (SECOND, SECOND)
    assert daemon.execute(request)
    assert daemon.tick() == []
    assert loaded_versions(daemon.platform) == lake_versions(daemon.platform)
    assert rows_of(daemon.platform, "SELECT log_date FROM songplays") == [(SECOND,)]


def test_a_file_whose_run_is_under_way_is_not_asked_for_again(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    put_days(folder_lake, FIRST)
    daemon.settle()
    put_days(folder_lake, SECOND)
    run = daemon.launch(daemon.tick()[0])
    assert f"Being loaded now: {SECOND}" in daemon.skipped()
    daemon.later(10**6)
    assert daemon.tick() == []
    daemon.instance.report_run_failed(run)
    assert len(daemon.tick()) == 1


def test_what_arrives_while_its_day_is_being_loaded_is_asked_for_afterwards(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    put_days(folder_lake, SECOND)
    (first,) = daemon.tick()
    run = daemon.launch(first)
    folder_lake.put_events(SECOND, event(SECOND, itemInSession=1), name="late")
    put_days(folder_lake, THIRD)
    (other,) = daemon.tick()
    assert days_of(other) == (THIRD, THIRD)
    daemon.instance.report_run_failed(run)
    (again,) = daemon.tick()
    assert days_of(again)[0] == SECOND
    assert again.run_key != first.run_key


def test_a_days_run_of_somebody_else_is_waited_for(daemon: Daemon, folder_lake: FolderLake) -> None:
    """A backfill of the UI, or `sparkify run`."""
    put_days(folder_lake, SECOND, THIRD)
    daemon.instance.create_run_for_job(
        daemon.job,
        tags={"dagster/partition": str(SECOND)},
        status=dg.DagsterRunStatus.STARTED,
    )
    (request,) = daemon.tick()
    assert days_of(request) == (THIRD, THIRD)


@pytest.mark.slow
def test_a_changed_file_is_asked_for_although_size_and_time_are_the_same(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    path = folder_lake.put_events(SECOND, event(SECOND, level="free"))
    daemon.settle()
    before = path.stat()
    path = folder_lake.put_events(SECOND, event(SECOND, level="paid"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    daemon.settle()
    assert rows_of(daemon.platform, "SELECT level FROM songplays") == [("paid",)]
    assert len(daemon.asked) == 2


def test_a_vanished_file_is_reported_and_removes_nothing(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    path = folder_lake.put_events(SECOND, event(SECOND))
    daemon.settle()
    path.unlink()
    daemon.events.clear()
    assert daemon.tick() == []
    assert "1 file gone from the lake (their rows stay), such as 2018/11/" in daemon.skipped()
    (reported,) = daemon.events
    assert isinstance(reported, dg.AssetObservation)
    assert reported.metadata["gone files"].value == 1
    daemon.restart()
    assert rows_of(daemon.platform, "SELECT COUNT(*) FROM songplays") == [(1,)]


@pytest.mark.slow
def test_vanished_files_are_recorded_once(daemon: Daemon, folder_lake: FolderLake) -> None:
    paths = [folder_lake.put_events(day, event(day)) for day in (FIRST, SECOND)]
    daemon.settle()
    daemon.events.clear()
    paths[0].unlink()
    daemon.tick()
    put_days(folder_lake, THIRD)
    daemon.settle()
    assert [type(event) for event in daemon.events] == [
        dg.AssetObservation,
        dg.AssetMaterialization,
    ]
    paths[1].unlink()
    for _ in range(3):
        daemon.tick()
    assert len(daemon.events) == 3


def test_arrivals_are_recorded_on_the_prefix_by_day_once(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    put_days(folder_lake, SECOND, THIRD)
    requests = daemon.tick()
    daemon.crash(*requests)
    daemon.later(3600)
    daemon.complete(*daemon.tick())
    daemon.tick()
    assert [e.partition for e in daemon.events] == [str(SECOND), str(THIRD)]
    key = dg.AssetKey("log_data")
    assert daemon.instance.get_materialized_partitions(key) == {str(SECOND), str(THIRD)}
    assert daemon.events[0].metadata["new files"].value == 1


def test_nothing_new_is_reported_with_what_is_there(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    assert daemon.skipped() == "log_data: 0 files loaded and unchanged."
    put_days(folder_lake, FIRST, SECOND)
    daemon.settle()
    assert daemon.skipped() == "log_data: 2 files loaded and unchanged."


def test_files_that_are_of_no_day_are_reported_and_never_asked_for(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    put_days(folder_lake, FIRST - timedelta(1), LAST + timedelta(1))
    folder_lake.put("log_data", "notes.json", b"{}")
    said = daemon.skipped()
    assert "2 files of days outside the platform's" in said
    assert "1 file without a name of this source, such as notes.json" in said


# Ranges


@pytest.mark.slow
def test_a_burst_of_200_days_is_one_run(
    tmp_path: Path, folder_lake: FolderLake, sensor_instance: dg.DagsterInstance
) -> None:
    last = FIRST + timedelta(199)
    platform = make_platform(
        tmp_path / "p", folder_lake.root, with_questions(), PARTITIONS_LAST_DAY=last
    )
    daemon = Daemon(platform, sensor_instance)
    put_days(folder_lake, *(FIRST + timedelta(n) for n in range(200)))
    (request,) = daemon.tick()
    assert days_of(request) == (FIRST, last)
    assert len(daemon.events) == 101
    assert len(daemon.cursor or "") < 400
    assert daemon.execute(request)
    assert daemon.tick() == []
    assert rows_of(platform, "SELECT COUNT(DISTINCT log_date) FROM songplays") == [(200,)]


def test_days_that_are_apart_are_runs_of_their_own(daemon: Daemon, folder_lake: FolderLake) -> None:
    put_days(folder_lake, FIRST, SECOND, FIRST + timedelta(5), LAST)
    assert [days_of(r) for r in daemon.tick()] == [
        (FIRST, SECOND),
        (FIRST + timedelta(5), FIRST + timedelta(5)),
        (LAST, LAST),
    ]


def test_many_days_with_gaps_become_few_runs(daemon: Daemon, folder_lake: FolderLake) -> None:
    put_days(folder_lake, *(FIRST + timedelta(2 * n) for n in range(15)))
    (request,) = daemon.tick()
    assert days_of(request) == (FIRST, FIRST + timedelta(28))


@pytest.mark.slow
def test_a_run_loads_the_whole_chain(
    answering: Platform, sensor_instance: dg.DagsterInstance, folder_lake: FolderLake
) -> None:
    daemon = Daemon(answering, sensor_instance)
    put_days(folder_lake, FIRST)
    folder_lake.put_songs("one", song())
    (first,) = daemon.tick()
    assert {key.to_user_string() for key in first.asset_selection or ()} >= {SONGS, "artists"}
    daemon.execute(first)
    assert rows_of(daemon.platform, "SELECT song_id FROM songplays") == [("S1",)]
    put_days(folder_lake, SECOND)
    (second,) = daemon.tick()
    chain = [LOGS, "users", "user_levels", "time", "songplays", *FEW_QUESTIONS, "report"]
    assert {key.to_user_string() for key in second.asset_selection or ()} == set(chain)


# Failures


def test_a_failed_run_is_asked_for_again_after_a_delay_that_grows(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    put_days(folder_lake, SECOND)
    keys = set()
    for wait in (60, 240, 960):
        (request,) = daemon.tick()
        keys.add(request.run_key)
        daemon.crash(request)
        daemon.after(wait - 10)
        assert f"The run for {SECOND} failed; tried again after" in daemon.skipped()
        daemon.after(wait + 1)
    assert daemon.complete(*daemon.tick())
    assert len(keys) == 3
    assert daemon.tick() == []


@pytest.mark.slow
def test_a_failed_run_is_asked_for_at_most_so_often(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    put_days(folder_lake, SECOND)
    with unanswered(SECOND):
        for _ in range(daemon.platform.settings.sensors.max_attempts):
            assert not daemon.complete(*daemon.tick())
            daemon.later(10**5)
    assert f"Given up, because every run failed: {SECOND}." in daemon.skipped()
    daemon.later(10**9)
    daemon.restart()
    assert daemon.tick() == []
    put_days(folder_lake, SECOND)  # another version of the same file
    daemon.settle()
    assert loaded_versions(daemon.platform) == lake_versions(daemon.platform)


@pytest.mark.slow
def test_a_day_that_is_held_back_is_asked_for_with_growing_delay_and_at_once_when_it_changes(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    days = [FIRST + timedelta(n) for n in range(6)]
    put_days(folder_lake, *days)
    put_bad(folder_lake, days[2])
    assert daemon.complete(*daemon.tick())
    assert {(day,) for day in days} - set(
        rows_of(daemon.platform, "SELECT DISTINCT log_date FROM songplays")
    ) == {(days[2],)}
    delay = daemon.platform.settings.sensors.retry_delay
    for tries in range(1, 5):  # then every six hours
        assert f"Held back: {days[2]} (2018/11/" in daemon.skipped()
        daemon.after(delay * 4 ** (tries - 1) - 1)
        assert daemon.tick() == []
        daemon.after(delay * 4 ** (tries - 1) + 1)
        (request,) = daemon.tick()
        assert days_of(request) == (days[2], days[2])
        assert daemon.complete(request)
    put_days(folder_lake, days[2])
    assert daemon.complete(*daemon.tick())
    assert len(rows_of(daemon.platform, "SELECT DISTINCT log_date FROM songplays")) == 6
    assert daemon.tick() == []


@pytest.mark.slow
def test_a_new_file_of_a_day_that_was_given_up_is_new_content(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    put_days(folder_lake, SECOND)
    with unanswered(SECOND):
        daemon.settle()
    assert "Given up" in daemon.skipped()
    put_days(folder_lake, SECOND)
    daemon.settle()
    assert rows_of(daemon.platform, "SELECT log_date FROM songplays") == [(SECOND,)]


@pytest.mark.slow
def test_a_day_given_up_is_not_taken_along_in_a_range(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    put_days(folder_lake, SECOND)
    with unanswered(SECOND):
        daemon.settle()
    put_days(folder_lake, *(FIRST + timedelta(2 * n) for n in range(15)))
    assert [days_of(r) for r in daemon.tick()] == [(FIRST, FIRST), (THIRD, FIRST + timedelta(28))]


@pytest.mark.slow
def test_a_run_that_died_after_loading_is_finished_by_another(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    put_days(folder_lake, SECOND)
    daemon.crash(*daemon.tick(), after_loading=True)
    assert loaded_versions(daemon.platform) == lake_versions(daemon.platform)
    daemon.later(60)
    (again,) = daemon.tick()
    assert daemon.execute(again)
    assert rows_of(daemon.platform, "SELECT log_date FROM songplays") == [(SECOND,)]
    assert daemon.tick() == []


def test_a_run_that_was_canceled_counts_as_failed(daemon: Daemon, folder_lake: FolderLake) -> None:
    put_days(folder_lake, SECOND)
    run = daemon.launch(*daemon.tick())
    daemon.instance.report_run_canceled(run)
    assert "tried again" in daemon.skipped()
    daemon.later(60)
    assert daemon.complete(*daemon.tick())


@pytest.mark.slow
def test_a_warehouse_that_was_removed_is_filled_again(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    put_days(folder_lake, FIRST, SECOND)
    daemon.settle()
    daemon.platform.settings.duckdb.path.unlink()
    daemon.later(3600)
    (again,) = daemon.tick()
    assert daemon.complete(again)
    assert rows_of(daemon.platform, "SELECT COUNT(*) FROM songplays") == [(2,)]


@pytest.mark.slow
def test_no_more_runs_are_asked_for_than_can_be_worked_on(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    days = [FIRST + timedelta(n) for n in range(30)]
    for day in days:
        put_bad(folder_lake, day)
    open_runs = []
    for _ in range(4):
        for request in daemon.tick():
            daemon.crash(request)
        daemon.later(10**5)
    for _ in range(3):
        open_runs += [daemon.launch(request) for request in daemon.tick()]
        daemon.later(10**5)
    assert len(open_runs) == MAX_OPEN_REQUESTS
    assert "when those under way have ended" in daemon.skipped()


@pytest.mark.slow
def test_songs_that_cannot_be_loaded_do_not_keep_the_days_from_being_loaded(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    put_days(folder_lake, SECOND)
    folder_lake.put("song_data", "bad.json", BAD)
    assert daemon.execute(*daemon.tick())
    assert rows_of(daemon.platform, "SELECT log_date FROM songplays") == [(SECOND,)]
    assert daemon.tick() == []


# Restarts


def test_a_lost_cursor_repeats_nothing(daemon: Daemon, folder_lake: FolderLake) -> None:
    put_days(folder_lake, FIRST, SECOND)
    daemon.restart()
    (request,) = daemon.tick()
    daemon.launch(request)
    daemon.restart()
    assert daemon.tick() == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"other": 1}', "null", "12"])
def test_a_strange_cursor_is_no_cursor(text: str) -> None:
    assert Cursor.read(text) == Cursor()


def test_a_run_that_was_made_and_never_launched_is_asked_for_with_its_key(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    """The daemon, which died in between, takes up a run with the same key again."""
    put_days(folder_lake, SECOND)
    (request,) = daemon.tick()
    daemon.instance.create_run_for_job(
        daemon.job, tags=dict(request.tags), status=dg.DagsterRunStatus.NOT_STARTED
    )
    daemon.restart()
    assert [r.run_key for r in daemon.tick()] == [request.run_key]


def test_a_run_whose_process_is_gone_does_not_block_its_days(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    """A `sparkify run` that was killed cannot say that it ended."""
    put_days(folder_lake, SECOND)
    daemon.instance.create_run_for_job(
        daemon.job,
        tags={
            RANGE_START_TAG: str(FIRST),
            RANGE_END_TAG: str(LAST),
            "sparkify/process": f"{socket.gethostname()}:999999999:1",
        },
        status=dg.DagsterRunStatus.STARTED,
    )
    assert len(daemon.tick()) == 1


def test_the_cursor_is_small_and_spares_the_warehouse_a_question(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    put_days(folder_lake, FIRST, SECOND)
    daemon.settle()
    assert len(daemon.cursor or "") < 400
    with held(daemon.platform.settings.duckdb.path, "write"):
        assert daemon.skipped() == "log_data: 2 files loaded and unchanged."


# Trouble


def test_a_warehouse_that_another_process_uses_skips_the_tick_soon(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    put_days(folder_lake, FIRST)
    daemon.settle()
    put_days(folder_lake, SECOND)
    cursor = daemon.cursor
    with held(daemon.platform.settings.duckdb.path, "write") as holder:
        started = time.monotonic()
        said = daemon.skipped()
        assert time.monotonic() - started < 5
        assert f"process {holder.pid} has held the warehouse" in said
        assert daemon.cursor == cursor
    assert len(daemon.tick()) == 1


def test_a_lake_that_is_not_there_is_one_clear_message(
    tmp_path: Path, sensor_instance: dg.DagsterInstance
) -> None:
    daemon = Daemon(make_platform(tmp_path / "p", tmp_path / "nowhere"), sensor_instance)
    with pytest.raises(TickError, match="does not exist: create it") as caught:
        daemon.look()
    assert caught.value.__context__ is None


def test_a_warehouse_that_cannot_be_read_is_one_clear_message(
    daemon: Daemon, folder_lake: FolderLake
) -> None:
    put_days(folder_lake, FIRST)
    path = daemon.platform.settings.duckdb.path
    path.write_text("this is not a database, whatever its name says" * 100)
    with pytest.raises(TickError, match="is not a DuckDB database"):
        daemon.look()


@pytest.mark.every_engine
def test_on_every_engine_a_file_is_loaded_once_and_a_quiet_tick_asks_no_server(
    engine: EngineUnderTest,
    tmp_path: Path,
    folder_lake: FolderLake,
    sensor_instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A paused Redshift warehouse is not woken every half minute."""
    for name, value in engine.environ.items():  # a run reads the password there
        monkeypatch.setenv(name, value)
    daemon = Daemon(engine.platform(tmp_path / "p", folder_lake.root), sensor_instance)
    put_days(folder_lake, FIRST, SECOND)
    daemon.settle()
    assert len(daemon.asked) == 1
    assert loaded_versions(daemon.platform) == lake_versions(daemon.platform)
    monkeypatch.setattr(type(daemon.platform.warehouse), "read", None)
    assert daemon.skipped() == "log_data: 2 files loaded and unchanged."


# Songs


@pytest.mark.slow
def test_new_songs_reload_songs_and_artists_and_match_only_the_days_they_concern(
    answering: Platform, sensor_instance: dg.DagsterInstance, folder_lake: FolderLake
) -> None:
    daemon, song_daemon = (Daemon(answering, sensor_instance, table) for table in (LOGS, SONGS))
    put_days(folder_lake, FIRST)
    put_days(folder_lake, SECOND, song="Another")
    put_days(folder_lake, THIRD, song="A third")
    daemon.settle()
    folder_lake.put_songs("one", song(title="Another"))
    (request,) = song_daemon.tick()
    tables = {key.to_user_string() for key in request.asset_selection or ()}
    assert tables == {SONGS, "songs", "artists", "songplays", *FEW_QUESTIONS, "report"}
    assert song_daemon.execute(request)
    found = rows_of(daemon.platform, "SELECT log_date, song_id FROM songplays ORDER BY 1")
    assert found == [(FIRST, None), (SECOND, "S1"), (THIRD, None)]
    records = daemon.instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey("songplays")), limit=10
    ).records
    run = max(daemon.instance.get_run_records(), key=lambda record: record.storage_id)
    made = {r.partition_key for r in records if r.run_id == run.dagster_run.run_id}
    assert made == {str(SECOND), str(THIRD)}  # the day of the run, and the one that changed
    assert song_daemon.tick() == []
    assert daemon.tick() == []


def test_a_changed_song_is_asked_for_once_and_recorded(
    song_daemon: Daemon, folder_lake: FolderLake
) -> None:
    folder_lake.put_songs("one", song())
    song_daemon.settle()
    folder_lake.put_songs("one", song(year=1999))
    song_daemon.settle()
    assert rows_of(song_daemon.platform, "SELECT year FROM songs") == [(1999,)]
    assert len(song_daemon.asked) == 2
    assert [e.metadata["changed files"].value for e in song_daemon.events] == [0, 1]


@pytest.mark.slow
def test_songs_are_tried_again_too(song_daemon: Daemon, folder_lake: FolderLake) -> None:
    folder_lake.put_songs("one", song())
    song_daemon.crash(*song_daemon.tick(), after_loading=True)
    assert "tried again after" in song_daemon.skipped()
    song_daemon.later(60)
    assert song_daemon.complete(*song_daemon.tick())
    assert song_daemon.tick() == []
    folder_lake.put("song_data", "bad.json", BAD)
    for delay in (60, 240):
        assert song_daemon.complete(*song_daemon.tick())
        song_daemon.after(delay - 1)
        assert "Held back: its files (bad.json: " in song_daemon.skipped()
        song_daemon.after(delay + 1)
    folder_lake.put_songs("other", song(song_id="S2"))
    assert song_daemon.complete(*song_daemon.tick())
    assert len(rows_of(song_daemon.platform, "SELECT song_id FROM songs")) == 2


@pytest.mark.slow
def test_two_sensors_at_once_end_in_the_tables_of_a_fresh_load(
    daemon: Daemon, song_daemon: Daemon, folder_lake: FolderLake, tmp_path: Path
) -> None:
    put_days(folder_lake, FIRST, SECOND)
    folder_lake.put_songs("one", song())
    requests = [(d, request) for d in (song_daemon, daemon) for request in d.tick()]
    for which, request in requests:
        assert which.execute(request)
    for which in (daemon, song_daemon):
        which.settle()
    assert_as_a_fresh_load(daemon.platform, tmp_path / "fresh")


# Definitions


def test_the_sensors_are_running_unless_switched_off(
    tmp_path: Path, folder_lake: FolderLake
) -> None:
    on = arrival_sensors(make_platform(tmp_path, folder_lake.root))
    off = arrival_sensors(make_platform(tmp_path, folder_lake.root, SENSORS_ENABLED="no"))
    assert [s.name for s in on] == ["new_log_files", "new_song_files"]
    assert {s.default_status for s in on} == {dg.DefaultSensorStatus.RUNNING}
    assert {s.default_status for s in off} == {dg.DefaultSensorStatus.STOPPED}
    assert all(s.description and s.minimum_interval_seconds == 30 for s in on)
    assert [s.job_name for s in on] == ["load_lake", "load_lake"]


def test_a_run_says_which_sensor_asked_for_it(daemon: Daemon, folder_lake: FolderLake) -> None:
    put_days(folder_lake, FIRST)
    (request,) = daemon.tick()
    assert request.tags[SENSOR_TAG] == "new_log_files"
    shown = {k: v for k, v in request.tags.items() if not k.startswith(".dagster/")}
    assert all(len(value) < 50 for value in shown.values())
    assert json.loads(daemon.cursor or "")["seen"] == ""
