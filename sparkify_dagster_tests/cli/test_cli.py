"""The command itself: it starts fast, explains itself, and an error is one message."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from sparkify_dagster.cli.main import sparkify
from sparkify_dagster.cli.run import command as run_command
from sparkify_dagster.console import Column, Mark, counted, listed, one_line, size, table
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster_tests.fixtures.cli import Project

COMMANDS = ("run", "query", "verify", "simulate", "doctor", "ui")
HEAVY = ("dagster", "duckdb", "pandas", "pyarrow", "numpy", "boto3", "obstore", "rich")
LOADED_MODULES = (
    "import sys, atexit\n"
    "atexit.register(lambda: print('LOADED', *sorted({m.split('.')[0] for m in sys.modules})))\n"
    "from sparkify_dagster.cli.main import sparkify\n"
    "sparkify.main(prog_name='sparkify')\n"
)


def loaded_modules(project: Project, *arguments: str) -> set[str]:
    done = project.python(LOADED_MODULES, *arguments)
    assert done.status == 0, done.err
    return set(done.out.rpartition("LOADED ")[2].split())


def test_help_imports_nothing_heavy(empty_project: Project) -> None:
    assert loaded_modules(empty_project, "--help").isdisjoint(HEAVY)


@pytest.mark.slow
def test_a_query_and_a_run_with_nothing_new_do_not_import_dagster(loaded_once: Project) -> None:
    for arguments in (["run"], ["query", "SELECT 1"], ["doctor"]):
        modules = loaded_modules(loaded_once, *arguments)
        assert "duckdb" in modules
        assert modules.isdisjoint({"dagster", "pandas", "pyarrow", "boto3"}), arguments


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    done = CliRunner().invoke(sparkify, [command, "--help"])
    assert done.exit_code == 0
    assert f"sparkify {command}" in done.output
    assert "--debug" in done.output
    assert f"  {command}" in CliRunner().invoke(sparkify, ["-h"]).output


def test_the_version_is_reported(empty_project: Project) -> None:
    from sparkify_dagster import __version__

    assert __version__ in empty_project.process("--version").out


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(run_command.run, "callback", fail)


def test_an_error_of_the_platform_is_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, SparkifyError("The lake is dry. Wait for rain."))
    done = CliRunner().invoke(sparkify, ["run"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "Error: The lake is dry. Wait for rain.\n"


def test_a_defect_is_one_line_that_says_how_to_see_more(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, KeyError("some\nkey"))
    done = CliRunner().invoke(sparkify, ["run"])
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert "KeyError" in done.stderr
    assert "--debug" in done.stderr


@pytest.mark.parametrize("arguments", [["--debug", "run"], ["run", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, SparkifyError("The lake is dry."))
    done = CliRunner().invoke(sparkify, arguments)
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("Error: The lake is dry.\n")


def test_an_interrupt_says_that_nothing_is_half_written(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    done = CliRunner().invoke(sparkify, ["run"])
    assert done.exit_code == 130
    assert "nothing half-written" in done.stderr


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_a_library_logs_is_shown_unless_it_is_the_interruption(
    error: type[BaseException], empty_project: Project
) -> None:
    logs = (
        "import logging, sys\n"
        "from sparkify_dagster.cli import main as cli\n"
        "def failing(**_):\n"
        "    try:\n"
        f"        raise {error.__name__}\n"
        "    except BaseException:\n"
        "        logging.getLogger('a.library').error('not closed', exc_info=True)\n"
        "        raise KeyboardInterrupt\n"
        "cli.sparkify.main = failing\n"
        "cli.main()\n"
    )
    done = empty_project.python(logs)
    assert done.status == 130
    assert ("not closed" in done.err) == (error is ValueError)
    assert "Error: interrupted" in done.err


def wait_until_it_worked_for(seconds: float, process: subprocess.Popen[str]) -> None:
    """Wait for seconds of the processor's time: those of a clock tell little beside other work."""
    ticks = os.sysconf("SC_CLK_TCK")
    while process.poll() is None:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        if (int(fields[11]) + int(fields[12])) / ticks >= seconds:
            return
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.2, 1.0, 3.0])
def test_ctrl_c_ends_a_run_and_the_next_one_completes_it(project: Project, seconds: float) -> None:
    process = project.start("run")
    wait_until_it_worked_for(seconds, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if process.returncode != 0:  # it may have been faster
        assert process.returncode == 130
        assert err.strip().startswith("Error: interrupted"), err
    assert project.sparkify("run").status == 0
    assert project.value("SELECT COUNT(*) FROM songplays") == "6"


def wait_until_open(pid: int, file: Path) -> None:
    """Until a process has opened a file: how long it takes to start is the machine's affair."""
    deadline = time.monotonic() + 60
    while file not in {link.resolve() for link in Path(f"/proc/{pid}/fd").iterdir()}:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_long_question_with_the_same_message_and_status(
    loaded_once: Project, number: signal.Signals
) -> None:
    process = loaded_once.start("query", "SELECT SUM(hash(range)) FROM range(1000000000000)")
    wait_until_open(process.pid, loaded_once.warehouse)
    time.sleep(0.5)
    process.send_signal(number)
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 1
    assert process.returncode == 130
    assert err.strip().startswith("Error: interrupted"), err


def test_a_reader_that_leaves_ends_a_query_silently(loaded_once: Project) -> None:
    process = loaded_once.start("query", "FROM range(200000)", "--format", "csv")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) != 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_marks_are_words_where_the_encoding_lacks_them(loaded_once: Project) -> None:
    plain = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    assert "✓ configuration" in loaded_once.process("doctor").out
    assert "ok configuration" in loaded_once.process("doctor", **plain).out


def test_a_table_is_aligned_and_never_cuts_a_value() -> None:
    columns = [Column("n", number=True), Column("text")]
    rows = [["1", "x" * 300], ["1,200", "日本"], ["3", "two\nlines"], ["4", "\x1b[31m"]]
    assert table(columns, rows).splitlines() == [
        "    n  text",
        f"-----  {'-' * 300}",
        f"    1  {'x' * 300}",
        "1,200  日本",
        "    3  two",
        "       lines",
        "    4  \\x1b[31m",
    ]


def test_numbers_and_lists_read_like_words() -> None:
    assert [counted(n, "file") for n in (0, 1, 1200)] == ["0 files", "1 file", "1,200 files"]
    assert [listed(["a", "b", "c"][:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert [size(n) for n in (1, 34_700, 1_300_000)] == ["1 byte", "34.7 kB", "1.3 MB"]
    assert one_line("a\tb\u202e") == "a\\tb\\u202e"
    assert Mark.FAIL.text in ("✗", "FAIL")
