"""Makes the warehouse's tables and sees that those that stand are the declared ones."""

from collections.abc import Container, Iterable

from sparkify_dagster.tables import Table
from sparkify_dagster.warehouse import ledger
from sparkify_dagster.warehouse.base import Session, Warehouse, WarehouseError
from sparkify_dagster.warehouse.catalogue import Catalogue

_COLUMNS = """
    SELECT table_name, column_name
    FROM information_schema.columns
    WHERE table_schema = :schema
    ORDER BY table_name, ordinal_position
"""


def prepare(session: Session, warehouse: Warehouse, catalogue: Catalogue) -> None:
    """Make what is missing. Derived tables of another shape are made anew; others are refused.

    Raises:
        WarehouseError: if a table that holds loaded data has other columns than declared.
    """
    standing = _standing_columns(session, warehouse.schema)
    for table in catalogue.tables.values():
        columns = standing.get(table.name)
        if columns is not None and columns != table.column_names:
            if table.name not in catalogue.transforms:
                raise _other_columns(warehouse, table, columns)
            session.execute(f"DROP TABLE {warehouse.schema}.{table.name}")
            _forget(session, table.name)
            columns = None
        if columns is None:
            session.execute(table.ddl(warehouse.engine, warehouse.schema))
    state = _standing_columns(session, warehouse.state_schema)
    for statement in ledger.state_ddl():
        _make_state_table(session, warehouse, statement, state)
    versions = ledger.built_versions(session)
    for name, transform in catalogue.transforms.items():
        if name in versions and versions[name] != catalogue.code_version(name):
            # Its pending keys may have got another shape; the table is made whole anyway.
            session.execute(f"DROP TABLE IF EXISTS {warehouse.state_schema}.{transform.pending}")
            state.pop(transform.pending, None)
            _forget(session, name)
        if pending := transform.script.statements.get("pending"):
            _make_state_table(session, warehouse, pending, state)


def _make_state_table(
    session: Session, warehouse: Warehouse, statement: str, standing: Container[str]
) -> None:
    if statement.split("(", 1)[0].rsplit(maxsplit=1)[-1] not in standing:
        session.execute(_in_schema(statement, warehouse.state_schema))


def _standing_columns(session: Session, schema: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for table, column in session.fetch(_COLUMNS, {"schema": schema}):
        found.setdefault(str(table), []).append(str(column))
    return {table: tuple(columns) for table, columns in found.items()}


def _in_schema(statement: str, schema: str) -> str:
    start = "CREATE TABLE IF NOT EXISTS "
    return statement.replace(start, f"{start}{schema}.", 1)


def _forget(session: Session, table: str) -> None:
    session.execute(ledger.statement("forget built"), {"table_name": table})


def _other_columns(warehouse: Warehouse, table: Table, columns: Iterable[str]) -> WarehouseError:
    return WarehouseError(
        f"table {warehouse.schema}.{table.name} has the columns {', '.join(columns)}, but "
        f"{', '.join(table.column_names)} are declared. Drop it and run again to load it anew."
    )
