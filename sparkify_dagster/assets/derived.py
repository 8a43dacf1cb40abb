"""Derived tables, star and analytics: an asset for each transform, refreshed from what it reads.

What changed and which rows that concerns is tracked in the warehouse itself, so an asset without
days needs to know nothing about them.
"""

from collections.abc import Iterator

import dagster as dg

from sparkify_dagster.assets import describe, outcomes
from sparkify_dagster.assets.publish import Yielded, publish, range_of_run
from sparkify_dagster.progress import Report
from sparkify_dagster.resources import PLATFORM, Desk
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.base import Notify

_FULL = dg.Field(bool, default_value=False, description="Make the whole table anew.")
_RECOMPUTE = dg.Field(
    bool, default_value=True, description="Make the days anew even if nothing changed there."
)


def derived_asset(
    platform: Platform, table: str, daily: dg.PartitionsDefinition, pool: str | None
) -> dg.AssetsDefinition:
    """The asset of one derived table, with its checks."""
    catalogue = platform.catalogue
    partitions = daily if catalogue.is_daily(table) else None
    spec = describe.table_spec(
        platform,
        table,
        deps=catalogue.dependencies(table),
        kinds={"sql"},
        partitions=partitions,
        code=derived_asset,
    )

    @dg.multi_asset(
        name=table,
        specs=[spec],
        check_specs=outcomes.check_specs(catalogue.checks_of(table), partitions),
        can_subset=True,  # so that a check can be run alone
        backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
        config_schema={"full": _FULL} | ({"recompute": _RECOMPUTE} if partitions else {}),
        required_resource_keys={PLATFORM},
        pool=pool,
    )
    def refresh(context: dg.AssetExecutionContext) -> Iterator[Yielded]:
        config = context.op_execution_context.op_config

        def work(desk: Desk, notify: Notify) -> Report:
            return desk.platform.refresh(
                table,
                days=range_of_run(context) if partitions else None,
                recompute=bool(config.get("recompute")),
                full=bool(config["full"]),
                run_id=context.run.run_id,
                notify=notify,
            )

        yield from publish(context, table, work)

    return refresh
