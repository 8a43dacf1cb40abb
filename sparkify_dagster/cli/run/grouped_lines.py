"""Tables that are shown together: the answers to questions are many, and of one kind.

A table that did not go well, or that was asked for by name, has a line of its own all the same.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from sparkify_dagster.catalogue.catalogue import ANALYTICS, Catalogue
from sparkify_dagster.console import counted
from sparkify_dagster.warehouse.run_events import Report


@dataclass
class Fold:
    """The tables of one line, and what has become of them so far in a run."""

    tables: Collection[str] = ()
    reports: list[Report] = field(default_factory=list)
    failed: int = 0

    title = ANALYTICS

    def __contains__(self, table: str) -> bool:
        return table in self.tables

    @property
    def complete(self) -> bool:
        return len(self.reports) + self.failed == len(self.tables)

    @property
    def progress(self) -> str:
        return f"{len(self.reports)} of {counted(len(self.tables), 'table')}"

    @property
    def seconds(self) -> float:
        return sum(report.seconds for report in self.reports)

    @property
    def reported(self) -> str:
        """What the work on all of them came to, in a few words."""
        tables = counted(len(self.reports), "table")
        written = sum(report.rows_added for report in self.reports)
        total = sum(report.rows_total for report in self.reports)
        if not any(report.rows_added or report.rows_removed for report in self.reports):
            return f"{tables} unchanged, {counted(total, 'row')}"
        return f"{tables}, {counted(written, 'row')} written, {total:,} in all"

    def clear(self) -> None:
        """For the next run of the same command."""
        self.reports, self.failed = [], 0


def fold_of(catalogue: Catalogue, tables: Collection[str] | None, *, details: bool) -> Fold:
    """What a run of these tables, all of them by default, tells together; `details`: nothing."""
    found = () if details or tables is not None else catalogue.tables_of(ANALYTICS)
    return Fold(found if len(found) > 1 else ())
