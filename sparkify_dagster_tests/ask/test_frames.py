"""Results as DataFrames and pages: the same rows and types on every engine, and nothing written."""

import asyncio
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from sparkify_dagster import read_frame
from sparkify_dagster.ask.questions import asking
from sparkify_dagster.ask.values import csv_line, json_text
from sparkify_dagster.engines.base import silent
from sparkify_dagster.errors import QueryError, SparkifyError
from sparkify_dagster_tests.cli.test_cli_query import ESCAPES
from sparkify_dagster_tests.fixtures.cli import Project
from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    FolderLake,
    Platform,
    event,
    load_all,
    moment,
)

pytestmark = [pytest.mark.all_questions, pytest.mark.every_engine]

README = Path(__file__).parents[2] / "README.md"
ONE_OF_EACH = """
    SELECT 1 AS id, CAST(7 AS INTEGER) AS number, CAST(9007199254740993 AS BIGINT) AS big,
        TRUE AS yes, CAST('2018-11-01' AS DATE) AS day,
        CAST('2018-11-01 12:00:00.796' AS TIMESTAMP) AS moment, CAST(1.5 AS DECIMAL(9, 2)) AS price,
        CAST(0.1 AS DOUBLE PRECISION) AS share, CAST('a' AS VARCHAR(8)) AS word
    UNION ALL
    SELECT 2, NULL, NULL, NULL, NULL, NULL, CAST(NULL AS DECIMAL(9, 2)), NULL, NULL
    ORDER BY id
"""
DTYPES = {
    "id": "Int64", "number": "Int64", "big": "Int64", "yes": "boolean", "day": "datetime64[us]",
    "moment": "datetime64[us]", "price": "float64", "share": "float64", "word": "str",
}  # fmt: skip
DIGITS = " UNION ALL ".join(f"SELECT {digit} AS n" for digit in range(10))
MANY = f"""
    WITH d AS ({DIGITS})
    SELECT a.n * 10000 + b.n * 1000 + c.n * 100 + e.n * 10 + f.n AS n
    FROM d AS a CROSS JOIN d AS b CROSS JOIN d AS c CROSS JOIN d AS e CROSS JOIN d AS f
    WHERE a.n < 3
"""
ENDLESS = f"WITH d AS ({DIGITS}), e AS (SELECT a.n FROM d AS a CROSS JOIN d AS b CROSS JOIN d) " + (
    "SELECT SUM(a.n + b.n + c.n + f.n) AS n FROM e AS a CROSS JOIN e AS b CROSS JOIN e AS c"
    " CROSS JOIN e AS f"
)


@pytest.fixture(scope="module")
def loaded(
    module_engine: EngineUnderTest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """Three plays of two songs, in the warehouse that the environment names."""
    folder = tmp_path_factory.mktemp(module_engine.name)
    lake = FolderLake(folder / "lake")
    plays = [event(ts=moment(FIRST, hour), song=song) for hour, song in enumerate("ABA")]
    lake.put_events(FIRST, *plays)
    platform = module_engine.platform(folder, lake.root)
    load_all(platform)
    for table in ("songplays", "plays_per_song", "top_songs"):
        platform.refresh(table)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in module_engine.environ.items():
            patch.setenv(name, value)
        patch.setenv("SPARKIFY_WAREHOUSE_SCHEMA", platform.warehouse.schema)
        patch.setenv("SPARKIFY_CONFIG", str(folder / "dwh.cfg"))
        yield platform


def test_a_table_by_its_name_comes_whole_and_in_its_order(loaded: Platform) -> None:
    songs = read_frame("top_songs")
    assert list(songs.song) == ["A", "B"]
    assert list(songs.plays) == [2, 1]
    assert read_frame("songplays;").start_time.is_monotonic_increasing


def test_dtypes_follow_from_the_types_of_columns_alone(loaded: Platform) -> None:
    frame = read_frame(ONE_OF_EACH)
    assert frame.dtypes.astype(str).to_dict() == DTYPES
    assert frame.loc[0].to_dict() == {
        "id": 1, "number": 7, "big": 9007199254740993, "yes": True,
        "day": pd.Timestamp("2018-11-01"), "moment": pd.Timestamp("2018-11-01 12:00:00.796"),
        "price": 1.5, "share": 0.1, "word": "a",
    }  # fmt: skip
    assert frame.loc[1].drop("id").isna().all()
    nothing = read_frame(f"SELECT * FROM ({ONE_OF_EACH}) AS found WHERE id > 2")
    assert nothing.dtypes.astype(str).to_dict() == DTYPES


def test_counts_and_sums_of_whole_numbers_are_whole(loaded: Platform) -> None:
    frame = read_frame(f"SELECT COUNT(*) AS n, SUM(big) AS total FROM ({ONE_OF_EACH}) AS found")
    assert frame.dtypes.astype(str).to_dict() == {"n": "Int64", "total": "Int64"}
    assert frame.loc[0].to_dict() == {"n": 2, "total": 9007199254740993}


def test_a_name_that_comes_twice_gets_a_number(loaded: Platform) -> None:
    assert list(read_frame("SELECT 1 AS a, 2 AS a, 3 AS a_1")) == ["a", "a_2", "a_1"]


def test_a_large_result_comes_in_pages_in_its_order(loaded: Platform) -> None:
    with asking(loaded.warehouse, silent) as session:
        found = session.stream(f"{MANY} ORDER BY n")
        pages = list(found.pages)
        assert found.columns == ("n",)
        assert [n for page in pages for (n,) in page] == list(range(30000))
        assert max(map(len, pages)) <= 10_000
        assert [row for page in session.stream(MANY, limit=0).pages for row in page] == []
        first = session.stream(f"{MANY} ORDER BY n", limit=1500)
        assert [n for page in first.pages for (n,) in page] == list(range(1500))
        batches = session.reader(f"{MANY} ORDER BY n")
        assert batches.read_all().column("n").to_pylist() == list(range(30000))
        few = session.reader(f"{MANY} ORDER BY n", limit=3).read_all()
        assert few.column("n").to_pylist() == [0, 1, 2]


def test_a_decimal_keeps_every_digit_and_place_in_rows(loaded: Platform) -> None:
    with asking(loaded.warehouse, silent) as session:
        sql = "SELECT CAST('12345678901234567.80' AS DECIMAL(20, 2)) AS price, 1 AS one"
        [[(price, one)]] = session.stream(sql).pages
    assert csv_line((price, one)) == "12345678901234567.80,1"
    assert json_text([price, one]) == "[12345678901234567.80, 1]"
    assert json_text(Decimal("1.50")) == "1.5"


def test_the_engine_itself_refuses_to_write_in_a_session_that_reads(loaded: Platform) -> None:
    for sql in (
        "DELETE FROM users",
        "CREATE TABLE mine (a INTEGER)",
        "UPDATE users SET level = 'x'",
    ):
        with (
            pytest.raises(QueryError, match=r"(?i)read.only"),
            asking(loaded.warehouse, silent) as session,
        ):
            session.execute(sql)
    assert list(read_frame("SELECT COUNT(*) AS n FROM users").n) == [1]


@pytest.mark.parametrize("sql", ESCAPES)
def test_no_statement_hides_behind_one_that_reads(loaded: Platform, sql: str) -> None:
    with pytest.raises(QueryError):
        read_frame(sql)
    assert list(read_frame("SELECT COUNT(*) AS n FROM users").n) == [1]


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM users", "SELECT * INTO mine FROM users", "SELECT 1; DELETE FROM users", "VACUUM"],
)
def test_what_does_not_read_never_gets_to_the_engine(
    loaded: Platform, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(loaded.warehouse), "read", None)
    with pytest.raises(QueryError):
        read_frame(sql)


def test_a_mistake_is_one_message_in_the_engines_words(loaded: Platform) -> None:
    with pytest.raises(QueryError, match="usr_id"):
        read_frame("SELECT\nusr_id FROM users")
    with pytest.raises(QueryError, match=r"no table top_song\. Did you mean top_songs"):
        read_frame("top_song")


def test_a_table_that_a_newer_version_brings_is_not_there_yet(loaded: Platform) -> None:
    with loaded.warehouse.write(silent) as session:
        session.execute("DROP TABLE top_artists")
    with pytest.raises(QueryError, match=r"top_artists is not in .* yet\. Run `sparkify run`"):
        read_frame("top_artists")


def test_it_works_where_an_event_loop_runs_and_in_other_threads(loaded: Platform) -> None:
    async def cell() -> int:
        return len(read_frame("top_songs"))

    assert asyncio.run(cell()) == 2
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(len(read_frame("top_songs"))))
    thread.start()
    thread.join(30)
    assert found == [2]


@pytest.mark.slow
def test_an_interruption_stops_a_statement_at_once_and_the_next_one_works(
    loaded: Platform,
) -> None:
    """As in a script of an analyst."""
    code = (
        "from sparkify_dagster.ask.dataframe import read_frame\n"
        "read_frame('SELECT 1 AS one')\n"
        "print('asking', flush=True)\n"
        f"try:\n    read_frame({ENDLESS!r})\n"
        "except KeyboardInterrupt:\n    print(read_frame('SELECT 1 AS one').one[0])\n"
    )
    asking = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert asking.stdout is not None
    assert asking.stdout.readline() == "asking\n"
    time.sleep(1)
    asking.send_signal(signal.SIGINT)
    assert asking.communicate(timeout=20)[0] == "1\n"


def test_without_a_configuration_it_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPARKIFY_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SparkifyError, match=r"There is no dwh\.cfg in .* or in a folder above it"):
        read_frame("users")
    with pytest.raises(SparkifyError, match=r"There is no configuration file .*other\.cfg"):
        read_frame("users", config="other.cfg")


def test_the_example_of_the_readme_runs_as_it_stands(loaded_once: Project) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    done = loaded_once.python(example)
    assert done.status == 0, done.err
    assert (loaded_once.folder / "dwh.cfg").exists()
