"""Connections to a server: verified with certificates that libpq can use, and noticed when lost.

Who logs in, and whether the server is verified at all, is not decided here.
"""

import os
import ssl
from typing import TYPE_CHECKING, Any

from sparkify_dagster.settings.sections import SslMode

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

SYSTEM = "system"
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

    from sparkify_dagster.engines.server.interruptible_connection import InterruptibleConnection

    connection: Connection = psycopg2.connect(
        connection_factory=InterruptibleConnection,
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
