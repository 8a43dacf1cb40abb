"""CSV by columns: the same bytes as by rows, whatever the values, and stopped when asked to."""

import io
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkify_dagster.ask.csv_columns import csv_lines
from sparkify_dagster.ask.files import export
from sparkify_dagster.ask.values import csv_line
from sparkify_dagster.engines.duckdb.warehouse import DuckDBSession
from sparkify_dagster.interruptible import CallThread
from sparkify_dagster_tests.fixtures.cli import Project

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
prices = st.integers(-(10**9) + 1, 10**9 - 1)
# By the type of the column in DuckDB: the values it may have.
VALUES: dict[str, tuple[pa.DataType, st.SearchStrategy[object]]] = {
    "VARCHAR": (pa.string(), texts | st.text(' ",\r\n\t\u00a0a', max_size=3)),
    "BIGINT": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "UBIGINT": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "BOOLEAN": (pa.bool_(), st.booleans()),
    "DOUBLE": (pa.float64(), st.floats()),
    "FLOAT": (pa.float32(), st.floats(width=32)),
    "DECIMAL(9,6)": (pa.decimal128(9, 6), prices.map(lambda n: Decimal(n).scaleb(-6))),
    "DATE": (pa.date32(), st.dates()),
    "TIMESTAMP": (pa.timestamp("us"), st.datetimes()
                  | st.datetimes().map(lambda t: t.replace(microsecond=796000))
                  | st.datetimes().map(lambda t: t.replace(microsecond=0))),
}  # fmt: skip
any_row = st.tuples(*(values | st.none() for _, values in VALUES.values()))
FAILS_TO_END = (
    "SELECT range FROM range(300000) UNION ALL"
    " SELECT a.range FROM range(3000000) a, range(1000000) b WHERE a.range * b.range < 0"
)


@contextmanager
def session_over(connection: duckdb.DuckDBPyConnection) -> Iterator[DuckDBSession]:
    with closing(CallThread(connection.interrupt)) as thread:
        yield DuckDBSession(connection, thread)


def exported(connection: duckdb.DuckDBPyConnection, sql: str, limit: int | None = None) -> str:
    file = io.BytesIO()
    with session_over(connection) as session:
        rows = export(session, sql, "csv", limit, file)
    text = file.getvalue().decode()
    assert rows == len(connection.execute(sql).fetchall()[:limit])
    return text


def by_rows(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    found = connection.execute(sql)
    names = [name for name, *_ in found.description or ()]
    return "".join(f"{csv_line(row)}\n" for row in (names, *found.fetchall()))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(any_row, max_size=8))
def test_columns_have_the_text_that_rows_have(rows: list[tuple[object, ...]]) -> None:
    types = [type_ for type_, _ in VALUES.values()]
    columns = zip(*rows, strict=True) if rows else [()] * len(types)
    arrays = [pa.array(values, type_) for values, type_ in zip(columns, types, strict=True)]
    table = pa.table(arrays, names=list(VALUES))
    with duckdb.connect() as connection:
        connection.register("given", table)
        assert exported(connection, "FROM given") == by_rows(connection, "FROM given")
        with session_over(connection) as session:
            assert session.exact_batches("FROM given") is not None


def test_every_white_space_at_an_end_is_quoted_as_it_is_in_rows() -> None:
    every = [chr(code) for code in range(0x10000) if not 0xD800 <= code <= 0xDFFF]
    assert not any(chr(code).isspace() for code in range(0x10000, sys.maxunicode + 1))
    for form in ("{}a", "a{}"):
        values = [form.format(character) for character in every]
        lines = csv_lines(pa.record_batch([pa.array(values)], names=["text"]))
        assert bytes(lines).decode() == "".join(f"{csv_line([value])}\n" for value in values)


@pytest.mark.parametrize(
    "value",
    ["DATE '10000-01-01'", "DATE 'infinity'", "TIMESTAMP '-infinity'", "TIMESTAMP '44-3-15 (BC)'",
     "1::HUGEINT", "0.0000001::DECIMAL(9, 7)", "'a'::ENUM('a', 'b')", "INTERVAL 90 MINUTE",
     "TIME '10:00:00.5'", "TIMESTAMP_NS '2018-01-01 00:00:00.123456789'",
     "CAST('e1e0e5de-1111-4222-8333-444444444444' AS UUID)",
     "[1, NULL]", "{'a': DATE '2018-11-01'}", "'x'::BLOB", "NULL"],
)  # fmt: skip
def test_a_value_without_a_sure_text_in_columns_has_that_of_rows(value: str) -> None:
    with duckdb.connect() as connection:
        sql = f"SELECT range AS n, CASE WHEN n >= 150000 THEN {value} END AS v FROM range(150001)"
        sql = f"{sql} ORDER BY n"
        assert exported(connection, sql) == by_rows(connection, sql)


def test_names_that_come_twice_and_a_limit_are_kept() -> None:
    with duckdb.connect() as connection:
        sql = 'SELECT range AS "a,b", range AS "a,b" FROM range(250000) ORDER BY 1'
        lines = exported(connection, sql, 120000).splitlines()
        assert (lines[0], len(lines), lines[-1]) == ('"a,b","a,b"', 120001, "119999,119999")
        assert exported(connection, sql, 0) == '"a,b","a,b"\n'


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_an_interruption_between_two_pages_stops_an_export_and_leaves_nothing(
    loaded_once: Project, form: str
) -> None:
    before = loaded_once.files()
    asking = loaded_once.start("query", FAILS_TO_END, "--out", f"found.{form}")
    partly = loaded_once.folder / f".found.{form}.{asking.pid}.new"
    until = time.monotonic() + 20
    while not partly.exists() and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(2)  # the rows that come soon are there
    asking.send_signal(signal.SIGINT)
    _, reported = asking.communicate(timeout=20)
    assert asking.returncode == 130
    assert reported.startswith("Error: interrupted; nothing half-written.")
    assert loaded_once.files() == before
