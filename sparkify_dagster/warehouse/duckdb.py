"""The embedded engine: a DuckDB file in this process.

DuckDB lets one process at a time use the file, readers included: sessions are short, wait for
each other within a limit, and say for whom they wait. Nothing about tables is known here.
"""

import os
import random
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sparkify_dagster.sections import DuckDBSettings
from sparkify_dagster.tables import Table
from sparkify_dagster.warehouse.base import (
    PARAMETER,
    WRITES,
    Intake,
    Notify,
    Session,
    StagedFile,
    Warehouse,
    WarehouseBusyError,
    WarehouseError,
    silent,
)
from sparkify_dagster.warehouse.reports import Rows, Value
from sparkify_dagster.warehouse.results import Stream, first_rows

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_T = TypeVar("_T")
_HOLDER = re.compile(r"PID (\d+)")
# The types whose values are the same in Arrow as in Python. Not so: HUGEINT has more digits than
# Arrow's decimals, small DECIMALs with many places become powers of ten, TIMESTAMP_NS is cut.
_EXACT = re.compile(
    r"BOOLEAN|U?(TINY|SMALL|BIG)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(\d+,[1-6]\)|VARCHAR|DATE|TIMESTAMP"
)
_PAGE = 10_000  # rows as Python objects
_BATCH = 100_000  # rows as Arrow columns
_HEADERS = 3 * 4096  # bytes at the beginning of a file


def _holder(message: str) -> str | None:
    """The process that has the file in a way that excludes us; None if something else is wrong."""
    if "different configuration" in message:  # another thread reads while we write, or vice versa
        return str(os.getpid())
    match = _HOLDER.search(message) if "lock" in message else None
    return match[1] if match else None


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
        """Do what does not hear an interruption in a thread of its own: this one hears it."""
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


class DuckDBWarehouse(Warehouse):
    """A DuckDB file; see `Warehouse`."""

    engine = "duckdb"
    one_process = True

    def __init__(self, settings: DuckDBSettings, schema: str) -> None:
        self.schema = schema
        self._settings = settings

    @property
    def path(self) -> Path:
        return self._settings.path

    @property
    def location(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        return self.path.exists()

    @contextmanager
    def write(self, notify: Notify, run_id: str = "") -> Iterator[Session]:
        import duckdb

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseError(
                f"{self.path}: the folder of the warehouse cannot be made ({error.strerror}). "
                "Set [DUCKDB] PATH to a place you can write to."
            ) from error
        if not self.exists():
            self._create()
        connection = self._connect(read_only=False, notify=notify)
        try:
            self._prepare(connection)
            connection.execute("BEGIN TRANSACTION")
            yield DuckDBSession(connection)
            connection.execute("COMMIT")
        except duckdb.Error as error:
            raise self._explained(error) from error
        finally:
            # Closing without a commit rolls back, also when the connection is beyond use.
            connection.close()

    @contextmanager
    def read(self, notify: Notify) -> Iterator[Session]:
        import duckdb

        if not self.exists():
            raise WarehouseError(
                f"{self.path}: there is no warehouse yet. Run `sparkify run` to make it."
            )
        connection = self._connect(read_only=True, notify=notify)
        try:
            self._search_standing_schemas(connection)
            # A query reads the warehouse, not the files of this machine or the network.
            connection.execute("SET enable_external_access = false")
            # In notebooks and in `python -c` DuckDB draws a bar into what is printed.
            connection.execute("SET enable_progress_bar = false")
            yield DuckDBSession(connection)
        except duckdb.Error as error:
            raise self._explained(error) from error
        finally:
            connection.interrupt()  # closing would wait for the rest of a result nobody wants
            connection.close()

    def erase(self, tables: Sequence[str]) -> str:
        """Write the file anew: DuckDB leaves what was changed in pages that it no longer reads."""
        import duckdb

        del tables
        place = self.path.resolve()
        new = place.with_name(f"{place.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.new")
        connection = self._connect(read_only=False, notify=silent)
        # Closed after the connection: closing it gives up the lock of the process.
        old = os.open(place, os.O_WRONLY)
        try:
            connection.execute("FORCE CHECKPOINT")
            [(name,)] = connection.execute("SELECT current_database()").fetchall()
            connection.execute(f"ATTACH '{str(new).replace(chr(39), chr(39) * 2)}' AS written_anew")
            itself = str(name).replace('"', '""')
            connection.execute(f'COPY FROM DATABASE "{itself}" TO written_anew')
            connection.execute("DETACH written_anew")
            shutil.copymode(place, new)
            os.replace(new, place)
            # Who waits tries again by the name. Who had opened the old file a moment ago, and locks
            # it once we let go, must not write into what is gone: there is no database in it.
            os.pwrite(old, bytes(_HEADERS), 0)
        except (duckdb.Error, OSError) as error:
            told = str(error).splitlines()[0]
            return (
                f"{self.path} still holds pages from before, which no query reads: it could not be"
                f" written anew ({told}). Make room beside it, and run this again."
            )
        finally:
            connection.close()
            os.close(old)
            for left in (new, new.with_name(f"{new.name}.wal")):
                left.unlink(missing_ok=True)
        return ""

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if str(error) != "Query interrupted":
                raise
            raise KeyboardInterrupt from None

    def _connect(self, *, read_only: bool, notify: Notify) -> "duckdb.DuckDBPyConnection":
        import duckdb

        waited_since = time.monotonic()
        deadline = waited_since + self._settings.lock_timeout
        pause, told = 0.02, False
        while True:
            try:
                return duckdb.connect(str(self.path), read_only=read_only, config=self._config())
            except duckdb.Error as error:
                holder = _holder(str(error))
                if holder is None:
                    raise self._explained(error) from error
                if time.monotonic() > deadline:
                    raise WarehouseBusyError(
                        f"{self.path}: process {holder} has held the warehouse for "
                        f"{self._settings.lock_timeout:g} seconds. Wait for it or end it, or "
                        "raise [DUCKDB] LOCK_TIMEOUT."
                    ) from error
            if not told and time.monotonic() - waited_since > 1:
                notify(f"waiting for process {holder}, which is using {self.path}")
                told = True
            # Jitter, so that two who wait do not knock at the same moments.
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 1.5, 0.05)

    def _config(self) -> dict[str, str | bool | int | float | list[str]]:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": self._settings.memory_limit,
            # Order within a table means nothing here, and unordered inserts run in parallel.
            "preserve_insertion_order": False,
            # Nothing is fetched from the network behind the user's back.
            "autoinstall_known_extensions": False,
        }
        if self._settings.threads is not None:
            config["threads"] = self._settings.threads
        return config

    def _create(self) -> None:
        """Make the file under another name first: killed in between, no half-made one is left."""
        import duckdb

        new = self.path.with_name(f"{self.path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.new")
        try:
            connection = duckdb.connect(str(new), config=self._config())
            try:
                self._prepare(connection)
            finally:
                connection.close()
            # Unlike a rename, a link never replaces the file of a process that was faster.
            with suppress(FileExistsError):
                os.link(new, self.path)
        except duckdb.Error as error:
            raise self._explained(error) from error
        except OSError:
            return  # no links in this folder: the file is made in place when it is opened
        finally:
            new.unlink(missing_ok=True)

    def _search_standing_schemas(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """The schemas are not there yet in a file that something else made."""
        found = connection.execute("SELECT schema_name FROM information_schema.schemata").fetchall()
        names = [name for name in (self.schema, self.state_schema) if (name,) in found]
        if names:
            connection.execute(f"SET search_path = '{','.join(names)}'")

    def _prepare(self, connection: "duckdb.DuckDBPyConnection") -> None:
        for schema in (self.schema, self.state_schema):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        connection.execute(f"SET search_path = '{self.schema},{self.state_schema}'")

    def _explained(self, error: "duckdb.Error") -> WarehouseError:
        text = str(error)
        if "not a valid DuckDB database file" in text or "not a DuckDB" in text:
            return WarehouseError(
                f"{self.path}: this file is not a DuckDB database. Set [DUCKDB] PATH to another "
                "file, or move this one away."
            )
        if "NOT NULL constraint failed" in text:
            column = text.rpartition("failed: ")[2].splitlines()[0].replace('"', "")
            return WarehouseError(
                f"{column} would be NULL, which its table file does not allow. Nothing was changed;"
                " mend the transform or the data, or allow NULL there."
            )
        if "No space left on device" in text or "disk is full" in text.lower():
            return WarehouseError(
                f"{self.path}: the disk is full. Nothing was changed; make room and run again."
            )
        first_line = text.splitlines()[0] if text else type(error).__name__
        return WarehouseError(f"{self.path}: {first_line}")
