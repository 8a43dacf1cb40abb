"""Days: the one daily partitions definition, and what counts as a day or a range of days.

Dagster does not validate the tags of a range run (a reversed range "succeeds"), so every range goes
through here before it is launched. Which rows belong to a day is the warehouse's business.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

import dagster as dg

from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings import SettingsError, days_until_today
from sparkify_dagster.settings.sections import PartitionSettings

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


class DayError(SparkifyError):
    """A day or a range of days that the platform does not have."""


class DayRange(NamedTuple):
    """All days from `first` to `last`, both included; a pair wherever the warehouse wants one."""

    first: date
    last: date

    def days(self) -> Iterator[date]:
        for n in range((self.last - self.first).days + 1):
            yield self.first + timedelta(n)

    def tags(self) -> dict[str, str]:
        """What makes one Dagster run load the whole range."""
        return {RANGE_START_TAG: self.first.isoformat(), RANGE_END_TAG: self.last.isoformat()}

    def __str__(self) -> str:
        return f"{self.first} to {self.last}" if self.first != self.last else str(self.first)


@lru_cache(maxsize=8)
def daily_partitions(settings: PartitionSettings) -> dg.DailyPartitionsDefinition:
    """The days as Dagster partitions: the same object for every asset of the same settings.

    Assets with two equal definitions are launched as two runs (dagster issue 19625). The offset
    makes today a partition although it is not over; it never reaches past the last day.
    """
    last = settings.last_day
    return dg.DailyPartitionsDefinition(
        start_date=settings.first_day.isoformat(),
        end_date=(last + timedelta(days=1)).isoformat() if last else None,
        end_offset=1,
    )


def all_days(settings: PartitionSettings) -> DayRange:
    """Every day of the platform: from the first configured day to the last one, or to today.

    Raises:
        DayError: if the first day is still to come.
    """
    try:
        return DayRange(*days_until_today(settings))
    except SettingsError as error:
        raise DayError(str(error)) from None


def parse_day(text: str) -> date:
    """A day as YYYY-MM-DD.

    Raises:
        DayError: if the text is anything else.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise DayError(f"'{text}' is not a day: write YYYY-MM-DD, such as 2018-11-30.")
    return day


def check_range(first: date, last: date, settings: PartitionSettings) -> DayRange:
    """The range, if every day of it is a day of the platform.

    Raises:
        DayError: if it is reversed, or leaves the platform's days.
    """
    valid = all_days(settings)
    if first > last:
        raise DayError(f"The range is reversed: {first} is after {last}. Swap the two days.")
    outside = [day for day in (first, last) if not valid.first <= day <= valid.last]
    if outside:
        names = " and ".join(str(day) for day in dict.fromkeys(outside))
        raise DayError(
            f"Outside the platform's days: {names}. They are {valid}; dwh.cfg sets them with"
            " [PARTITIONS] FIRST_DAY and LAST_DAY."
        )
    return DayRange(first, last)


def range_of_keys(keys: Sequence[str]) -> DayRange:
    """The range that a run's partition keys span; Dagster gives them in order, without gaps."""
    return DayRange(date.fromisoformat(keys[0]), date.fromisoformat(keys[-1]))
