"""docs/deployment.md: its configuration and its commands, run as they stand there.

PostgreSQL and S3 are real. Ports and file names are the test's own; nothing else is changed.
"""

import re
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from sparkify_dagster.defs.instance.home import DAGSTER_YAML, WAREHOUSE_POOL, open_instance
from sparkify_dagster.settings import load_settings
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster_tests.engines.postgres_server import Database
from sparkify_dagster_tests.fixtures.cli import Project
from sparkify_dagster_tests.fixtures.dagster import FIRST, LAST
from sparkify_dagster_tests.fixtures.lake import CREDENTIALS, S3Endpoint
from sparkify_dagster_tests.fixtures.ui import RunningUi, free_port, service

DOCUMENT = (Path(__file__).parents[2] / "docs" / "deployment.md").read_text(encoding="utf-8")
BUCKET = "logs-of-runs"
REFUSED = """mutation ($selector: JobOrPipelineSelector!) {
  launchRun(executionParams: {selector: $selector, mode: "default"}) {__typename}
}"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.fixture
def deployed(project: Project, postgres_database: Database, s3_endpoint: S3Endpoint) -> Project:
    """The small lake with the documented dagster.yaml."""
    home = project.folder / "home"
    home.mkdir()
    settings, _ = blocks("yaml")
    whole = yaml.safe_load(DAGSTER_YAML) | yaml.safe_load(settings)
    (home / "dagster.yaml").write_text(yaml.safe_dump(whole))
    (s3_endpoint.root / BUCKET).mkdir(exist_ok=True)
    project.environment.update(
        DAGSTER_HOME=str(home),
        DAGSTER_PG_HOST=postgres_database.host,
        DAGSTER_PG_PORT=str(postgres_database.port),
        DAGSTER_PG_DB=postgres_database.name,
        DAGSTER_PG_USER=postgres_database.user,
        DAGSTER_PG_PASSWORD=postgres_database.password,
        DAGSTER_LOGS_BUCKET=BUCKET,
        AWS_ENDPOINT_URL=s3_endpoint.endpoint_url,
        **CREDENTIALS,
        AWS_DEFAULT_REGION=s3_endpoint.region,
        SPARKIFY_SENSORS_ENABLED="no",
        SPARKIFY_SCHEDULES_ENABLED="no",
    )
    return project


def count(database: Database, table: str) -> int:
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM {table}")
            found = cursor.fetchone()
    finally:
        connection.close()
    assert found is not None
    return int(found[0])


@pytest.mark.slow(25)
def test_sparkify_run_works_in_an_instance_on_postgresql(
    deployed: Project, postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = deployed.sparkify("run")
    assert done.status == 0, done.err
    assert "Exception" not in done.err
    assert count(postgres_database, "runs") == 1
    for name, value in deployed.environment.items():
        monkeypatch.setenv(name, value)
    with open_instance(load_settings(deployed.folder / "dwh.cfg")) as instance:
        assert type(instance.event_log_storage).__name__ == "PostgresEventLogStorage"
        assert instance.event_log_storage.get_concurrency_info(WAREHOUSE_POOL).slot_count == 1
        found = instance.get_materialized_partitions(dg.AssetKey("songplays"))
    assert found == {str(day) for day in DayRange(FIRST, LAST).days()}
    assert not list((deployed.folder / "home").rglob("*.db"))


@pytest.mark.slow(35)
@pytest.mark.s3
def test_the_documented_services_work_together(
    deployed: Project, s3_endpoint: S3Endpoint, postgres_database: Database
) -> None:
    ports = {port: str(free_port()) for port in ("4000", "3000", "3001")}
    _, workspace = (_with(ports, block) for block in blocks("yaml"))
    (deployed.folder / "workspace.yaml").write_text(workspace)
    (commands,) = blocks("sh")
    code_server, daemon, editors, viewers = _with(ports, commands).strip().splitlines()
    with ExitStack() as stack:

        def started(command: str, port: str = "") -> RunningUi:
            program, *arguments = shlex.split(command)
            path = Path(sys.executable).with_name(program)
            return stack.enter_context(service(deployed, [path, *arguments], port))

        started(code_server)
        started(daemon)
        ui, viewer = started(editors, ports["3000"]), started(viewers, ports["3001"])
        for one in (ui, viewer):
            one.wait(lambda one=one: has_assets(one), 90, "an answer")
        run = ui.finished(ui.launch(DayRange(FIRST, LAST)))
        assert run.status == "SUCCESS", ui.tail()
        assert viewer.run(run.run_id).status == "SUCCESS"
        (deployed.lake / "log_data").rename(deployed.lake / "elsewhere")
        failed = ui.finished(ui.launch(str(LAST)))
        assert failed.status == "FAILURE"
        selector = {
            "repositoryName": "__repository__",
            "repositoryLocationName": "sparkify_dagster.definitions",
            "jobName": "load_lake",
        }
        answer = viewer.ask(REFUSED, selector=selector)
        assert answer["launchRun"]["__typename"] == "UnauthorizedError"
    assert count(postgres_database, "runs") == 2
    logs = (s3_endpoint.root / BUCKET / "dagster").rglob("*.err")
    reported = {path.parent.parent.name: path.read_text() for path in logs}
    assert reported.keys() == {failed.run_id}, "what a run writes to its output is in the bucket"
    assert "log_data does not exist" in reported[failed.run_id]


def _with(ports: dict[str, str], text: str) -> str:
    for documented, free in ports.items():
        text = text.replace(documented, free)
    return text


def has_assets(ui: RunningUi) -> bool:
    try:
        answer: dict[str, Any] = ui.ask("{assetNodes {id}}")
    except OSError:
        return False
    return bool(answer["assetNodes"])
