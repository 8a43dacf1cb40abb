"""`sparkify query`: values keep their types, and nothing but reading is possible."""

import csv
import io
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from pyarrow import parquet

from sparkify_dagster.ask.statements import is_ended, one_reading_statement, split
from sparkify_dagster.catalogue.catalogue import read_catalogue
from sparkify_dagster.errors import QueryError
from sparkify_dagster_tests.fixtures.cli import SPARKIFY, Project

NULLS = (
    "SELECT * FROM (VALUES (1, NULL, 'a,\"b', TIMESTAMP '2018-11-01 12:00:00.796',"
    " DATE '2018-11-01', true, 1.50::DECIMAL(9, 2)),"
    " (2, 9007199254740993, '', NULL, NULL, NULL, NULL))"
    " AS v(id, big, text, moment, day, yes, price) ORDER BY id"
)

# Each is one statement for a reader who knows quotes and comments but not how a server reads these.
ESCAPES = [
    "SELECT E'\\''; COMMIT; DELETE FROM users; --'",
    "SELECT '\\''; COMMIT; DELETE FROM users; --'",
    "SELECT 1 /* /* */ ' */; COMMIT; DELETE FROM users; -- '",
    "SELECT 1 /* /* */; COMMIT; DELETE FROM users; -- */",
    "SELECT 1 AS a$$; COMMIT; DELETE FROM users; --$$",
    "SELECT 1 AS \U0001f600$$; COMMIT; DELETE FROM users; --$$",
    "SELECT 1 AS a\u00a0$$; COMMIT; DELETE FROM users; --$$",
    "SELECT 0x1$$ ' $$; COMMIT; DELETE FROM users; --'",
    "SELECT $\U0001f600$ ' $\U0001f600$; COMMIT; DELETE FROM users; --'",
    "SELECT 1 -- \r; COMMIT; DELETE FROM users",
]


def test_a_table_has_its_number_of_rows_on_stderr(loaded_once: Project) -> None:
    done = loaded_once.sparkify(
        "query", "SELECT user_id, first_name FROM users ORDER BY user_id DESC"
    )
    assert done.status == 0
    assert done.out == "user_id  first_name\n-------  ----------\n      2  Ada\n      1  Ada\n"
    assert done.err == "2 rows\n"


def test_csv_keeps_whole_numbers_and_distinguishes_null_from_an_empty_text(
    loaded_once: Project,
) -> None:
    done = loaded_once.sparkify("query", NULLS, "--format", "csv")
    assert (done.status, done.err) == (0, "")
    assert done.out == (
        "id,big,text,moment,day,yes,price\n"
        '1,,"a,""b",2018-11-01 12:00:00.796,2018-11-01,true,1.50\n'
        '2,9007199254740993,"",,,,\n'
    )
    assert next(iter(csv.DictReader(io.StringIO(done.out))))["text"] == 'a,"b'


def test_json_is_one_array_of_objects(loaded_once: Project) -> None:
    done = loaded_once.sparkify("query", NULLS, "--format", "json")
    assert json.loads(done.out) == [
        {
            "id": 1,
            "big": None,
            "text": 'a,"b',
            "moment": "2018-11-01T12:00:00.796",
            "day": "2018-11-01",
            "yes": True,
            "price": 1.5,
        },
        {
            "id": 2,
            "big": 9007199254740993,
            "text": "",
            "moment": None,
            "day": None,
            "yes": None,
            "price": None,
        },
    ]


def test_json_has_what_it_can_have_of_any_value(loaded_once: Project) -> None:
    sql = "SELECT 1 AS a, 2 AS a, 'NaN'::DOUBLE AS n, [1, 2] AS l, {'d': DATE '2020-01-01'} AS s"
    done = loaded_once.sparkify("query", sql, "--format", "json")
    assert json.loads(done.out) == [
        {"a": 1, "a_1": 2, "n": None, "l": [1, 2], "s": {"d": "2020-01-01"}}
    ]
    empty = loaded_once.sparkify("query", "SELECT 1 AS a WHERE false", "--format", "json")
    assert json.loads(empty.out) == []


@pytest.mark.parametrize("form", ["csv", "json"])
def test_csv_and_json_have_all_rows(loaded_once: Project, form: str) -> None:
    done = loaded_once.sparkify("query", "FROM range(2500)", "--format", form)
    found = json.loads(done.out) if form == "json" else done.out.splitlines()[1:]
    assert len(found) == 2500


def test_a_limit_is_kept_and_a_long_table_says_that_there_is_more(loaded_once: Project) -> None:
    done = loaded_once.sparkify("query", "FROM range(5)", "--format", "csv", "--limit", "2")
    assert done.out == "range\n0\n1\n"
    long = loaded_once.sparkify("query", "FROM range(1001)")
    assert len(long.out.splitlines()) == 1002
    assert long.err.startswith("1,000 rows; there are more, 1,001 in all: --limit N shows N")
    whole = loaded_once.sparkify("query", "FROM range(1000)")
    assert whole.err == "1,000 rows\n"


def test_a_statement_may_come_through_a_pipe(loaded_once: Project) -> None:
    done = loaded_once.sparkify("query", given="SELECT COUNT(*) AS plays\nFROM songplays;\n")
    assert done.out.split() == ["plays", "-----", "6"]
    assert loaded_once.sparkify("query", "-", given="SELECT 1").status == 0
    assert "There is no statement" in loaded_once.sparkify("query", given="").error


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO users SELECT * FROM users",
        "DELETE FROM users",
        "drop table users",
        "CREATE TABLE mine AS SELECT 1",
        "CREATE TEMP TABLE mine AS SELECT 1",
        "COPY users TO 'out.csv'",
        "EXPORT DATABASE 'out'",
        "ATTACH 'other.duckdb'",
        "PRAGMA database_list",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "-- innocent\n/* really; */ UPDATE users SET level = 'paid'",
        "WITH a AS (SELECT 1) INSERT INTO users SELECT * FROM users",
        "EXPLAIN ANALYZE DELETE FROM users",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO 'out.csv'",
        "SELECT 1; DELETE FROM users",
        "SELECT * INTO mine FROM users",
        "SELECT * FROM read_csv('dwh.cfg')",
        "SELECT * FROM 'dwh.cfg'",
    ],
)
def test_what_does_not_only_read_the_warehouse_is_refused(loaded_once: Project, sql: str) -> None:
    before = loaded_once.files()
    assert loaded_once.sparkify("query", sql).error
    assert loaded_once.files() == before


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        ("SELECT 1;", "SELECT 1"),
        ("; ;\nselect ';' -- ; x", "select ';' -- ; x"),
        ("(SELECT 1) UNION (SELECT 2); -- done", "(SELECT 1) UNION (SELECT 2)"),
        ("SELECT $$a;b$$, $x$;$$;$x$;", "SELECT $$a;b$$, $x$;$$;$x$"),
        ("SELECT 'it''s; fine', \"a;b\" /* ; */", "SELECT 'it''s; fine', \"a;b\" /* ; */"),
    ],
)
def test_a_semicolon_ends_a_statement_only_where_it_is_one(sql: str, statement: str) -> None:
    assert one_reading_statement(sql) == statement


@pytest.mark.parametrize("sql", ["SELECT 1; SELECT 2", "SELECT ';'; SELECT 2", "SELECT 1;;x"])
def test_several_statements_are_refused(sql: str) -> None:
    with pytest.raises(QueryError, match="several statements"):
        one_reading_statement(sql)


@pytest.mark.parametrize("sql", ESCAPES)
def test_a_text_that_some_engine_takes_for_several_statements_is_refused(sql: str) -> None:
    with pytest.raises(QueryError):
        one_reading_statement(sql)


@pytest.mark.parametrize(
    "sql",
    ["SELECT E'it\\'s'", "SELECT '\\d;'", "SELECT 1 /* a /* b */ c */", "SELECT 1 AS a$b",
     "SELECT ';' -- C:\\, $, /* /*"],
)  # fmt: skip
def test_what_is_one_statement_however_it_is_read_is_asked(sql: str) -> None:
    assert one_reading_statement(sql) == sql


def test_a_mistake_is_reported_in_the_engines_words_with_its_place(loaded_once: Project) -> None:
    message = loaded_once.sparkify("query", "SELECT usr_id FROM users").error
    assert '"user_id"' in message
    assert "LINE 1: SELECT usr_id FROM users" in message
    assert str(loaded_once.folder) not in message


def test_the_bookkeeping_is_out_of_sight(loaded_once: Project) -> None:
    done = loaded_once.sparkify("query", "SHOW TABLES", "--format", "csv")
    tables = set(done.out.split()[1:])
    assert {"songplays", "load_files", "load_rejects"} <= tables
    assert not [name for name in tables if name.startswith("pending_")]


def test_a_query_waits_for_a_run_and_says_so(loaded: Project) -> None:
    code = (
        "import duckdb, sys, time\n"
        f"con = duckdb.connect({str(loaded.warehouse)!r})\n"
        "print('held', flush=True)\ntime.sleep(3)\ncon.close()\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    done = loaded.sparkify("query", "SELECT COUNT(*) AS n FROM songplays", "--format", "csv")
    holder.communicate(timeout=30)
    assert done.out == "n\n6\n"
    assert f"waiting for process {holder.pid}" in done.err


def test_a_name_gives_the_rows_of_its_table_in_their_order(loaded_once: Project) -> None:
    done = loaded_once.sparkify("query", "top_songs", "--format", "csv")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("place,song,artist,plays\n1,")
    days = loaded_once.sparkify("query", "Songplays;", "--format", "json")
    times = [row["start_time"] for row in json.loads(days.out)]
    assert times == sorted(times)
    assert len(times) == 6
    assert loaded_once.sparkify("query", given="users\n").err == "2 rows\n"


def run_in_shell(project: Project, command: str, given: bytes = b"") -> tuple[bytes, str]:
    """What `sparkify query …` leaves on stdout and stderr."""
    done = subprocess.run(
        f"{SPARKIFY} query {command}", shell=True, cwd=project.folder, input=given,
        env=project.whole_environment | {"PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"},
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    return done.stdout, done.stderr.decode()


def test_a_pipe_gets_every_character_whatever_the_encoding_of_terminals(
    loaded_once: Project,
) -> None:
    given = "\ufeffSELECT '€' AS price".encode()
    assert run_in_shell(loaded_once, "--format csv", given)[0] == "price\n€\n".encode()


def test_a_question_that_is_no_text_is_one_message(loaded_once: Project) -> None:
    reported = "Error: The question is not UTF-8 text: save it as UTF-8, and ask again.\n"
    assert run_in_shell(loaded_once, "", b"SELECT '\xff'") == (b"", reported)
    assert "Name a statement" in run_in_shell(loaded_once, "<&-")[1]


@pytest.mark.parametrize("form", ["table", "csv", "json", "parquet"])
def test_a_full_disk_is_one_message(loaded_once: Project, form: str) -> None:
    reported = "Error: The result cannot be written: No space left on device.\n"
    assert run_in_shell(loaded_once, f"users --format {form} > /dev/full")[1] == reported


def test_an_unknown_name_is_answered_with_the_nearest_one(loaded_once: Project) -> None:
    message = loaded_once.sparkify("query", "top_sogns").error
    assert "There is no table top_sogns. Did you mean top_songs" in message
    assert "sparkify query --list" in loaded_once.sparkify("query", "zzz").error


def test_the_list_has_every_table_with_analytics_and_their_questions_first(
    loaded_once: Project,
) -> None:
    done = loaded_once.sparkify("query", "--list")
    assert (done.status, done.err) == (0, "")
    named = [line.split()[0] for line in done.out.splitlines() if line]
    catalogue = read_catalogue()
    asked = sorted(catalogue.tables_of("analytics"))
    assert named[: len(asked) + 3] == ["analytics", named[1], *asked, "table"]
    assert set(named) >= set(catalogue.tables)
    assert "Which songs are played the most?" in done.out
    assert "takes no question" in loaded_once.sparkify("query", "--list", "users").error


def test_parquet_keeps_the_types_also_of_columns_with_nulls(
    loaded_once: Project, tmp_path: Path
) -> None:
    file = tmp_path / "found.parquet"
    sql = f"SELECT *, SUM(big) OVER () AS total, 'x' AS id FROM ({NULLS}) AS found ORDER BY id"
    done = loaded_once.sparkify("query", sql, "--out", str(file))
    assert (done.status, done.out) == (0, "")
    assert done.err == f"2 rows in {file}\n"
    table = parquet.read_table(file)
    assert {field.name: str(field.type) for field in table.schema} == {
        "id": "int32", "big": "int64", "text": "string", "moment": "timestamp[us]",
        "day": "date32[day]", "yes": "bool", "price": "decimal128(9, 2)", "total": "int64",
        "id_1": "string",
    }  # fmt: skip
    first, second = table.to_pylist()
    assert str(first["moment"]) == "2018-11-01 12:00:00.796000"
    assert (first["big"], first["yes"], first["price"]) == (None, True, Decimal("1.50"))
    assert (second["big"], second["text"], second["day"]) == (9007199254740993, "", None)
    empty = tmp_path / "empty.parquet"
    loaded_once.sparkify("query", "SELECT * FROM users WHERE false", "--out", str(empty))
    assert parquet.read_table(empty).schema.names == list(
        read_catalogue().tables["users"].column_names
    )


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_file_is_what_goes_to_a_pipe(loaded_once: Project, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"found.{form.upper()}"
    done = loaded_once.sparkify("query", "songplays", "--out", str(file))
    assert done.err == f"6 rows in {file}\n"
    with open(tmp_path / "piped", "wb") as piped:
        subprocess.run(
            [SPARKIFY, "query", "songplays", "--format", form],
            cwd=loaded_once.folder, env=loaded_once.whole_environment, stdout=piped, check=True,
        )  # fmt: skip
    assert (tmp_path / "piped").read_bytes() == file.read_bytes()


def test_a_file_is_replaced_when_its_result_is_complete_and_not_before(
    loaded_once: Project, tmp_path: Path
) -> None:
    file = tmp_path / "found.csv"
    file.write_text("from before")
    file.chmod(0o640)
    fails_late = (
        "SELECT CAST(CASE WHEN range < 50000 THEN '1' ELSE 'x' END AS INTEGER) FROM range(60000)"
    )
    for form in ("csv", "json", "parquet"):
        done = loaded_once.sparkify("query", fails_late, "--out", str(file), "--format", form)
        assert "Could not convert" in done.error
        assert file.read_text() == "from before"
        assert [path.name for path in tmp_path.iterdir()] == ["found.csv"]
    assert loaded_once.sparkify("query", "SELECT 1 AS one", "--out", str(file)).status == 0
    assert file.read_text() == "one\n1\n"
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_file_that_cannot_be_written_is_reported_in_one_message(
    loaded_once: Project, tmp_path: Path
) -> None:
    missing = loaded_once.sparkify("query", "users", "--out", str(tmp_path / "no" / "a.csv"))
    assert "a.csv cannot be written: No such file or directory" in missing.error
    assert "does not say a format" in loaded_once.sparkify("query", "users", "--out", "a.txt").error
    table = loaded_once.sparkify("query", "users", "--out", "a.csv", "--format", "table")
    assert "use > FILE for a table" in table.error
    folder = loaded_once.sparkify("query", "users", "--out", str(tmp_path), "--format", "csv")
    assert "is a directory" in folder.error


def test_parquet_says_which_column_it_has_no_type_for(loaded_once: Project, tmp_path: Path) -> None:
    file = tmp_path / "found.parquet"
    done = loaded_once.sparkify(
        "query", "SELECT 1 AS a, INTERVAL 1 DAY AS span", "--out", str(file)
    )
    assert "Parquet has no type for span" in done.error
    huge = "SELECT CAST('99999999999999999999' AS DECIMAL(38, 0)) AS total"
    assert "total has a whole number beyond 64 bits" in (
        loaded_once.sparkify("query", huge, "--out", str(file)).error
    )
    assert not file.exists()


def test_whoever_reads_slowly_keeps_nobody_from_writing(loaded: Project) -> None:
    reading = subprocess.Popen(
        [SPARKIFY, "query", "FROM range(200000)", "--format", "csv"],
        cwd=loaded.folder, env=loaded.whole_environment, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert reading.stdout is not None
    assert reading.stdout.readline() == b"range\n"  # more than a pipe holds is still to come
    with duckdb.connect(str(loaded.warehouse)) as writer:
        writer.execute("UPDATE users SET first_name = 'Grace'")
    assert len(reading.stdout.readlines()) == 200000
    assert reading.wait(30) == 0


def test_a_question_starts_without_what_only_others_need(loaded_once: Project) -> None:
    code = (
        "import atexit, sys\n"
        "from sparkify_dagster.cli.main import sparkify\n"
        "heavy = {'dagster', 'prompt_toolkit', 'pyarrow', 'pandas', 'psycopg2', 'sqlglot'}\n"
        "try:\n    sparkify(['query', 'SELECT 1'])\n"
        "finally:\n    print(sorted(heavy & set(sys.modules)))\n"
    )
    assert loaded_once.python(code).out.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("text", "statements", "ended"),
    [
        ("", [], False),
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"], False),
        ("SELECT ';'; -- done", ["SELECT ';'"], True),
        ("-- only this;", [], False),
    ],
)
def test_statements_are_split_at_semicolons_outside_of_text(
    text: str, statements: list[str], ended: bool
) -> None:
    assert split(text) == statements
    assert is_ended(text) is ended
