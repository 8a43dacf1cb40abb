"""Days and ranges: what is a day of the platform, and what each refusal says."""

from datetime import UTC, date, datetime, timedelta

import pytest

from sparkify_dagster.defs.partitions import daily_partitions
from sparkify_dagster.settings.days import DayError, DayRange, all_days, check_range, parse_day
from sparkify_dagster.settings.sections import PartitionSettings

NOVEMBER = PartitionSettings(date(2018, 11, 1), date(2018, 11, 30))
OPEN_END = PartitionSettings(date(2018, 11, 1), None)


def today() -> date:
    return datetime.now(UTC).date()


def test_the_first_and_the_last_day_are_partitions() -> None:
    keys = daily_partitions(NOVEMBER).get_partition_keys()
    assert (keys[0], keys[-1], len(keys)) == ("2018-11-01", "2018-11-30", 30)


def test_today_is_a_partition_where_no_last_day_is_set() -> None:
    assert daily_partitions(OPEN_END).get_last_partition_key() == today().isoformat()


@pytest.mark.parametrize("days", [-1, 0, 1, 400])
def test_the_partitions_are_all_days_wherever_the_last_day_is(days: int) -> None:
    settings = PartitionSettings(today() - timedelta(9), today() + timedelta(days))
    keys = daily_partitions(settings).get_partition_keys()
    assert [date.fromisoformat(key) for key in keys] == list(all_days(settings).days())


def test_equal_settings_share_one_definition() -> None:
    again = PartitionSettings(date(2018, 11, 1), date(2018, 11, 30))
    assert daily_partitions(again) is daily_partitions(NOVEMBER)


@pytest.mark.parametrize(
    "text", ["yesterday", "2018-13-01", "20181101", "2018-11-1", "", "2018-W44-4"]
)
def test_what_is_not_a_day_is_refused_with_the_form_of_one(text: str) -> None:
    with pytest.raises(DayError, match="is not a day: write YYYY-MM-DD"):
        parse_day(text)


def test_a_reversed_range_is_refused() -> None:
    with pytest.raises(DayError, match="reversed: 2018-11-03 is after 2018-11-02"):
        check_range(date(2018, 11, 3), date(2018, 11, 2), NOVEMBER)


@pytest.mark.parametrize(
    ("first", "last", "named"),
    [
        ("2018-10-31", "2018-11-02", "2018-10-31"),
        ("2018-11-30", "2018-12-01", "2018-12-01"),
        ("2017-01-01", "2019-01-01", "2017-01-01 and 2019-01-01"),
    ],
)
def test_days_outside_are_named_with_the_days_there_are(first: str, last: str, named: str) -> None:
    with pytest.raises(DayError) as refusal:
        check_range(parse_day(first), parse_day(last), NOVEMBER)
    assert f"Outside the platform's days: {named}." in str(refusal.value)
    assert "2018-11-01 to 2018-11-30" in str(refusal.value)


def test_tomorrow_is_outside() -> None:
    with pytest.raises(DayError, match="Outside"):
        check_range(today(), today() + timedelta(1), OPEN_END)


def test_a_first_day_to_come_is_no_day_at_all() -> None:
    with pytest.raises(DayError, match=r"FIRST_DAY = .* is in the future"):
        all_days(PartitionSettings(today() + timedelta(2), None))


def test_a_range_is_every_day_between_its_ends() -> None:
    days = DayRange(date(2020, 2, 28), date(2020, 3, 1))
    assert [day.day for day in days.days()] == [28, 29, 1]
    assert str(days) == "2020-02-28 to 2020-03-01"
