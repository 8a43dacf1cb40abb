"""How a whole process is measured, and how a lake and a product run are set up for it.

Every measured thing is a child process: its wall time, and the peak memory that the kernel counted
for it. The measuring process stays small, because a child inherits its parent's peak.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SPARKIFY = Path(sys.executable).with_name("sparkify")


@dataclass(frozen=True)
class Run:
    """One measured process."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Figure:
    """One measured result beside its target; ``value`` should be at most ``target``."""

    name: str
    value: float
    target: float
    unit: str
    detail: str

    @property
    def met(self) -> bool:
        return self.value <= self.target


@dataclass
class Series:
    """The repetitions of one process, printed as they come."""

    name: str
    runs: list[Run] = field(default_factory=list)

    def add(self, run: Run) -> None:
        self.runs.append(run)
        print(
            f"  {self.name:<28} {run.seconds:8.2f} s {run.cpu_seconds:8.2f} s CPU"
            f" {run.peak_mb:8.0f} MB",
            flush=True,
        )

    @property
    def seconds(self) -> float:
        return statistics.median(run.seconds for run in self.runs)

    @property
    def cpu_seconds(self) -> float:
        """Hardly depends on what else the machine does, as ``seconds`` does."""
        return statistics.median(run.cpu_seconds for run in self.runs)

    @property
    def peak_mb(self) -> float:
        return max(run.peak_mb for run in self.runs)


def measure(command: Sequence[str | Path], environment: Mapping[str, str], log: Path) -> Run:
    """Run ``command`` to its end; its output goes to ``log``, which is shown if it fails."""
    arguments = [os.fspath(part) for part in command]
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            arguments,
            cwd=REPOSITORY,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        tail = log.read_text(errors="replace")[-3000:]
        sys.exit(f"{' '.join(arguments)} ended with status {process.returncode}:\n{tail}")
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Run(seconds, usage.ru_utime + usage.ru_stime, kilobytes / 1024)


@dataclass(frozen=True)
class Platform:
    """A lake, and one warehouse with its Dagster instance in a folder of their own."""

    lake: Path
    folder: Path
    first_day: str

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the user's own configuration reaches a measured run."""
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith("SPARKIFY_")
        }
        return inherited | {
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            "DAGSTER_HOME": str(self.folder / "dagster"),
            "SPARKIFY_CONFIG": str(REPOSITORY / "dwh.cfg"),
            "SPARKIFY_DUCKDB_PATH": str(self.warehouse),
            "SPARKIFY_PARTITIONS_FIRST_DAY": self.first_day,
            "SPARKIFY_PARTITIONS_LAST_DAY": "",
            "SPARKIFY_S3_LOG_DATA": str(self.lake / "log_data"),
            "SPARKIFY_S3_SONG_DATA": str(self.lake / "song_data"),
            "SPARKIFY_WAREHOUSE_ENGINE": "duckdb",
        }

    def make_empty(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "dagster").mkdir(parents=True)

    def run(self) -> Run:
        """One whole `sparkify run`."""
        return measure([SPARKIFY, "run"], self.environment, self.folder.with_suffix(".log"))


def simulate(
    lake: Path, *, start: str, days: int, users: int, songs: int, events_per_day: int
) -> None:
    """Make ``lake`` with `sparkify simulate`, unless an earlier benchmark run left it there."""
    wish = f"{start} {days} days, {users} users, {songs} songs, {events_per_day} events a day"
    made = lake / "made"
    if made.exists() and made.read_text() == wish:
        return
    shutil.rmtree(lake, ignore_errors=True)
    lake.parent.mkdir(parents=True, exist_ok=True)
    shape = f"--days={days} --users={users} --songs={songs} --events-per-day={events_per_day}"
    fixed = f"--out={lake}", f"--start={start}", "--seed=1"
    run = measure(
        [SPARKIFY, "simulate", *fixed, *shape.split()], os.environ, lake.with_suffix(".log")
    )
    made.write_text(wish)
    print(f"  simulated {wish}: {run.seconds:.1f} s, {run.peak_mb:.0f} MB", flush=True)


def options(description: str, repetitions: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--work", type=Path, help="folder to work in and keep (else a temporary one)"
    )
    parser.add_argument("--repetitions", type=int, default=repetitions, metavar="N")
    return parser.parse_args()


@contextmanager
def work_folder(given: Path | None) -> Iterator[Path]:
    if not SPARKIFY.exists():
        sys.exit(f"{SPARKIFY} does not exist: make the environment with `make env`.")
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="sparkify-bench-") as folder:
        yield Path(folder)


def print_figures(figures: Sequence[Figure]) -> None:
    print(f"\n{'figure':<40}{'measured':>12}{'at most':>12}   ")
    for figure in figures:
        measured = f"{figure.value:.2f} {figure.unit}"
        target = f"{figure.target:g} {figure.unit}"
        verdict = "met" if figure.met else "MISSED"
        print(f"{figure.name:<40}{measured:>12}{target:>12}   {verdict}  ({figure.detail})")
