"""One connection to the real PostgreSQL: logs in, asks, and hands its messages on as they came."""

import base64
import hashlib
import hmac
import secrets
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sparkify_dagster_tests.standin import protocol
from sparkify_dagster_tests.standin.errors import RefusedError
from sparkify_dagster_tests.standin.protocol import Stream, frame, text


@dataclass(frozen=True)
class Postgres:
    """The database behind the stand-in, and an administrator's login."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str


class BackendError(Exception):
    """PostgreSQL refused something that the stand-in asked for on its own account."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        fields = protocol.error_fields(body)
        self.code = fields.get("C", "")
        super().__init__(fields.get("M", "unknown error"))


class Backend:
    """A session of PostgreSQL; ``status`` is I, T or E as after its last answer."""

    def __init__(self, postgres: Postgres, options: str = "", application: str = "") -> None:
        self._postgres = postgres
        address = (postgres.host, postgres.port)
        connection = socket.create_connection(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = Stream(connection)
        self.status = b"I"
        self._key = b""
        parameters = {"user": postgres.user, "database": postgres.database, "options": options}
        if application:
            parameters["application_name"] = application
        self._stream.send(protocol.startup_message({k: v for k, v in parameters.items() if v}))
        self._log_in()

    @property
    def process(self) -> int:
        """The number of PostgreSQL's process that serves this session."""
        return int.from_bytes(self._key[:4], "big")

    def ask(self, sql: str) -> Iterator[tuple[bytes, bytes]]:
        """The messages that answer a statement, up to and without ReadyForQuery."""
        self._stream.send(frame(b"Q", text(sql)))
        yield from self._answer()

    def run(self, sql: str) -> list[list[str | None]]:
        """The rows of a statement of the stand-in's own.

        Raises:
            BackendError: if PostgreSQL refuses it.
        """
        rows, failure = [], b""
        for kind, body in self.ask(sql):
            if kind == b"D":
                rows.append(protocol.data_row(body))
            elif kind == b"E":
                failure = body
        if failure:
            raise BackendError(failure)
        return rows

    def copy_in(self, sql: str, chunks: Iterable[bytes]) -> None:
        """COPY … FROM STDIN.

        Raises:
            BackendError: if PostgreSQL refuses the statement or the rows.
            RefusedError: if that is how the chunks end.
        """
        self._stream.send(frame(b"Q", text(sql)))
        failure = b""
        stopped: RefusedError | None = None
        for kind, body in self._answer():
            if kind == b"G":
                stopped = self._send_rows(chunks)
            elif kind == b"E":
                failure = body
        if stopped:
            raise stopped
        if failure:
            raise BackendError(failure)

    def _send_rows(self, chunks: Iterable[bytes]) -> RefusedError | None:
        """Send all rows, or tell PostgreSQL that they end early, and why."""
        try:
            for chunk in chunks:
                self._stream.send(frame(b"d", chunk))
        except RefusedError as error:
            self._stream.send(frame(b"f", text(error.message)))
            return error
        self._stream.send(frame(b"c"))
        return None

    def cancel(self) -> None:
        """Ask PostgreSQL to stop what this session does."""
        address = (self._postgres.host, self._postgres.port)
        with socket.create_connection(address) as connection:
            connection.sendall(struct.pack("!II", 16, protocol.CANCEL) + self._key)
            connection.recv(1)

    def close(self) -> None:
        """Hang up; PostgreSQL rolls back what is not committed."""
        self._stream.close()

    def _answer(self) -> Iterator[tuple[bytes, bytes]]:
        while True:
            kind, body = self._stream.message()
            if kind == b"Z":
                self.status = body
                return
            yield kind, body

    def _log_in(self) -> None:
        scram: _Scram | None = None
        for kind, body in self._answer():
            if kind == b"E":
                raise BackendError(body)
            if kind == b"K":
                self._key = body
            if kind != b"R":
                continue
            (code,) = struct.unpack_from("!I", body)
            if code == 10:
                scram = _Scram(self._postgres.password)
                first = scram.first.encode()
                answer = text("SCRAM-SHA-256") + struct.pack("!I", len(first)) + first
                self._stream.send(frame(b"p", answer))
            elif code == 11 and scram:
                self._stream.send(frame(b"p", scram.final(body[4:].decode()).encode()))
            elif code not in (0, 12):
                raise NotImplementedError(f"authentication method {code} of PostgreSQL")


class _Scram:
    """The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.

    It runs over a loopback connection to a throw-away server, so that the server's own proof in the
    last message is not looked at.
    """

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._bare = f"n=,r={secrets.token_hex(12)}"
        self.first = f"n,,{self._bare}"

    def final(self, challenge: str) -> str:
        given = dict(part.split("=", 1) for part in challenge.split(","))
        salted = hashlib.pbkdf2_hmac(
            "sha256", self._password, base64.b64decode(given["s"]), int(given["i"])
        )
        client = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = f"c=biws,r={given['r']}"
        signed = f"{self._bare},{challenge},{without_proof}".encode()
        signature = hmac.digest(hashlib.sha256(client).digest(), signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(client, signature, strict=True))
        return f"{without_proof},p={base64.b64encode(proof).decode()}"
