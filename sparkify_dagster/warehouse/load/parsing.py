"""Lines in bulk: batches of JSON lines become typed Arrow tables.

Arrow's JSON reader does the work where it is certain to agree with the line rules; every other
line is given to the rules themselves. What comes out is the same as if each line had been.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from sparkify_dagster.catalogue.line_rules import (
    FIRST_INSTANT,
    LAST_INSTANT,
    Cell,
    LineError,
    LineRules,
    shown_key,
)
from sparkify_dagster.warehouse.load.arrow_columns import arrow_type, is_finite, typed_columns
from sparkify_dagster.warehouse.load.lines import LineBatch, count_byte

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
    Index = np.ndarray[tuple[int], np.dtype[np.int64]]

# Below this, lines are read one at a time rather than cut into ever smaller parts.
_FEW_LINES = 128
_PARTS = 8
_RAW_BYTES = 65_535
# Arrow's reader is recursive and dies of deep nesting, for which a line must be long.
_LONG_LINE = 1024
_DEEPEST = 32
# Arrow makes a column of each unknown key: only few lines at a time may bring some, and each few.
_LINES_WITH_UNKNOWN_KEYS = 512
_MOST_UNKNOWN_KEYS = 32


@dataclass(frozen=True)
class Rejected:
    """A line that did not become a row; `file` is an index into the files being read.

    `raw` is its text, where this process has seen it.
    """

    file: int
    line: int
    reason: str
    raw: str | None


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


def parse(rules: LineRules, batch: LineBatch, days: Sequence[date | None]) -> Parsed:
    """Parse a batch; every line is a row of the result, or rejected with a reason.

    `days` are those of the files being read, in their order.
    """
    return _Parser(rules, batch, days).run()


class _Parser:
    """The state of one batch: what was accepted in bulk, and what one line at a time."""

    def __init__(self, rules: LineRules, batch: LineBatch, days: Sequence[date | None]) -> None:
        self.rules = rules
        self.batch = batch
        self._days = days
        self._window = self._windows()
        self._columns = rules.columns
        self._known = {key for _, key in rules.columns}
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

    def _windows(self) -> "tuple[Index, Index] | None":
        """The first and the last moment that the lines of each file may have."""
        import numpy as np

        window = self.rules.window
        if window is None or not any(self._days):
            return None
        spans = [window.of(day) if day else (FIRST_INSTANT, LAST_INSTANT) for day in self._days]
        first, last = np.array(spans, dtype=np.int64).T
        return first, last

    def _doubtful_lines(self) -> "Mask":
        """Lines that Arrow must not see: it could take them for something else, or crash."""
        import numpy as np

        batch = self.batch
        data = np.frombuffer(batch.data, dtype=np.uint8)
        before_end = data[batch.ends - 2]
        last = np.where(before_end == ord("\r"), data[np.maximum(batch.ends - 3, 0)], before_end)
        doubtful: Mask = (data[batch.starts] != ord("{")) | (last != ord("}"))
        if not _is_utf8(batch.data):
            self._mark_invalid_text(doubtful)
        self._mark_crowded(doubtful)
        self._mark_long(doubtful)
        if b"\0" in batch.data:
            doubtful |= self._lines_with(b"\0") > 0
        return doubtful

    def _mark_crowded(self, doubtful: "Mask") -> None:
        """Mark lines that end more than one object, nested or not.

        A second value on a line could pass for the row of another line, and Arrow crashes on a
        null between values.
        """
        # Where nothing is wrong, which is nearly always, counting is all that is done.
        if count_byte(self.batch.data, b"}") > len(doubtful) - int(doubtful.sum()):
            doubtful |= self._lines_with(b"}") > 1

    def _mark_long(self, doubtful: "Mask") -> None:
        import numpy as np

        batch = self.batch
        for line in np.flatnonzero(batch.ends - batch.starts > _LONG_LINE).tolist():
            span = batch.starts[line], batch.ends[line]
            nested = batch.data.count(b"{", *span) > 1 or batch.data.count(b"[", *span) > _DEEPEST
            doubtful[line] |= nested

    def _lines_with(self, byte: bytes) -> "Index":
        """How often each line holds a byte."""
        import numpy as np

        places = np.flatnonzero(np.frombuffer(self.batch.data, dtype=np.uint8) == ord(byte))
        lines = np.searchsorted(self.batch.ends, places, side="right")
        return np.bincount(lines, minlength=len(self.batch.ends))[: len(self.batch.ends)]

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

        infer = len(lines) <= _LINES_WITH_UNKNOWN_KEYS
        if len(lines) <= _FEW_LINES or (infer and self._has_many_unknown_keys(lines)):
            self._one_by_one(lines)
            return
        try:
            table = self._read(lines, "infer" if infer else "error")
        except pa.ArrowInvalid:
            table = None
        if table is None or table.num_rows != len(lines):
            for part in np.array_split(lines, _PARTS):
                self._in_bulk(part)
            return
        of_file = self.batch.file[lines]
        window = self._window and (self._window[0][of_file], self._window[1][of_file])
        columns, refused = typed_columns(self.rules, table, window)
        self._refuse_unknown_keys(table, refused)
        if refused.any():
            self._one_by_one(lines[refused])
        self._count_unknown_keys(table, lines, ~refused)
        file = pa.array(of_file)
        rows = pa.Table.from_arrays([*columns, file], schema=self._schema())
        self.tables.append(rows.filter(pa.array(~refused)) if refused.any() else rows)

    def _read(self, lines: "Index", unknown_keys: str) -> "pa.Table":
        import pyarrow as pa
        import pyarrow.json as pj

        # The first line tells which numbers are sent as text.
        first = self._fields(int(lines[0]))
        fields = [pa.field(key, arrow_type(column, key, first)) for column, key in self._columns]
        return pj.read_json(
            pa.BufferReader(self.batch.text_of(lines)),
            read_options=pj.ReadOptions(use_threads=True, block_size=4 << 20),
            parse_options=pj.ParseOptions(
                explicit_schema=pa.schema(fields),
                newlines_in_values=False,
                unexpected_field_behavior=unknown_keys,
            ),
        )

    def _has_many_unknown_keys(self, lines: "Index") -> bool:
        """Whether the longest line has; of lines of one lake the longest has the most keys."""
        longest = lines[(self.batch.ends[lines] - self.batch.starts[lines]).argmax()]
        return len(self._fields(int(longest)).keys() - self._known) > _MOST_UNKNOWN_KEYS

    def _fields(self, line: int) -> dict[str, object]:
        try:
            values = json.loads(self.batch.line(line))
        except (ValueError, RecursionError):
            return {}
        return values if isinstance(values, dict) else {}

    def _refuse_unknown_keys(self, table: "pa.Table", refused: "Mask") -> None:
        """The rules look at lines with a key that is nearly known, and with a NaN or Inf."""
        import numpy as np

        for name in table.column_names:
            if name in self._known:
                continue
            if self.rules.meant_by(name) or not is_finite(table[name]):
                refused |= np.asarray(table[name].is_valid())

    def _count_unknown_keys(self, table: "pa.Table", lines: "Index", accepted: "Mask") -> None:
        import numpy as np

        for name in table.column_names:
            if name in self._known:
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
                values, unknown = self.rules.row(text, self._days[file])
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


def _is_utf8(data: bytes) -> bool:
    """Whether Arrow finds no fault (measured: 3 times as fast as Python's decoder)."""
    import pyarrow as pa

    ends = pa.array([0, len(data)], pa.int64()).buffers()[1]
    try:
        pa.LargeStringArray.from_buffers(1, ends, pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _as_text(raw: bytes) -> str:
    """The text of a line for the quarantine, cut to what its column holds, in whole characters."""
    text = raw.rstrip(b"\r\n")[: _RAW_BYTES * 2].decode("utf-8", "replace")
    text = text.replace("\0", "\N{SYMBOL FOR NULL}")
    return text.encode()[:_RAW_BYTES].decode("utf-8", "ignore")
