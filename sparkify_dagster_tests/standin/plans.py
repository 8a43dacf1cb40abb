"""What is done with a statement once it is understood; how is the session's affair."""

from dataclasses import dataclass
from typing import TypeAlias

from sparkify_dagster_tests.standin.copy_statement import Copy
from sparkify_dagster_tests.standin.create_table import NewTable


@dataclass(frozen=True)
class Forward:
    """PostgreSQL answers, and its answer is the client's."""

    sql: str


@dataclass(frozen=True)
class CreateTable:
    """``sql`` is given for CREATE TABLE AS, which declares no keys."""

    table: NewTable
    sql: str = ""


@dataclass(frozen=True)
class DropTables:
    sql: str
    names: tuple[str, ...]
    cascade: bool


@dataclass(frozen=True)
class Truncate:
    """Commits the transaction that it runs in."""

    sql: str


@dataclass(frozen=True)
class CreateRole:
    """A user, a group or a role; only a user has a password and may log in."""

    sql: str
    name: str
    password: str | None = None


@dataclass(frozen=True)
class Nothing:
    """Accepted, and without any effect here."""

    tag: str
    outside_transactions: bool = False


@dataclass(frozen=True)
class Load:
    copy: Copy


Plan: TypeAlias = Forward | CreateTable | DropTables | Truncate | CreateRole | Nothing | Load
