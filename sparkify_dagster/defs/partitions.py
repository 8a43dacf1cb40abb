"""The days of the platform as Dagster partitions, and ranges of days as tags of a run.

Dagster does not validate the tags of a range run (a reversed range "succeeds"), so every range goes
through `settings.days.check_range` before it is launched.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache

import dagster as dg

from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.settings.sections import PartitionSettings

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


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


def range_tags(days: DayRange) -> dict[str, str]:
    """The tags that make one Dagster run load the whole range."""
    return {RANGE_START_TAG: days.first.isoformat(), RANGE_END_TAG: days.last.isoformat()}


def range_of_keys(keys: Sequence[str]) -> DayRange:
    """The range that a run's partition keys span; Dagster gives them in order, without gaps."""
    return DayRange(date.fromisoformat(keys[0]), date.fromisoformat(keys[-1]))
