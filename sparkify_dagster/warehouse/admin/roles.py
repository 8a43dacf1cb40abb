"""Who may do what with the tables: roles for loading, for analysis and for changing the tables.

The statements are generated from the catalogue, and said here before anybody runs them. People are
granted a role by their administrator; no password and no user is made here. Facts of Redshift are
those of its developer guide, "GRANT", "CREATE ROLE" and "Role-based access control".
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

from sparkify_dagster.catalogue.catalogue import Catalogue
from sparkify_dagster.catalogue.tables import TableError, check_identifier
from sparkify_dagster.engines.base import RoleDialect, Session, Warehouse
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.warehouse.load import ledger

_ROWS = "SELECT, INSERT, UPDATE, DELETE"
# Written by those who make tables alone: a name noted in `granted` is given rights by the owner.
_READ_ONLY = ("made", "granted")


class RolesError(SparkifyError):
    """Roles that cannot be set up like this."""


@dataclass(frozen=True)
class Roles:
    """The names of the roles; None for one that is not wanted."""

    loader: str | None = "sparkify_loader"
    analyst: str | None = "sparkify_analyst"
    owner: str | None = "sparkify_owner"

    def __post_init__(self) -> None:
        names = [name for _, name in self.named()]
        for name in names:
            try:
                check_identifier(name, "role")
            except TableError as error:
                raise RolesError(f"{error}.") from None
            if name.startswith("pg_") or name == "public":
                raise RolesError(f"role {name!r} belongs to the server: choose another name.")
        if len(set(names)) < len(names):
            raise RolesError("The roles must have different names: each is for something else.")

    def named(self) -> Iterator[tuple[str, str]]:
        """The purpose and the name of each."""
        for item in fields(self):
            if name := getattr(self, item.name):
                yield item.name, name


def role_statements(
    warehouse: Warehouse,
    catalogue: Catalogue,
    roles: Roles,
    tables: Sequence[tuple[str, str]],
    database: str,
    *,
    keep_public: bool = False,
) -> list[str]:
    """Every statement that sets the roles up over `tables` (schema and name), safe to repeat.

    With `keep_public` everybody keeps what the server gives to all by default: temporary tables
    and, on old servers, tables in the schema `public`.

    Raises:
        RolesError: on an engine without roles.
    """
    dialect = _dialect(warehouse)
    quoted = '"' + database.replace('"', '""') + '"'
    statements = [_creation(dialect, name) for _, name in roles.named()]
    schema, state = warehouse.schema, warehouse.state_schema
    if not keep_public:
        statements += [
            f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC",
            f"REVOKE ALL ON SCHEMA {state} FROM PUBLIC",
            f"REVOKE TEMPORARY ON DATABASE {quoted} FROM PUBLIC",
        ]
    if roles.loader:
        to = f"TO {dialect.to}{roles.loader}"
        statements.append(f"GRANT USAGE ON SCHEMA {schema}, {state} {to}")
        if dialect.temporary:
            statements.append(f"GRANT TEMPORARY ON DATABASE {quoted} {to}")
    if roles.analyst:
        statements.append(f"GRANT USAGE ON SCHEMA {schema} TO {dialect.to}{roles.analyst}")
    if roles.owner:
        to = f"TO {dialect.to}{roles.owner}"
        temporary = ", TEMPORARY" if dialect.temporary else ""
        statements.append(f"GRANT CREATE{temporary} ON DATABASE {quoted} {to}")
        statements.append(f"GRANT USAGE, CREATE ON SCHEMA {schema} {to}")
        statements += _state_ownership(dialect, state, roles.owner)
    return statements + table_grants(warehouse, catalogue, roles, tables)


def table_grants(
    warehouse: Warehouse,
    catalogue: Catalogue,
    roles: Roles,
    tables: Iterable[tuple[str, str]],
) -> list[str]:
    """The statements that open these tables (schema and name) to the roles, each to its part."""
    if not any(roles.named()):
        return []
    dialect = _dialect(warehouse)
    statements: list[str] = []
    by_schema: dict[str, list[str]] = {}
    for schema, name in tables:
        by_schema.setdefault(schema, []).append(name)
    for schema, names in by_schema.items():
        if roles.loader:
            statements += _loading(warehouse, dialect, schema, names, roles.loader)
            if dialect.owning and schema == warehouse.schema:
                statements.append(_statistics(schema, names, roles.loader))
        derived = [name for name in names if name in catalogue.transforms]
        if roles.analyst and schema == warehouse.schema and derived:
            to = f"TO {dialect.to}{roles.analyst}"
            statements.append(f"GRANT SELECT ON TABLE {_listed(schema, derived)} {to}")
        if roles.owner:
            statements += _table_ownership(dialect, schema, names, roles.owner)
    return statements


def standing_roles(session: Session, warehouse: Warehouse) -> Roles:
    """The roles that were set up here and still stand."""
    granted = session.fetch(ledger.statement("granted roles"))
    if not granted:
        return Roles(None, None, None)
    standing = names_of_roles(session, warehouse)
    noted = {str(purpose): str(name) for purpose, name in granted if str(name) in standing}
    return Roles(noted.get("loader"), noted.get("analyst"), noted.get("owner"))


def names_of_roles(session: Session, warehouse: Warehouse) -> set[str]:
    """All roles of the server."""
    return {str(name).strip() for (name,) in session.fetch(_dialect(warehouse).standing)}


def apply_roles(
    session: Session, warehouse: Warehouse, roles: Roles, statements: Sequence[str]
) -> list[str]:
    """Run the statements, and note the roles, so that tables made later are opened to them.

    Returns what was run: a role that stands is not made again.
    """
    dialect = _dialect(warehouse)
    standing = names_of_roles(session, warehouse)
    needless = {_creation(dialect, name) for name in standing}
    run = [statement for statement in statements if statement not in needless]
    for statement in run:
        session.execute(statement)
    for purpose, name in roles.named():
        session.execute(ledger.statement("forget granted"), {"purpose": purpose})
        session.insert("granted", ("purpose", "role_name"), [(purpose, name)])
    return run


def _dialect(warehouse: Warehouse) -> RoleDialect:
    dialect = warehouse.roles
    if dialect is None:
        raise RolesError(
            f"{warehouse.engine} has no roles: who may read and write the file {warehouse.location}"
            " may read and write all of it. Roles are for the engines postgres and redshift"
            " ([WAREHOUSE] ENGINE)."
        )
    return dialect


def _creation(dialect: RoleDialect, name: str) -> str:
    return f"CREATE ROLE {name} NOLOGIN" if dialect.owning else f"CREATE ROLE {name}"


def _listed(schema: str, names: Iterable[str]) -> str:
    return ", ".join(f"{schema}.{name}" for name in names)


def privileges_of_loader(warehouse: Warehouse, schema: str, table: str) -> Sequence[str]:
    """What loading needs on a table."""
    read_only = schema == warehouse.state_schema and table in _READ_ONLY
    return ("SELECT",) if read_only else tuple(_ROWS.split(", "))


def _loading(
    warehouse: Warehouse, dialect: RoleDialect, schema: str, names: Sequence[str], loader: str
) -> Iterator[str]:
    by_privileges: dict[str, list[str]] = {}
    for name in names:
        needed = ", ".join(privileges_of_loader(warehouse, schema, name))
        by_privileges.setdefault(needed, []).append(name)
    for needed, some in by_privileges.items():
        yield f"GRANT {needed} ON TABLE {_listed(schema, some)} TO {dialect.to}{loader}"


def _statistics(schema: str, names: Sequence[str], loader: str) -> str:
    """What wrote much lets the planner know: for others than the owner from PostgreSQL 17 on."""
    return (
        "DO $$ BEGIN IF current_setting('server_version_num')::int >= 170000 THEN\n"
        f"    EXECUTE 'GRANT MAINTAIN ON TABLE {_listed(schema, names)} TO {loader}';\n"
        "END IF; END $$"
    )


def _state_ownership(dialect: RoleDialect, state: str, owner: str) -> Iterator[str]:
    to = f"TO {dialect.to}{owner}"
    if not dialect.owning:
        yield f"GRANT USAGE, CREATE, ALTER, DROP ON SCHEMA {state} {to}"
        return
    yield f"GRANT USAGE, CREATE ON SCHEMA {state} {to}"
    # Whoever owned it goes on as one of the role.
    yield _owners_join(state, owner)
    yield f"ALTER SCHEMA {state} OWNER TO {owner}"


def _table_ownership(
    dialect: RoleDialect, schema: str, names: Sequence[str], owner: str
) -> Iterator[str]:
    if dialect.owning:
        yield _owners_join(schema, owner, names)
        yield from (f"ALTER TABLE {schema}.{name} OWNER TO {owner}" for name in names)
        return
    privileges = f"{_ROWS}, REFERENCES, ALTER, DROP"
    yield f"GRANT {privileges} ON TABLE {_listed(schema, names)} TO {dialect.to}{owner}"


def _owners_join(schema: str, owner: str, names: Sequence[str] = ()) -> str:
    """Those who own the tables of `names`, or else the schema, become members of the role."""
    if names:
        listed = ", ".join(f"'{name}'" for name in names)
        owners = (
            "SELECT DISTINCT tableowner AS name FROM pg_tables"
            f"\n        WHERE schemaname = '{schema}' AND tablename IN ({listed})"
        )
    else:
        owners = (
            "SELECT pg_get_userbyid(nspowner) AS name FROM pg_namespace"
            f"\n        WHERE nspname = '{schema}'"
        )
    return (
        f"DO $$ DECLARE present RECORD; BEGIN\n    FOR present IN {owners}\n    LOOP\n"
        f"        IF NOT pg_has_role(present.name, '{owner}', 'MEMBER') THEN\n"
        f"            EXECUTE format('GRANT {owner} TO %I', present.name);\n"
        "        END IF;\n    END LOOP;\nEND $$"
    )
