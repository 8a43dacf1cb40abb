"""One step of a run: the work of the warehouse on its tables, recorded in Dagster.

A success is one materialization (one for each day of a daily table) with its check results. A
failure is its failed checks and one clear message, and no materialization: nothing was written. A
table that fails keeps no other from being made but those that need it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

import dagster as dg

from sparkify_dagster.catalogue.catalogue import Catalogue
from sparkify_dagster.catalogue.check import Check
from sparkify_dagster.catalogue.lake_checks import NOTHING_HELD_BACK
from sparkify_dagster.defs.assets import metadata
from sparkify_dagster.defs.assets.left_out import leave_out
from sparkify_dagster.defs.checks import check_events
from sparkify_dagster.defs.partitions import range_of_keys
from sparkify_dagster.defs.run_context import RunContext
from sparkify_dagster.engines.base import Notify
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings.days import DayRange, all_days
from sparkify_dagster.warehouse import AuditFailedError
from sparkify_dagster.warehouse.reports import RefreshReport
from sparkify_dagster.warehouse.run_events import Checked, Failed, Finished, Noted, Report, Started

Yielded = dg.MaterializeResult[None] | dg.AssetCheckResult | dg.AssetMaterialization


def materialize(
    context: dg.AssetExecutionContext,
    run: RunContext,
    tables: Sequence[str],
    work: Callable[[RunContext, str, Notify], Report],
) -> Iterator[Yielded]:
    """Do the work on the selected tables, in this order; where only checks are, run those alone."""
    catalogue = run.platform.catalogue
    wanted = {key.to_user_string() for key in context.selected_asset_keys}
    chosen = context.selected_asset_check_keys
    failures: dict[str, SparkifyError] = {}
    missing: set[str] = set()
    for table in tables:
        checks = [c for c in catalogue.checks_of(table) if check_events.key_of(c) in chosen]
        try:
            if not missing.isdisjoint(catalogue.dependencies(table)):
                missing.add(table)
            elif table in wanted:
                yield from _made(context, run, table, checks, work)
            elif checks:
                yield from check_alone(context, run, table, checks)
        except SparkifyError as error:
            failures[table] = error
            missing.add(table)
    if failures:
        raise failed_tables(failures) from None


def _made(
    context: dg.AssetExecutionContext,
    run: RunContext,
    table: str,
    checks: list[Check],
    work: Callable[[RunContext, str, Notify], Report],
) -> Iterator[Yielded]:
    catalogue, selected = run.platform.catalogue, {check.name for check in checks}
    run.observer(Started(table))
    try:
        report = work(run, table, _notify(context, run, table))
        yield from _published(context, run, report)
        shown = [outcome for outcome in report.outcomes if outcome.check.name in selected]
        check_events.record_days(context, shown, _days(context, run, report))
        held_back = [outcome for outcome in shown if outcome.check.name == NOTHING_HELD_BACK]
        check_events.record_days(context, held_back, sorted(_held_days(context, run, report)))
        for other in _also(report):
            check_events.record_elsewhere(context, other.outcomes)
        results = check_events.results_of(shown, checks)
        yield from check_events.as_newest(context, catalogue, results)
    except AuditFailedError as error:
        yield from _rolled_back(context, catalogue, error, table, selected)
        run.observer(Failed(table, error, error.outcomes))
        raise
    except Exception as error:  # Dagster keeps the traceback of one that is no SparkifyError
        run.observer(Failed(table, error))
        raise
    run.observer(Finished(table, report))


def check_alone(
    context: check_events.Context, run: RunContext, table: str, checks: list[Check]
) -> Iterator[dg.AssetCheckResult]:
    """Run checks against what is published, over the days of the run or over everything.

    Raises:
        SparkifyError: if the warehouse cannot be asked.
    """
    days = range_of_run(context)
    run.observer(Started(table))
    try:
        found = tuple(run.platform.run_check(check, days) for check in checks)
    except SparkifyError as error:
        run.observer(Failed(table, error))
        raise
    if days:
        check_events.record_days(context, found, list(days.days()))
    results = (check_events.result(outcome) for outcome in found)
    yield from check_events.as_newest(context, run.platform.catalogue, results)
    run.observer(Checked(table, found))


def range_of_run(context: check_events.Context) -> DayRange | None:
    """The days that a run is about; None for a run without days."""
    step = context.get_step_execution_context()
    if not (step.has_partition_key or step.has_partition_key_range):
        return None
    keys = step.partition_key_range
    return range_of_keys([keys.start, keys.end])


def _published(
    context: dg.AssetExecutionContext, run: RunContext, report: Report
) -> Iterator[dg.MaterializeResult[None] | dg.AssetMaterialization]:
    said = metadata.of_report(run.platform, report)
    once = metadata.once(run.platform, report)
    asked = [day for day in _asked_days(context, run, report) if day not in report.held_days]
    leave_out(context, report.table, _held_days(context, run, report))
    for day in asked:
        context.add_asset_metadata(
            metadata.of_day(run.platform, report, day) | (once if day == asked[-1] else {}),
            partition_key=day.isoformat(),
        )
    if not asked:
        said |= once
    for held in getattr(report, "held_back", ()):
        context.log.warning(f"Held back: {held}")
    yield dg.MaterializeResult(asset_key=report.table, metadata=said)
    yield from _unasked(
        run, report, [day for day in _days(context, run, report) if day not in asked]
    )
    for other in _also(report):
        daily = run.platform.catalogue.is_daily(other.table)
        yield from _unasked(run, other, _valid_days(run, other) if daily else [None])


def _unasked(
    run: RunContext, report: Report, days: Sequence[date | None]
) -> Iterator[dg.AssetMaterialization]:
    """Tables and days that the same transaction brought up to date without being asked for."""
    said = metadata.of_report(run.platform, report) if days else {}
    for day in days:
        once = metadata.once(run.platform, report) if day == days[-1] else {}
        of_day = metadata.of_day(run.platform, report, day) if day else {}
        yield dg.AssetMaterialization(
            report.table,
            partition=day.isoformat() if day else None,
            metadata=said | of_day | once,
            description="Brought up to date together with what was asked for.",
        )


def _rolled_back(
    context: dg.AssetExecutionContext,
    catalogue: Catalogue,
    error: AuditFailedError,
    table: str,
    selected: set[str],
) -> Iterator[dg.AssetCheckResult]:
    """The checks that failed, with the rows that were not published."""
    failed = [outcome for outcome in error.outcomes if outcome.blocks]
    own = [o for o in failed if o.check.table == table and o.check.name in selected]
    days = {day for outcome in own for day in outcome.offending_by_day}
    check_events.record_days(context, own, sorted(days))
    check_events.record_elsewhere(context, (o for o in failed if o.check.table != table))
    results = (
        check_events.result(
            outcome,
            f"{outcome.check.description} {_broken(outcome.offending)} this; nothing was"
            " written, and the table keeps its rows from before.",
        )
        for outcome in own
    )
    yield from check_events.as_newest(context, catalogue, results)


def failed_tables(failures: Mapping[str, SparkifyError]) -> dg.Failure:
    """What ends a step: the message of each of its tables that failed."""
    return dg.Failure(
        "\n".join(map(str, failures.values())),
        metadata={table: str(error) for table, error in failures.items()},
        allow_retries=False,
    )


def _asked_days(context: dg.AssetExecutionContext, run: RunContext, report: Report) -> list[date]:
    daily = run.platform.catalogue.is_daily(report.table)
    days = range_of_run(context) if daily else None
    return list(days.days()) if days else []


def _held_days(
    context: dg.AssetExecutionContext, run: RunContext, report: Report
) -> frozenset[date]:
    """The days of the run that are held back."""
    return report.held_days.intersection(_asked_days(context, run, report))


def _days(context: dg.AssetExecutionContext, run: RunContext, report: Report) -> list[date]:
    """The days of a daily table that a report is about, without those that are held back."""
    days = {*_asked_days(context, run, report), *_valid_days(run, report)}
    return sorted(days - report.held_days)


def _valid_days(run: RunContext, report: Report) -> list[date]:
    """The days of a report that are partitions: the configured days may have become fewer."""
    valid = all_days(run.platform.settings.partitions)
    return sorted(day for day in report.rows_by_day if valid.holds(day))


def _also(report: Report) -> tuple[RefreshReport, ...]:
    return report.also_refreshed if isinstance(report, RefreshReport) else ()


def _notify(context: dg.AssetExecutionContext, run: RunContext, table: str) -> Notify:
    def notify(message: str) -> None:
        run.observer(Noted(table, message))
        context.log.info(message)

    return notify


def _broken(rows: int) -> str:
    return "1 row breaks" if rows == 1 else f"{rows} rows break"
