"""Drops the platform's tables: what is the platform's, what depends on it, and what stays.

It is planned first, so that it can be said before it is done. Nothing that the platform did not
make is dropped, and nothing with CASCADE.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sparkify_dagster.catalogue.catalogue import Catalogue
from sparkify_dagster.engines.base import Session, Warehouse
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.warehouse.admin.create_tables import FORGOTTEN, creations, look


class DependentsError(SparkifyError):
    """Something that is not the platform's would break."""


@dataclass(frozen=True)
class Doomed:
    """A table to drop. `rows` says how many it holds, as text; empty for bookkeeping."""

    schema: str
    name: str
    rows: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Removal:
    """What a drop takes away and what it leaves."""

    tables: tuple[Doomed, ...]
    bookkeeping: tuple[Doomed, ...]
    state_schema: str | None
    """The schema of the bookkeeping, if it goes too."""
    strangers: tuple[str, ...]
    """What stays because the platform did not make it, where one would expect it to go."""
    kept: tuple[str, ...] = ()
    """What the platform made and keeps: who was forgotten stays so when the lake is loaded."""

    def __bool__(self) -> bool:
        return bool(self.tables or self.bookkeeping or self.state_schema)

    @property
    def statements(self) -> tuple[str, ...]:
        """What is run, in this order; safe only in one transaction."""
        drops = [f"DROP TABLE {table.full_name}" for table in (*self.tables, *self.bookkeeping)]
        return (*drops, *([f"DROP SCHEMA {self.state_schema}"] if self.state_schema else []))


def plan_removal(session: Session, warehouse: Warehouse, catalogue: Catalogue) -> Removal:
    """What dropping the platform's tables means now.

    Raises:
        DependentsError: if views or tables of somebody else depend on them, naming each.
    """
    standing = look(session, warehouse)
    declared = catalogue.tables
    ours = [
        name
        for name in standing.tables
        if name in standing.made or (name in declared and standing.is_ours(declared[name]))
    ]
    # Those that refer to others first; what is not declared any more before all.
    order = [
        *(n for n in ours if n not in declared),
        *(n for n in reversed(list(declared)) if n in ours),
    ]
    known = {c.name for c in creations(warehouse, catalogue) if c.schema != warehouse.schema}
    known |= {f"pending_{name}" for name in standing.made}
    kept = [FORGOTTEN] if FORGOTTEN in standing.state and _is_filled(session, warehouse) else []
    bookkeeping = [name for name in standing.state if name in known and name not in kept]
    others = [name for name in standing.state if name not in known]
    strangers = [f"{warehouse.state_schema}.{name}" for name in others]
    strangers += [f"{warehouse.schema}.{n}" for n in declared if n in standing.tables.keys() - ours]
    goes = _state_stands(session, warehouse) and not [*others, *kept]
    removal = Removal(
        tuple(
            Doomed(warehouse.schema, name, rows)
            for name, rows in _counted(session, warehouse, order)
        ),
        tuple(Doomed(warehouse.state_schema, name) for name in bookkeeping),
        warehouse.state_schema if goes else None,
        tuple(strangers),
        tuple(f"{warehouse.state_schema}.{name}" for name in kept),
    )
    _refuse_dependents(session, warehouse, removal)
    return removal


def remove(session: Session, removal: Removal) -> None:
    """Drop what was planned."""
    for statement in removal.statements:
        session.execute(statement)


def _state_stands(session: Session, warehouse: Warehouse) -> bool:
    # pg_namespace shows schemas to everybody; every engine has it.
    found = session.fetch(
        "SELECT nspname FROM pg_namespace WHERE nspname = :name", {"name": warehouse.state_schema}
    )
    return bool(found)


def _is_filled(session: Session, warehouse: Warehouse) -> bool:
    return session.count(f"SELECT COUNT(*) FROM {warehouse.state_schema}.{FORGOTTEN}") > 0


def _counted(session: Session, warehouse: Warehouse, names: Iterable[str]) -> list[tuple[str, str]]:
    shown = dict(warehouse.estimated_rows(session))
    for name in names:
        if name not in shown:
            rows = session.count(f"SELECT COUNT(*) FROM {warehouse.schema}.{name}")
            shown[name] = f"{rows:,} row{'' if rows == 1 else 's'}"
    return [(name, shown[name]) for name in names]


def _refuse_dependents(session: Session, warehouse: Warehouse, removal: Removal) -> None:
    doomed = {table.full_name for table in (*removal.tables, *removal.bookkeeping)}
    found = sorted(
        (dependent, target)
        for target, dependent in warehouse.dependents(session, doomed)
        if target in doomed and dependent not in doomed
    )
    if not found:
        return
    shown = "; ".join(f"{dependent} needs {target}" for dependent, target in found)
    raise DependentsError(
        f"{warehouse.location}: the tables cannot be dropped, because what is not the platform's "
        f"depends on them: {shown}. Drop or change these first; nothing was dropped."
    )
