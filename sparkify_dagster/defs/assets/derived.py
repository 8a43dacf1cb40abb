"""Derived tables, star and analytics: an asset for each transform, refreshed from what it reads.

What changed and which rows that concerns is tracked in the warehouse itself, so an asset without
days needs to know nothing about them.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from sparkify_dagster.defs.assets import describe
from sparkify_dagster.defs.assets.materialize import Yielded, materialize, range_of_run
from sparkify_dagster.defs.checks import check_events
from sparkify_dagster.defs.resources import WarehouseResource
from sparkify_dagster.defs.run_context import RunContext, run_context
from sparkify_dagster.engines.base import Notify
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.run_events import Report

_FULL = dg.Field(bool, default_value=False, description="Rebuild the whole table.")
_RECOMPUTE = dg.Field(
    bool, default_value=True, description="Rebuild the days even if nothing changed there."
)


def derived_assets(
    platform: Platform, daily: dg.PartitionsDefinition, pool: str | None
) -> list[dg.AssetsDefinition]:
    """The assets of all derived tables, with their checks: one definition a step."""
    return [
        _step(
            platform, name, tables, daily if platform.catalogue.is_daily(tables[0]) else None, pool
        )
        for name, tables in platform.catalogue.steps.items()
    ]


def _step(
    platform: Platform,
    name: str,
    tables: Sequence[str],
    partitions: dg.PartitionsDefinition | None,
    pool: str | None,
) -> dg.AssetsDefinition:
    catalogue = platform.catalogue
    specs = [
        describe.table_spec(
            platform,
            table,
            deps=catalogue.dependencies(table),
            kinds={"sql"},
            partitions=partitions,
            code=derived_assets,
        )
        for table in tables
    ]
    checks = [check for table in tables for check in catalogue.checks_of(table)]

    @dg.multi_asset(
        name=name,
        specs=specs,
        check_specs=check_events.check_specs(checks, partitions),
        can_subset=True,  # so that a table, or a check, can be asked for alone
        backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
        config_schema={"full": _FULL} | ({"recompute": _RECOMPUTE} if partitions else {}),
        pool=pool,
    )
    def refresh(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[Yielded]:
        config = context.op_execution_context.op_config

        def work(run: RunContext, table: str, notify: Notify) -> Report:
            return run.platform.refresh(
                table,
                days=range_of_run(context) if partitions else None,
                recompute=bool(config.get("recompute")),
                full=bool(config["full"]),
                run_id=context.run.run_id,
                notify=notify,
            )

        run = run_context(platform, context.run, warehouse)
        yield from materialize(context, run, tables, work)

    return refresh
