"""Holding published tables against a folder of expected results: the check, and its outcome.

The command line compares a folder at once, Dagster a table at a time; both through here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from sparkify_dagster.catalogue.catalogue import Catalogue
from sparkify_dagster.catalogue.check import Check, Severity
from sparkify_dagster.engines.base import Session
from sparkify_dagster.engines.rows import Rows, Value
from sparkify_dagster.settings import Settings
from sparkify_dagster.warehouse.expected.compare_rows import Comparison, compare_table
from sparkify_dagster.warehouse.expected.csv_values import Compared
from sparkify_dagster.warehouse.expected.expected_files import (
    ExpectedError,
    Folder,
    Row,
    look_into,
    read_expected,
)
from sparkify_dagster.warehouse.privacy.personal import masked
from sparkify_dagster.warehouse.reports import CheckOutcome

EXPECTED_RESULTS = "expected_results"
MISSING, UNEXPECTED, DIFFERENT = "missing", "unexpected", "different"


@dataclass(frozen=True)
class Verdict:
    """What became of one file: a comparison, or why there could be none."""

    table: str
    path: Path
    comparison: Comparison | None
    problem: str = ""

    @property
    def equal(self) -> bool:
        return self.comparison is not None and self.comparison.equal


def configured(settings: Settings, catalogue: Catalogue) -> Folder | None:
    """The folder that [ANALYTICS] EXPECTED names; None where it names none.

    Raises:
        ExpectedError: if there is no such folder.
    """
    folder = settings.analytics.expected
    return look_into(folder, catalogue) if folder else None


def verify(
    session: Session, schema: str, catalogue: Catalogue, files: Mapping[str, Path]
) -> Iterator[Verdict]:
    """Compare the table of each file with the rows that the session sees."""
    for table, path in files.items():
        try:
            expected = read_expected(path, catalogue.tables[table])
            yield Verdict(table, path, compare_table(session, schema, expected))
        except ExpectedError as error:
            yield Verdict(table, path, None, str(error))


def check_of(table: str, path: Path) -> Check:
    """The comparison as a check. Being of error severity it fails a run, but it blocks nothing:
    it runs on its own, against what is published."""
    said = f"The table holds exactly the rows that {path.name} expects."
    return Check(EXPECTED_RESULTS, table, said, Severity.ERROR, by_day=False, sql="")


def outcome_of(verdict: Verdict) -> CheckOutcome:
    """The verdict as a check's outcome; a file that cannot be compared counts as one row."""
    check = check_of(verdict.table, verdict.path)
    if verdict.comparison is None:
        return CheckOutcome(check, 1, {}, Rows(("problem",), ((verdict.problem,),)))
    return CheckOutcome(check, verdict.comparison.differences, {}, recorded(verdict.comparison))


def recorded(comparison: Comparison) -> Rows:
    """The difference without personal values, for what is kept and sent: events, alerts, logs."""
    personal = [column.name for column in comparison.expected.columns if column.personal]
    return masked(difference(comparison), personal)


def difference(comparison: Comparison) -> Rows:
    """The rows that differ: how, the line of the file, and their values.

    Of a different row the values that do not agree are shown as `expected → found`. Where all rows
    that differ do so, only the columns that matter are shown.
    """
    expected, different = comparison.expected, comparison.different_rows
    names = expected.names
    if different and not (comparison.missing or comparison.unexpected):
        unequal = {name for row in different for name in row.columns}
        names = tuple(name for name in names if name in unequal or name in expected.key)
    places = [expected.names.index(name) for name in names]

    def shown(kind: str, line: int | None, row: Row) -> tuple[Value, ...]:
        return (kind, line, *(as_text(row[place]) for place in places))

    rows = []
    for item in different:
        both = tuple(
            f"{as_text(a)} → {as_text(b)}" if name in item.columns else a
            for name, a, b in zip(expected.names, item.expected, item.found, strict=True)
        )
        rows.append(shown(DIFFERENT, item.line, both))
    rows += [shown(MISSING, line, row) for line, row in comparison.missing_rows]
    rows += [shown(UNEXPECTED, None, row) for row in comparison.unexpected_rows]
    return Rows(("difference", "line", *names), tuple(rows))


def as_text(value: Compared) -> str:
    """A value as a file has it; quoted if it is a text that may be taken for another value."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(
            sep=" ", timespec="auto" if value.microsecond % 1000 else "milliseconds"
        )
    text = str(value)
    return text if text and text == text.strip() and text != "NULL" else f'"{text}"'


def counts(comparison: Comparison) -> str:
    """`1 missing, 2 different`."""
    numbers = (
        (comparison.missing, MISSING),
        (comparison.unexpected, UNEXPECTED),
        (comparison.different, DIFFERENT),
    )
    return ", ".join(f"{number:,} {what}" for number, what in numbers if number)
