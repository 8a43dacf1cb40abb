"""`sparkify run` from nothing on the real 20 days, whole process.

Where the real data is absent, a simulated lake of its size stands in, and the figure says so.
"""

from pathlib import Path

from benchmarks.measure import (
    REPOSITORY,
    Figure,
    Platform,
    Series,
    options,
    print_figures,
    simulate,
    work_folder,
)

REAL = REPOSITORY.parent / "shared" / "data" / "sparkify"
START = "2018-11-11"


def benchmark(work: Path, repetitions: int) -> list[Figure]:
    lake, kind = REAL, "the real 20 days"
    if not lake.exists():
        lake, kind = work / "days-lake", "20 simulated days"
        simulate(lake, start=START, days=20, users=96, songs=71, events_per_day=350)
    print(f"`sparkify run` on {kind}", flush=True)
    platform = Platform(lake, work / "days", START)
    series = Series("sparkify run")
    for _ in range(repetitions):
        platform.make_empty()
        series.add(platform.run())
    detail = f"median of {repetitions}, peak {series.peak_mb:.0f} MB"
    return [Figure(kind, series.seconds, 4, "s", detail)]


if __name__ == "__main__":
    arguments = options("The real 20 days.", repetitions=5)
    with work_folder(arguments.work) as folder:
        print_figures(benchmark(folder, arguments.repetitions))
