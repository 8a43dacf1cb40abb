"""Why a server cannot be reached or lets nobody in: what libpq says, in words that say what to do.

Nothing is known here of tables. libpq gives no codes for a connection that failed, only its texts
(those of libpq 14 to 17, and of PostgreSQL and Redshift behind it).
"""

import re
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import closing

from sparkify_dagster.console import Mark, one_line
from sparkify_dagster.doctor.finding import Finding
from sparkify_dagster.engines.server.warehouse import ServerWarehouse
from sparkify_dagster.settings.sections import ClusterSettings, Login, SslMode

# A socket is opened at once or not at all; what may take long is logging in.
SECONDS_FOR_A_SOCKET = 10
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL's protocol, "SSLRequest"
_HOST = "Check [CLUSTER] HOST."
_TRUST = (
    "Set [CLUSTER] SSLROOTCERT to the file of the authority that signed it (for Redshift Amazon's"
    " bundle, for RDS its own), or to `system`."
)
_REFUSALS = (
    # what libpq or the server says, the subject, what it means, what to do
    (
        r"server does not support SSL",
        "TLS",
        "the server has no TLS, and SSLMODE = {sslmode} asks for it",
        "Switch TLS on at the server; only where the network is private, set [CLUSTER] SSLMODE ="
        " disable.",
    ),
    (
        r"certificate verify failed",
        "TLS",
        "the certificate of the server is not trusted{why}",
        _TRUST,
    ),
    (
        r"certificate for \"(?P<names>.*?)\"(?P<more>.*) does not match host name",
        "TLS",
        "the certificate of the server is for {names}{more}, not for {host}",
        "Set [CLUSTER] HOST to the name in the certificate. If the name is right, somebody else"
        " answers.",
    ),
    (
        r"root certificate file .* does not exist|could not read root certificate file",
        "TLS",
        "the file of certificates {sslrootcert} cannot be used",
        "Set [CLUSTER] SSLROOTCERT to a file of PEM certificates that exists, or to `system`.",
    ),
    (
        r"weak sslmode",
        "TLS",
        "SSLMODE = {sslmode} does not go with SSLROOTCERT = system",
        "Set [CLUSTER] SSLMODE = verify-full, or SSLROOTCERT to a file.",
    ),
    (
        r"no pg_hba\.conf entry.*no encryption",
        "TLS",
        "the server takes {user} from here only over TLS",
        "Set [CLUSTER] SSLMODE = verify-full.",
    ),
    (
        r"no pg_hba\.conf entry",
        "login",
        "the server lets {user} into database {database} from this machine in no way",
        "Ask its administrator for a line in pg_hba.conf.",
    ),
    (
        r"password authentication failed|authentication failed for user|no password supplied"
        r"|role \".*\" does not exist|not permitted to log in|password.*expired",
        "login",
        "the server refuses {user}: {first}",
        "{login}",
    ),
    (
        r"database \".*\" does not exist",
        "database",
        "there is no database {database} on this server",
        "Set [CLUSTER] DB_NAME to one that exists, or create it.",
    ),
    (
        r"permission denied for database",
        "database",
        "{user} may not connect to database {database}",
        "Its owner grants it: GRANT CONNECT ON DATABASE … TO …",
    ),
    (
        r"too many (clients|connections)|connection slots are reserved",
        "server",
        "all connections of the server are taken",
        "Wait for others to end, or allow more.",
    ),
    (
        r"is starting up|is shutting down|in recovery",
        "server",
        "the server is not ready: {first}",
        "Try again in a minute.",
    ),
    (
        r"received invalid response|expected authentication request|invalid response to SSL",
        "server",
        "what listens at {host}:{port} is not {engine}",
        "Check [CLUSTER] HOST and DB_PORT.",
    ),
    (
        r"timeout expired|timed out",
        "server",
        "{host}:{port} takes connections and then says nothing for {seconds} s",
        "Check [CLUSTER] HOST and DB_PORT. A paused warehouse wakes up first: raise"
        " CONNECT_TIMEOUT.",
    ),
    (
        r"server closed the connection unexpectedly",
        "server",
        "{host}:{port} closes the connection at once",
        "Check [CLUSTER] HOST and DB_PORT, and what stands between: a proxy or a load balancer.",
    ),
)
_LOGINS = {
    Login.PASSWORD: "Check [CLUSTER] DB_USER and the variable SPARKIFY_CLUSTER_DB_PASSWORD.",
    Login.SECRET: "Check that the secret of [CLUSTER] SECRET_ID is this server's, and up to date.",
    Login.IAM: "Check [CLUSTER] DB_USER, and that AWS may give it a password for this warehouse.",
}


def reach(warehouse: ServerWarehouse) -> Iterator[Finding]:
    """Whether the name of the server is known and something answers there; failures alone."""
    cluster = warehouse.cluster
    if cluster.host.startswith("/"):  # a socket of this machine
        return
    try:
        socket.getaddrinfo(cluster.host, cluster.db_port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        again = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        said = (
            f"the name server does not answer for {cluster.host}"
            if again
            else f"DNS knows no host {cluster.host}"
        )
        advice = "Check the network and its name servers." if again else _HOST
        yield Finding(Mark.FAIL, "server name", said, advice)
        return
    patience = min(cluster.connect_timeout, SECONDS_FOR_A_SOCKET)
    try:
        socket.create_connection((cluster.host, cluster.db_port), patience).close()
    except OSError as error:
        yield _unreachable(warehouse, error, patience)


def refusal(warehouse: ServerWarehouse, text: str) -> Finding:
    """What libpq's reason for not connecting means."""
    cluster = warehouse.cluster
    text = " ".join(text.split())
    for pattern, subject, said, advice in _REFUSALS:
        if match := re.search(pattern, text, re.IGNORECASE):
            words = {
                "sslmode": cluster.sslmode.value,
                "sslrootcert": cluster.sslrootcert,
                "why": _distrust(cluster) if "verify failed" in text else "",
                "host": cluster.host,
                "port": cluster.db_port,
                "user": cluster.db_user or "the user",
                "database": cluster.db_name,
                "engine": warehouse.product,
                "first": _reason(text),
                "seconds": cluster.connect_timeout,
                "login": _LOGINS[cluster.login],
            } | match.groupdict()
            shown = one_line(said.format(**words))
            return Finding(Mark.FAIL, subject, shown, advice.format(**words))
    return Finding(Mark.FAIL, "server", one_line(_reason(text)), "Check the section [CLUSTER].")


def is_local(cluster: ClusterSettings) -> bool:
    """Whether the server is on this machine, so that nobody is in between."""
    return cluster.host.startswith(("/", "127.")) or cluster.host in ("localhost", "::1")


def verifies(cluster: ClusterSettings) -> bool:
    return cluster.sslmode in (SslMode.VERIFY_CA, SslMode.VERIFY_FULL)


def _unreachable(warehouse: ServerWarehouse, error: OSError, patience: float) -> Finding:
    cluster = warehouse.cluster
    place = f"{cluster.host}:{cluster.db_port}"
    if isinstance(error, ConnectionRefusedError):
        said = f"nothing listens at {place}"
        advice = "Start the server, or check [CLUSTER] HOST and DB_PORT."
    elif isinstance(error, TimeoutError):
        said = f"nothing answers at {place} within {patience:g} s"
        advice = warehouse.unanswered
    else:
        said = f"{place} cannot be reached: {error.strerror or type(error).__name__}"
        advice = "Check the network of this machine (VPN, routes) and [CLUSTER] HOST."
    return Finding(Mark.FAIL, "server", said, advice)


def _distrust(cluster: ClusterSettings) -> str:
    """Why its certificate is not trusted, which libpq does not tell; nothing if it is by now."""
    file = None if cluster.sslrootcert == "system" else cluster.sslrootcert
    try:
        context = ssl.create_default_context(cafile=file)
        context.check_hostname = False
        address = (cluster.host, cluster.db_port)
        with closing(socket.create_connection(address, SECONDS_FOR_A_SOCKET)) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) == b"S":
                context.wrap_socket(plain, server_hostname=cluster.host).close()
    except ssl.SSLCertVerificationError as error:
        return f": {error.verify_message}"
    except (OSError, ValueError):
        pass  # the finding stands without this detail
    return ""


def _reason(text: str) -> str:
    """The server's or libpq's own sentence, without the address in front of it."""
    return re.sub(r"^connection to server .*? failed: ", "", text).removeprefix("FATAL: ").strip()
