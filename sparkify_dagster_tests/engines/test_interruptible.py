"""An interruption ends what a library waits for, however it arrives, and disturbs nobody else."""

import _thread
import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import dagster as dg
import psycopg2
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError, raise_execution_interrupts
from dagster._utils import send_interrupt

from sparkify_dagster.engines.base import Session, silent
from sparkify_dagster.engines.server.connections import open_connection
from sparkify_dagster.interruptible import CallThread, interruptibly
from sparkify_dagster.lake.s3 import S3Lake
from sparkify_dagster.lake.scratch import Scratch
from sparkify_dagster_tests.ask.test_frames import ENDLESS
from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.warehouse import FIRST, FolderLake, Platform, event

pytestmark = pytest.mark.every_engine

SOON = 1.0
"""Seconds within which a statement ends that was interrupted."""
TRIES = 25
PROCESSES = 4
# Begins the programs below: their first argument is a dwh.cfg.
OPEN_WAREHOUSE = """
import signal, sys, threading
from pathlib import Path
from sparkify_dagster.settings import load_settings
from sparkify_dagster.warehouse import open_platform
signal.signal(signal.SIGINT, signal.default_int_handler)
warehouse = open_platform(load_settings(Path(sys.argv[1]), {})).warehouse
"""
# Interrupted at moments of its own, over and over: one of ten statements used to go on for ever.
TRY_OFTEN = f"""
{OPEN_WAREHOUSE}
import os, random, time

pressed = 0.0

def press():
    global pressed
    pressed = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)

def work(session):
    session.execute("CREATE TABLE half_written (n INTEGER)")
    threading.Timer(random.uniform(0.02, 0.1), press).start()
    session.fetch("SELECT SUM(hash(range)) FROM range(1000000000000)")

for _ in range({TRIES}):
    try:
        warehouse.transact(work, print)
    except KeyboardInterrupt:
        print(f"{{time.monotonic() - pressed:.3f}}", flush=True)
with warehouse.read(print) as session:
    print(session.count("SELECT COUNT(*) FROM duckdb_tables() WHERE table_name = 'half_written'"))
"""


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@contextmanager
def after(seconds: float, act: Callable[[], object]) -> Iterator[list[float]]:
    """Act in another thread after so long; the list has the moment of it."""
    acted: list[float] = []

    def run() -> None:
        acted.append(time.monotonic())
        act()

    timer = threading.Timer(seconds, run)
    timer.start()
    try:
        yield acted
    finally:
        timer.cancel()
        timer.join()


def assert_soon(pressed: list[float], limit: float = SOON) -> None:
    assert pressed, "it ended before it was interrupted"
    assert time.monotonic() - pressed[0] < limit


@pytest.fixture
def silent_server() -> Iterator[int]:
    """A port of this machine that takes connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


@pytest.mark.slow
def test_of_many_statements_that_are_interrupted_each_ends_at_once(
    tmp_path: Path, folder_lake: FolderLake
) -> None:
    """A fault of one in ten would be missed once in 38,000 times."""
    started = []
    for number in range(PROCESSES):
        EngineUnderTest("duckdb").platform(tmp_path / str(number), folder_lake.root)
        config = tmp_path / str(number) / "dwh.cfg"
        with (tmp_path / str(number) / "out").open("w") as out:
            command = [sys.executable, "-c", TRY_OFTEN, str(config)]
            started.append(subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT))
    try:
        for process in started:
            process.wait(timeout=90)
    finally:
        for process in started:
            process.kill()
    for number in range(PROCESSES):
        *seconds, half_written = (tmp_path / str(number) / "out").read_text().splitlines()
        assert len(seconds) == TRIES
        assert max(map(float, seconds)) < SOON
        assert half_written == "0"


@pytest.mark.parametrize(
    "arrives",
    [press_ctrl_c, _thread.interrupt_main, send_interrupt],
    ids=["Ctrl-C", "interrupt_main", "Dagster's own"],
)
def test_an_interruption_ends_the_statement_of_a_transaction_on_every_engine(
    platform: Platform, arrives: Callable[[], object]
) -> None:
    assert_interrupted(platform, ENDLESS, arrives, KeyboardInterrupt)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_the_handler_of_a_signal_raises_is_what_comes_out(
    platform: Platform, number: signal.Signals
) -> None:
    """As in a step of a run: the UI's cancel, or the end of the container."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        with raise_execution_interrupts():
            assert_interrupted(
                platform,
                ENDLESS,
                lambda: os.kill(os.getpid(), number),
                DagsterExecutionInterruptedError,
            )
    finally:
        signal.signal(signal.SIGTERM, before)


def assert_interrupted(
    platform: Platform,
    statement: str,
    arrives: Callable[[], object],
    expected: type[BaseException],
) -> None:
    def work(session: Session) -> None:
        session.execute("CREATE TABLE half_written (n INTEGER)")
        session.fetch(statement)

    with platform.warehouse.write(silent):
        pass  # what it imports first: amid an import Python may lose an interruption
    with after(0.3, arrives) as pressed, pytest.raises(expected):
        platform.warehouse.transact(work, silent)
    assert_soon(pressed)
    with platform.warehouse.write(silent) as session:
        # Nothing half-written, and the queue of writers is free: nothing runs there any more.
        session.execute("CREATE TABLE half_written (n INTEGER)")


def test_a_handler_that_raises_nothing_leaves_the_statement_alone(platform: Platform) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        with platform.warehouse.write(silent) as session, after(0.1, press_ctrl_c):
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                assert session.count("SELECT 7") == 7
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


def test_an_exception_set_in_another_thread_ends_the_statement_of_that_thread(
    platform: Platform,
) -> None:
    class Stopped(Exception):
        pass

    raised: list[BaseException] = []

    def work() -> None:
        try:
            with platform.warehouse.write(silent) as session:
                session.fetch(ENDLESS)
        except Stopped as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.5)
    began = time.monotonic()
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(Stopped)
    )
    thread.join(timeout=20)
    assert raised
    assert time.monotonic() - began < SOON


def test_ctrl_c_of_a_program_ends_the_statements_of_its_other_threads(
    tmp_path: Path, folder_lake: FolderLake
) -> None:
    EngineUnderTest("duckdb").platform(tmp_path, folder_lake.root)
    code = (
        f"{OPEN_WAREHOUSE}"
        "def ask():\n"
        "    with warehouse.write(print) as session:\n"
        "        print('asking', flush=True)\n"
        f"        session.fetch({ENDLESS!r})\n"
        "thread = threading.Thread(target=ask)\n"
        "thread.start()\n"
        "thread.join()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "dwh.cfg")]
    asking = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert asking.stdout is not None
    assert asking.stdout.readline() == "asking\n"
    time.sleep(0.3)
    pressed = [time.monotonic()]
    asking.send_signal(signal.SIGINT)
    asking.communicate(timeout=20)
    assert_soon(pressed, 2 * SOON)  # with Python's own end
    assert asking.returncode == -signal.SIGINT


def test_a_thread_that_outlives_the_main_one_goes_on_asking(
    tmp_path: Path, folder_lake: FolderLake
) -> None:
    EngineUnderTest("duckdb").platform(tmp_path, folder_lake.root)
    code = (
        f"{OPEN_WAREHOUSE}"
        "def ask():\n"
        "    while threading.main_thread().is_alive():\n"
        "        pass\n"
        "    with warehouse.write(print) as session:\n"
        "        print(session.count('SELECT 7'))\n"
        "threading.Thread(target=ask).start()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "dwh.cfg")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "7\n"


def test_asyncio_goes_on_hearing_signals_while_a_statement_runs(platform: Platform) -> None:
    heard: list[int] = []

    def ask() -> int:
        with platform.warehouse.write(silent) as session:
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                count = session.count("SELECT 7")
            return count

    async def both() -> int:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, heard.append, 1)
        with after(0.1, lambda: os.kill(os.getpid(), signal.SIGUSR1)):
            return await asyncio.to_thread(ask)

    assert asyncio.run(both()) == 7
    assert heard == [1]


def test_a_run_that_is_interrupted_in_a_statement_fails_and_the_next_one_succeeds(
    platform: Platform,
) -> None:
    began: list[float] = []

    @dg.op
    def endless() -> None:
        with platform.warehouse.write(silent) as session, after(0.3, send_interrupt):
            began.append(time.monotonic())
            session.fetch(ENDLESS)

    @dg.job
    def waits() -> None:
        endless()

    done = waits.execute_in_process(raise_on_error=False)
    assert_soon(began, 2 * SOON)  # with what Dagster records
    assert not done.success
    with platform.warehouse.write(silent) as session:
        assert session.count("SELECT 7") == 7


def test_a_statement_ends_on_its_server_too(platform: Platform) -> None:
    if platform.warehouse.engine == "duckdb":
        return  # it is the server
    with platform.warehouse.write(silent):
        pass  # imports, as above
    with (
        pytest.raises(KeyboardInterrupt),
        platform.warehouse.write(silent) as session,
        after(0.3, press_ctrl_c),
    ):
        session.fetch(ENDLESS)
    running = "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE :text"
    until = time.monotonic() + 5
    with platform.warehouse.write(silent) as session:
        while session.count(running, {"text": "WITH d AS (SELECT 0%"}) and time.monotonic() < until:
            time.sleep(0.1)
        assert session.count(running, {"text": "WITH d AS (SELECT 0%"}) == 0


def test_waiting_for_a_server_that_does_not_answer_is_interrupted(
    tmp_path: Path, folder_lake: FolderLake, silent_server: int
) -> None:
    server = {
        "WAREHOUSE_ENGINE": "postgres", "CLUSTER_HOST": "127.0.0.1", "CLUSTER_DB_NAME": "d",
        "CLUSTER_DB_PORT": silent_server, "CLUSTER_DB_USER": "u", "CLUSTER_DB_PASSWORD": "p",
        "CLUSTER_SSLMODE": "disable",
    }  # fmt: skip
    platform = EngineUnderTest("duckdb").platform(tmp_path, folder_lake.root, **server)
    with after(0.3, press_ctrl_c) as pressed, pytest.raises(KeyboardInterrupt):
        platform.warehouse.exists()
    assert_soon(pressed)


def test_a_connection_that_failed_is_closed_although_its_error_is_kept() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        with pytest.raises(psycopg2.OperationalError) as kept:
            open_connection(
                sslmode="disable", sslrootcert="", host="127.0.0.1", port=port, connect_timeout=2
            )
        accepted, _ = server.accept()
        accepted.settimeout(5)
        with closing(accepted):
            while accepted.recv(1024):
                pass  # the end: the client has hung up
        assert "timeout expired" in str(kept.value)


@pytest.mark.usefixtures("aws_environment")
@pytest.mark.parametrize("wait", ["list", "put"])
def test_waiting_for_s3_is_interrupted(wait: str, silent_server: int) -> None:
    at = {"region": "us-east-1", "endpoint_url": f"http://127.0.0.1:{silent_server}"}
    lake = S3Lake("s3://bucket/lake", **at)
    assert lake.store  # imports, as above
    work: Callable[[], object] = {
        "list": lake.list,
        "put": lambda: Scratch("s3://bucket/scratch", **at).put("name", b"content"),
    }[wait]
    with after(0.3, press_ctrl_c) as pressed, pytest.raises(KeyboardInterrupt):
        work()
    assert_soon(pressed)


@pytest.mark.usefixtures("aws_environment")
def test_a_load_that_waits_for_s3_is_interrupted(
    tmp_path: Path, folder_lake: FolderLake, silent_server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_lake.put_events(FIRST, event())
    platform = EngineUnderTest("duckdb").platform(tmp_path, folder_lake.root)
    endpoint = f"http://127.0.0.1:{silent_server}"
    answers = platform.lake("staging_events")
    silenced = S3Lake("s3://bucket/log_data", region="us-east-1", endpoint_url=endpoint)
    assert silenced.store  # imports, as above
    monkeypatch.setattr(type(answers), "read", lambda _, files: silenced.read(files))
    with after(0.5, press_ctrl_c) as pressed, pytest.raises(KeyboardInterrupt):
        platform.load("staging_events", days=None, reload=False, run_id="test")
    assert_soon(pressed)


def test_a_call_that_cannot_be_ended_is_left_and_what_comes_last_waits_for_it() -> None:
    go_on, order = threading.Event(), []

    def deaf() -> None:
        go_on.wait(20)
        order.append("ended")

    thread = CallThread(stop=lambda: None)
    with after(0.2, press_ctrl_c) as pressed, pytest.raises(KeyboardInterrupt):
        thread.call(deaf)
    assert_soon(pressed, 2 * SOON)
    with pytest.raises(KeyboardInterrupt):
        thread.call(lambda: order.append("after it"))
    closed = threading.Event()
    thread.close(lambda: (order.append("closed"), closed.set()))
    assert order == []
    go_on.set()
    assert closed.wait(5)
    assert order == ["ended", "closed"]


def test_a_second_ctrl_c_while_a_call_ends_changes_nothing() -> None:
    ended = threading.Event()

    def stop() -> None:
        ended.set()
        press_ctrl_c()  # somebody who does not wait

    with closing(CallThread(stop)) as thread:
        with after(0.2, press_ctrl_c), pytest.raises(KeyboardInterrupt):
            thread.call(lambda: ended.wait(20))
        assert thread.call(lambda: "the next one") == "the next one"


def test_a_call_may_be_given_a_time() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        interruptibly(lambda: time.sleep(5), within=0.2)
    assert 0.2 <= time.monotonic() - began < SOON
    assert interruptibly(lambda: 7, within=5) == 7


def test_what_a_call_raises_comes_out_as_it_is() -> None:
    def timed_out() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        interruptibly(timed_out)
    with closing(CallThread()) as thread, pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 / 0)


def test_calls_from_the_thread_itself_and_after_its_end_are_made_at_once() -> None:
    thread = CallThread()
    assert thread.call(lambda: thread.call(lambda: 7)) == 7
    thread.close()
    thread.close()
    assert thread.call(lambda: 8) == 8
