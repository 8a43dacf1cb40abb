"""Column lineage: where each column comes from, by hand, by shape of SQL, and after a change."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sparkify_dagster.catalogue import lineage_sql
from sparkify_dagster.catalogue.catalogue import STAR, Catalogue, read_catalogue
from sparkify_dagster.catalogue.dictionary import (
    data_dictionary,
    describe_table,
    er_diagram,
    origins_text,
)
from sparkify_dagster.catalogue.lineage import (
    ALL_ROWS,
    Lineage,
    Origin,
    column_lineage,
    row_columns,
)
from sparkify_dagster.catalogue.lineage import FILE_NAME as NAME_OF_A_FILE
from sparkify_dagster.catalogue.lineage_cache import FILE_NAME
from sparkify_dagster.catalogue.lineage_sql import Columns, LineageError, Question, follow
from sparkify_dagster.catalogue.make_docs import DATA_DICTIONARY
from sparkify_dagster.catalogue.sql_files import SQL_FOLDER
from sparkify_dagster.settings import Settings
from sparkify_dagster.warehouse import open_platform


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    """A copy of the shipped SQL files, to change."""
    return Path(shutil.copytree(SQL_FOLDER, tmp_path / "sql"))


def reported(catalogue: Catalogue, table: str) -> dict[str, str]:
    return {name: origins_text(found) for name, found in column_lineage(catalogue, table).items()}


def test_every_derived_column_comes_from_columns_that_there_are(catalogue: Catalogue) -> None:
    for table in catalogue.transforms:
        lineage = column_lineage(catalogue, table)
        assert tuple(lineage) == catalogue.tables[table].column_names
        for column, origins in lineage.items():
            assert origins, f"{table}.{column}"
            for origin in origins:
                columns = catalogue.tables[origin.asset].column_names
                assert origin.column in (ALL_ROWS, *columns)
                assert origin.asset in catalogue.transforms[table].reads


# Read off the transforms by eye.
@pytest.mark.parametrize(
    ("column", "origins"),
    [
        ("songplays.song_id", "staging_songs.song_id"),
        ("songplays.artist_id", "staging_songs.artist_id"),
        ("songplays.start_time", "staging_events.event_time"),
        ("songplays.level", "staging_events.level"),
        (
            "songplays.songplay_id",
            "staging_events.item_in_session, staging_events.session_id, staging_events.ts,"
            " staging_events.user_id",
        ),
        ("users.level", "staging_events.level"),
        ("users.first_name", "staging_events.first_name"),
        ("user_levels.level", "staging_events.level"),
        ("user_levels.valid_from", "staging_events.event_time"),
        ("user_levels.valid_to", "staging_events.event_time"),
        ("user_levels.is_current", "staging_events.event_time"),
        ("time.weekday", "staging_events.event_time"),
        ("songs.year", "staging_songs.year"),
        ("artists.name", "staging_songs.artist_name"),
        ("artists.location", "staging_songs.artist_location"),
        ("staging_events.user_id", "log_data.userId"),
        ("staging_events.event_time", "log_data.ts"),
        ("staging_events.log_date", "log_data (file name)"),
        ("staging_songs.artist_name", "song_data.artist_name"),
        ("staging_songs.source_file", "song_data (file name)"),
    ],
)
def test_a_column_comes_from_where_a_reader_finds_it(
    catalogue: Catalogue, column: str, origins: str
) -> None:
    table, _, name = column.partition(".")
    assert reported(catalogue, table)[name] == origins


def test_every_staging_column_comes_from_its_source(catalogue: Catalogue) -> None:
    for table, source in catalogue.sources.items():
        keys = {NAME_OF_A_FILE} | {key for _, key in catalogue.tables[table].json_columns}
        lineage = column_lineage(catalogue, table)
        assert tuple(lineage) == catalogue.tables[table].column_names
        assert {origin.asset for (origin,) in lineage.values()} == {source.name}
        assert {origin.column for (origin,) in lineage.values()} == keys


def test_a_table_that_no_sql_fills_has_no_lineage(catalogue: Catalogue) -> None:
    assert [column_lineage(catalogue, name) for name in catalogue.ledger_tables] == [{}, {}]


PLAYS = ("songplays", ("songplay_id", "song_id", "start_time", "user_id", "level"))
SONGS = ("songs", ("song_id", "title"))


@pytest.mark.parametrize(
    ("statement", "origins"),
    [
        ("SELECT level FROM songplays", "songplays.level"),
        ("INSERT INTO t (a) SELECT COUNT(*) FROM songplays", "songplays.*"),
        ("SELECT COUNT(*) FROM (SELECT DISTINCT user_id FROM songplays) AS u", "songplays.*"),
        ("SELECT COUNT(DISTINCT user_id) FROM songplays", "songplays.user_id"),
        (
            "WITH c AS (SELECT song_id, COUNT(*) AS n FROM songplays GROUP BY song_id),"
            " d AS (SELECT MAX(n) AS most FROM c) SELECT most FROM d",
            "songplays.*",
        ),
        (
            "SELECT s.title FROM songplays AS p INNER JOIN songs AS s ON s.song_id = p.song_id"
            " WHERE p.level = 'paid' ORDER BY p.start_time",
            "songs.title",
        ),
        (
            "SELECT title FROM songs UNION ALL SELECT level FROM songplays",
            "songplays.level songs.title",
        ),
        (
            "SELECT title FROM (SELECT song_id, title FROM songs UNION SELECT level, song_id"
            " FROM songplays) AS both_of_them",
            "songplays.song_id songs.title",
        ),
        (
            "SELECT LEAD(start_time) OVER (PARTITION BY user_id ORDER BY start_time, level)"
            " FROM songplays",
            "songplays.start_time",
        ),
        ("SELECT ROW_NUMBER() OVER (ORDER BY start_time) FROM songplays", "songplays.start_time"),
        (
            "SELECT CASE WHEN level = 'paid' THEN song_id END FROM songplays",
            "songplays.level songplays.song_id",
        ),
        ("SELECT (SELECT MAX(title) FROM songs) FROM songplays", "songs.title"),
        (
            "SELECT AVG(n) FROM (SELECT user_id, COUNT(*) AS n FROM (SELECT * FROM songplays"
            " UNION ALL SELECT * FROM songplays) AS twice GROUP BY user_id) AS c",
            "songplays.*",
        ),
        ("SELECT 'free' FROM songplays", ""),
    ],
)
def test_a_column_is_followed_through_sql(statement: str, origins: str) -> None:
    found = follow(Question(("a",), (statement,), (PLAYS, SONGS)))
    assert " ".join(".".join(origin) for origin in found["a"]) == origins


def test_the_statements_of_a_table_count_together() -> None:
    statements = (
        "INSERT INTO t (b) SELECT level FROM songplays",
        "INSERT INTO t (b, a) SELECT title, song_id FROM songs",
    )
    found = follow(Question(("a", "b"), statements, (PLAYS, SONGS)))
    assert found == {
        "a": [("songs", "song_id")],
        "b": [("songplays", "level"), ("songs", "title")],
    }


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("SELECT nobody FROM songs", "'nobody' could not be resolved"),
        ("SELECT title, song_id FROM songs", "1 columns are filled from 2 expressions"),
        ("SELECT title FROM (SELECT", "Expecting"),
        ("UPDATE songs SET title = 'a'", "a statement is UPDATE"),
        ("INSERT INTO t (a) VALUES (1)", "where INSERT … SELECT is expected"),
    ],
)
def test_what_cannot_be_followed_is_said(statement: str, why: str) -> None:
    with pytest.raises(LineageError, match=re.escape(why)) as caught:
        follow(Question(("a",), (statement,), (PLAYS, SONGS)))
    assert "\x1b" not in str(caught.value)


def test_a_renamed_column_is_caught_by_file_and_name_and_stops_nothing_else(sql: Path) -> None:
    transform = sql / "transforms" / "songs.sql"
    text = transform.read_text()
    transform.write_text(text.replace("song_id, title, artist_id", "song_id, heading, artist_id"))
    changed = read_catalogue(sql)
    with pytest.raises(LineageError, match="heading") as caught:
        column_lineage(changed, "songs")
    assert str(caught.value).startswith(f"{transform}: ")
    assert "Where the columns come from is not known: " in describe_table(changed, "songs")
    assert reported(changed, "artists") == reported(read_catalogue(), "artists")


def test_a_changed_transform_is_followed_again(sql: Path) -> None:
    transform = sql / "transforms" / "songplays.sql"
    transform.write_text(transform.read_text().replace("    once.location,", "    once.song,"))
    found = reported(read_catalogue(sql), "songplays")
    assert found["location"] == "staging_events.song"
    assert found["user_agent"] == "staging_events.user_agent"


def test_a_changed_column_of_a_source_is_followed_again(sql: Path) -> None:
    table = sql / "tables" / "staging_songs.sql"
    table.write_text(re.sub(r"^    title ", "    heading ", table.read_text(), flags=re.MULTILINE))
    with pytest.raises(LineageError, match="title"):
        column_lineage(read_catalogue(sql), "songs")


# --- what is kept ------------------------------------------------------------------------------


def started(home: Path) -> str:
    """What a new process follows, and whether it had to import a parser of SQL for it."""
    code = (
        "import sys; from pathlib import Path; from sparkify_dagster.catalogue import catalogue\n"
        "from sparkify_dagster.catalogue.lineage import column_lineage\n"
        "found = catalogue.read_catalogue(home=Path(sys.argv[1]))\n"
        "assert all(column_lineage(found, table) for table in found.transforms)\n"
        "print('sqlglot' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(home)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def everything(catalogue: Catalogue) -> dict[str, Lineage]:
    return {table: column_lineage(catalogue, table) for table in catalogue.tables}


def test_only_the_first_start_of_a_home_needs_a_parser_of_sql(tmp_path: Path) -> None:
    """Importing it and following all tables takes half a second."""
    assert [started(tmp_path), started(tmp_path)] == ["True", "False"]
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_what_is_kept_is_what_is_followed(tmp_path: Path, catalogue: Catalogue) -> None:
    followed = everything(catalogue)
    assert everything(read_catalogue(home=tmp_path)) == followed
    assert everything(read_catalogue(home=tmp_path)) == followed


def test_of_changed_sql_only_what_changed_is_followed_anew(
    tmp_path: Path, sql: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything(read_catalogue(sql, home=tmp_path))
    followed: list[Question] = []

    def noted(question: Question) -> Columns:
        followed.append(question)
        return follow(question)

    monkeypatch.setattr(lineage_sql, "follow", noted)
    transform = sql / "transforms" / "songplays.sql"
    transform.write_text(transform.read_text().replace("    once.location,", "    once.song,"))
    for _ in range(2):
        assert reported(read_catalogue(sql, home=tmp_path), "songplays")["location"] == (
            "staging_events.song"
        )
        everything(read_catalogue(sql, home=tmp_path))
    assert [question.columns for question in followed] == [
        read_catalogue().tables["songplays"].column_names
    ]


def test_another_sqlglot_follows_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    column_lineage(read_catalogue(home=tmp_path), "songs")
    before = json.loads((tmp_path / FILE_NAME).read_text())
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "999")
    column_lineage(read_catalogue(home=tmp_path), "songs")
    after = json.loads((tmp_path / FILE_NAME).read_text())
    assert len(after) == 2 * len(before) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff\xfe", b"[]", b"[1]", b"7", b"{}", b'{"a": 1}', b'{"a": {"b": 1}}',
        b'{"a": {"b": [["c"]]}}', b'{"a": {"b": [["c", "d"]', b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_file_that_is_not_ours_is_replaced(
    tmp_path: Path, catalogue: Catalogue, content: bytes
) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    assert everything(read_catalogue(home=tmp_path)) == everything(catalogue)
    assert started(tmp_path) == "False"


@pytest.mark.parametrize(
    "damage",
    [
        lambda columns: columns | {"title": [["staging_songs", "titel"]]},
        lambda columns: columns | {"title": [["somewhere", "title"]]},
        lambda columns: columns | {"another": []},
        lambda columns: dict(reversed(columns.items())),
        lambda _: {},
    ],
)
def test_an_answer_that_cannot_be_is_followed_anew(
    tmp_path: Path, catalogue: Catalogue, damage: Callable[[dict[str, object]], object]
) -> None:
    column_lineage(read_catalogue(home=tmp_path), "songs")
    kept = json.loads((tmp_path / FILE_NAME).read_text())
    (tmp_path / FILE_NAME).write_text(json.dumps({k: damage(v) for k, v in kept.items()}))
    found = column_lineage(read_catalogue(home=tmp_path), "songs")
    assert found == column_lineage(catalogue, "songs")
    assert json.loads((tmp_path / FILE_NAME).read_text()) == kept


def test_without_a_home_nothing_is_written(tmp_path: Path, catalogue: Catalogue) -> None:
    home = tmp_path / "home"
    assert everything(read_catalogue(home=home)) == everything(catalogue)
    assert not home.exists()


def test_where_nothing_can_be_written_the_answer_is_the_same(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    (tmp_path / FILE_NAME).mkdir()
    assert everything(read_catalogue(home=tmp_path)) == everything(catalogue)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.all_questions
def test_the_platform_keeps_it_in_the_home_of_dagster(
    small_settings: Settings, tmp_path: Path
) -> None:
    platform = open_platform(replace(small_settings, home=tmp_path))
    column_lineage(platform.catalogue, "songs")
    assert (tmp_path / FILE_NAME).is_file()


# --- what is shown -----------------------------------------------------------------------------


def test_the_data_dictionary_is_current(catalogue: Catalogue) -> None:
    written = DATA_DICTIONARY.read_text(encoding="utf-8")
    assert written == data_dictionary(catalogue), "run `make docs`"


def test_the_data_dictionary_changes_with_the_sql(sql: Path, catalogue: Catalogue) -> None:
    transform = sql / "transforms" / "users.sql"
    transform.write_text(
        transform.read_text().replace(
            "SELECT user_id, first_name, last_name,", "SELECT user_id, last_name, first_name,"
        )
    )
    assert data_dictionary(read_catalogue(sql)) != data_dictionary(catalogue)


def test_the_data_dictionary_holds_every_table_and_column(catalogue: Catalogue) -> None:
    page = data_dictionary(catalogue)
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^###? |\Z)", page, re.MULTILINE | re.DOTALL))
    assert sections.keys() == {*catalogue.tables, *(s.name for s in catalogue.sources.values())}
    for name, table in catalogue.tables.items():
        assert f"**Grain:** {table.grain}" in sections[name]
        for column in table.columns:
            (row,) = re.findall(rf"^\| {column.name} \| (.*) \|$", sections[name], re.MULTILINE)
            assert row.startswith(f"{column.type} | ")
            assert column.description.replace("|", "/") in row
        lineage = column_lineage(catalogue, name)
        assert ("comes from" in sections[name]) == bool(lineage)


def test_the_links_of_the_data_dictionary_lead_to_files(catalogue: Catalogue) -> None:
    links = re.findall(r"\]\(([^#)][^)]*)\)", data_dictionary(catalogue))
    assert len(links) == sum(len(catalogue.files_of(table)) for table in catalogue.tables)
    assert all((DATA_DICTIONARY.parent / link).is_file() for link in links)


def test_the_diagram_shows_every_table_of_the_star_its_keys_and_references(
    catalogue: Catalogue,
) -> None:
    diagram = er_diagram(catalogue)
    drawn = set(re.findall(r"^    (\w+) (\S\S)--o\{ (\w+) : (\w+)$", diagram, re.MULTILINE))
    assert drawn == {
        ("users", "||", "songplays", "user_id"),
        ("time", "||", "songplays", "start_time"),
        ("songs", "|o", "songplays", "song_id"),
        ("artists", "|o", "songplays", "artist_id"),
        ("artists", "||", "songs", "artist_id"),
        ("users", "||", "user_levels", "user_id"),
    }
    star = catalogue.tables_of(STAR)
    assert set(re.findall(r"^    (\w+) \{$", diagram, re.MULTILINE)) == set(star)
    keys = re.findall(r"^        \S+ (\w+) PK", diagram, re.MULTILINE)
    assert sorted(keys) == sorted(
        key for name in star for key in catalogue.tables[name].primary_key
    )


def test_a_table_from_another_folder_is_a_layer_of_its_own(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    transform = catalogue.transforms["users"]
    elsewhere = replace(transform.script, path=tmp_path / "analytics" / "users.sql")
    moved = replace(transform, script=elsewhere)
    layered = replace(catalogue, transforms={**catalogue.transforms, "users": moved})
    assert layered.layer_of("users") == "analytics"
    assert layered.layer_of("songplays") == "star"
    assert layered.layer_of("staging_songs") == layered.layer_of("load_files") == "staging"
    assert reported(layered, "users") == reported(catalogue, "users")


def test_the_number_of_rows_depends_on_what_distinguishes_rows(catalogue: Catalogue) -> None:
    assert row_columns(catalogue.tables["songplays"]) == ("songplay_id",)
    assert row_columns(catalogue.tables["staging_events"]) == ("log_date",)
    assert origins_text([Origin("songplays", "*")]) == "songplays (number of rows)"
    assert origins_text([]) == "a constant"
