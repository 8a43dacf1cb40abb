"""Drops the platform's tables: what is the platform's, what depends on it, and what stays.

It is planned first, so that it can be said before it is done. Nothing that the platform did not
make is dropped, and nothing with CASCADE.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from sparkify_dagster.catalogue.catalogue import Catalogue
from sparkify_dagster.engines.base import Session, Warehouse
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.warehouse.admin.create_tables import FORGOTTEN, creations, look

# Views and materialized views, by way of the rules that they depend on and that depend on tables.
# `"oid"` stands in quotes because it is a reserved word on Redshift.
_VIEWS_OF_SERVERS = """
    SELECT DISTINCT target_space.nspname, target.relname, space.nspname, dependent.relname
    FROM pg_class AS target
    INNER JOIN pg_namespace AS target_space ON target_space."oid" = target.relnamespace
    INNER JOIN pg_depend AS used ON used.refobjid = target."oid"
    INNER JOIN pg_depend AS rule ON rule.objid = used.objid
    INNER JOIN pg_class AS dependent ON dependent."oid" = rule.refobjid
    INNER JOIN pg_namespace AS space ON space."oid" = dependent.relnamespace
    WHERE target_space.nspname IN (:schema, :state_schema)
      AND dependent.relkind IN ('v', 'm')
      AND dependent."oid" <> target."oid"
"""
_KEYS_OF_SERVERS = """
    SELECT DISTINCT target_space.nspname, target.relname, space.nspname, dependent.relname
    FROM pg_constraint AS foreign_key
    INNER JOIN pg_class AS target ON target."oid" = foreign_key.confrelid
    INNER JOIN pg_namespace AS target_space ON target_space."oid" = target.relnamespace
    INNER JOIN pg_class AS dependent ON dependent."oid" = foreign_key.conrelid
    INNER JOIN pg_namespace AS space ON space."oid" = dependent.relnamespace
    WHERE foreign_key.contype = 'f'
      AND target_space.nspname IN (:schema, :state_schema)
"""
_VIEWS_OF_DUCKDB = """
    SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal
"""
# PostgreSQL counts row by row: beyond this size its own estimate has to do.
_LARGE = 256 << 20
_SIZES_OF_POSTGRES = """
    SELECT target.relname, pg_relation_size(target."oid"), target.reltuples
    FROM pg_class AS target
    INNER JOIN pg_namespace AS space ON space."oid" = target.relnamespace
    WHERE space.nspname = :schema AND target.relkind = 'r'
"""
_ESTIMATES = {"postgres": _SIZES_OF_POSTGRES}
_Dependents: TypeAlias = Iterable[tuple[str, str]]  # the table, and what depends on it


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
    told: dict[str, str] = {}
    if query := _ESTIMATES.get(warehouse.engine):
        for name, size, rows in session.fetch(query, {"schema": warehouse.schema}):
            if int(str(size)) > _LARGE:
                guess = float(str(rows))
                told[str(name)] = f"about {guess:,.0f} rows" if guess >= 0 else "many rows"
    for name in names:
        if name not in told:
            rows = session.count(f"SELECT COUNT(*) FROM {warehouse.schema}.{name}")
            told[name] = f"{rows:,} row{'' if rows == 1 else 's'}"
    return [(name, told[name]) for name in names]


def _refuse_dependents(session: Session, warehouse: Warehouse, removal: Removal) -> None:
    doomed = {table.full_name for table in (*removal.tables, *removal.bookkeeping)}
    found = sorted(
        (dependent, target)
        for target, dependent in _FINDERS[warehouse.engine](session, warehouse, doomed)
        if target in doomed and dependent not in doomed
    )
    if not found:
        return
    told = "; ".join(f"{dependent} needs {target}" for dependent, target in found)
    raise DependentsError(
        f"{warehouse.location}: the tables cannot be dropped, because what is not the platform's "
        f"depends on them: {told}. Drop or change these first; nothing was dropped."
    )


def _named_by_views(session: Session, _: Warehouse, doomed: Iterable[str]) -> _Dependents:
    """DuckDB notes no dependencies of views: a view that names a table is taken to need it."""
    for schema, view, sql in session.fetch(_VIEWS_OF_DUCKDB):
        for target in doomed:
            if re.search(rf"\b{target.partition('.')[2]}\b", str(sql).partition(" AS ")[2]):
                yield target, f"{schema}.{view}"


def _noted_by_the_server(session: Session, warehouse: Warehouse, _: Iterable[str]) -> _Dependents:
    names = {"schema": warehouse.schema, "state_schema": warehouse.state_schema}
    for query in (_VIEWS_OF_SERVERS, _KEYS_OF_SERVERS):
        for target_schema, target, schema, dependent in session.fetch(query, names):
            yield f"{target_schema}.{target}", f"{schema}.{dependent}"


_FINDERS: dict[str, Callable[[Session, Warehouse, Iterable[str]], _Dependents]] = {
    "duckdb": _named_by_views,
    "postgres": _noted_by_the_server,
    "redshift": _noted_by_the_server,
}
