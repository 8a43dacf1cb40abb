"""When a table is overdue: Dagster's freshness policies, made of [FRESHNESS].

Dagster measures since the last materialization, whatever it wrote. What loads is not known here.
"""

from collections.abc import Iterable
from datetime import timedelta

import dagster as dg

from sparkify_dagster.settings import Settings


def freshness_policy(settings: Settings) -> dg.FreshnessPolicy | None:
    """The policy of every table that runs fill; None for a lake that receives nothing more.

    Where the settings do not say, a last day says it.
    """
    freshness = settings.freshness
    enabled = freshness.enabled
    if not (settings.partitions.last_day is None if enabled is None else enabled):
        return None
    return dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=freshness.fail_hours),
        warn_window=timedelta(hours=freshness.warn_hours),
    )


def with_freshness(
    settings: Settings, assets: Iterable[dg.AssetsDefinition]
) -> list[dg.AssetsDefinition]:
    """The same assets, each with the policy if there is one."""
    policy = freshness_policy(settings)
    if policy is None:
        return list(assets)
    return [
        asset.map_asset_specs(lambda spec: dg.apply_freshness_policy(spec, policy))
        for asset in assets
    ]
