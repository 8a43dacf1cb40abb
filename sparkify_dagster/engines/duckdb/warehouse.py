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
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sparkify_dagster.engines.base import (
    Notify,
    Session,
    Warehouse,
    WarehouseBusyError,
    WarehouseError,
    silent,
)
from sparkify_dagster.engines.ddl import Dialect
from sparkify_dagster.engines.duckdb.session import DuckDBSession
from sparkify_dagster.interruptible import CallThread
from sparkify_dagster.settings.sections import DuckDBSettings

if TYPE_CHECKING:
    import duckdb

_VIEWS = """
    SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal
"""
_HOLDER = re.compile(r"PID (\d+)")
_TURN = 2.0  # seconds for which a process that goes on writing may keep the others waiting
_LONGEST_PAUSE = 0.05  # seconds between two looks of those who wait, more or less
_GAP = 2 * _LONGEST_PAUSE  # in which each of them looks at least once
_HEADERS = 3 * 4096  # bytes at the beginning of a file


def _holder(message: str) -> str | None:
    """The process that has the file in a way that excludes us; None if something else is wrong."""
    if "different configuration" in message:  # another thread reads while we write, or vice versa
        return str(os.getpid())
    match = _HOLDER.search(message) if "lock" in message else None
    return match[1] if match else None


class DuckDBWarehouse(Warehouse):
    """A DuckDB file; see `Warehouse`."""

    engine = "duckdb"
    # It ignores the n of VARCHAR(n). An index costs: 3 million integers insert in 1.2 s with it,
    # in 0.07 s without.
    dialect = Dialect()
    one_process = True

    def __init__(self, settings: DuckDBSettings, schema: str) -> None:
        self.schema = schema
        self._settings = settings
        self._stays = False
        self._kept: duckdb.DuckDBPyConnection | None = None
        self._kept_since = 0.0
        self._others_until = 0.0

    @property
    def file(self) -> Path:
        return self._settings.path

    @property
    def database(self) -> str:
        # DuckDB names a database after its file, up to the first dot
        return self.file.name.partition(".")[0]

    @property
    def address(self) -> str:
        return f"duckdb://{quote(self.file.as_posix())}"

    def dependents(self, session: Session, tables: Collection[str]) -> Iterable[tuple[str, str]]:
        # DuckDB notes no dependencies of views: one that names a table is taken to need it.
        for schema, view, sql in session.fetch(_VIEWS):
            for table in tables:
                if re.search(rf"\b{table.partition('.')[2]}\b", str(sql).partition(" AS ")[2]):
                    yield table, f"{schema}.{view}"

    @property
    def location(self) -> str:
        return str(self.file)

    def exists(self) -> bool:
        return self.file.exists()

    @contextmanager
    def write(self, notify: Notify, run_id: str = "") -> Iterator[Session]:
        import duckdb

        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseError(
                f"{self.file}: the folder of the warehouse cannot be made ({error.strerror}). "
                "Set [DUCKDB] PATH to a place you can write to."
            ) from error
        if not self.exists():
            self._create()
        time.sleep(max(0.0, self._others_until - time.monotonic()))
        connection = self._connect(read_only=False, notify=notify)
        try:
            # Closing without a commit rolls back, also when the connection is beyond use.
            with _closing(connection) as thread:
                thread.call(lambda: self._begin(connection))
                yield DuckDBSession(connection, thread)
                thread.call(lambda: connection.execute("COMMIT"))
                self._keep_open()
        except duckdb.Error as error:
            self._let_go()
            raise self._explained(error) from error

    @contextmanager
    def stay_open(self) -> Iterator[None]:
        self._stays = True
        try:
            yield
        finally:
            self._stays = False
            self._let_go()

    @contextmanager
    def read(self, notify: Notify) -> Iterator[Session]:
        import duckdb

        if not self.exists():
            raise WarehouseError(
                f"{self.file}: there is no warehouse yet. Run `sparkify run` to make it."
            )
        self._let_go()
        connection = self._connect(read_only=True, notify=notify)
        try:
            with _closing(connection) as thread:
                thread.call(lambda: self._begin_reading(connection))
                yield DuckDBSession(connection, thread)
        except duckdb.Error as error:
            raise self._explained(error) from error

    def erase(self, tables: Sequence[str]) -> str:
        """Rewrite the file: DuckDB leaves what was changed in pages that it no longer reads."""
        import duckdb

        del tables
        self._let_go()
        place = self.file.resolve()
        new = place.with_name(f"{place.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.new")
        connection = self._connect(read_only=False, notify=silent)
        # Closed after the connection: closing it gives up the lock of the process.
        old = os.open(place, os.O_WRONLY)
        try:
            with _closing(connection) as thread:
                thread.call(lambda: _write_anew(connection, new))
                shutil.copymode(place, new)
                os.replace(new, place)
                # Who waits tries again by the name. Who had opened the old file a moment ago, and
                # locks it once we let go, must not write into what is gone: there is no database
                # in it.
                os.pwrite(old, bytes(_HEADERS), 0)
        except (duckdb.Error, OSError) as error:
            shown = str(error).splitlines()[0]
            return (
                f"{self.file} still holds pages from before, which no query reads: it could not be"
                f" rewritten ({shown}). Make room beside it, and run this again."
            )
        finally:
            os.close(old)
            for left in (new, new.with_name(f"{new.name}.wal")):
                left.unlink(missing_ok=True)
        return ""

    def _keep_open(self) -> None:
        """Leave a connection beside the one that closes: the last to close closes the file.

        Opening it, and closing it with its checkpoint, takes 50 ms; a small transaction takes 3.
        After a turn it is closed, for long enough that other processes find it so.
        """
        if self._kept is None and self._stays:
            # Not a cursor of the other: with that one gone, the file would be opened twice.
            self._kept = self._connect(read_only=False, notify=silent)
            self._kept_since = time.monotonic()
        elif self._kept and time.monotonic() - self._kept_since > _TURN:
            self._let_go()
            self._others_until = time.monotonic() + _GAP

    def _let_go(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _connect(self, *, read_only: bool, notify: Notify) -> "duckdb.DuckDBPyConnection":
        import duckdb

        waited_since = time.monotonic()
        deadline = waited_since + self._settings.lock_timeout
        pause, shown = 0.02, False
        while True:
            try:
                return duckdb.connect(str(self.file), read_only=read_only, config=self._config())
            except duckdb.Error as error:
                holder = _holder(str(error))
                if holder is None:
                    raise self._explained(error) from error
                if time.monotonic() > deadline:
                    raise WarehouseBusyError(
                        f"{self.file}: process {holder} has held the warehouse for "
                        f"{self._settings.lock_timeout:g} seconds. Wait for it or end it, or "
                        "raise [DUCKDB] LOCK_TIMEOUT."
                    ) from error
            if not shown and time.monotonic() - waited_since > 1:
                notify(f"waiting for process {holder}, which is using {self.file}")
                shown = True
            # Jitter, so that two who wait do not knock at the same moments.
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

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

        new = self.file.with_name(f"{self.file.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.new")
        try:
            connection = duckdb.connect(str(new), config=self._config())
            with _closing(connection) as thread:
                thread.call(lambda: self._prepare(connection))
            # Unlike a rename, a link never replaces the file of a process that was faster.
            with suppress(FileExistsError):
                os.link(new, self.file)
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

    def _begin(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._prepare(connection)
        connection.execute("BEGIN TRANSACTION")

    def _begin_reading(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._search_standing_schemas(connection)
        # A query reads the warehouse, not the files of this machine or the network.
        connection.execute("SET enable_external_access = false")
        # In notebooks and in `python -c` DuckDB draws a bar into what is printed.
        connection.execute("SET enable_progress_bar = false")

    def _prepare(self, connection: "duckdb.DuckDBPyConnection") -> None:
        for schema in (self.schema, self.state_schema):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        connection.execute(f"SET search_path = '{self.schema},{self.state_schema}'")

    def _explained(self, error: "duckdb.Error") -> WarehouseError:
        text = str(error)
        if "not a valid DuckDB database file" in text or "not a DuckDB" in text:
            return WarehouseError(
                f"{self.file}: this file is not a DuckDB database. Set [DUCKDB] PATH to another "
                "file, or move this one away."
            )
        if "NOT NULL constraint failed" in text:
            column = text.rpartition("failed: ")[2].splitlines()[0].replace('"', "")
            return WarehouseError(
                f"{column} would be NULL, which its table file does not allow. Nothing was changed;"
                " mend the transform or the data, or allow NULL there."
            )
        if "Out of Memory" in text:
            return WarehouseError(
                f"{self.file}: the memory that DuckDB may use is full. Nothing was changed;"
                f" raise [DUCKDB] MEMORY_LIMIT = {self._settings.memory_limit}, set fewer"
                " THREADS, or load fewer days at once."
            )
        if "No space left on device" in text or "disk is full" in text.lower():
            return WarehouseError(
                f"{self.file}: the disk is full. Nothing was changed; make room and run again."
            )
        first_line = text.splitlines()[0] if text else type(error).__name__
        return WarehouseError(f"{self.file}: {first_line}")


@contextmanager
def _closing(connection: "duckdb.DuckDBPyConnection") -> Iterator[CallThread]:
    """The thread for what a connection is to do; both are closed at the end of the block."""
    thread = CallThread(connection.interrupt)
    try:
        yield thread
    finally:
        connection.interrupt()  # closing would wait for the rest of a result nobody wants
        thread.close(connection.close)


def _write_anew(connection: "duckdb.DuckDBPyConnection", new: Path) -> None:
    """Copy what a database holds into a new file, without what it no longer reads."""
    connection.execute("FORCE CHECKPOINT")
    [(name,)] = connection.execute("SELECT current_database()").fetchall()
    connection.execute(f"ATTACH '{str(new).replace(chr(39), chr(39) * 2)}' AS written_anew")
    itself = str(name).replace('"', '""')
    connection.execute(f'COPY FROM DATABASE "{itself}" TO written_anew')
    connection.execute("DETACH written_anew")
