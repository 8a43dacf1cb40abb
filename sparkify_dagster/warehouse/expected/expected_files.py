"""Expected results: CSV files, each named after the table whose rows it holds, and what they say.

A file is read here and never written; comparing it with the table is compare_rows.py's::

    # Any remarks.
    # tolerance: 0.001                     (of every floating-point or DECIMAL column, absolute)
    # tolerance of match_rate: 0.0005      (of one column)
    log_date,songplays,match_rate
    2018-11-11,73,0.0136

The header names columns of the table: those, and no others, are compared. NULL is nothing between
the commas, an empty text is `""`, as `sparkify query … --format csv` writes them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path

from sparkify_dagster.catalogue.catalogue import ANALYTICS, STAR, Catalogue
from sparkify_dagster.catalogue.tables import Column, Table
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.warehouse.expected import csv_text
from sparkify_dagster.warehouse.expected.csv_text import CsvError
from sparkify_dagster.warehouse.expected.csv_values import NUMBER, Compared, parse_value

Row = tuple[Compared, ...]
BESIDE_THE_LAKE = "expected"
"""The folder beside a lake's prefixes in which a sample has its expected results."""

_TOLERANCE = re.compile(r"#\s*tolerance\b(?:\s+of\s+(?P<column>\w+))?\s*(?P<rest>.*)", re.I)
_PROBLEMS_SHOWN = 5


class ExpectedError(SparkifyError):
    """Expected results that cannot be compared: what is wrong, in which file and line."""


@dataclass(frozen=True)
class Expected:
    """The expected rows of one table.

    ``key`` are the columns of the table's primary key where the file has all of them, else none.
    ``tolerances`` are absolute, by column; a column without one must be equal.
    """

    table: str
    path: Path
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    tolerances: Mapping[str, Decimal]
    rows: tuple[tuple[int, Row], ...]
    """Each with the number of its line."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True)
class Folder:
    """What a folder of expected results holds: the file of each table, and what else is there."""

    path: Path
    files: Mapping[str, Path]
    """By table, those of the star first."""
    ignored: Mapping[str, str]
    """By the name of a file: why it is compared with nothing."""


def look_into(folder: Path, catalogue: Catalogue) -> Folder:
    """The files of a folder, unread.

    Raises:
        ExpectedError: if there is no such folder.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ExpectedError(
            f"The folder of expected results {folder} cannot be read ({error.strerror}). Correct"
            " --expected or [ANALYTICS] EXPECTED."
        ) from None
    tables = (*catalogue.tables_of(STAR), *catalogue.tables_of(ANALYTICS))
    files = {table: folder / f"{table}.csv" for table in tables if f"{table}.csv" in names}
    known = {path.name for path in files.values()}
    return Folder(
        folder, files, {name: _why_not(name, tables) for name in names if name not in known}
    )


def read_expected(path: Path, table: Table) -> Expected:
    """The expected rows of a table.

    Raises:
        ExpectedError: if the file does not fit the table, naming line and column.
    """
    try:
        return _parse(path, table, csv_text.read_text(path))
    except CsvError as error:
        said = str(error)
        raise ExpectedError(f"{path}: {said}{'' if said.endswith('?') else '.'}") from None


def _parse(path: Path, table: Table, text: str) -> Expected:
    remarks, text, line = _remarks(text)
    lines = csv_text.rows(text, line)
    place, names = next(lines, (line, ()))
    columns = _header(place, names, table)
    key = table.primary_key if set(table.primary_key) <= set(names) else ()
    tolerances = _tolerances(remarks, table, columns, key)
    rows, problems = list[tuple[int, Row]](), list[str]()
    for place, cells in lines:
        if cells == (None,) and len(columns) > 1:
            continue  # an empty line
        values, wrong = _row(place, cells, columns)
        problems += wrong
        rows.append((place, values))
    if problems:
        more = f"; and {len(problems) - _PROBLEMS_SHOWN} more" * (len(problems) > _PROBLEMS_SHOWN)
        raise CsvError("; ".join(problems[:_PROBLEMS_SHOWN]) + more)
    return Expected(table.name, path, columns, key, tolerances, tuple(rows))


def _remarks(text: str) -> tuple[list[tuple[int, str]], str, int]:
    """The leading lines that begin with # or are empty, by number; the rest, and its first line."""
    remarks = []
    number = 1
    while match := re.match(r"(#[^\r\n]*|[ \t]*)(\r\n|\n|\r)", text):
        remarks.append((number, match[1].strip()))
        text, number = text[match.end() :], number + 1
    return remarks, text, number


def _header(line: int, names: Sequence[str | None], table: Table) -> tuple[Column, ...]:
    known = table.column_names
    if not names:
        raise CsvError(f"line {line}: it has no header; name columns of {table.name} there")
    for name in names:
        if name not in known:
            near = get_close_matches(name or "", known, n=1)
            meant = f"did you mean {near[0]}?" if near else f"expected some of {', '.join(known)}"
            raise CsvError(f"line {line}: {table.name} has no column '{name or ''}': {meant}")
        if names.count(name) > 1:
            raise CsvError(f"line {line}: the header names {name} twice")
    return tuple(table.column(str(name)) for name in names)


def _tolerances(
    remarks: Sequence[tuple[int, str]],
    table: Table,
    columns: Sequence[Column],
    key: tuple[str, ...],
) -> dict[str, Decimal]:
    """By column. Those of single columns win over the one for all, wherever they stand."""
    able = [c.name for c in columns if (c.is_float or c.base_type == "DECIMAL")]
    able = [name for name in able if name not in key]
    for_all, single = dict[str, Decimal](), dict[str, Decimal]()
    for line, remark in remarks:
        match = _TOLERANCE.fullmatch(remark)
        if not match:
            continue
        number = NUMBER.fullmatch(match["rest"].removeprefix(":").strip())
        if not match["rest"].startswith(":") or not number or Decimal(number[0]) < 0:
            raise CsvError(
                f"line {line}: '{remark}' says no tolerance: write `# tolerance: 0.001` or"
                " `# tolerance of COLUMN: 0.001`"
            )
        name = match["column"]
        if not able or (name and name not in able):
            raise CsvError(
                f"line {line}: '{remark}' is for no column of the header that has fractions and is"
                f" outside the key: {', '.join(able) or 'there is none'}"
            )
        if not key:
            raise CsvError(
                f"line {line}: with a tolerance the header must name the whole key of"
                f" {table.name} ({', '.join(table.primary_key)}), or it is not clear which rows"
                " belong together"
            )
        found = {name: Decimal(number[0])} if name else dict.fromkeys(able, Decimal(number[0]))
        (single if name else for_all).update(found)
    return for_all | single


def _row(
    line: int, cells: Sequence[str | None], columns: Sequence[Column]
) -> tuple[Row, list[str]]:
    if len(cells) != len(columns):
        values = f"{len(cells)} value{'s' * (len(cells) != 1)}"
        return (), [f"line {line}: {values} where the header has {len(columns)}"]
    row, problems = list[Compared](), list[str]()
    for cell, column in zip(cells, columns, strict=True):
        try:
            row.append(parse_value(cell, column))
        except (ValueError, ArithmeticError) as error:
            problems.append(f"line {line}, {column.name}: {error}")
    return tuple(row), problems


def _why_not(name: str, tables: Sequence[str]) -> str:
    stem, dot, kind = name.rpartition(".")
    if not dot or kind != "csv":
        return "it is not a .csv file"
    near = get_close_matches(stem, tables, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"no star or analytics table is named {stem}{meant}"
