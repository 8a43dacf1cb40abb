"""One more day on a month of history against the same day on three years of history.

Both lakes hold the same newest days; the longer one only has more before them. The prepared
warehouse and instance are copied back before each run, so every repetition adds the same day.
"""

import os
import shutil
from datetime import date, timedelta
from pathlib import Path

from benchmarks.measure import (
    Figure,
    Platform,
    Series,
    options,
    print_figures,
    simulate,
    work_folder,
)

START = date(2016, 1, 1)
LONG, SHORT = 3 * 365, 30
EVENTS_PER_DAY, SONGS, USERS = 2_000, 1_000, 1_000


def log_files(lake: Path) -> list[Path]:
    """The log files, oldest first: their names start with their day."""
    return sorted((lake / "log_data").rglob("*.json"), key=lambda file: file.name)


class History:
    """The last ``days`` of a lake before its newest day, loaded; the newest day can be added."""

    def __init__(self, name: str, whole: Path, days: int, work: Path) -> None:
        *before, self.newest = log_files(whole)[-days - 1 :]
        lake = work / f"{name}-lake"
        shutil.rmtree(lake, ignore_errors=True)
        shutil.copytree(whole / "song_data", lake / "song_data", copy_function=shutil.copyfile)
        for file in before:
            copy(file, lake / file.relative_to(whole))
        self.arrival = lake / self.newest.relative_to(whole)
        self.platform = Platform(lake, work / name, before[0].name[:10])
        self.prepared = work / f"{name}-prepared"
        self.series = Series(f"one more day on {days} days")
        self.platform.make_empty()
        loaded = self.platform.run()
        print(f"  prepared {days} days in {loaded.seconds:.1f} s", flush=True)
        shutil.rmtree(self.prepared, ignore_errors=True)
        shutil.copytree(self.platform.folder, self.prepared)

    def add_the_newest_day(self) -> None:
        shutil.rmtree(self.platform.folder)
        shutil.copytree(self.prepared, self.platform.folder)
        copy(self.newest, self.arrival)
        os.sync()  # the copies are not to be written during the measurement
        self.series.add(self.platform.run())
        self.arrival.unlink()


def copy(file: Path, name: Path) -> None:
    # Not a link: a new link changes the time of the file's last change, and so its etag.
    name.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, name)


def benchmark(work: Path, repetitions: int) -> list[Figure]:
    print("One more day on a month and on three years of history", flush=True)
    lake = work / "history-lake"
    simulate(
        lake,
        start=str(START),
        days=LONG + 1,
        users=USERS,
        songs=SONGS,
        events_per_day=EVENTS_PER_DAY,
    )
    short = History("short", lake, SHORT, work)
    long = History("long", lake, LONG, work)
    for _ in range(repetitions):
        short.add_the_newest_day()
        long.add_the_newest_day()
    ratio = long.series.seconds / short.series.seconds
    detail = f"{long.series.seconds:.2f} s against {short.series.seconds:.2f} s"
    return [Figure("one more day: three years / a month", ratio, 1.2, "x", detail)]


if __name__ == "__main__":
    last_day = START + timedelta(LONG)
    arguments = options(f"One more day, {last_day}, on short and long history.", repetitions=5)
    with work_folder(arguments.work) as folder:
        print_figures(benchmark(folder, arguments.repetitions))
