"""The prompt of `sparkify query`: one question after the other on a terminal.

Each question has a session of its own: while somebody thinks, the warehouse is free for a run.
What an answer looks like is in `answers`, what completes a word in `completion`.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparkify_dagster.ask.statements import is_ended, single_name, split
from sparkify_dagster.cli.query.answers import listed, show
from sparkify_dagster.console import complain, note
from sparkify_dagster.errors import SparkifyError

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import History

    from sparkify_dagster.warehouse import Platform

HISTORY = "query_history"
LEAVE = ("\\q", "quit", "exit")
HELP = ("\\l", "\\?", "help")
_HINT = "LIMIT shows fewer, `sparkify query --out FILE` has all"
_KEYS = """
A statement ends with ; and may have several lines. A name of the list needs no ;.
Tab completes, the arrow keys bring back what was asked, Ctrl-C clears what is typed or stops a
statement, \\q or Ctrl-D leaves.
"""


def converse() -> None:
    """Ask until the user leaves."""
    from sparkify_dagster.settings import load_settings
    from sparkify_dagster.warehouse import open_platform

    settings = load_settings()
    platform = open_platform(settings)
    session = _session(platform, settings.home)
    note(f"{platform.warehouse.location}, read-only. help lists what can be asked, \\q leaves.")
    while True:
        try:
            text = session.prompt()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        command = text.strip().rstrip(";").lower()
        if command in LEAVE:
            return
        if command in HELP:
            click.echo(f"{listed(platform.catalogue)}\n{_KEYS}")
        elif command.startswith("\\"):
            complain(f"{command} is unknown here: help says what there is")
        else:
            _answer(platform, text)


def is_complete(text: str) -> bool:
    """Whether Enter asks; otherwise it begins another line."""
    text = text.strip()
    return not text or text.startswith("\\") or single_name(text) is not None or is_ended(text)


def _answer(platform: "Platform", text: str) -> None:
    """Ask each statement of a text, until one fails."""
    from sparkify_dagster.ask.questions import question

    try:
        for statement in split(text):
            asked = question(statement, platform.catalogue)
            show(platform.warehouse, asked, None, _HINT, with_title=True)
    except KeyboardInterrupt:
        note("stopped")
    except SparkifyError as error:
        complain(_one_line(error))
    except Exception as error:  # noqa: BLE001 - a defect does not end the conversation
        complain(f"unexpected {type(error).__name__}: {_one_line(error)}")


def _one_line(error: Exception) -> str:
    """What is wrong, without the picture of the place that engines draw below it."""
    return " ".join(str(error).partition("\nLINE ")[0].split())


def _session(platform: "Platform", home: Path) -> "PromptSession[str]":
    from prompt_toolkit import PromptSession
    from prompt_toolkit.application import get_app
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.lexers import PygmentsLexer
    from pygments.lexers.sql import SqlLexer

    from sparkify_dagster.cli.query.completion import SqlCompleter

    session: PromptSession[str] = PromptSession(
        "sparkify> ",
        history=_history(home),
        completer=SqlCompleter(platform.catalogue, (*LEAVE, *HELP)),
        complete_while_typing=False,
        lexer=PygmentsLexer(SqlLexer),
        multiline=Condition(lambda: not is_complete(get_app().current_buffer.text)),
        prompt_continuation="     ...> ",
    )
    return session


def _history(home: Path) -> "History":
    """What was asked in this project, for its user alone; forgotten if it cannot be kept."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    file = home / HISTORY
    try:
        home.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600))
    except OSError as error:
        note(f"{file} cannot be written ({error.strerror}): what you ask is not kept.")
        return InMemoryHistory()
    return FileHistory(str(file))
