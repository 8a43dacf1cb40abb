"""Columns as Arrow's JSON reader gives them, typed and held against the line rules.

A row that breaks a rule, or that is not certain to keep it, is refused here and looked at by the
rules themselves.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sparkify_dagster.catalogue.line_rules import (
    FIRST_INSTANT,
    LAST_INSTANT,
    LineRules,
    integer_range,
)
from sparkify_dagster.catalogue.tables import Column

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
    Moments = np.ndarray[tuple[int], np.dtype[np.int64]]

# Texts that every reader takes for the same number; of others the rules decide.
_PLAIN_NUMBER = r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$"


def arrow_type(column: Column, key: str, first: Mapping[str, object]) -> "pa.DataType":
    """Numbers are read as floats, which hold every whole number the rules allow."""
    import pyarrow as pa

    as_text = column.is_text or isinstance(first.get(key), str)
    return pa.string() if as_text else pa.float64()


def typed_columns(
    rules: LineRules, table: "pa.Table", window: "tuple[Moments, Moments] | None"
) -> tuple[list["pa.ChunkedArray | pa.Array"], "Mask"]:
    """The table's columns in their types, and which rows break a rule.

    `window` has the first and the last moment of each row, in epoch milliseconds.
    """
    import numpy as np
    import pyarrow as pa

    refused: Mask = np.zeros(table.num_rows, dtype=bool)
    columns: dict[str, pa.ChunkedArray | pa.Array] = {}
    for column, key in rules.columns:
        if column.is_text:
            columns[column.name] = _texts(column, table[key], refused)
            _refuse_long(column, table[key], refused)
            _refuse_nul(table[key], refused)
        else:
            columns[column.name] = _numbers(column, table[key], refused)
        if not column.nullable and columns[column.name].null_count:
            refused |= ~np.asarray(columns[column.name].is_valid())
    for name, source in rules.epoch_times.items():
        instants = columns[source].to_numpy(zero_copy_only=False)
        with np.errstate(invalid="ignore"):
            refused |= (instants < FIRST_INSTANT) | (instants > LAST_INSTANT)
            if window is not None:
                refused |= (instants < window[0]) | (instants > window[1])
        columns[name] = columns[source].cast(pa.timestamp("ms"), safe=False)
    return list(columns.values()), refused


def _texts(column: Column, values: "pa.ChunkedArray", refused: "Mask") -> "pa.ChunkedArray":
    """The texts; an empty one is none where accepted values are listed."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not column.accepted:
        return values
    found = pc.if_else(pc.equal(values, ""), None, values)
    if column.only_accepted:
        known = pc.is_in(found, pa.array(column.accepted))
        refused |= np.asarray(pc.and_(found.is_valid(), pc.invert(known)))
    return found


def _refuse_nul(texts: "pa.ChunkedArray", refused: "Mask") -> None:
    """No engine shows a NUL in a text, and PostgreSQL cannot store one."""
    import numpy as np
    import pyarrow.compute as pc

    for chunk in texts.chunks:
        content = chunk.buffers()[2]
        # A look at the bytes of all texts at once; which row it is matters only if there is one.
        if content is not None and content.size and not np.frombuffer(content, np.uint8).all():
            refused |= np.asarray(pc.fill_null(pc.match_substring(texts, "\0"), False))
            return


def _refuse_long(column: Column, texts: "pa.ChunkedArray", refused: "Mask") -> None:
    import numpy as np
    import pyarrow.compute as pc

    sizes = pc.binary_length(texts)
    if (pc.max(sizes).as_py() or 0) > (column.length or 0):
        refused |= np.asarray(pc.fill_null(pc.greater(sizes, column.length), False))


def _numbers(
    column: Column, values: "pa.ChunkedArray", refused: "Mask"
) -> "pa.ChunkedArray | pa.Array":
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(values.type):
        values = pc.if_else(pc.equal(values, ""), None, values)
        readable = pc.match_substring_regex(values, _PLAIN_NUMBER)
        bad = ~np.asarray(pc.fill_null(readable, True))
        if bad.any():
            refused |= bad
            values = pc.if_else(pa.array(bad), None, values)
        values = values.cast(pa.float64())
    numbers = values.to_numpy()
    missing = np.asarray(values.is_null())
    if not column.is_integer:
        refused |= ~(np.isfinite(numbers) | missing)
        return values
    low, high = integer_range(column)
    with np.errstate(invalid="ignore"):
        fits = (numbers >= low) & (numbers <= high) & (np.floor(numbers) == numbers)
    refused |= ~(fits | missing)
    whole = np.where(fits, numbers, 0).astype(np.int64)
    kind = {"SMALLINT": pa.int16(), "INTEGER": pa.int32()}.get(column.base_type, pa.int64())
    return pa.array(whole, mask=missing if missing.any() else None).cast(kind)


def is_finite(values: "pa.ChunkedArray") -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    while pa.types.is_list(values.type):
        values = pc.list_flatten(values)
    if not pa.types.is_floating(values.type):
        return True
    return bool(pc.all(pc.is_finite(values)).as_py() is not False)
