"""`sparkify doctor`: what it finds, what it says to do, and that it changes nothing."""

import subprocess
import sys
from datetime import date

import pytest

from sparkify_dagster.simulate import lines
from sparkify_dagster_tests.fixtures.cli import Done, Project
from sparkify_dagster_tests.fixtures.dagster import SmallLake
from sparkify_dagster_tests.fixtures.warehouse import TABLE_COUNT
from sparkify_dagster_tests.planted import SERVICE_TOKEN


def findings(project: Project, **environment: str) -> Done:
    """What the doctor says; it never changes anything, and every finding is one marked line."""
    before = project.files()
    done = project.sparkify("doctor", **environment)
    assert project.files() == before
    assert all(line[:2] in ("✓ ", "! ", "✗ ") for line in done.out.splitlines()), done.out
    assert ("✗ " in done.out) == (done.status == 1)
    return done


def test_a_loaded_project_is_healthy(loaded_once: Project) -> None:
    done = findings(loaded_once)
    assert (done.status, done.err) == (0, "")
    assert "! " not in done.out
    for reported in (
        "✓ packages: ",
        f"✓ configuration: {loaded_once.folder}/dwh.cfg is valid",
        f"✓ DAGSTER_HOME: {loaded_once.folder}/.dagster",
        "3 log files of 3 days from 2018-11-01 to 2018-11-03",
        "2 song files",
        f"{TABLE_COUNT} of {TABLE_COUNT} tables",
        "✓ tables: up to date with the lake",
        "✓ disk: ",
    ):
        assert reported in done.out


def test_before_the_first_run_nothing_is_wrong(project: Project) -> None:
    done = findings(project)
    assert done.status == 0
    assert done.out.count("the first run makes it") == 2


def test_a_warehouse_behind_its_lake_is_a_warning(loaded: Project) -> None:
    next((loaded.lake / "song_data").rglob("S0.json")).unlink()
    path = next((loaded.lake / "log_data").rglob("2018-11-02-events.json"))
    text = path.read_text()
    path.unlink()
    path.write_text(text)
    path.with_name("2018-11-03-more.json").write_text(text)
    done = findings(loaded)
    assert done.status == 0
    assert "! tables: behind the lake: 1 new log file and 1 changed log file → sparkify run" in (
        done.out
    )
    assert "! lake: 1 song file gone from" in done.out


def test_files_that_no_run_reads_are_warnings(project: Project) -> None:
    lake = SmallLake(project.lake)
    day = lake.put_day(date(2019, 1, 1))
    day.with_name("notes.txt").write_text("")
    done = findings(project)
    assert done.status == 0
    assert "! lake log_data: 1 file outside the days 2018-11-01 to 2018-11-03" in done.out
    assert "! lake log_data: 1 file with another name than YYYY-MM-DD….json" in done.out


def test_a_lake_that_is_not_there_has_to_be_mended(empty_project: Project) -> None:
    done = findings(empty_project)
    assert "✗ lake log_data: The lake folder" in done.out
    assert "does not exist" in done.out
    assert done.err == "Error: 2 things to mend, marked ✗ above.\n"


def test_a_configuration_that_is_wrong_is_one_finding(project: Project) -> None:
    done = findings(project, SPARKIFY_PARTITIONS_FIRST_DAY="soon")
    assert "✗ configuration: " in done.out
    assert "FIRST_DAY" in done.out


def test_alerts_that_could_not_be_sent_are_warnings_without_their_urls(project: Project) -> None:
    urls = f"log json://h/{SERVICE_TOKEN} pager://{SERVICE_TOKEN} slack://{SERVICE_TOKEN} webhook"
    done = findings(project, SPARKIFY_ALERTS_NOTIFY=urls)
    assert done.status == 0
    assert "✓ alerts: can be sent by log and json://" in done.out
    for reported in (
        "! alerts: A pager:// URL of [ALERTS] NOTIFY is of no service that apprise knows",
        "! alerts: A slack:// URL of [ALERTS] NOTIFY cannot be used",
        "! alerts: [ALERTS] NOTIFY = webhook, and WEBHOOK_URL is not set",
    ):
        assert reported in done.out
    assert SERVICE_TOKEN not in done.out + done.err


def test_a_first_day_in_the_future_is_found(project: Project) -> None:
    days = {"SPARKIFY_PARTITIONS_FIRST_DAY": "2199-01-01", "SPARKIFY_PARTITIONS_LAST_DAY": ""}
    assert "[PARTITIONS] FIRST_DAY = 2199-01-01 is in the future" in findings(project, **days).out
    for options in ((), ("--from", "2018-11-02"), ("--full",)):
        done = project.sparkify("run", *options, **days)
        assert done.status == 1
        assert "FIRST_DAY = 2199-01-01 is in the future" in done.err


def test_a_warehouse_that_is_not_duckdbs_is_found(project: Project) -> None:
    project.warehouse.parent.mkdir()
    project.warehouse.write_bytes(b"not a database" * 1000)
    assert "✗ warehouse: " in findings(project).out


def test_a_warehouse_in_use_is_a_warning_that_names_the_process(loaded: Project) -> None:
    code = (
        "import duckdb, sys\n"
        f"con = duckdb.connect({str(loaded.warehouse)!r})\n"
        "print('held', flush=True)\nsys.stdin.read()\ncon.close()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    done = findings(loaded)
    holder.communicate(timeout=30)
    assert done.status == 0
    assert f"! warehouse: {loaded.warehouse}: process {holder.pid} has held" in done.out


@pytest.mark.parametrize(
    ("content", "mark"),
    [
        (lines.json_paths(), "✓"),
        (lines.json_paths().replace("artist", "artiste"), "✗"),
        ('{"jsonpaths": ["$.artist"]}', "✗"),
        ("not JSON", "✗"),
        ("[]", "✗"),
    ],
)
def test_the_jsonpaths_file_has_to_agree_with_the_table(
    project: Project, content: str, mark: str
) -> None:
    file = project.lake / "log_json_path.json"
    file.write_text(content)
    done = findings(project, SPARKIFY_S3_LOG_JSONPATH=str(file))
    assert f"{mark} JSONPaths: {file}" in done.out


def test_a_dagster_yaml_that_cannot_be_read_is_found(project: Project) -> None:
    home = project.folder / ".dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: [\n")
    assert f"✗ DAGSTER_HOME: {home}/dagster.yaml: " in findings(project).out


@pytest.mark.s3
def test_a_bucket_is_listed_and_read(on_s3: Project) -> None:
    done = findings(on_s3)
    assert "✓ lake log_data: s3://cli-errors/log_data: 1 log file of 1 day" in done.out
    assert "! lake song_data: s3://cli-errors/song_data: no song file" in done.out
    refused = findings(on_s3, AWS_SECRET_ACCESS_KEY="a-wrong-secret-0123456789")
    assert "✗ lake log_data: " in refused.out
    assert "a-wrong-secret" not in refused.out
