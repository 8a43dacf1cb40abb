"""Lines in bulk: batches of JSON lines become typed Arrow tables.

Arrow's JSON reader does the work where it is certain to agree with the line rules; every other
line is given to the rules themselves. What comes out is the same as if each line had been.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkify_dagster.tables import Column
from sparkify_dagster.warehouse.line_rules import (
    FIRST_INSTANT,
    LAST_INSTANT,
    Cell,
    LineError,
    LineRules,
    integer_range,
    shown_key,
)
from sparkify_dagster.warehouse.lines import LineBatch

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
    Index = np.ndarray[tuple[int], np.dtype[np.int64]]

# Below this, lines are read one at a time rather than cut into ever smaller parts.
_FEW_LINES = 128
_PARTS = 8
_RAW_BYTES = 65_535
# Arrow's reader is recursive and dies of deep nesting.
_DEEPEST = 32
# Texts that every reader takes for the same number; of others the rules decide.
_PLAIN_NUMBER = r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$"


@dataclass(frozen=True)
class Rejected:
    """A line that did not become a row; `file` is an index into the files being read."""

    file: int
    line: int
    reason: str
    raw: str


@dataclass(frozen=True)
class Parsed:
    """What became of a batch of lines.

    `rows` has the columns that lines fill and those made of epoch milliseconds, under their
    names in the staging table, and `file` (int32). `unknown_keys` counts, by file and JSON key,
    the lines that give a value which no column takes.
    """

    rows: "pa.Table"
    rejected: tuple[Rejected, ...]
    unknown_keys: Mapping[tuple[int, str], int]


def parse(rules: LineRules, batch: LineBatch) -> Parsed:
    """Parse a batch; every line is a row of the result, or rejected with a reason."""
    return _Parser(rules, batch).run()


class _Parser:
    """The state of one batch: what was accepted in bulk, and what one line at a time."""

    def __init__(self, rules: LineRules, batch: LineBatch) -> None:
        self.rules = rules
        self.batch = batch
        self.tables: list[pa.Table] = []
        self.single_rows: list[tuple[Cell, ...]] = []
        self.single_files: list[int] = []
        self.rejected: list[Rejected] = []
        self.unknown: Counter[tuple[int, str]] = Counter()

    def run(self) -> Parsed:
        import numpy as np
        import pyarrow as pa

        for line in self.batch.too_long:
            raw = _as_text(line.start)
            self.rejected.append(Rejected(line.file, line.number, "longer than 4 MiB", raw))
        doubtful = self._doubtful_lines()
        self._one_by_one(np.flatnonzero(doubtful))
        self._in_bulk(np.flatnonzero(~doubtful))
        if self.single_rows:
            self.tables.append(self._table_of_single_rows())
        schema = self._schema()
        rows = pa.concat_tables(self.tables) if self.tables else schema.empty_table()
        self.rejected.sort(key=lambda line: (line.file, line.line))
        return Parsed(rows, tuple(self.rejected), self.unknown)

    def _doubtful_lines(self) -> "Mask":
        """Lines that Arrow must not see: it could take them for something else, or crash."""
        import numpy as np

        batch = self.batch
        data = np.frombuffer(batch.data, dtype=np.uint8)
        before_end = data[batch.ends - 2]
        last = np.where(before_end == ord("\r"), data[np.maximum(batch.ends - 3, 0)], before_end)
        doubtful: Mask = (data[batch.starts] != ord("{")) | (last != ord("}"))
        if not batch.data.isascii():
            self._mark_invalid_text(doubtful)
        # One object and nothing nested in it: a second value on the line could pass for the row of
        # another line, and Arrow crashes on a null between values.
        self._mark_crowded(doubtful, b"{", 1)
        self._mark_crowded(doubtful, b"}", 1)
        self._mark_crowded(doubtful, b"[", _DEEPEST)
        self._mark_crowded(doubtful, b"\0", 0)
        return doubtful

    def _mark_crowded(self, doubtful: "Mask", byte: bytes, allowed: int) -> None:
        """Mark the lines that hold a byte more often than allowed."""
        import numpy as np

        data = self.batch.data
        # Where nothing is wrong, which is nearly always, counting is all that is done.
        usual = len(doubtful) - int(doubtful.sum()) if byte in b"{}" else allowed
        if data.count(byte) <= usual:
            return
        places = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord(byte))
        lines = np.searchsorted(self.batch.ends, places, side="right")
        doubtful |= np.bincount(lines, minlength=len(doubtful))[: len(doubtful)] > allowed

    def _mark_invalid_text(self, doubtful: "Mask") -> None:
        import numpy as np

        start = 0
        while True:
            try:
                # Strict, in C, and without an object a line.
                str(memoryview(self.batch.data)[start:], "utf-8")
            except UnicodeDecodeError as error:
                position = start + error.start
                line = int(np.searchsorted(self.batch.ends, position, side="right"))
                if line < len(doubtful):
                    doubtful[line] = True
                start = self.batch.data.index(b"\n", position) + 1
            else:
                return

    def _in_bulk(self, lines: "Index") -> None:
        """Accept lines with Arrow; where it stumbles, cut them into parts."""
        import numpy as np
        import pyarrow as pa

        if len(lines) <= _FEW_LINES:
            self._one_by_one(lines)
            return
        try:
            table = self._read(lines)
        except pa.ArrowInvalid:
            table = None
        if table is None or table.num_rows != len(lines):
            for part in np.array_split(lines, _PARTS):
                self._in_bulk(part)
            return
        columns, refused = _typed_columns(self.rules, table)
        self._refuse_strange_numbers(table, refused)
        if refused.any():
            self._one_by_one(lines[refused])
        self._count_unknown_keys(table, lines, ~refused)
        file = pa.array(self.batch.file[lines])
        rows = pa.Table.from_arrays([*columns, file], schema=self._schema())
        self.tables.append(rows.filter(pa.array(~refused)) if refused.any() else rows)

    def _read(self, lines: "Index") -> "pa.Table":
        import pyarrow as pa
        import pyarrow.json as pj

        fields = [
            pa.field(key, _arrow_type(column, key, self._first_values(lines)))
            for column, key in self.rules.columns
        ]
        return pj.read_json(
            pa.BufferReader(self.batch.text_of(lines)),
            read_options=pj.ReadOptions(use_threads=True, block_size=4 << 20),
            parse_options=pj.ParseOptions(
                explicit_schema=pa.schema(fields),
                newlines_in_values=False,
                unexpected_field_behavior="infer",
            ),
        )

    def _first_values(self, lines: "Index") -> dict[str, object]:
        """What the first line gives; tells which numbers are sent as text."""
        import json

        try:
            values = json.loads(self.batch.line(int(lines[0])))
        except ValueError:
            return {}
        return values if isinstance(values, dict) else {}

    def _refuse_strange_numbers(self, table: "pa.Table", refused: "Mask") -> None:
        """Arrow takes NaN and Inf for numbers: the rules look at lines that give one."""
        import numpy as np

        known = {key for _, key in self.rules.columns}
        for name in table.column_names:
            if name not in known and not _is_finite(table[name]):
                refused |= np.asarray(table[name].is_valid())

    def _count_unknown_keys(self, table: "pa.Table", lines: "Index", accepted: "Mask") -> None:
        import numpy as np

        known = {key for _, key in self.rules.columns}
        for name in table.column_names:
            if name in known:
                continue
            given = np.asarray(table[name].is_valid()) & accepted
            files, counts = np.unique(self.batch.file[lines[given]], return_counts=True)
            for file, count in zip(files.tolist(), counts.tolist(), strict=True):
                self.unknown[file, shown_key(name)] += count

    def _one_by_one(self, lines: "Index") -> None:
        for line in lines.tolist():
            text = self.batch.line(line)
            file = int(self.batch.file[line])
            try:
                values, unknown = self.rules.row(text)
            except LineError as error:
                number = int(self.batch.number[line])
                self.rejected.append(Rejected(file, number, str(error), _as_text(text)))
                continue
            self.single_rows.append(values)
            self.single_files.append(file)
            self.unknown.update((file, key) for key in unknown)

    def _table_of_single_rows(self) -> "pa.Table":
        import pyarrow as pa

        schema = self._schema()
        names = [column.name for column, _ in self.rules.columns]
        values = dict(zip(names, zip(*self.single_rows, strict=True), strict=True))
        for name, source in self.rules.epoch_times.items():
            values[name] = values[source]
        values["file"] = tuple(self.single_files)
        arrays = [pa.array(list(values[field.name]), field.type) for field in schema]
        return pa.Table.from_arrays(arrays, schema=schema)

    def _schema(self) -> "pa.Schema":
        import pyarrow as pa

        types = {"SMALLINT": pa.int16(), "INTEGER": pa.int32(), "BIGINT": pa.int64()}
        fields = [
            (c.name, pa.string() if c.is_text else types.get(c.base_type, pa.float64()))
            for c, _ in self.rules.columns
        ]
        times = [(name, pa.timestamp("ms")) for name in self.rules.epoch_times]
        return pa.schema([*fields, *times, ("file", pa.int32())])


def _arrow_type(column: Column, key: str, first: Mapping[str, object]) -> "pa.DataType":
    """Numbers are read as floats, which hold every whole number the rules allow."""
    import pyarrow as pa

    as_text = column.is_text or isinstance(first.get(key), str)
    return pa.string() if as_text else pa.float64()


def _typed_columns(
    rules: LineRules, table: "pa.Table"
) -> tuple[list["pa.ChunkedArray | pa.Array"], "Mask"]:
    """The table's columns in their types, and which rows break a rule."""
    import numpy as np
    import pyarrow as pa

    refused: Mask = np.zeros(table.num_rows, dtype=bool)
    columns: dict[str, pa.ChunkedArray | pa.Array] = {}
    for column, key in rules.columns:
        if column.is_text:
            columns[column.name] = table[key]
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
        columns[name] = columns[source].cast(pa.timestamp("ms"), safe=False)
    return list(columns.values()), refused


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


def _is_finite(values: "pa.ChunkedArray") -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    while pa.types.is_list(values.type):
        values = pc.list_flatten(values)
    if not pa.types.is_floating(values.type):
        return True
    return bool(pc.all(pc.is_finite(values)).as_py() is not False)


def _as_text(raw: bytes) -> str:
    """The text of a line for the quarantine, cut to what its column holds, in whole characters."""
    text = raw.rstrip(b"\r\n")[: _RAW_BYTES * 2].decode("utf-8", "replace")
    text = text.replace("\0", "\N{SYMBOL FOR NULL}")
    return text.encode()[:_RAW_BYTES].decode("utf-8", "ignore")
