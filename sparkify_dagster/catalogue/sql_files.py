"""SQL files: a header comment and named statements.

A file opens with `--` lines: a description, and `word: value` lines such as `grain:`. Its
statements follow, each under a line `-- name: …`; a file without names is one statement. Lines
that end in `-- incremental` restrict a statement to what changed: they are left out when a table
is rebuilt. Nothing here knows what a statement means, and nothing executes it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

from sparkify_dagster.errors import SparkifyError

SQL_FOLDER = Path(__file__).parents[1] / "sql"
_MARK = re.compile(r"\s*-- incremental\s*$")
_PROPERTY = re.compile(r"^([a-z][a-z ]*): (.+)$")
_NAME = re.compile(r"^-- name: (.+?)\s*$")


class ScriptError(SparkifyError):
    """A SQL file of the platform or of its user is not laid out as it must be."""


@dataclass(frozen=True)
class Script:
    """One SQL file: what its header says, and its statements by name, in the file's order."""

    path: Path
    description: str
    properties: Mapping[str, str]
    statements: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")


def read_script(path: Path) -> Script:
    """Read one SQL file.

    Raises:
        ScriptError: if the file has no statement, a name twice, or a name without a statement.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    body = next((i for i, line in enumerate(lines) if not _is_header(line)), len(lines))
    description, properties = _read_header(lines[:body])
    statements: dict[str, str] = {}
    name, start = "", body
    for i, line in enumerate([*lines[body:], "-- name: <end>"], start=body):
        if not (match := _NAME.match(line)):
            continue
        _add_statement(path, statements, name, lines[start:i])
        name, start = match[1], i + 1
    if not statements:
        raise ScriptError(f"{path}: the file has no SQL statement. Add one below the header.")
    return Script(path, description, properties, statements)


def whole(statement: str) -> str:
    """The statement without its incremental lines; empty if nothing but those remains."""
    return "\n".join(line for line in statement.splitlines() if not _MARK.search(line)).strip()


def incremental(statement: str) -> str:
    """The statement with its incremental lines, without their marks."""
    return "\n".join(_MARK.sub("", line) for line in statement.splitlines()).strip()


def _is_header(line: str) -> bool:
    return not line.strip() or (line.startswith("--") and not _NAME.match(line))


def _read_header(lines: list[str]) -> tuple[str, dict[str, str]]:
    texts: list[str] = []
    properties: dict[str, str] = {}
    for line in lines:
        text = line.removeprefix("--").strip()
        if match := _PROPERTY.match(text):
            properties[match[1]] = match[2]
        else:
            texts.append(text)
    return "\n".join(texts).strip(), properties


def _add_statement(path: Path, statements: dict[str, str], name: str, lines: list[str]) -> None:
    # Comments before a statement are for people; the statement begins with its verb.
    lines = list(dropwhile(_is_header, lines))
    statement = "\n".join(lines).strip().rstrip(";").strip()
    if not name and not statement:
        return
    if not statement:
        raise ScriptError(f"{path}: nothing stands under '-- name: {name}'. Add its statement.")
    if name in statements:
        raise ScriptError(f"{path}: two statements are named '{name}'. Rename one of them.")
    statements[name] = statement
