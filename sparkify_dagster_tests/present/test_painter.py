"""The process that draws: what it may cost, how it ends, and what becomes of a chart without it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import dagster as dg
import pytest

from sparkify_dagster.defs import run_context, runs
from sparkify_dagster.present.charts import drawing, painter
from sparkify_dagster.present.charts.painter import NotDrawn, Painter
from sparkify_dagster.warehouse import Platform
from sparkify_dagster_tests.fixtures.dagster import THREE_DAYS
from sparkify_dagster_tests.present.test_charts import found

SPEC = {"data": {"values": []}, "mark": "bar"}
CHART = found("bar song plays", ("Undo", 1))
DRAWS = """
import os, sys, time
from sparkify_dagster.present.charts.painter import Painter
painter = Painter()
spec = {"data": {"values": []}, "mark": "bar"}
assert painter.paint(spec).startswith("<svg")
print(painter._process.pid, flush=True)
"""


@pytest.fixture
def helped() -> Iterator[Painter]:
    painter = Painter()
    yield painter
    painter.close()


def helper_of(painter: Painter) -> int:
    assert painter._process is not None
    return painter._process.pid


def is_there(pid: int) -> bool:
    """Whether a process runs; one that only waits to be counted does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def soon(holds: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


Running = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def running() -> Iterator[Running]:
    """Starts a process that draws, and then does what it is told; its group is its own."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-W", "error", "-X", "dev", "-c", DRAWS + code]
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def helper_reported(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def test_neither_starting_it_nor_its_first_picture_costs_this_process_anything(
    helped: Painter,
) -> None:
    """Where V8 starts, it holds the interpreter for 0.4 s of processor time."""
    before = time.process_time()
    helped.start()
    helped.start()
    pid = helper_of(helped)
    assert helped.paint(SPEC).startswith("<svg")
    assert time.process_time() - before < 0.15
    assert helper_of(helped) == pid


def test_the_program_imports_nothing_of_the_package() -> None:
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__');"
        "print(*[name for name in sys.modules if name.startswith(('sparkify', 'dagster'))],"
        " file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(painter._PROGRAM)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr.strip()) == ("", "")


def test_threads_get_their_own_pictures(helped: Painter) -> None:
    def paint(width: int) -> bool:
        return f'width="{width}"' in helped.paint(SPEC | {"width": width, "padding": 0})

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(paint, range(100, 140)))


def test_questions_and_answers_may_be_longer_than_a_pipe_holds(helped: Painter) -> None:
    rows = [{"x": n, "unseen": "x" * 1000} for n in range(2000)]
    points = {"mark": "point", "encoding": {"x": {"field": "x", "type": "quantitative"}}}
    assert len(helped.paint({"data": {"values": rows}} | points)) > 1 << 17


def test_what_vega_refuses_is_said_and_ends_nothing(helped: Painter) -> None:
    helped.start()
    pid = helper_of(helped)
    with pytest.raises(NotDrawn, match="conversion failed"):
        helped.paint({"mark": "nonsense"})
    assert helped.paint(SPEC)
    assert helper_of(helped) == pid


def test_it_inherits_no_secret(helped: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARKIFY_CLUSTER_DB_PASSWORD", "hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("ANYTHING", "hunter2")
    monkeypatch.setenv("TZ", "UTC")
    assert helped.paint(SPEC)
    environment = Path(f"/proc/{helper_of(helped)}/environ").read_bytes()
    assert b"TZ=UTC" in environment
    assert b"hunter2" not in environment


@pytest.mark.parametrize(
    "end", ["pass", "sys.exit(3)", "os._exit(3)", "os.kill(os.getpid(), 9)", "1 / 0"]
)
def test_it_ends_with_its_process_however_that_ends(running: Running, end: str) -> None:
    process = running(end)
    pid = helper_reported(process)
    _, complaints = process.communicate(timeout=20)  # it keeps nothing from ending
    assert soon(lambda: not is_there(pid))
    assert complaints == "" or "ZeroDivisionError" in complaints
    assert "ResourceWarning" not in complaints


def test_an_interruption_at_the_terminal_is_not_for_it(running: Running) -> None:
    process = running(
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    painter.paint(spec)\n"
        "    print(painter._process.pid)"
    )
    pid = helper_reported(process)
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: the whole group in front
    out, complaints = process.communicate(timeout=20)
    assert (process.returncode, int(out), complaints) == (0, pid, "")


def test_an_interrupted_question_leaves_no_answer_to_the_next(
    helped: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert helped.paint(SPEC)
    read = os.read

    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(painter.os, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        helped.paint(SPEC | {"width": 111})
    monkeypatch.setattr(painter.os, "read", read)
    assert 'width="222"' in helped.paint(SPEC | {"width": 222, "padding": 0})


@pytest.mark.slow
def test_a_forked_child_has_a_helper_of_its_own(running: Running) -> None:
    process = running(
        "parents, (out, told) = painter._process, os.pipe()\n"
        "if not os.fork():\n"
        "    assert painter._process is None and parents.stdin.closed\n"
        "    assert painter.paint(spec).startswith('<svg')\n"
        "    os.write(told, str(painter._process.pid).encode())\n"
        "    painter.close()\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "childs = int(os.read(out, 100))\n"
        "assert painter.paint(spec).startswith('<svg')\n"
        "assert painter._process is parents and childs != parents.pid\n"
    )
    helper_reported(process)
    _, complaints = process.communicate(timeout=30)
    assert (process.returncode, complaints) == (0, "")


def test_a_forked_child_that_stays_keeps_no_helper_of_a_parent_that_died(running: Running) -> None:
    process = running(
        "child = os.fork()\nif not child:\n    time.sleep(60)\n"
        "print(child, flush=True)\nos.kill(os.getpid(), 9)"
    )
    pid = helper_reported(process)
    child = helper_reported(process)
    assert soon(lambda: not is_there(pid))
    assert is_there(child)


@pytest.fixture
def drawing_helper(helped: Painter, monkeypatch: pytest.MonkeyPatch) -> Painter:
    """The helper that charts are drawn by; nothing is remembered of what was drawn."""
    monkeypatch.setattr(drawing, "_PAINTER", helped)
    drawing._drawn.cache_clear()
    return helped


def test_a_chart_that_nobody_prepared_for_starts_it(drawing_helper: Painter) -> None:
    assert drawing.draw(CHART).svg


def test_one_that_died_between_charts_is_replaced_and_leaves_no_zombie(
    drawing_helper: Painter,
) -> None:
    drawing.warm_up()
    pid = helper_of(drawing_helper)
    os.kill(pid, signal.SIGKILL)
    assert soon(lambda: not is_there(pid))
    assert drawing.draw(CHART).svg
    assert not Path(f"/proc/{pid}").exists()


def test_one_that_died_unnoticed_is_replaced_when_it_is_asked(
    drawing_helper: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing.warm_up()
    pid = helper_of(drawing_helper)
    dying = drawing_helper._process
    assert dying is not None
    os.kill(pid, signal.SIGKILL)
    assert soon(lambda: not is_there(pid))
    with monkeypatch.context() as patch:
        patch.setattr(dying, "poll", lambda: None)  # its leader is gone, its threads are not
        assert drawing.draw(CHART).svg
    assert helper_of(drawing_helper) != pid


def test_one_that_hangs_costs_its_chart_alone(drawing_helper: Painter) -> None:
    drawing_helper._patience = 0.3
    drawing.warm_up()
    pid = helper_of(drawing_helper)
    os.kill(pid, signal.SIGSTOP)
    picture = drawing.draw(CHART)
    assert picture.svg is None
    assert picture.words == (
        "Bar chart of plays by song, largest first: Undo (1). Vega could not draw this: it took"
        " more than 0.3 s."
    )
    assert not Path(f"/proc/{pid}").exists()
    drawing_helper._patience = 30
    assert drawing.draw(CHART).svg  # the same chart: a failure is not remembered


def test_where_no_process_can_be_started_the_chart_says_so(
    drawing_helper: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    drawing.warm_up()
    picture = drawing.draw(CHART)
    assert picture.svg is None
    assert "Vega could not draw this: its process cannot be started ([Errno 2]" in picture.words


def test_without_vega_the_chart_says_so(
    drawing_helper: Painter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "vl_convert.py").write_text("raise ImportError('no Vega here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert drawing.draw(CHART).words.endswith("Vega could not draw this: no Vega here")


def test_what_vega_draws_unlike_itself_fails_no_run(
    drawing_helper: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing_helper, "paint", lambda _: "<svg>another Vega</svg>")
    picture = drawing.draw(CHART)
    assert picture.svg is None
    assert "not the SVG that Vega draws" in picture.words


@pytest.mark.slow
@pytest.mark.parametrize(("tables", "starts"), [(None, 1), (["staging_events"], 0)])
def test_a_run_starts_it_at_its_beginning_if_it_makes_a_chart(
    tables: list[str] | None,
    starts: int,
    small_platform: Platform,
    small_instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[object] = []
    monkeypatch.setattr(run_context, "warm_up", lambda: started.append(None))
    assert runs.materialize(small_platform, small_instance, days=THREE_DAYS, tables=tables).ok
    assert len(started) == starts
