"""Which ranges of days are due, one run each: the days of new and changed files.

What a run does with them is in the assets.
"""

from collections.abc import Iterable
from datetime import date, timedelta

from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.reports import LakeStatus

# A day of a range that needs nothing costs some 20 ms of records, a run of its own a second.
BRIDGED_DAYS = 31


def ranges_of(days: Iterable[date]) -> list[DayRange]:
    """The ranges that hold all these days, one run each; gaps up to a month are bridged."""
    ranges: list[DayRange] = []
    for day in sorted(days):
        if ranges and day - ranges[-1].last <= timedelta(BRIDGED_DAYS + 1):
            ranges[-1] = DayRange(ranges[-1].first, day)
        else:
            ranges.append(DayRange(day, day))
    return ranges


def ranges_to_run(platform: Platform, status: LakeStatus, *, full: bool) -> list[DayRange]:
    """The days of new and changed log files; one day where there are none; or all of them.

    A table that waits for something else (songs that arrived, a new transform) knows itself which
    of its days are concerned.
    """
    if status.days and not full:
        return ranges_of(status.days)
    days = days_with_files(platform) or [platform.partitions().first]
    return [DayRange(days[0] if full else days[-1], days[-1])]


def days_with_files(platform: Platform) -> list[date]:
    """The days of the platform for which the lake holds a log file."""
    valid = platform.partitions()
    days = {
        day
        for table, source in platform.catalogue.sources.items()
        if source.dated
        for file in platform.lake(table).list()
        if (day := source.day_of(file.key)) and valid.holds(day)
    }
    return sorted(days)
