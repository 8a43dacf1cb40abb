"""`sparkify run`: what is loaded, what is said, and what the exit status means."""

import os
import pty
import re
import shutil
import sqlite3
import subprocess
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sparkify_dagster import warehouse
from sparkify_dagster.catalogue.catalogue import read_catalogue
from sparkify_dagster.catalogue.sql_files import SQL_FOLDER
from sparkify_dagster.cli.main import sparkify
from sparkify_dagster.settings import load_settings
from sparkify_dagster.warehouse import open_platform
from sparkify_dagster.warehouse.due_ranges import ranges_of
from sparkify_dagster_tests.fixtures.cli import SPARKIFY, Project, project_in
from sparkify_dagster_tests.fixtures.dagster import FIRST, LAST, SmallLake
from sparkify_dagster_tests.fixtures.warehouse import ANALYTICS
from sparkify_dagster_tests.warehouse.test_real_data import LAKE, disagreements

SECOND = FIRST + timedelta(1)
TOGETHER = rf"analytics \({len(ANALYTICS)} tables\)"
"""How the closing table begins the line of all questions."""


def row(output: str, asset: str) -> list[str]:
    """The cells of an asset in the closing table."""
    (line,) = re.findall(rf"^{asset}  .*$", output, re.MULTILINE)
    return re.split(r" {2,}", line)


def ranges(project: Project) -> list[tuple[str, str]]:
    """The ranges of days of all runs that Dagster knows, oldest first."""
    sql = (
        "SELECT a.value, b.value FROM run_tags a JOIN run_tags b USING (run_id)"
        " JOIN runs USING (run_id)"
        " WHERE a.key LIKE '%partition_range_start' AND b.key LIKE '%partition_range_end'"
        " ORDER BY runs.id"
    )
    (file,) = project.folder.glob(".dagster/history/runs.db")
    connection = sqlite3.connect(file)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


@pytest.mark.slow
def test_the_real_days_give_the_expected_results_and_then_nothing_is_new(tmp_path: Path) -> None:
    if not LAKE.is_dir():
        pytest.skip("absent here: the real data, ../shared/data")
    project = project_in(tmp_path / "project", last="2018-11-30")
    project.environment.update(
        SPARKIFY_S3_LOG_DATA=f"{LAKE}/log_data", SPARKIFY_S3_SONG_DATA=f"{LAKE}/song_data"
    )
    first = project.sparkify("run")
    assert first.status == 0, first.err
    assert row(first.out, "songplays")[1:5] == ["5,226", "0", "0", "5,226"]
    assert row(first.out, "staging_songs")[5:7] == ["71", "0"]
    settings = load_settings(project.folder / "dwh.cfg", project.environment)
    assert disagreements(open_platform(settings)) == []
    assert ranges(project) == [("2018-11-11", "2018-11-30")]
    assert project.sparkify("run").out == (
        "Nothing new: 20 log files and 71 song files are loaded, the tables are up to date.\n"
    )


@pytest.mark.slow
@pytest.mark.all_questions
def test_a_first_run_says_what_each_table_got_and_where_to_look(project: Project) -> None:
    done = project.sparkify("run")
    assert (done.status, done.err) == (0, "")
    assert "staging_events: 6 rows written from 3 files, 6 in all" in done.out
    assert row(done.out, "asset")[1:] == [
        *("added", "replaced", "removed", "total", "files", "rejects", "seconds", "checks")
    ]
    assert row(done.out, "staging_events")[:7] == ["staging_events", "6", "0", "0", "6", "3", "0"]
    assert re.fullmatch(r"\d+ passed", row(done.out, "users")[-1])
    assert re.search(rf"^analytics: {len(ANALYTICS)} tables, \d+ rows written", done.out, re.M)
    assert row(done.out, TOGETHER)[-1].endswith(" passed")
    assert not [name for name in ANALYTICS if name in done.out.partition("Warehouse:")[0]]
    assert f"Warehouse: {project.warehouse}" in done.out
    assert "sparkify query" in done.out
    assert "sparkify ui" in done.out


@pytest.mark.slow
@pytest.mark.all_questions
def test_with_details_every_question_has_a_line(project: Project) -> None:
    done = project.sparkify("run", "--details")
    assert done.status == 0, done.err
    assert re.search(r"^top_songs: 1 row written, 1 in all", done.out, re.MULTILINE)
    assert {row(done.out, name)[0] for name in ANALYTICS} == set(ANALYTICS)
    assert "analytics" not in done.out


@pytest.mark.all_questions
def test_a_question_asked_for_by_name_has_a_line_and_nothing_else_is_made(loaded: Project) -> None:
    done = loaded.sparkify("run", "--select", "plays_per_level,top_songs", "--full")
    assert done.status == 0, done.err
    assert row(done.out, "plays_per_level")[1:5] == ["0", "1", "0", "1"]
    assert row(done.out, "top_songs")[1:5] == ["0", "1", "0", "1"]
    assert "staging_events  " not in done.out
    assert "analytics" not in done.out


@pytest.mark.slow
def test_a_new_day_costs_a_day(loaded: Project) -> None:
    (loaded.folder / "dwh.cfg").write_text(
        (loaded.folder / "dwh.cfg").read_text().replace(f"LAST_DAY = {LAST}", "LAST_DAY =")
    )
    lake_of(loaded).put_day(LAST + timedelta(1), users=(3,))
    done = loaded.sparkify("run")
    assert done.status == 0, done.err
    assert row(done.out, "staging_events")[1:6] == ["1", "0", "0", "7", "1"]
    assert row(done.out, "songplays")[1:5] == ["1", "0", "0", "7"]
    assert ranges(loaded)[-1] == ("2018-11-04", "2018-11-04")


def lake_of(project: Project) -> SmallLake:
    """The small lake that is already there, to add to."""
    return SmallLake(project.lake, fill=False)


@pytest.mark.slow
def test_songs_that_arrive_late_are_loaded_without_any_new_day(loaded: Project) -> None:
    lake_of(loaded).put_song("S9", "Undo")
    (loaded.lake / "song_data" / "A" / "S9.json").write_text(
        (loaded.lake / "song_data" / "A" / "S0.json").read_text().replace('"S0"', '"S9"')
    )
    done = loaded.sparkify("run")
    assert done.status == 0, done.err
    assert row(done.out, "staging_songs")[1:6] == ["1", "0", "0", "3", "1"]
    assert row(done.out, "staging_events")[1] == "0"
    assert len(ranges(loaded)) == 2
    assert "Nothing new" in loaded.sparkify("run").out


@pytest.mark.slow
def test_days_that_are_named_are_loaded_again_and_songs_are_not(loaded: Project) -> None:
    done = loaded.sparkify("run", "--from", str(SECOND), "--to", str(SECOND))
    assert done.status == 0, done.err
    assert row(done.out, "staging_events")[1:6] == ["0", "2", "0", "6", "1"]
    assert row(done.out, "staging_songs")[1:6] == ["0", "0", "0", "2", "0"]
    assert row(done.out, "songplays")[1:5] == ["0", "2", "0", "6"]
    assert ranges(loaded)[-1] == (str(SECOND), str(SECOND))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "days"),
    [(["--from", str(SECOND)], (SECOND, LAST)), (["--to", str(SECOND)], (FIRST, SECOND))],
)
def test_an_end_that_is_left_out_is_where_the_log_files_end(
    loaded: Project, arguments: list[str], days: tuple[date, date]
) -> None:
    assert loaded.sparkify("run", *arguments).status == 0
    assert ranges(loaded)[-1] == (str(days[0]), str(days[1]))


@pytest.mark.slow
def test_selected_tables_alone_are_touched(project: Project) -> None:
    done = project.sparkify("run", "--select", "staging_songs, songs")
    assert done.status == 0, done.err
    assert row(done.out, "songs")[4] == "2"
    assert "staging_events  " not in done.out
    assert "songplays  " not in done.out
    assert project.sparkify("run").status == 0
    assert project.value("SELECT COUNT(*) FROM songplays WHERE song_id IS NOT NULL") == "6"


@pytest.mark.slow
def test_full_reads_every_file_and_rebuilds_every_table(loaded: Project) -> None:
    done = loaded.sparkify("run", "--full")
    assert done.status == 0, done.err
    assert row(done.out, "staging_events")[1:6] == ["0", "6", "0", "6", "3"]
    assert row(done.out, "staging_songs")[1:6] == ["0", "2", "0", "2", "2"]
    for table, rows in (("users", "2"), ("songs", "2"), ("songplays", "6"), ("time", "6")):
        assert row(done.out, table)[1:5] == ["0", rows, "0", rows]


@pytest.mark.slow
def test_warnings_are_spelled_out_and_fail_nothing(project: Project) -> None:
    lake = lake_of(project)
    path = lake.put_day(SECOND)
    path.write_text(path.read_text() + '{"broken": \n')
    shutil.copy(path, path.with_name("2019-01-01-events.json"))
    shutil.copy(path, path.with_name("notes.json"))
    project.environment["SPARKIFY_LOAD_MAX_REJECT_RATIO"] = "0.5"
    done = project.sparkify("run")
    assert (done.status, done.err) == (0, "")
    assert row(done.out, "staging_events")[6] == "1"
    assert "1 warned" in row(done.out, "staging_events")[-1]
    (rejects,) = re.findall(r"^! staging_events\.no_rejects.*\n?.*$", done.out, re.MULTILINE)
    for reported in ("1 row", "2018/11/2018-11-02-events.json", "line = 3", "reason = "):
        assert reported in rejects
    assert "! 1 file outside the days 2018-11-01 to 2018-11-03" in done.out
    assert "! 1 file with another name than YYYY-MM-DD….json" in done.out
    assert "notes.json" in done.out
    again = project.sparkify("run")
    assert again.out.startswith("Nothing new: 3 log files and 2 song files")
    assert "2019-01-01-events.json" in again.out


def test_files_that_are_gone_are_reported_and_their_rows_stay(loaded: Project) -> None:
    next((loaded.lake / "log_data").rglob(f"{SECOND}-events.json")).unlink()
    done = loaded.sparkify("run")
    assert done.status == 0
    assert done.out.startswith("Nothing new: 2 log files and 2 song files")
    assert "! 1 log file gone from" in done.out
    assert loaded.value("SELECT COUNT(*) FROM songplays") == "6"


def test_days_within_a_month_of_each_other_are_one_range() -> None:
    day = date(2018, 1, 1)
    assert ranges_of([]) == []
    assert ranges_of([day + timedelta(32), day]) == [(day, day + timedelta(32))]
    far = day + timedelta(33)
    assert ranges_of([far, day]) == [(day, day), (far, far)]


@pytest.mark.slow
def test_days_far_apart_are_runs_of_their_own_and_one_table(empty_project: Project) -> None:
    project = project_in(empty_project.folder, last="2018-12-31")
    lake = SmallLake(project.lake)
    lake.put_day(date(2018, 12, 24))
    done = project.sparkify("run")
    assert done.status == 0, done.err
    assert ranges(project) == [("2018-11-01", "2018-11-03"), ("2018-12-24", "2018-12-24")]
    assert row(done.out, "staging_events")[1:6] == ["8", "0", "0", "8", "4"]


@pytest.mark.slow(20)
def test_two_runs_and_a_query_at_once_all_succeed(loaded: Project) -> None:
    lake_of(loaded).put_song("S9", "Another")
    processes = [loaded.start("run"), loaded.start("run", "--full")]
    answers = [loaded.value("SELECT COUNT(*) FROM songplays") for _ in range(8)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
    assert set(answers) == {"6"}
    assert loaded.value("SELECT COUNT(*) FROM songs") == "3"


def on_terminal(project: Project, *arguments: str) -> str:
    """What a terminal gets to see."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [SPARKIFY, *arguments],
        cwd=project.folder,
        env=project.whole_environment | {"TERM": "xterm", "COLUMNS": "120"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    with suppress(OSError):  # how Linux says that the other end is closed
        while part := os.read(ours, 65536):
            seen += part
    os.close(ours)
    assert process.wait(timeout=60) == 0, seen
    return seen.decode()


@pytest.mark.slow
def test_a_terminal_shows_a_line_for_each_table_and_the_same_closing_table(
    project: Project,
) -> None:
    seen = on_terminal(project, "run")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen).replace("\r\n", "\n")
    for table in ("staging_events", "songplays"):
        assert f"✓ {table}" in text
        assert row(text, table)[4] == "6"
    assert f"✓ analytics        {len(ANALYTICS)} tables, " in text
    assert row(text, TOGETHER)[-1].endswith(" passed")
    assert "\x1b[" in seen


def run_with_check(
    project: Project, monkeypatch: pytest.MonkeyPatch, *, severity: str, table: str = "songplays"
) -> Result:
    """A run in this process, of a platform with one more check that the small lake fails."""
    sql = project.folder / "sql"
    shutil.copytree(SQL_FOLDER, sql)
    columns = "log_date, songplay_id, level" if table == "songplays" else "level"
    check = sql / "checks" / table / "nobody_is_free.sql"
    check.parent.mkdir(exist_ok=True)
    check.write_text(
        f"-- Everybody pays.\n-- severity: {severity}\n"
        f"SELECT {columns} FROM {table} WHERE level = 'free'\n"
    )
    catalogue = read_catalogue(sql)
    monkeypatch.setattr(warehouse, "open_platform", lambda s: open_platform(s, catalogue))
    monkeypatch.setenv("SPARKIFY_CONFIG", str(project.folder / "dwh.cfg"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return CliRunner().invoke(sparkify, ["run"])


@pytest.mark.slow
def test_a_warning_is_spelled_out_and_fails_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run_with_check(project, monkeypatch, severity="warn")
    assert done.exit_code == 0
    assert "warned" in row(done.stdout, "songplays")[-1]
    assert "songplays.nobody_is_free: Everybody pays. 6 rows, such as log_date" in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_a_failed_audit_leaves_the_table_and_names_the_rows(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run_with_check(project, monkeypatch, severity="error")
    assert done.exit_code == 1
    assert "FAILED, unchanged" in row(done.stdout, "songplays")[-1]
    assert done.stderr.startswith("Error: songplays: nobody_is_free (6 rows, such as log_date=")
    assert len(done.stderr.splitlines()) == 1
    behind = [name for name in ANALYTICS if name != "level_changes"]
    assert row(done.stdout, rf"analytics \({len(behind)} tables\)")[-1] == "not run"
    assert row(done.stdout, "level_changes")[-1].endswith(" passed")
    assert project.value("SELECT COUNT(*) FROM staging_events") == "6"


@pytest.mark.slow
@pytest.mark.parametrize("severity", ["warn", "error"])
def test_a_question_that_did_not_go_well_has_a_line_of_its_own(
    project: Project, monkeypatch: pytest.MonkeyPatch, severity: str
) -> None:
    done = run_with_check(project, monkeypatch, severity=severity, table="plays_per_level")
    said = {"warn": "warned", "error": "FAILED, unchanged"}[severity]
    assert done.exit_code == (severity == "error")
    assert said in row(done.stdout, "plays_per_level")[-1]
    others = len(ANALYTICS) - 1
    assert row(done.stdout, rf"analytics \({others} tables\)")[-1].endswith(" passed")
    assert ("plays_per_level: failed\n" in done.stdout) == (severity == "error")
    reported = others if severity == "error" else len(ANALYTICS)
    assert re.search(rf"^analytics: {reported} tables, ", done.stdout, re.MULTILINE)
