"""Plain `dagster dev` and `dg dev` in the project folder: the same instance as `sparkify`'s."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._cli.workspace.cli_target import workspace_opts_to_load_target
from dagster_dg_core.context import DgContext
from dagster_shared.cli import WorkspaceOpts

from sparkify_dagster.instance import WAREHOUSE_POOL, open_instance
from sparkify_dagster.project_instance import project_instance
from sparkify_dagster.settings import load_settings
from sparkify_dagster_tests.fixtures_cli import Project
from sparkify_dagster_tests.fixtures_ui import LOCATION, free_port

ROOT = Path(__file__).parents[1]
ABOUT = """{
  instance {
    info
    concurrencyLimits {concurrencyKey slotCount}
    daemonHealth {allDaemonStatuses {daemonType required healthy}}
  }
  assetNodes {assetKey {path}}
  runsOrError {... on Runs {results {jobName status}}}
}"""


@pytest.fixture
def shipped(project: Project) -> Project:
    """The small lake in a folder that has the files of a checkout."""
    for name in ("dagster.yaml", "workspace.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, project.folder / name)
    (project.folder / "sparkify_dagster").symlink_to(ROOT / "sparkify_dagster")
    project.environment.update(SPARKIFY_SENSORS_ENABLED="no", SPARKIFY_SCHEDULES_ENABLED="no")
    return project


def answer_of(project: Project, command: list[str]) -> dict[str, Any]:
    """What services started by this command say about themselves, until they are healthy."""
    port = free_port()
    log = project.folder / "dev.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "-p", str(port)],
            cwd=project.folder,
            env=project.whole_environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.5)
            found = _ask(port)
            if found and all(
                daemon["healthy"]
                for daemon in found["instance"]["daemonHealth"]["allDaemonStatuses"]
                if daemon["required"]
            ):
                return found
        raise AssertionError(log.read_text(encoding="utf-8", errors="replace")[-4000:])
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _ask(port: int) -> dict[str, Any] | None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": ABOUT}).encode(),
        {"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
            return data
    except OSError:
        return None


@pytest.mark.slow
@pytest.mark.parametrize("command", ["dagster", "dg"])
def test_plain_dev_commands_use_the_instance_of_the_project(shipped: Project, command: str) -> None:
    assert shipped.sparkify("run").status == 0
    program = Path(sys.executable).with_name(command)
    said = answer_of(shipped, [str(program), "dev"])
    assert ["songplays"] in [node["assetKey"]["path"] for node in said["assetNodes"]]
    assert said["runsOrError"]["results"] == [{"jobName": "load_lake", "status": "SUCCESS"}]
    limits = {limit["concurrencyKey"]: limit["slotCount"] for limit in limits_of(said)}
    assert limits == {WAREHOUSE_POOL: 1}
    settings = yaml.safe_load(said["instance"]["info"])
    assert settings["local_artifact_storage"]["config"]["base_dir"] == str(
        shipped.folder / ".dagster"
    )
    assert settings["telemetry"] == {"enabled": False}
    assert settings["run_monitoring"]["enabled"]
    assert settings["run_retries"]["enabled"]
    assert settings["concurrency"]["pools"] == {"granularity": "run"}
    assert not list(shipped.folder.glob(".tmp_dagster_home_*"))


def limits_of(said: dict[str, Any]) -> list[dict[str, Any]]:
    limits: list[dict[str, Any]] = said["instance"]["concurrencyLimits"]
    return limits


def test_a_fresh_checkout_gets_its_instance_from_the_dagster_command(
    shipped: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shipped.folder)
    for name in [name for name in os.environ if name.startswith(("SPARKIFY_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    with project_instance() as made:
        assert made.root_directory == str(shipped.folder / ".dagster")
        info = made.event_log_storage.get_concurrency_info(WAREHOUSE_POOL)
        assert info.slot_count == 1
        # Their output belongs to the runs, and the UI shows it.
        assert type(made.compute_log_manager).__name__ == "LocalComputeLogManager"
    settings = load_settings(shipped.folder / "dwh.cfg", {})
    with open_instance(settings) as ours:
        assert ours.get_runs_count() == 0


def test_every_command_calls_the_code_location_the_same(
    shipped: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name Dagster knows which sensors were switched on, and whose a run is."""

    def found() -> list[tuple[str, str]]:
        return [
            (origin.location_name, origin.loadable_target_origin.module_name)
            for origin in workspace_opts_to_load_target(WorkspaceOpts()).create_origins()
        ]

    monkeypatch.chdir(shipped.folder)
    with_pyproject = found()
    by_dg = DgContext.for_project_environment(shipped.folder, {}).code_location_name
    (shipped.folder / "pyproject.toml").unlink()
    assert with_pyproject == found() == [(LOCATION, LOCATION)]
    assert by_dg == LOCATION


def test_the_dagster_yaml_of_the_project_decides_nothing_else() -> None:
    shipped = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    assert shipped == {
        "telemetry": {"enabled": False},
        "instance_class": {
            "module": "sparkify_dagster.project_instance",
            "class": "project_instance",
            "config": {},
        },
    }


def test_a_home_that_the_environment_names_is_used_as_it_is(
    shipped: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "elsewhere"
    monkeypatch.chdir(shipped.folder)
    settings = load_settings(environ={"DAGSTER_HOME": str(home)})
    open_instance(settings).dispose()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as found:
        assert found.root_directory == str(home)
    assert not (shipped.folder / ".dagster").exists()
