"""The report in a real browser: light, dark, on a phone and on paper, without a network.

Every view leaves a screenshot among the artifacts.
"""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from sparkify_dagster.present.report.facts import Facts, read_facts
from sparkify_dagster.present.report.write import write_report
from sparkify_dagster.simulate import Simulation, write_lake
from sparkify_dagster_tests.fixtures.warehouse import bring_up_to_date, make_platform

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.all_questions]

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}
# Each text that can be seen, with its colour and that of the ground it stands on; in a chart, the
# ground is that of its card (figures on bars and cells are judged in test_charts.py).
CONTRASTS = """() => {
  const parts = colour => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (let e = element; e; e = e.parentElement) {
      const found = parts(getComputedStyle(e).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("body *")].filter(e =>
    [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && e.getClientRects().length);
  return texts.map(e => {
    const style = getComputedStyle(e);
    const [a, b] = [parts(e.closest("svg") ? style.fill : style.color), ground(e)].map(light);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return [contrast, e.textContent.slice(0, 40)];
  });
}"""
# Texts of charts that reach out of their picture, where they would be cut off.
CUT = """() => [...document.querySelectorAll("svg text")].filter(text => {
  const [inner, outer] = [text, text.closest("svg")].map(e => e.getBoundingClientRect());
  return inner.left < outer.left - 1 || inner.right > outer.right + 1
    || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
}).map(text => text.textContent)"""
OVERFLOW = "() => document.documentElement.scrollWidth - window.innerWidth"
UNTOLD = """() => [...document.querySelectorAll("svg, img")].filter(e =>
  e.getAttribute("role") !== "img" || (e.getAttribute("aria-label") || "").length < 30
  || e.closest("figure").querySelector("figcaption").textContent.trim()
     !== e.getAttribute("aria-label")).length"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Facts]:
    """Of three weeks of simulated listening."""
    folder = tmp_path_factory.mktemp("report")
    write_lake(
        folder / "lake",
        Simulation(date(2018, 11, 1), days=21, users=60, songs=200, events_per_day=400, seed=3),
    )
    platform = make_platform(folder, folder / "lake")
    bring_up_to_date(platform)
    facts = read_facts(platform)
    path = folder / "report.html"
    write_report(platform, facts, path)
    return path, facts


def low_contrasts(page: Page) -> list[Any]:
    found = page.evaluate(CONTRASTS)
    assert len(found) > 300
    return [reported for reported in found if reported[0] < 4.5]


def test_it_reads_well_in_light_dark_on_a_phone_and_on_paper(
    report: tuple[Path, Facts], page: Page, artifacts: Path
) -> None:
    path, facts = report
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.context.set_offline(True)
    views = {
        "light": (DESK, {"color_scheme": "light", "media": "screen"}),
        "dark": (DESK, {"color_scheme": "dark", "media": "screen"}),
        "phone": (PHONE, {"color_scheme": "light", "media": "screen"}),
        "phone-dark": (PHONE, {"color_scheme": "dark", "media": "screen"}),
        "print": (DESK, {"color_scheme": "dark", "media": "print"}),  # paper is light all the same
    }
    grounds = {}
    for name, (size, media) in views.items():
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.emulate_media(**media)  # type: ignore[arg-type]
        page.goto(path.as_uri())
        assert page.evaluate(OVERFLOW) <= 0, name
        assert page.evaluate(CUT) == [], name
        assert page.evaluate(UNTOLD) == 0, name
        assert low_contrasts(page) == [], name
        charts = page.locator("figure svg")
        assert charts.count() == len(facts.questions)
        assert all(chart.is_visible() for chart in charts.all())
        grounds[name] = page.locator("section").first.evaluate(
            "section => getComputedStyle(section).backgroundColor"
        )
        page.screenshot(path=artifacts / f"report-{name}.png", full_page="phone" not in name)
        page.locator("#plays_per_hour").scroll_into_view_if_needed()
        page.screenshot(path=artifacts / f"report-{name}-chart.png")
    assert grounds["light"] == grounds["print"] == "rgb(255, 255, 255)"
    assert grounds["dark"] == grounds["phone-dark"] != grounds["light"]
    assert complaints == []
    assert set(asked) == {path.as_uri()}


def test_a_keyboard_reaches_every_table_that_scrolls(
    report: tuple[Path, Facts], page: Page
) -> None:
    path, _ = report
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.goto(path.as_uri())
    unreachable = page.evaluate(
        "() => [...document.querySelectorAll('*')].filter(e => e.scrollWidth > e.clientWidth + 1"
        " && getComputedStyle(e).overflowX === 'auto' && e.tabIndex < 0).length"
    )
    assert unreachable == 0
    scrolling = page.locator(".rows").evaluate_all(
        "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth).length"
    )
    assert scrolling > 0


def test_on_paper_no_row_is_hidden(report: tuple[Path, Facts], page: Page, artifacts: Path) -> None:
    path, _ = report
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 without its margins
    page.goto(path.as_uri())
    hidden = page.locator(".rows").evaluate_all(
        "boxes => boxes.filter(box => box.scrollHeight > box.clientHeight + 1"
        " && getComputedStyle(box).overflowY !== 'visible').length"
    )
    assert hidden == 0
    assert page.evaluate(OVERFLOW) <= 0
    paper = page.pdf(path=artifacts / "report.pdf", format="A4")
    assert paper.startswith(b"%PDF")
