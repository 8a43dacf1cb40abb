"""Days that a run was asked for and did not make: no materialization of them is recorded.

Dagster records one for every day of a run's range once an op gives the asset's output, and an op
that gives none keeps the steps after it from running. So the output that is recorded is one of
fewer days. (Read in dagster 1.13.27: `_log_materialization_or_observation_events_for_asset`.)
"""

from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from sparkify_dagster.defs.dagster_private import RawMetadataValue


def leave_out(context: dg.AssetExecutionContext, table: str, days: Collection[date]) -> None:
    """Have Dagster record no materialization of these days for the output of a daily table."""
    left_out = {day.isoformat() for day in days}
    if not left_out:
        return
    step = context.get_step_execution_context()
    make: Callable[..., dg.OutputContext] = step.get_output_context

    def of_fewer_days(
        handle: Any, output_metadata: "Mapping[str, RawMetadataValue] | None" = None
    ) -> dg.OutputContext:
        output = make(handle, output_metadata)
        if not output.has_asset_key or output.asset_key != dg.AssetKey(table):
            return output
        kept = [key for key in output.asset_partition_keys if key not in left_out]
        if kept:
            days_of_output = output.asset_partitions_def.empty_subset()
            output._asset_partitions_subset = days_of_output.with_partition_keys(kept)
        else:  # of no day at all it would be recorded as one of the table
            output._asset_key = None
        return output

    step.get_output_context = of_fewer_days
