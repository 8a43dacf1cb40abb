"""Whether the server of a warehouse can be used: reached, trusted, logged in to, and written in."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from sparkify_dagster.console import Mark, counted
from sparkify_dagster.doctor import connecting
from sparkify_dagster.doctor.finding import Finding
from sparkify_dagster.doctor.grants import grants
from sparkify_dagster.engines.server.warehouse import ServerWarehouse
from sparkify_dagster.warehouse import Platform, WarehouseError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from sparkify_dagster.engines.base import Session

# S3 refuses requests that are signed a quarter of an hour ago; times in the ledger are ours.
LITTLE_SKEW, GREAT_SKEW = 60, 900


def server(platform: Platform, warehouse: ServerWarehouse) -> Iterator[Finding]:
    """Look from the outside in, and stop at the first thing that is broken."""
    unreachable = list(connecting.reach(warehouse))
    if unreachable:
        yield from unreachable
        return
    try:
        connection = warehouse.connect("doctor")
    except WarehouseError as error:
        yield _refused(warehouse, error)
        return
    with closing(connection):
        yield _connected(platform, connection)
        yield from _encoding(platform, connection)
        session = warehouse.session(connection)
        for statement in warehouse.settings_of_a_connection("doctor"):
            session.execute(statement)
        yield from _clock(session, warehouse)
        yield from grants(session, platform)


def _refused(warehouse: ServerWarehouse, error: WarehouseError) -> Finding:
    import psycopg2

    if isinstance(error.__cause__, psycopg2.Error):
        return connecting.refusal(warehouse, str(error.__cause__))
    return Finding(Mark.FAIL, "login", str(error))  # nobody gave a password


def _connected(platform: Platform, connection: "Connection") -> Finding:
    cluster, place = platform.settings.cluster, platform.warehouse.location
    said = f"{place} lets {connection.info.user} in"
    if not connection.info.ssl_in_use:
        if connecting.is_local(cluster):
            return Finding(Mark.OK, "server", f"{said}, without TLS on this machine")
        advice = "Switch TLS on at the server, and set [CLUSTER] SSLMODE = verify-full."
        return Finding(Mark.WARN, "server", f"{said}, without TLS: anybody can listen", advice)
    protocol = connection.info.ssl_attribute("protocol") or "TLS"
    if connecting.verifies(cluster) or connecting.is_local(cluster):
        return Finding(Mark.OK, "server", f"{said}, over {protocol}")
    said = f"{said}, over {protocol}, but nobody checks that it is the right server"
    return Finding(Mark.WARN, "server", said, "Set [CLUSTER] SSLMODE = verify-full.")


def _encoding(platform: Platform, connection: "Connection") -> Iterator[Finding]:
    """SQL_ASCII keeps whatever it is sent; Redshift calls UTF-8 UNICODE."""
    encoding = connection.info.parameter_status("server_encoding") or "UTF8"
    if encoding not in ("UTF8", "UNICODE", "SQL_ASCII"):
        name = platform.settings.cluster.db_name
        said = f"database {name} is in {encoding}, which cannot hold every text of the lake"
        advice = "Make one WITH ENCODING 'UTF8' TEMPLATE template0, and set [CLUSTER] DB_NAME."
        yield Finding(Mark.FAIL, "encoding", said, advice)


def _clock(session: "Session", warehouse: ServerWarehouse) -> Iterator[Finding]:
    asked = time.time()
    there = float(str(session.fetch(warehouse.clock)[0][0]))
    skew = round(abs(there - (asked + time.time()) / 2))
    if skew < LITTLE_SKEW:
        yield Finding(Mark.OK, "clock", "this machine and the server agree")
        return
    mark = Mark.WARN if skew < GREAT_SKEW else Mark.FAIL
    said = f"this machine and the server differ by {counted(skew, 'second')}"
    yield Finding(mark, "clock", said, "Set both clocks by NTP.")
