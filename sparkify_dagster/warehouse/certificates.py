"""Which certificates a server is verified with, as libpq can use them.

How a connection is made, and whether its server is verified at all, is not decided here.
"""

import os
import ssl

from sparkify_dagster.sections import SslMode

SYSTEM = "system"
_PLACES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Red Hat, Fedora, Amazon Linux
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)


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
