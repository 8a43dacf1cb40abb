"""How a value of the warehouse is written: for people, in CSV, in JSON.

Values keep their types: what is a whole number in the warehouse is one here, NULL is NULL.
"""

import json
import math
import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from sparkify_dagster.console import Column, table

if TYPE_CHECKING:
    from sparkify_dagster.engines.rows import Rows

_NEEDS_QUOTES = re.compile(r'[",\r\n]|^\s|\s$')


def as_table(rows: "Rows") -> str:
    """Aligned columns."""
    numbers = [
        all(_is_number(row[i]) or row[i] is None for row in rows.rows)
        and any(row[i] is not None for row in rows.rows)
        for i in range(len(rows.columns))
    ]
    columns = [Column(*column) for column in zip(rows.columns, numbers, strict=True)]
    return table(columns, [["NULL" if v is None else _text(v) for v in row] for row in rows.rows])


def csv_line(values: Iterable[object]) -> str:
    """RFC 4180, with NULL distinguished from an empty text as PostgreSQL and DuckDB do."""
    return ",".join(map(_csv_cell, values))


def json_text(value: object) -> str:
    """The value in what JSON has; what it has not (NaN, infinity) is null."""
    if isinstance(value, dict):
        said = (f"{json_text(str(name))}: {json_text(item)}" for name, item in value.items())
        return f"{{{', '.join(said)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(json_text, value))}]"
    if isinstance(value, Decimal) and value.is_finite():
        short = repr(float(value))  # 1.5 for 1.50, unless that has fewer digits than there are
        return short if Decimal(short) == value and value.as_tuple().exponent else f"{value:f}"
    return json.dumps(_plain(value), ensure_ascii=False)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _text(value: object) -> str:
    """A value as text: times in ISO form, whole numbers without a point."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        spec = "auto" if value.microsecond % 1000 else "milliseconds"
        return value.isoformat(sep=" ", timespec=spec if value.microsecond else "seconds")
    if isinstance(value, bytes | memoryview):
        return value.hex()
    return json_text(value) if isinstance(value, list | tuple | dict) else str(value)


def _csv_cell(value: object) -> str:
    if value is None:
        return ""
    if type(value) is int:  # most values are, and none of them needs quotes
        return str(value)
    text = value if isinstance(value, str) else _text(value)
    if text and not _NEEDS_QUOTES.search(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | Decimal):
        return value if math.isfinite(value) else None
    return _text(value).replace(" ", "T") if isinstance(value, datetime) else _text(value)
