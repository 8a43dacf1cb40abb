"""The end of `sparkify run`: a table of what each asset did, warnings, and where to look next.

Reports of several runs count together. Nothing here asks the warehouse or the lake.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import click

from sparkify_dagster.catalogue.catalogue import ANALYTICS, STAR
from sparkify_dagster.catalogue.check import Severity
from sparkify_dagster.catalogue.lake_checks import NO_FILES_GONE, NOTHING_HELD_BACK
from sparkify_dagster.cli.run.grouped_lines import Fold
from sparkify_dagster.console import Column, Mark, counted, one_line, table
from sparkify_dagster.defs.runs import RunResult
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.reports import (
    CheckOutcome,
    HeldBack,
    LakeStatus,
    LoadReport,
    RefreshReport,
)
from sparkify_dagster.warehouse.run_events import Report

_COLUMNS = (
    Column("asset"),
    Column("added", number=True),
    Column("replaced", number=True),
    Column("removed", number=True),
    Column("total", number=True),
    Column("files", number=True),
    Column("rejects", number=True),
    Column("seconds", number=True),
    Column("checks"),
)
_REASONS = 3
NOT_RUN, FAILED = "not run", "FAILED, unchanged"


@dataclass
class AssetLine:
    """What the runs did to one table, or to the tables that share a line."""

    reports: list[Report] = field(default_factory=list)
    outcomes: list[CheckOutcome] = field(default_factory=list)

    @property
    def replaced(self) -> int:
        """Rows written in the place of others."""
        return sum(min(r.rows_added, r.rows_removed) for r in self.reports)

    @property
    def added(self) -> int:
        return sum(r.rows_added for r in self.reports) - self.replaced

    @property
    def removed(self) -> int:
        return sum(r.rows_removed for r in self.reports) - self.replaced

    @property
    def total(self) -> int:
        """The rows of the table now; of tables that share the line, all of theirs."""
        return sum({r.table: r.rows_total for r in self.reports}.values())

    @property
    def well(self) -> bool:
        """Whether there is nothing to tell but numbers."""
        return all(outcome.passed for outcome in self.outcomes)

    @property
    def checks(self) -> str:
        failed = sum(outcome.failed_hard for outcome in self.outcomes)
        warned = sum(not outcome.passed for outcome in self.outcomes) - failed
        passed = len(self.outcomes) - failed - warned
        counts = ((passed, "passed"), (warned, "warned"), (failed, "FAILED"))
        return ", ".join(f"{count} {word}" for count, word in counts if count) or "-"

    def cells(self, name: str, state: str) -> list[str]:
        if not self.reports:
            return [name, *["-"] * 7, state]
        loads = [r for r in self.reports if isinstance(r, LoadReport)]
        files = sum(len(r.files) for r in loads), sum(r.rejects for r in loads)
        return [
            name,
            *(f"{n:,}" for n in (self.added, self.replaced, self.removed)),
            f"{self.total:,}",
            *([f"{n:,}" for n in files] if loads else ["", ""]),
            f"{sum(r.seconds for r in self.reports):.1f}",
            self.checks,
        ]


def closing_table(platform: Platform, results: Sequence[RunResult], fold: Fold) -> str:
    """One line for each table that the runs were about, in the order of the flow.

    The tables of `fold` that went well share one; so do those that were not run.
    """
    lines: dict[str, AssetLine] = {}
    states: dict[str, str] = {}
    for result in results:
        for name in result.skipped:
            states[name] = NOT_RUN
        for name in result.failures:
            states[name] = FAILED
        for report in with_also(result.reports.values()):
            lines.setdefault(report.table, AssetLine()).reports.append(report)
        for outcome in result.outcomes:
            lines.setdefault(outcome.check.table, AssetLine()).outcomes.append(outcome)
    catalogue = platform.catalogue
    derived = (*catalogue.tables_of(STAR), *catalogue.tables_of(ANALYTICS))
    order = dict.fromkeys([*catalogue.sources, *derived, *lines])
    shown = {
        name: lines.get(name, AssetLine())
        for name in order
        if name in states or (name in lines and lines[name].reports)
    }
    return table(_COLUMNS, list(_folded(shown, states, fold)), {8: _coloured})


def _folded(
    lines: Mapping[str, AssetLine], states: Mapping[str, str], fold: Fold
) -> Iterator[list[str]]:
    """The cells of each line, those that share one in the place of the first of them."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, line in lines.items():
        state = states.get(name, "-")
        alone = name not in fold or not line.well or state == FAILED
        groups.setdefault((name if alone else fold.title, state), []).append(name)
    for (title, state), names in groups.items():
        together = AssetLine()
        for name in names:
            together.reports += lines[name].reports
            together.outcomes += lines[name].outcomes
        shown = f"{title} ({len(names)} tables)" if len(names) > 1 else names[0]
        yield together.cells(shown, state)


def with_also(reports: Iterable[Report]) -> Iterator[Report]:
    """The reports, and those of the tables that were refreshed in the same transactions."""
    for report in reports:
        if isinstance(report, RefreshReport):
            yield from with_also(report.also_refreshed)
        yield report


def check_lines(outcomes: Iterable[CheckOutcome], severity: Severity) -> list[str]:
    """The checks of a severity that did not pass: what they say, how many rows, an example."""
    mark = Mark.FAIL if severity is Severity.ERROR else Mark.WARN
    return [
        f"{mark.shown} {_spelled_out(outcome)}"
        for outcome in outcomes
        if not outcome.passed and outcome.check.severity is severity
        # these have lines of their own
        if outcome.check.name not in (NO_FILES_GONE, NOTHING_HELD_BACK)
    ]


def lake_lines(platform: Platform, status: LakeStatus) -> list[str]:
    """Files of the lake that no run reads, and files that it does not hold any more."""
    lines = []
    first, last = platform.partitions()
    if outside := status.outside_partitions:
        lines.append(
            f"{counted(len(outside), 'file')} outside the days {first} to {last}"
            f" ([PARTITIONS] FIRST_DAY and LAST_DAY), not read: {_some(outside)}"
        )
    for name, source in platform.catalogue.sources.items():
        if strange := status.strange_files.get(name):
            lines.append(
                f"{counted(len(strange), 'file')} with another name than {source.names} in"
                f" {platform.lake_uri(name)}, not read: {_some(strange)}"
            )
        if gone := status.gone_files.get(name):
            lines.append(
                f"{counted(gone, source.file_noun)} gone from {platform.lake_uri(name)}; what"
                " was loaded from there stays in the tables"
            )
    return [f"{Mark.WARN.shown} {line}" for line in lines]


def held_back_lines(held_back: Iterable[HeldBack]) -> list[str]:
    """The days, and files without a day, that could not be loaded: why, and what to do."""
    causes: dict[str, list[HeldBack]] = {}
    for held in held_back:
        causes.setdefault(str(held.day or held.key), []).append(held)
    lines = []
    for name, files in sorted(causes.items()):
        reasons = [one_line(str(held)) for held in files if not held.waits]
        shown = "; ".join(reasons[:_REASONS]) + (
            f"; and {counted(len(reasons) - _REASONS, 'more file')}"
            if len(reasons) > _REASONS
            else ""
        )
        lines.append(f"{Mark.FAIL.shown} {name} is held back: {shown}")
    return lines


def where_next(platform: Platform) -> list[str]:
    return [
        f"Warehouse: {platform.warehouse.location}",
        "Ask it:    sparkify query top_songs",
        "See it:    sparkify ui",
    ]


def _spelled_out(outcome: CheckOutcome) -> str:
    check, sample = outcome.check, outcome.sample
    example = ""
    if sample.rows:
        values = zip(sample.columns, sample.rows[0], strict=True)
        example = f", such as {', '.join(f'{name} = {_value(value)}' for name, value in values)}"
    end = "" if example.endswith("?") else "."
    return (
        f"{check.table}.{check.name}: {' '.join(check.description.split())}"
        f" {counted(outcome.offending, 'row')}{example}{end}"
    )


def _value(value: object) -> str:
    return "NULL" if value is None else one_line(str(value))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return one_line(f"{', '.join(names[:3])}{more}")


def _coloured(cell: str) -> str:
    if "FAILED" in cell:
        return click.style(cell, fg="red")
    return click.style(cell, fg="yellow") if "warned" in cell else cell
