"""The UI: how soon it answers, a day from launch to end, and a year as one run.

Runs are launched as the page launches them, over GraphQL at a running `sparkify ui`. The year is
loaded by `sparkify run` too, from the same files into an empty warehouse, in turns.
"""

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import (
    REPOSITORY,
    SPARKIFY,
    Figure,
    Platform,
    Series,
    options,
    print_figures,
    simulate,
    work_folder,
)

START, DAYS = date(2017, 1, 1), 365
EVENTS_PER_DAY, SONGS, USERS = 5_000, 1_000, 2_000
ONE_DAY_RUNS = 5
FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}
REPOSITORY_SELECTOR = {
    "repositoryName": "__repository__",
    "repositoryLocationName": "sparkify_dagster.definitions",
}
LAUNCH = """mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {... on LaunchRunSuccess {run {runId}} __typename}
}"""
BACKFILL = """mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    ... on LaunchBackfillSuccess {backfillId} __typename
  }
}"""
RUNS = """query ($filter: RunsFilter!) {
  runsOrError(filter: $filter) {
    ... on Runs {results {runId status creationTime startTime endTime}}
  }
}"""


class Ui:
    """A running `sparkify ui`, without sensors and schedules: what is not launched does not run."""

    def __init__(self, platform: Platform) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._log = platform.folder.with_suffix(".ui.log")
        quiet = {"SPARKIFY_SENSORS_ENABLED": "no", "SPARKIFY_SCHEDULES_ENABLED": "no"}
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [SPARKIFY, "ui", "--port", str(self.port)],
                cwd=REPOSITORY,
                env={**platform.environment, **quiet},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def answers(self) -> bool:
        """Whether it shows the assets, not only an empty page."""
        try:
            return bool(self._ask("{assetNodes {id}}", {})["assetNodes"])
        except OSError:
            return False

    def launch(self, tags: Mapping[str, str]) -> Mapping[str, Any]:
        """A run of everything to its end."""
        params = {
            "selector": {**REPOSITORY_SELECTOR, "jobName": "load_lake"},
            "mode": "default",
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
        }
        launched = self._ask(LAUNCH, {"params": params})["launchRun"]
        return self._end({"runIds": [launched["run"]["runId"]]})

    def backfill(self, days: list[str]) -> Mapping[str, Any]:
        """What the partitions dialog of the job's page asks for; the one run of it."""
        params = {
            "selector": {
                "partitionSetName": "load_lake_partition_set",
                "repositorySelector": REPOSITORY_SELECTOR,
            },
            "partitionNames": days,
        }
        launched = self._ask(BACKFILL, {"params": params})["launchPartitionBackfill"]
        return self._end({"tags": [{"key": "dagster/backfill", "value": launched["backfillId"]}]})

    def wait(self, until: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline or self._process.poll() is not None:
                sys.exit(f"The UI does not do it:\n{self._log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(90)

    def _end(self, filter_: Mapping[str, object]) -> Mapping[str, Any]:
        found: list[Mapping[str, Any]] = []

        def ended() -> bool:
            found[:] = self._ask(RUNS, {"filter": filter_})["runsOrError"]["results"]
            return bool(found) and all(run["status"] in FINISHED for run in found)

        self.wait(ended, 1800)
        if [run["status"] for run in found] != ["SUCCESS"]:
            sys.exit(f"One run should have succeeded, and there is {found}")
        return found[0]

    def _ask(self, query: str, variables: Mapping[str, object]) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return json.load(answer)["data"]


@contextmanager
def running(platform: Platform) -> Iterator[tuple[Ui, float]]:
    """The UI, and how long it took to an answer."""
    started = time.perf_counter()
    ui = Ui(platform)
    try:
        ui.wait(ui.answers, 120)
        yield ui, time.perf_counter() - started
    finally:
        ui.stop()


def empty(platform: Platform) -> None:
    """No table; what Dagster recorded stays, as it does for a user."""
    for file in (platform.warehouse, platform.warehouse.with_suffix(".duckdb.wal")):
        file.unlink(missing_ok=True)


def benchmark(work: Path, repetitions: int) -> list[Figure]:
    print(f"The UI, and {DAYS} days of {EVENTS_PER_DAY:,} events as one run of it", flush=True)
    lake = work / "ui-lake"
    shape = {"users": USERS, "songs": SONGS, "events_per_day": EVENTS_PER_DAY}
    simulate(lake, start=str(START), days=DAYS, **shape)
    days = [str(START + timedelta(n)) for n in range(DAYS)]
    by_ui = Platform(lake, work / "ui", days[0])
    by_command = Platform(lake, work / "ui-command", days[0])
    by_ui.make_empty()
    answers, one_day, year = [], [], []
    command = Series("sparkify run, a year")
    for _ in range(repetitions):
        by_command.make_empty()
        command.add(by_command.run())
        with running(by_ui) as (ui, seconds):
            answers.append(_told("UI, to its answer", seconds))
            empty(by_ui)
            year.append(_told("UI, a year as one run", _timed(partial(ui.launch, _range(days)))))
            for day in days[-ONE_DAY_RUNS:]:
                took = _timed(partial(ui.launch, {"dagster/partition": day}))
                one_day.append(_told("UI, one day again", took))
    with running(by_ui) as (ui, _):
        empty(by_ui)
        run = ui.backfill(days)
        took = run["endTime"] - run["creationTime"]
        _told("UI, a year from the dialog", took)
    year_ratio = statistics.median(year) / command.seconds
    detail = f"{statistics.median(year):.2f} s, launch to end, against {command.seconds:.2f} s"
    return [
        Figure("UI: start to an answer", statistics.median(answers), 15, "s", "with all assets"),
        Figure("UI: one day, launch to end", statistics.median(one_day), 6, "s", "every table"),
        Figure("UI: a year as one run / sparkify run", year_ratio, 1.3, "x", detail),
        Figure(
            "UI: a backfill's one run / sparkify run",
            took / command.seconds,
            1.3,
            "x",
            f"{took:.2f} s from the run's creation: Dagster looks for backfills every 30 s",
        ),
    ]


def _range(days: list[str]) -> dict[str, str]:
    return {
        "dagster/asset_partition_range_start": days[0],
        "dagster/asset_partition_range_end": days[-1],
    }


def _timed(work: Callable[[], object]) -> float:
    os.sync()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _told(name: str, seconds: float) -> float:
    print(f"  {name:<28} {seconds:8.2f} s", flush=True)
    return seconds


if __name__ == "__main__":
    arguments = options("The UI against the command line.", repetitions=3)
    with work_folder(arguments.work) as folder:
        print_figures(benchmark(folder, arguments.repetitions))
