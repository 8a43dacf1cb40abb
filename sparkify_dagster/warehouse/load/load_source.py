"""The load of one source: a transaction with its audits, done again without what cannot be loaded.

What happens inside the transaction is in `loading`.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from sparkify_dagster.catalogue.check import Check
from sparkify_dagster.catalogue.line_rules import DayWindow
from sparkify_dagster.engines.base import Notify, Session
from sparkify_dagster.lake import LakeFile
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse.base import PlatformBase
from sparkify_dagster.warehouse.checks.lake_checks import compare_with_ledger
from sparkify_dagster.warehouse.checks.run_checks import audit, refuse_failed, warn_about
from sparkify_dagster.warehouse.load import ledger
from sparkify_dagster.warehouse.load.loading import Loaded, Loading, Order, StartAgain
from sparkify_dagster.warehouse.privacy.personal import forgotten_ids
from sparkify_dagster.warehouse.refresh.apply_transforms import Dependents
from sparkify_dagster.warehouse.refresh.refresh_table import preview, read_state, rows_by_day
from sparkify_dagster.warehouse.reports import CheckOutcome, HeldBack, LoadReport


class SourceLoad:
    """One load of the new and changed files of a source; with `reload` of unchanged ones as well.

    `days` restricts a dated source to a range of days.
    """

    def __init__(
        self,
        platform: PlatformBase,
        table: str,
        *,
        days: DayRange | None,
        reload: bool,
        run_id: str,
    ) -> None:
        self._platform = platform
        self._table = table
        self._source = platform.catalogue.sources[table]
        self._lake = platform.lake(table)
        self._days = days
        self._reload = reload
        self._run_id = run_id
        self._held: tuple[HeldBack, ...] = ()
        self._copy = True

    def run(self, notify: Notify) -> LoadReport:
        """Load what can be loaded; what cannot is held back, and said in the report.

        Raises:
            AuditFailedError, LakeError, WarehouseError: nothing was changed.
        """
        started = time.monotonic()
        warehouse = self._platform.warehouse
        while True:
            try:
                report = warehouse.transact(self._in_transaction, notify, self._run_id)
            except StartAgain as again:
                # Each time with more files held, and once without the warehouse's own copying.
                self._held, self._copy = again.held, again.copy
                notify(f"{self._table}: once more without what cannot be loaded so. {again}")
            else:
                return replace(report, seconds=time.monotonic() - started)

    def _in_transaction(self, session: Session) -> LoadReport:
        self._platform.prepare(session)
        listing = self._lake.list()
        versions = ledger.current_versions(session, self._table)
        plan = ledger.plan_load(
            self._source,
            listing,
            versions,
            days=self._days,
            partitions=self._platform.partitions(),
            reload=self._reload,
        )
        loaded = Loaded()
        outcomes: tuple[CheckOutcome, ...] = ()
        if plan.to_read:
            loaded, outcomes = self._load(session, plan, listing, versions)
            versions = ledger.current_versions(session, self._table)
            listing = [loaded.newer.get(file.key, file) for file in listing]
        changed = {report.day for _, report in loaded.reports if report.day}
        outcomes = self._with_warnings(session, outcomes, changed)
        outcomes += compare_with_ledger(
            self._source,
            listing,
            versions,
            ledger.held_back(session, self._table),
            days=self._days,
            partitions=self._platform.partitions(),
        )
        refuse_failed(outcomes)
        return self._report(session, plan, loaded, outcomes)

    def _load(
        self,
        session: Session,
        plan: ledger.LoadPlan,
        listing: Sequence[LakeFile],
        versions: dict[str, ledger.Version],
    ) -> tuple[Loaded, tuple[CheckOutcome, ...]]:
        catalogue = self._platform.catalogue
        built = read_state(session, catalogue).built
        dependents = Dependents(session, catalogue.transforms.values(), self._table, built)
        etags = {file.key: file.etag for file in listing}
        # One that goes on changing is held back in the version that it has by now.
        held = tuple(replace(h, etag=etags[h.key]) for h in self._held if h.key in etags)
        load = self._platform.settings.load
        window = DayWindow(load.max_hours_ahead, load.max_days_late)
        order = Order(
            self._lake,
            self._source,
            replace(catalogue.rules_of(self._table), window=window),
            plan,
            versions,
            self._run_id,
            load.max_reject_ratio,
            forgotten_ids(session),
            frozenset(etags),
            held,
            self._copy,
        )
        loaded = Loading(session, order, dependents).run()
        if loaded.reports:  # or everything was held back, and nothing has changed
            dependents.mark_stale()
        outcomes = audit(session, self._checks_of_rows(), changed_only=True)
        for name in catalogue.ledger_tables:
            audit(session, catalogue.checks_of(name), changed_only=True)
        session.execute(ledger.statement("clear loading"))
        return loaded, outcomes

    def _checks_of_rows(self) -> list[Check]:
        catalogue = self._platform.catalogue
        return [c for c in catalogue.checks_of(self._table) if not catalogue.compares_lake(c)]

    def _with_warnings(
        self, session: Session, outcomes: tuple[CheckOutcome, ...], changed: set[date]
    ) -> tuple[CheckOutcome, ...]:
        """The outcomes, with warnings about days that were asked for and did not change."""
        asked = self._days if self._source.dated else None
        if outcomes and (asked is None or changed.issuperset(asked.days())):
            return outcomes
        return warn_about(session, self._checks_of_rows(), outcomes, asked)

    def _report(
        self,
        session: Session,
        plan: ledger.LoadPlan,
        loaded: Loaded,
        outcomes: tuple[CheckOutcome, ...],
    ) -> LoadReport:
        catalogue, table = self._platform.catalogue, self._table
        files = tuple(report for _, report in loaded.reports)
        touched = sorted({file.day for file in files if file.day})
        span = self._days or (DayRange(touched[0], touched[-1]) if touched else None)
        daily = catalogue.is_daily(table)
        newest = touched[-1] if touched else span and span.last
        return LoadReport(
            table=table,
            files=files,
            unchanged_files=plan.unchanged,
            gone_files=plan.gone,
            strange_files=(*plan.strange, *plan.outside),
            rows_added=sum(file.rows for file in files),
            rows_removed=loaded.removed,
            rows_total=session.count(f"SELECT COUNT(*) FROM {table}"),
            rows_by_day=rows_by_day(session, table, span) if daily and span else {},
            changed_days=tuple(touched),
            unknown_keys=dict(loaded.unknown_keys),
            outcomes=outcomes,
            sql=catalogue.sql_of(table),
            preview=preview(session, catalogue, table, newest),
            seconds=0.0,
            held_back=loaded.held,
        )
