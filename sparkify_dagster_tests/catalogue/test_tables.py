"""What the shipped table files say, what DDL follows from them, and which files are refused."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from sparkify_dagster.catalogue.tables import (
    TABLES_FOLDER,
    Column,
    Reference,
    Table,
    TableError,
    load_tables,
)
from sparkify_dagster.catalogue.tables.names import RESERVED, check_identifier
from sparkify_dagster.catalogue.tables.parser import parse_table
from sparkify_dagster.engines.base import Warehouse
from sparkify_dagster.engines.ddl import create_indexes, create_table
from sparkify_dagster.engines.duckdb.warehouse import DuckDBWarehouse
from sparkify_dagster.engines.postgres.warehouse import PostgresWarehouse
from sparkify_dagster.engines.redshift.warehouse import RedshiftWarehouse

REAL_JSONPATHS = (
    Path(__file__).resolve().parents[3] / "shared" / "data" / "sparkify" / "log_json_path.json"
)
DUCKDB, POSTGRES = DuckDBWarehouse.dialect, PostgresWarehouse.dialect
REDSHIFT = RedshiftWarehouse.dialect
TABLES = load_tables()

COLUMNS = {
    "staging_events": "log_date artist auth first_name gender item_in_session last_name length"
    " level location method page registration session_id song status ts user_agent user_id"
    " event_time source_file",
    "staging_songs": "num_songs artist_id artist_latitude artist_longitude artist_location"
    " artist_name song_id title duration year source_file",
    "songplays": "songplay_id log_date start_time user_id level song_id artist_id session_id"
    " item_in_session location user_agent",
    "users": "user_id first_name last_name gender level",
    "user_levels": "user_id level valid_from valid_to is_current",
    "songs": "song_id title artist_id year duration",
    "artists": "artist_id name location latitude longitude",
    "time": "start_time hour day week month year weekday",
    "load_files": "table_name key etag size last_modified day lines rows rejects loaded_at run_id",
    "load_rejects": "table_name key line reason raw_line",
}

# The smallest file that says everything; the refusals below break it one line at a time.
PLACES = """\
-- Where listeners live.
-- grain: one place
-- json: camelCase
--
-- Notes for the reader, which no description repeats.
CREATE TABLE IF NOT EXISTS places (
    place_id   INTEGER      NOT NULL ENCODE raw,  -- Identifier.
    place_kind VARCHAR(16)  ENCODE bytedict,      -- Kind of place. One of: city, rural area.
    weight     DOUBLE PRECISION,                  -- Share of the listeners.
    price      DECIMAL(9, 2),                     -- Price of a month (platform).
    parent_id  INTEGER,                           -- Place around it.
    PRIMARY KEY (place_id),
    -- A reason may stand between the lines.
    FOREIGN KEY (parent_id) REFERENCES places (place_id)
)
DISTSTYLE KEY
DISTKEY (place_id)
SORTKEY (place_id, place_kind);
"""


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    yield connection
    connection.close()


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text, encoding="utf-8")
    return folder


def load_one(folder: Path, text: str) -> Table:
    return load_tables(write(folder, places=text))["places"]


def judged(table: Table) -> exp.Expr:
    return sqlglot.parse_one(
        table.source_text, read="redshift", error_level=sqlglot.ErrorLevel.RAISE
    )


def sized(kind: exp.DataType) -> str:
    return kind.sql(dialect="redshift").replace(", ", ",")


# --- the shipped files -------------------------------------------------------------------------


def test_there_are_exactly_the_designed_tables_with_the_designed_columns() -> None:
    assert {name: " ".join(table.column_names) for name, table in TABLES.items()} == COLUMNS


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_an_independent_redshift_parser_reads_the_same_columns(table: Table) -> None:
    tree = judged(table)
    assert tree.this.this.name == table.name
    columns = list(tree.find_all(exp.ColumnDef))
    assert [column.name for column in columns] == list(table.column_names)
    for column, ours in zip(columns, table.columns, strict=True):
        required = column.find(exp.NotNullColumnConstraint) is not None
        encode = column.find(exp.EncodeColumnConstraint)
        comment = "".join(text for node in column.walk() for text in node.comments or ()).strip()
        assert sized(column.args["kind"]) == ours.type
        assert required is not ours.nullable
        assert (encode and encode.name) == ours.encode
        assert comment.replace(" (platform)", "").replace(" (personal)", "") == ours.description
        assert (" (platform)" in comment) is ours.platform
        assert (" (personal)" in comment) is ours.personal


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_an_independent_redshift_parser_reads_the_same_keys(table: Table) -> None:
    tree = judged(table)
    keys = [part.name for key in tree.find_all(exp.PrimaryKey) for part in key.expressions]
    assert tuple(keys) == table.primary_key
    assert [
        Reference(
            tuple(part.name for part in foreign.expressions),
            foreign.args["reference"].this.this.name,
            tuple(part.name for part in foreign.args["reference"].this.expressions),
        )
        for foreign in tree.find_all(exp.ForeignKey)
    ] == list(table.references)

    style, dist, sort = (
        tree.find(kind)
        for kind in (exp.DistStyleProperty, exp.DistKeyProperty, exp.SortKeyProperty)
    )
    assert style is not None
    assert style.name == table.dist_style
    assert (dist and dist.name) == table.dist_key
    assert sort is not None
    assert tuple(part.name for part in sort.this) == table.sort_key


def test_the_json_columns_are_the_lakes_jsonpaths_in_their_order() -> None:
    if not REAL_JSONPATHS.exists():
        pytest.skip(f"absent here: {REAL_JSONPATHS}")
    paths = json.loads(REAL_JSONPATHS.read_text(encoding="utf-8"))["jsonpaths"]
    keys = [f"$['{key}']" for _, key in TABLES["staging_events"].json_columns]
    assert keys == paths


def test_song_files_are_keyed_by_the_column_names() -> None:
    pairs = TABLES["staging_songs"].json_columns
    assert [key for _, key in pairs] == [column.name for column, _ in pairs]
    assert [column.name for column in TABLES["staging_songs"].columns if column.platform] == [
        "source_file"
    ]


def test_only_staging_tables_come_from_json() -> None:
    assert {name for name, table in TABLES.items() if table.json_columns} == {
        "staging_events",
        "staging_songs",
    }


@pytest.mark.parametrize(
    ("table", "required"),
    [
        (
            "staging_events",
            "log_date auth item_in_session level method page session_id status ts event_time"
            " source_file",
        ),
        ("staging_songs", "artist_id artist_name song_id title duration source_file"),
    ],
)
def test_a_required_json_key_is_a_not_null_column(table: str, required: str) -> None:
    names = [column.name for column in TABLES[table].columns if not column.nullable]
    assert " ".join(names) == required


def test_accepted_values_are_declared_in_the_comment() -> None:
    accepted = {
        f"{table.name}.{column.name}": column.accepted
        for table in TABLES.values()
        for column in table.columns
        if column.accepted
    }
    levels = {
        f"{name}.level": ("free", "paid")
        for name in ("staging_events", "songplays", "users", "user_levels")
    }
    genders = {f"{name}.gender": ("F", "M") for name in ("staging_events", "users")}
    assert accepted == levels | genders


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_column_is_encoded_and_the_leading_sort_key_is_raw(table: Table) -> None:
    assert all(column.encode for column in table.columns)
    assert table.column(table.sort_key[0]).encode == "raw"


def test_referenced_tables_come_before_those_that_refer_to_them() -> None:
    order = list(TABLES)
    pairs = [(name, ref.table) for name, table in TABLES.items() for ref in table.references]
    assert ("songplays", "time") in pairs
    assert all(order.index(parent) < order.index(child) for child, parent in pairs)


def test_tables_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TABLES["users"] = TABLES["songs"]  # type: ignore[index]  # that is what is tested
    with pytest.raises(AttributeError):
        TABLES["users"].name = "people"  # type: ignore[misc]  # that is what is tested


# --- DDL ---------------------------------------------------------------------------------------


def test_redshift_ddl_is_the_files_text_with_the_schema_before_each_table() -> None:
    text = (TABLES_FOLDER / "user_levels.sql").read_text(encoding="utf-8")
    text = text.replace("EXISTS user_levels", "EXISTS star.user_levels")
    text = text.replace("REFERENCES users", "REFERENCES star.users")
    assert create_table(TABLES["user_levels"], REDSHIFT, "star") == text.rstrip().rstrip(";")


def test_duckdb_ddl_has_no_keys_and_no_text_sizes() -> None:
    assert create_table(TABLES["user_levels"], DUCKDB, "main") == (
        "CREATE TABLE IF NOT EXISTS main.user_levels (\n"
        "    user_id INTEGER NOT NULL,\n"
        "    level VARCHAR NOT NULL,\n"
        "    valid_from TIMESTAMP NOT NULL,\n"
        "    valid_to TIMESTAMP,\n"
        "    is_current BOOLEAN NOT NULL\n"
        ")"
    )


def test_postgres_ddl_compares_text_by_bytes_and_leaves_keys_to_the_audits() -> None:
    assert create_table(TABLES["user_levels"], POSTGRES, "star") == (
        "CREATE TABLE IF NOT EXISTS star.user_levels (\n"
        "    user_id INTEGER NOT NULL,\n"
        '    level VARCHAR(16) COLLATE "C" NOT NULL,\n'
        "    valid_from TIMESTAMP NOT NULL,\n"
        "    valid_to TIMESTAMP,\n"
        "    is_current BOOLEAN NOT NULL\n"
        ")"
    )


def test_postgres_has_indexes_on_the_sort_key_and_on_what_the_file_names() -> None:
    index = "CREATE INDEX IF NOT EXISTS staging_events"
    assert create_indexes(TABLES["staging_events"], POSTGRES, "star") == (
        f"{index}_log_date_index ON star.staging_events (log_date)",
        f"{index}_event_time_index ON star.staging_events (event_time)",
    )
    for dialect in (DUCKDB, REDSHIFT):  # they pass over blocks of other days
        assert create_indexes(TABLES["staging_events"], dialect, "star") == ()


def test_duckdb_ddl_creates_every_table_with_its_columns(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    warehouse.execute("CREATE SCHEMA star")
    for table in TABLES.values():
        warehouse.execute(create_table(table, DUCKDB, "star"))
        warehouse.execute(create_table(table, DUCKDB, "star"))  # once more changes nothing
    for table in TABLES.values():
        rows = warehouse.execute(f"DESCRIBE star.{table.name}").fetchall()
        renamed = {"DOUBLE PRECISION": "DOUBLE"}
        assert [(row[0], row[1], row[2] == "YES") for row in rows] == [
            (column.name, renamed.get(column.base_type, column.base_type), column.nullable)
            for column in table.columns
        ]


@pytest.mark.parametrize("engine", [DuckDBWarehouse, PostgresWarehouse, RedshiftWarehouse])
def test_the_ddl_of_every_engine_parses_in_its_dialect(engine: type[Warehouse]) -> None:
    for table in TABLES.values():
        create = create_table(table, engine.dialect, "star")
        tree = sqlglot.parse_one(create, read=engine.engine)
        assert isinstance(tree, exp.Create)
        assert {found.db for found in tree.find_all(exp.Table)} == {"star"}


def test_ddl_for_nonsense_is_refused() -> None:
    with pytest.raises(TableError, match="schema 'a; drop table b' is not a valid name"):
        create_table(TABLES["users"], DUCKDB, "a; drop table b")


# --- reading a file ----------------------------------------------------------------------------


def test_a_file_says_everything_about_its_table(tmp_path: Path) -> None:
    assert load_one(tmp_path, PLACES) == Table(
        name="places",
        description="Where listeners live.",
        grain="one place",
        columns=(
            Column("place_id", "INTEGER", False, "Identifier.", encode="raw"),
            Column(
                "place_kind",
                "VARCHAR(16)",
                True,
                "Kind of place. One of: city, rural area.",
                accepted=("city", "rural area"),
                encode="bytedict",
            ),
            Column("weight", "DOUBLE PRECISION", True, "Share of the listeners."),
            Column("price", "DECIMAL(9,2)", True, "Price of a month.", platform=True),
            Column("parent_id", "INTEGER", True, "Place around it."),
        ),
        primary_key=("place_id",),
        references=(Reference(("parent_id",), "places", ("place_id",)),),
        dist_style="KEY",
        dist_key="place_id",
        sort_key=("place_id", "place_kind"),
        indexes=(),
        json_style="camelCase",
        source_text=PLACES,
    )


def test_a_column_knows_its_kind_and_the_bytes_it_takes(tmp_path: Path) -> None:
    table = load_one(tmp_path, PLACES)
    kinds = {
        c.name: (c.base_type, c.length, c.is_text, c.is_integer, c.is_float) for c in table.columns
    }
    assert kinds == {
        "place_id": ("INTEGER", None, False, True, False),
        "place_kind": ("VARCHAR", 16, True, False, False),
        "weight": ("DOUBLE PRECISION", None, False, False, True),
        "price": ("DECIMAL", None, False, False, False),
        "parent_id": ("INTEGER", None, False, True, False),
    }


def test_json_keys_follow_the_declared_style_and_leave_out_platform_columns(tmp_path: Path) -> None:
    keys = [key for _, key in load_one(tmp_path, PLACES).json_columns]
    assert keys == ["placeId", "placeKind", "weight", "parentId"]
    snake = PLACES.replace("json: camelCase", "json: snake_case")
    keys = [key for _, key in load_one(tmp_path, snake).json_columns]
    assert keys == ["place_id", "place_kind", "weight", "parent_id"]


def test_distribution_is_optional_and_the_statement_may_end_at_its_bracket(tmp_path: Path) -> None:
    table = load_one(tmp_path, PLACES[: PLACES.index("\n)") + 2] + ";\n")
    assert (table.dist_style, table.dist_key, table.sort_key) == ("AUTO", None, ())


def test_a_file_added_to_the_folder_is_a_table_like_any_other(tmp_path: Path) -> None:
    shipped = {file.stem: file.read_text(encoding="utf-8") for file in TABLES_FOLDER.glob("*.sql")}
    tables = load_tables(write(tmp_path, **shipped, places=PLACES))
    assert set(tables) == {*TABLES, "places"}
    assert {name: tables[name] for name in TABLES} == dict(TABLES)


# (what is wrong, text of PLACES to replace, its replacement, what the message says)
REFUSED_FILES = [
    ("no purpose", "-- Where listeners live.\n", "", "says no purpose"),
    ("no grain", "-- grain: one place\n", "", "says no grain"),
    ("vague grain", "grain: one place", "grain: places", "says no grain"),
    ("unknown json style", "json: camelCase", "json: kebab", "`-- json: kebab` is unknown"),
    ("platform without json", "-- json: camelCase\n", "", "'price' is marked \\(platform\\)"),
    ("json decimal", " (platform)", "", "'price' comes from JSON and is DECIMAL\\(9,2\\)"),
    ("nobody's name", "listeners.\n    price", "listeners (personal).\n    price", "whose it is"),
    (
        "person nowhere",
        "one place",
        "one place\n-- person: name",
        "`-- person:` names 'name', which is",
    ),
    ("person of text", "one place", "one place\n-- person: place_kind", "tells persons apart"),
    ("not if not exists", " IF NOT EXISTS", "", "line 6: expected `CREATE TABLE IF NOT EXISTS"),
    ("another name", "EXISTS places", "EXISTS spots", "creates table 'spots': name it spots.sql"),
    ("quoted name", "EXISTS places", 'EXISTS "places"', "is not a valid name"),
    ("no comment", "  -- Share of the listeners.", "", "line 9: column 'weight' has no descr"),
    ("no comma", "DOUBLE PRECISION,", "DOUBLE PRECISION", "line 10: .* needs a comma"),
    ("a comma too many", "places (place_id)\n)", "places (place_id),\n)", "line 15: .*remove it"),
    ("column twice", "    weight  ", "    place_id", "names 'place_id' twice"),
    ("capital letters", "    weight  ", "    Weight  ", "column 'Weight' is not a valid name"),
    ("reserved word", "    weight  ", "    user    ", "line 9: column 'user' is a reserved word"),
    ("default", "PRECISION,", "PRECISION DEFAULT 0,", "line 9: cannot read `weight .* DEFAULT 0`"),
    ("inline key", "NOT NULL ENCODE raw", "PRIMARY KEY", "line 7: cannot read `place_id"),
    ("unknown type", "DOUBLE PRECISION", "JSONB", "line 9: column 'weight' has the unknown type"),
    ("bare varchar", "VARCHAR(16) ", "VARCHAR ", "VARCHAR is not a usable size"),
    ("varchar too wide", "VARCHAR(16)", "VARCHAR(65536)", "from 1 to 65535 bytes"),
    ("varchar of nothing", "VARCHAR(16)", "VARCHAR(0)", "VARCHAR\\(0\\) is not a usable size"),
    ("sized integer", "parent_id  INTEGER", "parent_id  INTEGER(4)", "INTEGER\\(4\\) is not"),
    ("decimal scale", "(9, 2)", "(2, 9)", "DECIMAL\\(2,9\\) is not a usable size"),
    ("unfit encoding", "ENCODE bytedict", "ENCODE az64", "'az64' does not work for VARCHAR"),
    ("unknown encoding", "ENCODE bytedict", "ENCODE gzip", "'gzip' does not work for VARCHAR"),
    ("accepted numbers", "Identifier.", "One of: 1, 2.", "only a VARCHAR column can list"),
    ("accepted in the middle", "rural area.", "rural. More", "line 8: `One of: a, b.`"),
    ("accepted nothing", "city, rural area", "city, ", "is empty or listed twice"),
    ("key nowhere", "KEY (place_id),", "KEY (id),", "PRIMARY KEY names 'id', which is not"),
    ("key twice", "KEY (place_id),", "KEY (place_id, place_id),", "names 'place_id' twice"),
    ("nullable key", "KEY (place_id),", "KEY (place_kind),", "declare it NOT NULL"),
    ("reference from nowhere", "(parent_id) REF", "(parent) REF", "FOREIGN KEY names 'parent'"),
    (
        "reference to no table",
        "REFERENCES places",
        "REFERENCES regions",
        "'regions', which has no file",
    ),
    ("reference to no key", "places (place_id)", "places (weight)", "PRIMARY KEY is \\(place_id"),
    ("uneven reference", "(parent_id) REF", "(parent_id, weight) REF", "line 14: .*2 columns here"),
    ("reference types", "parent_id  INTEGER", "parent_id  BIGINT", "parent_id is BIGINT, but"),
    ("unknown style", "DISTSTYLE KEY", "DISTSTYLE ODD", "DISTSTYLE ODD is unknown"),
    ("style without key", "DISTKEY (place_id)\n", "", "DISTSTYLE KEY and DISTKEY"),
    ("key without style", "DISTSTYLE KEY\n", "", "DISTSTYLE KEY and DISTKEY"),
    ("distkey nowhere", "DISTKEY (place_id)", "DISTKEY (id)", "DISTKEY names 'id'"),
    ("sortkey nowhere", "SORTKEY (place_id", "SORTKEY (id", "SORTKEY names 'id'"),
    ("interleaved", "SORTKEY", "INTERLEAVED SORTKEY", "line 18: cannot read `INTERLEAVED"),
    ("no end", "kind);", "kind)", "is not complete"),
    ("second statement", "kind);", "kind);\nDROP TABLE places;", "line 19: `DROP TABLE places;`"),
]


def test_what_is_personal_can_be_emptied_and_does_not_tell_persons_apart() -> None:
    header = ("-- json: camelCase\n", "-- person: place_id\n")
    whose = PLACES.replace(*header).replace(" (platform)", "")
    named = whose.replace("Kind of place.", "Kind of place (personal).")
    table = parse_table(named)
    assert (table.person, table.personal) == ("place_id", ("place_kind",))
    assert table.column("place_kind").description == "Kind of place. One of: city, rural area."
    required = named.replace("VARCHAR(16) ", "VARCHAR(16) NOT NULL ")
    with pytest.raises(TableError, match=r"'place_kind' is marked \(personal\) .* allow NULL"):
        parse_table(required)
    parent = whose.replace("person: place_id", "person: parent_id")
    with pytest.raises(TableError, match="let another column say whose row it is"):
        parse_table(parent.replace("around it.", "around it (personal)."))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [case[1:] for case in REFUSED_FILES],
    ids=[case[0] for case in REFUSED_FILES],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert PLACES.count(old) == 1, "the case must break one place"
    with pytest.raises(TableError, match=message) as refusal:
        load_one(tmp_path, PLACES.replace(old, new))
    assert str(refusal.value).startswith(f"{tmp_path / 'places.sql'}: ")


def test_a_folder_without_table_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="holds no table files"):
        load_tables(tmp_path / "missing")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "places.sql").write_bytes(b"-- \xff")
    with pytest.raises(TableError, match=r"places\.sql: cannot be read as UTF-8 text"):
        load_tables(tmp_path)


def test_tables_that_refer_to_each_other_are_refused(tmp_path: Path) -> None:
    places = PLACES.replace("REFERENCES places", "REFERENCES regions")
    regions = PLACES.replace("EXISTS places", "EXISTS regions")
    with pytest.raises(TableError, match="in a circle: places, regions"):
        load_tables(write(tmp_path, places=places, regions=regions))


def test_what_a_file_cannot_say_cannot_be_built_in_code_either() -> None:
    users = TABLES["users"]
    with pytest.raises(TableError, match="has no columns"):
        replace(users, columns=(), primary_key=(), sort_key=())
    with pytest.raises(TableError, match="table 'users' has no column 'age'"):
        users.column("age")


def test_every_word_that_duckdb_reserves_is_refused(warehouse: duckdb.DuckDBPyConnection) -> None:
    words = warehouse.execute(
        "SELECT keyword_name FROM duckdb_keywords()"
        " WHERE keyword_category IN ('reserved', 'type_function')"
    ).fetchall()
    assert {word for (word,) in words} <= RESERVED
    with pytest.raises(TableError, match="'select' is a reserved word"):
        check_identifier("select", "column")


def test_a_list_after_only_holds_for_every_line_and_one_after_one_of_warns() -> None:
    for words, only in (("One of:", False), ("Only:", True)):
        column = parse_table(PLACES.replace("One of:", words)).column("place_kind")
        assert (column.accepted, column.only_accepted) == (("city", "rural area"), only)
