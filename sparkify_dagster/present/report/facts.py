"""What the report says, read from the warehouse in one consistent state.

Names of people are in no table that is read here; what is personal is masked all the same, and of
rejected lines only their number and reason are read.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sparkify_dagster.catalogue.catalogue import ANALYTICS, Catalogue
from sparkify_dagster.catalogue.check import Severity
from sparkify_dagster.catalogue.sql_files import SQL_FOLDER, read_script
from sparkify_dagster.engines.base import Notify, Session, silent
from sparkify_dagster.engines.rows import Rows
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.present.charts import words
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.checks.run_checks import run_check
from sparkify_dagster.warehouse.expected.verify_tables import configured, outcome_of, verify
from sparkify_dagster.warehouse.privacy.personal import masked
from sparkify_dagster.warehouse.refresh.chart_rows import ChartRows, read_chart
from sparkify_dagster.warehouse.refresh.refresh_table import read_state
from sparkify_dagster.warehouse.reports import HeldBack
from sparkify_dagster.warehouse.status import recorded

ALL_ROWS = 31
"""A table of so many rows is shown whole (a month of days); of a longer one the first rows."""
FIRST_ROWS = 12
SHOWN_REJECTS = 50
FIRST_QUESTIONS = (
    "songplays_per_day", "active_listeners", "new_and_returning_listeners", "weekly_retention",
    "plays_per_weekday_hour", "plays_per_hour", "plays_per_weekday", "plays_per_week",
    "sessions_per_day", "levels_per_day", "plays_per_level", "level_changes",
    "before_level_changes", "top_songs", "top_artists", "top_locations",
)  # fmt: skip
"""The order in which a reader would ask them; those that are not named here follow."""
_STATEMENTS = read_script(SQL_FOLDER / "report.sql").statements


class ReportError(SparkifyError):
    """There is nothing to report yet, or the report cannot be written."""


@dataclass(frozen=True)
class Figure:
    """One headline figure, and what belongs to it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Question:
    """One table of the analytics: the question, its chart and its rows, of how many in all."""

    table: str
    question: str
    notes: str
    chart: ChartRows | None
    rows: Rows
    total: int
    newest_first: bool


@dataclass(frozen=True)
class SourceState:
    """What is loaded of a source; `missing` are days between its first and last without a file."""

    source: str
    files: int
    rows: int
    rejects: int
    newest_day: date | None
    loaded_at: datetime | None
    missing: tuple[date, ...]


@dataclass(frozen=True)
class CheckLine:
    """What a check came to: the number of rows that break it; None where it has not been run."""

    table: str
    name: str
    description: str
    severity: Severity
    offending: int | None


@dataclass(frozen=True)
class Reject:
    """Lines of one file that were rejected for one reason."""

    source: str
    file: str
    reason: str
    lines: int
    first_line: int


@dataclass(frozen=True)
class Facts:
    """Everything that the report says.

    `behind` are tables that the next run brings up to date, `held_back` files that the last one
    could not load.
    """

    made_at: datetime
    location: str
    headline: tuple[Figure, ...]
    questions: tuple[Question, ...]
    sources: tuple[SourceState, ...]
    behind: tuple[str, ...]
    held_back: tuple[HeldBack, ...]
    checks: tuple[CheckLine, ...]
    rejects: tuple[Reject, ...]


def read_facts(
    platform: Platform, checks: Iterable[CheckLine] | None = None, notify: Notify = silent
) -> Facts:
    """Read what the report says. Checks are run now, unless their results are given.

    Expected results are compared in any case, with the very rows that are read here; `()` leaves
    out both.

    Raises:
        ReportError: if nothing has been loaded yet.
        ExpectedError: if the folder of expected results is not there.
        WarehouseError: if the warehouse cannot be read.
    """
    catalogue = platform.catalogue
    _, held_back, behind = recorded(platform, tuple(catalogue.sources), lambda *_: {}, notify)
    if set(behind) >= set(catalogue.transforms):
        raise ReportError(
            f"There is nothing to report: {platform.warehouse.location} holds no table that is"
            " up to date. Run `sparkify run` first."
        )
    with platform.warehouse.read(notify) as session:
        built = read_state(session, catalogue).built
        found = tuple(_run_checks(session, platform) if checks is None else checks)
        return Facts(
            made_at=datetime.now(UTC),
            location=platform.warehouse.location,
            headline=tuple(_headline(session, built)),
            questions=tuple(
                _question(session, catalogue, table)
                for table in sorted(catalogue.tables_of(ANALYTICS), key=_place)
                if table in built
            ),
            sources=_sources(session, catalogue),
            behind=behind,
            held_back=tuple(held for held in held_back if not held.waits),
            checks=(*found, *_compared(session, platform)) if found else (),
            rejects=_rejects(session, catalogue),
        )


def _headline(session: Session, made: Container[str]) -> Iterator[Figure]:
    """The figures whose tables have been made."""
    plays = 0
    if "songplays_per_day" in made:
        ((total, matched, days, first, last),) = session.fetch(_STATEMENTS["plays"])
        plays, known = int(str(total or 0)), int(str(matched or 0))
        span = f"{first} to {last}" if first != last else f"{first or ''}"
        yield Figure("plays", f"{plays:,}", span)
        yield Figure("days", f"{days:,}", f"{_each(plays, int(str(days)))} plays a day")
    if "users" in made:
        listeners = session.count(_STATEMENTS["listeners"])
        yield Figure("listeners", f"{listeners:,}", f"{_each(plays, listeners)} plays each")
    if "plays_per_level" in made:
        levels = {str(level): int(str(n)) for level, n in session.fetch(_STATEMENTS["levels"])}
        for level, n in levels.items():
            share = _percent(n, sum(levels.values()))
            yield Figure(f"{level} plays", share, f"{n:,} of all plays")
    if plays and "songs" in made:
        songs = session.count(_STATEMENTS["songs"])
        note = f"of the plays are of the catalogue's {songs:,} songs"
        yield Figure("known songs", _percent(known, plays), note)


def _place(table: str) -> int:
    known = table in FIRST_QUESTIONS
    return FIRST_QUESTIONS.index(table) if known else len(FIRST_QUESTIONS)


def _percent(part: int, whole: int) -> str:
    return words.percent(part / whole) if whole else "none"


def _each(plays: int, parts: int) -> str:
    if not parts:
        return "no"
    return f"{plays / parts:,.{0 if plays >= 10 * parts or plays % parts == 0 else 1}f}"


def _question(session: Session, catalogue: Catalogue, table: str) -> Question:
    chart, declared = catalogue.chart_of(table), catalogue.tables[table]
    names = [column.name for column in declared.columns]
    key = declared.primary_key or (names[0],)
    newest_first = declared.columns[0].base_type in ("DATE", "TIMESTAMP")
    if chart and chart.largest_first:
        value = chart.values[0].name
        order = [f"{value} DESC NULLS LAST", *(f"{n} NULLS LAST" for n in names if n != value)]
    elif newest_first:
        order = [f"{names[0]} DESC NULLS LAST", *(f"{n} NULLS LAST" for n in names[1:])]
    else:
        order = [f"{name} NULLS LAST" for name in (*key, *(n for n in names if n not in key))]
    order = ["place"] if "place" in names else order
    rows = session.rows(
        f"SELECT {', '.join(names)} FROM {table} ORDER BY {', '.join(order)} LIMIT {ALL_ROWS + 1}"
    )
    if len(rows.rows) > ALL_ROWS:
        rows = Rows(rows.columns, rows.rows[:FIRST_ROWS])
    question, notes, *_ = (*catalogue.transforms[table].script.description.split("\n\n"), "")
    return Question(
        table=table,
        question=" ".join(question.split()),
        notes=" ".join(notes.split()),
        chart=read_chart(session, table, chart) if chart else None,
        rows=masked(rows, declared.personal),
        total=session.count(f"SELECT COUNT(*) FROM {table}"),
        newest_first=newest_first and "place" not in names,
    )


def _sources(session: Session, catalogue: Catalogue) -> tuple[SourceState, ...]:
    days: dict[str, set[date]] = {}
    for table, day in session.fetch(_STATEMENTS["days of files"]):
        if isinstance(day, date):
            days.setdefault(str(table), set()).add(day)
    found = {str(row[0]): row[1:] for row in session.fetch(_STATEMENTS["sources"])}
    states = []
    for table, source in catalogue.sources.items():
        files, rows, rejects, newest, loaded = found.get(table, (0, 0, 0, None, None))
        states.append(
            SourceState(
                source=source.name,
                files=int(str(files)),
                rows=int(str(rows or 0)),
                rejects=int(str(rejects or 0)),
                newest_day=newest if isinstance(newest, date) else None,
                loaded_at=loaded if isinstance(loaded, datetime) else None,
                missing=_gaps(days.get(table, set())),
            )
        )
    return tuple(states)


def _gaps(days: set[date]) -> tuple[date, ...]:
    if not days:
        return ()
    first, last = min(days), max(days)
    span = (first + timedelta(n) for n in range((last - first).days + 1))
    return tuple(day for day in span if day not in days)


def _run_checks(session: Session, platform: Platform) -> Iterable[CheckLine]:
    """Every check of rows, over everything; what compares the lake needs the lake."""
    for check in platform.catalogue.checks:
        if not platform.catalogue.compares_lake(check):
            offending = run_check(session, check).offending
            yield CheckLine(check.table, check.name, check.description, check.severity, offending)


def _compared(session: Session, platform: Platform) -> Iterable[CheckLine]:
    """The tables that have expected results in the configured folder. Never the rows that differ,
    which may name people: `sparkify verify` shows them."""
    folder = configured(platform.settings, platform.catalogue)
    files = folder.files if folder else {}
    schema = platform.warehouse.schema
    for verdict in verify(session, schema, platform.catalogue, files):
        found = outcome_of(verdict)
        check = found.check
        yield CheckLine(check.table, check.name, check.description, check.severity, found.offending)


def _rejects(session: Session, catalogue: Catalogue) -> tuple[Reject, ...]:
    sources: Mapping[str, str] = {t: source.name for t, source in catalogue.sources.items()}
    return tuple(
        Reject(
            source=sources.get(str(table), str(table)),
            file=words.clean(str(file)),
            reason=words.clean(str(reason)),
            lines=int(str(lines)),
            first_line=int(str(first)),
        )
        for table, file, reason, lines, first in session.fetch(_STATEMENTS["rejects"])
    )
