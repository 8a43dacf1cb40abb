"""The stand-in itself: listens, lets clients in, and is where a test asks for trouble.

It is a surrogate for Redshift over a real PostgreSQL, good for finding what Redshift would refuse
or do differently as far as that is documented. It is not Redshift.
"""

import re
import secrets
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from sparkify_dagster_tests.planted import DATABASE_PASSWORD
from sparkify_dagster_tests.standin import protocol
from sparkify_dagster_tests.standin.backend import Backend, BackendError, Postgres
from sparkify_dagster_tests.standin.copying import Copying
from sparkify_dagster_tests.standin.errors import LOGIN_REFUSED, RefusedError
from sparkify_dagster_tests.standin.faults import Fault, Faults, Trouble
from sparkify_dagster_tests.standin.load_errors import Administration, identifier
from sparkify_dagster_tests.standin.logins import (
    CancelRequest,
    Login,
    authenticate,
    fatal,
    open_conversation,
    welcome,
)
from sparkify_dagster_tests.standin.protocol import ConnectionLostError, Stream
from sparkify_dagster_tests.standin.s3_source import S3Access
from sparkify_dagster_tests.standin.session import Session, Statement

# Redshift's ways with literals, floats and time; new clusters isolate by snapshots.
_OPTIONS = {
    "default_transaction_isolation": r"repeatable\ read",
    "standard_conforming_strings": "off",
    "backslash_quote": "on",
    "escape_string_warning": "off",
    "extra_float_digits": "0",
    "timezone": "UTC",
    "datestyle": r"ISO,\ MDY",
}


class StandIn:
    """A server on a free port of the loopback address; a context manager.

    ``statements`` holds all that was sent, exactly as it came. ``copying`` may be replaced to
    change what is undocumented (see there); ``user`` with ``password`` is the cluster's superuser.
    """

    host = "127.0.0.1"
    user = "awsuser"

    def __init__(
        self,
        postgres: Postgres,
        access: S3Access,
        *,
        certificate: Path | None = None,
        requires_tls: bool = False,
    ) -> None:
        # Its own name, so that current_database() and GRANT … ON DATABASE mean the same.
        self.database = postgres.database
        self.password = DATABASE_PASSWORD
        self.statements: list[Statement] = []
        self.requires_tls = requires_tls
        self._postgres = postgres
        self._certificate = _context(certificate) if certificate else None
        self._administration = Administration(postgres)
        self.copying = Copying(access, self._administration, self.database)
        self._initial_copying = self.copying
        self._passwords: dict[str, set[str]] = {}
        self._roles: list[str] = []
        self._faults = Faults()
        self._sessions: dict[int, tuple[int, Session]] = {}
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._closing = False

    def __enter__(self) -> Self:
        self._administration.set_up()
        self._administration.run("GRANT ALL ON SCHEMA public TO PUBLIC")
        self._administration.create_login(self.user)
        self.allow(self.user, self.password)
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        # A blocked accept() is only woken by a connection.
        with suppress(OSError):
            socket.create_connection((self.host, self.port)).close()
        self._acceptor.join()
        self._listener.close()
        self.hang_up()
        # The superuser stays: another stand-in may work on the same server.
        for role in self._roles:
            self._administration.drop_role(role)
        self._administration.close()

    # What a test asks for.

    def allow(self, user: str, password: str) -> None:
        """One more password that a user may log in with, as for temporary credentials.

        A user `IAM:name` works as the database user `name`, whom CREATE USER must have made.
        """
        self._passwords.setdefault(user, set()).add(password)

    def forbid(self, user: str) -> None:
        """No password of this user is right any more."""
        self._passwords.pop(user, None)

    def fail_with_1023(self, pattern: str, nth: int = 1) -> Fault:
        """A serialization failure instead of the n-th statement that matches."""
        return self._fault(Trouble.SERIALIZATION_FAILURE, pattern, nth)

    def drop_connection(self, pattern: str, nth: int = 1, *, after: bool = False) -> Fault:
        """Break the connection at the n-th statement that matches, which is executed or not."""
        trouble = Trouble.DROP_AFTER if after else Trouble.DROP_BEFORE
        return self._fault(trouble, pattern, nth)

    def slow_down(self, seconds: float, pattern: str = r"^\s*COPY\b", nth: int = 1) -> Fault:
        """Make a statement slower: a COPY at its end, before it is done; others at their start."""
        return self._fault(Trouble.SLOW, pattern, nth, seconds)

    def fail_with(self, message: str, pattern: str, nth: int = 1, code: str = "XX000") -> Fault:
        """Any other error instead of a statement."""
        return self._faults.add(
            Fault(Trouble.ERROR, re.compile(pattern, re.IGNORECASE), nth, 0.0, message, code)
        )

    def refuse_logins(
        self,
        times: int,
        message: str = "connection limit exceeded for non-bootstrap users",
        code: str = "53300",
    ) -> None:
        """Refuse the next logins."""
        self._faults.refuse_logins(times, message, code)

    def use_access(self, access: S3Access) -> None:
        """Other roles, regions or an other endpoint, until the next reset."""
        self.copying = replace(self.copying, access=access)

    def hang_up(self) -> None:
        """End every session, as a restart of the cluster does."""
        with self._lock:
            sessions = [session for _, session in self._sessions.values()]
            threads = set(self._threads)
        for session in sessions:
            # PostgreSQL's session may be waiting for a lock and not notice that we are gone.
            with suppress(OSError):
                session.cancel()
            session.close()
        for thread in threads:
            thread.join(10)

    def reset(self) -> None:
        """As new: no tables, no faults, no statements, no sessions, the first roles and users."""
        self.hang_up()
        self._faults.clear()
        for role in self._roles:
            self._administration.drop_role(role)
        self._roles.clear()
        self._passwords = {self.user: {self.password}}
        self._administration.drop_everything()
        self.copying = self._initial_copying
        self.requires_tls = False
        self.statements.clear()

    def environ(self) -> dict[str, str]:
        """The variables that point the platform to this cluster and its endpoint."""
        access = self.copying.access
        return {
            "SPARKIFY_WAREHOUSE_ENGINE": "redshift",
            "SPARKIFY_CLUSTER_HOST": self.host,
            "SPARKIFY_CLUSTER_DB_PORT": str(self.port),
            "SPARKIFY_CLUSTER_DB_NAME": self.database,
            "SPARKIFY_CLUSTER_DB_USER": self.user,
            "SPARKIFY_CLUSTER_DB_PASSWORD": self.password,
            "SPARKIFY_CLUSTER_SSLMODE": "require" if self._certificate else "disable",
            "SPARKIFY_IAM_ROLE_ARN": "default",
            "SPARKIFY_S3_REGION": access.region,
            "SPARKIFY_S3_ENDPOINT_URL": access.endpoint_url,
        }

    # What sessions ask for.

    def record(self, statement: Statement) -> None:
        with self._lock:
            self.statements.append(statement)

    def fault_of(self, statement: str) -> Fault | None:
        return self._faults.of(statement)

    def add_role(self, name: str, password: str | None) -> None:
        with self._lock:
            self._roles.append(name)
            if password is not None:
                self._passwords[name] = {password}

    def _fault(self, trouble: Trouble, pattern: str, nth: int, seconds: float = 0.0) -> Fault:
        return self._faults.add(Fault(trouble, re.compile(pattern, re.IGNORECASE), nth, seconds))

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._closing:
                connection.close()
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                self._threads.add(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        stream = Stream(connection)
        process = 0
        try:
            given = open_conversation(stream, self._certificate)
            if isinstance(given, CancelRequest):
                self._cancel(given)
                return
            login = self._log_in(stream, given)
            process, session = self._open(stream, login)
            session.serve()
        except RefusedError as error:
            with suppress(ConnectionLostError):
                stream.send(protocol.error_message(error))
        except (ConnectionLostError, ssl.SSLError):
            pass  # the client went, or a test wished so
        finally:
            if process:
                with self._lock:
                    _, session = self._sessions.pop(process)
                session.close()
            stream.close()
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _log_in(self, stream: Stream, given: Mapping[str, str]) -> Login:
        if fault := self._faults.of_login():
            raise fatal(*fault)
        login = authenticate(stream, given, self._passwords, self.database)
        if self.requires_tls and not login.encrypted:
            raise fatal(
                f'no pg_hba.conf entry for host "::ffff:127.0.0.1", user "{login.user}", '
                f'database "{self.database}", SSL off',
                LOGIN_REFUSED,
            )
        return login

    def _open(self, stream: Stream, login: Login) -> tuple[int, Session]:
        options = " ".join(f"-c {name}={value}" for name, value in _OPTIONS.items())
        backend = Backend(self._postgres, options, login.application)
        try:
            backend.run(f"SET SESSION AUTHORIZATION {identifier(login.role)}")
        except BackendError as error:
            backend.close()
            raise fatal(f'user "{login.role}" does not exist', LOGIN_REFUSED) from error
        secret = secrets.randbits(31)
        # The number of PostgreSQL's process, which pg_backend_pid() and system views tell too.
        process = backend.process
        session = Session(stream, backend, login, process, self)
        with self._lock:
            self._sessions[process] = (secret, session)
        stream.send(welcome(login, process, secret))
        return process, session

    def _cancel(self, request: CancelRequest) -> None:
        with self._lock:
            secret, session = self._sessions.get(request.process, (0, None))
        if session and secret == request.secret:
            session.cancel()


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
