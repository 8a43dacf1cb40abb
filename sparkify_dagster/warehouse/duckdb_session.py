"""A transaction on DuckDB: how statements run, and rows come in and out as columns.

Opening the file and waiting for it is `duckdb`'s concern.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from sparkify_dagster.tables import Table
from sparkify_dagster.warehouse.base import PARAMETER, WRITES, Intake, Session, StagedFile
from sparkify_dagster.warehouse.reports import Rows, Value
from sparkify_dagster.warehouse.results import Stream, first_rows

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_T = TypeVar("_T")
# The types whose values are the same in Arrow as in Python. Not so: HUGEINT has more digits than
# Arrow's decimals, small DECIMALs with many places become powers of ten, TIMESTAMP_NS is cut.
_EXACT = re.compile(
    r"BOOLEAN|U?(TINY|SMALL|BIG)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(\d+,[1-6]\)|VARCHAR|DATE|TIMESTAMP"
)
_PAGE = 10_000  # rows as Python objects
_BATCH = 100_000  # rows as Arrow columns


class DuckDBSession(Session):
    """A connection's transaction."""

    def __init__(
        self, connection: "duckdb.DuckDBPyConnection", *, interruptible: bool = False
    ) -> None:
        self._connection = connection
        self._is_interruptible = interruptible

    def execute(self, sql: str, params: Mapping[str, Value] | None = None) -> int:
        result = self._run(sql, params)
        if not WRITES.match(sql):
            return 0
        row = result.fetchone()
        return int(row[0]) if row else 0

    def rows(
        self, sql: str, params: Mapping[str, Value] | None = None, *, limit: int | None = None
    ) -> Rows:
        result, rows = self._interruptibly(lambda: self._found(sql, params, limit))
        columns = tuple(column[0] for column in result.description or ())
        return Rows(columns, tuple(map(tuple, rows)))

    def _found(
        self, sql: str, params: Mapping[str, Value] | None, limit: int | None
    ) -> "tuple[duckdb.DuckDBPyConnection, list[tuple[Value, ...]]]":
        result = self._run(sql, params)
        return result, result.fetchall() if limit is None else result.fetchmany(limit)

    def stream(self, sql: str, *, limit: int | None = None) -> Stream:
        result = self._interruptibly(lambda: self._run(sql, None))
        columns = tuple(column[0] for column in result.description or ())
        return Stream(columns, self._pages(result, limit))

    def _pages(
        self, result: "duckdb.DuckDBPyConnection", limit: int | None
    ) -> Iterator[Sequence[tuple[Value, ...]]]:
        left = limit
        while left != 0:
            size = _PAGE if left is None else min(_PAGE, left)
            page = self._interruptibly(partial(result.fetchmany, size))
            if not page:
                break
            yield page
            left = left if left is None else left - len(page)
        result.abort()  # or rows that nobody wants keep the connection from its next statement

    def arrow(self, sql: str, *, limit: int | None = None) -> "pa.RecordBatchReader":
        # A relation, not a result: that would be copied row by row.
        return self._batches(self._connection.sql(sql))

    def exact_batches(self, sql: str, *, limit: int | None = None) -> "pa.RecordBatchReader | None":
        relation = self._connection.sql(sql)
        if not all(map(_EXACT.fullmatch, map(str, relation.types))):
            return None
        return first_rows(self._batches(relation), limit)

    def _batches(self, relation: "duckdb.DuckDBPyRelation") -> "pa.RecordBatchReader":
        """The batches of a result; what goes wrong on the way is the engine's error again."""
        import duckdb
        import pyarrow as pa

        reader = self._interruptibly(lambda: relation.to_arrow_reader(_BATCH))

        def batches() -> "Iterator[pa.RecordBatch]":
            try:
                while (batch := self._interruptibly(lambda: next(reader, None))) is not None:
                    yield batch
            except (pa.ArrowException, OSError) as error:
                raise duckdb.Error(str(error)) from error

        return pa.RecordBatchReader.from_batches(reader.schema, batches())

    def _interruptibly(self, work: Callable[[], _T]) -> _T:
        """Do what does not hear an interruption in a thread of its own: this one hears it.

        Where nobody waits for an answer it is done here: a load asks hundreds of small questions.
        """
        if not self._is_interruptible:
            return work()
        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(work)
            try:
                return done.result()
            except KeyboardInterrupt:
                self._connection.interrupt()
                raise

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> None:
        if not rows:
            return
        import pyarrow as pa

        arrays = [pa.array(list(values)) for values in zip(*rows, strict=True)]
        names = ", ".join(columns)
        with self.registered("new_rows", pa.Table.from_arrays(arrays, names=list(columns))):
            self._run(f"INSERT INTO {table} ({names}) SELECT {names} FROM new_rows", None)

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
            yield _DuckDBIntake(self, table)

    def _run(self, sql: str, params: Mapping[str, Value] | None) -> "duckdb.DuckDBPyConnection":
        if params is None:
            return self._connection.execute(sql)
        named = set(PARAMETER.findall(sql))
        values = {name: value for name, value in params.items() if name in named}
        return self._connection.execute(PARAMETER.sub(r"$\1", sql), values)

    @contextmanager
    def registered(self, name: str, table: object) -> Iterator[None]:
        """Let statements of the block read an Arrow table by this name."""
        import duckdb

        self._connection.register(name, table)
        try:
            yield
        except duckdb.Error:
            # The transaction is lost; that the name cannot be taken back must not hide why.
            with suppress(duckdb.Error):
                self._connection.unregister(name)
            raise
        self._connection.unregister(name)


class _DuckDBIntake(Intake):
    """Rows are read where they are, without a copy."""

    def __init__(self, session: DuckDBSession, table: Table) -> None:
        self._session = session
        names = ", ".join(table.column_names)
        self._statement = (
            f"INSERT INTO {table.name} ({names})\n"
            f"SELECT {names} FROM parsed INNER JOIN staged_files USING (file)"
        )

    def append(self, encoded: object) -> None:
        with self._session.registered("parsed", encoded):
            self._session.execute(self._statement)
