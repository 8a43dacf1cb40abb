"""Whether the user who logs in may do what a run does: its schemas, its tables, their rows."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sparkify_dagster.console import Mark, listed
from sparkify_dagster.doctor.finding import Finding
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.admin.create_tables import Creation, creations
from sparkify_dagster.warehouse.admin.roles import privileges_of_loader

if TYPE_CHECKING:
    from sparkify_dagster.engines.base import Session

# pg_namespace and pg_class show everything to everybody, unlike information_schema.
_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname IN (:schema, :state_schema)"
_TABLES = """
    SELECT space.nspname, target.relname
    FROM pg_class AS target
    INNER JOIN pg_namespace AS space ON space."oid" = target.relnamespace
    WHERE space.nspname IN (:schema, :state_schema)
      AND target.relkind IN ('r', 'p')
"""
_OWNER = "Run `sparkify tables create` as the owner of the database, then `sparkify tables grant`."
_GRANT = (
    "Log in as the owner, or have the owner run `sparkify tables grant --apply` and grant the role"
    " of the loader to this user."
)


def grants(session: "Session", platform: Platform) -> Iterator[Finding]:
    """What is missing, from schemas to rows; nothing but a word of praise if all is there."""
    warehouse = platform.warehouse
    names = {"schema": warehouse.schema, "state_schema": warehouse.state_schema}
    schemas = {str(name) for (name,) in session.fetch(_SCHEMAS, names)}
    missing = [name for name in names.values() if name not in schemas]
    if missing and not _may(session, "has_database_privilege(current_database(), 'CREATE')"):
        said = f"{listed(missing)} does not exist, and this user may not make schemas"
        yield Finding(Mark.FAIL, "grants", said, _OWNER)
        return
    closed = [name for name in names.values() if name in schemas and not _usable(session, name)]
    if closed:
        said = f"this user may not use the schema {listed(closed)}"
        yield Finding(Mark.FAIL, "grants", said, _GRANT)
        return
    found = {(str(schema), str(name)) for schema, name in session.fetch(_TABLES, names)}
    declared = creations(warehouse, platform.catalogue)
    wanted = [c for c in declared if (c.schema, c.name) not in found]
    standing = [c for c in declared if (c.schema, c.name) in found]
    yield from _missing_tables(session, wanted, schemas)
    yield from _missing_privileges(session, platform, standing)


def _missing_tables(
    session: "Session", wanted: Sequence[Creation], schemas: set[str]
) -> Iterator[Finding]:
    for schema in dict.fromkeys(c.schema for c in wanted if c.schema in schemas):
        if not _may(session, f"has_schema_privilege('{schema}', 'CREATE')"):
            names = listed([c.name for c in wanted if c.schema == schema])
            said = f"{schema} has no table {names}, and this user may not make tables there"
            yield Finding(Mark.FAIL, "grants", said, _OWNER)


def _missing_privileges(
    session: "Session", platform: Platform, standing: Sequence[Creation]
) -> Iterator[Finding]:
    lacking: dict[str, list[str]] = {}
    for creation in standing:
        needed = privileges_of_loader(platform.warehouse, creation.schema, creation.name)
        tests = [f"has_table_privilege('{creation.full_name}', '{what}')" for what in needed]
        [held] = session.fetch(f"SELECT {', '.join(tests)}")
        for what, has in zip(needed, held, strict=True):
            if not has:
                lacking.setdefault(what, []).append(creation.full_name)
    if not lacking:
        if standing:
            yield Finding(Mark.OK, "grants", "this user may read and write the tables")
        return
    shown = "; ".join(f"{what} on {listed(names)}" for what, names in lacking.items())
    yield Finding(Mark.FAIL, "grants", f"this user lacks {shown}", _GRANT)


def _usable(session: "Session", schema: str) -> bool:
    return _may(session, f"has_schema_privilege('{schema}', 'USAGE')")


def _may(session: "Session", test: str) -> bool:
    return bool(session.fetch(f"SELECT {test}")[0][0])
