"""A transaction on DuckDB: how statements run, and rows come in and out as columns.

Opening the file and waiting for it is in `warehouse`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, cast

from sparkify_dagster.catalogue.tables import Table
from sparkify_dagster.engines.base import PARAMETER, WRITES, Intake, Session, StagedFile
from sparkify_dagster.engines.results import Stream, first_rows
from sparkify_dagster.engines.rows import Rows, Value
from sparkify_dagster.interruptible import CallThread

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# The types whose values are the same in Arrow as in Python. Not so: HUGEINT has more digits than
# Arrow's decimals, small DECIMALs with many places become powers of ten, TIMESTAMP_NS is cut.
_EXACT = re.compile(
    r"BOOLEAN|U?(TINY|SMALL|BIG)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(\d+,[1-6]\)|VARCHAR|DATE|TIMESTAMP"
)
_PAGE = 10_000  # rows as Python objects
_BATCH = 100_000  # rows as Arrow columns
_ROW_GROUP = 122_880  # rows that DuckDB compresses and writes together
_GROUPS = 2  # in one INSERT: with more, parsing is what takes the time, and memory grows


class DuckDBSession(Session):
    """A connection's transaction; what DuckDB does, it does in `thread`."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", thread: CallThread) -> None:
        self._connection = connection
        self._thread = thread

    def execute(self, sql: str, params: Mapping[str, Value] | None = None) -> int:
        return self._thread.call(partial(self._executed, sql, params))

    def _executed(self, sql: str, params: Mapping[str, Value] | None) -> int:
        result = self._run(sql, params)
        if not WRITES.match(sql):
            return 0
        row = result.fetchone()
        return int(row[0]) if row else 0

    def rows(
        self, sql: str, params: Mapping[str, Value] | None = None, *, limit: int | None = None
    ) -> Rows:
        return self._thread.call(partial(self._found, sql, params, limit))

    def _found(self, sql: str, params: Mapping[str, Value] | None, limit: int | None) -> Rows:
        result = self._run(sql, params)
        rows = result.fetchall() if limit is None else result.fetchmany(limit)
        columns = tuple(column[0] for column in result.description or ())
        return Rows(columns, tuple(map(tuple, rows)))

    def stream(self, sql: str, *, limit: int | None = None) -> Stream:
        result = self._thread.call(partial(self._run, sql, None))
        columns = tuple(column[0] for column in result.description or ())
        return Stream(columns, self._pages(result, limit))

    def _pages(
        self, result: "duckdb.DuckDBPyConnection", limit: int | None
    ) -> Iterator[Sequence[tuple[Value, ...]]]:
        left = limit
        while left != 0:
            size = _PAGE if left is None else min(_PAGE, left)
            page = self._thread.call(partial(result.fetchmany, size))
            if not page:
                break
            yield page
            left = left if left is None else left - len(page)
        # Or rows that nobody wants keep the connection from its next statement.
        self._thread.call(result.abort)

    def arrow(self, sql: str, *, limit: int | None = None) -> "pa.RecordBatchReader":
        # A relation, not a result: that would be copied row by row.
        return self._batches(self._relation(sql))

    def exact_batches(self, sql: str, *, limit: int | None = None) -> "pa.RecordBatchReader | None":
        relation = self._relation(sql)
        if not all(map(_EXACT.fullmatch, map(str, relation.types))):
            return None
        return first_rows(self._batches(relation), limit)

    def _relation(self, sql: str) -> "duckdb.DuckDBPyRelation":
        return self._thread.call(partial(self._connection.sql, sql))

    def _batches(self, relation: "duckdb.DuckDBPyRelation") -> "pa.RecordBatchReader":
        """The batches of a result; what goes wrong on the way is the engine's error again."""
        import duckdb
        import pyarrow as pa

        reader = self._thread.call(partial(relation.to_arrow_reader, _BATCH))

        def batches() -> "Iterator[pa.RecordBatch]":
            try:
                while (batch := self._thread.call(partial(next, reader, None))) is not None:
                    yield batch
            except (pa.ArrowException, OSError) as error:
                raise duckdb.Error(str(error)) from error

        return pa.RecordBatchReader.from_batches(reader.schema, batches())

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> None:
        if not rows:
            return
        import pyarrow as pa

        arrays = [pa.array(list(values)) for values in zip(*rows, strict=True)]
        names = ", ".join(columns)
        with self.registered("new_rows", pa.Table.from_arrays(arrays, names=list(columns))):
            self.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM new_rows")

    @contextmanager
    def staging(self, table: Table, files: Sequence[StagedFile]) -> Iterator[Intake]:
        import pyarrow as pa

        staged = pa.table(
            {
                "file": pa.array(range(len(files)), pa.int32()),
                "source_file": pa.array([file.key for file in files], pa.string()),
                "log_date": pa.array([file.day for file in files], pa.date32()),
            }
        )
        with self.registered("staged_files", staged):
            intake = _DuckDBIntake(self, table)
            yield intake
            intake.finish()

    def _run(self, sql: str, params: Mapping[str, Value] | None) -> "duckdb.DuckDBPyConnection":
        if params is None:
            return self._connection.execute(sql)
        named = set(PARAMETER.findall(sql))
        values = {name: value for name, value in params.items() if name in named}
        return self._connection.execute(PARAMETER.sub(r"$\1", sql), values)

    @contextmanager
    def registered(self, name: str, table: "pa.Table") -> Iterator[None]:
        """Let statements of the block read an Arrow table by this name."""
        import duckdb

        lent = _Lent(table)
        self._thread.call(partial(self._connection.register, name, lent))
        try:
            yield
        except duckdb.Error:
            # The transaction is lost; that the name cannot be taken back must not hide why.
            with suppress(duckdb.Error):
                self._thread.call(partial(self._connection.unregister, name))
            raise
        finally:
            lent.table = None
        self._thread.call(partial(self._connection.unregister, name))


class _Lent:
    """A table that a transaction reads for a while.

    DuckDB holds what was registered until the transaction ends, also when the name is long taken
    back: all rows of a load would stay in memory.
    """

    def __init__(self, table: "pa.Table") -> None:
        self.table: pa.Table | None = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        if self.table is None:
            raise LookupError("this table was lent to one statement, which has ended")
        return self.table.__arrow_c_stream__(requested_schema)


class _DuckDBIntake(Intake):
    """Rows go in by whole row groups, a few in one statement.

    Each is then compressed and written at once by a thread of its own. Rows in other portions are
    held in memory until the commit, which one thread writes (measured: 1.4 times the CPU, 2.2
    times the time).
    """

    def __init__(self, session: DuckDBSession, table: Table) -> None:
        self._session = session
        self._waiting: list[pa.Table] = []
        names = ", ".join(table.column_names)
        self._statement = (
            f"INSERT INTO {table.name} ({names})\n"
            f"SELECT {names} FROM parsed INNER JOIN staged_files USING (file)"
        )

    def append(self, encoded: object) -> None:
        self._waiting.append(cast("pa.Table", encoded))
        if sum(rows.num_rows for rows in self._waiting) >= _GROUPS * _ROW_GROUP:
            self._insert(whole_groups=True)

    def finish(self) -> None:
        """Take the rows that are left."""
        if self._waiting:
            self._insert(whole_groups=False)

    def _insert(self, *, whole_groups: bool) -> None:
        import pyarrow as pa

        rows = pa.concat_tables(self._waiting)
        left = rows.num_rows % _ROW_GROUP if whole_groups else 0
        end = rows.num_rows - left
        self._waiting = [rows[end:]] if left else []
        groups = [
            batch
            for start in range(0, end, _ROW_GROUP)
            for batch in rows[start : min(start + _ROW_GROUP, end)].combine_chunks().to_batches()
        ]
        with self._session.registered("parsed", pa.Table.from_batches(groups, rows.schema)):
            self._session.execute(self._statement)
