"""Forgetting: what says who a user is leaves every table for good, and every count stays.

The tables are then a function of the lake and of who was forgotten: whatever the order, they equal
those of a fresh load with the same users forgotten, row for row.
"""

import os
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkify_dagster.catalogue.catalogue import read_catalogue
from sparkify_dagster.catalogue.check import Check, Severity
from sparkify_dagster.catalogue.lineage import column_lineage
from sparkify_dagster.engines.base import WarehouseError
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.admin.drop_tables import plan_removal, remove
from sparkify_dagster.warehouse.privacy.forget_user import (
    ForgetError,
    ForgetReport,
    find_user,
    forget_user,
    forgotten_users,
    user_number,
)
from sparkify_dagster.warehouse.privacy.personal import HIDDEN, MASK, shown_line
from sparkify_dagster_tests.fixtures.engines import EngineUnderTest, standin_environ
from sparkify_dagster_tests.fixtures.lake import S3Endpoint
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    TABLES,
    FolderLake,
    Json,
    TableRows,
    all_rows,
    assert_same_rows,
    bring_up_to_date,
    event,
    everything,
    lines,
    load_all,
    make_platform,
    moment,
    rows_of,
    song,
    with_questions,
)
from sparkify_dagster_tests.standin import StandIn
from sparkify_dagster_tests.warehouse.histories import Dice, Step, World, bookkeeping

SECOND = FIRST + timedelta(1)
# Of the analytics those that forgetting changes, and their like by day: the rest costs time.
SOME = (*TABLES, "songplays_per_day", "plays_per_location", "top_locations")
# Marks of one person that nothing else holds.
PERSON: Json = {
    "userId": "39", "firstName": "Zebulonia", "lastName": "Quixotric", "location": "Xanthippe, XX",
    "userAgent": "Quuxzilla/9.9", "registration": 1541234567891.0,
}  # fmt: skip
MARKS = ("Zebulonia", "Quixotric", "Xanthippe", "Quuxzilla", "1541234567891")


SOME_TABLES = with_questions(*SOME)


def fill(lake: FolderLake) -> None:
    """Two days of two listeners; of the lines of 39 two do not fit, one of which is cut off."""
    for n, day in enumerate((FIRST, SECOND)):
        theirs = [event(day, itemInSession=i, ts=moment(day, 9 + i)) | PERSON for i in range(3)]
        other = event(day, userId="2", firstName="Bob", level="paid", ts=moment(day, 15))
        bad = [{**theirs[0], "status": "many"}, {**other, "status": "many"}]
        cut = lines(theirs)[:180] + b"\n"
        content = lines([*theirs, other, *bad]) + (cut if n else b"")
        lake.put("log_data", f"2018/11/{day}-events.json", content)
    lake.put_songs("a", song())


def empty(engine: EngineUnderTest, folder: Path, lake: FolderLake) -> Platform:
    return engine.platform(folder, lake.root, SOME_TABLES, LOAD_MAX_REJECT_RATIO=1)


@pytest.fixture
def loaded(engine: EngineUnderTest, tmp_path: Path, folder_lake: FolderLake) -> Platform:
    fill(folder_lake)
    platform = empty(engine, tmp_path, folder_lake)
    bring_up_to_date(platform)
    return platform


def forget(platform: Platform, user: int = 39) -> ForgetReport:
    return forget_user(platform, user, run_id="test")


def reload_everything(platform: Platform) -> None:
    load_all(platform, reload=True)
    bring_up_to_date(platform, full=True)


def tables_and_quarantine(platform: Platform) -> TableRows:
    return all_rows(platform, SOME) | bookkeeping(platform)


def marks_in(platform: Platform) -> list[str]:
    reported = repr(everything(platform))
    return [mark for mark in MARKS if mark in reported]


@pytest.mark.slow
@pytest.mark.every_engine
def test_nothing_holds_a_forgotten_person_and_no_count_changes(
    engine: EngineUnderTest, tmp_path: Path, folder_lake: FolderLake
) -> None:
    fill(folder_lake)
    # All questions on the engine that is the quickest with them, some on the others.
    asked = read_catalogue() if engine.name == "postgres" else SOME_TABLES
    loaded = engine.platform(tmp_path, folder_lake.root, asked, LOAD_MAX_REJECT_RATIO=1)
    bring_up_to_date(loaded)
    assert marks_in(loaded) == list(MARKS)
    every_table = {*asked.sources, *asked.transforms}
    before = all_rows(loaded, every_table)
    report = forget(loaded)
    assert report.found.rows == {"staging_events": 6, "songplays": 6, "users": 1}
    assert (report.hidden_lines, report.behind) == (3, "")
    assert marks_in(loaded) == []
    after = all_rows(loaded, every_table)
    of_places = {"plays_per_location", "top_locations", "plays_per_artist_location"}
    for table in every_table - of_places:
        assert len(after[table]) == len(before[table]), table
    for table in every_table - of_places - report.found.rows.keys():
        assert after[table] == before[table], table
    others = "SELECT * FROM staging_events WHERE user_id = 2"
    assert {row[3] for row in rows_of(loaded, others)} == {"Bob"}
    assert loaded.status().pending_tables == ()

    reload_everything(loaded)
    assert marks_in(loaded) == []
    assert_same_rows(all_rows(loaded, every_table), after)


@pytest.mark.every_engine
def test_lines_in_quarantine_that_may_be_theirs_are_hidden_and_others_kept(
    loaded: Platform, folder_lake: FolderLake
) -> None:
    query = "SELECT key, line, raw_line FROM load_rejects ORDER BY key, line"
    before = rows_of(loaded, query)
    forget(loaded)
    after = rows_of(loaded, query)
    assert [row[:2] for row in after] == [row[:2] for row in before]
    texts = [str(row[2]) for row in after]
    assert [text == HIDDEN for text in texts] == [True, False, True, False, True]
    assert all('"firstName": "Bob"' in text for text in texts if text != HIDDEN)
    load_all(loaded, reload=True)
    assert rows_of(loaded, query) == after

    # Late files come without their data as well.
    third = FIRST + timedelta(2)
    folder_lake.put_events(third, *[event(third, itemInSession=n) | PERSON for n in range(200)])
    bring_up_to_date(loaded)
    assert marks_in(loaded) == []
    if loaded.warehouse.engine == "postgres":
        vacuumed = "SELECT relname FROM pg_stat_user_tables WHERE last_vacuum IS NOT NULL"
        schema = f" AND schemaname = '{loaded.warehouse.schema}' ORDER BY 1"
        names = [name for (name,) in rows_of(loaded, vacuumed + schema)]
        assert names == ["load_rejects", "songplays", "staging_events", "users"]
    theirs = "SELECT COUNT(*) FROM songplays WHERE user_id = 39 AND log_date = DATE '2018-11-03'"
    assert rows_of(loaded, theirs) == [(200,)]


@pytest.mark.slow
def test_forgetting_twice_says_when_it_was_done(tmp_path: Path, folder_lake: FolderLake) -> None:
    fill(folder_lake)
    loaded = on_duckdb(tmp_path, folder_lake)
    assert forget(loaded).found.before is None
    (noted,) = forgotten_users(loaded)
    again = forget(loaded)
    assert again.found.before == noted
    assert set(again.found.rows.values()) == {0}
    assert forgotten_users(loaded) == (noted,)
    assert (noted.user_id, noted.run_id) == (39, "test")


@pytest.mark.slow
def test_a_user_that_nobody_knows_is_noted_for_later(
    tmp_path: Path, folder_lake: FolderLake
) -> None:
    fill(folder_lake)
    loaded = on_duckdb(tmp_path, folder_lake)
    before = all_rows(loaded, SOME)
    report = forget(loaded, 77)
    assert not report.found.known
    assert report.refreshed == {}
    assert_same_rows(all_rows(loaded, SOME), before)
    folder_lake.put_events(SECOND, event(SECOND, userId="77", firstName="Latecomer"), name="late")
    bring_up_to_date(loaded)
    assert "Latecomer" not in repr(everything(loaded))
    assert rows_of(loaded, "SELECT first_name FROM users WHERE user_id = 77") == [(None,)]


@pytest.mark.slow
def test_data_that_the_star_refuses_does_not_keep_anybody_from_being_forgotten(
    loaded: Platform, folder_lake: FolderLake, engine: EngineUnderTest, tmp_path: Path
) -> None:
    folder_lake.put_events(SECOND, event(SECOND, userId="5"), name="more")
    load_all(loaded)
    nobody = Check(
        "nobody_is_five", "users", "Nobody is number 5.", Severity.ERROR, False,
        "SELECT user_id FROM users WHERE user_id = 5",
    )  # fmt: skip
    catalogue = replace(loaded.catalogue, checks=(*loaded.catalogue.checks, nobody))
    report = forget(Platform(loaded.settings, catalogue, loaded.warehouse))
    assert "nobody_is_five" in report.behind
    assert marks_in(loaded) == []
    assert rows_of(loaded, "SELECT COUNT(*) FROM songplays WHERE user_id = 39") == [(6,)]
    bring_up_to_date(loaded)
    assert loaded.status().pending_tables == ()
    fresh = empty(engine, tmp_path / "fresh", folder_lake)
    forget(fresh)
    bring_up_to_date(fresh)
    assert_same_rows(tables_and_quarantine(fresh), tables_and_quarantine(loaded))


def test_who_was_forgotten_stays_so_when_the_tables_are_dropped(loaded: Platform) -> None:
    forget(loaded)
    warehouse, catalogue = loaded.warehouse, loaded.catalogue
    with warehouse.write(lambda _: None) as session:
        removal = plan_removal(session, warehouse, catalogue)
        assert removal.kept == (f"{warehouse.state_schema}.forgotten_users",)
        remove(session, removal)
    assert [who.user_id for who in forgotten_users(loaded)] == [39]
    assert find_user(loaded, 39).rows == {}
    load_all(loaded)
    assert marks_in(loaded) == []
    assert rows_of(loaded, "SELECT COUNT(*) FROM staging_events WHERE user_id = 39") == [(6,)]


def test_what_fails_leaves_everything_as_it_was(
    tmp_path: Path, folder_lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder_lake)
    loaded = on_duckdb(tmp_path, folder_lake)
    before = everything(loaded)

    def full_disk(*_: object, **__: object) -> None:
        raise WarehouseError("the disk is full")

    monkeypatch.setattr("sparkify_dagster.warehouse.privacy.forget_user.Dependents", full_disk)
    with pytest.raises(WarehouseError, match="the disk is full"):
        forget(loaded)
    assert everything(loaded) == before


class ForgetfulWorld(World):
    """A history in which users are forgotten too."""

    def __init__(self, engine: EngineUnderTest, folder: Path) -> None:
        super().__init__(engine, folder)
        self.forgotten: list[int] = []

    def _platform(self, folder: Path, lake: Path) -> Platform:
        return self.engine.platform(
            folder, lake, SOME_TABLES, DUCKDB_THREADS=1, LOAD_MAX_REJECT_RATIO=1
        )

    def _refresh(self, table: str) -> None:
        if table in SOME:
            super()._refresh(table)

    def _full(self, table: str) -> None:
        if table in SOME:
            super()._full(table)

    def _forget(self, user: int) -> None:
        forget(self.platform, user)
        self.forgotten.append(user)

    def fresh(self, folder: Path) -> Platform:
        """With the users forgotten before anything was loaded."""
        lake = FolderLake(folder / "lake")
        for (prefix, key), content in self.loaded.items():
            lake.put(prefix, key, content)
        platform = self._platform(folder, lake.root)
        for user in self.forgotten:
            forget(platform, user)
        bring_up_to_date(platform)
        return platform


@st.composite
def forgetful_histories(draw: st.DrawFn) -> list[Step]:
    seeds = draw(st.lists(st.integers(0, 2**32), min_size=2, max_size=9))
    steps = [Dice(seed).step() for seed in seeds]
    for user in draw(st.lists(st.sampled_from((1, 2, 3, 9)), min_size=1, max_size=2)):
        steps.insert(draw(st.integers(0, len(steps))), ("forget", user))
    return steps


@pytest.mark.every_engine
@pytest.mark.slow
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(forgetful_histories())
def test_any_history_with_forgotten_users_ends_in_the_tables_of_a_fresh_load(
    engine: EngineUnderTest, steps: list[Step]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = ForgetfulWorld(engine, Path(folder, "lived"))
        world.play(steps)
        world.up()
        fresh = world.fresh(Path(folder, "fresh"))
        assert_same_rows(tables_and_quarantine(world.platform), tables_and_quarantine(fresh))
        for user in world.forgotten:
            assert not any(find_user(world.platform, user).rows.values())


@pytest.mark.slow
@pytest.mark.s3
def test_what_redshift_copies_itself_comes_without_them_too(
    standin: StandIn, s3_endpoint: S3Endpoint, aws_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lake = FolderLake(s3_endpoint.root / "forgetting")
    fill(lake)
    platform = EngineUnderTest("redshift", standin_environ(standin, s3_endpoint)).platform(
        tmp_path, Path(), SOME_TABLES, LOAD_MAX_REJECT_RATIO=1, S3_LOG_DATA="s3://forgetting/log_data",
        S3_SONG_DATA="s3://forgetting/song_data", S3_ENDPOINT_URL=s3_endpoint.endpoint_url,
        S3_REGION=s3_endpoint.region,
    )  # fmt: skip
    bring_up_to_date(platform)
    assert any("COPY landing" in s.text for s in standin.statements)
    assert marks_in(platform) == list(MARKS)
    assert "clears the rows from before away by itself" in forget(platform).remains
    assert marks_in(platform) == []
    after = all_rows(platform, SOME)
    reload_everything(platform)
    assert_same_rows(all_rows(platform, SOME), after)
    reasons = rows_of(platform, "SELECT reason, raw_line FROM load_rejects")
    assert len(reasons) == 5
    assert all("Value" not in str(reason) and raw is None for reason, raw in reasons)


def on_duckdb(folder: Path, lake: FolderLake) -> Platform:
    platform = make_platform(folder, lake.root, SOME_TABLES, LOAD_MAX_REJECT_RATIO=1)
    bring_up_to_date(platform)
    return platform


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("warehouse.duckdb*")))


@pytest.mark.slow
def test_the_file_of_the_warehouse_holds_no_name_any_more(
    tmp_path: Path, folder_lake: FolderLake
) -> None:
    fill(folder_lake)
    platform = on_duckdb(tmp_path, folder_lake)
    assert b"Zebulonia" in bytes_of(tmp_path)
    with (tmp_path / "warehouse.duckdb").open("rb") as old:
        assert forget(platform).remains == ""
        # Who had opened the old file finds no database: what they wrote into it would be lost.
        assert not any(old.read(3 * 4096))
    assert b"Zebulonia" not in bytes_of(tmp_path)
    reload_everything(platform)
    assert b"Zebulonia" not in bytes_of(tmp_path)
    assert [path.name for path in tmp_path.glob("warehouse*")] == ["warehouse.duckdb"]


@pytest.mark.slow
def test_a_warehouse_that_cannot_be_rewritten_is_reported_and_stays_whole(
    tmp_path: Path, folder_lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder_lake)
    platform = on_duckdb(tmp_path, folder_lake)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        report = forget(platform)
    assert "could not be rewritten" in report.remains
    assert "No space left" in report.remains
    assert marks_in(platform) == []
    assert [path.name for path in tmp_path.glob("warehouse*")] == ["warehouse.duckdb"]
    assert forget(platform).remains == ""


@pytest.mark.slow
def test_previews_and_samples_hold_nobody(tmp_path: Path, folder_lake: FolderLake) -> None:
    fill(folder_lake)
    last = event(SECOND, ts=moment(SECOND, 22)) | PERSON
    folder_lake.put_events(SECOND, last | {"gender": "Q"}, name="b")
    platform = make_platform(tmp_path, folder_lake.root, SOME_TABLES, LOAD_MAX_REJECT_RATIO=1)
    load = platform.load("staging_events", days=None, reload=False, run_id="r")
    users = platform.refresh("users")
    (sample,) = (outcome.sample for outcome in users.outcomes if not outcome.passed)
    assert sample.rows == ((39, MASK),)
    folder_lake.put_events(SECOND, last, name="b")
    bring_up_to_date(platform)
    reports = [load, *(platform.refresh(t, full=True) for t in platform.catalogue.transforms)]
    # A place alone, among those that songs are played from, is nobody's.
    people = [r for r in reports if platform.catalogue.tables[r.table].person]
    assert len(people) == 3
    assert not [mark for mark in MARKS if mark in repr(people)]
    assert not [mark for mark in MARKS if mark != "Xanthippe" and mark in repr(reports)]
    users = next(r.preview for r in reports if r.table == "users")
    assert (39, MASK, MASK, MASK, "free") in users.rows


@pytest.mark.parametrize("text", ["Ada", "", "3.5", "0x1", "-1", "99999999999"])
def test_what_is_no_id_of_a_user_is_refused(text: str) -> None:
    with pytest.raises(ForgetError, match=r"is not the id of a user"):
        user_number(text)


def test_what_is_made_from_personal_columns_is_personal_where_rows_are_of_persons() -> None:
    """A table that tells whose its rows are cannot forget to say which columns name them."""
    catalogue = read_catalogue()
    people = [table for table in catalogue.tables.values() if table.person]
    values = {(table.name, column) for table in people for column in table.personal}
    checked = []
    for name in catalogue.transforms:
        made_of = {
            column: {(origin.asset, origin.column) for origin in origins}
            for column, origins in column_lineage(catalogue, name).items()
        }
        if "user_id" in made_of:
            copied = {column for column, origins in made_of.items() if origins & values}
            assert copied == set(catalogue.tables[name].personal), name
            checked.append(name)
    assert {"users", "songplays", "user_levels", "level_changes"} <= set(checked)


@pytest.mark.parametrize(
    ("line", "hidden"),
    [
        ('{"userId": "39", "status": "many"}', True),
        ('{"userId": 39.0, "status": "many"}', True),
        ('{"userId": "3.9e1", "status": "many"}', True),
        ('{"userId": "2", "firstName": "Bob", "status": "many"}', False),
        ('{"userId": "2", "userId": "39"}', True),
        ('{"userId": "2"}{"userId": "39"}', True),
        ('{"userId": ["39"]}', True),
        ('{"userId": "no number"}', True),
        ('{"userId": true}', True),
        ('{"firstName": "Zebulonia", "lastNa', True),
        ('{"firstName": "Zebulonia"}', True),
        ('{"user": "39", "name": "Zebulonia"}', True),
        ('{"userId": "", "page": {"firstName": "Zebulonia"}}', True),
        ('{"userId": "", "firstName": null, "status": "many", "page": "Home"}', False),
        ("{}", False),
        ('["Zebulonia"]', True),
        ("[" * 100_000, True),
        ("39 Zebulonia", True),
    ],
)
def test_a_rejected_line_is_kept_only_if_it_is_surely_not_theirs(line: str, hidden: bool) -> None:
    table = read_catalogue().tables["staging_events"]
    assert shown_line(table, line, {39}) == (HIDDEN if hidden else line)
    assert shown_line(table, line, set()) == line
    songs = read_catalogue().tables["staging_songs"]
    assert shown_line(songs, line, {39}) == line
