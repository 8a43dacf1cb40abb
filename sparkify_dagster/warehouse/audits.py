"""Checks: SQL that selects the rows which break a rule.

Key, reference, not-null and accepted-value checks are derived from the table files. Those in
`sql/checks/every_source/` hold for each staging table, `<table>` standing for its name and lines
that end in `-- dated` for sources by day; those in `sql/checks/<table>/` for one table, where a
file named like a derived check replaces it. A check of error severity blocks: a failed one rolls
the writing transaction back. What else an outcome means is decided by the callers.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.sources import Source
from sparkify_dagster.tables import Table
from sparkify_dagster.warehouse.base import Session
from sparkify_dagster.warehouse.check import Check, Severity
from sparkify_dagster.warehouse.derived_checks import Scope, derived_checks, is_daily
from sparkify_dagster.warehouse.personal import masked
from sparkify_dagster.warehouse.reports import CheckOutcome
from sparkify_dagster.warehouse.rows import Rows
from sparkify_dagster.warehouse.scripts import ScriptError, incremental, read_script, whole

SAMPLE_ROWS = 10
_SEVERITIES = {severity.value: severity for severity in Severity}
_EVERY_SOURCE = "every_source"
_WORD = re.compile(r"\w+")
_DATED = re.compile(r"\s*-- dated\b")


class AuditFailedError(SparkifyError):
    """Blocking checks failed: the transaction was rolled back and readers keep the rows before."""

    def __init__(self, table: str, outcomes: tuple[CheckOutcome, ...]) -> None:
        self.table = table
        self.outcomes = outcomes
        failed = [outcome for outcome in outcomes if outcome.failed_hard]
        told = "; ".join(
            f"{o.check.name} ({o.offending} rows, such as {_told(o.sample)})" for o in failed
        )
        super().__init__(
            f"{table}: {told}. Nothing was changed; the table keeps its rows from before. "
            "Look at the offending rows, mend their cause, and run again."
        )


def find_checks(
    tables: Mapping[str, Table],
    sources: Mapping[str, Source],
    scopes: Mapping[str, Scope],
    folder: Path,
) -> tuple[Check, ...]:
    """All checks of all tables, derived ones and files, in the order of the tables.

    `scopes` says, for a table that is written in parts, which rows a transaction changed.

    Raises:
        ScriptError: if a file does not say what it must, or belongs to no table.
    """
    found: dict[tuple[str, str], Check] = {}
    for table in tables.values():
        checks = list(derived_checks(table, scopes.get(table.name)))
        if source := sources.get(table.name):
            files = sorted((folder / _EVERY_SOURCE).glob("*.sql"))
            checks += [_of_source(_from_file(path, table), source) for path in files]
        checks += [_from_file(path, table) for path in sorted((folder / table.name).glob("*.sql"))]
        found |= {(check.table, check.name): check for check in checks}
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name not in {*tables, _EVERY_SOURCE}:
            raise ScriptError(
                f"{path}: there is no table '{path.name}'. Rename the folder after a table."
            )
    return tuple(_knowing_personal(check, tables) for check in found.values())


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
    days: tuple[date, date] | None,
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
    """Raise AuditFailedError if a check of error severity is among the failed ones."""
    failed = [outcome for outcome in outcomes if outcome.failed_hard]
    if failed:
        raise AuditFailedError(failed[0].check.table, outcomes)


def _knowing_personal(check: Check, tables: Mapping[str, Table]) -> Check:
    """With the names of the personal columns of every table that it may read."""
    read = set(_WORD.findall(check.sql)) & tables.keys()
    return replace(check, personal=frozenset(c for name in read for c in tables[name].personal))


def _from_file(path: Path, table: Table) -> Check:
    script = read_script(path)
    severity = _SEVERITIES.get(script.properties.get("severity", ""))
    if severity is None or not script.description:
        raise ScriptError(
            f"{path}: the header must hold a description and '-- severity: error' (or warn)."
        )
    (sql,) = script.statements.values()
    told = " ".join(script.description.split())
    return Check(script.name, table.name, told, severity, is_daily(table), sql)


def _of_source(check: Check, source: Source) -> Check:
    lines = check.sql.replace("<table>", source.table).splitlines()
    kept = [_DATED.sub("", line) for line in lines if source.dated or not _DATED.search(line)]
    return replace(check, sql="\n".join(kept))


def _told(sample: Rows) -> str:
    if not sample.rows:
        return "none"
    return ", ".join(f"{c}={v}" for c, v in zip(sample.columns, sample.rows[0], strict=True))
