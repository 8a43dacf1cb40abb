"""The report as HTML: one page that loads nothing and runs nothing.

Every text is escaped by the template; the charts are SVG of our own making. Light and dark follow
the reader's system, and paper is light.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sparkify_dagster import __version__
from sparkify_dagster.catalogue.check import Severity
from sparkify_dagster.catalogue.tables import Column, Table
from sparkify_dagster.engines.rows import Value
from sparkify_dagster.present.charts import draw, words
from sparkify_dagster.present.charts.colours import DARK_GROUND, dark_rules
from sparkify_dagster.present.report.facts import (
    SHOWN_REJECTS,
    CheckLine,
    Facts,
    Question,
    SourceState,
)

_FOLDER = Path(__file__).parent
_SHOWN_DAYS = 10
Head = list[tuple[str, str]]
"""The titles of a table's columns, and what they hold: `number`, `time` or `text`."""


def page(facts: Facts, tables: Mapping[str, Table]) -> str:
    """The page. `tables` says what the columns of the questions' tables mean."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["moment"] = _moment
    return environment.get_template("page.html.j2").render(_content(facts, tables))


def _content(facts: Facts, tables: Mapping[str, Table]) -> dict[str, Any]:
    from markupsafe import Markup

    broken = [check for check in facts.checks if check.offending]
    broken.sort(key=lambda check: (check.severity is not Severity.ERROR, check.table, check.name))
    return {
        "facts": facts,
        "version": __version__,
        "span": next((f.note for f in facts.headline if f.name == "plays"), ""),
        # a style sheet is no HTML: nothing in it may be escaped, and nothing of it comes from data
        "style": Markup(_style()),
        "questions": [_question(question, tables[question.table]) for question in facts.questions],
        "source_head": _head("source", "#files", "#rows", "#rejects", "@newest day", "@last load"),
        "source_rows": [_source(state) for state in facts.sources],
        "gaps": [_gap(state) for state in facts.sources if state.missing],
        "checks_text": _checks_text(facts.checks),
        "broken_head": _head("table", "rule", "severity", "#rows", "meaning"),
        "broken_rows": [
            (c.table, c.name, c.severity.value, f"{c.offending:,}", c.description) for c in broken
        ],
        "check_head": _head("table", "#checks", "#hold", "#broken", "#not run"),
        "check_rows": list(_by_table(facts.checks)),
        "rejects_text": _rejects_text(facts),
        "reject_head": _head("source", "file", "reason", "#lines", "#first line"),
        "reject_rows": [
            (r.source, r.file, r.reason, f"{r.lines:,}", f"{r.first_line:,}")
            for r in facts.rejects[:SHOWN_REJECTS]
        ],
    }


def _style() -> str:
    dark = f"""
@media screen and (prefers-color-scheme: dark) {{
:root {{
  --ground: #12161b; --card: {DARK_GROUND}; --ink: #e6e9ed; --quiet: #a9b1bc; --line: #3a414b;
  --link: #7cc0f5; --notice: #3d3413;
}}
{dark_rules(".chart")}
}}"""
    return (_FOLDER / "page.css").read_text(encoding="utf-8") + dark


def _question(question: Question, table: Table) -> dict[str, Any]:
    from markupsafe import Markup

    picture = draw(question.chart) if question.chart else None
    columns = [column for column in table.columns if column.name in question.rows.columns]
    shown = len(question.rows.rows)
    which = "The newest" if question.newest_first else "The first"
    caption = (
        (f"All {shown:,} rows" if shown != 1 else "The only row")
        if shown == question.total
        else (f"{which} {shown:,} of {question.total:,} rows")
    )
    return {
        "table": question.table,
        "question": question.question,
        "notes": question.notes,
        "svg": Markup(picture.svg) if picture and picture.svg else None,
        "words": picture.words if picture else "",
        "caption": f"{caption} of {question.table}",
        "head": [(words.title(column), _holds(column)) for column in columns],
        "rows": [
            [_cell(column, value) for column, value in zip(columns, row, strict=True)]
            for row in question.rows.rows
        ],
    }


def _holds(column: Column) -> str:
    if column.base_type in ("DATE", "TIMESTAMP"):
        return "time"
    is_name = column.name.endswith(("_id", "year", "weekday"))
    counts = column.is_integer or column.is_float or column.base_type == "DECIMAL"
    return "number" if counts and not is_name else "text"


def _cell(column: Column, value: Value) -> str:
    """A value as people read it; what is not there is left empty."""
    if value is None:
        return ""
    if _holds(column) == "number" and not isinstance(value, str):
        return words.number(column, value)
    return words.label(column, value)


def _head(*titles: str) -> Head:
    """Titles; those of numbers begin with #, those of times with @."""
    kinds = {"#": "number", "@": "time"}
    return [(title.lstrip("#@"), kinds.get(title[0], "text")) for title in titles]


def _source(state: SourceState) -> tuple[str, ...]:
    return (
        state.source,
        f"{state.files:,}",
        f"{state.rows:,}",
        f"{state.rejects:,}",
        state.newest_day.isoformat() if state.newest_day else "",
        _moment(state.loaded_at) if state.loaded_at else "never",
    )


def _gap(state: SourceState) -> str:
    days = ", ".join(day.isoformat() for day in state.missing[:_SHOWN_DAYS])
    more = len(state.missing) - _SHOWN_DAYS
    rest = f" and {more:,} more" if more > 0 else ""
    return f"Days between the first and the last of {state.source} without a file: {days}{rest}."


def _checks_text(checks: Sequence[CheckLine]) -> str:
    run = [check for check in checks if check.offending is not None]
    if not run:
        return "The checks were not run for this report."
    errors = sum(bool(c.offending) for c in run if c.severity is Severity.ERROR)
    warnings = sum(bool(c.offending) for c in run if c.severity is Severity.WARN)
    reported = f"{len(run) - errors - warnings:,} of {len(run):,} checks hold"
    broken = [f"{_counted(errors, 'broken rule')} of error severity"] if errors else []
    broken += [_counted(warnings, "warning")] if warnings else []
    return f"{reported}{'; ' if broken else ''}{' and '.join(broken)}."


def _by_table(checks: Iterable[CheckLine]) -> Iterable[tuple[str, ...]]:
    tables: dict[str, list[CheckLine]] = {}
    for check in checks:
        tables.setdefault(check.table, []).append(check)
    for table, found in tables.items():
        unknown = sum(check.offending is None for check in found)
        broken = sum(bool(check.offending) for check in found)
        held = len(found) - unknown - broken
        yield table, f"{len(found):,}", f"{held:,}", f"{broken:,}", f"{unknown:,}"


def _rejects_text(facts: Facts) -> str:
    lines = sum(reject.lines for reject in facts.rejects)
    if not lines:
        return "Every line of every file was loaded."
    files = len({(reject.source, reject.file) for reject in facts.rejects})
    reported = (
        f"{_counted(lines, 'line')} of {_counted(files, 'file')} could not be loaded. The lines"
        " themselves are in the table load_rejects."
    )
    more = len(facts.rejects) - SHOWN_REJECTS
    return (
        f"{reported} The table shows the most frequent {SHOWN_REJECTS}." if more > 0 else reported
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _moment(moment: datetime) -> str:
    """`2018-11-30 12:05 UTC`."""
    if moment.tzinfo:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{moment.isoformat(sep=' ', timespec='minutes')} UTC"
