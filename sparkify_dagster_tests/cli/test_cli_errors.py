"""Each way a run can be refused: one message that says what to do, and nothing is changed."""

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from sparkify_dagster_tests.fixtures.cli import Project
from sparkify_dagster_tests.fixtures.dagster import SmallLake
from sparkify_dagster_tests.fixtures.lake import S3Endpoint


def refused(project: Project, *arguments: str, **environment: str) -> str:
    """The message of a command that fails without creating or changing anything."""
    before = project.files()
    message = project.sparkify(*arguments, **environment).error
    assert project.files() == before
    return message


def test_a_lake_folder_that_does_not_exist(empty_project: Project) -> None:
    message = refused(empty_project, "run")
    assert f"{empty_project.lake}/log_data does not exist" in message


def test_a_lake_without_files(empty_project: Project) -> None:
    for name in ("log_data", "song_data"):
        (empty_project.lake / name).mkdir(parents=True)
    message = refused(empty_project, "run")
    assert f"The lake {empty_project.lake}/log_data holds no log files" in message
    assert "sparkify run --sample" in message
    assert "sparkify simulate" in message


def test_a_lake_of_other_days_only(project: Project) -> None:
    days = {"SPARKIFY_PARTITIONS_FIRST_DAY": "2020-01-01", "SPARKIFY_PARTITIONS_LAST_DAY": ""}
    message = refused(project, "run", **days)
    assert "outside 2020-01-01 to" in message
    assert "[PARTITIONS] FIRST_DAY" in message


def test_a_malformed_configuration_lists_every_problem(project: Project) -> None:
    (project.folder / "dwh.cfg").write_text(
        "[WAREHOUSE]\nENGINE = oracle\n[S3]\nLOG_DATA = x\n[PARTITIONS]\nFIRST_DAY = soon\n"
    )
    message = refused(project, "run")
    for problem in ("ENGINE", "SONG_DATA", "FIRST_DAY"):
        assert problem in message


def test_a_configuration_that_cannot_be_parsed(project: Project) -> None:
    (project.folder / "dwh.cfg").write_text("no section = 1\n")
    assert "dwh.cfg" in refused(project, "run")


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["--from", "2018-11-03", "--to", "2018-11-01"], "2018-11-03 is after 2018-11-01"),
        (["--from", "2018-10-31"], "Outside the platform's days: 2018-10-31"),
        (["--to", "2018-11-04"], "Outside the platform's days: 2018-11-04"),
        (["--from", "yesterday"], "'yesterday' is not a day: write YYYY-MM-DD"),
        (["--from", "2018-11-31", "--to", "2018-11-31"], "'2018-11-31' is not a day"),
        (["--to", ""], "'' is not a day"),
        (["--select", "song"], "there is no table 'song'. Did you mean songs?"),
        (["--select", "songs,nothing_like_it"], "The tables are: staging_events"),
        (["--select", " , "], "name tables"),
        (["--full", "--from", "2018-11-01"], "--full reads every day"),
    ],
)
def test_days_and_tables_that_do_not_exist(
    project: Project, arguments: list[str], reported: str
) -> None:
    assert reported in refused(project, "run", *arguments)


def test_a_day_without_files_behind_it_has_no_end(project: Project) -> None:
    (project.lake / "log_data" / "2018" / "11" / "2018-11-03-events.json").unlink()
    assert "no log file of a day on or after 2018-11-03" in refused(
        project, "run", "--from", "2018-11-03"
    )


def test_a_warehouse_file_that_is_not_duckdbs(project: Project) -> None:
    project.warehouse.parent.mkdir()
    project.warehouse.write_text("These are my notes, not a database.\n" * 200)
    for command in (["run"], ["query", "SELECT 1"], ["run", "--full"]):
        assert "is not a DuckDB database" in refused(project, *command)


def test_a_query_before_the_first_run(project: Project) -> None:
    assert "Run `sparkify run`" in refused(project, "query", "SELECT 1")


@pytest.mark.parametrize("command", [["run"], ["ui"]])
def test_a_dagster_home_that_is_a_file_or_relative(project: Project, command: list[str]) -> None:
    (project.folder / "file").write_text("")
    assert "DAGSTER_HOME" in refused(project, *command, DAGSTER_HOME=str(project.folder / "file"))
    assert "DAGSTER_HOME = 'here'" in refused(project, *command, DAGSTER_HOME="here")


def test_a_dagster_home_that_cannot_be_made(project: Project) -> None:
    home = "/proc/sparkify/dagster"
    message = project.sparkify("run", DAGSTER_HOME=home).error
    assert home in message
    assert "set DAGSTER_HOME to another" in message
    assert not project.warehouse.exists()


def test_a_server_that_is_not_there(project: Project) -> None:
    cluster = {"HOST": "127.0.0.1", "DB_NAME": "d", "DB_USER": "u", "DB_PASSWORD": "hush-hush"}
    environment = {f"SPARKIFY_CLUSTER_{name}": value for name, value in cluster.items()}
    environment |= {"SPARKIFY_WAREHOUSE_ENGINE": "postgres", "SPARKIFY_CLUSTER_DB_PORT": "1"}
    message = refused(project, "run", **environment)
    assert "PostgreSQL 127.0.0.1:1/d: no connection" in message
    assert "sparkify doctor" in message
    assert "hush-hush" not in message


@pytest.mark.s3
def test_a_bucket_that_refuses_the_key(on_s3: Project) -> None:
    message = refused(on_s3, "run", AWS_SECRET_ACCESS_KEY="a-wrong-secret-0123456789")
    assert "s3://cli-errors/log_data" in message
    assert "a-wrong-secret" not in message


@pytest.mark.s3
def test_a_bucket_that_does_not_exist(on_s3: Project) -> None:
    message = refused(on_s3, "run", SPARKIFY_S3_LOG_DATA="s3://no-such-bucket-here/log_data")
    assert "no-such-bucket-here" in message


@pytest.mark.s3
def test_a_bucket_without_files_gets_no_sample(on_s3: Project, s3_endpoint: S3Endpoint) -> None:
    s3_endpoint.put("cli-empty", ".keep", b"")
    lake = {
        "SPARKIFY_S3_LOG_DATA": "s3://cli-empty/log_data",
        "SPARKIFY_S3_SONG_DATA": "s3://cli-empty/song_data",
    }
    message = refused(on_s3, "run", "--sample", **lake)
    assert "a sample is made in a folder of this machine only" in message


@pytest.mark.slow
def test_a_day_that_is_held_back_fails_the_run_and_is_named_with_its_cure(project: Project) -> None:
    path = SmallLake(project.lake).put_day(date(2018, 11, 2))
    path.write_text(path.read_text() + '{"broken": \n')
    done = project.sparkify("run")
    assert done.status == 1
    (line,) = (line for line in done.out.splitlines() if "is held back" in line)
    assert "2018-11-02 is held back: 2018/11/2018-11-02-events.json: 1 of 3 lines" in line
    assert "line 3: not one JSON object" in line
    assert "MAX_REJECT_RATIO" in line
    assert done.err.startswith("Error: Held back: 1 day, marked")
    loaded = "SELECT COUNT(DISTINCT log_date) FROM songplays"
    days = int(project.value(loaded))
    path.write_text(path.read_text().replace('{"broken": \n', ""))
    assert project.sparkify("run").status == 0
    assert int(project.value(loaded)) == days + 1


def test_a_folder_that_cannot_hold_the_warehouse(project: Project, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = project.sparkify("run", SPARKIFY_DUCKDB_PATH=f"{tmp_path}/file/x.duckdb").error
    assert "[DUCKDB] PATH" in message


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own, of this size."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("absent here: the right to mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def much_to_load(project: Project, lines: int) -> None:
    """One more file of a day, whose titles cannot be compressed."""
    day = next(project.lake.joinpath("log_data").rglob("*.json"))
    event = json.loads(day.read_text().splitlines()[0])
    with day.with_name(day.name.replace("events", "events-more")).open("w") as file:
        for item in range(lines):
            play = {**event, "song": secrets.token_hex(100), "itemInSession": 1000 + item}
            file.write(json.dumps(play) + "\n")


@pytest.mark.slow
def test_a_full_disk_is_reported_once_and_the_next_run_completes_the_work(project: Project) -> None:
    with small_disk(project.folder / "disk", "8m") as disk:
        there = {"SPARKIFY_DUCKDB_PATH": str(disk / "w.duckdb")}
        count = ("query", "SELECT COUNT(*) FROM songplays", "--format", "csv")
        assert project.sparkify("run", **there).status == 0
        before = project.sparkify(*count, **there).out
        much_to_load(project, 60_000)
        message = project.sparkify("run", **there).error
        assert (
            message
            == f"{disk}/w.duckdb: the disk is full. Nothing was changed; make room and run again."
        )
        assert project.sparkify(*count, **there).out == before
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        assert project.sparkify("run", **there).status == 0
        assert (
            int(project.sparkify(*count, **there).out.split()[1]) == int(before.split()[1]) + 60_000
        )
