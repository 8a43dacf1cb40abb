"""The rules of the star by example; `test_promises` holds them against random histories."""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    FolderLake,
    Platform,
    bring_up_to_date,
    event,
    moment,
    rows_of,
    song,
)

SECOND = FIRST + timedelta(1)
THIRD = FIRST + timedelta(2)


def noon(day: object) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00:00")


def test_an_event_delivered_twice_is_one_play_of_its_earliest_day(
    platform: Platform, folder_lake: FolderLake
) -> None:
    folder_lake.put_events(SECOND, event(FIRST, level="paid"), name="again")
    bring_up_to_date(platform)
    plays = "SELECT log_date, level FROM songplays"
    assert rows_of(platform, plays) == [(SECOND, "paid")]
    folder_lake.put_events(FIRST, event(FIRST), event(FIRST))
    bring_up_to_date(platform)
    assert rows_of(platform, plays) == [(FIRST, "free")]
    folder_lake.put_events(FIRST)  # the first delivery is taken back
    bring_up_to_date(platform)
    assert rows_of(platform, plays) == [(SECOND, "paid")]


@pytest.mark.every_engine
def test_the_identity_of_a_play_is_stable(platform: Platform, folder_lake: FolderLake) -> None:
    folder_lake.put_events(FIRST, event(userId="10", sessionId=182, itemInSession=3))
    bring_up_to_date(platform)
    key = f"10/182/3/{moment(FIRST)}"
    expected = hashlib.md5(key.encode()).hexdigest()
    assert rows_of(platform, "SELECT songplay_id FROM songplays") == [(expected,)]


@pytest.mark.parametrize(
    "nobody", [event(userId=""), event(userId=None), event(page="Home"), event(page="nextsong")]
)
def test_only_songs_of_identified_listeners_are_plays(
    nobody: dict[str, object], platform: Platform, folder_lake: FolderLake
) -> None:
    folder_lake.put_events(FIRST, nobody)
    bring_up_to_date(platform)
    for table in ("songplays", "users", "user_levels", "time"):
        assert rows_of(platform, f"SELECT * FROM {table}") == []


@pytest.mark.parametrize(
    ("played", "matched"),
    [
        ({}, True),
        ({"song": "Undo  ", "artist": "Muse "}, True),
        ({"song": " Undo"}, False),
        ({"song": "undo"}, False),
        ({"length": 200.49}, False),
        ({"artist": "Abba"}, False),
        ({"song": None}, False),
        ({"length": None}, False),
    ],
)
def test_a_play_matches_by_title_artist_and_duration(
    played: dict[str, object], matched: bool, platform: Platform, folder_lake: FolderLake
) -> None:
    folder_lake.put_songs("s", song())
    folder_lake.put_events(FIRST, event(**played))
    bring_up_to_date(platform)
    expected = ("S1", "A1") if matched else (None, None)
    assert rows_of(platform, "SELECT song_id, artist_id FROM songplays") == [expected]


def test_of_several_songs_that_match_the_smallest_id_is_taken_and_the_play_is_one(
    platform: Platform, folder_lake: FolderLake
) -> None:
    folder_lake.put_events(FIRST, event())
    for name, song_id, artist_id in (("b", "S2", "A1"), ("a", "S1", "A9"), ("c", "S1", "A3")):
        folder_lake.put_songs(name, song(song_id=song_id, artist_id=artist_id))
        bring_up_to_date(platform)
    assert rows_of(platform, "SELECT song_id, artist_id FROM songplays") == [("S1", "A3")]


@pytest.mark.every_engine
def test_a_song_that_comes_after_its_plays_is_matched_in_the_affected_days_only(
    platform: Platform, folder_lake: FolderLake
) -> None:
    folder_lake.put_events(FIRST, event(FIRST))
    folder_lake.put_events(SECOND, event(SECOND, song="Hysteria"))
    folder_lake.put_events(THIRD, event(THIRD))
    bring_up_to_date(platform)
    folder_lake.put_songs("s", song())
    platform.load("staging_songs", days=None, reload=False, run_id="r")
    report = platform.refresh("songplays")
    assert report.rows_by_day == {FIRST: 1, THIRD: 1}
    assert {r.table for r in report.also_refreshed} == {"songs", "artists"}
    found = rows_of(platform, "SELECT log_date, song_id FROM songplays ORDER BY 1")
    assert found == [(FIRST, "S1"), (SECOND, None), (THIRD, "S1")]
    folder_lake.put_songs("s", song(title="Hysteria"))
    bring_up_to_date(platform)
    found = rows_of(platform, "SELECT log_date, song_id FROM songplays ORDER BY 1")
    assert found == [(FIRST, None), (SECOND, "S1"), (THIRD, None)]


@pytest.mark.every_engine
def test_a_level_change_learnt_late_splits_a_period(
    platform: Platform, folder_lake: FolderLake
) -> None:
    folder_lake.put_events(FIRST, event(FIRST))
    folder_lake.put_events(THIRD, event(THIRD))
    bring_up_to_date(platform)
    periods = "SELECT level, valid_from, valid_to, is_current FROM user_levels ORDER BY valid_from"
    assert rows_of(platform, periods) == [("free", noon(FIRST), None, True)]
    folder_lake.put_events(SECOND, event(SECOND, level="paid"))
    bring_up_to_date(platform)
    assert rows_of(platform, periods) == [
        ("free", noon(FIRST), noon(SECOND), False),
        ("paid", noon(SECOND), noon(THIRD), False),
        ("free", noon(THIRD), None, True),
    ]
    folder_lake.put_events(SECOND, event(SECOND))
    bring_up_to_date(platform)
    assert rows_of(platform, periods) == [("free", noon(FIRST), None, True)]


def test_an_older_event_does_not_change_a_listener(
    platform: Platform, folder_lake: FolderLake
) -> None:
    folder_lake.put_events(SECOND, event(SECOND, lastName="New", level="paid"))
    bring_up_to_date(platform)
    folder_lake.put_events(THIRD, event(FIRST, lastName="Old"))
    bring_up_to_date(platform)
    listener = "SELECT last_name, level FROM users"
    assert rows_of(platform, listener) == [("New", "paid")]
    folder_lake.put_events(SECOND)
    bring_up_to_date(platform)
    assert rows_of(platform, listener) == [("Old", "free")]
    folder_lake.put_events(THIRD)
    bring_up_to_date(platform)
    assert rows_of(platform, listener) == []


def test_the_most_frequent_spelling_of_an_artist_wins_with_its_own_place(
    platform: Platform, folder_lake: FolderLake
) -> None:
    folder_lake.put_songs("a", song(artist_name="Mûse", artist_location="Paris"))
    folder_lake.put_songs("b", song(artist_name="Muse", artist_location=""))
    bring_up_to_date(platform)
    artist = "SELECT name, location, latitude FROM artists"
    assert rows_of(platform, artist) == [("Muse", None, None)]
    folder_lake.put_songs("c", song(artist_name="Mûse", artist_latitude=1.5))
    bring_up_to_date(platform)
    assert rows_of(platform, artist) == [("Mûse", "Paris", None)]


@pytest.mark.every_engine
def test_time_is_utc_with_iso_weeks_and_sunday_as_zero(
    engine: EngineUnderTest, folder_lake: FolderLake, tmp_path: Path
) -> None:
    platform = engine.platform(tmp_path, folder_lake.root, LOAD_MAX_HOURS_AHEAD=2000)
    ts = 1_546_213_500_123  # Sunday 2018-12-30 23:45:00.123, in the last ISO week of 2018
    folder_lake.put_events(FIRST, event(ts=ts), event(ts=ts + 86_400_000))
    bring_up_to_date(platform)
    assert rows_of(platform, "SELECT * FROM time ORDER BY 1") == [
        (datetime.fromisoformat("2018-12-30T23:45:00.123"), 23, 30, 52, 12, 2018, 0),
        (datetime.fromisoformat("2018-12-31T23:45:00.123"), 23, 31, 1, 12, 2018, 1),
    ]


@pytest.mark.every_engine
def test_only_blanks_are_trimmed_where_songs_are_matched(
    platform: Platform, folder_lake: FolderLake
) -> None:
    other = song(song_id="S0", title="Waterloo\N{NO-BREAK SPACE}")
    folder_lake.put_songs("s", other, song(song_id="S2", title="Waterloo  "))
    folder_lake.put_events(FIRST, event(song="Waterloo"))
    bring_up_to_date(platform)
    assert rows_of(platform, "SELECT song_id FROM songplays") == [("S2",)]
