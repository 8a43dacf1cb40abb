"""Opens the engine that a configuration means.

An engine's module is imported only when it is used.
"""

from sparkify_dagster.catalogue.tables import TableError, check_identifier
from sparkify_dagster.engines.base import Warehouse, WarehouseError
from sparkify_dagster.settings import Settings
from sparkify_dagster.settings.sections import Engine


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
            from sparkify_dagster.engines.duckdb.warehouse import DuckDBWarehouse

            return DuckDBWarehouse(settings.duckdb, settings.warehouse.schema)
        case Engine.POSTGRES:
            from sparkify_dagster.engines.postgres.warehouse import PostgresWarehouse

            return PostgresWarehouse(settings)
        case Engine.REDSHIFT:
            from sparkify_dagster.engines.redshift.warehouse import RedshiftWarehouse

            return RedshiftWarehouse(settings)
