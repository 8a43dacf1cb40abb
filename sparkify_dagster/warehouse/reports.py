"""What a load, a refresh and a check say about themselves.

Plain frozen records that the Dagster assets, the command line and the tests read. No SQL, no
connection and no presentation live here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from sparkify_dagster.catalogue.check import Check, Severity
from sparkify_dagster.engines.rows import Rows
from sparkify_dagster.warehouse.refresh.chart_rows import ChartRows


@dataclass(frozen=True)
class CheckOutcome:
    """What one check found: the number of offending rows (by day where known) and a sample."""

    check: Check
    offending: int
    offending_by_day: Mapping[date, int]
    sample: Rows

    @property
    def passed(self) -> bool:
        return self.offending == 0

    @property
    def failed_hard(self) -> bool:
        """Whether an error was found: whoever started the run is told by its exit status."""
        return not self.passed and self.check.severity is Severity.ERROR

    @property
    def blocks(self) -> bool:
        """Whether what was found keeps the rows from being published."""
        return not self.passed and self.check.blocking


@dataclass(frozen=True)
class FileReport:
    """One file that a load read: lines = rows + rejects."""

    key: str
    day: date | None
    size: int
    lines: int
    rows: int
    rejects: int


@dataclass(frozen=True)
class HeldBack:
    """A file that a load left out, in the version `etag`; its day keeps the rows that it had.

    `cause` says why, and `cure` what to do; one without a cure only waits for another file of its
    day. A file without a day holds back nothing but itself.
    """

    table: str
    key: str
    day: date | None
    etag: str
    cause: str
    cure: str

    @property
    def waits(self) -> bool:
        return not self.cure

    def __str__(self) -> str:
        cure = f"; {self.cure}" if self.cure else ""
        return f"{self.key}: {self.cause}{cure}"


@dataclass(frozen=True)
class LoadReport:
    """One load of a staging table, committed.

    `strange_files` are those that no run reads, by their name or their day; `changed_days` those
    that files were loaded for, which the checks have looked at.
    """

    table: str
    files: tuple[FileReport, ...]
    unchanged_files: int
    gone_files: tuple[str, ...]
    strange_files: tuple[str, ...]
    rows_added: int
    rows_removed: int
    rows_total: int
    rows_by_day: Mapping[date, int]
    changed_days: tuple[date, ...]
    unknown_keys: Mapping[str, int]
    outcomes: tuple[CheckOutcome, ...]
    sql: str
    preview: Rows
    seconds: float
    held_back: tuple[HeldBack, ...] = ()

    @property
    def held_days(self) -> frozenset[date]:
        """The days that were held back."""
        return frozenset(held.day for held in self.held_back if held.day)

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def lines(self) -> int:
        return sum(file.lines for file in self.files)

    @property
    def rejects(self) -> int:
        return sum(file.rejects for file in self.files)


@dataclass(frozen=True)
class RefreshReport:
    """One refresh of a table that is derived from other tables, committed.

    `changed_days` are those that were rebuilt, which the checks have looked at.
    """

    table: str
    full: bool
    rows_added: int
    rows_removed: int
    rows_total: int
    rows_by_day: Mapping[date, int]
    changed_days: tuple[date, ...]
    also_refreshed: tuple["RefreshReport", ...]
    outcomes: tuple[CheckOutcome, ...]
    sql: str
    preview: Rows
    seconds: float
    chart: ChartRows | None = None
    held_days: frozenset[date] = frozenset()
    """The days that a source holds back: their rows are what they were, or none."""


@dataclass(frozen=True)
class LakeStatus:
    """What a run would have to do: days and song files not yet loaded, tables not yet refreshed."""

    days: tuple[date, ...]
    new_files: Mapping[str, int]
    changed_files: Mapping[str, int]
    gone_files: Mapping[str, int]
    outside_partitions: tuple[str, ...]
    strange_files: Mapping[str, tuple[str, ...]]
    pending_tables: tuple[str, ...] = field(default=())
    loaded_files: Mapping[str, int] = field(default_factory=dict)
    held_back: tuple[HeldBack, ...] = ()
    """New and changed files that were tried as they are now, and could not be loaded."""

    @property
    def up_to_date(self) -> bool:
        return not (
            any(self.new_files.values()) or any(self.changed_files.values()) or self.pending_tables
        )
