"""Plain `dagster dev` and `dg dev` in the project folder: the same instance as `sparkify`'s."""

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._cli.workspace.cli_target import workspace_opts_to_load_target
from dagster_dg_core.context import DgContext
from dagster_shared.cli import WorkspaceOpts

from sparkify_dagster.defs.instance.home import WAREHOUSE_POOL, open_instance
from sparkify_dagster.defs.instance.project import project_instance
from sparkify_dagster.settings import load_settings
from sparkify_dagster_tests.fixtures.cli import Project
from sparkify_dagster_tests.fixtures.ui import LOCATION, free_port, service

ROOT = Path(__file__).parents[2]
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
    port = str(free_port())
    with service(project, [*command, "-p", port], port) as dev:
        found: dict[str, Any] = {}

        def healthy() -> bool:
            with suppress(OSError):
                found.update(dev.ask(ABOUT))
            daemons = found["instance"]["daemonHealth"]["allDaemonStatuses"] if found else ()
            return bool(found) and all(d["healthy"] for d in daemons if d["required"])

        dev.wait(healthy, 120, "healthy services")
        return found


@pytest.mark.slow(30)
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
            "module": "sparkify_dagster.defs.instance.project",
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
