"""Checks: SQL that selects the rows which break a rule.

Key, reference, not-null and accepted-value checks are derived from the table files; further ones
are files in `sql/checks/<table>/`, where a file named like a derived check replaces it. A check
that writes nothing is run here; what a failed one means is decided by its callers.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.tables import Table
from sparkify_dagster.warehouse.base import Session
from sparkify_dagster.warehouse.derived_checks import Scope, derived_checks, is_daily
from sparkify_dagster.warehouse.reports import Check, CheckOutcome, Rows, Severity
from sparkify_dagster.warehouse.scripts import ScriptError, incremental, read_script, whole

SAMPLE_ROWS = 10
_SEVERITIES = {severity.value: severity for severity in Severity}
_YES_NO = {"yes": True, "no": False}


class AuditFailedError(SparkifyError):
    """Blocking checks failed: the transaction was rolled back and readers keep the rows before."""

    def __init__(self, table: str, outcomes: tuple[CheckOutcome, ...]) -> None:
        self.table = table
        self.outcomes = outcomes
        failed = [o for o in outcomes if o.failed_hard and o.check.blocking]
        told = "; ".join(
            f"{o.check.name} ({o.offending} rows, such as {_told(o.sample)})" for o in failed
        )
        super().__init__(
            f"{table}: {told}. Nothing was changed; the table keeps its rows from before. "
            "Look at the offending rows, mend their cause, and run again."
        )


def find_checks(
    tables: Mapping[str, Table], scopes: Mapping[str, Scope], folder: Path
) -> tuple[Check, ...]:
    """All checks of all tables, derived ones and files, in the order of the tables.

    `scopes` says, for a table that is written in parts, which rows a transaction changed.

    Raises:
        ScriptError: if a file does not say what it must, or belongs to no table.
    """
    found: dict[tuple[str, str], Check] = {}
    for table in tables.values():
        for check in derived_checks(table, scopes.get(table.name)):
            found[check.table, check.name] = check
        for path in sorted((folder / table.name).glob("*.sql")):
            check = _from_file(path, table)
            found[check.table, check.name] = check
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name not in tables:
            raise ScriptError(
                f"{path}: there is no table '{path.name}'. Rename the folder after a table."
            )
    return tuple(found.values())


def run_check(
    session: Session,
    check: Check,
    *,
    changed_only: bool = False,
    days: tuple[date, date] | None = None,
) -> CheckOutcome:
    """Run one check over a whole table, over what the transaction changed, or over some days."""
    sql = incremental(check.sql) if changed_only else whole(check.sql)
    params: dict[str, date] = {}
    if days is not None and check.by_day:
        sql = f"SELECT * FROM (\n{sql}\n) AS offending WHERE log_date BETWEEN :first AND :last"
        params = {"first": days[0], "last": days[1]}
    sample = session.rows(sql, params, limit=SAMPLE_ROWS + 1)
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
    failed = [o for o in outcomes if o.failed_hard and o.check.blocking]
    if failed:
        raise AuditFailedError(failed[0].check.table, outcomes)
    return outcomes


def _from_file(path: Path, table: Table) -> Check:
    script = read_script(path)
    severity = _SEVERITIES.get(script.properties.get("severity", ""))
    blocking = _YES_NO.get(script.properties.get("blocking", ""))
    if severity is None or blocking is None or not script.description:
        raise ScriptError(
            f"{path}: the header must hold a description, '-- severity: error' (or warn) and "
            "'-- blocking: yes' (or no)."
        )
    (sql,) = script.statements.values()
    told = " ".join(script.description.split())
    return Check(script.name, table.name, told, severity, blocking, is_daily(table), sql)


def _told(sample: Rows) -> str:
    if not sample.rows:
        return "none"
    return ", ".join(f"{c}={v}" for c, v in zip(sample.columns, sample.rows[0], strict=True))
