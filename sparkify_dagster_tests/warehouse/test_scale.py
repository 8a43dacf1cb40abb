"""Promise 5: what one more day costs does not grow with the history.

Counted, not timed: how many rows of each table every statement scans, as DuckDB's profiler tells.
Of the analytics, those by day keep the promise; an answer over all plays reads them all.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pytest

from sparkify_dagster.engines.base import Session, StagedFile
from sparkify_dagster.engines.duckdb.warehouse import DuckDBSession
from sparkify_dagster.engines.rows import Value
from sparkify_dagster.warehouse.admin.create_tables import prepare
from sparkify_dagster.warehouse.load.lines import line_batches
from sparkify_dagster.warehouse.load.parsing import parse
from sparkify_dagster_tests.fixtures.warehouse import (
    DAILY_ANALYTICS,
    FIRST,
    FolderLake,
    Platform,
    bring_up_to_date,
    event,
    make_platform,
    moment,
    song,
    with_questions,
)

HISTORY_DAYS, EVENTS_A_DAY = 20, 50_000
MOST_GROUPS = 3  # of 122,880 rows: the new day's own, and neighbours whose range touches it
NEW_DAY = FIRST + timedelta(HISTORY_DAYS)
LARGE = ("staging_events", "songplays", "time")


class Scan(NamedTuple):
    """The row groups of one table that one statement scanned, of those that there are."""

    groups: int
    of: int
    table: str
    statement: str


@pytest.fixture
def with_history(tmp_path: Path, folder_lake: FolderLake) -> Platform:
    """A million plays of a thousand listeners on DuckDB, which tells what it scans."""
    platform = make_platform(tmp_path, folder_lake.root, with_questions(*DAILY_ANALYTICS))
    folder_lake.put_songs("s", song())
    bring_up_to_date(platform)
    connection = duckdb.connect(str(platform.settings.duckdb.path))
    for number in range(HISTORY_DAYS):
        day = FIRST + timedelta(number)
        step = 86_400_000 // EVENTS_A_DAY
        connection.execute(
            f"""
            INSERT INTO staging_events BY NAME
            SELECT
                DATE '{day}' AS log_date, 'A' || n % 97 AS artist, 'Logged In' AS auth,
                'Ada' AS first_name, 'F' AS gender, (n // 1000)::INTEGER AS item_in_session,
                'S' AS last_name, n % 301 + 0.5 AS length, 'free' AS level, 'PUT' AS method,
                'NextSong' AS page, {number} AS session_id, 'T' || n % 89 AS song, 200 AS status,
                {moment(day, 0)} + n * {step} AS ts, (n % 1000)::INTEGER AS user_id,
                make_timestamp(({moment(day, 0)} + n * {step}) * 1000) AS event_time,
                'history/{day}.json' AS source_file
            FROM range({EVENTS_A_DAY}) AS r (n)
            """
        )
    connection.close()
    for table in platform.catalogue.transforms:
        platform.refresh(table, full=True)
    return platform


class Profiler:
    """Keeps the scans of every statement while it is on."""

    def __init__(self, output: Path) -> None:
        self.scans: list[Scan] = []
        self._output = output
        self._statement = ""

    def before(self, connection: duckdb.DuckDBPyConnection, statement: str) -> None:
        self.harvest()
        connection.execute("SET enable_profiling = 'json'")
        connection.execute(f"SET profiling_output = '{self._output}'")
        connection.execute("SET profiling_coverage = 'ALL'")
        self._output.unlink(missing_ok=True)  # the profile of the statement just made
        self._statement = statement

    def harvest(self) -> None:
        """Take the profile of the statement before, whose result has been fetched by now."""
        if self._output.exists():
            for operator in json.loads(self._output.read_text(encoding="utf-8"))["operator"]:
                self._walk(operator)
            self._output.unlink()

    def _walk(self, node: dict[str, Any]) -> None:
        if "row_groups_scanned" in node:
            table = node["extra_info"].get("Table", "").rsplit(".", 1)[-1].strip('"')
            groups, of = node["row_groups_scanned"], node["total_row_groups_to_scan"]
            self.scans.append(Scan(groups, of, table, self._statement))
        for child in node.get("children", []):
            self._walk(child)


@pytest.fixture
def profiler(tmp_path: Path) -> Profiler:
    return Profiler(tmp_path / "profile.json")


@pytest.mark.slow
def test_one_more_day_scans_few_rows_of_a_long_history(
    with_history: Platform,
    folder_lake: FolderLake,
    profiler: Profiler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plays = [
        event(
            NEW_DAY, userId=str(n % 50), ts=moment(NEW_DAY, 0) + n * 1000, itemInSession=n,
            level="paid" if n % 3 else "free",
        )
        for n in range(2000)
    ]  # fmt: skip
    folder_lake.put_events(NEW_DAY, *plays)
    run = DuckDBSession._run

    def profiled(
        self: DuckDBSession, sql: str, params: Mapping[str, Value] | None
    ) -> duckdb.DuckDBPyConnection:
        profiler.before(self._connection, sql)
        return run(self, sql, params)

    monkeypatch.setattr(DuckDBSession, "_run", profiled)
    bring_up_to_date(with_history)
    profiler.harvest()
    found = profiler.scans
    assert {scan.table for scan in found} >= set(LARGE)
    assert max(scan.of for scan in found if scan.table == "staging_events") > 8
    too_much = {
        scan
        for scan in found
        # The total of a table is counted without reading a column.
        if scan.table in LARGE
        and scan.groups > MOST_GROUPS
        and scan.statement != f"SELECT COUNT(*) FROM {scan.table}"
    }
    assert not too_much, "\n".join(map(str, too_much))


def test_rows_that_are_written_do_not_stay_in_memory_until_the_commit(
    tmp_path: Path, folder_lake: FolderLake
) -> None:
    platform = make_platform(tmp_path, folder_lake.root)
    file = StagedFile("2018/11/2018-11-01-events.json", FIRST)
    folder_lake.put_events(FIRST, event(FIRST))
    listed = platform.lake("staging_events").list()
    [lines] = line_batches(platform.lake("staging_events").read(listed), listed)
    row = parse(platform.catalogue.rules_of("staging_events"), lines, [FIRST]).rows
    held = []

    def load(session: Session) -> None:
        prepare(session, platform.warehouse, platform.catalogue)
        with session.staging(platform.catalogue.tables["staging_events"], [file]) as intake:
            for _ in range(6):
                intake.append(row.take([0] * 250_000))
                held.append(pa.total_allocated_bytes())
        assert session.count("SELECT COUNT(*) FROM staging_events") == 6 * 250_000

    platform.warehouse.transact(load, print)
    assert max(held[1:]) < 1.5 * min(held[1:])
