"""The platform without Dagster: a lake, a warehouse, and the tables between them.

Whatever runs, the assets as well as the command line, asks for it here: `load` and `refresh` are
one transaction each. How the work is done is in the folders beside this module.
"""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from sparkify_dagster.catalogue.catalogue import Catalogue, read_catalogue
from sparkify_dagster.catalogue.check import Check
from sparkify_dagster.engines.base import Notify, Session, silent
from sparkify_dagster.engines.open import open_warehouse
from sparkify_dagster.settings import Settings
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse.base import PlatformBase
from sparkify_dagster.warehouse.checks.lake_checks import compare_with_ledger
from sparkify_dagster.warehouse.checks.run_checks import run_check, warn_about
from sparkify_dagster.warehouse.load import ledger
from sparkify_dagster.warehouse.load.load_source import SourceLoad
from sparkify_dagster.warehouse.refresh.refresh_table import Refresher, rows_by_day
from sparkify_dagster.warehouse.reports import CheckOutcome, LakeStatus, LoadReport, RefreshReport
from sparkify_dagster.warehouse.status import recorded, status

if TYPE_CHECKING:
    import pandas as pd


class Platform(PlatformBase):
    """What can be done with a lake and a warehouse."""

    def load(
        self,
        table: str,
        *,
        days: DayRange | None,
        reload: bool,
        run_id: str,
        notify: Notify = silent,
    ) -> LoadReport:
        """Load new and changed files of one source; with `reload` unchanged ones as well.

        `days` restricts a dated source to a range of days. What cannot be loaded is held back and
        reported, a day whole; everything else is loaded.

        Raises:
            AuditFailedError, LakeError, WarehouseError: nothing was changed.
        """
        load = SourceLoad(self, table, days=days, reload=reload, run_id=run_id)
        return load.run(notify)

    def refresh(
        self,
        table: str,
        *,
        days: DayRange | None = None,
        recompute: bool = False,
        full: bool = False,
        run_id: str = "",
        notify: Notify = silent,
    ) -> RefreshReport:
        """Bring a derived table up to date with what it reads, and those it refers to before it.

        The rows of `days` are reported; with `recompute` they are rebuilt even if nothing
        changed there. With `full` the whole table is.

        Raises:
            AuditFailedError, WarehouseError: nothing was changed.
        """
        started = time.monotonic()
        daily = self.catalogue.is_daily(table)

        def work(session: Session) -> RefreshReport:
            self.prepare(session)
            force = days if recompute else None
            report = Refresher(session, self.warehouse, self.catalogue).refresh(
                table, force=force, full=full
            )
            outcomes = report.outcomes
            asked = days if daily else None
            if not outcomes or (asked and not {*report.changed_days}.issuperset(asked.days())):
                checks = self.catalogue.checks_of(table)
                outcomes = warn_about(session, checks, outcomes, asked)
            report = replace(report, outcomes=outcomes)
            if daily:
                counts = rows_by_day(session, table, days) if days else {}
                report = replace(
                    report,
                    rows_by_day={**report.rows_by_day, **counts},
                    held_days=ledger.days_held_back(session),
                )
            return report

        report = self.warehouse.transact(work, notify, run_id)
        return replace(report, seconds=time.monotonic() - started)

    def run_check(self, check: Check, days: DayRange | None = None) -> CheckOutcome:
        """Run one check alone, over the whole table or some days."""
        with self.warehouse.read(silent) as session:
            if not self.catalogue.compares_lake(check):
                return run_check(session, check, days=days)
        versions, held_back, _ = recorded(self, (check.table,), ledger.current_versions)
        outcomes = compare_with_ledger(
            self.catalogue.sources[check.table],
            self.lake(check.table).list(),
            versions[check.table],
            held_back,
            days=days,
            partitions=self.partitions(),
        )
        return next(outcome for outcome in outcomes if outcome.check == check)

    def status(self, notify: Notify = silent) -> LakeStatus:
        """Compare lake, ledger and tables, without changing anything."""
        return status(self, notify)

    def query(self, sql: str, notify: Notify = silent) -> "pd.DataFrame":
        """The result of a read-only query."""
        with self.warehouse.read(notify) as session:
            return session.frame(sql)


def open_platform(settings: Settings, catalogue: Catalogue | None = None) -> Platform:
    """The platform of a configuration; no connection is opened yet.

    Raises:
        SparkifyError: if a SQL file is not as it must be.
    """
    return Platform(
        settings, catalogue or read_catalogue(home=settings.home), open_warehouse(settings)
    )
