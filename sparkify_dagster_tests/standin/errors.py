"""What the stand-in answers instead of doing something, in the fields of PostgreSQL's protocol.

The texts are Redshift's where they are known; whoever raises one says where it is from.
"""

from dataclasses import dataclass

SYNTAX = "42601"
UNSUPPORTED = "0A000"
INTERNAL = "XX000"  # what Redshift's own errors come under, 1023 and failed COPYs among them
CANCELLED = "57014"
LOGIN_REFUSED = "28000"


@dataclass
class RefusedError(Exception):
    """A statement or a login that is not served."""

    message: str
    code: str = SYNTAX
    detail: str = ""
    severity: str = "ERROR"

    def __str__(self) -> str:
        return self.message


def syntax_error(near: str) -> RefusedError:
    where = f'at or near "{near}"' if near else "at end of input"
    return RefusedError(f"syntax error {where}")


def unsupported(what: str) -> RefusedError:
    return RefusedError(f"{what} is not supported", UNSUPPORTED)


def not_served(what: str) -> RefusedError:
    """Redshift knows it; the stand-in does not, because the platform does not send it."""
    return RefusedError(f"the stand-in for Redshift does not serve {what}", UNSUPPORTED)


def serialization_failure(table: str) -> RefusedError:
    """As seen in the field: the number is the whole message, the rest is the detail."""
    return RefusedError(
        "1023",
        INTERNAL,
        f"Serializable isolation violation on table - {table}, "
        "transactions forming the cycle are: 1745830, 1745762 (pid:15021)",
    )
