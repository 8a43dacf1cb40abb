"""Schedules: loads that start by the clock, whatever the sensors saw.

The daily load makes yesterday, also where nothing arrived. The nightly reconciliation finds what
is missing anywhere, and its second half runs every check; the hours are UTC.
"""

from collections.abc import Callable
from datetime import UTC, date, timedelta

import dagster as dg

from sparkify_dagster.defs.jobs import CHECKS, LOAD_LAKE
from sparkify_dagster.defs.partitions import range_tags
from sparkify_dagster.defs.resources import LakeResource, WarehouseResource
from sparkify_dagster.defs.run_config import only_new
from sparkify_dagster.defs.sensors.arrivals import TickError, impatient
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings.days import DayError, DayRange, all_days, check_range
from sparkify_dagster.warehouse import Platform, WarehouseBusyError
from sparkify_dagster.warehouse.due_ranges import ranges_to_run

DAILY_LOAD, RECONCILIATION, NIGHTLY_CHECKS = "daily_load", "reconciliation", "nightly_checks"
_CHECKS_MINUTE = 30
_LOCK_SECONDS = 20.0
"""A night has one tick, so it waits longer for the warehouse than a sensor's."""

Requests = list[dg.RunRequest] | dg.SkipReason


def schedules(platform: Platform) -> list[dg.ScheduleDefinition]:
    """The daily load, and the two halves of the nightly reconciliation."""
    return [daily_load(platform), reconciliation(platform), nightly_checks(platform)]


def daily_load(platform: Platform) -> dg.ScheduleDefinition:
    settings = platform.settings

    def yesterday(context: dg.ScheduleEvaluationContext) -> Requests:
        day = _night(context) - timedelta(1)
        try:
            days = check_range(day, day, settings.partitions)
        except DayError as error:
            return dg.SkipReason(f"Yesterday is not loaded. {error}")
        return [_load(platform, days, f"{DAILY_LOAD}-{day}")]

    return _schedule(
        platform,
        DAILY_LOAD,
        LOAD_LAKE,
        f"0 {settings.schedules.daily_load_hour} * * *",
        "Loads yesterday (UTC), whose last files may have come after midnight.",
        yesterday,
    )


def reconciliation(declared: Platform) -> dg.ScheduleDefinition:
    def missing(
        context: dg.ScheduleEvaluationContext, lake: LakeResource, warehouse: WarehouseResource
    ) -> Requests:
        platform = warehouse.platform(declared, lake)
        try:
            all_days(platform.settings.partitions)
            status = impatient(platform, _LOCK_SECONDS).status()
            if status.up_to_date:
                files = sum(status.loaded_files.values())
                return dg.SkipReason(f"Lake, ledger and tables agree: {files:,} files are loaded.")
        except (WarehouseBusyError, DayError) as error:
            return dg.SkipReason(f"Lake and ledger were not compared tonight. {error}")
        except SparkifyError as error:
            problem = str(error)
        else:
            night = _night(context)
            return [
                _load(platform, days, f"{RECONCILIATION}-{night}-{days}")
                for days in ranges_to_run(platform, status, full=False)
            ]
        raise TickError(problem)  # outside of `except`: its cause may hold secrets

    return _schedule(
        declared,
        RECONCILIATION,
        LOAD_LAKE,
        f"0 {declared.settings.schedules.reconciliation_hour} * * *",
        "Compares lake, ledger and tables, and loads whatever is new, changed or behind anywhere,"
        " also what the sensors gave up.",
        missing,
    )


def nightly_checks(platform: Platform) -> dg.ScheduleDefinition:
    def every_check(
        context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource
    ) -> Requests:
        found = warehouse.open()
        if found.one_process and not found.exists():
            return dg.SkipReason(f"There is no warehouse {found.location} to check.")
        return [dg.RunRequest(run_key=f"{NIGHTLY_CHECKS}-{_night(context)}")]

    return _schedule(
        platform,
        NIGHTLY_CHECKS,
        CHECKS,
        f"{_CHECKS_MINUTE} {platform.settings.schedules.reconciliation_hour} * * *",
        "The second half of the nightly reconciliation: every check, against what is published.",
        every_check,
    )


def _schedule(
    platform: Platform,
    name: str,
    job: str,
    cron: str,
    description: str,
    evaluate: Callable[..., Requests],
) -> dg.ScheduleDefinition:
    running = platform.settings.schedules.enabled

    return dg.schedule(
        name=name,
        job_name=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        description=description,
        default_status=(
            dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
        ),
    )(evaluate)


def _load(platform: Platform, days: DayRange, run_key: str) -> dg.RunRequest:
    catalogue = platform.catalogue
    tables = (*catalogue.sources, *catalogue.transforms)
    return dg.RunRequest(
        run_key=run_key, tags=range_tags(days), run_config=only_new(catalogue, tables)
    )


def _night(context: dg.ScheduleEvaluationContext) -> date:
    return context.scheduled_execution_time.astimezone(UTC).date()
