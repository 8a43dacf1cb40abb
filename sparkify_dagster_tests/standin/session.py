"""One client: takes its statements one by one, and does with each what its plan says.

A session of PostgreSQL stands behind each. An error of the stand-in's own aborts the transaction
there too, so that both sides agree on what is left.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from sparkify_dagster_tests.standin import keys, protocol
from sparkify_dagster_tests.standin.backend import Backend, BackendError
from sparkify_dagster_tests.standin.copying import Copying
from sparkify_dagster_tests.standin.create_table import BYTES_CHECK
from sparkify_dagster_tests.standin.errors import (
    CANCELLED,
    RefusedError,
    serialization_failure,
    unsupported,
)
from sparkify_dagster_tests.standin.faults import Fault, Trouble
from sparkify_dagster_tests.standin.logins import Login
from sparkify_dagster_tests.standin.plans import (
    CreateRole,
    CreateTable,
    DropTables,
    Forward,
    Load,
    Nothing,
    Plan,
    Truncate,
)
from sparkify_dagster_tests.standin.protocol import ConnectionLostError, Stream
from sparkify_dagster_tests.standin.statements import judge

_REPORTED = (b"client_encoding\0", b"DateStyle\0")


@dataclass
class Statement:
    """A statement as it came, whose it was, and the error that it met ("" if none)."""

    session: int
    user: str
    text: str
    error: str = ""


class Surroundings(Protocol):
    """What a session needs of its server."""

    copying: Copying

    def record(self, statement: Statement) -> None: ...

    def fault_of(self, statement: str) -> Fault | None: ...

    def add_role(self, name: str, password: str | None) -> None: ...


class Session:
    """A conversation after its login."""

    def __init__(
        self, stream: Stream, backend: Backend, login: Login, process: int, server: Surroundings
    ) -> None:
        self._stream = stream
        self._backend = backend
        self._login = login
        self._process = process
        self._server = server
        self._cancelled = threading.Event()
        self._last_copy = (-1, 0)

    def serve(self) -> None:
        """Answer until the client goes, or is made to go."""
        while True:
            kind, body = self._stream.message()
            if kind == b"X":
                return
            if kind == b"Q":
                self._query(body.rstrip(b"\0").decode(errors="replace"))
            else:
                self._refuse_extended()

    def cancel(self) -> None:
        """Stop the statement under way."""
        self._cancelled.set()
        self._backend.cancel()

    def close(self) -> None:
        self._stream.close()
        self._backend.close()

    def _refuse_extended(self) -> None:
        error = protocol.error_message(unsupported("the stand-in: the extended query protocol"))
        kind = b""
        while kind != b"S":
            kind, _ = self._stream.message()
        self._stream.send(error + protocol.ready(self._backend.status))

    def _query(self, sql: str) -> None:
        statement = Statement(self._process, self._login.user, sql)
        self._server.record(statement)
        self._cancelled.clear()
        fault = self._server.fault_of(sql)
        try:
            self._play_before(fault)
            answer = self._perform(judge(sql), fault)
        except RefusedError as error:
            self._abort()
            answer = [protocol.error_message(error)]
        except BackendError as error:
            answer = [_rewritten_error(error.body)]
        except ConnectionLostError:
            raise
        except Exception as error:
            # A defect of the stand-in has to be seen as one, not as a lost connection.
            reported = RefusedError(f"defect of the stand-in: {error!r}", severity="FATAL")
            self._stream.send(protocol.error_message(reported))
            raise
        statement.error = _error_in(answer)
        self._stream.send(b"".join(answer) + protocol.ready(self._backend.status))

    def _play_before(self, fault: Fault | None) -> None:
        if fault is None or fault.trouble in (Trouble.SLOW, Trouble.DROP_AFTER):
            return
        fault.done.set()
        if fault.trouble is Trouble.DROP_BEFORE:
            raise ConnectionLostError("as the test wished")
        if fault.trouble is Trouble.SERIALIZATION_FAILURE:
            raise serialization_failure("119371")
        raise RefusedError(fault.message, fault.code)

    def _perform(self, plan: Plan, fault: Fault | None) -> list[bytes]:
        slow = fault.seconds if fault and fault.trouble is Trouble.SLOW else 0.0
        wait = self._waiter(slow)
        if isinstance(plan, Load):
            answer = self._load(plan, wait)
        else:
            wait()
            answer = self._execute(plan)
        if fault:
            fault.done.set()
            if fault.trouble is Trouble.DROP_AFTER:
                raise ConnectionLostError("as the test wished")
        return answer

    def _execute(self, plan: Plan) -> list[bytes]:
        backend = self._backend
        if isinstance(plan, Forward):
            self._tell_last_copy(plan.sql)
            return self._relay(plan.sql)
        if isinstance(plan, CreateTable):
            return self._create_table(plan)
        if isinstance(plan, DropTables):
            if not plan.cascade:
                keys.check_drop(backend, plan.names)
            return self._relay(plan.sql)
        if isinstance(plan, Truncate):
            answer = self._relay(plan.sql)
            if backend.status == b"T":
                backend.run("COMMIT")
            return answer
        if isinstance(plan, CreateRole):
            answer = self._relay(plan.sql)
            if not _error_in(answer):
                self._server.add_role(plan.name, plan.password)
            return answer
        if isinstance(plan, Nothing):
            if plan.outside_transactions and backend.status != b"I":
                raise RefusedError(f"{plan.tag} cannot run inside a transaction block", "25001")
            backend.run("SELECT 1")  # fails in an aborted transaction, as anything does there
            return [protocol.complete(plan.tag)]
        raise TypeError(f"no way to execute {plan!r}")

    def _relay(self, sql: str) -> list[bytes]:
        """PostgreSQL's answer, with its errors as Redshift tells them."""
        return [_rewritten(kind, body) for kind, body in self._backend.ask(sql)]

    def _create_table(self, plan: CreateTable) -> list[bytes]:
        table, backend = plan.table, self._backend
        sql = plan.sql or table.sql
        if not table.keys and not table.references:
            return self._relay(sql)
        alone = backend.status == b"I"
        if alone:
            backend.run("BEGIN")
        try:
            parents = keys.check_references(backend, table)
            answer = self._relay(sql)
            if not _error_in(answer):
                keys.note_keys(backend, table, parents)
        except (RefusedError, BackendError):
            if alone:
                backend.run("ROLLBACK")
            raise
        if alone:
            backend.run("COMMIT")  # which rolls back what failed
        return answer

    def _load(self, plan: Load, wait: Callable[[], None]) -> list[bytes]:
        copying = self._server.copying

        def begun(query_id: int, count: int) -> None:
            self._last_copy = (query_id, count)

        notices = copying.perform(self._backend, plan.copy, begun, wait)
        return [*map(protocol.info_message, notices), protocol.complete("COPY")]

    def _tell_last_copy(self, sql: str) -> None:
        """pg_last_copy_id() and pg_last_copy_count() read what is set here."""
        words = sql.lower()
        if words.lstrip().startswith(("rollback", "abort")):
            if not self._server.copying.id_survives_rollback:
                self._last_copy = (-1, 0)
        elif "pg_last_copy" in words and self._backend.status != b"E":
            query_id, count = self._last_copy
            self._backend.run(
                f"SELECT set_config('standin.last_copy_id', '{query_id}', false), "
                f"set_config('standin.last_copy_count', '{count}', false)"
            )

    def _abort(self) -> None:
        """Bring PostgreSQL's transaction to where an error of ours brings the client's."""
        if self._backend.status == b"T":
            for _ in self._backend.ask("ROLLBACK TO SAVEPOINT standin_has_none"):
                pass

    def _waiter(self, seconds: float) -> Callable[[], None]:
        """Waits so long; cut short by a cancellation, and by the session's statement_timeout."""
        if not seconds:
            return lambda: None
        rows = self._backend.run("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'")
        timeout = int(rows[0][0] or 0) / 1000

        def wait() -> None:
            until = time.monotonic() + min(seconds, timeout or seconds)
            cancelled = self._cancelled.wait(max(0.0, until - time.monotonic()))
            if cancelled or 0 < timeout < seconds:
                raise RefusedError(
                    f"Query ({self._process}) cancelled on user's request", CANCELLED
                )

        return wait


def _rewritten(kind: bytes, body: bytes) -> bytes:
    if kind == b"E":
        return _rewritten_error(body)
    if kind == b"S" and not body.startswith(_REPORTED):
        return b""
    return protocol.frame(kind, body)


def _rewritten_error(body: bytes) -> bytes:
    fields = protocol.error_fields(body)
    constraint = fields.get("n", "")
    if fields.get("C") == "40001":
        return protocol.error_message(serialization_failure(fields.get("t", "100167")))
    if constraint.startswith(BYTES_CHECK):
        length = constraint.removeprefix(BYTES_CHECK).partition("_")[0]
        message = f"value too long for type character varying({length})"
        return protocol.error_message(RefusedError(message, "22001"))
    if fields.get("C") == CANCELLED:
        message = "Query (0) cancelled on user's request"
        return protocol.error_message(RefusedError(message, CANCELLED, fields.get("M", "")))
    return protocol.frame(b"E", body)


def _error_in(answer: Iterable[bytes]) -> str:
    found = next((part for part in answer if part[:1] == b"E"), b"")
    return protocol.error_fields(found[5:]).get("M", "") if found else ""
