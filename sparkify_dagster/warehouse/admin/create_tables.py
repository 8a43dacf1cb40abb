"""Makes the warehouse's tables, and sees that those which hold loaded data are the declared ones.

Each table is a statement first (`creations`), which is shown or run. What is in the tables is no
concern of this module; how they are dropped is in drop_tables.py.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sparkify_dagster.catalogue.catalogue import Catalogue
from sparkify_dagster.catalogue.tables import Table
from sparkify_dagster.engines.base import Notify, Session, Warehouse, WarehouseError
from sparkify_dagster.engines.ddl import create_indexes, create_table, in_schema
from sparkify_dagster.warehouse.admin.roles import standing_roles, table_grants
from sparkify_dagster.warehouse.load import ledger

Columns = Mapping[str, tuple[str, ...]]
"""Of the tables and views that stand in a schema."""

FORGOTTEN = "forgotten_users"
"""Who was forgotten: what is dropped and made again must not bring their data back."""

_COLUMNS = """
    SELECT table_name, column_name
    FROM information_schema.columns
    WHERE table_schema = :schema
    ORDER BY table_name, ordinal_position
"""
_NAMES = """
    SELECT table_schema, table_name
    FROM information_schema.tables
    WHERE table_schema IN (:schema, :state)
"""
_FOREIGN_KEYS = """
    SELECT child.relname, foreign_key.conname
    FROM pg_constraint AS foreign_key
    INNER JOIN pg_class AS child ON child."oid" = foreign_key.conrelid
    INNER JOIN pg_class AS parent ON parent."oid" = foreign_key.confrelid
    INNER JOIN pg_namespace AS space ON space."oid" = parent.relnamespace
    WHERE foreign_key.contype = 'f'
      AND child.relnamespace = parent.relnamespace
      AND child.relname <> parent.relname
      AND space.nspname = :schema
      AND parent.relname = :name
"""
_COMMENT = re.compile(r"--[^\n]*")


@dataclass(frozen=True)
class Creation:
    """A table of the platform, and the statements that make it if it is missing."""

    schema: str
    name: str
    statements: tuple[str, ...]
    """CREATE TABLE, and those of its indexes where the engine has any."""

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Standing:
    """What stands in the two schemas, and what the platform noted of it."""

    tables: Columns
    state: Columns
    made: Mapping[str, str]
    """The tables that the platform made: by name, a mark of their shape ("" if it is not known)."""

    def has(self, creation: Creation, warehouse: Warehouse) -> bool:
        return creation.name in (self.tables if creation.schema == warehouse.schema else self.state)

    def is_ours(self, table: Table) -> bool:
        """Whether a table that stands is the platform's, rather than a namesake."""
        return table.name in self.made or self.tables.get(table.name) == table.column_names


def schema_statements(warehouse: Warehouse) -> tuple[str, ...]:
    """The statements that make the two schemas."""
    names = (warehouse.schema, warehouse.state_schema)
    return tuple(f"CREATE SCHEMA IF NOT EXISTS {name}" for name in names)


def creations(warehouse: Warehouse, catalogue: Catalogue) -> tuple[Creation, ...]:
    """Every table of the platform on this engine, those that others refer to first."""
    state = warehouse.state_schema
    tables = [_creation(warehouse, table) for table in catalogue.tables.values()]
    pending = (_pending(catalogue, name) for name in catalogue.transforms)
    bookkeeping = (*ledger.state_ddl(), *pending, warehouse.queue_ddl)
    return (*tables, *(_bookkeeping(text, state) for text in bookkeeping if text))


def look(session: Session, warehouse: Warehouse) -> Standing:
    """What stands now."""
    state = _standing_columns(session, warehouse.state_schema)
    made: dict[str, str] = {}
    if "refreshed" in state:  # a warehouse that was made before shapes were noted
        made = dict.fromkeys(ledger.built_versions(session), "")
    if "made" in state:
        made |= _made_shapes(session)
    return Standing(_standing_columns(session, warehouse.schema), state, made)


def standing_names(session: Session, warehouse: Warehouse) -> frozenset[tuple[str, str]]:
    """Schema and name of whatever stands: a far cheaper look than one at the columns."""
    schemas = {"schema": warehouse.schema, "state": warehouse.state_schema}
    return frozenset((str(s), str(name)) for s, name in session.fetch(_NAMES, schemas))


def prepare(session: Session, warehouse: Warehouse, catalogue: Catalogue) -> tuple[Creation, ...]:
    """Make what is missing, with its grants, and leave what stands as it is; what was made.

    A derived table of another shape keeps its rows until it is rebuilt (see `renew`).

    Raises:
        WarehouseError: if a table that holds loaded data has other columns than declared, or
            something else than the platform has taken the name of one of its tables.
    """
    standing = look(session, warehouse)
    for table in catalogue.tables.values():
        columns = standing.tables.get(table.name)
        if columns is None or columns == table.column_names:
            continue
        if table.name not in standing.made:
            raise _namesake(warehouse, table, columns)
        if table.name not in catalogue.transforms:
            raise _other_columns(warehouse, table, columns)
    missing = tuple(
        creation
        for creation in creations(warehouse, catalogue)
        if not standing.has(creation, warehouse)
    )
    for creation in missing:
        _make(session, creation)
    names = [c.name for c in missing if c.schema == warehouse.schema]
    _note_made(session, warehouse, catalogue, names)
    if missing:
        _grant(session, warehouse, catalogue, [(c.schema, c.name) for c in missing])
    return missing


def make_tables(
    warehouse: Warehouse, catalogue: Catalogue, notify: Notify, run_id: str = ""
) -> tuple[tuple[Creation, ...], tuple[Creation, ...]]:
    """Make schemas and tables in one transaction: which were made, and which stood."""
    every = creations(warehouse, catalogue)
    is_new = not warehouse.exists()
    made = warehouse.transact(
        lambda session: prepare(session, warehouse, catalogue), notify, run_id
    )
    # What writers queue at is made before any transaction.
    made = every if is_new else made
    return made, tuple(creation for creation in every if creation not in made)


def require_tables(session: Session, warehouse: Warehouse, catalogue: Catalogue) -> None:
    """See that every table stands.

    Raises:
        WarehouseError: naming those that are missing.
    """
    standing = look(session, warehouse)
    missing = [
        creation.full_name
        for creation in creations(warehouse, catalogue)
        if not standing.has(creation, warehouse)
    ]
    if missing:
        raise WarehouseError(
            f"{warehouse.location}: {', '.join(missing)} is missing. Run `sparkify tables create`"
            " first."
        )


def renew(session: Session, warehouse: Warehouse, catalogue: Catalogue, name: str) -> None:
    """Empty a derived table and its pending keys; make them again if they are declared otherwise.

    Emptying is all that a user without the right to create and drop tables needs.
    """
    transform = catalogue.transforms[name]
    tables = [(warehouse.schema, name)]
    if transform.key:
        tables.append((warehouse.state_schema, transform.pending))
    if _made_shapes(session).get(name) == _shape(warehouse, catalogue, name):
        for schema, table in tables:
            session.execute(f"DELETE FROM {schema}.{table}")
        return
    tied_again = drop_foreign_keys(session, warehouse, catalogue, name)
    for schema, table in tables:
        session.execute(f"DROP TABLE {schema}.{table}")
    _make(session, _creation(warehouse, transform.table))
    for statement in tied_again:
        session.execute(statement)
    if pending := _pending(catalogue, name):
        _make(session, _bookkeeping(pending, warehouse.state_schema))
    _note_made(session, warehouse, catalogue, [name])
    _grant(session, warehouse, catalogue, tables)


def drop_foreign_keys(
    session: Session, warehouse: Warehouse, catalogue: Catalogue, name: str
) -> list[str]:
    """Drop the foreign keys by which the platform's tables refer to one; what puts them back."""
    if not warehouse.declares_keys:
        return []
    schema = warehouse.schema
    found = session.fetch(_FOREIGN_KEYS, {"schema": schema, "name": name})
    tied = [(str(child), str(key)) for child, key in found if str(child) in catalogue.tables]
    for child, key in tied:
        session.execute(f'ALTER TABLE {schema}.{child} DROP CONSTRAINT "{key}"')
    return [
        f"ALTER TABLE {schema}.{child} ADD FOREIGN KEY ({', '.join(reference.columns)})"
        f" REFERENCES {schema}.{name} ({', '.join(reference.parent_columns)})"
        for child in dict.fromkeys(child for child, _ in tied)
        for reference in catalogue.tables[child].references
        if reference.table == name
    ]


def _made_shapes(session: Session) -> dict[str, str]:
    noted = session.fetch(ledger.statement("made tables"))
    return {str(name): str(shape) for name, shape in noted}


def _note_made(
    session: Session, warehouse: Warehouse, catalogue: Catalogue, names: Iterable[str]
) -> None:
    rows = [(name, _shape(warehouse, catalogue, name)) for name in names]
    for name, _ in rows:
        session.execute(ledger.statement("forget made"), {"table_name": name})
    session.insert("made", ("table_name", "shape"), rows)


def _grant(
    session: Session,
    warehouse: Warehouse,
    catalogue: Catalogue,
    tables: Iterable[tuple[str, str]],
) -> None:
    """A table that is rebuilt is open to nobody: the roles get back what they had."""
    roles = standing_roles(session, warehouse)
    for statement in table_grants(warehouse, catalogue, roles, tables):
        session.execute(statement)


def _shape(warehouse: Warehouse, catalogue: Catalogue, name: str) -> str:
    """A mark that changes whenever a table has to be rebuilt; comments do not matter."""
    texts = [create_table(catalogue.tables[name], warehouse.dialect, warehouse.schema)]
    if name in catalogue.transforms:
        texts.append(_pending(catalogue, name) or "")
    words = " ".join(_COMMENT.sub("", "\n".join(texts)).split())
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def _pending(catalogue: Catalogue, name: str) -> str | None:
    return catalogue.transforms[name].script.statements.get("pending")


def _standing_columns(session: Session, schema: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for table, column in session.fetch(_COLUMNS, {"schema": schema}):
        found.setdefault(str(table), []).append(str(column))
    return {table: tuple(columns) for table, columns in found.items()}


def _bookkeeping(statement: str, schema: str) -> Creation:
    """The creation of a bookkeeping table, whose statement has its name without a schema."""
    name = statement.split("(", 1)[0].rsplit(maxsplit=1)[-1]
    return Creation(schema, name, (in_schema(statement, schema),))


def _creation(warehouse: Warehouse, table: Table) -> Creation:
    dialect, schema = warehouse.dialect, warehouse.schema
    create = (create_table(table, dialect, schema), *create_indexes(table, dialect, schema))
    return Creation(schema, table.name, create)


def _make(session: Session, creation: Creation) -> None:
    for statement in creation.statements:
        session.execute(statement)


def _namesake(warehouse: Warehouse, table: Table, columns: Iterable[str]) -> WarehouseError:
    return WarehouseError(
        f"{warehouse.location}: {warehouse.schema}.{table.name} is not a table of the platform: "
        f"it has the columns {', '.join(columns)}. Give the platform a schema of its own "
        "([WAREHOUSE] SCHEMA), or move that table away."
    )


def _other_columns(warehouse: Warehouse, table: Table, columns: Iterable[str]) -> WarehouseError:
    return WarehouseError(
        f"table {warehouse.schema}.{table.name} has the columns {', '.join(columns)}, but "
        f"{', '.join(table.column_names)} are declared. Drop it and run again to load it again."
    )
