"""A transaction on DuckDB: how statements run, and rows come in and out as columns.

Opening the file and waiting for it is `duckdb`'s concern.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sparkify_dagster.tables import Table
from sparkify_dagster.warehouse.base import PARAMETER, WRITES, Intake, Session, StagedFile
from sparkify_dagster.warehouse.reports import Rows, Value
from sparkify_dagster.warehouse.results import Stream

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_PAGE = 10_000  # rows as Python objects
_BATCH = 100_000  # rows as Arrow columns


class DuckDBSession(Session):
    """A connection's transaction."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._connection = connection

    def execute(self, sql: str, params: Mapping[str, Value] | None = None) -> int:
        result = self._run(sql, params)
        if not WRITES.match(sql):
            return 0
        row = result.fetchone()
        return int(row[0]) if row else 0

    def rows(
        self, sql: str, params: Mapping[str, Value] | None = None, *, limit: int | None = None
    ) -> Rows:
        result = self._run(sql, params)
        columns = tuple(column[0] for column in result.description or ())
        rows = result.fetchall() if limit is None else result.fetchmany(limit)
        return Rows(columns, tuple(tuple(row) for row in rows))

    def stream(self, sql: str, *, limit: int | None = None) -> Stream:
        result = self._run(sql, None)
        columns = tuple(column[0] for column in result.description or ())
        return Stream(columns, _pages(result, limit))

    def arrow(self, sql: str, *, limit: int | None = None) -> "pa.RecordBatchReader":
        # A relation, not a result: that would be copied row by row.
        relation = self._connection.sql(sql)
        with ThreadPoolExecutor(1) as thread:
            # It is started where it may not hear an interruption, which this thread does.
            started = thread.submit(relation.to_arrow_reader, _BATCH)
            try:
                return _told(started.result())
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


def _pages(
    result: "duckdb.DuckDBPyConnection", limit: int | None
) -> Iterator[Sequence[tuple[Value, ...]]]:
    left = limit
    while left != 0 and (page := result.fetchmany(_PAGE if left is None else min(_PAGE, left))):
        yield page
        left = left if left is None else left - len(page)
    result.abort()  # or rows that nobody wants keep the connection from its next statement


def _told(reader: "pa.RecordBatchReader") -> "pa.RecordBatchReader":
    """The batches of a reader; what goes wrong on the way is the engine's error again."""
    import duckdb
    import pyarrow as pa

    def batches() -> "Iterator[pa.RecordBatch]":
        try:
            yield from reader
        except (pa.ArrowException, OSError) as error:
            raise duckdb.Error(str(error)) from error

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


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
