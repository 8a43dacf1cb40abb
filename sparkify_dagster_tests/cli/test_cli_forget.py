"""`sparkify forget` as a command, the job `forget_user`, and what is left in a project's folder."""

import dagster as dg
import pytest

from sparkify_dagster.definitions import build_definitions
from sparkify_dagster.settings import Settings, load_settings
from sparkify_dagster.warehouse import Platform, open_platform
from sparkify_dagster_tests.fixtures.cli import Project, project_in
from sparkify_dagster_tests.fixtures.dagster import SmallLake
from sparkify_dagster_tests.fixtures.warehouse import rows_of

LIMIT = {"SPARKIFY_LOAD_MAX_REJECT_RATIO": "0.5"}
NAMES = (b"Zebulonia", b"Quixotric", b"Quuxzilla")


@pytest.fixture(scope="module")
def of_people(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small lake, whose listener 1 has a name of her own, with a line that does not fit."""
    project = project_in(tmp_path_factory.mktemp("forget"))
    project.environment.update(LIMIT)
    SmallLake(project.lake)
    for path in sorted(project.lake.rglob("*-events.json")):
        first, *others = path.read_text().splitlines()
        for old, new in (("Ada", "Zebulonia"), ("Smith", "Quixotric"), ("Mozilla", "Quuxzilla")):
            first = first.replace(old, new)
        path.write_text("\n".join([first, *others, first.replace("200,", '"many",')]) + "\n")
    done = project.sparkify("run")
    assert done.status == 0, done.err
    return project


def holding(project: Project, suffixes: tuple[str, ...] = ("",)) -> set[str]:
    """The files outside the lake in which a name stands."""
    return {
        name
        for name, content in project.files().items()
        if not name.startswith("lake/") and name.endswith(suffixes)
        and any(mark in content for mark in NAMES)
    }  # fmt: skip


@pytest.mark.slow
def test_a_user_is_forgotten_once_somebody_says_yes(of_people: Project) -> None:
    project = of_people
    assert project.sparkify("report").status == 0
    # Reports, and runs, events and logs of Dagster never held a name: previews are masked.
    assert holding(project) == {"warehouse/sparkify.duckdb"}

    refused = project.sparkify("forget", "1", given="n\n")
    assert "Not confirmed, so nothing was done" in refused.error
    assert "staging_events: 3 rows, of which first_name, gender" in refused.err
    assert holding(project) == {"warehouse/sparkify.duckdb"}

    done = project.sparkify("forget", "1", given="y\n")
    assert done.status == 0, done.err
    assert "User 1 is forgotten." in done.out
    for reported in (
        "songplays: 3 rows",
        "users: 1 row",
        "the text of 3 lines",
        "brought up to date",
    ):
        assert reported in done.out
    assert "3 log files below" in done.out
    assert "  2018/11/2018-11-01-events.json\n" in done.out
    assert holding(project) == set()

    platform = open_platform(load_settings(project.folder / "dwh.cfg", LIMIT))
    for table in platform.catalogue.sources:
        platform.load(table, days=None, reload=True, run_id="again")
    for table in ("time", "users", "songplays"):
        platform.refresh(table, full=True)
    assert holding(project) == set()
    plays = rows_of(platform, "SELECT user_id, COUNT(*) FROM songplays GROUP BY 1 ORDER BY 1")
    assert plays == [(1, 3), (2, 3)]

    again = project.sparkify("forget", "1", "--yes")
    assert "User 1 was forgotten on 20" in again.out
    assert "No table held anything personal of them." in again.out
    assert again.status == 0, again.err
    listed = project.sparkify("forget", "--list").out.splitlines()
    assert listed[0].split()[0] == "user"
    assert [line.split()[0] for line in listed[2:]] == ["1"]


def test_nobody_is_forgotten_where_there_is_no_warehouse(empty_project: Project) -> None:
    assert empty_project.sparkify("forget", "--list").out == "Nobody was forgotten.\n"
    assert not (empty_project.folder / "warehouse").exists()


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["Ada"], "'Ada' is not the id of a user: give a whole number, such as 39."),
        (["3.5"], "'3.5' is not the id of a user: give a whole number, such as 39."),
        ([], "give the number of a user, or --list."),
        (["1", "--list"], "give the number of a user, or --list."),
    ],
)
def test_what_cannot_be_meant_is_reported(
    empty_project: Project, arguments: list[str], reported: str
) -> None:
    assert empty_project.sparkify("forget", *arguments, "--yes").error == reported
    assert not (empty_project.folder / "warehouse").exists()


@pytest.mark.slow
def test_the_job_forgets_the_user_of_its_configuration(
    small_settings: Settings,
    small_platform: Platform,
    small_instance: dg.DagsterInstance,
) -> None:
    for table in small_platform.catalogue.sources:
        small_platform.load(table, days=None, reload=False, run_id="r")
    small_platform.refresh("users")
    job = build_definitions(small_settings, small_platform).resolve_job_def("forget_user")

    def run(user: int) -> dg.ExecuteInProcessResult:
        config = {"ops": {"empty_personal_data": {"config": {"user_id": user}}}}
        return job.execute_in_process(
            run_config=config, instance=small_instance, raise_on_error=False
        )

    done = run(1)
    assert done.success
    names = rows_of(small_platform, "SELECT user_id, first_name FROM users ORDER BY user_id")
    assert names == [(1, None), (2, "Ada")]
    noted = rows_of(small_platform, "SELECT user_id, run_id FROM forgotten_users")
    assert noted == [(1, done.run_id)]
    assert "3 log files below" in str(done.all_events)
    failed = run(-1)
    assert not failed.success
    assert "-1 is not the id of a user" in str(failed.all_events)
    with pytest.raises(dg.DagsterInvalidConfigError, match="user_id"):
        job.execute_in_process(instance=small_instance)
