"""Results of queries while they are read: a page of rows, or of Arrow columns, at a time.

What an engine's types become for people is decided here, the same for Parquet files and
DataFrames; how a page is fetched is the engine's business.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkify_dagster.engines.rows import Value
from sparkify_dagster.errors import QueryError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class Stream:
    """A result: its column names, and its rows in pages. To be read while its session is open."""

    columns: tuple[str, ...]
    pages: Iterator[Sequence[tuple[Value, ...]]]


def distinct(names: Sequence[str]) -> list[str]:
    """The names, those that come again with a number: a, a_1."""
    found: list[str] = []
    for name in names:
        again = (f"{name}_{n}" for n in range(1, len(names) + 1))
        taken = {*found, *names}
        found.append(name if name not in found else next(n for n in again if n not in taken))
    return found


def plain(reader: "pa.RecordBatchReader", limit: int | None = None) -> "pa.RecordBatchReader":
    """The same rows, at most `limit` of them, in types that other programs understand.

    Whole numbers without an integer type of their own (sums, DECIMAL(p, 0)) are 64-bit integers;
    enumerations are text; a name that comes twice gets a number.

    Raises:
        QueryError: while it is read, if a whole number does not fit.
    """
    import pyarrow as pa

    names = distinct(reader.schema.names)
    types = [_plain_type(field.type) for field in reader.schema]
    schema = pa.schema(list(zip(names, types, strict=True)))

    def batches() -> "Iterator[pa.RecordBatch]":
        for batch in first_rows(reader, limit):
            columns = [
                _as_type(column, field) for column, field in zip(batch.columns, schema, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def first_rows(reader: "pa.RecordBatchReader", limit: int | None) -> "pa.RecordBatchReader":
    """At most `limit` of the rows; all where it is None."""
    import pyarrow as pa

    def batches() -> "Iterator[pa.RecordBatch]":
        left = limit
        for batch in reader:
            page = batch if left is None else batch.slice(0, left)
            yield page
            left = left if left is None else left - len(page)
            if left == 0:
                return

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def to_frame(reader: "pa.RecordBatchReader") -> "pd.DataFrame":
    """All rows as a DataFrame, whose dtypes follow from the types of the columns alone.

    Integers are Int64 and booleans boolean (NULL is <NA>); numbers with a fraction, DECIMAL too,
    are float64; DATE and TIMESTAMP are datetime64[us], without a zone in UTC; text is what pandas
    takes for text.
    """
    import pandas as pd
    import pyarrow as pa

    found = reader.read_all()
    columns = [_as_type(c, f.with_type(_frame_type(f.type))) for c, f in _columns(found)]
    table = pa.Table.from_arrays(columns, names=found.schema.names)
    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
    return frame


def _columns(table: "pa.Table") -> "Iterator[tuple[pa.ChunkedArray, pa.Field]]":
    return zip(table.columns, table.schema, strict=True)


def _plain_type(given: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    if pa.types.is_decimal(given) and given.scale == 0:
        return pa.int64()
    return given.value_type if pa.types.is_dictionary(given) else given


def _frame_type(given: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    if pa.types.is_integer(given):
        return pa.int64()
    if pa.types.is_decimal(given) or pa.types.is_floating(given):
        return pa.float64()
    return pa.timestamp("us") if pa.types.is_date(given) else given


def _as_type(
    column: "pa.Array | pa.ChunkedArray", field: "pa.Field"
) -> "pa.Array | pa.ChunkedArray":
    import pyarrow as pa

    if column.type == field.type:
        return column
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid as error:
        raise QueryError(
            f"column {field.name} has a whole number beyond 64 bits: cast it in the statement,"
            f" such as CAST({field.name} AS DOUBLE PRECISION)"
        ) from error
