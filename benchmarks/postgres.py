"""The month on PostgreSQL: loading its events against `\\copy` of the same rows, and a whole run.

The rows are prepared beforehand as CSV; both fill the same empty table of the same server, whose
data are thrown away afterwards (see `postgres_server`).
"""

import os
import sys
from pathlib import Path

from benchmarks.measure import (
    SPARKIFY,
    Figure,
    Platform,
    Run,
    Series,
    measure,
    options,
    print_figures,
    simulate,
    work_folder,
)
from benchmarks.month import DAYS, EVENTS_PER_DAY, SONGS, START, USERS
from sparkify_dagster_tests.engines.postgres_server import Database, PostgresServer, installed

# Half of the machine's memory would be usual; this is enough for the month.
_SERVER = {"shared_buffers": "1GB", "maintenance_work_mem": "256MB", "max_wal_size": "16GB"}


class OnPostgres:
    """The platform over one lake, on a fresh database for each measured run."""

    def __init__(self, server: PostgresServer, lake: Path, work: Path) -> None:
        self.server = server
        self.platform = Platform(lake, work / "postgres", START)
        self.log = work / "postgres.log"
        self.rows = work / "staging_events.csv"

    def environment(self, database: Database) -> dict[str, str]:
        return self.platform.environment | database.environ()

    def whole_run(self) -> Run:
        self.platform.make_empty()
        with self.server.new_database() as database:
            return measure([SPARKIFY, "run"], self.environment(database), self.log)

    def load(self, *, keep_rows: bool) -> Run:
        """The load alone, without the start of its process."""
        with self.server.new_database() as database:
            command = [sys.executable, "-m", "benchmarks.load_events"]
            run = measure(command, self.environment(database), self.log)
            seconds = float(self.log.read_text().split()[-1])
            if keep_rows:
                self.psql(database, f"\\copy staging_events TO '{self.rows}' WITH (FORMAT csv)")
        return Run(seconds, run.cpu_seconds, run.peak_mb)

    def copy(self) -> Run:
        with self.server.new_database() as database:
            command = [sys.executable, "-m", "benchmarks.load_events", "--only-tables"]
            measure(command, self.environment(database), self.log)
            return self.psql(
                database, f"\\copy staging_events FROM '{self.rows}' WITH (FORMAT csv)"
            )

    def psql(self, database: Database, command: str) -> Run:
        environment = os.environ | {"PGPASSWORD": database.password}
        address = ["-h", database.host, "-p", str(database.port), "-U", database.user]
        program = installed() / "psql"
        psql: list[str | Path] = [program, "-X", "-q", *address, "-d", database.name, "-c", command]
        return measure(psql, environment, self.log)


def benchmark(work: Path, repetitions: int) -> list[Figure]:
    print("A month of 100,000 events a day on PostgreSQL", flush=True)
    lake = work / "month-lake"
    simulate(lake, start=START, days=DAYS, users=USERS, songs=SONGS, events_per_day=EVENTS_PER_DAY)
    whole, load, copy = Series("sparkify run"), Series("loading the events"), Series("\\copy")
    with PostgresServer(_SERVER) as server:
        platform = OnPostgres(server, lake, work)
        for repetition in range(repetitions):
            load.add(platform.load(keep_rows=repetition == 0))
            copy.add(platform.copy())
            whole.add(platform.whole_run())
    detail = (
        f"speed {copy.seconds / load.seconds:.2f} x; {load.seconds:.1f} s against "
        f"{copy.seconds:.1f} s; whole run {whole.seconds:.1f} s"
    )
    ratio = load.seconds / copy.seconds
    return [Figure("postgres: loading / \\copy of the rows", ratio, 1 / 0.7, "x", detail)]


if __name__ == "__main__":
    arguments = options("The month on PostgreSQL against \\copy.", repetitions=3)
    with work_folder(arguments.work) as folder:
        print_figures(benchmark(folder, arguments.repetitions))
