"""Runs checks: over a whole table, over some days, or over what a transaction changed.

A check of error severity blocks: a failed one rolls the writing transaction back. What else an
outcome means is decided by the callers; how they are found is in `catalogue`.
"""

from collections.abc import Iterable
from datetime import date

from sparkify_dagster.catalogue.check import Check
from sparkify_dagster.catalogue.sql_files import incremental, whole
from sparkify_dagster.console import counted
from sparkify_dagster.engines.base import Session
from sparkify_dagster.engines.rows import Rows
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse.privacy.personal import masked
from sparkify_dagster.warehouse.reports import CheckOutcome

SAMPLE_ROWS = 10


class AuditFailedError(SparkifyError):
    """Blocking checks failed: the transaction was rolled back and readers keep the rows before."""

    def __init__(self, table: str, outcomes: tuple[CheckOutcome, ...]) -> None:
        self.table = table
        self.outcomes = outcomes
        failed = [outcome for outcome in outcomes if outcome.blocks]
        shown = "; ".join(
            f"{o.check.name} ({counted(o.offending, 'row')}, such as {_shown(o.sample)})"
            for o in failed
        )
        super().__init__(
            f"{table}: {shown}. Nothing was changed; the table keeps its rows from before. "
            "Look at the offending rows, mend their cause, and run again."
        )


def run_check(
    session: Session,
    check: Check,
    *,
    changed_only: bool = False,
    days: DayRange | None = None,
) -> CheckOutcome:
    """Run one check over a whole table, over what the transaction changed, or over some days."""
    sql = incremental(check.sql) if changed_only else whole(check.sql)
    params: dict[str, date] = {}
    if days is not None and check.by_day:
        sql = f"SELECT * FROM (\n{sql}\n) AS offending WHERE log_date BETWEEN :first AND :last"
        params = {"first": days.first, "last": days.last}
    sample = masked(session.rows(sql, params, limit=SAMPLE_ROWS + 1), check.personal)
    if not sample.rows:
        return CheckOutcome(check, 0, {}, sample)
    by_day: dict[date, int] = {}
    if check.by_day:
        counted = session.fetch(
            f"SELECT log_date, COUNT(*) FROM (\n{sql}\n) AS offending GROUP BY log_date", params
        )
        by_day = {day: int(str(n)) for day, n in counted if isinstance(day, date)}
        total = sum(int(str(n)) for _, n in counted)
    else:
        total = session.count(f"SELECT COUNT(*) FROM (\n{sql}\n) AS offending", params)
    return CheckOutcome(check, total, by_day, Rows(sample.columns, sample.rows[:SAMPLE_ROWS]))


def audit(
    session: Session, checks: Iterable[Check], *, changed_only: bool
) -> tuple[CheckOutcome, ...]:
    """Run the checks of one table inside the transaction that wrote it.

    Raises:
        AuditFailedError: if a blocking check of error severity failed; the others are run as well.
    """
    outcomes = tuple(run_check(session, check, changed_only=changed_only) for check in checks)
    refuse_failed(outcomes)
    return outcomes


def warn_about(
    session: Session,
    checks: Iterable[Check],
    outcomes: tuple[CheckOutcome, ...],
    days: DayRange | None,
) -> tuple[CheckOutcome, ...]:
    """Run the warnings over what was asked for, beyond what the transaction changed.

    What an audit says of other rows is that they passed when they were written. A warning may have
    been published, and still holds.
    """
    found = {outcome.check: outcome for outcome in outcomes}
    for check in checks:
        if check.blocking:
            continue
        asked = run_check(session, check, days=days)
        changed = found.get(check)
        by_day = {**(changed.offending_by_day if changed else {}), **asked.offending_by_day}
        offending = sum(by_day.values()) if check.by_day else asked.offending
        sample = changed.sample if changed and not asked.offending else asked.sample
        found[check] = CheckOutcome(check, offending, by_day, sample)
    return tuple(found.values())


def refuse_failed(outcomes: tuple[CheckOutcome, ...]) -> None:
    """Raise AuditFailedError if a blocking check is among the failed ones."""
    failed = [outcome for outcome in outcomes if outcome.blocks]
    if failed:
        raise AuditFailedError(failed[0].check.table, outcomes)


def _shown(sample: Rows) -> str:
    if not sample.rows:
        return "none"
    return ", ".join(f"{c}={v}" for c, v in zip(sample.columns, sample.rows[0], strict=True))
