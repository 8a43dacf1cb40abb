"""Staging tables: one asset for each source, filled from the files of its prefix.

Which files are read and what a line must be is decided in `warehouse`.
"""

from collections.abc import Iterator

import dagster as dg

from sparkify_dagster.defs.assets import describe
from sparkify_dagster.defs.assets.materialize import Yielded, materialize, range_of_run
from sparkify_dagster.defs.checks import check_events
from sparkify_dagster.defs.resources import LakeResource, WarehouseResource
from sparkify_dagster.defs.run_context import RunContext, run_context
from sparkify_dagster.engines.base import Notify
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.run_events import Report

_DAYS_AGAIN = "Read the files of the days again even if they are loaded and unchanged."
_FILES_AGAIN = "Read every file of the prefix again, not only new and changed ones."


def staging_asset(
    platform: Platform, table: str, daily: dg.PartitionsDefinition, pool: str | None
) -> dg.AssetsDefinition:
    """The asset of one staging table, with its checks."""
    catalogue = platform.catalogue
    source = catalogue.sources[table]
    partitions = daily if source.dated else None
    spec = describe.table_spec(
        platform,
        table,
        deps=(source.name,),
        kinds={"json"},
        partitions=partitions,
        code=staging_asset,
    )
    # A day asked for by name is loaded again; a whole prefix only if that is what was asked for.
    reload = dg.Field(
        bool, default_value=source.dated, description=_DAYS_AGAIN if source.dated else _FILES_AGAIN
    )

    @dg.multi_asset(
        name=table,
        specs=[spec],
        check_specs=check_events.check_specs(catalogue.checks_of(table), partitions),
        can_subset=True,  # so that a check can be run alone
        backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
        config_schema={"reload": reload},
        pool=pool,
    )
    def load(
        context: dg.AssetExecutionContext, lake: LakeResource, warehouse: WarehouseResource
    ) -> Iterator[Yielded]:
        def work(run: RunContext, table: str, notify: Notify) -> Report:
            return run.platform.load(
                table,
                days=range_of_run(context) if partitions else None,
                reload=bool(context.op_execution_context.op_config["reload"]),
                run_id=context.run.run_id,
                notify=notify,
            )

        run = run_context(platform, context.run, warehouse, lake)
        yield from materialize(context, run, [table], work)

    return load
