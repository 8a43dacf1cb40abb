"""`sparkify query`: the result of one reading statement as a table, CSV or JSON.

Values keep their types: what is a whole number in the warehouse is one here, NULL is NULL. That
nothing can be written is the warehouse's read session; what is refused here gets a clearer message.
"""

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from sparkify_dagster.console import Column, counted, note, table
from sparkify_dagster.errors import SparkifyError

if TYPE_CHECKING:
    from sparkify_dagster.warehouse.base import Warehouse
    from sparkify_dagster.warehouse.reports import Rows, Value

# What a reader of a terminal may still want to scroll through.
SHOWN_ROWS = 1000
_ROWS_WRITTEN_AT_ONCE = 1000
_ERROR_KIND = re.compile(r"^(?:\w+ )+Error: ")  # "Catalog Error: ", in front of what is wrong
_NEEDS_QUOTES = re.compile(r'[",\r\n]|^\s|\s$')
_READING = (
    "SELECT", "WITH", "FROM", "VALUES", "TABLE", "SHOW", "DESCRIBE", "SUMMARIZE", "EXPLAIN",
    "PIVOT", "UNPIVOT",
)  # fmt: skip
_SQL_PART = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<quoted>'(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z)
        | \$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z))
    | (?P<end>;)
    | (?P<space>\s+)
    | (?P<word>\w+)
    | (?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)


class QueryError(SparkifyError):
    """The statement is not one that reads, or the warehouse does not understand it."""


@click.command(short_help="Ask the warehouse, read-only.")
@click.argument("sql", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "csv", "json")),
    default="table",
    show_default=True,
    help="How the result is written.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"At most N rows. A table shows {SHOWN_ROWS:,} by default, CSV and JSON all.",
)
def query(sql: str | None, form: str, limit: int | None) -> None:
    """Ask the warehouse with one SQL statement, read-only.

    Without SQL, or with -, the statement is read from a pipe. In CSV a NULL is an empty field and
    an empty text is "". JSON is one array of objects.

    \b
    Examples:
      sparkify query "SELECT level, COUNT(*) AS plays FROM songplays GROUP BY level"
      sparkify query "SELECT * FROM users" --format csv > users.csv
      sparkify query "SHOW TABLES"
      sparkify query "DESCRIBE songplays"
      sparkify query < question.sql
    """
    from sparkify_dagster.settings import load_settings
    from sparkify_dagster.warehouse import open_platform

    statement = one_reading_statement(_given(sql))
    platform = open_platform(load_settings())
    shown = SHOWN_ROWS if limit is None and form == "table" else limit
    found = _ask(platform.warehouse, statement, shown)
    rows = replace(found, rows=found.rows[:shown])
    for part in _FORMATS[form](rows):
        click.echo(part)
    if form == "table":
        there_are_more = "; there are more: --limit N shows N, --format csv all"
        more = len(found.rows) > len(rows.rows)
        note(f"{counted(len(rows.rows), 'row')}{there_are_more if more else ''}")


def one_reading_statement(sql: str) -> str:
    """The statement without its semicolon.

    Raises:
        QueryError: if there is none, several, or one that does not read.
    """
    first, ended = "", None
    for part in _SQL_PART.finditer(sql):
        kind = part.lastgroup
        if kind in ("comment", "space") or (not first and part[0] in "(;"):
            continue
        if kind == "end":
            ended = part.start() if ended is None else ended
        elif ended is not None:
            raise QueryError("These are several statements: ask one at a time.")
        else:
            first = first or part[0].upper()
    if not first:
        raise QueryError('There is no statement: give one, such as "SELECT COUNT(*) FROM users".')
    if first not in _READING:
        raise QueryError(
            f"{first[:40]} is not a statement that reads, and `sparkify query` only reads: a"
            f" statement begins with {', '.join(_READING[:-1])} or {_READING[-1]}. Nothing was"
            " changed."
        )
    return sql if ended is None else sql[:ended]


def as_table(rows: "Rows") -> Iterator[str]:
    """Aligned columns."""
    numbers = [
        all(_is_number(row[i]) or row[i] is None for row in rows.rows)
        and any(row[i] is not None for row in rows.rows)
        for i in range(len(rows.columns))
    ]
    columns = [Column(*column) for column in zip(rows.columns, numbers, strict=True)]
    yield table(columns, [["NULL" if v is None else _text(v) for v in row] for row in rows.rows])


def as_csv(rows: "Rows") -> Iterator[str]:
    """RFC 4180, with NULL told from an empty text as PostgreSQL and DuckDB do."""
    yield ",".join(map(_csv_cell, rows.columns))
    for part in _parts(rows):
        yield "\n".join(",".join(map(_csv_cell, row)) for row in part)


def as_json(rows: "Rows") -> Iterator[str]:
    """One array with an object a line; names that come twice get a number."""
    names: list[str] = []
    for name in rows.columns:
        again = (f"{name}_{n}" for n in range(1, len(rows.columns) + 1))
        names.append(name if name not in names else next(n for n in again if n not in names))
    yield "["
    left = len(rows.rows)
    for part in _parts(rows):
        left -= len(part)
        objects = [_json(dict(zip(names, row, strict=True))) for row in part]
        yield ",\n".join(objects) + ("," if left else "")
    yield "]"


def _given(sql: str | None) -> str:
    if sql not in (None, "-"):
        return str(sql)
    if sys.stdin.isatty() and sql is None:
        raise click.UsageError(
            'Name a statement, such as: sparkify query "SELECT COUNT(*) FROM songplays"'
        )
    return sys.stdin.read()


def _ask(warehouse: "Warehouse", statement: str, shown: int | None) -> "Rows":
    """At most one row more than shown, so that the reader learns that there are more."""
    from sparkify_dagster.warehouse import WarehouseError

    is_open = False
    try:
        with warehouse.read(note) as session:
            is_open = True
            # The tables alone: the platform's bookkeeping is not for analysts.
            session.execute(f"SET search_path = '{warehouse.schema}'")
            return session.rows(statement, limit=None if shown is None else shown + 1)
    except WarehouseError as error:
        if not is_open or error.__cause__ is None:
            raise
        # The engine's own words, with the position and what it suggests.
        raise QueryError(_ERROR_KIND.sub("", str(error.__cause__).strip())) from error


def _parts(rows: "Rows") -> "Iterator[tuple[tuple[Value, ...], ...]]":
    for start in range(0, len(rows.rows), _ROWS_WRITTEN_AT_ONCE):
        yield rows.rows[start : start + _ROWS_WRITTEN_AT_ONCE]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _text(value: object) -> str:
    """A value as text: times in ISO form, whole numbers without a point."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        spec = "auto" if value.microsecond % 1000 else "milliseconds"
        return value.isoformat(sep=" ", timespec=spec if value.microsecond else "seconds")
    if isinstance(value, bytes):
        return value.hex()
    return _json(value) if isinstance(value, list | tuple | dict) else str(value)


def _csv_cell(value: object) -> str:
    if value is None:
        return ""
    text = _text(value)
    if text and not _NEEDS_QUOTES.search(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def _json(value: object) -> str:
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: object) -> object:
    """The value in what JSON has; what it has not (NaN, infinity) is null."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float | Decimal):
        whole = isinstance(value, Decimal) and value.as_tuple().exponent == 0
        return None if not math.isfinite(value) else int(value) if whole else float(value)
    if isinstance(value, datetime):
        return _text(value).replace(" ", "T")
    return value if value is None or isinstance(value, bool | int | str) else _text(value)


_FORMATS: "dict[str, Callable[[Rows], Iterator[str]]]" = {
    "table": as_table,
    "csv": as_csv,
    "json": as_json,
}
