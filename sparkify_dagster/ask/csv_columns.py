"""CSV lines from Arrow columns: what `values.csv_line` says of the same values, many at a time.

Only for types of which that is sure (see `Session.exact_batches`).
"""

from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

# Python's white space: RE2 knows only ASCII's as \s.
_SPACE = (
    r"[\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
)
_NEEDS_QUOTES = rf'[",\r\n]|^{_SPACE}|{_SPACE}$|^$'
_TEXT = pa.large_string()  # wide values of a batch may have more than 2 GB together
# Those that Python's values can have.
_FIRST = datetime.fromisoformat("0001-01-01")
_LAST = datetime.fromisoformat("9999-12-31 23:59:59.999999")


class BeyondPythonError(Exception):
    """A time that Python's values cannot have: infinity, or a year that is not from 1 to 9999."""


def csv_lines(batch: pa.RecordBatch) -> bytes | memoryview:
    """The rows of a batch.

    Raises:
        BeyondPythonError: if there is a time of which the text is not known here.
    """
    if not len(batch):
        return b""
    lines = pc.binary_join_element_wise(*map(_cells, batch.columns), pa.scalar(",", _TEXT))
    ended = pc.binary_join_element_wise(lines, pa.scalar("", _TEXT), pa.scalar("\n", _TEXT))
    return _content(ended)


def _cells(column: pa.Array) -> pa.LargeStringArray:
    if pa.types.is_string(column.type):
        cells = _quoted(column.cast(_TEXT))
    elif pa.types.is_floating(column.type):
        # Arrow and Python write different exponents.
        values = column.cast(pa.float64()).to_pylist()
        cells = pa.array([None if value is None else str(value) for value in values], _TEXT)
    elif pa.types.is_timestamp(column.type):
        cells = _moments(column)
    else:
        if pa.types.is_date(column.type):
            _require_between(column, _FIRST.date(), _LAST.date())
        cells = column.cast(_TEXT)
    return pc.fill_null(cells, "")


def _quoted(column: pa.LargeStringArray) -> pa.LargeStringArray:
    needed = pc.match_substring_regex(column, _NEEDS_QUOTES)
    if not pc.any(needed).as_py():
        return column
    quote = pa.scalar('"', _TEXT)
    inside = pc.replace_substring(column, '"', '""')
    quoted = pc.binary_join_element_wise(quote, inside, quote, pa.scalar("", _TEXT))
    return pc.if_else(needed, quoted, column)


def _moments(column: pa.Array) -> pa.LargeStringArray:
    """With as many of milliseconds and microseconds as each has."""
    _require_between(column, _FIRST, _LAST)
    cells = column.cast(_TEXT)
    for unit in ("ms", "s"):
        rounded = column.cast(pa.timestamp(unit), safe=False)
        exact = pc.equal(rounded.cast(column.type), column)
        if pc.any(exact).as_py():
            cells = pc.if_else(exact, rounded.cast(_TEXT), cells)
    return cells


def _require_between(column: pa.Array, first: date, last: date) -> None:
    least, most = pa.scalar(first, column.type), pa.scalar(last, column.type)
    inside = pc.and_(pc.greater_equal(column, least), pc.less_equal(column, most))
    # Infinity comes as the last of Arrow's times.
    if not pc.all(inside, min_count=0).as_py():
        raise BeyondPythonError


def _content(text: pa.LargeStringArray) -> memoryview:
    """All values, one behind the other."""
    _, offsets, data = text.buffers()
    ends = memoryview(offsets).cast("q")
    return memoryview(data)[ends[text.offset] : ends[text.offset + len(text)]]
