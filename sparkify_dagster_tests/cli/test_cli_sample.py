"""`sparkify run --sample`: a newcomer's lake shows every trouble, and never harms another."""

from pathlib import Path

import pytest

from sparkify_dagster.cli.run.sample import EVENTS_PER_DAY
from sparkify_dagster_tests.fixtures.cli import Project, project_in
from sparkify_dagster_tests.simulate.conftest import contents


@pytest.mark.slow
def test_a_sample_fills_an_empty_lake_once(empty_project: Project) -> None:
    empty_project = project_in(empty_project.folder, last="2018-11-30")
    done = empty_project.sparkify("run", "--sample")
    assert done.status == 0, done.err
    assert f"Made a sample lake in {empty_project.lake}: 2,800 events of 7 days" in done.out
    made = contents(empty_project.lake)
    assert empty_project.sparkify("run", "--sample").out.startswith("Nothing new: 7 log files")
    assert contents(empty_project.lake) == made
    shows = {
        "plays that match": "SELECT COUNT(song_id) FROM songplays",
        "plays that do not": "SELECT COUNT(*) FROM songplays WHERE song_id IS NULL",
        "upgrades": "SELECT COUNT(*) FROM user_levels WHERE level = 'paid' AND valid_from >"
        " (SELECT MIN(valid_from) FROM user_levels AS f WHERE f.user_id = user_levels.user_id)",
        "downgrades": "SELECT COUNT(*) FROM user_levels WHERE level = 'free' AND valid_from >"
        " (SELECT MIN(valid_from) FROM user_levels AS f WHERE f.user_id = user_levels.user_id)",
        "nobody": "SELECT COUNT(*) FROM staging_events WHERE user_id IS NULL",
        "errors": "SELECT COUNT(*) FROM staging_events WHERE status = 404",
        "midnights": "SELECT COUNT(*) FROM (SELECT session_id FROM staging_events"
        " GROUP BY session_id HAVING COUNT(DISTINCT log_date) > 1) AS s",
    }
    columns = ", ".join(f'({sql}) AS "{name}"' for name, sql in shows.items())
    found = empty_project.sparkify("query", f"SELECT {columns}", "--format", "csv").out
    assert "0" not in found.splitlines()[1].split(","), found
    assert EVENTS_PER_DAY * 7 == 2800


def test_a_sample_never_touches_a_lake_with_a_file(project: Project) -> None:
    for path in (project.lake / "log_data").rglob("*.json"):
        path.unlink()
    before = contents(project.lake)
    assert "holds no log files" in project.sparkify("run", "--sample").error
    assert contents(project.lake) == before


def test_a_sample_has_its_own_names_of_folders(empty_project: Project) -> None:
    other = f"{empty_project.folder}/events"
    message = empty_project.sparkify("run", "--sample", SPARKIFY_S3_LOG_DATA=other).error
    assert "FOLDER/log_data" in message
    assert not Path(other).exists()
