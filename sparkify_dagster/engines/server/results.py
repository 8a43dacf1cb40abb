"""Results of a server, read through a cursor of the server: a page at a time is in memory.

The statements are those that Redshift documents, which are fewer than psycopg2's named cursors
use. What a column's type is in Arrow is said here by PostgreSQL's type numbers, Redshift's too.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any

from sparkify_dagster.errors import QueryError

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg2.extensions import Column, connection, cursor

Page = list[tuple[object, ...]]
_CURSOR = "found"
# What a cursor can be declared for; anything else is small, and comes whole.
SELECTS = re.compile(r"(?:[\s(]|--[^\n]*\n|/\*.*?\*/)*(?:SELECT|WITH)\b", re.IGNORECASE | re.DOTALL)
NUMERIC = 1700
_MOST_DIGITS = 38


def open_result(
    connection: "connection", sql: str, rows: int, limit: int | None
) -> "tuple[Sequence[Column], Iterator[Page]]":
    """The columns of a query's result, and its rows in pages of so many, at most `limit` in all.

    Raises:
        psycopg2.Error: as it came; also while the pages are read.
    """
    found = connection.cursor()
    if not SELECTS.match(sql):
        found.execute(sql)
        return found.description or (), _pages(found, rows, limit)
    # On the line of the statement, so that the server counts lines as its author does.
    found.execute(f"DECLARE {_CURSOR} CURSOR FOR {sql}")
    found.execute(f"FETCH FORWARD {_size(rows, limit)} FROM {_CURSOR}")
    return found.description or (), _fetched(found, rows, limit)


def _size(rows: int, left: int | None) -> int:
    return rows if left is None else min(rows, left)


def _pages(found: "cursor", rows: int, limit: int | None) -> Iterator[Page]:
    left = limit
    while found.description and (page := found.fetchmany(_size(rows, left))):
        yield page
        left = left if left is None else left - len(page)


def _fetched(found: "cursor", rows: int, limit: int | None) -> Iterator[Page]:
    left = limit
    while page := found.fetchall():
        yield page
        left = left if left is None else left - len(page)
        if left == 0:
            break
        found.execute(f"FETCH FORWARD {_size(rows, left)} FROM {_CURSOR}")
    found.execute(f"CLOSE {_CURSOR}")


def arrow_reader(columns: "Sequence[Column]", pages: Iterator[Page]) -> "pa.RecordBatchReader":
    """The pages as Arrow batches.

    Raises:
        QueryError: while it is read, if a number does not fit the type of its column.
    """
    import pyarrow as pa

    first = next(pages, [])
    types = [_type_of(column, (row[i] for row in first)) for i, column in enumerate(columns)]
    schema = pa.schema([(column.name, type_) for column, type_ in zip(columns, types, strict=True)])

    def batches() -> "Iterator[pa.RecordBatch]":
        for page in chain([first] if first else [], pages):
            values = zip(*page, strict=True)
            arrays = [_array(v, field) for v, field in zip(values, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _type_of(column: "Column", values: Iterator[object]) -> "pa.DataType":
    import pyarrow as pa

    if column.type_code == NUMERIC:
        if has_places(column):
            return pa.decimal128(column.precision, column.scale)
        if column.scale == 0 and 0 < (column.precision or 0) <= _MOST_DIGITS:
            return pa.int64()
        # PostgreSQL's sums and averages do not say how many digits they have: the first page does.
        return pa.int64() if all(map(_is_whole, values)) else pa.float64()
    known = {
        16: pa.bool_(), 17: pa.binary(), 20: pa.int64(), 21: pa.int16(), 23: pa.int32(),
        26: pa.int64(), 700: pa.float32(), 701: pa.float64(), 1082: pa.date32(),
        1083: pa.time64("us"), 1114: pa.timestamp("us"), 1184: pa.timestamp("us", "UTC"),
    }  # fmt: skip
    return known.get(column.type_code, pa.string())


def has_places(column: "Column") -> bool:
    """Whether it is a DECIMAL that says how many places behind the point its values have."""
    precision, scale = column.precision or 0, column.scale or 0
    return column.type_code == NUMERIC and 0 < scale <= precision <= _MOST_DIGITS


def _is_whole(value: object) -> bool:
    if not isinstance(value, Decimal):
        return value is None
    return value.is_finite() and value == value.to_integral_value()


def _array(values: Sequence[object], field: "pa.Field") -> "pa.Array":
    import pyarrow as pa

    if pa.types.is_integer(field.type) and not all(map(_can_be_whole, values)):
        raise QueryError(
            f"column {field.name} begins with whole numbers and goes on with fractions: say its"
            f" type in the statement, such as CAST({field.name} AS DOUBLE PRECISION)"
        )
    convert = _converter(field.type)
    given = [v if v is None else convert(v) for v in values] if convert else values
    try:
        return pa.array(given, field.type)
    except (pa.ArrowInvalid, OverflowError) as error:
        raise QueryError(
            f"column {field.name} has a number that does not fit {field.type}: cast it in the"
            f" statement, such as CAST({field.name} AS DOUBLE PRECISION)"
        ) from error


def _can_be_whole(value: object) -> bool:
    return not isinstance(value, Decimal) or _is_whole(value)


def _converter(wanted: "pa.DataType") -> "Callable[[Any], object] | None":
    """What makes psycopg2's value one that Arrow takes for this type."""
    import pyarrow as pa

    if pa.types.is_integer(wanted):
        return int
    if pa.types.is_floating(wanted):
        return float
    if pa.types.is_binary(wanted):
        return bytes
    # Among other things of types that Arrow has not: intervals, lists, JSON.
    return str if pa.types.is_string(wanted) else None
