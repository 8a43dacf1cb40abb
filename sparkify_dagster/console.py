"""How text looks: marks, numbers, plain tables, errors. What is said is decided elsewhere.

A table is the same on a terminal and in a file: no value is ever cut, whatever the width.
"""

import io
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest

import click

DEBUG = "sparkify_dagster.debug"
"""Where a command's context notes that --debug was given."""


class Mark(Enum):
    """How something went."""

    OK = ("✓", "ok", "green")
    WARN = ("!", "warn", "yellow")
    FAIL = ("✗", "FAIL", "red")

    @property
    def text(self) -> str:
        sign, word, _ = self.value
        return sign if can_show(sign) else word

    @property
    def colour(self) -> str:
        return self.value[2]

    @property
    def shown(self) -> str:
        """In its colour; click takes colours away where no terminal shows them."""
        return click.style(self.text, fg=self.colour)


@dataclass(frozen=True)
class Column:
    """A column of a table: its title, and whether its values are numbers (aligned right)."""

    title: str
    number: bool = False


def complain(message: str) -> None:
    """One error, to stderr."""
    click.echo(f"Error: {message}", err=True)


def note(message: str) -> None:
    """Something beside the result of a command: to stderr, so that it stays out of pipes."""
    click.echo(message, err=True)


def debugging(context: click.Context | None = None) -> bool:
    """Whether --debug was given, before or behind the name of the command."""
    context = context or click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(DEBUG))


def can_show(text: str) -> bool:
    """Whether stdout's encoding has these characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def replace_unprintable() -> None:
    """A character that the terminal's encoding lacks is escaped instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_terminal() -> bool:
    """Whether stdout is a terminal that can move its cursor."""
    import os

    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 file`, `1,200 files`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def size(count: int) -> str:
    """`900 bytes`, `12.3 kB`, `1.5 MB`: an amount of bytes."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return counted(count, "byte")


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else list(parts))


def one_line(text: str) -> str:
    """Text without control characters, which could move the cursor or break a table."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    styles: Mapping[int, Callable[[str], str]] | None = None,
) -> str:
    """Aligned columns under their titles. `styles` colours the padded cells of a column."""
    cells = [
        [one_line(line) for line in lines]
        for row in rows
        for lines in zip_longest(*(cell.splitlines() for cell in row), fillvalue="")
    ]
    widths = [
        max(map(_width, [column.title, *(row[i] for row in cells)]))
        for i, column in enumerate(columns)
    ]
    lines = [_aligned([column.title for column in columns], columns, widths)]
    lines.append("  ".join("-" * width for width in widths))
    lines += [_aligned(row, columns, widths, styles or {}) for row in cells]
    return "\n".join(lines)


def _aligned(
    row: Sequence[str],
    columns: Sequence[Column],
    widths: Sequence[int],
    styles: Mapping[int, Callable[[str], str]] | None = None,
) -> str:
    parts = []
    for i, (cell, column, width) in enumerate(zip(row, columns, widths, strict=True)):
        padding = " " * (width - _width(cell))
        last = i == len(columns) - 1
        text = padding + cell if column.number else cell if last else cell + padding
        parts.append(styles[i](text) if styles and i in styles else text)
    return "  ".join(parts).rstrip()


def _width(text: str) -> int:
    """The columns of a terminal that the text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
