"""`sparkify query`: values keep their types, and nothing but reading is possible."""

import csv
import io
import json
import subprocess
import sys

import pytest

from sparkify_dagster.commands.query import QueryError, one_reading_statement
from sparkify_dagster_tests.fixtures_cli import Project

NULLS = (
    "SELECT * FROM (VALUES (1, NULL, 'a,\"b', TIMESTAMP '2018-11-01 12:00:00.796',"
    " DATE '2018-11-01', true, 1.50::DECIMAL(9, 2)),"
    " (2, 9007199254740993, '', NULL, NULL, NULL, NULL))"
    " AS v(id, big, text, moment, day, yes, price) ORDER BY id"
)


def test_a_table_has_its_number_of_rows_on_stderr(loaded_once: Project) -> None:
    done = loaded_once.sparkify(
        "query", "SELECT user_id, first_name FROM users ORDER BY user_id DESC"
    )
    assert done.status == 0
    assert done.out == "user_id  first_name\n-------  ----------\n      2  Ada\n      1  Ada\n"
    assert done.err == "2 rows\n"


def test_csv_keeps_whole_numbers_and_tells_null_from_an_empty_text(loaded_once: Project) -> None:
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
    assert "there are more" in long.err
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
        ("; ;\nselect ';' -- ; x", "; ;\nselect ';' -- ; x"),
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


def test_a_mistake_is_told_in_the_engines_words_with_its_place(loaded_once: Project) -> None:
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
