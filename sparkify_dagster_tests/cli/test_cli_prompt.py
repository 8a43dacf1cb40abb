"""The prompt of `sparkify query`, on a terminal, with the keys that a user presses."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator

import duckdb
import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from sparkify_dagster.catalogue.catalogue import read_catalogue
from sparkify_dagster.cli.query.completion import SqlCompleter
from sparkify_dagster.cli.query.prompt import HISTORY, is_complete
from sparkify_dagster_tests.fixtures.cli import SPARKIFY, Project

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[=>])|\r")
# Ctrl-C reaches the process whose terminal it is: the one that its session opens first.
_ON_TERMINAL = 'exec "$@" <"$0" >"$0" 2>&1'
CTRL_C, CTRL_D, TAB, UP = "\x03", "\x04", "\t", "\x1b[A"
ENDLESS = "SELECT SUM(a.range * b.range) FROM range(3000000) a, range(1000000) b;"


class Terminal:
    """A pseudo-terminal with `sparkify query` in it."""

    def __init__(self, project: Project, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        quiet = {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
        self.process = subprocess.Popen(
            ["sh", "-c", _ON_TERMINAL, os.ttyname(slave), SPARKIFY, "query", *arguments],
            cwd=project.folder,
            env=project.whole_environment | quiet,
            stdin=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def sees(self, text: str, seconds: float = 20) -> str:
        """What is shown up to this text, which has to come; it counts as seen."""
        until = time.monotonic() + seconds
        while text not in self.shown:
            if not select.select([self._master], [], [], max(0.0, until - time.monotonic()))[0]:
                raise AssertionError(f"no {text!r} in {self.shown!r}")
            self._read()
        seen, _, self.shown = self.shown.partition(text)
        return seen

    def ends(self, seconds: float = 20) -> int:
        """The exit status; what is still shown is in `shown`."""
        until = time.monotonic() + seconds
        while select.select([self._master], [], [], max(0.0, until - time.monotonic()))[0]:
            if not self._read():
                break
        return self.process.wait(seconds)

    def _read(self) -> bool:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux's way to say that nobody writes any more
            return False
        self.shown += _ESCAPES.sub("", data.decode(errors="replace"))
        return bool(data)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)
        os.close(self._master)


@pytest.fixture
def open_terminal(loaded: Project) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_one(*arguments: str) -> Terminal:
        opened.append(Terminal(loaded, *arguments))
        return opened[-1]

    yield open_one
    for terminal in opened:
        terminal.close()


def test_questions_are_answered_one_after_the_other(
    loaded: Project, open_terminal: Callable[..., Terminal]
) -> None:
    terminal = open_terminal()
    assert str(loaded.warehouse) in terminal.sees("sparkify>")

    terminal.press("SELECT COUNT(*) AS plays\r")
    terminal.sees("...>")
    terminal.press("FROM songplays;\r")
    assert terminal.sees("1 row").split()[-3:] == ["plays", "-----", "6"]

    terminal.sees("sparkify>")
    terminal.press("top_songs\r")
    assert "Which songs are played the most?" in terminal.sees("1 row")

    terminal.sees("sparkify>")
    terminal.press("SELECT nothing FROM users;\r")
    terminal.sees('Error: Referenced column "nothing" not found')
    assert "LINE" not in terminal.sees("sparkify>")
    terminal.press("DELETE FROM users;\r")
    terminal.sees("DELETE is not a statement that reads")

    terminal.sees("sparkify>")
    terminal.press("help\r")
    assert "Which artists are played the most?" in terminal.sees("Ctrl-D leaves")
    terminal.sees("sparkify>")
    terminal.press("\\q\r")
    assert terminal.ends() == 0
    kept = loaded.folder / ".dagster" / HISTORY
    assert "+FROM songplays;" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0


def test_tab_completes_and_the_arrow_brings_back_what_was_asked_before(
    open_terminal: Callable[..., Terminal],
) -> None:
    first = open_terminal()
    first.sees("sparkify>")
    first.press(f"SELECT * FROM songplays_{TAB}")
    first.sees("songplays_per_day")
    first.press(CTRL_C)
    first.sees("sparkify>")
    first.press(f"SELECT first_name, user_i{TAB}")
    first.sees("user_id")
    first.press(" AS number FROM users;\r")
    first.sees("2 rows")
    first.sees("sparkify>")  # between two prompts nobody listens to the keys
    first.press(CTRL_D)
    assert first.ends() == 0

    second = open_terminal()
    second.sees("sparkify>")
    second.press(f"{UP}\r")
    assert "number" in second.sees("2 rows").rpartition("first_name")[2]


def test_an_interruption_stops_the_statement_and_the_prompt_goes_on(
    open_terminal: Callable[..., Terminal],
) -> None:
    terminal = open_terminal()
    terminal.sees("sparkify>")
    terminal.press(f"{ENDLESS}\r")
    time.sleep(1.5)  # nothing is shown by which to see that it runs
    terminal.press(CTRL_C)
    terminal.sees("stopped")
    terminal.sees("sparkify>")
    terminal.press("SELECT 40 + 2 AS sum;\r")
    assert "42" in terminal.sees("1 row")
    terminal.sees("sparkify>")
    terminal.press(CTRL_D)
    assert terminal.ends() == 0


def test_an_open_prompt_keeps_nobody_from_writing(
    loaded: Project, open_terminal: Callable[..., Terminal]
) -> None:
    terminal = open_terminal()
    terminal.sees("sparkify>")
    terminal.press("SELECT COUNT(*) FROM users;\r")
    terminal.sees("1 row")
    terminal.sees("sparkify>")
    with duckdb.connect(str(loaded.warehouse)) as writer:
        writer.execute("UPDATE users SET first_name = 'Grace'")
    terminal.press("SELECT DISTINCT first_name FROM users;\r")
    assert "Grace" in terminal.sees("1 row")


def test_parquet_is_not_poured_into_a_terminal(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal("users", "--format", "parquet")
    assert terminal.ends() == 2
    assert "add --out FILE" in terminal.shown


def test_a_name_shows_its_question_on_a_terminal(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal("top_songs")
    assert terminal.ends() == 0
    assert terminal.shown.startswith("Which songs are played the most?")


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("", True),
        ("top_songs", True),
        ("top_song", True),
        ("\\q", True),
        ("SELECT", False),
        ("SELECT 1", False),
        ("SELECT 1;", True),
        ("SELECT ';'", False),
        ("SELECT 1; -- done", True),
        ("SELECT 1; SELECT 2", False),
    ],
)
def test_enter_asks_once_a_statement_is_ended(text: str, complete: bool) -> None:
    assert is_complete(text) is complete


@pytest.mark.parametrize(
    ("text", "first", "absent"),
    [
        ("SELECT * FROM songp", ["songplays", "songplays_per_day"], "SELECT"),
        ("SELECT * FROM users u JOIN songplays AS p ON p.us", ["user_id", "user_agent"], "users"),
        ("SELECT u.lev| FROM users u", ["level"], "levels_per_day"),
        ("SELECT first_n| FROM users", ["first_name"], "first_day"),
        ("sel", ["select"], "level"),
        ("top_s", ["top_songs"], "title"),
        ("\\", ["\\q", "\\l", "\\?"], "SELECT"),
        ("SELECT level FROM users GR", ["GROUP"], "group"),
    ],
)
def test_what_may_follow_is_offered_first(text: str, first: list[str], absent: str) -> None:
    before, _, after = text.partition("|")
    completer = SqlCompleter(read_catalogue(), ("\\q", "\\l", "\\?"))
    document = Document(before + after, len(before))
    offered = [c.text for c in completer.get_completions(document, CompleteEvent())]
    assert offered[: len(first)] == first
    assert absent not in offered
