"""The report: what it says on every engine, that it is safe to open, and how it is written."""

import os
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import dagster as dg
import pytest

from sparkify_dagster.catalogue.catalogue import ANALYTICS, read_catalogue
from sparkify_dagster.defs import runs
from sparkify_dagster.defs.assets.report import REPORT
from sparkify_dagster.present.charts import words
from sparkify_dagster.present.report import facts as facts_module
from sparkify_dagster.present.report.facts import FIRST_QUESTIONS, Facts, ReportError, read_facts
from sparkify_dagster.present.report.page import page
from sparkify_dagster.present.report.write import NAME, write_report
from sparkify_dagster.warehouse import open_platform
from sparkify_dagster.warehouse.expected.verify_tables import EXPECTED_RESULTS
from sparkify_dagster_tests.fixtures.cli import Project
from sparkify_dagster_tests.fixtures.dagster import THREE_DAYS
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    FolderLake,
    Platform,
    bring_up_to_date,
    event,
    load_all,
    make_platform,
    moment,
    song,
)

THIRD = date(2018, 11, 3)
HOSTILE = '</text></svg><script>alert("x")</script>'
NAMES = ("Zoltrixia", "Quemblewick")


def load(platform: Platform, folder_lake: FolderLake) -> Facts:
    """Two days with one missing between them, three plays of which one is known, and a reject."""
    person = {"firstName": NAMES[0], "lastName": NAMES[1]}
    many = [event(FIRST, itemInSession=n, page="Home", userId="2") for n in range(200)]
    folder_lake.put_events(FIRST, event(FIRST, **person), *many)
    folder_lake.put_events(
        THIRD,
        event(THIRD, song="Another", level="paid", **person),
        event(THIRD, song="A third", ts=moment(THIRD, 13), userId="3", **person),
        *(event(THIRD, itemInSession=n, page="Home") for n in range(200)),
        event(THIRD, userId="Nobody's number", **person),
    )
    folder_lake.put_songs("one", song())
    bring_up_to_date(platform)
    return read_facts(platform)


@pytest.fixture
def here(tmp_path: Path, folder_lake: FolderLake) -> Platform:
    """An empty DuckDB warehouse, for what is the same on every engine."""
    return make_platform(tmp_path, folder_lake.root)


@pytest.fixture
def facts(here: Platform, folder_lake: FolderLake) -> Facts:
    return load(here, folder_lake)


@pytest.mark.slow
@pytest.mark.every_engine
def test_it_says_the_same_on_every_engine(platform: Platform, folder_lake: FolderLake) -> None:
    facts = load(platform, folder_lake)
    figures = [(figure.name, figure.value, figure.note) for figure in facts.headline]
    assert figures == [
        ("plays", "3", "2018-11-01 to 2018-11-03"),
        ("days", "2", "1.5 plays a day"),
        ("listeners", "2", "1.5 plays each"),
        ("free plays", "67 %", "2 of all plays"),
        ("paid plays", "33 %", "1 of all plays"),
        ("known songs", "33 %", "of the plays are of the catalogue's 1 songs"),
    ]
    logs, songs = facts.sources
    assert (logs.source, logs.files, logs.rows, logs.rejects) == ("log_data", 2, 403, 1)
    assert (logs.newest_day, logs.missing) == (THIRD, (date(2018, 11, 2),))
    assert (songs.source, songs.files, songs.rows, songs.missing) == ("song_data", 1, 1, ())
    (reject,) = facts.rejects
    assert (reject.file, reject.lines, reject.first_line) == (
        "2018/11/2018-11-03-events.json", 1, 203,
    )  # fmt: skip
    assert facts.location == platform.warehouse.location
    assert facts.behind == ()
    broken = {check.name: check.offending for check in facts.checks if check.offending}
    assert broken["no_rejects"] == 1
    assert {question.table for question in facts.questions} == {
        "plays_per_level", "songplays_per_day",
    }  # fmt: skip
    days = next(q for q in facts.questions if q.table == "songplays_per_day")
    assert [row[:2] for row in days.rows.rows] == [(THIRD, 2), (FIRST, 1)]

    content = page(facts, platform.catalogue.tables)
    for word in (
        "2018-11-02", "2018/11/2018-11-03-events.json", reject.reason, "no_rejects", "33 %",
        "1 line of 1 file could not be loaded", "How much is listened to for free",
    ):  # fmt: skip
        assert as_html(word) in content, word
    assert not any(name in content for name in NAMES)


class Reader(HTMLParser):
    """Tags, what would be loaded, and the text of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.handlers: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "srcset", "data", "action", "xlink:href"}:
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)


def as_html(text: str) -> str:
    return text.replace("&", "&amp;").replace("'", "&#39;")


@pytest.mark.slow
def test_it_loads_nothing_runs_nothing_and_keeps_text_as_text(
    tmp_path: Path, folder_lake: FolderLake
) -> None:
    platform = make_platform(tmp_path, folder_lake.root, read_catalogue())
    titled = {"song": HOSTILE, "artist": f"A{HOSTILE}", "location": f"L{HOSTILE}"}
    folder_lake.put_events(FIRST, event(FIRST, **titled))
    folder_lake.put_songs("one", song())
    bring_up_to_date(platform)
    found = read_facts(platform)
    content = page(found, platform.catalogue.tables)
    seen = Reader(content)
    assert content.count("&lt;script&gt;") > 8  # charts, their words and tables
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(seen.tags)
    assert seen.handlers == []
    assert set(seen.links) == {f"#{name}" for name in seen.ids if f"{name}-title" in seen.ids}
    assert len(seen.ids) == len(set(seen.ids))
    assert not re.search(r"@import|url\(", content)
    assert "default-src 'none'" in content
    assert len(found.questions) == len(platform.catalogue.tables_of(ANALYTICS))
    drawn = [question for question in found.questions if question.total]
    assert seen.tags.count("svg") == len(drawn) > 10
    assert content.count(words.NOTHING) == len(found.questions) - len(drawn)


def test_every_table_has_a_caption_and_titles(here: Platform, facts: Facts) -> None:
    content = page(facts, here.catalogue.tables)
    seen = Reader(content)
    assert seen.tags.count("table") == seen.tags.count("caption") == seen.tags.count("thead") > 4
    assert content.count('<th scope="col"') == seen.tags.count("th")
    assert '<html lang="en">' in content
    assert "<title>Sparkify: what people listen to, 2018-11-01 to 2018-11-03</title>" in content


def test_the_questions_that_come_first_are_questions_that_there_are() -> None:
    assert set(FIRST_QUESTIONS) <= set(read_catalogue().tables_of(ANALYTICS))


def test_a_long_table_shows_its_newest_rows(
    here: Platform, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts_module, "ALL_ROWS", 1)
    monkeypatch.setattr(facts_module, "FIRST_ROWS", 1)
    again = read_facts(here, checks=())
    days = next(q for q in again.questions if q.table == "songplays_per_day")
    assert [row[0] for row in days.rows.rows] == [THIRD]
    content = page(again, here.catalogue.tables)
    assert "The newest 1 of 2 rows of songplays_per_day" in content
    assert "The checks were not run for this report." in content


def test_of_one_day_the_day_is_reported_once(here: Platform, folder_lake: FolderLake) -> None:
    folder_lake.put_events(FIRST, *(event(FIRST, itemInSession=n) for n in range(3)))
    bring_up_to_date(here)
    facts = read_facts(here, checks=())
    assert [(f.value, f.note) for f in facts.headline[:3]] == [
        ("3", "2018-11-01"), ("1", "3 plays a day"), ("1", "3 plays each"),
    ]  # fmt: skip
    assert "<title>Sparkify: what people listen to, 2018-11-01</title>" in page(
        facts, here.catalogue.tables
    )


def test_a_lake_without_a_play_is_a_page_without_charts(
    here: Platform, folder_lake: FolderLake
) -> None:
    folder_lake.put_events(FIRST, event(FIRST, page="Home"))
    bring_up_to_date(here)
    facts = read_facts(here)
    assert [(f.name, f.value) for f in facts.headline] == [
        ("plays", "0"), ("days", "0"), ("listeners", "0"),
    ]  # fmt: skip
    content = page(facts, here.catalogue.tables)
    assert "<svg" not in content
    assert content.count(words.NOTHING) == len(facts.questions) == 2


def test_expected_results_are_among_its_checks_without_the_rows_that_differ(
    here: Platform, facts: Facts, tmp_path: Path
) -> None:
    folder = tmp_path / "expected"
    folder.mkdir()
    (folder / "users.csv").write_text(f"user_id,first_name\n1,{NAMES[0]}\n2,{NAMES[0]}\n")
    (folder / "songplays_per_day.csv").write_text(
        "log_date,songplays\n2018-11-01,1\n2018-11-03,2\n"
    )
    analytics = replace(here.settings.analytics, expected=folder)
    compared = open_platform(replace(here.settings, analytics=analytics), here.catalogue)
    ran = [check for check in facts.checks if check.name != EXPECTED_RESULTS]
    assert ran == list(facts.checks)
    for again in (read_facts(compared), read_facts(compared, checks=ran)):
        lines = {c.table: c for c in again.checks if c.name == EXPECTED_RESULTS}
        assert {table: c.offending for table, c in lines.items()} == {
            "users": 2, "songplays_per_day": 0,
        }  # fmt: skip
        content = page(again, here.catalogue.tables)
        assert "The table holds exactly the rows that users.csv expects." in content
        assert "1 broken rule of error severity and " in content
        assert not any(name in content for name in NAMES)
    assert read_facts(compared, checks=()).checks == ()


def test_before_anything_is_loaded_there_is_one_clear_message(platform: Platform) -> None:
    with pytest.raises(
        ReportError, match=r"There is nothing to report: .* Run `sparkify run` first"
    ):
        read_facts(platform)


def test_tables_that_are_behind_are_named(
    here: Platform, facts: Facts, folder_lake: FolderLake
) -> None:
    folder_lake.put_events(THIRD, event(THIRD))
    load_all(here)
    again = read_facts(here, checks=())
    assert {"users", "songplays"} <= set(again.behind)
    content = page(again, here.catalogue.tables)
    assert "<strong>Not up to date:</strong>" in content


def test_a_report_that_cannot_be_written_leaves_the_one_before(
    here: Platform, facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "new folder" / NAME
    assert write_report(here, facts, place) == place.stat().st_size
    before = place.read_bytes()

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(ReportError, match=r"cannot be written to .*: No space left .* with --out"):
        write_report(here, facts, place)
    assert [path.name for path in place.parent.iterdir()] == [NAME]
    assert place.read_bytes() == before


@pytest.mark.slow
def test_the_asset_writes_it_after_the_answers_with_the_checks_of_the_run(
    small_platform: Platform, small_instance: dg.DagsterInstance
) -> None:
    result = runs.materialize(small_platform, small_instance, days=THREE_DAYS)
    assert result.success
    (record,) = small_instance.fetch_materializations(dg.AssetKey(REPORT), limit=5).records
    assert record.asset_materialization is not None
    metadata = record.asset_materialization.metadata
    path = small_platform.settings.duckdb.path.parent / NAME
    content = path.read_text(encoding="utf-8")
    assert metadata["path"].value == str(path)
    assert metadata["bytes"].value == path.stat().st_size
    assert "| plays | **6** |" in str(metadata["figures"].value)
    assert re.search(r"<p>\d+ of \d+ checks hold", content)
    (row,) = re.findall(r'<tr><td class="text">songplays</td>(.*?)</tr>', content)
    assert row.endswith('<td class="number">0</td>')  # none of its checks has not run


def test_the_command_writes_it_beside_the_warehouse_and_says_how_to_open_it(
    loaded: Project,
) -> None:
    place = loaded.warehouse.parent / NAME
    place.unlink()
    done = loaded.sparkify("report")
    assert (done.status, done.err) == (0, "")
    assert f"Report:  {place} (" in done.out
    assert f"Open it: file://{place}" in done.out
    assert "checks hold" in place.read_text(encoding="utf-8")


def test_the_command_writes_it_to_the_given_place_or_says_why_not(loaded: Project) -> None:
    done = loaded.sparkify("report", "--out", "here.html", "--no-checks")
    assert done.status == 0, done.err
    assert "The checks were not run" in (loaded.folder / "here.html").read_text(encoding="utf-8")
    (loaded.folder / "file").write_text("")
    failed = loaded.sparkify("report", "--no-checks", "--out", "file/report.html")
    assert "cannot be written to" in failed.error


@pytest.mark.slow
def test_neither_report_nor_query_imports_what_it_does_not_need(
    loaded_once: Project, tmp_path: Path
) -> None:
    code = """
import sys
from click.testing import CliRunner
from sparkify_dagster.cli.main import sparkify
*arguments, banned = sys.argv[1:]
done = CliRunner().invoke(sparkify, arguments)
assert done.exit_code == 0, done.output
found = set(banned.split()) & set(sys.modules)
assert not found, found
"""
    place = str(tmp_path / NAME)
    for arguments in (
        ("query", "SELECT 1", "dagster vl_convert jinja2"),
        ("report", "--no-checks", "--out", place, "dagster pandas"),
    ):
        done = loaded_once.python(code, *arguments)
        assert done.status == 0, done.err
