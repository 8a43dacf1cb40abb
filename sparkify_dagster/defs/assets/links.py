"""Where a table is on each engine, and where a file of the lake can be looked at: names and links.

An address is shown in the UI and kept in the event log, so it never holds a user or a password.
"""

from urllib.parse import quote

import dagster as dg

from sparkify_dagster.settings import Settings
from sparkify_dagster.settings.sections import Engine
from sparkify_dagster.warehouse import Platform


def table_name(platform: Platform, table: str) -> str:
    """database.schema.table, as a query on the engine could name it."""
    settings = platform.settings
    return f"{_database(settings)}.{settings.warehouse.schema}.{table}"


def table_uri(platform: Platform, table: str) -> str:
    """The address of the database, and in it the table."""
    settings = platform.settings
    return f"{_database_uri(settings)}#{settings.warehouse.schema}.{table}"


def prefix_uri(uri: str) -> dg.MetadataValue:
    """A prefix of the lake; a folder can be copied from a page, which may not link to it."""
    return dg.MetadataValue.url(uri) if "://" in uri else dg.MetadataValue.text(uri)


def file_link(platform: Platform, table: str, key: str) -> str | None:
    """Where a browser can open a file of the lake; None for a folder, which no page may link to.

    On AWS that is the console, which asks for a login; elsewhere the object at its endpoint.
    """
    scheme, _, place = platform.lake_uri(table).partition("://")
    if scheme != "s3":
        return None
    bucket, _, prefix = place.partition("/")
    name = f"{prefix.rstrip('/')}/{key}".lstrip("/")
    s3 = platform.settings.s3
    if s3.endpoint_url:
        return f"{s3.endpoint_url.rstrip('/')}/{bucket}/{quote(name)}"
    console = f"https://{s3.region}.console.aws.amazon.com/s3/object/{bucket}"
    return f"{console}?region={s3.region}&prefix={quote(name)}"


def _database(settings: Settings) -> str:
    if settings.warehouse.engine is Engine.DUCKDB:
        # DuckDB names a database after its file, up to the first dot
        return settings.duckdb.path.name.partition(".")[0]
    return settings.cluster.db_name


def _database_uri(settings: Settings) -> str:
    if settings.warehouse.engine is Engine.DUCKDB:
        return f"duckdb://{quote(settings.duckdb.path.as_posix())}"
    cluster = settings.cluster
    # a folder of a socket, or an address with colons, stands in brackets or in quotes
    host = f"[{cluster.host}]" if ":" in cluster.host else quote(cluster.host, safe="")
    scheme = settings.warehouse.engine.value
    return f"{scheme}://{host}:{cluster.db_port}/{quote(cluster.db_name, safe='')}"
