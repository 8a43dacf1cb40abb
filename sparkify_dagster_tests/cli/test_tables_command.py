"""`sparkify tables show|create|drop` and the job `create_tables`, on every engine there is here."""

import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from sparkify_dagster.cli.tables import complete
from sparkify_dagster.definitions import build_definitions
from sparkify_dagster.engines.base import Session
from sparkify_dagster.engines.server.warehouse import ServerWarehouse
from sparkify_dagster.settings import load_settings
from sparkify_dagster.warehouse import Platform, WarehouseError, admin, open_platform
from sparkify_dagster.warehouse.admin.create_tables import creations, schema_statements
from sparkify_dagster_tests.engines.postgres_server import Database
from sparkify_dagster_tests.fixtures.cli import Done, Project
from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    TABLE_COUNT,
    FolderLake,
    all_rows,
    assert_same_rows,
    bring_up_to_date,
    event,
    song,
)
from sparkify_dagster_tests.grammar.gate import problems_of

pytestmark = pytest.mark.every_engine


@dataclass(frozen=True)
class Place:
    """A platform of one engine, and the command line over the same warehouse."""

    platform: Platform
    folder: Path
    environ: Mapping[str, str]

    def sparkify(self, *arguments: str, given: str = "") -> Done:
        return Project(self.folder).sparkify("tables", *arguments, given=given, **self.environ)

    @property
    def schema(self) -> str:
        return self.platform.warehouse.schema

    @property
    def state(self) -> str:
        return self.platform.warehouse.state_schema

    def run(self, *statements: str) -> None:
        """What somebody else does there."""

        def work(session: Session) -> None:
            for statement in statements:
                session.execute(statement)

        self.platform.warehouse.transact(work, lambda _: None)

    def tables(self) -> set[str]:
        found = (
            "SELECT table_schema || '.' || table_name FROM information_schema.tables"
            f" WHERE table_schema IN ('{self.schema}', '{self.state}')"
        )
        warehouse = self.platform.warehouse
        if isinstance(warehouse, ServerWarehouse):
            with closing(warehouse.connect("test")) as connection:
                return {str(name) for (name,) in warehouse.session(connection).fetch(found)}
        if not warehouse.exists():
            return set()
        with warehouse.read(lambda _: None) as session:
            return {str(name) for (name,) in session.fetch(found)}

    @property
    def own(self) -> set[str]:
        platform = self.platform
        return {c.full_name for c in creations(platform.warehouse, platform.catalogue)}


@pytest.fixture
def place(engine: EngineUnderTest, tmp_path: Path, folder_lake: FolderLake) -> Place:
    folder_lake.put_events(FIRST, event(), event(userId="2", itemInSession=1))
    folder_lake.put_songs("S1", song())
    platform = engine.platform(tmp_path / "site", folder_lake.root)
    environ = dict(engine.environ)
    if engine.name != "duckdb":
        environ["SPARKIFY_WAREHOUSE_SCHEMA"] = platform.warehouse.schema
    return Place(platform, tmp_path / "site", environ)


# show


def test_what_duckdb_is_shown_runs_as_it_is(project: Project) -> None:
    shown = project.sparkify("tables", "show")
    assert (shown.status, shown.err) == (0, "")
    with closing(duckdb.connect()) as connection:
        connection.execute(shown.out)
        found = connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
    platform = open_platform(load_settings(project.folder / "dwh.cfg", {}))
    expected = creations(platform.warehouse, platform.catalogue)
    assert set(found) == {(c.schema, c.name) for c in expected}
    assert ("main_state", "loading") in found
    assert project.files().keys() == {"dwh.cfg", *(f for f in project.files() if "lake/" in f)}


def test_what_postgres_is_shown_makes_the_same_as_create(
    place: Place, postgres_database: Database
) -> None:
    shown = place.sparkify("show", "--engine", "postgres")
    with closing(postgres_database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(shown.out)
        connection.commit()
    environ = dict(place.environ) | postgres_database.environ()
    made = Place(place.platform, place.folder, environ).sparkify("create")
    assert "made in" not in made.out
    assert made.out.count("there already in") == 2


def test_what_redshift_is_shown_is_redshifts_grammar(project: Project) -> None:
    environ = {**os.environ, "SPARKIFY_WAREHOUSE_ENGINE": "redshift"}
    settings = load_settings(project.folder / "dwh.cfg", environ, server_exists=False)
    platform = open_platform(settings)
    statements = [
        *schema_statements(platform.warehouse),
        *(text for c in creations(platform.warehouse, platform.catalogue) for text in c.statements),
    ]
    for statement in statements:
        assert problems_of(statement) == []
    shown = project.sparkify("tables", "show", "--engine", "redshift")
    assert shown.out == "\n\n".join(map(complete, statements)) + "\n"
    for needed in (
        "CREATE SCHEMA IF NOT EXISTS public_state;",
        "CREATE TABLE IF NOT EXISTS public_state.writer (turn INTEGER);",
        "DISTKEY (user_id)",
        "REFERENCES public.users (user_id)",
    ):
        assert needed in shown.out


def test_tables_are_shown_by_name(project: Project) -> None:
    shown = project.sparkify("tables", "show", "time", "main_state.stale")
    assert [line for line in shown.out.splitlines() if line.startswith("CREATE")] == [
        "CREATE TABLE IF NOT EXISTS main.time (",
        "CREATE TABLE IF NOT EXISTS main_state.stale (table_name VARCHAR(127) NOT NULL);",
    ]
    error = project.sparkify("tables", "show", "songs", "playlists").error
    assert error.startswith("There is no table playlists: the tables are artists, ")


def test_a_comment_never_hides_the_end_of_a_statement() -> None:
    assert complete("SELECT 1") == "SELECT 1;"
    assert complete("SELECT 1 -- one") == "SELECT 1 -- one\n;"


# create


def test_create_makes_what_is_missing_and_says_so(place: Place) -> None:
    first = place.sparkify("create")
    assert (first.status, first.err) == (0, "")
    assert place.tables() == place.own
    assert f"made in {place.schema}: {TABLE_COUNT} tables (" in first.out
    assert "there already" not in first.out
    place.run(f"DROP TABLE {place.schema}.songplays")
    again = place.sparkify("create")
    assert f"made in {place.schema}: 1 table (songplays)" in again.out
    assert f"there already in {place.schema}: {TABLE_COUNT - 1} tables (" in again.out
    assert place.tables() == place.own


def test_create_leaves_rows_as_they_are(place: Place) -> None:
    bring_up_to_date(place.platform)
    before = all_rows(place.platform)
    assert place.sparkify("create").status == 0
    assert_same_rows(all_rows(place.platform), before)


def test_the_job_makes_the_tables(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in place.environ.items():  # a run reads the password there
        monkeypatch.setenv(name, value)
    job = build_definitions(place.platform.settings, place.platform).resolve_job_def(
        "create_tables"
    )
    for there in (0, len(place.own)):
        result = job.execute_in_process()
        assert result.success
        (metadata,) = [
            event.step_output_data.metadata
            for event in result.all_events
            if event.event_type_value == "STEP_OUTPUT"
        ]
        assert metadata["there already"].value == there
    assert place.tables() == place.own


# drop


def test_drop_asks_and_takes_only_yes(place: Place) -> None:
    bring_up_to_date(place.platform)
    for answer in ("", "n\n", "\n"):
        refused = place.sparkify("drop", given=answer)
        assert "Not confirmed, so nothing was done" in refused.err
        assert refused.status == 1
        assert place.tables() == place.own
    agreed = place.sparkify("drop", given="y\n")
    assert agreed.out == f"Dropped {TABLE_COUNT} tables and the bookkeeping.\n"
    assert place.tables() == set()


def test_drop_says_what_goes_with_its_rows(place: Place) -> None:
    bring_up_to_date(place.platform)
    reported = place.sparkify("drop", given="n\n").err
    warehouse = place.platform.warehouse
    assert f"This drops from {warehouse.location}:" in reported
    lines = [line.split() for line in reported.splitlines()]
    assert [f"{place.schema}.songplays", "2", "rows"] in lines
    assert [f"{place.schema}.staging_songs", "1", "row"] in lines
    assert f"the schema {place.state}" in reported


def test_after_a_drop_the_tables_are_made_and_loaded_again(place: Place) -> None:
    bring_up_to_date(place.platform)
    before = all_rows(place.platform)
    assert place.sparkify("drop", "--yes").status == 0
    assert "nothing to drop" in place.sparkify("drop").out
    bring_up_to_date(place.platform)
    assert_same_rows(all_rows(place.platform), before)


def test_without_a_warehouse_there_is_nothing_to_drop(place: Place) -> None:
    assert "nothing to drop" in place.sparkify("drop").out


def test_a_foreign_table_stays_with_its_rows(place: Place) -> None:
    bring_up_to_date(place.platform)
    place.run(f"CREATE TABLE {place.schema}.mine AS SELECT 7 AS i")
    place.run(f"CREATE TABLE {place.state}.mine AS SELECT 8 AS i")
    done = place.sparkify("drop", "--yes")
    assert done.status == 0, done.err
    assert f"What the platform did not make stays: {place.state}.mine." in done.err
    assert place.tables() == {f"{place.schema}.mine", f"{place.state}.mine"}
    with place.platform.warehouse.read(lambda _: None) as session:
        assert session.fetch(f"SELECT i FROM {place.state}.mine") == ((8,),)


def test_a_view_of_somebody_else_is_named_and_nothing_is_dropped(place: Place) -> None:
    bring_up_to_date(place.platform)
    place.run(f"CREATE VIEW {place.schema}.report AS SELECT * FROM {place.schema}.users")
    error = place.sparkify("drop", "--yes").error
    assert f"{place.schema}.report needs {place.schema}.users" in error
    assert place.tables() == place.own | {f"{place.schema}.report"}
    place.run(f"DROP VIEW {place.schema}.report")
    assert place.sparkify("drop", "--yes").status == 0


def test_a_namesake_is_neither_dropped_nor_replaced(place: Place) -> None:
    place.run(f"CREATE TABLE {place.schema}.users (login VARCHAR(10))")
    place.run(f"INSERT INTO {place.schema}.users VALUES ('root')")
    for work in (
        lambda: bring_up_to_date(place.platform),
        lambda: place.platform.refresh("users"),
    ):
        with pytest.raises(WarehouseError, match="users is not a table of the platform"):
            work()
    assert "is not a table of the platform" in place.sparkify("create").error
    assert place.sparkify("drop", "--yes").status == 0
    assert f"{place.schema}.users" in place.tables()


def test_a_table_that_is_not_declared_any_more_is_still_the_platforms(
    place: Place, engine: EngineUnderTest, tmp_path: Path
) -> None:
    bring_up_to_date(place.platform)
    # As if it had been made by a version that declared it.
    place.run(
        f"CREATE TABLE {place.schema}.albums (album_id INTEGER)",
        f"INSERT INTO {place.state}.made VALUES ('albums', 'x')",
        f"CREATE TABLE {place.state}.pending_albums (album_id INTEGER)",
    )
    assert place.sparkify("drop", "--yes").status == 0
    assert place.tables() == set()


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_drop_that_fails_midway_leaves_everything(place: Place) -> None:
    bring_up_to_date(place.platform)
    before = all_rows(place.platform)
    # PostgreSQL finds this dependency only when `users` goes, after `songplays` went.
    place.run(
        f"CREATE FUNCTION {place.schema}.named({place.schema}.users) RETURNS TEXT"
        " LANGUAGE SQL AS 'SELECT $1.first_name'"
    )
    assert "cannot drop table" in place.sparkify("drop", "--yes").error
    assert_same_rows(all_rows(place.platform), before)
    assert place.tables() == place.own


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_foreign_key_of_somebody_else_is_named(place: Place) -> None:
    bring_up_to_date(place.platform)
    place.run(
        f"CREATE UNIQUE INDEX one_user ON {place.schema}.users (user_id)",
        f"CREATE TABLE {place.schema}.likes"
        f" (user_id INTEGER REFERENCES {place.schema}.users (user_id))",
    )
    error = place.sparkify("drop", "--yes").error
    assert f"{place.schema}.likes needs {place.schema}.users" in error


# What making anew needs


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_foreign_keys_are_untied_and_tied_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only Redshift is told of keys. PostgreSQL shows that the statements find and make them."""
    monkeypatch.setattr(type(place.platform.warehouse), "declares_keys", True)
    bring_up_to_date(place.platform)
    songplays, users = f"{place.schema}.songplays", f"{place.schema}.users"
    place.run(
        f"CREATE UNIQUE INDEX one_user ON {users} (user_id)",
        f"ALTER TABLE {songplays} ADD FOREIGN KEY (user_id) REFERENCES {users} (user_id)",
    )
    keys = (
        "SELECT conrelid::regclass::text, confrelid::regclass::text, conkey FROM pg_constraint"
        f" WHERE contype = 'f' AND confrelid = '{users}'::regclass"
    )
    warehouse, catalogue = place.platform.warehouse, place.platform.catalogue

    def work(session: Session) -> None:
        before = session.fetch(keys)
        assert len(before) == 1
        again = admin.create_tables.drop_foreign_keys(session, warehouse, catalogue, "users")
        assert session.fetch(keys) == ()
        assert again == [
            f"ALTER TABLE {songplays} ADD FOREIGN KEY (user_id) REFERENCES {users} (user_id)"
        ]
        session.execute(again[0])
        assert session.fetch(keys) == before

    warehouse.transact(work, lambda _: None)


def test_a_table_keeps_its_place_when_only_its_text_changes(place: Place, tmp_path: Path) -> None:
    """Emptied rather than dropped: its grants, views and indexes stay."""
    bring_up_to_date(place.platform)
    place.run(f"CREATE VIEW {place.schema}.report AS SELECT user_id FROM {place.schema}.users")
    place.run(f"DELETE FROM {place.state}.refreshed WHERE table_name = 'users'")
    report = place.platform.refresh("users")
    assert report.full
    with place.platform.warehouse.read(lambda _: None) as session:
        assert session.count(f"SELECT COUNT(*) FROM {place.schema}.report") == 2
