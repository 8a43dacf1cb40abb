"""Where a table is on each engine, and where a file of the lake can be looked at: names and links.

An address is shown in the UI and kept in the event log, so it never holds a user or a password.
"""

from urllib.parse import quote

import dagster as dg

from sparkify_dagster.warehouse import Platform


def table_name(platform: Platform, table: str) -> str:
    """database.schema.table, as a query on the engine could name it."""
    warehouse = platform.warehouse
    return f"{warehouse.database}.{warehouse.schema}.{table}"


def table_uri(platform: Platform, table: str) -> str:
    """The address of the database, and in it the table."""
    return f"{platform.warehouse.address}#{platform.warehouse.schema}.{table}"


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
