"""PostgreSQL's frontend/backend protocol, version 3: framing of messages, in both directions.

What messages mean to a session is not decided here.
"""

import socket
import ssl
import struct
from collections.abc import Mapping
from contextlib import suppress

from sparkify_dagster_tests.standin.errors import RefusedError

PROTOCOL_3 = 196608
CANCEL, SSL, GSSENC = 80877102, 80877103, 80877104


class ConnectionLostError(ConnectionError):
    """The other side hung up."""


class Stream:
    """Reads and writes whole messages on a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._file = connection.makefile("rb")

    def read(self, count: int) -> bytes:
        try:
            data = self._file.read(count)
        except (OSError, ValueError) as error:  # ValueError: closed by another thread
            raise ConnectionLostError(str(error)) from error
        if len(data) < count:
            raise ConnectionLostError("end of the stream")
        return data

    def message(self) -> tuple[bytes, bytes]:
        """Type and body of the next message."""
        head = self.read(5)
        return head[:1], self.read(int.from_bytes(head[1:], "big") - 4)

    def startup(self) -> tuple[int, bytes]:
        """Code and body of a first message, which has no type."""
        length, code = struct.unpack("!II", self.read(8))
        return code, self.read(length - 8)

    def send(self, data: bytes) -> None:
        try:
            self.connection.sendall(data)
        except OSError as error:
            raise ConnectionLostError(str(error)) from error

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Go on over TLS."""
        self._file.close()
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self._file = self.connection.makefile("rb")

    def close(self) -> None:
        """Hang up, also while another thread reads."""
        with suppress(OSError):  # the other side was faster
            self.connection.shutdown(socket.SHUT_RDWR)
        with suppress(OSError, ValueError):
            self._file.close()
        self.connection.close()


def frame(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def startup_message(parameters: Mapping[str, str]) -> bytes:
    body = struct.pack("!I", PROTOCOL_3)
    body += b"".join(text(k) + text(v) for k, v in parameters.items()) + b"\0"
    return struct.pack("!I", len(body) + 4) + body


def startup_parameters(body: bytes) -> dict[str, str]:
    parts = body.rstrip(b"\0").decode().split("\0")
    return dict(zip(parts[::2], parts[1::2], strict=False))


def error_fields(body: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse or a NoticeResponse by their letters."""
    parts = body.rstrip(b"\0").split(b"\0")
    return {p[:1].decode(): p[1:].decode(errors="replace") for p in parts if p}


def fields_message(kind: bytes, fields: Mapping[str, str]) -> bytes:
    return frame(kind, b"".join(text(k + v) for k, v in fields.items()) + b"\0")


def error_message(error: RefusedError) -> bytes:
    fields = {"S": error.severity, "C": error.code, "M": error.message}
    if error.detail:
        fields["D"] = error.detail
    return fields_message(b"E", fields)


def info_message(message: str) -> bytes:
    return fields_message(b"N", {"S": "INFO", "C": "00000", "M": message})


def ready(status: bytes) -> bytes:
    return frame(b"Z", status)


def complete(tag: str) -> bytes:
    return frame(b"C", text(tag))


def data_row(body: bytes) -> list[str | None]:
    """The values of a DataRow in text form."""
    (count,) = struct.unpack_from("!H", body)
    values: list[str | None] = []
    place = 2
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, place)
        place += 4
        if length < 0:
            values.append(None)
            continue
        values.append(body[place : place + length].decode())
        place += length
    return values


def parameter_statuses(parameters: Mapping[str, str]) -> bytes:
    return b"".join(frame(b"S", text(k) + text(v)) for k, v in parameters.items())
