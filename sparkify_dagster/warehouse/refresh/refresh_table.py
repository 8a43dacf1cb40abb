"""Refreshing: one derived table brought up to date inside a transaction, with its audits.

What a change means for a table is said in its transform; committing is the caller's work.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from sparkify_dagster.catalogue.catalogue import Catalogue
from sparkify_dagster.engines.base import Session, Warehouse
from sparkify_dagster.engines.rows import Rows
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse.admin import create_tables
from sparkify_dagster.warehouse.checks.run_checks import audit
from sparkify_dagster.warehouse.load import ledger
from sparkify_dagster.warehouse.privacy.personal import masked
from sparkify_dagster.warehouse.refresh import apply_transforms
from sparkify_dagster.warehouse.refresh.apply_transforms import Dependents
from sparkify_dagster.warehouse.refresh.chart_rows import read_chart
from sparkify_dagster.warehouse.reports import CheckOutcome, RefreshReport

PREVIEW_ROWS = 10


@dataclass(frozen=True)
class State:
    """Which derived tables stand as the present text makes them, and which of them are behind."""

    built: frozenset[str]
    stale: frozenset[str]

    def is_behind(self, table: str) -> bool:
        return table not in self.built or table in self.stale


def read_state(session: Session, catalogue: Catalogue) -> State:
    """What the warehouse says of the derived tables now."""
    versions = ledger.built_versions(session)
    built = {
        name for name in catalogue.transforms if versions.get(name) == catalogue.code_version(name)
    }
    stale = session.fetch(ledger.statement("stale tables"))
    return State(frozenset(built), frozenset(str(name) for (name,) in stale))


class Refresher:
    """Refreshes tables inside one transaction."""

    def __init__(self, session: Session, warehouse: Warehouse, catalogue: Catalogue) -> None:
        self._session = session
        self._warehouse = warehouse
        self._catalogue = catalogue

    def refresh(self, table: str, *, force: DayRange | None, full: bool) -> RefreshReport:
        """Rebuild the changed part of a table, or all of it; tables it refers to come first.

        `force` are days of a daily table to rebuild even if nothing changed there.

        Raises:
            AuditFailedError: if a blocking check fails.
        """
        also: list[RefreshReport] = []
        state = read_state(self._session, self._catalogue)
        for name in self._catalogue.references_of(table):
            if state.is_behind(name):
                also.append(self._make(name, state.built, None, full=False))
                state = read_state(self._session, self._catalogue)
        if full or force or state.is_behind(table):
            report = self._make(table, state.built, force, full=full)
        else:
            report = self._report(table, apply_transforms.Written(False, 0, 0), (), ())
        return replace(report, also_refreshed=tuple(also))

    def _make(
        self, table: str, built: frozenset[str], force: DayRange | None, *, full: bool
    ) -> RefreshReport:
        session, transform = self._session, self._catalogue.transforms[table]
        if table not in built:
            create_tables.renew(session, self._warehouse, self._catalogue, table)
        full = full or table not in built or transform.key is None
        dependents = Dependents(session, self._catalogue.transforms.values(), table, built)
        daily = self._catalogue.is_daily(table) and transform.key == "log_date"
        days: list[date] = []
        if full:
            dependents.forget()
        else:
            if force and daily:
                apply_transforms.add_pending_days(session, transform, list(force.days()))
            dependents.note()
            session.analyze_keys(transform.pending)
        written = apply_transforms.apply(session, transform, full=full)
        session.analyze(table, written.added)
        if not full:
            dependents.note()
            days = apply_transforms.pending_days(session, transform) if daily else []
        dependents.mark_stale()
        outcomes = audit(session, self._catalogue.checks_of(table), changed_only=not full)
        apply_transforms.note_done(session, transform, self._catalogue.code_version(table))
        return self._report(table, written, outcomes, days)

    def _report(
        self,
        table: str,
        written: apply_transforms.Written,
        outcomes: tuple[CheckOutcome, ...],
        days: Sequence[date],
    ) -> RefreshReport:
        session, by_day = self._session, dict[date, int]()
        chart = self._catalogue.chart_of(table)
        if written.full and self._catalogue.is_daily(table):
            counted = session.fetch(f"SELECT log_date, COUNT(*) FROM {table} GROUP BY log_date")
            by_day = {day: int(str(n)) for day, n in counted if isinstance(day, date)}
        elif days:
            counts = rows_by_day(session, table, DayRange(days[0], days[-1]))
            by_day = {day: counts[day] for day in days}
        return RefreshReport(
            table=table,
            full=written.full,
            rows_added=written.added,
            rows_removed=written.removed,
            rows_total=session.count(f"SELECT COUNT(*) FROM {table}"),
            rows_by_day=by_day,
            changed_days=tuple(sorted(by_day)),
            also_refreshed=(),
            outcomes=outcomes,
            sql=self._catalogue.sql_of(table),
            preview=preview(session, self._catalogue, table, max(by_day, default=None)),
            seconds=0.0,
            chart=read_chart(session, table, chart) if chart else None,
        )


def rows_by_day(session: Session, table: str, days: DayRange) -> dict[date, int]:
    """The rows of a daily table in a range, 0 for a day without any."""
    counted = session.fetch(
        f"SELECT log_date, COUNT(*) FROM {table} "
        "WHERE log_date BETWEEN :first AND :last GROUP BY log_date",
        {"first": days.first, "last": days.last},
    )
    rows = dict.fromkeys(days.days(), 0)
    return rows | {day: int(str(n)) for day, n in counted if isinstance(day, date)}


def preview(session: Session, catalogue: Catalogue, table: str, day: date | None) -> Rows:
    """A few rows of a table, of one day where it is daily; what is personal is masked.

    Previews are kept where nobody finds them again, so no name may ever come into one.
    """
    declared = catalogue.tables[table]
    columns = ", ".join(declared.column_names)
    where = " WHERE log_date = :day" if day and catalogue.is_daily(table) else ""
    rows = session.rows(f"SELECT {columns} FROM {table}{where} LIMIT {PREVIEW_ROWS}", {"day": day})
    return masked(rows, declared.personal)
