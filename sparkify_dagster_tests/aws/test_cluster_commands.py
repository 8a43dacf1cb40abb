"""`sparkify cluster` and the jobs of the same names: what they ask, show, and refuse."""

import logging
import subprocess
import sys
from collections.abc import Callable

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from sparkify_dagster.cli.main import sparkify
from sparkify_dagster.defs.op_jobs.cluster import cluster_jobs
from sparkify_dagster.settings import load_settings
from sparkify_dagster_tests.aws.conftest import PLANTED, ClusterProject, FakeAws
from sparkify_dagster_tests.aws.fake_serverless import Refused

Run = Callable[..., Result]
ROLE = "sparkify-redshift-reads-lake"


@pytest.fixture
def run(
    aws: FakeAws,
    cluster_project: ClusterProject,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Run:
    """`sparkify cluster …` in the project's folder; whatever it prints or logs holds no secret."""
    monkeypatch.chdir(cluster_project.folder)
    for name in (None, "botocore.parsers", "botocore.endpoint", "botocore.auth"):
        caplog.set_level(logging.DEBUG, logger=name)

    def invoke(*arguments: str, given: str | None = None) -> Result:
        done = CliRunner().invoke(sparkify, ["cluster", *arguments], input=given)
        for secret in PLANTED:
            assert secret not in done.output + caplog.text
        return done

    return invoke


# The command line


@pytest.mark.parametrize("kind", ["serverless", "provisioned"])
def test_creation_says_what_it_makes_what_it_costs_and_what_to_set(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("SPARKIFY_DWH_KIND", kind)
    done = run("create", given="y\n")
    assert done.exit_code == 0, done.output
    for part in ("Estimated cost", "s3://lake/log_data", f"the IAM role {ROLE}", "pay for it?"):
        assert part in done.stderr
    assert "[WAREHOUSE]\nENGINE = redshift\n" in done.stdout
    assert "LOGIN = secret\nSECRET_ID = arn:aws:secretsmanager:" in done.stdout
    assert ("WORKGROUP = sparkify" in done.stdout) == (kind == "serverless")
    assert ("CLUSTER_IDENTIFIER = sparkify" in done.stdout) == (kind == "provisioned")
    assert "cost" not in done.stdout


@pytest.mark.parametrize("given", ["n\n", "", "\n"])
def test_nothing_is_made_without_a_yes(run: Run, aws: FakeAws, given: str) -> None:
    done = run("create", given=given)
    assert done.exit_code == 1
    assert "Not confirmed, so nothing was done: answer y, or pass --yes." in done.stderr
    assert (aws.roles(), aws.serverless.namespaces) == ([], {})


def test_what_exists_is_not_asked_about_again(run: Run) -> None:
    assert run("create", "--yes").exit_code == 0
    again = run("create")
    assert again.exit_code == 0
    assert "left as it is" in again.stderr
    assert "pay for it?" not in again.output


def test_an_unfinished_creation_is_asked_about(run: Run, aws: FakeAws) -> None:
    aws.serverless.refuse["CreateWorkgroup"] = Refused("ValidationException", "bad capacity")
    failed = run("create", "--yes")
    assert failed.exit_code == 1
    assert failed.stderr.count("Error: ") == 1
    assert "redshift-serverless:CreateWorkgroup in us-west-2: Validation" in failed.stderr
    assert "bad capacity" in failed.stderr
    assert "pay for it?" in run("create", given="y\n").stderr


def test_the_result_can_be_written_into_the_file(
    run: Run, cluster_project: ClusterProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARKIFY_CLUSTER_HOST", "an.old.one")
    done = run("create", "--yes", "--write")
    assert f"Written to {cluster_project.config}" in done.stdout
    assert "wins: unset SPARKIFY_CLUSTER_HOST" in done.stderr
    written = load_settings(cluster_project.config, {})
    assert (written.warehouse.engine, written.cluster.workgroup) == ("redshift", "sparkify")
    assert "# What is said here stays." in cluster_project.config.read_text()


def test_status_shows_the_warehouse_or_that_there_is_none(run: Run) -> None:
    none = run("status")
    assert none.exit_code == 1
    assert "does not exist in us-west-2: `sparkify cluster create` makes it" in none.stderr
    run("create", "--yes")
    done = run("status")
    assert done.exit_code == 0
    assert done.stdout.startswith("The serverless workgroup sparkify in us-west-2 is available.\n")
    assert "  publicly accessible: no\n" in done.stdout
    assert "  size: 8 RPU\n" in done.stdout


def test_pausing_a_workgroup_is_explained_and_no_error(run: Run) -> None:
    run("create", "--yes")
    for command in ("pause", "resume"):
        done = run(command)
        assert done.exit_code == 0
        assert "pauses by itself when nothing runs" in done.stderr


def test_a_cluster_is_paused_and_resumed(
    run: Run, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARKIFY_DWH_KIND", "provisioned")
    run("create", "--yes")
    assert run("pause").exit_code == 0
    assert aws.clusters["sparkify"].status == "paused"
    assert run("resume").exit_code == 0
    assert aws.clusters["sparkify"].status == "available"


def test_deletion_asks_and_keeps_the_data_in_a_snapshot(run: Run, aws: FakeAws) -> None:
    run("create", "--yes")
    refused = run("delete", given="n\n")
    assert refused.exit_code == 1
    assert "Delete it and its data after a final snapshot?" in refused.stderr
    assert list(aws.serverless.namespaces) == ["sparkify"]
    done = run("delete", given="y\n")
    assert done.exit_code == 0
    assert "Its data are in the snapshot sparkify-final-20261123-080000" in done.stdout
    assert list(aws.serverless.snapshots) == ["sparkify-final-20261123-080000"]
    assert aws.roles() == []


def test_deletion_without_a_snapshot_says_that_it_is_for_good(run: Run, aws: FakeAws) -> None:
    run("create", "--yes")
    done = run("delete", "--no-final-snapshot", given="y\n")
    assert "Delete it and its data for good?" in done.stderr
    assert "snapshot" not in done.stdout
    assert aws.serverless.snapshots == {}


def test_a_lake_of_this_machine_is_reported_before_anybody_is_asked(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARKIFY_S3_LOG_DATA", "lake/log_data")
    done = run("create")
    assert done.exit_code == 1
    assert "Redshift reads its lake from Amazon S3 only" in done.stderr
    assert "pay for it?" not in done.stderr


@pytest.mark.parametrize("command", ["create", "status", "pause", "resume", "delete"])
def test_missing_credentials_are_one_message(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    done = run(command)
    assert done.exit_code == 1
    assert done.stderr == (
        "Error: There are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or"
        " AWS_PROFILE, or give this machine a role.\n"
    )


def test_debug_can_stand_behind_every_command(run: Run) -> None:
    for command in ("create", "status", "pause", "resume", "delete"):
        assert "--debug" in run(command, "--help").output
    assert "Traceback" in run("status", "--debug").stderr


def test_the_command_line_starts_without_aws() -> None:
    code = "import sys, sparkify_dagster.cli.main; print({'boto3', 'botocore'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# The jobs


def execute(
    project: ClusterProject, name: str, *, kind: str = "serverless", **config: object
) -> tuple[dg.ExecuteInProcessResult, str]:
    """A run of one job, and the text that came of it."""
    jobs = {job.name: job for job in cluster_jobs(project.settings(KIND=kind))}
    op = name.removeprefix("cluster_") + "_cluster"
    run_config = {"ops": {op: {"config": config}}} if config else {}
    done = jobs[name].execute_in_process(run_config=run_config, raise_on_error=False)
    said = [
        entry.value
        for event in done.all_node_events
        if event.event_type_value == "STEP_OUTPUT"
        for entry in event.step_output_data.metadata.values()
    ]
    failures = [
        event.step_failure_data.error.message
        for event in done.all_node_events
        if event.event_type_value == "STEP_FAILURE"
    ]
    return done, "\n".join(map(str, [*said, *failures]))


@pytest.mark.parametrize("kind", ["serverless", "provisioned"])
def test_the_jobs_live_the_whole_life_of_a_warehouse(
    aws: FakeAws, cluster_project: ClusterProject, kind: str
) -> None:
    yes = {"confirm": "sparkify"}
    for name, config, expected in (
        ("cluster_create", yes, "Set these in"),
        ("cluster_status", {}, "is available."),
        ("cluster_pause", {}, "is paused." if kind == "provisioned" else "is available."),
        ("cluster_resume", {}, "is available."),
        ("cluster_delete", yes, "in the snapshot sparkify-final-20261123-080000"),
    ):
        done, said = execute(cluster_project, name, kind=kind, **config)
        assert done.success, said
        assert expected in said
    assert (aws.roles(), aws.clusters, aws.serverless.namespaces) == ([], {}, {})


@pytest.mark.parametrize("name", ["cluster_create", "cluster_delete"])
def test_a_job_that_costs_money_or_data_wants_to_be_confirmed(
    aws: FakeAws, cluster_project: ClusterProject, name: str
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        execute(cluster_project, name)
    before = len(aws.serverless.calls)
    done, said = execute(cluster_project, name, confirm="yes")
    assert not done.success
    assert "set confirm to sparkify" in said
    assert len(aws.serverless.calls) == before


def test_a_job_can_write_the_result(aws: FakeAws, cluster_project: ClusterProject) -> None:
    execute(cluster_project, "cluster_create", confirm="sparkify", write=True)
    assert load_settings(cluster_project.config, {}).cluster.workgroup == "sparkify"


def test_a_job_that_fails_gives_one_message_and_is_not_retried(
    aws: FakeAws, cluster_project: ClusterProject
) -> None:
    done, said = execute(cluster_project, "cluster_status")
    assert not done.success
    assert "does not exist in us-west-2" in said
    assert not [e for e in done.all_node_events if e.event_type_value == "STEP_UP_FOR_RETRY"]


def test_the_jobs_can_be_loaded_together(cluster_project: ClusterProject) -> None:
    dg.Definitions.validate_loadable(dg.Definitions(jobs=cluster_jobs(cluster_project.settings())))


def test_the_jobs_explain_themselves_and_load_without_aws() -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from sparkify_dagster.settings import load_settings;"
        "from sparkify_dagster.defs.op_jobs.cluster import cluster_jobs;"
        "jobs = cluster_jobs(load_settings(Path('dwh.cfg'), {}));"
        "assert all(job.description for job in jobs);"
        "print(*(job.name for job in jobs)); print({'boto3', 'botocore'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, heavy = done.stdout.splitlines()
    assert names.split() == [
        f"cluster_{act}" for act in ("create", "status", "pause", "resume", "delete")
    ]
    assert heavy == "set()"
