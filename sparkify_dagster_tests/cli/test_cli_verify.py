"""`sparkify verify`: equal or not, what differs, and what was not compared."""

import re
import signal
import time
from datetime import date
from pathlib import Path

import duckdb
import pytest

from sparkify_dagster.cli.run.sample import REVIEWED, fill_if_empty
from sparkify_dagster.settings import load_settings
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse import Platform, open_platform
from sparkify_dagster_tests.cli.test_cli import loaded_modules
from sparkify_dagster_tests.fixtures.cli import Project, project_in
from sparkify_dagster_tests.fixtures.dagster import FIRST
from sparkify_dagster_tests.project import sample_results
from sparkify_dagster_tests.warehouse.test_expected import make

pytestmark = pytest.mark.all_questions

USERS = "user_id,first_name,level\n1,Ada,free\n2,Ada,free\n"
PER_LEVEL = "# tolerance: 0.01\nlevel,plays,share_of_plays\nfree,6,0.995\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "users.csv").write_text(USERS)
    (folder / "plays_per_level.csv").write_text(PER_LEVEL)
    return folder


def test_tables_as_expected_are_reported_with_their_rows(
    loaded_once: Project, folder: Path
) -> None:
    done = loaded_once.sparkify("verify", "--expected", str(folder))
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"Expected results: {folder}",
        "✓ users: 2 rows",
        "✓ plays_per_level: 1 row, share_of_plays within 0.01",
        "2 tables as expected.",
    ]


def test_a_difference_is_shown_row_by_row(loaded_once: Project, folder: Path) -> None:
    (folder / "users.csv").write_text("user_id,first_name,level\n1,Ada,paid\n3,,free\n")
    done = loaded_once.sparkify("verify", "--expected", str(folder))
    assert done.out.splitlines()[1:-1] == [
        "✗ users: 1 missing, 1 unexpected, 1 different (expected → found); 2 rows where 2 are"
        " expected",
        "  difference  line  user_id  first_name  level",
        "  ----------  ----  -------  ----------  -----------",
        "  different      2  1        Ada         paid → free",
        "  missing        3  3        NULL        free",
        "  unexpected        2        Ada         free",
    ]
    assert done.error == "1 of 2 tables not as expected: users."


def test_many_rows_that_differ_are_counted(loaded_once: Project, folder: Path) -> None:
    rows = "".join(f"{n},Ada,free\n" for n in range(1, 33))
    (folder / "users.csv").write_text(f"user_id,first_name,level\n{rows}")
    done = loaded_once.sparkify("verify", "--expected", str(folder), "users")
    assert "✗ users: 30 missing; 2 rows where 32 are expected" in done.out
    assert "  and 10 more rows\n" in done.out
    assert done.error == "1 of 1 table not as expected: users."


def test_what_is_not_compared_is_reported(loaded_once: Project, folder: Path) -> None:
    (folder / "counts.json").write_text("{}")
    (folder / "top_song.csv").write_text("song\n")
    done = loaded_once.sparkify("verify", "--expected", str(folder))
    assert done.status == 0
    assert done.out.splitlines()[3:5] == [
        "! counts.json: not compared, it is not a .csv file",
        "! top_song.csv: not compared, no star or analytics table is named top_song; did you mean"
        " top_songs?",
    ]


def test_only_the_tables_that_are_named_are_compared(loaded_once: Project, folder: Path) -> None:
    (folder / "users.csv").write_text("user_id\n")
    done = loaded_once.sparkify("verify", "plays_per_level", "--expected", str(folder))
    assert done.status == 0
    assert "users" not in done.out
    assert (
        "no file songs.csv"
        in loaded_once.sparkify("verify", "users", "songs", "--expected", str(folder)).error
    )
    unknown = loaded_once.sparkify("verify", "user", "--expected", str(folder))
    assert unknown.status == 2
    assert "Did you mean users?" in unknown.err


def test_a_file_that_does_not_fit_fails_beside_the_others(
    loaded_once: Project, folder: Path
) -> None:
    (folder / "plays_per_level.csv").write_text("level,plays\nfree,six\n")
    done = loaded_once.sparkify("verify", "--expected", str(folder))
    assert "✓ users: 2 rows" in done.out
    assert "plays_per_level.csv: line 2, plays: 'six' is not a whole number." in done.out
    assert done.error == "1 of 2 tables not as expected: plays_per_level."


def test_a_folder_that_is_missing_empty_or_a_file_is_refused(
    loaded_once: Project, folder: Path
) -> None:
    (folder / "empty").mkdir()
    for name, said in (
        ("nowhere", "cannot be read (No such file or directory). Correct --expected"),
        ("users.csv", "cannot be read (Not a directory)"),
        ("empty", "has no file named after a star or analytics table, such as users.csv"),
    ):
        done = loaded_once.sparkify("verify", "--expected", str(folder / name))
        assert done.out == ""
        assert str(folder / name) in done.error
        assert said in done.error


def test_the_configured_folder_is_compared(loaded_once: Project, folder: Path) -> None:
    assert "[ANALYTICS] EXPECTED" in loaded_once.sparkify("verify").error
    done = loaded_once.sparkify("verify", SPARKIFY_ANALYTICS_EXPECTED=str(folder))
    assert (done.status, done.out.splitlines()[0]) == (0, f"Expected results: {folder}")


def test_before_the_first_run_there_is_nothing_to_compare(project: Project, folder: Path) -> None:
    done = project.sparkify("verify", "--expected", str(folder))
    assert "sparkify run" in done.error
    assert not project.warehouse.exists()


def test_a_table_that_is_behind_what_was_loaded_is_reported(loaded: Project, folder: Path) -> None:
    (folder / "users.csv").write_text(USERS.replace("1,Ada", "1,Eve"))
    done = loaded.sparkify("verify", "--expected", str(folder))
    assert "! behind" not in done.out
    platform = open_platform(load_settings(loaded.folder / "dwh.cfg", {}))
    platform.load("staging_events", days=DayRange(FIRST, FIRST), reload=True, run_id="test")
    done = loaded.sparkify("verify", "--expected", str(folder))
    assert "! behind what was loaded: users; `sparkify run` brings it up to date\n" in done.out
    assert done.error == "1 of 2 tables not as expected: users."


def test_an_interruption_stops_a_comparison(loaded: Project, folder: Path) -> None:
    (folder / "plays_per_level.csv").unlink()
    with duckdb.connect(str(loaded.warehouse)) as writer:
        writer.execute("USE main")
        writer.execute("DROP TABLE users")
        writer.execute(
            "CREATE VIEW users AS SELECT SUM(a.range * b.range) AS user_id, 'Ada' AS first_name,"
            " 'free' AS level FROM range(3000000) AS a, range(1000000) AS b"
        )
    asking = loaded.start("verify", "--expected", str(folder))
    assert asking.stdout is not None
    assert asking.stdout.readline().startswith("Expected results")
    time.sleep(2)
    asking.send_signal(signal.SIGINT)
    _, reported = asking.communicate(timeout=20)
    assert (asking.returncode, reported.startswith("Error: interrupted")) == (130, True)


def test_verifying_imports_no_dagster(loaded_once: Project, folder: Path) -> None:
    modules = loaded_modules(loaded_once, "verify", "--expected", str(folder))
    assert "duckdb" in modules
    assert modules.isdisjoint({"dagster", "pandas", "pyarrow", "boto3"})


@pytest.mark.slow
def test_a_run_that_publishes_what_is_not_expected_ends_with_an_error(
    loaded: Project, folder: Path
) -> None:
    (folder / "users.csv").write_text(USERS.replace("1,Ada", "1,Eve"))
    environment = {"SPARKIFY_ANALYTICS_EXPECTED": str(folder)}
    chosen = ("--from", "2018-11-01", "--to", "2018-11-01", "--select", "users,plays_per_level")
    done = loaded.sparkify("run", *chosen, **environment)
    assert re.search(r"^users .* 1 FAILED$", done.out, re.MULTILINE)
    assert "✗ users.expected_results: " in done.out
    assert "first_name = •••" in done.out
    assert "Eve" not in done.out + done.err
    assert done.error.startswith("1 table not as expected, marked ✗ above; published all the same.")


# The sample


def sample_in(folder: Path, first: str) -> tuple[Project, Platform]:
    project = project_in(folder, first, "2018-11-30")
    platform = open_platform(load_settings(folder / "dwh.cfg", {}))
    assert fill_if_empty(platform)
    return project, platform


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project, platform = sample_in(tmp_path_factory.mktemp("sample"), "2018-11-01")
    make(platform, (path.stem for path in REVIEWED.iterdir()))
    return project


def test_the_sample_is_as_expected(sample: Project) -> None:
    done = sample.sparkify("verify")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"Expected results: {sample.lake}/expected\n✓ users: 20 rows\n")
    assert done.out.endswith("11 tables as expected.\n")


def test_a_tampered_row_of_the_sample_is_shown(sample: Project, tmp_path: Path) -> None:
    for path in REVIEWED.glob("*.csv"):
        text = path.read_text(encoding="utf-8")
        tampered = text.replace("\n13,149\n", "\n13,150\n")
        (tmp_path / path.name).write_text(tampered, encoding="utf-8")
    done = sample.sparkify("verify", "--expected", str(tmp_path))
    assert done.error == "1 of 11 tables not as expected: plays_per_hour."
    assert done.out.count("✓") == 10
    assert "  different     16  13    150 → 149\n" in done.out


def test_the_reviewed_results_are_what_the_lines_of_the_sample_say(sample: Project) -> None:
    computed = dict(sample_results.files(sample.lake))
    shipped = {path.name: path.read_text(encoding="utf-8") for path in REVIEWED.iterdir()}
    assert shipped == computed
    beside = {
        path.name: path.read_text(encoding="utf-8") for path in sample.lake.glob("expected/*")
    }
    assert beside == shipped


def test_a_sample_of_other_days_has_no_expected_results(tmp_path: Path) -> None:
    project, _ = sample_in(tmp_path / "other", str(date(2018, 11, 5)))
    assert (project.lake / "log_data").is_dir()
    assert not (project.lake / "expected").exists()
