"""The platform without Dagster: a lake, a warehouse, and the tables between them.

Whatever runs, the assets as well as the command line, does it through here: one method is one
transaction. What a statement says lives in the SQL files, how an engine runs it in its module.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from sparkify_dagster.catalogue.catalogue import Catalogue, read_catalogue
from sparkify_dagster.catalogue.check import Check
from sparkify_dagster.catalogue.lake_checks import lake_checks
from sparkify_dagster.engines.base import Notify, Session, Warehouse, silent
from sparkify_dagster.engines.open import open_warehouse
from sparkify_dagster.lake import Lake, LakeFile, open_lake
from sparkify_dagster.settings import Settings, days_until_today
from sparkify_dagster.warehouse.admin.create_tables import prepare, standing_names
from sparkify_dagster.warehouse.checks.lake_checks import hold_against_ledger
from sparkify_dagster.warehouse.checks.run_checks import audit, refuse_failed, run_check, warn_about
from sparkify_dagster.warehouse.load import ledger
from sparkify_dagster.warehouse.load.load_files import Load, Loaded, load_files
from sparkify_dagster.warehouse.privacy.personal import forgotten_ids
from sparkify_dagster.warehouse.refresh.apply_transforms import Dependents
from sparkify_dagster.warehouse.refresh.refresh_table import (
    Days,
    Refresher,
    days_between,
    preview,
    read_state,
    rows_by_day,
)
from sparkify_dagster.warehouse.reports import CheckOutcome, LakeStatus, LoadReport, RefreshReport

if TYPE_CHECKING:
    import pandas as pd

_T = TypeVar("_T")
_HAS_LEDGER = """
    SELECT 1 FROM information_schema.tables
    WHERE table_schema = :schema AND table_name = 'refreshed'
"""


class Platform:
    """A catalogue of tables with the lake and the warehouse that they live in."""

    def __init__(self, settings: Settings, catalogue: Catalogue, warehouse: Warehouse) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.warehouse = warehouse
        self._stood: frozenset[tuple[str, str]] = frozenset()

    def lake_uri(self, table: str) -> str:
        """The configured prefix of a staging table's source."""
        return self.settings.s3.prefixes[self.catalogue.sources[table].setting]

    def lake(self, table: str) -> Lake:
        s3 = self.settings.s3
        return open_lake(self.lake_uri(table), region=s3.region, endpoint_url=s3.endpoint_url)

    def partitions(self) -> Days:
        """The first and the last day of the platform: the configured ones, up to today (UTC).

        Raises:
            SettingsError: if the first day is still to come.
        """
        return days_until_today(self.settings.partitions)

    def load(
        self,
        table: str,
        *,
        days: Days | None,
        reload: bool,
        run_id: str,
        notify: Notify = silent,
    ) -> LoadReport:
        """Load new and changed files of one source; with `reload` unchanged ones as well.

        `days` restricts a dated source to a range of days.

        Raises:
            AuditFailedError, TooManyRejectsError, LakeError, WarehouseError: nothing was changed.
        """
        started = time.monotonic()
        lake = self.lake(table)

        def work(session: Session) -> LoadReport:
            self._prepare(session)
            listing = lake.list()
            versions = ledger.current_versions(session, table)
            plan = self._plan(table, listing, versions, days, reload=reload)
            loaded = Loaded()
            outcomes: tuple[CheckOutcome, ...] = ()
            if plan.to_read:
                loaded, outcomes = self._load(session, lake, table, plan, versions, run_id)
                versions = ledger.current_versions(session, table)
            changed = {report.day for _, report in loaded.reports if report.day}
            outcomes = self._warn(session, table, outcomes, changed, days)
            outcomes += self._hold_against_ledger(table, listing, versions, days)
            refuse_failed(outcomes)
            return self._load_report(session, table, plan, loaded, outcomes, days)

        report = self.warehouse.transact(work, notify, run_id)
        return replace(report, seconds=time.monotonic() - started)

    def refresh(
        self,
        table: str,
        *,
        days: Days | None = None,
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

        def work(session: Session) -> RefreshReport:
            self._prepare(session)
            force = days if recompute else None
            made = Refresher(session, self.warehouse, self.catalogue)
            report = made.refresh(table, force=force, full=full)
            outcomes = self._warn(session, table, report.outcomes, set(report.changed_days), days)
            report = replace(report, outcomes=outcomes)
            if days is not None and self.catalogue.is_daily(table):
                asked = rows_by_day(session, table, days)
                report = replace(report, rows_by_day={**report.rows_by_day, **asked})
            return report

        report = self.warehouse.transact(work, notify, run_id)
        return replace(report, seconds=time.monotonic() - started)

    def compares_lake(self, check: Check) -> bool:
        """Whether a check compares the lake's listing with the ledger, rather than rows."""
        source = self.catalogue.sources.get(check.table)
        return source is not None and check in lake_checks(source)

    def run_check(self, check: Check, days: Days | None = None) -> CheckOutcome:
        """Run one check alone, over the whole table or some days."""
        with self.warehouse.read(silent) as session:
            if not self.compares_lake(check):
                return run_check(session, check, days=days)
            versions = ledger.current_versions(session, check.table)
        listing = self.lake(check.table).list()
        outcomes = self._hold_against_ledger(check.table, listing, versions, days)
        return next(outcome for outcome in outcomes if outcome.check == check)

    def status(self, notify: Notify = silent) -> LakeStatus:
        """Compare lake, ledger and tables, without changing anything."""
        tables = self.catalogue.sources
        versions, pending = self.recorded(tuple(tables), ledger.current_versions, notify)
        plans = {
            table: self._plan(table, self.lake(table).list(), versions[table], None, reload=False)
            for table in tables
        }
        days = {tables[t].day_of(file.key) for t, plan in plans.items() for file in plan.to_read}
        return LakeStatus(
            days=tuple(sorted(day for day in days if day)),
            new_files={table: len(plan.new) for table, plan in plans.items()},
            changed_files={table: len(plan.changed) for table, plan in plans.items()},
            gone_files={table: len(plan.gone) for table, plan in plans.items()},
            outside_partitions=tuple(key for plan in plans.values() for key in plan.outside),
            strange_files={table: plan.strange for table, plan in plans.items()},
            pending_tables=pending,
            loaded_files={table: plan.unchanged for table, plan in plans.items()},
        )

    def recorded(
        self,
        tables: Sequence[str],
        read: Callable[[Session, str], dict[str, _T]],
        notify: Notify = silent,
    ) -> tuple[dict[str, dict[str, _T]], tuple[str, ...]]:
        """What the warehouse says: what `read` reads of each source, and the tables behind."""
        files: dict[str, dict[str, _T]] = {table: {} for table in tables}
        pending = tuple(self.catalogue.transforms)
        if self.warehouse.exists():
            with self.warehouse.read(notify) as session:
                if session.fetch(_HAS_LEDGER, {"schema": self.warehouse.state_schema}):
                    files = {table: read(session, table) for table in tables}
                    state = read_state(session, self.catalogue)
                    pending = tuple(name for name in pending if state.is_behind(name))
        return files, pending

    def query(self, sql: str, notify: Notify = silent) -> "pd.DataFrame":
        """The result of a read-only query."""
        with self.warehouse.read(notify) as session:
            return session.frame(sql)

    def _prepare(self, session: Session) -> None:
        """See that every table stands; only the first time, and when one came or went, closely.

        Looking at every column costs more than refreshing a small table does.
        """
        if self._stood and self._stood == standing_names(session, self.warehouse):
            return
        prepare(session, self.warehouse, self.catalogue)
        self._stood = standing_names(session, self.warehouse)

    def _plan(
        self,
        table: str,
        listing: list[LakeFile],
        versions: dict[str, ledger.Version],
        days: Days | None,
        *,
        reload: bool,
    ) -> ledger.LoadPlan:
        return ledger.plan_load(
            self.catalogue.sources[table],
            listing,
            versions,
            days=days,
            partitions=self.partitions(),
            reload=reload,
        )

    def _hold_against_ledger(
        self,
        table: str,
        listing: list[LakeFile],
        versions: dict[str, ledger.Version],
        days: Days | None,
    ) -> tuple[CheckOutcome, ...]:
        source = self.catalogue.sources[table]
        return hold_against_ledger(
            source, listing, versions, days=days, partitions=self.partitions()
        )

    def _warn(
        self,
        session: Session,
        table: str,
        outcomes: tuple[CheckOutcome, ...],
        changed: set[date],
        days: Days | None,
    ) -> tuple[CheckOutcome, ...]:
        """The outcomes, with warnings about days that were asked for and did not change."""
        asked = days if self.catalogue.is_daily(table) else None
        if outcomes and (asked is None or changed.issuperset(days_between(asked))):
            return outcomes
        return warn_about(session, self._checks_of_rows(table), outcomes, asked)

    def _checks_of_rows(self, table: str) -> list[Check]:
        return [c for c in self.catalogue.checks_of(table) if not self.compares_lake(c)]

    def _load(
        self,
        session: Session,
        lake: Lake,
        table: str,
        plan: ledger.LoadPlan,
        versions: dict[str, ledger.Version],
        run_id: str,
    ) -> tuple[Loaded, tuple[CheckOutcome, ...]]:
        built = read_state(session, self.catalogue).built
        dependents = Dependents(session, self.catalogue.transforms.values(), table, built)
        load = Load(
            lake,
            self.catalogue.sources[table],
            self.catalogue.rules_of(table),
            plan,
            versions,
            run_id,
            self.settings.load.max_reject_ratio,
            forgotten_ids(session),
        )
        loaded = load_files(session, load, dependents)
        dependents.mark_stale()
        outcomes = audit(session, self._checks_of_rows(table), changed_only=True)
        for name in self.catalogue.ledger_tables:
            audit(session, self.catalogue.checks_of(name), changed_only=True)
        session.execute(ledger.statement("clear loading"))
        return loaded, outcomes

    def _load_report(
        self,
        session: Session,
        table: str,
        plan: ledger.LoadPlan,
        loaded: Loaded,
        outcomes: tuple[CheckOutcome, ...],
        days: Days | None,
    ) -> LoadReport:
        files = tuple(report for _, report in loaded.reports)
        touched = sorted({file.day for file in files if file.day})
        span = days or ((touched[0], touched[-1]) if touched else None)
        daily = self.catalogue.is_daily(table)
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
            sql=self.catalogue.sql_of(table),
            preview=preview(
                session, self.catalogue, table, touched[-1] if touched else span and span[1]
            ),
            seconds=0.0,
        )


def open_platform(settings: Settings, catalogue: Catalogue | None = None) -> Platform:
    """The platform of a configuration; no connection is opened yet.

    Raises:
        SparkifyError: if a SQL file is not as it must be.
    """
    return Platform(settings, catalogue or read_catalogue(), open_warehouse(settings))
