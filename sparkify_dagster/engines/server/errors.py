"""What a server's refusal means, in one message without the data or a secret in it.

PostgreSQL's details quote values of rows, so only the primary message is shown. Codes are those of
PostgreSQL's appendix "Error Codes"; Redshift puts most of its own under XX000 and is known by text.
"""

import re
from typing import TYPE_CHECKING

from sparkify_dagster.engines.base import TransientError, WarehouseError

if TYPE_CHECKING:
    import psycopg2

_NOTHING_CHANGED = "Nothing was changed."
_UNKNOWN = "It may have been committed all the same; running again does what is missing."
# Another attempt at the whole transaction may succeed.
_TRANSIENT_CODES = re.compile(r"08...|40...|57P0[123]|53300|25P03|42P06|42P07")
# Redshift: serialization failures have no code of their own (REDSHIFT.md).
_CONFLICT = re.compile(
    r"\b1023\b|Serializable isolation violation|conflict with concurrent transaction", re.I
)
# Two first runs at once make the same schema or table: `IF NOT EXISTS` does not wait for the other.
_MADE_BY_ANOTHER = re.compile(r'unique constraint "pg_')
_LOST = re.compile(
    r"server closed the connection|connection already closed|could not receive data|could not send"
    r"|SSL (connection has been closed|SYSCALL)|connection (reset|not open)|terminating connection",
    re.IGNORECASE,
)
# What libpq says of a connection that failed has no code. Only what may pass by itself is listed: a
# refused password, say, is refused again.
_RESTARTING = re.compile(
    r"is starting up|is shutting down|in recovery mode|not yet accepting", re.I
)
_UNREACHED = re.compile(
    r"connection refused|connection reset|closed the connection|timed? ?out|timeout expired"
    r"|no such file or directory|network is unreachable|no route to host"
    r"|too many (clients|connections)|connection slots",
    re.IGNORECASE,
)
_ADVICE = {
    "23502": "Mend the transform or the data, or allow NULL there.",
    "23505": "A key that is declared unique came twice: mend the transform or the data.",
    "25006": "Only reading is possible here: a run needs the primary server, not a replica of it.",
    "42501": "Grant it (`sparkify tables grant` prints what is needed), or log in as the owner.",
    "53100": "The server's disk is full: make room and run again.",
    "53200": "The server is out of memory: run again with less at once.",
    "57014": "It was cancelled, or took longer than [CLUSTER] STATEMENT_TIMEOUT.",
    "55P03": "Somebody else holds the table: wait for them, or raise [CLUSTER] LOCK_TIMEOUT.",
}


def explained(
    error: "psycopg2.Error", location: str, *, at_connect: bool = False, at_commit: bool = False
) -> WarehouseError:
    """The error as the user sees it; TransientError where another attempt may succeed."""
    code = error.pgcode or ""
    # Connecting fails without a report of the server, in libpq's words, which name no secret.
    text = (error.diag.message_primary or str(error)).strip()
    if at_connect:
        reason = " ".join(text.split())
        restarting = bool(_RESTARTING.search(reason))
        transient = restarting or _UNREACHED.search(reason) or _TRANSIENT_CODES.fullmatch(code)
        message = f"{location}: no connection: {reason}. `sparkify doctor` says what to do."
        if not transient:
            return WarehouseError(message)
        return TransientError(message, at_connect=True, restarting=restarting)
    first = text.splitlines()[0] if text else type(error).__name__
    conflict = _CONFLICT.search(text) or _MADE_BY_ANOTHER.search(text)
    if conflict or _TRANSIENT_CODES.fullmatch(code) or _is_lost(error, text):
        # A server that refuses to commit says so; one that is gone may have done it.
        unknown = at_commit and not conflict and not code.startswith("40")
        outcome = _UNKNOWN if unknown else _NOTHING_CHANGED
        return TransientError(f"{location}: the transaction was lost: {first}. {outcome}")
    where = error.diag.table_name
    column = error.diag.column_name
    place = f" ({where}{f'.{column}' if column else ''})" if where else ""
    advice = f" {_ADVICE[code]}" if code in _ADVICE else ""
    return WarehouseError(f"{location}: {first}{place}. {_NOTHING_CHANGED}{advice}")


def _is_lost(error: "psycopg2.Error", text: str) -> bool:
    import psycopg2

    lost = isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
    return lost and not error.pgcode and bool(_LOST.search(text) or not text)
