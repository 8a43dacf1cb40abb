"""The engine PostgreSQL: rows come in through COPY FROM STDIN, writers queue at an advisory lock.

Only what PostgreSQL does in its own way lives here; the rest is in `engines.server`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sparkify_dagster.catalogue.tables import Table
from sparkify_dagster.engines.base import (
    Intake,
    Notify,
    RoleDialect,
    Session,
    StagedFile,
    WarehouseBusyError,
    WarehouseError,
    silent,
)
from sparkify_dagster.engines.ddl import Dialect
from sparkify_dagster.engines.server.results import Page
from sparkify_dagster.engines.server.staged_rows import staged_rows
from sparkify_dagster.engines.server.warehouse import ServerSession, ServerWarehouse

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg2.extensions import Column
    from psycopg2.extensions import connection as Connection

_HOLDER = """
    SELECT activity.application_name, activity.pid
    FROM pg_locks AS locks
    INNER JOIN pg_stat_activity AS activity ON activity.pid = locks.pid
    WHERE locks.locktype = 'advisory' AND locks.granted
      AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (locks.classid::bigint << 32) + locks.objid::bigint = :lock
"""
# PostgreSQL counts row by row: beyond this size its own estimate has to do.
_LARGE = 256 << 20
_SIZES = """
    SELECT target.relname, pg_relation_size(target."oid"), target.reltuples
    FROM pg_class AS target
    INNER JOIN pg_namespace AS space ON space."oid" = target.relnamespace
    WHERE space.nspname = :schema AND target.relkind = 'r'
"""
_NOT_VACUUMED = (
    "The rows from before lie in their tables, unseen by queries, until these are vacuumed, which"
    " PostgreSQL does by itself; their owner can do it at once by VACUUM."
)
# What one message of the protocol carries; the default of psycopg2, 8 KiB, costs 4 % of a COPY.
_BLOCK = 1 << 20


class PostgresSession(ServerSession):
    """A transaction on PostgreSQL."""

    def at_most(self, limit: int, sql: str) -> str:
        # MATERIALIZED: a LIMIT alone makes the planner bet on finding rows soon, and the checks
        # that ask like this find none.
        return f"WITH found AS MATERIALIZED (\n{sql}\n) SELECT * FROM found LIMIT {limit}"

    def result(self, sql: str, limit: int | None) -> "tuple[Sequence[Column], Iterator[Page]]":
        if limit is None:
            # A planner that believes in a tenth of the rows chooses a slow way to all of them.
            self.execute("SET LOCAL cursor_tuple_fraction = 1")
        return super().result(sql, limit)

    @contextmanager
    def staging(self, table: Table, files: Sequence[StagedFile]) -> Iterator[Intake]:
        yield _PostgresIntake(self, table, files)

    def analyze_keys(self, table: str) -> None:
        # Unknown, it counts as thousands of days, and whole tables are read for one of them.
        self.execute(f"ANALYZE {table}")

    def copy_in(self, statement: str, content: "pa.Buffer") -> None:
        """Send the content to a COPY FROM STDIN."""
        import pyarrow as pa

        with self._explaining(), self._connection.cursor() as cursor:
            cursor.copy_expert(statement, pa.BufferReader(content), size=_BLOCK)


class _PostgresIntake(Intake):
    """Batches as CSV, each with a COPY of its own."""

    def __init__(self, session: PostgresSession, table: Table, files: Sequence[StagedFile]) -> None:
        self._session, self._table, self._files = session, table, files
        names = ", ".join(table.column_names)
        self._statement = f"COPY {table.name} ({names}) FROM STDIN WITH (FORMAT csv)"

    def encode(self, rows: "pa.Table") -> object:
        import pyarrow as pa
        from pyarrow import csv

        # NULL is written as nothing and an empty text as "", which COPY tells apart.
        options = csv.WriteOptions(include_header=False, quoting_style="needed")
        content = pa.BufferOutputStream()
        csv.write_csv(staged_rows(self._table, rows, self._files), content, options)
        return content.getvalue()

    def append(self, encoded: object) -> None:
        self._session.copy_in(self._statement, encoded)


class PostgresWarehouse(ServerWarehouse):
    """A schema of a PostgreSQL database; see `Warehouse`."""

    engine = "postgres"
    product = "PostgreSQL"
    # COLLATE "C" orders and compares bytes as Redshift does, whatever the database's locale. The n
    # of VARCHAR(n) counts characters here: never stricter than the bytes that the loader checked.
    # Indexes take the place of the block ranges by which the other two pass over other days.
    dialect = Dialect(text_size=True, text_collation=' COLLATE "C"', indexes=True)
    clock = "SELECT EXTRACT(EPOCH FROM CURRENT_TIMESTAMP)"
    roles = RoleDialect("", "SELECT rolname FROM pg_roles", temporary=False, owning=True)
    # A writer is alone in its schema, and has to see what the one before it committed meanwhile.
    isolation = "READ COMMITTED"
    reading = "REPEATABLE READ"

    def estimated_rows(self, session: Session) -> Mapping[str, str]:
        rows: dict[str, str] = {}
        for name, size, guess in session.fetch(_SIZES, {"schema": self.schema}):
            if int(str(size)) > _LARGE:
                number = float(str(guess))
                rows[str(name)] = f"about {number:,.0f} rows" if number >= 0 else "many rows"
        return rows

    def session(self, connection: "Connection", notify: Notify = silent) -> ServerSession:
        return PostgresSession(connection, self.location)

    def settings_of_a_transaction(self) -> Sequence[str]:
        # LOCAL, and again for each: behind a pool of connections such as PgBouncer's the next
        # transaction may be on another one, and what was set here would reach somebody else.
        cluster = self.cluster
        return (
            f"SET LOCAL search_path TO {self.schema}, {self.state_schema}",
            f"SET LOCAL statement_timeout = '{cluster.statement_timeout}s'",
            f"SET LOCAL lock_timeout = '{cluster.lock_timeout}s'",
            # The default of 4 MB is for many small transactions; one sort of a month spills it.
            "SET LOCAL work_mem = '64MB'",
        )

    def take_turn(self, session: ServerSession, notify: Notify) -> None:
        lock = {"lock": _lock_number(self.schema)}
        if session.fetch("SELECT pg_try_advisory_xact_lock(:lock)", lock)[0][0]:
            return
        holder = self._holder(session, lock)
        notify(f"waiting for {holder}, which is writing to {self.location}")
        from psycopg2.errors import LockNotAvailable

        # Waiting has a limit of its own, which may be longer than that of a statement.
        session.execute("SET LOCAL statement_timeout = 0")
        try:
            session.fetch("SELECT pg_advisory_xact_lock(:lock)", lock)
        except WarehouseError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            raise WarehouseBusyError(
                f"{self.location}: {holder} has been writing for {self.cluster.lock_timeout} "
                "seconds. Wait for it or end it, or raise [CLUSTER] LOCK_TIMEOUT."
            ) from error
        session.execute(f"SET LOCAL statement_timeout = '{self.cluster.statement_timeout}s'")

    def erase(self, tables: Sequence[str]) -> str:
        # VACUUM runs in no transaction; who may not do it gets a notice.
        connection = self.connect("")
        try:
            connection.set_session(autocommit=True)
            session = self.session(connection)
            for table in tables:
                session.execute(f"VACUUM {self.schema}.{table}")
            refused = any("skipping" in text for text in connection.notices)
        finally:
            connection.close()
        return _NOT_VACUUMED if refused else ""

    def _holder(self, session: Session, lock: dict[str, int]) -> str:
        found = session.fetch(_HOLDER, lock)
        return f"{found[0][0]} (process {found[0][1]} of the server)" if found else "another run"


def _lock_number(schema: str) -> int:
    """The key of the schema's lock: 63 bits of its name, the same for every run."""
    name = f"sparkify writes to {schema}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") >> 1
