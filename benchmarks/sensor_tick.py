"""A sensor's tick over 100,000 files against the bare listing of the same files.

Three ticks: all files are new; all are loaded, and the ledger is read and compared; all are loaded
and nothing has happened since the last tick. Ticks happen in a process that lives long, as the
code server does, so imports are not part of the times.
"""

import gc
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path

from benchmarks.measure import Figure, options, print_figures, work_folder

FIRST, DAYS, FILES_PER_DAY = date(2018, 1, 1), 1_000, 100
TARGET = 1.5
SECONDS_OF_A_TICK = 60
LINE = (
    '{"artist":null,"auth":"Logged In","firstName":"Ada","gender":"F","itemInSession":0,'
    '"lastName":"Smith","length":null,"level":"free","location":"Nowhere, NW","method":"GET",'
    '"page":"Home","registration":1540000000000.0,"sessionId":7,"song":null,"status":200,'
    '"ts":%d,"userAgent":"Mozilla/5.0","userId":"1"}\n'
)


def make_lake(lake: Path) -> None:
    """Log files of one line each, unless an earlier benchmark run left them there."""
    (lake / "song_data").mkdir(parents=True, exist_ok=True)
    made = lake / "made"
    if made.exists():
        return
    for n in range(DAYS):
        day = FIRST + timedelta(n)
        folder = lake / "log_data" / f"{day:%Y/%m}"
        folder.mkdir(parents=True, exist_ok=True)
        for part in range(FILES_PER_DAY):
            content = LINE % (1_514_764_800_000 + n * 86_400_000 + part)
            (folder / f"{day}-events-{part:03}.json").write_text(content)
    made.touch()


class Ticks:
    """The sensor for log files over the lake, with an instance and a warehouse of its own."""

    def __init__(self, lake: Path, folder: Path, stack: ExitStack) -> None:
        from sparkify_dagster.defs.instance.home import open_instance
        from sparkify_dagster.defs.resources import lake_resource, warehouse_resource
        from sparkify_dagster.defs.sensors.new_files import arrival_sensors
        from sparkify_dagster.settings import load_settings
        from sparkify_dagster.warehouse import open_platform

        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "dwh.cfg"
        config.write_text(
            f"[DUCKDB]\nPATH = warehouse.duckdb\n[S3]\nLOG_DATA = {lake}/log_data\n"
            f"SONG_DATA = {lake}/song_data\n[PARTITIONS]\nFIRST_DAY = {FIRST}\n"
        )
        settings = load_settings(config, {"DAGSTER_HOME": str(folder / "dagster")})
        self.platform = open_platform(settings)
        settings.duckdb.path.unlink(missing_ok=True)
        self.instance = stack.enter_context(open_instance(settings))
        self.sensor = arrival_sensors(self.platform)[0]
        self.resources = {
            "lake": lake_resource(settings),
            "warehouse": warehouse_resource(settings),
        }

    def load(self) -> None:
        """As a run would, without its events."""
        self.platform.load("staging_events", days=None, reload=False, run_id="benchmark")
        for table in self.platform.catalogue.transforms:
            self.platform.refresh(table)

    def list_only(self) -> None:
        self.platform.lake("staging_events").list()

    def tick(self, cursor: str | None) -> str | None:
        import dagster as dg

        with dg.build_sensor_context(
            instance=self.instance,
            cursor=cursor,
            sensor_name=self.sensor.name,
            resources=self.resources,
        ) as context:
            return self.sensor.evaluate_tick(context).cursor


def in_turns(repetitions: int, works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The median seconds of each, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for repetition in range(repetitions + 1):
        for name, work in works.items():
            gc.collect()
            started = time.perf_counter()
            work()
            if repetition:
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    for name, median in medians.items():
        print(f"  {name:<28} {median:8.2f} s", flush=True)
    return medians


def benchmark(work: Path, repetitions: int) -> list[Figure]:
    print(f"A sensor's tick over {DAYS * FILES_PER_DAY:,} files", flush=True)
    lake = work / "sensor-lake"
    make_lake(lake)
    with ExitStack() as stack:
        ticks = Ticks(lake, work / "sensor", stack)
        first = in_turns(
            repetitions, {"listing": ticks.list_only, "all new": lambda: ticks.tick(None)}
        )
        ticks.load()
        cursor = ticks.tick(None)
        later = in_turns(
            repetitions,
            {
                "listing": ticks.list_only,
                "all in the ledger": lambda: ticks.tick(None),
                "nothing happened": lambda: ticks.tick(cursor),
            },
        )
    figures = [
        Figure(
            f"sensor tick / listing: {name}",
            found[name] / found["listing"],
            TARGET,
            "x",
            f"{found[name]:.2f} s against {found['listing']:.2f} s",
        )
        for found in (first, later)
        for name in found
        if name != "listing"
    ]
    slowest = max(found[name] for found in (first, later) for name in found)
    detail = f"{DAYS * FILES_PER_DAY:,} files"
    return [*figures, Figure("sensor tick: the slowest", slowest, SECONDS_OF_A_TICK, "s", detail)]


if __name__ == "__main__":
    arguments = options("A sensor's tick over 100,000 files.", repetitions=5)
    with work_folder(arguments.work) as folder:
        print_figures(benchmark(folder, arguments.repetitions))
