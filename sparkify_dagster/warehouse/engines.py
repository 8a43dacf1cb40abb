"""Which engine a configuration means; the only place that asks.

An engine's module is imported only when it is used.
"""

from sparkify_dagster.sections import Engine
from sparkify_dagster.settings import Settings
from sparkify_dagster.tables import TableError, check_identifier
from sparkify_dagster.warehouse.base import Warehouse, WarehouseError


def open_warehouse(settings: Settings) -> Warehouse:
    """The warehouse of a configuration; no connection is opened yet.

    Raises:
        WarehouseError: if its schema cannot be named without quotes.
    """
    try:
        check_identifier(settings.warehouse.schema, "schema")
    except TableError as error:
        raise WarehouseError(f"[WAREHOUSE] SCHEMA: {error}.") from None
    match settings.warehouse.engine:
        case Engine.DUCKDB:
            from sparkify_dagster.warehouse.duckdb import DuckDBWarehouse

            return DuckDBWarehouse(settings.duckdb, settings.warehouse.schema)
        case Engine.POSTGRES:
            from sparkify_dagster.warehouse.postgres import PostgresWarehouse

            return PostgresWarehouse(settings)
        case Engine.REDSHIFT:
            from sparkify_dagster.warehouse.redshift import RedshiftWarehouse

            return RedshiftWarehouse(settings)
