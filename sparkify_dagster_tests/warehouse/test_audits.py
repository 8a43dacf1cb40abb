"""Checks: each is seen failing on data that breaks its rule, and a blocking one rolls back.

`BAD_DATA` says, for every check of the catalogue, what breaks it; a new check needs a case here.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from sparkify_dagster.catalogue.catalogue import ANALYTICS, STAR, read_catalogue
from sparkify_dagster.catalogue.check import Check, Severity
from sparkify_dagster.catalogue.lake_checks import NOTHING_HELD_BACK
from sparkify_dagster.engines.base import Session
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse import AuditFailedError, Platform, WarehouseError
from sparkify_dagster.warehouse.checks.run_checks import run_check
from sparkify_dagster_tests.fixtures.dagster import link_files
from sparkify_dagster_tests.fixtures.engines import ENGINES, EngineUnderTest
from sparkify_dagster_tests.fixtures.warehouse import (
    FEW_QUESTIONS,
    FIRST,
    FolderLake,
    TableRows,
    all_rows,
    bring_up_to_date,
    event,
    everything,
    few_questions_sql,
    lines,
    load_all,
    rows_of,
    song,
)

CATALOGUE = read_catalogue()
DAYS = [FIRST + timedelta(n) for n in range(10)]
DAY = DAYS[-1]
"""The day whose data are spoilt."""

ON_DAY = f"log_date = DATE '{DAY}'"
ONE_PLAY = f"songplay_id = (SELECT MIN(songplay_id) FROM songplays WHERE {ON_DAY})"
KEY = f"'{DAY:%Y/%m}/{DAY}-events.json'"

BAD_DATA: dict[tuple[str, str], list[str]] = {
    ("artists", "complete"): ["DELETE FROM artists WHERE artist_id = 'A1'"],
    ("songs", "complete"): ["DELETE FROM songs WHERE song_id = 'S1'"],
    ("songs", "references_artists"): ["UPDATE songs SET artist_id = 'A?' WHERE song_id = 'S1'"],
    ("staging_events", "accepted_gender"): [
        f"UPDATE staging_events SET gender = 'X' WHERE {ON_DAY}"
    ],
    ("staging_events", "usual_plays"): [
        f"UPDATE staging_events SET user_id = NULL WHERE {ON_DAY}",
        f"UPDATE staging_events SET artist = NULL WHERE {ON_DAY}",
    ],
    ("staging_events", "accepted_level"): [f"UPDATE staging_events SET level = 'x' WHERE {ON_DAY}"],
    ("staging_events", "lines_accounted"): [
        f"DELETE FROM staging_events WHERE {ON_DAY}",
        f"UPDATE load_files SET lines = lines + 1 WHERE key = {KEY}",
        f"UPDATE load_files SET rows = rows - 1, rejects = 1 WHERE key = {KEY}",
        f"INSERT INTO load_rejects VALUES ('staging_events', {KEY}, 9, 'bad', NULL)",
    ],
    ("staging_events", "no_rejects"): [
        f"INSERT INTO load_rejects VALUES ('staging_events', {KEY}, 9, 'bad', NULL)"
    ],
    ("staging_events", "no_unknown_keys"): [
        f"INSERT INTO unknown_keys VALUES ('staging_events', {KEY}, 'device', 2)"
    ],
    ("staging_events", "usual_volume"): [
        f"UPDATE load_files SET rows = rows * 5 WHERE key = {KEY}",
        f"UPDATE load_files SET rows = 0 WHERE key = {KEY}",
    ],
    ("staging_songs", "lines_accounted"): [
        "DELETE FROM staging_songs WHERE song_id = 'S1'",
        "UPDATE load_files SET lines = 7 WHERE table_name = 'staging_songs'",
        "INSERT INTO load_rejects VALUES ('staging_songs', 'A/s.json', 9, 'bad', NULL)",
    ],
    ("staging_songs", "no_rejects"): [
        "INSERT INTO load_rejects VALUES ('staging_songs', 'A/s.json', 9, 'bad', NULL)"
    ],
    ("staging_songs", "no_unknown_keys"): [
        "INSERT INTO unknown_keys VALUES ('staging_songs', 'A/s.json', 'isrc', 2)"
    ],
    ("users", "accepted_gender"): ["UPDATE users SET gender = 'X' WHERE user_id = 1"],
    ("users", "accepted_level"): ["UPDATE users SET level = 'gold' WHERE user_id = 1"],
    ("songplays", "accepted_level"): [f"UPDATE songplays SET level = 'gold' WHERE {ONE_PLAY}"],
    ("songplays", "references_time"): [
        f"UPDATE songplays SET start_time = start_time + INTERVAL '1 second' WHERE {ONE_PLAY}"
    ],
    ("songplays", "references_users"): [f"UPDATE songplays SET user_id = 9 WHERE {ONE_PLAY}"],
    ("songplays", "references_songs"): [f"UPDATE songplays SET song_id = 'S?' WHERE {ONE_PLAY}"],
    ("songplays", "references_artists"): [
        f"UPDATE songplays SET artist_id = 'A?' WHERE {ONE_PLAY}"
    ],
    ("songplays", "match_rate"): [f"UPDATE songplays SET song_id = NULL WHERE {ON_DAY}"],
    ("songplays", "one_play_per_event"): [
        f"DELETE FROM songplays WHERE {ONE_PLAY}",
        f"DELETE FROM songplays WHERE {ON_DAY}",
        f"INSERT INTO songplays SELECT * FROM songplays WHERE {ONE_PLAY}",
    ],
    ("user_levels", "references_users"): ["UPDATE user_levels SET user_id = 9 WHERE user_id = 1"],
    ("user_levels", "accepted_level"): ["UPDATE user_levels SET level = 'x' WHERE user_id = 1"],
    ("user_levels", "agrees_with_users"): [
        "UPDATE users SET level = 'gold' WHERE user_id = 1",
        "DELETE FROM users WHERE user_id = 1",
    ],
    ("user_levels", "unbroken_periods"): [
        "UPDATE user_levels SET level = 'free' WHERE user_id = 1",
        "UPDATE user_levels SET is_current = true WHERE user_id = 1",
        "UPDATE user_levels SET is_current = false WHERE user_id = 1",
        "UPDATE user_levels SET valid_to = NULL WHERE user_id = 1",
        "UPDATE user_levels SET valid_to = valid_from WHERE valid_to IS NOT NULL",
        "DELETE FROM user_levels WHERE user_id = 1 AND is_current",
    ],
    ("songplays_per_day", "all_plays"): [
        f"UPDATE songplays_per_day SET songplays = songplays + 1 WHERE {ON_DAY}",
        f"DELETE FROM songplays_per_day WHERE {ON_DAY}",
    ],
    ("levels_per_day", "all_plays"): [
        f"UPDATE levels_per_day SET plays = plays + 1 WHERE {ON_DAY} AND level = 'paid'",
        f"DELETE FROM levels_per_day WHERE {ON_DAY}",
    ],
    ("levels_per_day", "accepted_level"): [
        f"UPDATE levels_per_day SET level = 'gold' WHERE {ON_DAY} AND level = 'paid'"
    ],
    ("level_changes", "references_users"): ["UPDATE level_changes SET user_id = 9"],
    ("level_changes", "two_levels"): ["UPDATE level_changes SET from_level = to_level"],
    ("active_listeners", "every_day"): [f"DELETE FROM active_listeners WHERE day = DATE '{DAY}'"],
    ("active_listeners", "wider_windows"): [
        "UPDATE active_listeners SET users_7_days = 0",
        "UPDATE active_listeners SET users_30_days = 1",
        "UPDATE active_listeners SET users = -1",
    ],
    ("new_and_returning_listeners", "new_once"): [
        "UPDATE new_and_returning_listeners SET new_users = 1"
    ],
    ("weekly_retention", "whole_at_first"): [
        "UPDATE weekly_retention SET users = 1 WHERE weeks_since = 0",
        "UPDATE weekly_retention SET share = 0.5 WHERE weeks_since = 0",
        "UPDATE weekly_retention SET share = 1.5 WHERE weeks_since = 1",
        "UPDATE weekly_retention SET weeks_since = -1 WHERE weeks_since = 1",
    ],
    ("before_level_changes", "all_changes"): [
        "UPDATE before_level_changes SET changes = 2",
        "DELETE FROM before_level_changes",
    ],
} | {
    (table, "all_plays"): [f"UPDATE {table} SET plays = plays + 1"]
    for table in (
        "plays_per_level", "plays_per_location", "plays_per_song", "plays_per_week",
        "plays_per_weekday_hour", "sessions_per_day",
    )
} | {
    (table, f"accepted_{column}"): [f"UPDATE {table} SET {column} = 'gold'"]
    for table, column in (
        ("plays_per_level", "level"), ("level_changes", "from_level"),
        ("level_changes", "to_level"), ("before_level_changes", "from_level"),
        ("before_level_changes", "to_level"),
    )
}  # fmt: skip
"""Statements by table and check; each alone breaks the rule, on DAY where the check is by day."""

BAD_LAKE: dict[tuple[str, str], Callable[[FolderLake], object]] = {
    ("staging_events", "ledger_current"): lambda lake: lake.put_events(DAY, event(DAY)),
    ("staging_events", "no_files_gone"): lambda lake: (
        lake.root / "log_data" / KEY.strip("'")
    ).unlink(),
    ("staging_songs", "ledger_current"): lambda lake: lake.put_songs("new", song()),
    ("staging_songs", "no_files_gone"): lambda lake: (
        lake.root / "song_data" / "A/s.json"
    ).unlink(),
}


def bad_data(check: Check) -> list[str]:
    """The cases of a check; those of keys and NOT NULL follow from the table."""
    table = CATALOGUE.tables[check.table]
    if check.name == "not_null":
        required = [column.name for column in table.columns if not column.nullable]
        if CATALOGUE.layer_of(table.name) == ANALYTICS:
            required = required[-1:]  # one column of each will do: the check is derived
        where = f"WHERE {ON_DAY}" if check.by_day else ""
        # A table made of a query has no NOT NULL, and Redshift cannot take one back.
        return [
            f"ALTER TABLE {table.name} RENAME TO kept;"
            f"CREATE TABLE {table.name} AS SELECT * FROM kept;"
            f"UPDATE {table.name} SET {name} = NULL {where}"
            for name in required
        ]
    if check.name == "unique_key":
        where = f"WHERE {ON_DAY}" if check.by_day else ""
        first = f"ORDER BY {', '.join(table.primary_key)} LIMIT 1"
        return [f"INSERT INTO {table.name} SELECT * FROM {table.name} {where} {first}"]
    return BAD_DATA[check.table, check.name]


def cases() -> Iterator[tuple[str, ParameterSet]]:
    """Every case, with the kind of its check."""
    for check in CATALOGUE.checks:
        if (check.table, check.name) in BAD_LAKE or check.name == NOTHING_HELD_BACK:
            continue  # the latter needs a load that held something back: test_held_back
        derived = check.name.startswith(("accepted_", "references_"))
        kind = check.name.partition("_")[0] if derived else check.name
        for number, sql in enumerate(bad_data(check)):
            yield kind, pytest.param(check, sql, id=f"{check.table}-{check.name}-{number}")


CASES = [case for _, case in cases()]
ONE_OF_EACH_KIND = list(dict(reversed(list(cases()))).values())
# Named apart from what it is combined with: otherwise pytest would load a warehouse for each case.
ON_SERVERS = pytest.mark.parametrize("module_engine", ENGINES[1:], indirect=True, scope="module")


@pytest.fixture(scope="module")
def good_lake(tmp_path_factory: pytest.TempPathFactory) -> FolderLake:
    """Ten days; listener 1 becomes paid on the last, where one line of a hundred is bad."""
    lake = FolderLake(tmp_path_factory.mktemp("audits") / "lake")
    lake.put_songs(
        "s", song(artist_location="Lyon"), song(song_id="S2", artist_id="A2", title="Hysteria")
    )
    for day in DAYS:
        level = "paid" if day == DAY else "free"
        lake.put_events(
            day,
            event(day, level=level),
            event(day, userId="2", itemInSession=1),
            event(day, userId="2", page="Home"),
        )
    return lake


@pytest.fixture(scope="module")
def good(
    module_engine: EngineUnderTest,
    good_lake: FolderLake,
    tmp_path_factory: pytest.TempPathFactory,
) -> Platform:
    """A warehouse without fault; what a test does to it, it undoes."""
    folder = tmp_path_factory.mktemp("good")
    platform = module_engine.platform(folder, good_lake.root, CATALOGUE)
    bring_up_to_date(platform)
    # One reject, so that the quarantine has a row to spoil, and that is accounted for.
    key = KEY.replace(str(DAY), str(DAYS[0]))
    with platform.warehouse.write(print) as session:
        session.execute(f"UPDATE load_files SET lines = lines + 1, rejects = 1 WHERE key = {key}")
        session.execute(f"INSERT INTO load_rejects VALUES ('staging_events', {key}, 9, 'bad', 'x')")
    return platform


@pytest.mark.slow
@pytest.mark.every_engine
def test_every_check_passes_on_good_data(good: Platform) -> None:
    failed = [c for c in good.catalogue.checks if not good.run_check(c).passed]
    assert [(c.table, c.name) for c in failed] == [("staging_events", "no_rejects")]


def test_every_case_is_that_of_a_check() -> None:
    known = {(check.table, check.name) for check in CATALOGUE.checks}
    assert not (BAD_DATA.keys() | BAD_LAKE.keys()) - known


@pytest.mark.parametrize(("check", "sql"), CASES)
def test_a_check_finds_what_breaks_its_rule(check: Check, sql: str, good: Platform) -> None:
    assert_found(check, sql, good)


@ON_SERVERS
@pytest.mark.parametrize(("check", "sql"), ONE_OF_EACH_KIND)
def test_a_check_of_each_kind_finds_it_on_servers(check: Check, sql: str, good: Platform) -> None:
    assert_found(check, sql, good)


def assert_found(check: Check, sql: str, good: Platform) -> None:
    """In the whole table, in the days asked for, and among what a transaction changed."""
    with undone(good) as session:
        before = run_check(session, check).offending
        for statement in sql.split(";"):
            session.execute(statement)
        outcome = run_check(session, check)
        assert outcome.offending > before
        assert outcome.sample.rows
        assert outcome.failed_hard == (check.severity is Severity.ERROR)
        if check.by_day and "SET log_date" not in sql:
            assert outcome.offending_by_day[DAY] == outcome.offending - before
            assert sum(outcome.offending_by_day.values()) == outcome.offending
            assert "log_date" in outcome.sample.columns
            assert run_check(session, check, days=DayRange(DAY, DAY)).offending_by_day.keys() == {
                DAY
            }
            assert run_check(session, check, days=DayRange(DAYS[1], DAYS[-2])).passed
        # The key of what changed is NOT NULL by the table's own constraint.
        if not any(f"SET {key} = NULL" in sql for key in SCOPES):
            for statement in EVERYTHING_CHANGED:
                session.execute(statement)
            assert run_check(session, check, changed_only=True).offending


@contextmanager
def undone(platform: Platform) -> Iterator[Session]:
    """A transaction of which nothing stays."""
    with suppress(Undo), platform.warehouse.write(lambda _: None) as session:
        yield session
        raise Undo


class Undo(Exception):
    """Ends a transaction without a commit."""


SCOPES = ("key", "log_date", "source_file", "user_id", "start_time", "song_id", "artist_id")
EVERYTHING_CHANGED = (
    "INSERT INTO loading SELECT 'any', key, 'any', day FROM load_files WHERE key IS NOT NULL",
    f"INSERT INTO pending_songplays VALUES (DATE '{DAY}')",
    "INSERT INTO pending_users SELECT user_id, TIMESTAMP '2000-01-01 00:00:00' FROM users",
    "INSERT INTO pending_users VALUES (1, TIMESTAMP '2000-01-01 00:00:00')",
    "INSERT INTO pending_user_levels VALUES (1, TIMESTAMP '2000-01-01 00:00:00'), "
    "(9, TIMESTAMP '2000-01-01 00:00:00')",
    "INSERT INTO pending_time SELECT start_time FROM time WHERE start_time IS NOT NULL",
    "INSERT INTO pending_songs VALUES ('S1'), ('S2')",
    "INSERT INTO pending_artists VALUES ('A1'), ('A2')",
    f"INSERT INTO pending_songplays_per_day VALUES (DATE '{DAY}')",
    f"INSERT INTO pending_levels_per_day VALUES (DATE '{DAY}')",
    "INSERT INTO pending_level_changes VALUES (1), (9)",
)


@pytest.fixture(scope="module")
def kept_files(tmp_path_factory: pytest.TempPathFactory) -> FolderLake:
    """The files that the lake below is made of."""
    lake = FolderLake(tmp_path_factory.mktemp("kept") / "lake")
    lake.put_songs("s", song())
    for day in (FIRST, DAY):
        lake.put_events(day, event(day), event(day))
    return lake


@pytest.fixture(scope="module")
def over_links(
    module_engine: EngineUnderTest,
    kept_files: FolderLake,
    tmp_path_factory: pytest.TempPathFactory,
) -> Platform:
    """A warehouse whose lake is made of links, so that each test can have it whole again."""
    folder = tmp_path_factory.mktemp("linked")
    link_files(kept_files.root, folder / "lake")
    platform = module_engine.platform(folder, folder / "lake")
    bring_up_to_date(platform)
    return platform


@pytest.fixture
def linked_lake(over_links: Platform, kept_files: FolderLake) -> FolderLake:
    root = Path(over_links.lake_uri("staging_events")).parent
    shutil.rmtree(root)
    link_files(kept_files.root, root)
    return FolderLake(root)


@pytest.mark.every_engine
@pytest.mark.parametrize("case", BAD_LAKE)
def test_a_check_of_the_lake_finds_what_breaks_its_rule(
    case: tuple[str, str], over_links: Platform, linked_lake: FolderLake
) -> None:
    platform = over_links
    (check,) = (c for c in platform.catalogue.checks if (c.table, c.name) == case)
    assert platform.run_check(check).passed
    BAD_LAKE[case](linked_lake)
    outcome = platform.run_check(check)
    assert (outcome.offending, len(outcome.sample.rows)) == (1, 1)
    if check.by_day:
        assert outcome.offending_by_day == {DAY: 1}
        assert platform.run_check(check, DayRange(FIRST, FIRST)).passed


@pytest.fixture
def sql_folder(tmp_path: Path) -> Path:
    return few_questions_sql(tmp_path / "sql")


def always_failing(sql_folder: Path, table: str, *, severity: str = "error") -> Path:
    path = sql_folder / "checks" / table / "never_right.sql"
    path.parent.mkdir(exist_ok=True)
    daily = CATALOGUE.is_daily(table)
    path.write_text(
        f"-- It is never right.\n-- severity: {severity}\n"
        f"SELECT {'log_date, ' if daily else ''}'wrong' AS why FROM {table}\n",
        encoding="utf-8",
    )
    return path


def change(lake: FolderLake) -> None:
    """Every table has something to do afterwards."""
    lake.put_songs("s", song(title="Hysteria"), song(song_id="S2", artist_id="A2"))
    lake.put_events(FIRST, event(level="paid"), event(userId="2", ts=1541080000000))


@pytest.fixture(scope="module")
def fresh_rows(
    module_engine: EngineUnderTest, tmp_path_factory: pytest.TempPathFactory
) -> TableRows:
    """What a warehouse holds that never knew the lake before its change."""
    folder = tmp_path_factory.mktemp("fresh")
    lake = FolderLake(folder / "lake")
    change(lake)
    platform = module_engine.platform(folder, lake.root)
    bring_up_to_date(platform)
    return all_rows(platform)


@pytest.mark.slow
@pytest.mark.parametrize("table", [*CATALOGUE.tables_of(STAR), *FEW_QUESTIONS])
def test_a_failed_audit_keeps_the_old_rows_and_the_work_for_the_next_run(
    table: str,
    module_engine: EngineUnderTest,
    fresh_rows: TableRows,
    tmp_path: Path,
    sql_folder: Path,
) -> None:
    assert_kept_until_mended(table, module_engine, fresh_rows, tmp_path, sql_folder)


@pytest.mark.slow
@ON_SERVERS
@pytest.mark.parametrize("table", ["users", "songplays"])
def test_a_failed_audit_keeps_rows_and_work_on_servers(
    table: str,
    module_engine: EngineUnderTest,
    fresh_rows: TableRows,
    tmp_path: Path,
    sql_folder: Path,
) -> None:
    assert_kept_until_mended(table, module_engine, fresh_rows, tmp_path, sql_folder)


def assert_kept_until_mended(
    table: str, engine: EngineUnderTest, fresh_rows: TableRows, tmp_path: Path, sql_folder: Path
) -> None:
    folder_lake = FolderLake(tmp_path / "lake")
    folder_lake.put_songs("s", song())
    folder_lake.put_events(FIRST, event())
    platform = engine.platform(tmp_path, folder_lake.root)
    bring_up_to_date(platform)
    change(folder_lake)
    load_all(platform)
    before = everything(platform)
    path = always_failing(sql_folder, table)
    strict = engine.platform(tmp_path, folder_lake.root, read_catalogue(sql_folder))
    for _ in range(2):
        with pytest.raises(AuditFailedError, match=f"{table}: never_right .*why=wrong") as caught:
            strict.refresh(table)
        (reported,) = (o for o in caught.value.outcomes if not o.passed)
        assert reported.check.name == "never_right"
        assert everything(platform) == before
    path.unlink()
    bring_up_to_date(engine.platform(tmp_path, folder_lake.root, read_catalogue(sql_folder)))
    assert all_rows(platform) == fresh_rows


@pytest.mark.every_engine
@pytest.mark.parametrize("table", CATALOGUE.sources)
def test_a_failed_audit_of_a_load_keeps_ledger_and_rows(
    table: str,
    engine: EngineUnderTest,
    tmp_path: Path,
    folder_lake: FolderLake,
    sql_folder: Path,
) -> None:
    folder_lake.put_songs("s", song())
    folder_lake.put_events(FIRST, event())
    always_failing(sql_folder, table)
    strict = engine.platform(tmp_path, folder_lake.root, read_catalogue(sql_folder))
    with pytest.raises(AuditFailedError):
        strict.load(table, days=None, reload=False, run_id="r")
    with pytest.raises(WarehouseError, match=table):  # the very table was rolled back
        rows_of(strict, f"SELECT * FROM {table}")
    platform = engine.platform(tmp_path, folder_lake.root)
    bring_up_to_date(platform)
    assert rows_of(platform, f"SELECT COUNT(*) FROM {table}") == [(1,)]


def test_a_check_that_only_warns_lets_the_rows_be_published(
    engine: EngineUnderTest, tmp_path: Path, folder_lake: FolderLake, sql_folder: Path
) -> None:
    folder_lake.put_events(FIRST, event())
    always_failing(sql_folder, "users", severity="warn")
    platform = engine.platform(tmp_path, folder_lake.root, read_catalogue(sql_folder))
    load_all(platform)
    report = platform.refresh("users")
    (reported,) = (o for o in report.outcomes if not o.passed)
    assert reported.offending == 1
    assert not reported.failed_hard
    assert rows_of(platform, "SELECT user_id FROM users") == [(1,)]


@pytest.mark.parametrize("table", CATALOGUE.ledger_tables)
def test_a_failed_audit_of_the_ledger_or_the_quarantine_rolls_a_load_back(
    table: str,
    engine: EngineUnderTest,
    tmp_path: Path,
    folder_lake: FolderLake,
    sql_folder: Path,
) -> None:
    folder_lake.put("log_data", "2018-11-01.json", lines([event()]) + b"null\n")
    always_failing(sql_folder, table)
    catalogue = read_catalogue(sql_folder)
    strict = engine.platform(tmp_path, folder_lake.root, catalogue, LOAD_MAX_REJECT_RATIO=1)
    with pytest.raises(AuditFailedError, match=f"{table}: never_right"):
        strict.load("staging_events", days=None, reload=False, run_id="r")
    with pytest.raises(WarehouseError):
        rows_of(strict, "SELECT * FROM staging_events")


def test_a_day_without_a_row_is_reported_as_a_day_without_a_fault(good: Platform) -> None:
    (check,) = (c for c in good.catalogue.checks if c.name == "match_rate")
    assert good.run_check(check, DayRange(date(2018, 11, 20), date(2018, 11, 21))).passed
