"""Connections to a server: verified with certificates that libpq can use, and noticed when lost.

Who logs in, and whether the server is verified at all, is not decided here.
"""

import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from select import select
from typing import TYPE_CHECKING, Any

from sparkify_dagster.sections import SslMode

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

SYSTEM = "system"
_A_MOMENT = 0.2  # seconds; how soon an interruption is noticed
_PLACES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Red Hat, Fedora, Amazon Linux
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)


def open_connection(*, sslmode: str, sslrootcert: str, **more: Any) -> "Connection":
    """A new connection; `more` are keywords of libpq.

    A server that is gone is noticed within a minute, also while nothing is sent.

    Raises:
        psycopg2.Error: as it came.
    """
    import psycopg2

    connection: Connection = psycopg2.connect(
        sslmode=sslmode,
        sslrootcert=trusted_certificates(sslmode, sslrootcert),
        keepalives=1,
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
        **more,
    )
    return connection


def trusted_certificates(sslmode: str, sslrootcert: str) -> str:
    """What libpq is given as `sslrootcert`; empty where nothing is verified.

    The wheel of psycopg2 has an OpenSSL of its own, whose idea of the system's certificates is a
    folder of the machine that built it: with `system` it trusts nobody. So it gets the file that
    this machine keeps them in. With verify-ca libpq refuses `system`, and goes on doing so: any
    owner of any certificate would be trusted.
    """
    if not sslmode.startswith("verify"):
        return ""
    if sslrootcert != SYSTEM or sslmode != SslMode.VERIFY_FULL:
        return sslrootcert
    found = (ssl.get_default_verify_paths().cafile, *_PLACES)
    return next((path for path in found if path and os.path.isfile(path)), SYSTEM)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let an interruption cancel a statement on its server, rather than wait for its answer.

    psycopg2 waits where Python hears nothing, unless the waiting is ours. That is a setting of the
    process, under which neither COPY nor the time limit for connecting works: it is for statements
    that read, and made for the main thread, which alone hears interruptions.
    """
    from psycopg2.extensions import get_wait_callback, set_wait_callback

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = get_wait_callback()
    set_wait_callback(_wait)
    try:
        yield
    finally:
        set_wait_callback(before)


def _wait(connection: "Connection") -> None:
    from psycopg2.extensions import POLL_OK, POLL_READ

    try:
        while (state := connection.poll()) != POLL_OK:
            place = [connection.fileno()]
            reading = state == POLL_READ
            select(place if reading else [], [] if reading else place, [], _A_MOMENT)
    except KeyboardInterrupt:
        connection.cancel()
        raise
