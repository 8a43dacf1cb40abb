"""Days: what a day is, what a range of days is, and which days the platform has.

Which files belong to a day is said by `sources`; how Dagster is told of days, by `defs.partitions`.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings.sections import PartitionSettings


class DayError(SparkifyError):
    """A day or a range of days that the platform does not have."""


class DayRange(NamedTuple):
    """All days from `first` to `last`, both included."""

    first: date
    last: date

    def days(self) -> Iterator[date]:
        """Each day, in order."""
        for n in range((self.last - self.first).days + 1):
            yield self.first + timedelta(n)

    def holds(self, day: date) -> bool:
        """Whether a day is one of them."""
        return self.first <= day <= self.last

    def __str__(self) -> str:
        return f"{self.first} to {self.last}" if self.first != self.last else str(self.first)


def all_days(settings: PartitionSettings) -> DayRange:
    """Every day of the platform: from the first configured day to the last one, or to today (UTC).

    Raises:
        DayError: if the first day is still to come.
    """
    today = datetime.now(UTC).date()
    days = DayRange(settings.first_day, min(settings.last_day or today, today))
    if days.first > days.last:
        raise DayError(
            f"There is no day to load yet: [PARTITIONS] FIRST_DAY = {days.first} is in the"
            " future. Set an earlier one in dwh.cfg."
        )
    return days


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
    outside = [day for day in (first, last) if not valid.holds(day)]
    if outside:
        names = " and ".join(str(day) for day in dict.fromkeys(outside))
        raise DayError(
            f"Outside the platform's days: {names}. They are {valid}; dwh.cfg sets them with"
            " [PARTITIONS] FIRST_DAY and LAST_DAY."
        )
    return DayRange(first, last)
