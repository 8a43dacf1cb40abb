"""The check `expected_results`: where it is, when it runs, and that it rolls nothing back."""

from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import pytest

from sparkify_dagster.definitions import build_definitions
from sparkify_dagster.defs import runs
from sparkify_dagster.settings import Settings
from sparkify_dagster.settings.sections import AnalyticsSettings
from sparkify_dagster.warehouse import Platform, open_platform
from sparkify_dagster.warehouse.expected.expected_files import ExpectedError
from sparkify_dagster_tests.fixtures.dagster import FIRST, THREE_DAYS
from sparkify_dagster_tests.fixtures.warehouse import rows_of
from sparkify_dagster_tests.warehouse.test_expected import make

USERS = "user_id,first_name\n1,Ada\n2,Ada\n"
CHECK = "expected_results"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "users.csv").write_text(USERS)
    (folder / "songplays.csv").write_text("user_id,level\n" + "1,free\n2,free\n" * 3)
    (folder / "counts.json").write_text("{}")
    return folder


@dataclass
class Checked:
    """A platform with expected results, and the instance that its runs are in."""

    platform: Platform
    instance: dg.DagsterInstance

    @property
    def definitions(self) -> dg.Definitions:
        return build_definitions(self.platform.settings, self.platform)

    def latest(self, table: str) -> dg.AssetCheckEvaluation:
        key = dg.AssetCheckKey(dg.AssetKey(table), CHECK)
        (record,) = self.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
        assert record.event is not None
        found = record.event.asset_check_evaluation
        assert found is not None
        return found

    def run_alone(self, *tables: str, **tags: str) -> bool:
        keys = [dg.AssetCheckKey(dg.AssetKey(table), CHECK) for table in tables]
        job = dg.define_asset_job("alone", selection=dg.AssetSelection.checks(*keys))
        made = dg.Definitions.merge(self.definitions, dg.Definitions(jobs=[job]))
        done = made.resolve_job_def("alone").execute_in_process(
            instance=self.instance, tags=tags, raise_on_error=False
        )
        assert not done.get_asset_materialization_events()
        return done.success


@pytest.fixture
def checked(small_settings: Settings, folder: Path, small_instance: dg.DagsterInstance) -> Checked:
    settings = replace(small_settings, analytics=AnalyticsSettings(folder))
    return Checked(open_platform(settings), small_instance)


def test_tables_with_a_file_have_the_check_and_it_blocks_nothing(
    checked: Checked, small_platform: Platform
) -> None:
    specs = [
        spec
        for found in checked.definitions.asset_checks or ()
        for spec in found.check_specs
        if spec.name == CHECK
    ]
    assert {spec.asset_key.to_user_string() for spec in specs} == {"users", "songplays"}
    assert not any(spec.blocking for spec in specs)
    plain = build_definitions(small_platform.settings, small_platform)
    graph = plain.resolve_asset_graph()
    assert all(key.name != CHECK for key in graph.asset_check_keys)


@pytest.mark.slow
def test_a_run_over_days_compares_what_it_published_and_rolls_nothing_back(
    checked: Checked, folder: Path
) -> None:
    (folder / "users.csv").write_text(USERS.replace("2,Ada", "2,Eve") + "3,Bob\n")
    tables = ("staging_events", "staging_songs", "users", "user_levels", "time", "songs",
              "artists", "songplays")  # fmt: skip
    result = runs.materialize(checked.platform, checked.instance, days=THREE_DAYS, tables=tables)
    assert result.success
    assert not result.ok
    assert set(result.reports) == set(tables), "what comes after is refreshed all the same"
    assert rows_of(checked.platform, "SELECT first_name FROM users") == [("Ada",), ("Ada",)]
    failed = [o for o in result.outcomes if not o.passed]
    assert [(o.check.table, o.check.name, o.offending) for o in failed] == [("users", CHECK, 2)]
    found = checked.latest("users")
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert found.description == "Not as expected: 1 missing, 1 different."
    reported = {name: value.value for name, value in found.metadata.items()}
    assert (reported["rows_expected"], reported["rows_found"]) == (3, 2)
    assert (reported["missing"], reported["unexpected"], reported["different"]) == (1, 0, 1)
    assert reported["offending_rows"] == 2, "which alerts tell"
    assert "•••" in str(reported["difference"])
    assert not [name for name in ("Eve", "Ada", "Bob") if name in str(found)], "names are personal"
    assert not [name for name in ("Eve", "Ada", "Bob") if name in str(failed)]
    assert found.target_materialization_data is not None
    good = checked.latest("songplays")
    assert good.passed
    assert good.description == "All 6 rows are as expected."


@pytest.mark.slow
def test_the_check_alone_compares_the_file_of_now_with_what_is_published(
    checked: Checked, folder: Path
) -> None:
    make(checked.platform, ("users", "songplays"))
    assert checked.run_alone("users")
    assert checked.latest("users").passed
    (folder / "users.csv").write_text(USERS.replace("1,Ada", "1,Eve"))
    assert checked.run_alone("users", "songplays")
    assert not checked.latest("users").passed
    assert checked.latest("songplays").passed
    (folder / "users.csv").write_text("user_id,first_name\none,Ada\n")
    assert checked.run_alone("users")
    found = checked.latest("users")
    assert not found.passed
    assert str(found.description).endswith("line 2, user_id: 'one' is not a whole number.")


@pytest.mark.slow
def test_a_day_is_compared_with_the_whole_table(checked: Checked) -> None:
    make(checked.platform, ("users", "songplays"))
    day = FIRST.isoformat()
    result = runs.materialize(
        checked.platform,
        checked.instance,
        days=type(THREE_DAYS)(FIRST, FIRST),
        tables=("songplays",),
    )
    assert result.ok, result.message
    assert checked.latest("songplays").passed
    assert day in str(checked.instance.get_runs(limit=1)[0].tags)


def test_a_warehouse_that_is_not_there_is_one_message(checked: Checked) -> None:
    assert not checked.run_alone("users")
    logs = checked.instance.all_logs(checked.instance.get_runs(limit=1)[0].run_id)
    (failure,) = (
        e.dagster_event for e in logs if e.dagster_event and e.dagster_event.is_step_failure
    )
    error = failure.step_failure_data.user_failure_data
    assert error is not None
    assert "there is no warehouse yet" in str(error.description)


def test_a_configured_folder_that_is_missing_is_reported_at_once(
    small_settings: Settings, tmp_path: Path
) -> None:
    settings = replace(small_settings, analytics=AnalyticsSettings(tmp_path / "nowhere"))
    with pytest.raises(ExpectedError, match=r"nowhere cannot be read .* \[ANALYTICS\] EXPECTED"):
        build_definitions(settings)
