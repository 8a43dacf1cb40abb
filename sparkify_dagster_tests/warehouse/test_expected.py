"""Expected results: what a file may say, which rows belong together, and no difference hides."""

import math
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sparkify_dagster.ask.values import csv_line
from sparkify_dagster.catalogue.catalogue import read_catalogue
from sparkify_dagster.catalogue.tables.parser import parse_table
from sparkify_dagster.engines.rows import Rows, Value
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.expected import compare_rows
from sparkify_dagster.warehouse.expected.compare_rows import (
    SHOWN,
    Comparison,
    compare,
    compare_table,
)
from sparkify_dagster.warehouse.expected.expected_files import (
    ExpectedError,
    look_into,
    read_expected,
)
from sparkify_dagster.warehouse.expected.verify_tables import Verdict, counts, difference, verify
from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    FolderLake,
    event,
    load_all,
    moment,
    song,
)
from sparkify_dagster_tests.warehouse.test_real_data import EXPECTED, LAKE

pytestmark = pytest.mark.all_questions

THINGS = parse_table(
    """-- One column of every kind.
-- grain: one thing
CREATE TABLE IF NOT EXISTS things (
    thing_id INTEGER          NOT NULL,  -- Key.
    name     VARCHAR(64)      NOT NULL,  -- A name.
    remark   VARCHAR(64),                -- What is said of it.
    share    DOUBLE PRECISION,           -- A fraction.
    weight   REAL,                       -- A fraction of seven digits.
    price    DECIMAL(12,2),              -- An amount.
    count    BIGINT,                     -- A number.
    since    TIMESTAMP,                  -- A time.
    day      DATE,                       -- A day.
    current  BOOLEAN,                    -- Yes or no.
    PRIMARY KEY (thing_id)
);
"""
)
Row = tuple[Value, ...]


def file_of(folder: Path, text: str | bytes) -> Path:
    path = folder / "things.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def compared(folder: Path, text: str | bytes, *found: tuple[object, ...]) -> Comparison:
    return compare(read_expected(file_of(folder, text), THINGS), found)


def refused(folder: Path, text: str | bytes) -> str:
    path = file_of(folder, text)
    with pytest.raises(ExpectedError) as caught:
        read_expected(path, THINGS)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    return said.removeprefix(f"{path}: ")


# What belongs together, and what differs

NAMES = "thing_id,name\n1,one\n2,two\n3,three\n"


def test_a_table_with_exactly_the_rows_of_the_file_is_equal_in_any_order(tmp_path: Path) -> None:
    found = compared(tmp_path, NAMES, (3, "three"), (1, "one"), (2, "two"))
    assert found.equal
    assert (found.found_rows, found.differences) == (3, 0)


def test_a_changed_value_is_a_different_row_with_its_line_and_column(tmp_path: Path) -> None:
    found = compared(tmp_path, NAMES, (1, "one"), (2, "TWO"), (3, "three"))
    assert not found.equal
    assert (found.missing, found.unexpected, found.different) == (0, 0, 1)
    (row,) = found.different_rows
    assert (row.line, row.expected, row.found, row.columns) == (
        3,
        (2, "two"),
        (2, "TWO"),
        ("name",),
    )
    assert difference(found) == Rows(
        ("difference", "line", "thing_id", "name"), (("different", 3, "2", "two → TWO"),)
    )


def test_missing_and_unexpected_rows_are_reported_with_all_their_values(tmp_path: Path) -> None:
    found = compared(tmp_path, NAMES, (1, "one"), (9, "nine"), (3, "three"))
    assert (found.missing, found.unexpected, found.different) == (1, 1, 0)
    assert difference(found).rows == (
        ("missing", 3, "2", "two"),
        ("unexpected", None, "9", "nine"),
    )


def test_a_row_that_stands_twice_in_one_of_them_is_a_difference(tmp_path: Path) -> None:
    once, twice = [(1, "one"), (2, "two"), (3, "three")], [(3, "three")]
    found = compared(tmp_path, NAMES, *once, *twice)
    assert (found.missing, found.unexpected, found.different) == (0, 1, 0)
    found = compared(tmp_path, f"{NAMES}3,three\n", *once)
    assert (found.missing, found.unexpected, found.different) == (1, 0, 0)
    assert compared(tmp_path, f"{NAMES}3,three\n", *once, *twice).equal


def test_without_the_whole_key_rows_belong_together_only_if_equal(tmp_path: Path) -> None:
    text = "name,count\na,1\na,1\nb,2\n"
    assert compared(tmp_path, text, ("a", 1), ("b", 2), ("a", 1)).equal
    found = compared(tmp_path, text, ("a", 1), ("b", 3), ("b", 3))
    assert difference(found).rows == (
        ("missing", 3, "a", "1"),
        ("missing", 4, "b", "2"),
        ("unexpected", None, "b", "3"),
        ("unexpected", None, "b", "3"),
    )


def test_null_and_an_empty_text_are_two_values(tmp_path: Path) -> None:
    text = 'thing_id,remark\n1,\n2,""\n'
    assert compared(tmp_path, text, (1, None), (2, "")).equal
    found = compared(tmp_path, text, (1, ""), (2, None))
    assert [row[3] for row in difference(found).rows] == ['NULL → ""', '"" → NULL']


def test_texts_that_look_alike_are_shown_with_what_differs(tmp_path: Path) -> None:
    text = 'thing_id,remark\n1,NULL\n2,"Ada "\n'
    found = compared(tmp_path, text, (1, None), (2, "Ada"))
    assert [row[3] for row in difference(found).rows] == ['"NULL" → NULL', '"Ada " → Ada']


def test_every_kind_of_value_is_read_by_the_type_of_its_column(tmp_path: Path) -> None:
    header = ",".join(THINGS.column_names)
    text = f"{header}\n7,a,b,1e-3,0.1,1.5,12,2018-11-15T00:30:26.796,2018-11-15,True\n"
    row = (
        7, "a", "b", 0.001, 0.10000000149011612, Decimal("1.50"), 12,
        datetime.fromisoformat("2018-11-15T00:30:26.796000"), date(2018, 11, 15), True,
    )  # fmt: skip
    assert compared(tmp_path, text, row).equal
    assert compared(tmp_path, text, (*row[:4], 0.1, 1.5, *row[6:])).equal, "as servers give them"
    assert compared(
        tmp_path, "thing_id,share\n1,NaN\n2,-inf\n", (1, math.nan), (2, -math.inf)
    ).equal


def test_many_differences_are_counted_and_some_are_kept(tmp_path: Path) -> None:
    lines = "".join(f"{n},x\n" for n in range(100))
    found = compared(tmp_path, f"thing_id,name\n{lines}", *((n, "y") for n in range(50, 200)))
    assert (found.missing, found.unexpected, found.different) == (50, 100, 50)
    assert [row[0] for row in found.missing_rows] == list(range(2, 2 + SHOWN))
    assert [row[0] for row in found.unexpected_rows] == list(range(100, 100 + SHOWN))
    assert [row.line for row in found.different_rows] == list(range(52, 52 + SHOWN))


def test_values_that_are_no_number_are_unexpected_rows_too(tmp_path: Path) -> None:
    rows = [(3, None), (2, Decimal("NaN")), (1, Decimal(1)), (4, Decimal("NaN"))]
    found = compared(tmp_path, "price,share\n", *((p, float(n)) for n, p in rows))
    assert [row[0] for row in found.unexpected_rows][::3] == [Decimal(1), None]


# Tolerances


@pytest.mark.parametrize(
    ("share", "equal"),
    [(0.3, True), (0.1, True), (0.2, True), (0.30000001, False), (0.0999, False)],
)
def test_a_tolerance_is_an_absolute_distance_with_its_end(
    tmp_path: Path, share: float, equal: bool
) -> None:
    text = "# tolerance: 0.1\nthing_id,share\n1,0.2\n"
    assert compared(tmp_path, text, (1, share)).equal is equal


def test_without_a_tolerance_numbers_are_equal_or_different(tmp_path: Path) -> None:
    assert not compared(tmp_path, "thing_id,share\n1,0.3\n", (1, 0.1 + 0.2)).equal


def test_a_tolerance_never_covers_null_or_what_is_no_number(tmp_path: Path) -> None:
    text = "# tolerance: 1000\nthing_id,share\n1,\n2,0\n3,nan\n4,inf\n"
    assert compared(tmp_path, text, (1, None), (2, 0.0), (3, math.nan), (4, math.inf)).equal
    found = compared(tmp_path, text, (1, 0.0), (2, None), (3, 0.0), (4, 0.0))
    assert found.different == 4


def test_a_column_may_have_a_tolerance_of_its_own(tmp_path: Path) -> None:
    text = "# Rounded.\n# tolerance of price: 0.01\n# tolerance: 0.5\nthing_id,share,price\n1,1,1\n"
    assert compared(tmp_path, text, (1, 1.5, Decimal("1.01"))).equal
    assert not compared(tmp_path, text, (1, 1.5, Decimal("1.02"))).equal
    alone = text.replace("# tolerance: 0.5\n", "")
    assert compared(tmp_path, alone, (1, 1.0, 0.99)).equal
    assert not compared(tmp_path, alone, (1, 1.000001, 0.99)).equal


# What a file may look like


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_a_byte_order_mark_change_nothing(
    tmp_path: Path, end: str, mark: bytes
) -> None:
    text = 'name,thing_id,remark\n"a, ""b""",1," x "\nß,2,y'
    written = f"# A remark.\n\n{text}\n\n".replace("\n", end).encode()
    found = compared(tmp_path, mark + written, ('a, "b"', 1, " x "), ("ß", 2, "z"))
    assert difference(found).rows == (("different", 5, "2", "y → z"),)


def test_a_line_break_in_a_value_is_part_of_it_and_counted(tmp_path: Path) -> None:
    text = 'thing_id,remark\n1,"two\nlines"\n2,x\n'
    (row,) = compared(tmp_path, text, (1, "two\nlines"), (2, "y")).different_rows
    assert row.line == 4


def test_a_file_of_one_column_can_hold_null(tmp_path: Path) -> None:
    assert compared(tmp_path, "remark\n\na\n", (None,), ("a",)).equal


def test_a_header_alone_expects_an_empty_table(tmp_path: Path) -> None:
    assert compared(tmp_path, "thing_id,name").equal
    assert compared(tmp_path, "thing_id,name\n", (1, "x")).unexpected == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: it has no header; name columns of things there."),
        ("# A remark.\n", "line 2: it has no header; name columns of things there."),
        ("thing_id,nane\n", "line 1: things has no column 'nane': did you mean name?"),
        ("thing_id,\n", "line 1: things has no column '': expected some of thing_id, name, remark"),
        ("name,name\n", "line 1: the header names name twice."),
        ("thing_id,name\n1\n", "line 2: 1 value where the header has 2."),
        ("thing_id,name\n1,a,b\n", "line 2: 3 values where the header has 2."),
        ("thing_id,name\n1,\n", 'line 2, name: it is empty, but the column is never NULL; an'),
        ("thing_id\n\n", "line 2, thing_id: it is empty, but the column is never NULL."),
        ("thing_id\n1.0\n", "line 2, thing_id: '1.0' is not a whole number."),
        ("thing_id\n 1\n", "line 2, thing_id: ' 1' is not a whole number."),
        ("thing_id,share\n1,0.5%\n", "line 2, share: '0.5%' is not a number."),
        ("thing_id,share\n1,1_0\n", "line 2, share: '1_0' is not a number."),
        ("thing_id,price\n1,nan\n", "line 2, price: 'nan' is not a number."),
        ("thing_id,share\n1,1e309\n", "line 2, share: '1e309' is not a number."),
        ("thing_id,weight\n1,1e39\n", "line 2, weight: '1e39' is not a number."),
        ("thing_id,day\n1,2018-11-31\n", "line 2, day: '2018-11-31' is not a day as YYYY-MM-DD."),
        ("thing_id,since\n1,2018-11-30\n", "line 2, since: '2018-11-30' is not a time as YYYY-MM"),
        ("thing_id,since\n1,2018-11-30 24:01:00\n", "line 2, since: '2018-11-30 24:01:00' is not"),
        ("thing_id,current\n1,yes\n", "line 2, current: 'yes' is not true or false."),
        ('thing_id,name\n1,"a\n2,b\n', "line 2: a quote is opened and never closed."),
        ('thing_id,name\n1,"a""b\n2,c\n', "line 2: a quote is opened and never closed."),
        ('thing_id,name\n1,"a"b\n', "line 2: something follows a closed quote; write a quote"),
        (b"thing_id,name\n1,a\n2,\xe4\n", "line 3: it is not UTF-8 text; save it as UTF-8."),
        ("# tolerance 0.1\nthing_id,share\n", "line 1: '# tolerance 0.1' says no tolerance: write"),
        ("# tolerance: -1\nthing_id,share\n", "line 1: '# tolerance: -1' says no tolerance: write"),
        ("# tolerance: 1%\nthing_id,share\n", "line 1: '# tolerance: 1%' says no tolerance: write"),
        ("# tolerance: 1\nthing_id,name\n", "line 1: '# tolerance: 1' is for no column of the"),
        ("#tolerance of count: 1\nthing_id,share\n", "line 1: '#tolerance of count: 1' is for no"),
        ("# tolerance: 1\nshare\n", "line 1: with a tolerance the header must name the whole key"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_one_message_with_line_and_column(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    assert refused(tmp_path, text).startswith(said)


def test_the_first_of_many_wrong_values_are_reported_together(tmp_path: Path) -> None:
    said = refused(tmp_path, "thing_id\n" + "x\n" * 9)
    assert said.count("is not a whole number") == 5
    assert said.endswith("; and 4 more.")


def test_files_are_named_after_tables_and_others_are_reported(tmp_path: Path) -> None:
    for name in ("users.csv", "top_song.csv", "counts.json", "staging_events.csv", ".hidden"):
        (tmp_path / name).write_text("")
    folder = look_into(tmp_path, read_catalogue())
    assert folder.files == {"users": tmp_path / "users.csv"}
    assert folder.ignored == {
        "counts.json": "it is not a .csv file",
        "staging_events.csv": "no star or analytics table is named staging_events",
        "top_song.csv": "no star or analytics table is named top_song; did you mean top_songs?",
    }


# Any table, its own export, any change

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES: dict[str, st.SearchStrategy[Value]] = {
    "thing_id": st.integers(-(2**31), 2**31 - 1),
    "name": texts,
    "remark": texts,
    "share": st.floats(),
    "weight": st.floats(width=32),
    "count": st.integers(-(2**63), 2**63 - 1),
    "since": st.datetimes(datetime.fromisoformat("1970-01-01")),
    "day": st.dates(date(1970, 1, 1), date(2199, 12, 31)),
    "current": st.booleans(),
}
any_row = st.tuples(
    *(s | st.none() if THINGS.column(name).nullable else s for name, s in VALUES.items())
)
on_disk = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def export(columns: tuple[str, ...], rows: list[Row]) -> str:
    """What `sparkify query … --format csv` writes."""
    return "".join(f"{csv_line(line)}\n" for line in (columns, *rows))


@on_disk
@given(data=st.data(), with_key=st.booleans())
def test_a_table_equals_its_own_export_and_any_changed_cell_is_found(
    tmp_path: Path, data: st.DataObject, with_key: bool
) -> None:
    rows: list[Row] = data.draw(st.lists(any_row, max_size=5, unique_by=lambda row: row[0]))
    first = 0 if with_key else 1
    columns, rows = tuple(VALUES)[first:], [row[first:] for row in rows]
    text = export(columns, rows)
    assert compared(tmp_path, text, *reversed(rows)).equal
    if not rows:
        return
    line = data.draw(st.integers(0, len(rows) - 1))
    place = data.draw(st.integers(0, len(columns) - 1))
    other = data.draw(st.one_of(VALUES[columns[place]]))
    before = rows[line][place]
    assume(repr(other) != repr(before) and other != before)
    changed = (*rows[line][:place], other, *rows[line][place + 1 :])
    found = compared(tmp_path, text, *rows[:line], changed, *rows[line + 1 :])
    assert not found.equal
    assert not compared(tmp_path, text, *rows[:line], *rows[line + 1 :]).equal
    if with_key and place and len(columns) == len(VALUES):
        (row,) = found.different_rows
        assert (row.line > line + 1, row.columns) == (True, (columns[place],))


# Real tables

COMPARED = ("users", "artists", "songplays", "user_levels", "plays_per_level")


@pytest.fixture
def filled(engine: EngineUnderTest, tmp_path: Path, folder_lake: FolderLake) -> Platform:
    platform = engine.platform(tmp_path, folder_lake.root)
    folder_lake.put_events(
        FIRST,
        event(ts=moment(FIRST) + 7, level="free", firstName='ß, "x"\n'),
        event(ts=moment(FIRST, 13) + 796, itemInSession=1, level="paid", location=None),
        event(ts=moment(FIRST, 14), userId="2", gender=None, song="Other"),
    )
    folder_lake.put_songs("one", song(artist_latitude=35.14968, artist_longitude=-90.04892))
    folder_lake.put_songs("two", song(song_id="S2", artist_id="A2", artist_name="Nobody"))
    make(platform, COMPARED)
    return platform


def make(platform: Platform, tables: Iterable[str]) -> None:
    """Load the lake, and refresh these tables and those that they are made of."""
    catalogue = platform.catalogue
    load_all(platform)
    wanted = set(tables)
    for table in reversed(list(catalogue.transforms)):
        wanted.update(catalogue.dependencies(table) if table in wanted else ())
    for table in catalogue.transforms:
        if table in wanted:
            platform.refresh(table)


def verdicts(platform: Platform, folder: Path) -> dict[str, Verdict]:
    files = look_into(folder, platform.catalogue).files
    with platform.warehouse.read(print) as session:
        found = verify(session, platform.warehouse.schema, platform.catalogue, files)
        return {verdict.table: verdict for verdict in found}


@pytest.mark.every_engine
def test_what_every_engine_gives_equals_its_export_until_a_cell_changes(
    filled: Platform, tmp_path: Path
) -> None:
    folder = tmp_path / "expected"
    folder.mkdir()
    with filled.warehouse.read(print) as session:
        for table in COMPARED:
            rows = session.rows(f"SELECT * FROM {table}")
            (folder / f"{table}.csv").write_text(export(rows.columns, list(rows.rows)))
    found = verdicts(filled, folder)
    assert {table: verdict.equal for table, verdict in found.items()} == dict.fromkeys(
        COMPARED, True
    )
    counted = [v.comparison.found_rows for v in found.values() if v.comparison]
    assert sorted(counted) == [2, 2, 2, 3, 3]
    with filled.warehouse.write(print) as session:
        session.execute("UPDATE songplays SET start_time = :t WHERE user_id = 2",
                        {"t": datetime.fromisoformat("2018-11-01T14:00:00.001")})  # fmt: skip
    found = verdicts(filled, folder)
    assert [table for table, verdict in found.items() if not verdict.equal] == ["songplays"]
    comparison = found["songplays"].comparison
    assert comparison is not None
    assert [row.columns for row in comparison.different_rows] == [("start_time",)]


def test_a_table_that_is_not_there_yet_and_a_bad_file_are_reported_beside_the_others(
    folder_lake: FolderLake, tmp_path: Path
) -> None:
    platform = EngineUnderTest("duckdb").platform(tmp_path, folder_lake.root)
    folder_lake.put_events(FIRST, event())
    load_all(platform)
    platform.refresh("users")
    folder = tmp_path / "expected"
    folder.mkdir()
    (folder / "users.csv").write_text("user_id\n1\n")
    (folder / "time.csv").write_text("hour\nnoon\n")
    (folder / "top_songs.csv").write_text("song\n")
    with platform.warehouse.write(print) as session:
        session.execute("DROP TABLE IF EXISTS top_songs")
    found = verdicts(platform, folder)
    assert {table: verdict.equal for table, verdict in found.items()} == {
        "time": False, "users": True, "top_songs": False,
    }  # fmt: skip
    assert found["time"].problem.endswith("time.csv: line 2, hour: 'noon' is not a whole number.")
    assert found["top_songs"].problem == (
        "top_songs is not in the warehouse yet: `sparkify run` makes it."
    )


def test_a_column_that_the_table_gets_with_the_next_run_is_reported_beside_the_others(
    engine: EngineUnderTest, folder_lake: FolderLake, tmp_path: Path
) -> None:
    platform = engine.platform(tmp_path, folder_lake.root)
    folder_lake.put_events(FIRST, event())
    make(platform, ("users", "user_levels"))
    folder = tmp_path / "expected"
    folder.mkdir()
    (folder / "users.csv").write_text("user_id,gender\n1,F\n")
    (folder / "user_levels.csv").write_text("user_id\n1\n")
    with platform.warehouse.write(print) as session:
        session.execute("ALTER TABLE users DROP COLUMN gender")
    found = verdicts(platform, folder)
    assert found["user_levels"].equal
    assert found["users"].problem == (
        "users has no gender in the warehouse yet: `sparkify run` rebuilds it."
    )


@pytest.mark.every_engine
def test_every_digit_of_a_decimal_is_compared(engine: EngineUnderTest, tmp_path: Path) -> None:
    platform = engine.platform(tmp_path, tmp_path / "lake")
    with platform.warehouse.write(print) as session:
        session.execute("CREATE TABLE things (thing_id INTEGER, price DECIMAL(20,2))")
        session.execute("INSERT INTO things VALUES (1, 12345678901234567.89)")
    with platform.warehouse.read(print) as session:
        for price, equal in (("12345678901234567.89", True), ("12345678901234568", False)):
            expected = read_expected(file_of(tmp_path, f"thing_id,price\n1,{price}\n"), THINGS)
            schema = platform.warehouse.schema
            assert compare_table(session, schema, expected).equal is equal


def test_a_table_much_larger_than_its_file_is_not_read_whole(
    folder_lake: FolderLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare_rows, "MOST_UNEXPECTED", 2)
    platform = EngineUnderTest("duckdb").platform(tmp_path, folder_lake.root)
    folder_lake.put_events(FIRST, *(event(userId=str(n)) for n in range(1, 5)))
    load_all(platform)
    platform.refresh("users")
    folder = tmp_path / "expected"
    folder.mkdir()
    for expected, read in (("1\n2\n", True), ("1\n", False)):
        (folder / "users.csv").write_text(f"user_id\n{expected}")
        comparison = verdicts(platform, folder)["users"].comparison
        assert comparison is not None
        assert not comparison.equal
        assert comparison.read is read
        assert comparison.unexpected == (2 if read else 3)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    if not LAKE.is_dir():
        pytest.skip("absent here: the real data, ../shared/data")
    platform = EngineUnderTest("duckdb").platform(tmp_path_factory.mktemp("real"), LAKE)
    make(platform, look_into(EXPECTED, platform.catalogue).files)
    return platform


def test_the_real_data_gives_what_is_expected_of_it(real: Platform) -> None:
    folder = look_into(EXPECTED, real.catalogue)
    assert set(folder.ignored) == {"counts.json", "matched_songplays.csv"}
    assert len(folder.files) >= 12
    assert [v.table for v in verdicts(real, EXPECTED).values() if not v.equal] == []


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        (lambda lines: [*lines[:2], lines[2].replace("free", "paid"), *lines[3:]], "1 different"),
        (lambda lines: [*lines[:5], *lines[6:]], "1 unexpected"),
        (lambda lines: [*lines, "9999,No,Body,,free"], "1 missing"),
        (lambda lines: [*lines, lines[-1]], "1 missing"),
    ],
    ids=["changed", "missing", "extra", "duplicate"],
)
def test_a_tampered_row_of_the_real_results_is_found(
    real: Platform, tmp_path: Path, change: Callable[[list[str]], list[str]], reported: str
) -> None:
    lines = (EXPECTED / "users.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "users.csv").write_text("\n".join(change(lines)) + "\n", encoding="utf-8")
    comparison = verdicts(real, tmp_path)["users"].comparison
    assert comparison is not None
    assert counts(comparison) == reported
