"""What the engines on a server share: transactions over psycopg2.

How PostgreSQL and Redshift differ (taking turns, fast ways in for rows, logging in) is said by
their modules; which statements there are is no concern of this one.
"""

import random
import re
import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from sparkify_dagster.engines.base import (
    PARAMETER,
    WRITES,
    Notify,
    Session,
    TransientError,
    Warehouse,
    WarehouseError,
    silent,
)
from sparkify_dagster.engines.results import Stream
from sparkify_dagster.engines.rows import Rows, Value
from sparkify_dagster.engines.server.connections import open_connection
from sparkify_dagster.engines.server.errors import explained
from sparkify_dagster.engines.server.login import Credentials, mint_credentials
from sparkify_dagster.engines.server.results import (
    NUMERIC,
    Page,
    arrow_reader,
    has_places,
    open_result,
)
from sparkify_dagster.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg2.extensions import Column
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

# Views and materialized views, by way of the rules that they depend on and that depend on tables.
# `"oid"` stands in quotes because it is a reserved word on Redshift.
_VIEWS = """
    SELECT DISTINCT target_space.nspname, target.relname, space.nspname, dependent.relname
    FROM pg_class AS target
    INNER JOIN pg_namespace AS target_space ON target_space."oid" = target.relnamespace
    INNER JOIN pg_depend AS used ON used.refobjid = target."oid"
    INNER JOIN pg_depend AS rule ON rule.objid = used.objid
    INNER JOIN pg_class AS dependent ON dependent."oid" = rule.refobjid
    INNER JOIN pg_namespace AS space ON space."oid" = dependent.relnamespace
    WHERE target_space.nspname IN (:schema, :state_schema)
      AND dependent.relkind IN ('v', 'm')
      AND dependent."oid" <> target."oid"
"""
_FOREIGN_KEYS = """
    SELECT DISTINCT target_space.nspname, target.relname, space.nspname, dependent.relname
    FROM pg_constraint AS foreign_key
    INNER JOIN pg_class AS target ON target."oid" = foreign_key.confrelid
    INNER JOIN pg_namespace AS target_space ON target_space."oid" = target.relnamespace
    INNER JOIN pg_class AS dependent ON dependent."oid" = foreign_key.conrelid
    INNER JOIN pg_namespace AS space ON space."oid" = dependent.relnamespace
    WHERE foreign_key.contype = 'f'
      AND target_space.nspname IN (:schema, :state_schema)
"""
ATTEMPTS = 5
_FIRST_PAUSE = 0.5  # seconds; doubled from attempt to attempt
_ROWS_A_STATEMENT = 1000
# Redshift takes statements of 16 MB; a character has up to four bytes.
_CHARACTERS_A_STATEMENT = 2_000_000
_MANY_ROWS = 10_000  # from here on statistics that are older than a load mislead the planner
_SELECTS = re.compile(r"\s*(SELECT|WITH)\b", re.IGNORECASE)
_T = TypeVar("_T")


class ServerSession(Session):
    """The transaction of a psycopg2 connection."""

    rows_a_page = 10_000
    """How many rows of a result are fetched at once."""

    def __init__(self, connection: "Connection", location: str) -> None:
        self._connection = connection
        self._location = location

    def execute(self, sql: str, params: Mapping[str, Value] | None = None) -> int:
        with self._run(sql, params) as cursor:
            return max(cursor.rowcount, 0) if WRITES.match(sql) else 0

    def rows(
        self, sql: str, params: Mapping[str, Value] | None = None, *, limit: int | None = None
    ) -> Rows:
        # psycopg2 fetches a result whole, however few of its rows are asked for.
        limited = sql if limit is None or not _SELECTS.match(sql) else self.at_most(limit, sql)
        with self._run(limited, params) as cursor:
            columns = tuple(column.name for column in cursor.description or ())
            if not columns:
                return Rows((), ())
            found = cursor.fetchall() if limit is None else cursor.fetchmany(limit)
            return Rows(columns, tuple(tuple(map(_plain, row)) for row in found))

    def at_most(self, limit: int, sql: str) -> str:
        """A SELECT with its first rows alone, in its order; unchanged where that is not sure."""
        del limit
        return sql

    def stream(self, sql: str, *, limit: int | None = None) -> Stream:
        columns, pages = self.result(sql, limit)
        return Stream(tuple(column.name for column in columns), _plain_pages(columns, pages))

    def arrow(self, sql: str, *, limit: int | None = None) -> "pa.RecordBatchReader":
        return arrow_reader(*self.result(sql, limit))

    def result(self, sql: str, limit: int | None) -> "tuple[Sequence[Column], Iterator[Page]]":
        """The columns of a query's result, and its rows as they come, a page at a time."""
        with self._explaining():
            columns, pages = open_result(self._connection, sql, self.rows_a_page, limit)
        return columns, self._shown(pages)

    def _shown(self, pages: "Iterator[Page]") -> "Iterator[Page]":
        with self._explaining():
            yield from pages

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> None:
        from psycopg2.extras import execute_values

        if not rows:
            return
        with self._explaining(), self._connection.cursor() as cursor:
            statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES %s"
            for page in _pages(rows):
                execute_values(cursor, statement, page, page_size=len(page))

    def give_up(self) -> None:
        """End the transaction without a trace; the next statement begins another."""
        self._connection.rollback()

    def analyze(self, table: str, written: int) -> None:
        if written >= _MANY_ROWS:
            self.execute(f"ANALYZE {table}")

    @contextmanager
    def _run(self, sql: str, params: Mapping[str, Value] | None) -> "Iterator[Cursor]":
        with self._explaining(), self._connection.cursor() as cursor:
            if params is None:
                cursor.execute(sql)
            else:
                cursor.execute(PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%")), dict(params))
            yield cursor

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        import psycopg2

        try:
            yield
        except psycopg2.IntegrityError as error:
            shown = explained(error, self._location)
        except psycopg2.Error as error:
            raise explained(error, self._location) from error
        else:
            return
        # Without its cause, whose details quote the row: Dagster would keep it in its event log.
        raise shown from None


def _pages(rows: Sequence[tuple[Value, ...]]) -> Iterator[list[tuple[Value, ...]]]:
    """The rows in parts that are one statement each."""
    page: list[tuple[Value, ...]] = []
    characters = 0
    for row in rows:
        page.append(row)
        characters += sum(len(value) for value in row if isinstance(value, str))
        if len(page) == _ROWS_A_STATEMENT or characters >= _CHARACTERS_A_STATEMENT:
            yield page
            page, characters = [], 0
    if page:
        yield page


def _plain_pages(
    columns: "Sequence[Column]", pages: "Iterator[Page]"
) -> "Iterator[list[tuple[Any, ...]]]":
    """The pages; a DECIMAL that says its places keeps them, any other number is what it is."""
    if not any(column.type_code == NUMERIC for column in columns):
        yield from pages
        return
    kept = [has_places(column) for column in columns]
    for page in pages:
        yield [
            tuple(v if keep else _plain(v) for keep, v in zip(kept, row, strict=True))
            for row in page
        ]


def _plain(value: Any) -> Value:
    """DECIMAL, which sums of whole numbers are on a server, as the number it is."""
    if not isinstance(value, Decimal):
        found: Value = value
        return found
    whole = value.is_finite() and value == value.to_integral_value()
    return int(value) if whole else float(value)


class ServerWarehouse(Warehouse):
    """A schema of a database on a server; see `Warehouse`."""

    product: str
    """What people call the engine."""
    unanswered = (
        "Something in between drops the packets: let this machine through the firewall or the"
        " security group of the server, or check [CLUSTER] HOST and DB_PORT."
    )
    """What to do where nothing answers at its address."""
    clock: str
    """The query for the server's time, in seconds since 1970 UTC."""
    isolation: str | None
    """The isolation level of a writer, in psycopg2's words; None: that of the server."""
    reading: str | None
    """That of a reader: all its statements see one state."""

    def __init__(self, settings: Settings) -> None:
        self.schema = settings.warehouse.schema
        self.cluster = settings.cluster
        self.region = settings.s3.region

    @property
    def location(self) -> str:
        cluster = self.cluster
        return f"{self.product} {cluster.host}:{cluster.db_port}/{cluster.db_name}"

    @property
    def database(self) -> str:
        return self.cluster.db_name

    @property
    def address(self) -> str:
        cluster = self.cluster
        # a folder of a socket, or an address with colons, stands in brackets or in quotes
        host = f"[{cluster.host}]" if ":" in cluster.host else quote(cluster.host, safe="")
        return f"{self.engine}://{host}:{cluster.db_port}/{quote(cluster.db_name, safe='')}"

    def dependents(self, session: Session, tables: Collection[str]) -> Iterable[tuple[str, str]]:
        names = {"schema": self.schema, "state_schema": self.state_schema}
        for query in (_VIEWS, _FOREIGN_KEYS):
            for table_schema, table, schema, dependent in session.fetch(query, names):
                yield f"{table_schema}.{table}", f"{schema}.{dependent}"

    def credentials(self) -> Credentials:
        """Minted for every connection, and kept nowhere."""
        return mint_credentials(self.cluster, self.region)

    @abstractmethod
    def session(self, connection: "Connection", notify: Notify = silent) -> ServerSession:
        """The engine's session over a connection."""

    def settings_of_a_connection(self, run_id: str) -> Sequence[str]:
        """The SET statements that a new connection begins with."""
        del run_id
        return ()

    def settings_of_a_transaction(self) -> Sequence[str]:
        """Those that every transaction begins with."""
        return ()

    def prepare_turn(self, session: Session) -> None:
        """Make what writers queue at, if it is missing."""

    @abstractmethod
    def take_turn(self, session: ServerSession, notify: Notify) -> None:
        """Wait, within the configured time, until no other writer is in this schema."""

    def exists(self) -> bool:
        with self._connected("", read_only=True) as connection:
            session = self._begin(connection)
            return self.state_schema in self._standing_schemas(session)

    @contextmanager
    def write(self, notify: Notify, run_id: str = "") -> Iterator[Session]:
        with self._connected(run_id, read_only=False, notify=notify) as connection:
            session = self._begin(connection)
            standing = self._standing_schemas(session)
            missing = [s for s in (self.schema, self.state_schema) if s not in standing]
            for schema in missing:
                session.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            self.prepare_turn(session)
            # So that others who begin find something to queue at, and that what is seen while it
            # is our turn is what the one before us committed.
            self._commit(connection)
            session = self._begin(connection, notify)
            self.take_turn(session, notify)
            yield session
            self._commit(connection)

    @contextmanager
    def read(self, notify: Notify) -> Iterator[Session]:
        with self._connected("", read_only=True, notify=notify) as connection:
            session = self._begin(connection, notify)
            if self.state_schema not in self._standing_schemas(session):
                raise WarehouseError(
                    f"{self.location}: there is no warehouse in schema {self.schema} yet. Run "
                    "`sparkify run` to make it."
                )
            yield session

    def transact(self, work: Callable[[Session], _T], notify: Notify, run_id: str = "") -> _T:
        pause = _FIRST_PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return super().transact(work, notify, run_id)
            except TransientError as error:
                if attempt == ATTEMPTS or (attempt == 1 and error.at_connect):
                    raise
                notify(f"{error} Trying again ({attempt + 1} of {ATTEMPTS}).")
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause *= 2
            # Restarting is a reason to lose a transaction: it may take longer than our attempts.
            self._reached(run_id, notify, was_there=True).close()
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def _connected(
        self, run_id: str, *, read_only: bool, notify: Notify = silent
    ) -> "Iterator[Connection]":
        """A connection that is closed, and so rolled back, however the block ends."""
        connection = self.prepared_connection(run_id, notify)
        try:
            level = self.reading if read_only else self.isolation
            connection.set_session(isolation_level=level, readonly=read_only or None)
            yield connection
        finally:
            connection.close()

    def prepared_connection(self, run_id: str, notify: Notify = silent) -> "Connection":
        """A new connection with the settings of each one, between transactions."""
        connection = self._reached(run_id, notify)
        try:
            session = self.session(connection)
            for statement in self.settings_of_a_connection(run_id):
                session.execute(statement)
            self._commit(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _reached(self, run_id: str, notify: Notify, *, was_there: bool = False) -> "Connection":
        """A connection, also to a server that is restarting: it is waited for, and that is said.

        A server that does not answer is only taken for one if it was there a moment ago.
        """
        deadline = time.monotonic() + self.cluster.lock_timeout
        shown = False
        while True:
            try:
                return self.connect(run_id)
            except TransientError as error:
                was_there |= error.restarting
                if not was_there or time.monotonic() > deadline:
                    raise
                if not shown:
                    patience = self.cluster.lock_timeout
                    notify(f"{error} Waiting for the server, at most {patience} seconds.")
                    shown = True
            time.sleep(random.uniform(0.5, 1))

    def _begin(self, connection: "Connection", notify: Notify = silent) -> ServerSession:
        session = self.session(connection, notify)
        for statement in self.settings_of_a_transaction():
            session.execute(statement)
        return session

    def connect(self, run_id: str) -> "Connection":
        """A new connection, with nothing set but what the server needs to let us in.

        Raises:
            WarehouseError: saying why the server cannot be reached or refuses us.
        """
        import psycopg2

        credentials = self.credentials()
        cluster = self.cluster
        try:
            return open_connection(
                sslmode=cluster.sslmode.value,
                sslrootcert=cluster.sslrootcert,
                host=cluster.host,
                port=cluster.db_port,
                dbname=cluster.db_name,
                user=credentials.user,
                password=credentials.password,
                connect_timeout=cluster.connect_timeout,
                application_name=f"sparkify {run_id}".strip()[:63],
                # What a COPY is sent is UTF-8, whatever this machine or the user's role prefer.
                client_encoding="UTF8",
            )
        except psycopg2.Error as error:
            raise explained(error, self.location, at_connect=True) from error

    def _standing_schemas(self, session: Session) -> set[str]:
        names = {"schema": self.schema, "state_schema": self.state_schema}
        found = session.fetch(
            "SELECT nspname FROM pg_namespace WHERE nspname IN (:schema, :state_schema)", names
        )
        return {str(name) for (name,) in found}

    def _commit(self, connection: "Connection") -> None:
        import psycopg2

        try:
            connection.commit()
        except psycopg2.Error as error:
            with suppress(psycopg2.Error):
                connection.rollback()
            raise explained(error, self.location, at_commit=True) from error
