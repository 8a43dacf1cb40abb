"""Checks that no asset's op can run: those of the tables that loads keep about themselves.

The checks of an asset belong to its op, which runs them in the writing transaction, or alone when
only they are selected. What a check asks is SQL, in `sql/checks` or derived from a table file.
"""

from collections.abc import Iterator

import dagster as dg

from sparkify_dagster.defs.assets.materialize import check_alone, failed_tables
from sparkify_dagster.defs.checks import check_events
from sparkify_dagster.defs.resources import WarehouseResource
from sparkify_dagster.defs.run_context import run_context
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.warehouse import Platform


def ledger_checks(
    platform: Platform, table: str, pool: str | None
) -> dg.AssetChecksDefinition | None:
    """The checks of one external table as one definition; None for a table without checks."""
    checks = platform.catalogue.checks_of(table)
    if not checks:
        return None

    @dg.multi_asset_check(
        name=f"{table}_checks",
        description=f"What must hold for {table}, which every load writes.",
        specs=check_events.check_specs(checks, None),
        can_subset=True,
        pool=pool,
    )
    def run_checks(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.AssetCheckResult]:
        selected = {key.name for key in context.selected_asset_check_keys}
        try:
            run = run_context(platform, context.run, warehouse)
            yield from check_alone(context, run, table, [c for c in checks if c.name in selected])
        except SparkifyError as error:
            raise failed_tables({table: error}) from None

    return run_checks
