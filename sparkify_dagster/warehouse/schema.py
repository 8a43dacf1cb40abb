"""Makes the warehouse's tables, and sees that those which hold loaded data are the declared ones.

What is in them is no concern of this module.
"""

from collections.abc import Iterable

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
    """Make what is missing, and leave what stands as it is.

    A derived table of another shape keeps its rows until it is made anew (see `renew`).

    Raises:
        WarehouseError: if a table that holds loaded data has other columns than declared.
    """
    standing = _standing_columns(session, warehouse.schema)
    for table in catalogue.tables.values():
        columns = standing.get(table.name)
        if columns is None:
            session.execute(table.ddl(warehouse.engine, warehouse.schema))
        elif columns != table.column_names and table.name not in catalogue.transforms:
            raise _other_columns(warehouse, table, columns)
    state = _standing_columns(session, warehouse.state_schema)
    pending = (t.script.statements.get("pending") for t in catalogue.transforms.values())
    for statement in (*ledger.state_ddl(), *(text for text in pending if text)):
        if statement.split("(", 1)[0].rsplit(maxsplit=1)[-1] not in state:
            session.execute(_in_schema(statement, warehouse.state_schema))


def renew(session: Session, warehouse: Warehouse, catalogue: Catalogue, name: str) -> None:
    """Make a derived table and its pending keys again, empty, as they are declared now."""
    transform = catalogue.transforms[name]
    session.execute(f"DROP TABLE {warehouse.schema}.{name}")
    session.execute(transform.table.ddl(warehouse.engine, warehouse.schema))
    if pending := transform.script.statements.get("pending"):
        session.execute(f"DROP TABLE {warehouse.state_schema}.{transform.pending}")
        session.execute(_in_schema(pending, warehouse.state_schema))


def _standing_columns(session: Session, schema: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for table, column in session.fetch(_COLUMNS, {"schema": schema}):
        found.setdefault(str(table), []).append(str(column))
    return {table: tuple(columns) for table, columns in found.items()}


def _in_schema(statement: str, schema: str) -> str:
    start = "CREATE TABLE IF NOT EXISTS "
    return statement.replace(start, f"{start}{schema}.", 1)


def _other_columns(warehouse: Warehouse, table: Table, columns: Iterable[str]) -> WarehouseError:
    return WarehouseError(
        f"table {warehouse.schema}.{table.name} has the columns {', '.join(columns)}, but "
        f"{', '.join(table.column_names)} are declared. Drop it and run again to load it anew."
    )
