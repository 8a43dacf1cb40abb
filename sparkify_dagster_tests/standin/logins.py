"""How a client gets in: TLS, user and password, the database's name.

Passwords are checked here (md5, which libpq speaks and which sends none in the clear); PostgreSQL
behind knows nothing of them.
"""

import hashlib
import hmac
import secrets
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from sparkify_dagster_tests.standin import protocol
from sparkify_dagster_tests.standin.errors import LOGIN_REFUSED, RefusedError
from sparkify_dagster_tests.standin.protocol import Stream, frame

# What Redshift reports. It has no standard_conforming_strings, as PostgreSQL 8.0 had none: libpq
# therefore doubles every backslash in a literal, which Redshift needs.
PARAMETERS = {
    "server_version": "8.0.2",
    "server_encoding": "UNICODE",
    "client_encoding": "UNICODE",
    "DateStyle": "ISO, MDY",
    "integer_datetimes": "on",
    "is_superuser": "off",
}


@dataclass(frozen=True)
class Login:
    """Who came in. ``role`` is the user without the `IAM:` of temporary credentials."""

    user: str
    role: str
    application: str
    encrypted: bool


@dataclass(frozen=True)
class CancelRequest:
    """Not a login: the wish to stop what another session does."""

    process: int
    secret: int


def open_conversation(
    stream: Stream, certificate: ssl.SSLContext | None
) -> dict[str, str] | CancelRequest:
    """The first messages, over TLS if the client wants it and there is a certificate."""
    while True:
        code, body = stream.startup()
        if code == protocol.CANCEL:
            process, secret = struct.unpack("!II", body)
            return CancelRequest(process, secret)
        if code == protocol.SSL and certificate is not None:
            stream.send(b"S")
            stream.encrypt(certificate)
        elif code in (protocol.SSL, protocol.GSSENC):
            stream.send(b"N")
        elif code == protocol.PROTOCOL_3:
            return protocol.startup_parameters(body)
        else:
            raise fatal(f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}", "0A000")


def authenticate(
    stream: Stream, given: Mapping[str, str], passwords: Mapping[str, set[str]], database: str
) -> Login:
    """Ask for the password.

    Raises:
        RefusedError: if it is wrong, the user unknown, or the database another.
    """
    user = given.get("user", "")
    salt = secrets.token_bytes(4)
    stream.send(frame(b"R", struct.pack("!I", 5) + salt))
    kind, body = stream.message()
    sent = body.rstrip(b"\0").decode(errors="replace")
    expected = (_md5(password, user, salt) for password in passwords.get(user, ()))
    # Every password is compared, so that nothing is told by the time it takes.
    right = [hmac.compare_digest(sent, one) for one in expected]
    if kind != b"p" or not any(right):
        raise fatal(f'password authentication failed for user "{user}"', LOGIN_REFUSED)
    if "options" in given:
        # Undocumented on Redshift: what a session needs is set by SET.
        raise fatal("the stand-in takes no startup options", "0A000")
    if given.get("database", user) != database:
        raise fatal(f'database "{given.get("database", user)}" does not exist', "3D000")
    encrypted = isinstance(stream.connection, ssl.SSLSocket)
    return Login(user, user.removeprefix("IAM:"), given.get("application_name", ""), encrypted)


def welcome(login: Login, process: int, secret: int) -> bytes:
    """The login succeeded."""
    reported = PARAMETERS | {"session_authorization": login.role}
    return (
        frame(b"R", struct.pack("!I", 0))
        + protocol.parameter_statuses(reported)
        + frame(b"K", struct.pack("!II", process, secret))
        + protocol.ready(b"I")
    )


def fatal(message: str, code: str) -> RefusedError:
    return RefusedError(message, code, severity="FATAL")


def _md5(password: str, user: str, salt: bytes) -> str:
    inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
    return "md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest()
