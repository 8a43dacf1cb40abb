"""Fixtures for the UI: a running `sparkify ui` of a project, and what its page asks over GraphQL.

The services are processes of their own, as a user's are. No test lives here.
"""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sparkify_dagster.defs.partitions import range_tags
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster_tests.fixtures_cli import SPARKIFY, Project
from sparkify_dagster_tests.fixtures_warehouse import TABLES

LOCATION, REPOSITORY = "sparkify_dagster.definitions", "__repository__"
FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}

_LAUNCH = """mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess {run {runId}}
    ... on PythonError {message}
    ... on RunConfigValidationInvalid {errors {message}}
  }
}"""
_BACKFILL = """mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess {backfillId}
    ... on PythonError {message}
    ... on InvalidSubsetError {message}
  }
}"""
_BACKFILL_AGAIN = """mutation ($params: ReexecutionParams!) {
  reexecutePartitionBackfill(reexecutionParams: $params) {
    __typename
    ... on LaunchBackfillSuccess {backfillId}
    ... on PythonError {message}
  }
}"""
_BACKFILL_STATUS = """query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename
    ... on PartitionBackfill {status error {message}}
    ... on PythonError {message}
  }
}"""
_RUNS = """query ($filter: RunsFilter) {
  runsOrError(filter: $filter, limit: 200) {
    ... on Runs {
      results {
        runId status jobName startTime endTime creationTime
        tags {key value} assetSelection {path}
      }
    }
  }
}"""
_STATUSES = """query ($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode {
      partitionKeys
      assetPartitionStatuses {
        ... on TimePartitionStatuses {ranges {status startKey endKey}}
      }
    }
  }
}"""
_CHECKS = """query ($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode {
      assetChecksOrError {
        ... on AssetChecks {checks {name executionForLatestMaterialization {status}}}
      }
    }
  }
}"""


@dataclass(frozen=True)
class UiRun:
    """One run as the UI shows it."""

    run_id: str
    status: str
    job: str
    tags: dict[str, str]
    assets: frozenset[str]
    created: float
    started: float
    ended: float

    @property
    def days(self) -> tuple[str, str] | None:
        """First and last day of a run over days."""
        one = self.tags.get("dagster/partition")
        start = self.tags.get("dagster/asset_partition_range_start", one)
        end = self.tags.get("dagster/asset_partition_range_end", one)
        return (start, end) if start and end else None


@dataclass(frozen=True)
class RunningUi:
    """A `sparkify ui` that answers."""

    url: str
    project: Project
    process: "subprocess.Popen[bytes]"
    log: Path

    def ask(self, query: str, **variables: object) -> Any:
        """The data of a GraphQL answer."""
        request = urllib.request.Request(
            f"{self.url}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            given = json.load(answer)
        assert "errors" not in given, given["errors"]
        return given["data"]

    def launch(self, days: DayRange | str) -> str:
        """Launch a run of staging and star: over a day, or over a range as one run."""
        tags = range_tags(days) if isinstance(days, DayRange) else {"dagster/partition": days}
        selector = {
            "repositoryName": REPOSITORY,
            "repositoryLocationName": LOCATION,
            "jobName": "load_lake",
            "assetSelection": [{"path": [table]} for table in TABLES],
        }
        params = {
            "selector": selector,
            "mode": "default",
            "runConfigData": {},
            "executionMetadata": {"tags": _pairs(tags)},
        }
        done = self.ask(_LAUNCH, params=params)["launchRun"]
        assert done["__typename"] == "LaunchRunSuccess", done
        return str(done["run"]["runId"])

    def backfill(
        self, days: Sequence[str], *, job: str | None = None, assets: Sequence[str] = ()
    ) -> str:
        """What the partitions dialog of a job's page sends, or that of the lineage page."""
        params: dict[str, object] = {"partitionNames": list(days)}
        if job:
            repository = {"repositoryName": REPOSITORY, "repositoryLocationName": LOCATION}
            params["selector"] = {
                "partitionSetName": f"{job}_partition_set",
                "repositorySelector": repository,
            }
        if assets:
            params["assetSelection"] = [{"path": [asset]} for asset in assets]
        done = self.ask(_BACKFILL, params=params)["launchPartitionBackfill"]
        assert done["__typename"] == "LaunchBackfillSuccess", done
        return str(done["backfillId"])

    def backfill_again(self, backfill: str) -> str:
        """What "Re-execute from failure" of a backfill's page sends."""
        params = {"parentRunId": backfill, "strategy": "FROM_FAILURE"}
        done = self.ask(_BACKFILL_AGAIN, params=params)["reexecutePartitionBackfill"]
        assert done["__typename"] == "LaunchBackfillSuccess", done
        return str(done["backfillId"])

    def runs(self, **tags: str) -> list[UiRun]:
        """The runs with these tags, newest first; `__` in a name stands for `/`."""
        wanted = {name.replace("__", "/"): value for name, value in tags.items()}
        answer = self.ask(_RUNS, filter={"tags": _pairs(wanted)} if wanted else {})
        return [_run(found) for found in answer["runsOrError"]["results"]]

    def run(self, run_id: str) -> UiRun:
        answer = self.ask(_RUNS, filter={"runIds": [run_id]})
        return _run(answer["runsOrError"]["results"][0])

    def finished(self, run_id: str, seconds: float = 120) -> UiRun:
        """The run once it has ended."""
        self.wait(lambda: self.run(run_id).status in FINISHED, seconds, f"end of run {run_id}")
        return self.run(run_id)

    def finished_backfill(self, backfill: str, seconds: float = 240) -> list[UiRun]:
        """The runs of a backfill, oldest first, once it and all of them have ended."""

        def ended() -> bool:
            status = self.ask(_BACKFILL_STATUS, id=backfill)["partitionBackfillOrError"]
            assert status["__typename"] == "PartitionBackfill", status
            return status["status"] not in {"REQUESTED", "CANCELING", "FAILING"}

        self.wait(ended, seconds, f"end of backfill {backfill}")
        runs = self.runs(dagster__backfill=backfill)
        return [self.finished(run.run_id) for run in reversed(runs)]

    def only_run(self, backfill: str) -> UiRun:
        """The run of a backfill that is one run, once it has ended.

        The backfill itself ends when the daemon looks the next time, up to half a minute later.
        """
        self.wait(lambda: self.runs(dagster__backfill=backfill), 120, f"a run of {backfill}")
        (run,) = self.runs(dagster__backfill=backfill)
        return self.finished(run.run_id)

    def days_by_status(self, asset: str) -> dict[str, set[str]]:
        """MATERIALIZED, FAILED, MATERIALIZING and MISSING days, as the asset's page shows them."""
        node = self.ask(_STATUSES, key={"path": [asset]})["assetNodeOrError"]
        keys: list[str] = node["partitionKeys"]
        found: dict[str, set[str]] = {}
        for range_ in node["assetPartitionStatuses"]["ranges"]:
            first, last = keys.index(range_["startKey"]), keys.index(range_["endKey"])
            found.setdefault(range_["status"], set()).update(keys[first : last + 1])
        told = set[str]().union(*found.values())
        return found | {"MISSING": set(keys) - told}

    def checks_by_status(self, asset: str) -> dict[str, set[str]]:
        """The checks of an asset by what the newest of its rows came to."""
        node = self.ask(_CHECKS, key={"path": [asset]})["assetNodeOrError"]
        found: dict[str, set[str]] = {}
        for check in node["assetChecksOrError"]["checks"]:
            execution = check["executionForLatestMaterialization"]
            status = execution["status"] if execution else "NOT_EVALUATED"
            found.setdefault(status, set()).add(check["name"])
        return found

    def wait(self, until: Callable[[], object], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < deadline, f"{what} not within {seconds} s\n{self.tail()}"
            assert self.process.poll() is None, f"the UI has ended\n{self.tail()}"
            time.sleep(0.5)  # who asks without a pause takes the time of those who work

    def tail(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-4000:]


@contextmanager
def running_ui(project: Project) -> Iterator[RunningUi]:
    """`sparkify ui` on a free port; at the end it must stop cleanly."""
    port, log = free_port(), project.folder / "ui.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [SPARKIFY, "ui", "--port", str(port)],
            cwd=project.folder,
            env=project.whole_environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    ui = RunningUi(f"http://127.0.0.1:{port}", project, process, log)
    try:
        ui.wait(lambda: b"is ready" in log.read_bytes(), 90, "an answer of the UI")
        yield ui
    finally:
        process.send_signal(signal.SIGINT)
        try:
            status = process.wait(90)
        finally:
            process.kill()
    assert status == 0, ui.tail()


@contextmanager
def service(project: Project, command: Sequence[str | Path], port: str = "") -> Iterator[RunningUi]:
    """A service of Dagster's own in the project's folder; how it ends is not what is tested."""
    log = project.folder / f"{Path(command[0]).name}-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=project.folder,
            env=project.whole_environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield RunningUi(f"http://127.0.0.1:{port}", project, process, log)
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def ui(project: Project) -> Iterator[RunningUi]:
    """The UI of the small lake of three days; what is loaded is for a test to say."""
    project.environment.update(SPARKIFY_SENSORS_ENABLED="no", SPARKIFY_SCHEDULES_ENABLED="no")
    with running_ui(project) as running:
        yield running


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """Where screenshots go: the folder SPARKIFY_TEST_ARTIFACTS, or the test's own."""
    folder = Path(os.environ.get("SPARKIFY_TEST_ARTIFACTS") or tmp_path / "artifacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _run(found: dict[str, Any]) -> UiRun:
    return UiRun(
        run_id=found["runId"],
        status=found["status"],
        job=found["jobName"],
        tags={tag["key"]: tag["value"] for tag in found["tags"]},
        assets=frozenset(key["path"][0] for key in found["assetSelection"] or ()),
        created=found["creationTime"] or 0.0,
        started=found["startTime"] or 0.0,
        ended=found["endTime"] or 0.0,
    )
