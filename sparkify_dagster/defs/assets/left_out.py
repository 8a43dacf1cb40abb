"""Days that a run was asked for and did not make: no materialization of them is recorded.

Dagster records one for every day of a run's range once an op gives the asset's output, and an op
that gives none keeps the steps after it from running. So the output that is recorded is one of
fewer days.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import Any

import dagster as dg

from sparkify_dagster.defs.dagster_private import RawMetadataValue, narrow


def leave_out(context: dg.AssetExecutionContext, table: str, days: Collection[date]) -> None:
    """Have Dagster record no materialization of these days for the output of a daily table."""
    left_out = {day.isoformat() for day in days}
    if not left_out:
        return
    step = context.get_step_execution_context()
    make: Callable[..., dg.OutputContext] = step.get_output_context

    def of_fewer_days(
        handle: Any, output_metadata: Mapping[str, RawMetadataValue] | None = None
    ) -> dg.OutputContext:
        output = make(handle, output_metadata)
        if not output.has_asset_key or output.asset_key != dg.AssetKey(table):
            return output
        narrow(output, [key for key in output.asset_partition_keys if key not in left_out])
        return output

    step.get_output_context = of_fewer_days
