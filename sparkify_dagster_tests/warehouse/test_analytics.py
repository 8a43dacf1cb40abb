"""The analytics: by hand, by a reference in plain Python, on every engine and after any history."""

import csv
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from sparkify_dagster.catalogue.catalogue import ANALYTICS, read_catalogue
from sparkify_dagster.simulate import Simulation, write_lake
from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.warehouse import (
    DAILY_ANALYTICS,
    FolderLake,
    Json,
    Platform,
    TableRows,
    all_rows,
    assert_same_rows,
    bring_up_to_date,
    event,
    load_all,
    moment,
    rows_of,
    song,
)
from sparkify_dagster_tests.warehouse.histories import (
    DAYS,
    Dice,
    World,
    event_row,
    good_fields,
    song_row,
)
from sparkify_dagster_tests.warehouse.reference_analytics import reference_analytics
from sparkify_dagster_tests.warehouse.reference_star import Event, Song
from sparkify_dagster_tests.warehouse.test_real_data import EXPECTED, LAKE, as_text

pytestmark = pytest.mark.all_questions

CATALOGUE = read_catalogue()
TABLES = sorted(CATALOGUE.tables_of(ANALYTICS))
# A location by itself is that of many.
PERSONAL = {name for table in CATALOGUE.tables.values() for name in table.personal} - {"location"}

# --- what every file says


@pytest.mark.parametrize("table", TABLES)
def test_a_file_asks_a_question_and_says_what_a_row_is(table: str) -> None:
    declared = CATALOGUE.tables[table]
    assert declared.description.endswith("?")
    assert declared.grain
    assert declared.primary_key
    assert all(column.description and not column.nullable for column in declared.columns)


@pytest.mark.parametrize("table", TABLES)
def test_no_table_holds_what_names_a_person(table: str) -> None:
    assert "last_name" in PERSONAL
    assert not PERSONAL & set(CATALOGUE.tables[table].column_names)
    if table != "level_changes":
        assert "user_id" not in CATALOGUE.tables[table].column_names


# --- a lake of awkward cases

THU, FRI, SAT, SUN, MON = (date(2020, 12, 31) + timedelta(n) for n in range(5))
WEEK_LATER, MONTH_LATER = THU + timedelta(7), THU + timedelta(30)
DATES = {"PARTITIONS_FIRST_DAY": THU, "PARTITIONS_LAST_DAY": MONTH_LATER}


def play(
    day: date, hour: int, minute: int, user: int, session: int, item: int, **more: object
) -> Json:
    place: Json = {"userId": str(user), "sessionId": session, "itemInSession": item}
    return event(day, ts=moment(day, hour, minute), **(place | more))


def page(name: str, level: str, minute: int, item: int) -> Json:
    """A page of listener 2, who upgrades and downgrades in one session."""
    return play(MON, 9, minute, 2, 20, item, page=name, level=level, song=None, artist=None)


TWICE = play(THU, 23, 50, 1, 10, 0, song="B-side")
AWKWARD: Mapping[date, Sequence[Json]] = {
    # Listener 1: from one year, day and ISO year 2020 into the next; delivered three times.
    THU: [
        TWICE,
        TWICE,
        play(THU, 12, 0, 3, 30, 0, location=None, song="Échoes "),
        play(THU, 12, 5, 3, 30, 1, location="  ", song="echoes"),
        play(THU, 12, 5, 4, 40, 0, location="Nowhere, NW  ", artist="Abba"),
    ],
    FRI: [TWICE, play(FRI, 0, 10, 1, 10, 1, song="A-side")],
    # Nobody plays anything.
    SAT: [
        play(SAT, 12, 0, 3, 31, 0, page="Home", song=None),
        play(SAT, 12, 0, 3, 31, 1, userId=""),
    ],
    SUN: [play(SUN, 23, 59, 3, 32, 0, song=None)],
    MON: [
        play(MON, 0, 0, 3, 32, 1, artist=None, location="Elsewhere, EW"),
        play(MON, 9, 0, 2, 20, 0, song="Hysteria"),
        page("Upgrade", "free", 1, 1),
        page("Submit Upgrade", "free", 2, 2),
        page("Home", "paid", 3, 3),
        play(MON, 9, 4, 2, 20, 4, level="paid", song="Hysteria"),
        page("Downgrade", "paid", 5, 5),
        page("Downgrade", "paid", 5, 5),
        page("Submit Downgrade", "paid", 6, 6),
        play(MON, 9, 7, 2, 20, 7, song="Hysteria"),
        # Listener 3 pays since the last session.
        play(MON, 13, 0, 3, 33, 0, level="paid", song=""),
        *(play(MON, 20, n, 5, 50, n, song=f"{n:02d}", artist=f"by {n}") for n in range(12)),
    ],
    WEEK_LATER: [play(WEEK_LATER, 8, 0, 1, 11, 0, song="A-side")],
    MONTH_LATER: [play(MONTH_LATER, 8, 0, 4, 41, 0)],
}
SONGS = (
    song(artist_location="Lyon "),
    song(song_id="S2", artist_id="A2", artist_name="by 3", title="03", artist_location=""),
)


def awkward_lake(folder: Path) -> FolderLake:
    lake = FolderLake(folder)
    lake.put_songs("s", *SONGS)
    for day, events in AWKWARD.items():
        lake.put_events(day, *events)
    return lake


@pytest.fixture(scope="module")
def awkward(module_engine: EngineUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    folder = tmp_path_factory.mktemp("awkward")
    platform = module_engine.platform(folder, awkward_lake(folder / "lake").root, **DATES)
    bring_up_to_date(platform)
    return platform


def reference_of(lake: Path) -> TableRows:
    """What the tables must hold, from the files of a lake."""
    return reference_of_files(
        {
            (prefix, path.relative_to(lake / prefix).as_posix()): path.read_bytes()
            for prefix in ("log_data", "song_data")
            for path in (lake / prefix).rglob("*.json")
        }
    )


def reference_of_files(files: Mapping[tuple[str, str], bytes]) -> TableRows:
    events, songs = list[Event](), list[Song]()
    for (prefix, key), content in files.items():
        for line in content.split(b"\n"):
            fields = good_fields(line)
            if fields is not None and prefix == "log_data":
                events.append(event_row(key, fields))
            elif fields is not None:
                songs.append(song_row(key, fields))
    return reference_analytics(events, songs)


@pytest.mark.every_engine
def test_awkward_cases_are_as_the_reference_has_them(awkward: Platform, tmp_path: Path) -> None:
    assert_same_rows(all_rows(awkward, TABLES), reference_of(awkward_lake(tmp_path).root))


def test_an_event_delivered_three_times_is_one_play(awkward: Platform) -> None:
    found = rows_of(awkward, "SELECT song, artist, plays FROM plays_per_song WHERE song = 'B-side'")
    assert found == [("B-side", "Muse", 1)]


def test_songs_with_as_many_plays_stand_in_the_order_of_their_bytes(awkward: Platform) -> None:
    found = rows_of(awkward, "SELECT song, plays FROM top_songs ORDER BY place")
    assert found == [("Hysteria", 3), ("A-side", 2), *((f"{n:02d}", 1) for n in range(8))]
    same = rows_of(awkward, "SELECT artist FROM top_artists WHERE plays = 1 ORDER BY place")
    assert same == [("Abba",), *((f"by {n}",) for n in (0, 1, 10, 11, 2, 3, 4, 5))]


def test_a_session_counts_on_the_day_on_which_it_begins(awkward: Platform) -> None:
    found = rows_of(
        awkward,
        "SELECT sessions, users, plays, minutes_per_session, longest_minutes FROM sessions_per_day"
        f" WHERE day = DATE '{THU}'",
    )
    # 20 minutes over midnight, 5 minutes, and a session of one song.
    assert found == [(3, 3, 5, 25 / 3, 20.0)]
    assert not rows_of(awkward, f"SELECT day FROM sessions_per_day WHERE day = DATE '{FRI}'")


def test_weeks_belong_to_the_year_of_their_thursday(awkward: Platform) -> None:
    found = rows_of(awkward, "SELECT * FROM plays_per_week ORDER BY monday")
    assert found[:2] == [(date(2020, 12, 28), 2020, 53, 6), (MON, 2021, 1, 18)]


def test_plays_of_an_unknown_place_are_no_location(awkward: Platform) -> None:
    found = rows_of(awkward, "SELECT location, plays, users FROM plays_per_location ORDER BY 1")
    assert found == [("Elsewhere, EW", 1, 1), ("Nowhere, NW", 22, 5)]


def test_an_upgrade_and_a_downgrade_in_one_session_are_two_changes(awkward: Platform) -> None:
    changes = rows_of(awkward, "SELECT * FROM level_changes ORDER BY changed_at")
    nine = datetime.fromisoformat(f"{MON}T09:00:00")
    assert changes[:2] == [
        (2, nine + timedelta(minutes=4), "free", "paid", 240 / 86400),
        (2, nine + timedelta(minutes=7), "paid", "free", 180 / 86400),
    ]
    assert rows_of(awkward, "SELECT * FROM before_level_changes ORDER BY from_level, pages") == [
        ("free", "paid", "(another session)", 1, 0.5),
        ("free", "paid", "NextSong > Upgrade > Submit Upgrade", 1, 0.5),
        ("paid", "free", "NextSong > Downgrade > Submit Downgrade", 1, 1.0),
    ]


def test_windows_of_listeners_end_when_they_should(awkward: Platform) -> None:
    rows = rows_of(awkward, "SELECT * FROM active_listeners ORDER BY day")
    assert len(rows) == 31
    by_day = {row[0]: row[1:] for row in rows}
    assert by_day[SAT] == (0, 3, 3)  # a day without plays
    assert by_day[THU + timedelta(6)] == (0, 5, 5)
    assert by_day[WEEK_LATER] == (1, 4, 5)  # 4 played 7 days ago, 1 plays again
    assert by_day[MONTH_LATER - timedelta(1)] == (0, 0, 5)
    assert by_day[MONTH_LATER] == (1, 1, 5)  # 30 days after the first play, and again


def test_a_cohort_has_a_row_for_each_week_with_plays(awkward: Platform) -> None:
    cohort = date(2020, 12, 28)
    found = rows_of(awkward, "SELECT * FROM weekly_retention ORDER BY 1, 2")
    assert found == [
        (cohort, 0, 3, 3, 1.0),
        (cohort, 1, 2, 3, 2 / 3),
        (cohort, 4, 1, 3, 1 / 3),
        (MON, 0, 2, 2, 1.0),
        (MON, 3, 0, 2, 0.0),
    ]


def test_the_plays_that_the_catalogue_knows_are_reported_by_day(awkward: Platform) -> None:
    found = rows_of(awkward, "SELECT * FROM songplays_per_day ORDER BY log_date")
    assert found[0] == (THU, 4, 3, 0, 0.0)
    assert found[3] == (MON, 17, 3, 1, 1 / 17)
    assert rows_of(awkward, "SELECT * FROM plays_per_artist_location") == [("Lyon", 1, 1)]


# --- other lakes, and what happens to them

SIMULATED = Simulation(date(2018, 11, 1), days=12, users=60, songs=60, events_per_day=400, seed=2)


@pytest.mark.slow
def test_a_simulated_lake_is_as_the_reference_has_it(
    engine: EngineUnderTest, tmp_path: Path
) -> None:
    write_lake(tmp_path / "lake", SIMULATED)
    platform = engine.platform(tmp_path, tmp_path / "lake")
    bring_up_to_date(platform)
    found = all_rows(platform, TABLES)
    assert [table for table in TABLES if not found[table]] == []
    assert_same_rows(found, reference_of(tmp_path / "lake"))


@pytest.mark.slow
def test_what_comes_late_changes_its_day_alone_and_ends_in_the_same_tables(
    platform: Platform, folder_lake: FolderLake
) -> None:
    first, late, last = DAYS[:3]
    folder_lake.put_events(first, event(first, page="Home"))
    bring_up_to_date(platform)
    assert set(map(len, all_rows(platform, TABLES).values())) == {0}
    for day, level in ((first, "free"), (last, "paid")):
        folder_lake.put_events(day, event(day, level="paid"), event(day, userId="2", level=level))
    bring_up_to_date(platform)
    assert_same_rows(all_rows(platform, TABLES), reference_of(folder_lake.root))
    folder_lake.put_events(
        late, event(late, userId="9", song="Other"), event(late, itemInSession=1, song="Other")
    )
    folder_lake.put_songs("s", song(title="Other"))
    load_all(platform)
    reports = {table: platform.refresh(table) for table in platform.catalogue.transforms}
    for table in DAILY_ANALYTICS:
        report = reports[table]
        assert (report.full, report.rows_added, report.rows_removed) == (False, 1, 0)
        assert report.rows_by_day == {late: 1}
    changes = reports["level_changes"]
    # There and back again; what listener 2 changed is left alone.
    assert (changes.full, changes.rows_added, changes.rows_removed) == (False, 2, 0)
    assert_same_rows(all_rows(platform, TABLES), reference_of(folder_lake.root))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "seed"),
    [("duckdb", 0), ("duckdb", 1), ("postgres", 0), ("redshift", 0)],
    indirect=["engine"],
)
def test_any_history_ends_in_the_tables_of_the_reference(
    engine: EngineUnderTest, tmp_path: Path, seed: int
) -> None:
    dice = Dice(seed)
    world = World(engine, tmp_path)
    for _ in range(3):
        for prefix in ("log_data", "log_data", "log_data", "song_data"):
            world.play([("file", prefix, dice.key(prefix), dice.content(prefix))])
        world.play(dice.history(2))
        world.up()
    assert_same_rows(all_rows(world.platform, TABLES), reference_of_files(world.loaded))


# --- the real days


@pytest.mark.slow
@pytest.mark.every_engine
@pytest.mark.skipif(not LAKE.is_dir(), reason="absent here: the real data, ../shared/data")
def test_the_real_days_give_the_expected_results(engine: EngineUnderTest, tmp_path: Path) -> None:
    platform = engine.platform(tmp_path, LAKE)
    bring_up_to_date(platform)
    compared = []
    for table in TABLES:
        path = EXPECTED / f"{table}.csv"
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                header, *expected = list(csv.reader(file))
            found = rows_of(platform, f"SELECT {', '.join(header)} FROM {table}")
            assert sorted([as_text(v) for v in row] for row in found) == sorted(expected), table
            compared.append(table)
    assert len(compared) == 9
    assert_same_rows(all_rows(platform, TABLES), reference_of(LAKE))
