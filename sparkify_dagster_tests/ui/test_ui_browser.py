"""The UI in a real browser: what a user clicks, and what there is to see then.

Chromium is Debian's package. Every page that is looked at leaves a screenshot among the artifacts.
Elements are found by role and text, as a user finds them.
"""

import re
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from sparkify_dagster.present.charts.specs import WIDTH as CHART_WIDTH
from sparkify_dagster.simulate import Simulation, write_lake
from sparkify_dagster_tests.fixtures.browser import MINUTE
from sparkify_dagster_tests.fixtures.cli import Project, project_in
from sparkify_dagster_tests.fixtures.ui import LOCATION, REPOSITORY, RunningUi, running_ui

FIRST, LAST, NEW = "2018-11-01", "2018-11-07", "2018-11-08"

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture
def ui_of_a_week(empty_project: Project) -> Iterator[RunningUi]:
    """A lake of eight days, of which the last has yet to arrive; the sensors look often."""
    project_in(empty_project.folder, FIRST, NEW)
    write_lake(
        empty_project.lake,
        Simulation(
            date.fromisoformat(FIRST), days=8, users=20, songs=60, events_per_day=300, seed=1
        ),
    )
    shutil.move(newest(empty_project.lake), empty_project.folder / "arrival.json")
    empty_project.environment.update(
        SPARKIFY_SENSORS_MINIMUM_INTERVAL="5", SPARKIFY_SCHEDULES_ENABLED="no"
    )
    with running_ui(empty_project) as running:
        yield running


def newest(lake: Path) -> Path:
    return max(lake.glob("log_data/**/*.json"))


@pytest.mark.slow(60)
def test_a_user_loads_looks_backfills_and_sees_a_new_file_arrive(
    ui_of_a_week: RunningUi, page: Page, artifacts: Path
) -> None:
    ui = ui_of_a_week
    materialize_all_assets(ui, page, artifacts)
    look_at_an_asset(ui, page, artifacts)
    look_at_a_chart(ui, page, artifacts)
    look_at_a_resource(ui, page, artifacts)
    backfill_five_days(ui, page, artifacts)
    see_a_new_file_arrive(ui, page, artifacts)


def materialize_all_assets(ui: RunningUi, page: Page, artifacts: Path) -> None:
    """From the lineage page, for one day: that is one run of every asset."""
    page.goto(f"{ui.url}/asset-groups")
    page.get_by_role("button", name="Materialize all").click()
    choose_days(page, FIRST)
    page.screenshot(path=artifacts / "1-materialize-all.png")
    page.get_by_role("button", name="Launch 1 run").click()
    page.get_by_role("link", name="View", exact=True).click()
    page.wait_for_url("**/runs/*")
    expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=2 * MINUTE)
    page.screenshot(path=artifacts / "2-run.png")
    run = ui.run(page.url.rpartition("/")[2].partition("?")[0])
    assert run.status == "SUCCESS"


def look_at_an_asset(ui: RunningUi, page: Page, artifacts: Path) -> None:
    """Rows, schema, lineage and checks of a table."""
    page.goto(f"{ui.url}/assets/songplays")
    page.get_by_role("tab", name="Overview").click()
    expect(page.get_by_text("Row count", exact=True)).to_be_visible()
    schema = page.get_by_role("table").filter(has_text="Column name")
    expect(schema).to_contain_text("songplay_id")
    expect(schema).to_contain_text("Hash (md5, hex) of the natural key of the event")
    expect(page.get_by_text("Latest check results")).to_be_visible()
    relations = page.get_by_role("img", name="Diagram of the keys and references of songplays: ")
    expect(relations).to_be_visible()
    assert relations.evaluate("image => image.complete && image.naturalWidth") > 400
    page.screenshot(path=artifacts / "3-asset.png")
    page.get_by_role("tab", name="Lineage").click()
    for neighbour in ("staging_events", "users", "artists"):
        expect(page.get_by_text(neighbour, exact=True).first).to_be_visible()
    page.screenshot(path=artifacts / "4-lineage.png")
    page.get_by_role("tab", name="Checks").click()
    expect(page.get_by_text("one_play_per_event").first).to_be_visible()
    expect(page.get_by_text("Succeeded").first).to_be_visible()
    expect(page.get_by_text("Passed", exact=True).first).to_be_visible()
    page.screenshot(path=artifacts / "5-checks.png")
    page.get_by_role("tab", name="Events").click()
    expect(page.get_by_text("dagster/partition_row_count").first).to_be_visible()
    page.screenshot(path=artifacts / "6-events.png")


def look_at_a_resource(ui: RunningUi, page: Page, artifacts: Path) -> None:
    """What the warehouse is, what its fields mean and hold, and who uses it."""
    page.goto(f"{ui.url}/locations/{REPOSITORY}@{LOCATION}/resources/warehouse")
    expect(page.get_by_text("DuckDBWarehouseResource")).to_be_visible()
    expect(page.get_by_text("A DuckDB file of this machine")).to_be_visible()
    limit = page.get_by_role("row").filter(has_text="memory_limit")
    expect(limit).to_contain_text("What DuckDB may use of the memory")
    expect(limit).to_contain_text('"1GB"')
    page.screenshot(path=artifacts / "resource.png")
    page.get_by_role("tab", name="Uses").click()
    expect(page.get_by_text("songplays_per_day", exact=True).first).to_be_visible()


def look_at_a_chart(ui: RunningUi, page: Page, artifacts: Path) -> None:
    """What a question's page says of its last run, and the picture, really drawn, on a click."""
    page.goto(f"{ui.url}/assets/plays_per_hour")
    page.get_by_role("tab", name="Overview").click()
    finding = page.get_by_role("row").filter(has_text="chart_says")
    expect(finding).to_contain_text("Bar chart of plays by hour: most at ")
    row = page.get_by_role("row").filter(has=page.get_by_text("chart", exact=True))
    row.get_by_text("[Show Markdown]").click()
    chart = page.get_by_role("img", name="Bar chart of plays by hour: most at ")
    expect(chart).to_be_visible()
    assert chart.evaluate("image => image.complete && image.naturalWidth") == CHART_WIDTH
    page.screenshot(path=artifacts / "6-chart.png")


def backfill_five_days(ui: RunningUi, page: Page, artifacts: Path) -> None:
    """From the partitions dialog of the job that loads everything: one run."""
    page.goto(f"{ui.url}/jobs")
    page.get_by_text("load_lake", exact=True).click()
    page.get_by_role("button", name="Materialize all").click()
    choose_days(page, "[2018-11-02...2018-11-06]")
    page.screenshot(path=artifacts / "7-backfill-dialog.png")
    page.get_by_role("button", name="Launch backfill").click()
    page.get_by_role("link", name="View", exact=True).click()
    page.wait_for_url("**/runs/b/*")
    expect(page.get_by_text("100% completed")).to_be_visible(timeout=3 * MINUTE)
    page.screenshot(path=artifacts / "8-backfill.png")
    backfill = page.url.rpartition("/b/")[2].partition("?")[0]
    (run,) = ui.runs(dagster__backfill=backfill)
    assert (run.status, run.days) == ("SUCCESS", ("2018-11-02", "2018-11-06"))


def see_a_new_file_arrive(ui: RunningUi, page: Page, artifacts: Path) -> None:
    """Nobody touches the page: it shows by itself what the sensor has had loaded."""
    page.goto(f"{ui.url}/assets/songplays?view=partitions")
    days = page.get_by_text(re.compile(r"Materialized \((\d)\)"))
    expect(days).to_contain_text("(7)", timeout=MINUTE)
    page.screenshot(path=artifacts / "9-before-the-file.png")
    oldest = newest(ui.project.lake)
    shutil.move(ui.project.folder / "arrival.json", oldest.with_name(f"{NEW}-events.json"))
    expect(days).to_contain_text("(8)", timeout=2 * MINUTE)
    page.screenshot(path=artifacts / "10-after-the-file.png")
    (run,) = [run for run in ui.runs() if run.days == (NEW, NEW)]
    run = ui.finished(run.run_id)  # songplays are there before the questions are answered
    assert (run.status, run.tags["dagster/sensor_name"]) == ("SUCCESS", "new_log_files")


def choose_days(page: Page, days: str) -> None:
    box = page.get_by_role("dialog").get_by_role("textbox").first
    box.fill(days)
    box.press("Enter")
