"""Refreshing: one derived table brought up to date inside a transaction, with its audits."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from sparkify_dagster.warehouse import ledger, transforms
from sparkify_dagster.warehouse.audits import audit
from sparkify_dagster.warehouse.base import Session
from sparkify_dagster.warehouse.catalogue import Catalogue
from sparkify_dagster.warehouse.reports import CheckOutcome, RefreshReport, Rows
from sparkify_dagster.warehouse.transforms import Dependents

PREVIEW_ROWS = 10
Days = tuple[date, date]


@dataclass(frozen=True)
class State:
    """Which derived tables stand as the present text makes them, and which of them are behind."""

    built: frozenset[str]
    stale: frozenset[str]

    def is_behind(self, table: str) -> bool:
        return table not in self.built or table in self.stale


def read_state(session: Session, catalogue: Catalogue) -> State:
    versions = ledger.built_versions(session)
    built = {
        name for name in catalogue.transforms if versions.get(name) == catalogue.code_version(name)
    }
    stale = session.fetch(ledger.statement("stale tables"))
    return State(frozenset(built), frozenset(str(name) for (name,) in stale))


def refresh_table(
    session: Session, catalogue: Catalogue, table: str, *, force: Days | None, full: bool
) -> RefreshReport:
    """Make the changed part of one table anew, or all of it; tables it refers to come first.

    `force` are days of a daily table to make anew even if nothing changed there.

    Raises:
        AuditFailedError: if a blocking check fails.
    """
    also: list[RefreshReport] = []
    for name in catalogue.references_of(table):
        state = read_state(session, catalogue)
        if state.is_behind(name):
            also.append(_make(session, catalogue, name, None, full=name not in state.built))
    state = read_state(session, catalogue)
    full = full or table not in state.built
    if full or force or state.is_behind(table):
        report = _make(session, catalogue, table, force, full=full, also=tuple(also))
    else:
        unchanged = transforms.Written(False, 0, 0)
        report = _report(session, catalogue, table, unchanged, (), (), tuple(also))
    return report


def rows_by_day(session: Session, table: str, days: Days) -> dict[date, int]:
    """The rows of a daily table in a range, 0 for a day without any."""
    counted = session.fetch(
        f"SELECT log_date, COUNT(*) FROM {table} "
        "WHERE log_date BETWEEN :first AND :last GROUP BY log_date",
        {"first": days[0], "last": days[1]},
    )
    rows = dict.fromkeys(days_between(days), 0)
    return rows | {day: int(str(n)) for day, n in counted if isinstance(day, date)}


def days_between(days: Days) -> list[date]:
    return [days[0] + timedelta(n) for n in range((days[1] - days[0]).days + 1)]


def preview(session: Session, catalogue: Catalogue, table: str, day: date | None) -> Rows:
    """A few rows of a table, of one day where it is daily."""
    columns = ", ".join(catalogue.tables[table].column_names)
    where = " WHERE log_date = :day" if day and catalogue.is_daily(table) else ""
    return session.rows(f"SELECT {columns} FROM {table}{where} LIMIT {PREVIEW_ROWS}", {"day": day})


def _make(
    session: Session,
    catalogue: Catalogue,
    table: str,
    force: Days | None,
    *,
    full: bool,
    also: tuple[RefreshReport, ...] = (),
) -> RefreshReport:
    transform = catalogue.transforms[table]
    state = read_state(session, catalogue)
    dependents = Dependents(session, catalogue.transforms.values(), table, state.built)
    daily = catalogue.is_daily(table) and transform.key == "log_date"
    full = full or transform.key is None
    days: list[date] = []
    if full:
        dependents.forget()
    else:
        if force and daily:
            transforms.add_pending_days(session, transform, days_between(force))
        dependents.note()
    written = transforms.apply(session, transform, full=full)
    if not full:
        dependents.note()
        days = transforms.pending_days(session, transform) if daily else []
    dependents.mark_stale()
    outcomes = audit(session, catalogue.checks_of(table), changed_only=not full)
    transforms.note_done(session, transform, catalogue.code_version(table))
    return _report(session, catalogue, table, written, outcomes, days, also)


def _report(
    session: Session,
    catalogue: Catalogue,
    table: str,
    written: transforms.Written,
    outcomes: tuple[CheckOutcome, ...],
    days: Iterable[date],
    also: tuple[RefreshReport, ...],
) -> RefreshReport:
    days = list(days)
    by_day: dict[date, int] = {}
    if written.full and catalogue.is_daily(table):
        counted = session.fetch(f"SELECT log_date, COUNT(*) FROM {table} GROUP BY log_date")
        by_day = {day: int(str(n)) for day, n in counted if isinstance(day, date)}
    for day in days:
        by_day |= rows_by_day(session, table, (day, day))
    return RefreshReport(
        table=table,
        full=written.full,
        rows_added=written.added,
        rows_removed=written.removed,
        rows_total=session.count(f"SELECT COUNT(*) FROM {table}"),
        rows_by_day=by_day,
        also_refreshed=also,
        outcomes=outcomes,
        sql=catalogue.sql_of(table),
        preview=preview(session, catalogue, table, max(by_day, default=None)),
        seconds=0.0,
    )
