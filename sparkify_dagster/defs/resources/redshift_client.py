"""Executes queries on Redshift for people who know dagster-aws's client: same methods, same names.

What differs is what a call promises: it happens as a whole or not at all, and an error is raised.
How to connect is the caller's; statements of the platform itself are not sent through here.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from logging import Logger
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from sparkify_dagster.errors import SparkifyError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

Row: TypeAlias = tuple[object, ...]
ErrorCallback: TypeAlias = Callable[[Exception, "Cursor", Logger], object]

# A quoted name is kept, a literal and a number are left out.
_VALUES = re.compile(r"""("[^"]*")|'(?:[^']|'')*'|(?<![\w."])\d[\w.]*""")
# What makes it uncertain where a literal ends: escapes, comments, dollar quotes.
_UNCERTAIN = re.compile(r"\\|--|/\*|\$")


class RedshiftClientError(SparkifyError):
    """The client was called with something it cannot use; nothing was sent."""


class RedshiftClient:
    """Executes queries, each call on a connection and in a transaction of its own.

    As a context manager it keeps one connection for all calls of the block:

        with redshift.get_client() as client:
            client.execute_queries(["DELETE FROM t", "INSERT INTO t (a) SELECT a FROM u"])

    With `autocommit` every statement commits by itself.
    """

    def __init__(
        self, connect: Callable[[], "Connection"], autocommit: bool | None, log: Logger
    ) -> None:
        self._connect = connect
        self._autocommit = bool(autocommit)
        self._log = log
        self._held: Connection | None = None

    def __enter__(self) -> Self:
        if self._held is not None:
            raise RedshiftClientError("This client is in use already: ask for another one.")
        self._held = self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.close()

    def execute_query(
        self,
        query: str,
        fetch_results: bool = False,
        cursor_factory: "type[Cursor] | None" = None,
        error_callback: ErrorCallback | None = None,
    ) -> list[Row] | None:
        """Execute one query in a transaction; its rows (`[]` if none) with `fetch_results`.

        `error_callback(error, cursor, log)` can look for the cause of an error, such as in
        `sys_load_error_detail`, after the rollback. The error is raised all the same, and what
        the callback wrote is rolled back unless it committed.

        Raises:
            psycopg2.Error: as it came; the transaction was rolled back.
            RedshiftClientError: if an argument cannot be used; nothing was sent.
        """
        if not isinstance(query, str):
            raise RedshiftClientError(f"query must be text, not {type(query).__name__}.")
        results = self._run([query], fetch_results, cursor_factory, error_callback)
        return results[0] if fetch_results else None

    def execute_queries(
        self,
        queries: Sequence[str],
        fetch_results: bool = False,
        cursor_factory: "type[Cursor] | None" = None,
        error_callback: ErrorCallback | None = None,
    ) -> list[list[Row]] | None:
        """Execute queries in one transaction, all of them or none; see `execute_query`.

        The rows of each query, in their order, with `fetch_results`.
        """
        if isinstance(queries, str) or not all(isinstance(query, str) for query in queries):
            raise RedshiftClientError("queries must be a list of texts, one query each.")
        results = self._run(list(queries), fetch_results, cursor_factory, error_callback)
        return results if fetch_results else None

    def _run(
        self,
        queries: Sequence[str],
        fetch_results: bool,
        cursor_factory: "type[Cursor] | None",
        error_callback: ErrorCallback | None,
    ) -> list[list[Row]]:
        if error_callback is not None and not callable(error_callback):
            raise RedshiftClientError("error_callback must be a function (error, cursor, log).")
        with (
            self._connection() as connection,
            connection.cursor(cursor_factory=cursor_factory) as cursor,
        ):
            try:
                results = [self._execute(cursor, query, fetch_results) for query in queries]
                connection.commit()
            except BaseException as error:  # whatever ended it, nothing stays half done
                _roll_back(connection)
                if error_callback is not None and isinstance(error, Exception):
                    try:
                        error_callback(error, cursor, self._log)
                    finally:
                        _roll_back(connection)
                raise
        return results

    def _execute(self, cursor: "Cursor", query: str, fetch_results: bool) -> list[Row]:
        self._log.debug(f"Redshift executes: {without_values(query)}")
        cursor.execute(query)
        # A statement without a result has no description; a result may be empty.
        return cursor.fetchall() if fetch_results and cursor.description else []

    @contextmanager
    def _connection(self) -> "Iterator[Connection]":
        if self._held is not None:
            yield self._held
            return
        with closing(self._open()) as connection:
            yield connection

    def _open(self) -> "Connection":
        connection = self._connect()
        # Since 2.9 `with connection` opens a transaction whatever this says: it is not used here.
        connection.autocommit = self._autocommit
        return connection


def without_values(query: str) -> str:
    """A query for a log: literals and numbers, which may be anybody's, are left out.

    Where it is uncertain what a literal is, the text ends before it.
    """
    certain = len(query)
    if uncertain := _UNCERTAIN.search(query):
        certain = uncertain.start()
    if certain < len(query) or query.count("'") % 2:
        quote = query.find("'")
        query = query[: min(certain, quote) if quote >= 0 else certain] + " …"
    return " ".join(_VALUES.sub(lambda match: match[1] or "?", query).split())


def _roll_back(connection: "Connection") -> None:
    import psycopg2

    # A lost connection is rolled back by the server; the error before says what happened.
    with suppress(psycopg2.Error):
        connection.rollback()
