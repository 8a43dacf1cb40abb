"""`sparkify ui` and `sparkify simulate`: they start, say where, and end cleanly."""

import json
import re
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sparkify_dagster_tests.fixtures.cli import Project
from sparkify_dagster_tests.simulate.conftest import contents

ASSETS = "{assetNodes {assetKey {path}} instance {daemonHealth {allDaemonStatuses {healthy}}}}"


@contextmanager
def listening() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


def processes_of(project: Project) -> list[str]:
    """The commands of all processes that have the project's Dagster home in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(project.folder / ".dagster").encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # ended meanwhile, or somebody else's
    return found


@pytest.mark.slow(25)
def test_the_ui_serves_our_assets_and_ends_on_a_signal(project: Project) -> None:
    """Ctrl-C, the other signal, ends it in every test of a running UI: see `running_ui`."""
    with listening() as port:
        pass
    process = project.start("ui", "--port", str(port))
    assert process.stdout is not None
    try:
        address = f"http://127.0.0.1:{port}"
        assert process.stdout.readline().startswith(f"{address} (starting")
        assert process.stdout.readline() == f"{address} is ready.\n"
        request = urllib.request.Request(
            f"{address}/graphql",
            json.dumps({"query": ASSETS}).encode(),
            {"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            data = json.load(answer)["data"]
        assert ["songplays"] in [node["assetKey"]["path"] for node in data["assetNodes"]]
        assert "cannot be listened on" in project.sparkify("ui", "--port", str(port)).error
        with listening() as another:
            pass
        message = project.sparkify("ui", "--port", str(another)).error
        assert f"is running already: {address}. Open that" in message
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=90)
    assert process.returncode == 0
    assert err.endswith("Stopped.\n")
    time.sleep(1)
    assert processes_of(project) == []


def test_a_port_in_use_is_reported_before_anything_starts(project: Project) -> None:
    with listening() as port:
        message = project.sparkify("ui", "--port", str(port)).error
    assert f"127.0.0.1, port {port} cannot be listened on" in message
    assert f"--port {port + 1}" in message
    assert not (project.folder / ".dagster").exists()


def test_simulate_writes_the_lake_that_was_asked_for(empty_project: Project) -> None:
    options = ["--days=3", "--users=10", "--songs=20", "--events-per-day=50", "--seed=3"]
    done = empty_project.sparkify("simulate", "--out", "made", "--start", "2020-02-28", *options)
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(
        r"made: \d+ events in 3 log files from 2020-02-28 to 2020-03-01, 20 songs, [\d.]+ kB\.\n",
        done.out,
    )
    first = contents(empty_project.folder / "made")
    assert len([name for name in first if name.startswith("log_data/")]) == 3
    empty_project.sparkify("simulate", "--out", "again", "--start", "2020-02-28", *options)
    assert contents(empty_project.folder / "again") == first


@pytest.mark.parametrize(
    ("options", "reported"),
    [
        ([], "Missing option '--out'"),
        (["--out", "made", "--days", "0"], "days = 0: give a whole number from 1"),
        (["--out", "made", "--start", "2018-02-30"], "'2018-02-30' does not match"),
        (["--out", "/proc/lake", "--days", "1"], "cannot be written to /proc/lake"),
        (["--out", "dwh.cfg"], "is a file"),
    ],
)
def test_a_simulation_that_cannot_be_made_is_one_message(
    empty_project: Project, options: list[str], reported: str
) -> None:
    before = empty_project.files()
    assert reported in empty_project.sparkify("simulate", *options).error
    assert empty_project.files() == before
