"""A month of 100,000 events a day and 14,896 song files: `sparkify run` against a plain script.

Both start from nothing, in turns, on the same lake; at the end their tables must agree.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import (
    Figure,
    Platform,
    Series,
    measure,
    options,
    print_figures,
    simulate,
    work_folder,
)

if TYPE_CHECKING:
    import duckdb

START, DAYS, EVENTS_PER_DAY, SONGS, USERS = "2018-11-01", 30, 100_000, 14_896, 20_000
TABLES = (
    "staging_events",
    "staging_songs",
    "songplays",
    "users",
    "user_levels",
    "songs",
    "artists",
    "time",
)


def plain_script(lake: Path, database: Path) -> list[str | Path]:
    script = Path(__file__).with_name("plain_duckdb.py")
    return [sys.executable, script, lake / "log_data", lake / "song_data", database]


def disagreements(product: Path, plain: Path) -> list[str]:
    """The tables whose rows are not the same."""
    import duckdb  # only now: nothing is measured after this

    con = duckdb.connect()
    try:
        con.execute(f"ATTACH '{product}' AS product (READ_ONLY)")
        con.execute(f"ATTACH '{plain}' AS plain (READ_ONLY)")
        return [problem for table in TABLES if (problem := _difference(con, table))]
    finally:
        con.close()


def _difference(con: "duckdb.DuckDBPyConnection", table: str) -> str | None:
    # The path of a file is written differently; everything else must be equal.
    described = con.execute(f"DESCRIBE plain.{table}").fetchall()
    columns = ", ".join(f'"{row[0]}"' for row in described if row[0] != "source_file")
    rows = {
        side: con.execute(f"SELECT count(*) FROM {side}.{table}").fetchall()[0][0]
        for side in ("product", "plain")
    }
    [(others,)] = con.execute(
        f"SELECT count(*) FROM (SELECT {columns} FROM product.{table}"
        f" EXCEPT ALL SELECT {columns} FROM plain.{table})"
    ).fetchall()
    if others == 0 and rows["product"] == rows["plain"]:
        return None
    return f"{table}: {rows['product']} rows against {rows['plain']}, {others} of them differ"


def benchmark(work: Path, repetitions: int) -> list[Figure]:
    print("A month of 100,000 events a day, 14,896 song files", flush=True)
    lake, plain = work / "month-lake", work / "plain.duckdb"
    simulate(lake, start=START, days=DAYS, users=USERS, songs=SONGS, events_per_day=EVENTS_PER_DAY)
    platform = Platform(lake, work / "month", START)
    product, script = Series("sparkify run"), Series("plain DuckDB script")
    for _ in range(repetitions):
        platform.make_empty()
        product.add(platform.run())
        plain.unlink(missing_ok=True)
        script.add(measure(plain_script(lake, plain), os.environ, work / "plain.log"))
    if different := disagreements(platform.warehouse, plain):
        sys.exit("The product and the plain script disagree:\n  " + "\n  ".join(different))
    print("  all tables of both are equal")
    ratio = product.seconds / script.seconds
    detail = (
        f"{product.seconds:.2f} s against {script.seconds:.2f} s;"
        f" CPU {product.cpu_seconds:.1f} s against {script.cpu_seconds:.1f} s"
    )
    return [
        Figure("a month: sparkify run / plain script", ratio, 0.5, "x", detail),
        Figure("a month: peak memory", product.peak_mb / 1024, 2, "GB", "largest of all runs"),
    ]


if __name__ == "__main__":
    arguments = options("A month of data against a plain DuckDB script.", repetitions=3)
    with work_folder(arguments.work) as folder:
        print_figures(benchmark(folder, arguments.repetitions))
