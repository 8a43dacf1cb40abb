"""Loads the configured lake's log files into an otherwise empty warehouse, and prints the seconds.

The tables are made before the clock starts, as those are that `\\copy` fills.

    python -m benchmarks.load_events [--only-tables]
"""

import sys
import time

from sparkify_dagster.engines.base import Session
from sparkify_dagster.settings import load_settings
from sparkify_dagster.warehouse import open_platform
from sparkify_dagster.warehouse.admin.create_tables import prepare


def main(*arguments: str) -> None:
    platform = open_platform(load_settings())

    def tables(session: Session) -> None:
        prepare(session, platform.warehouse, platform.catalogue)

    platform.warehouse.transact(tables, print)
    if "--only-tables" in arguments:
        return
    started = time.perf_counter()
    platform.load("staging_events", days=None, reload=False, run_id="benchmark")
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main(*sys.argv[1:])
