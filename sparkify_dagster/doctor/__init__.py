"""What `sparkify doctor` looks at: one finding for each thing that a run needs, and what to do.

Nothing stays created or changed, and Dagster is not imported. `cli` shows the findings.
"""

from collections.abc import Iterator
from dataclasses import replace

from sparkify_dagster.console import Mark
from sparkify_dagster.doctor import alerts, lake, machine, s3_access, server, tables
from sparkify_dagster.doctor.finding import Finding, guarded
from sparkify_dagster.engines.server.warehouse import ServerWarehouse
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings import Settings, load_settings
from sparkify_dagster.warehouse import Platform, open_platform

__all__ = ["Finding", "examine"]

SECONDS_FOR_A_BUSY_WAREHOUSE = 2.0


def examine() -> Iterator[Finding]:
    """Look at everything, from the configuration on."""
    yield from machine.versions()
    try:
        settings = load_settings()
        platform = open_platform(settings)
    except SparkifyError as error:
        yield Finding(Mark.FAIL, "configuration", str(error))
        return
    yield Finding(Mark.OK, "configuration", f"{settings.config_file} is valid")
    platform = open_platform(_impatient(settings), platform.catalogue)
    yield from machine.home(settings.home)
    for finding in lake.days(platform):
        yield finding
        return
    of_lake: list[Finding] = []
    for name, source in platform.catalogue.sources.items():
        for finding in guarded(f"lake {source.name}", lake.lake(platform, name)):
            of_lake.append(finding)
            yield finding
    yield from lake.json_paths(platform)
    lake_is_there = all(finding.mark is not Mark.FAIL for finding in of_lake)
    yield from _warehouse(platform, lake_is_there=lake_is_there)
    places = [machine.existing(settings.home)]
    if platform.warehouse.file:
        places.insert(0, machine.existing(platform.warehouse.file))
    yield from machine.disks(*places)
    yield from alerts.alerts(settings.alerts)


def _impatient(settings: Settings) -> Settings:
    """A process that holds the warehouse is a finding, not something to wait for."""
    patience = min(settings.duckdb.lock_timeout, SECONDS_FOR_A_BUSY_WAREHOUSE)
    return replace(settings, duckdb=replace(settings.duckdb, lock_timeout=patience))


def _warehouse(platform: Platform, *, lake_is_there: bool) -> Iterator[Finding]:
    """From the outside in: what lies behind something that is broken is not looked at."""
    warehouse = platform.warehouse
    usable = True
    if isinstance(warehouse, ServerWarehouse):
        for finding in guarded("warehouse", server.server(platform, warehouse)):
            usable &= finding.mark is not Mark.FAIL
            yield finding
    if usable:
        yield from guarded("warehouse", tables.tables(platform, compare=lake_is_there))
    yield from s3_access.s3_access(platform, reachable=usable)
