"""Jobs: what is launched as one run. What it does is in the assets."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from sparkify_dagster.assets.describe import OWNERS

LOAD_LAKE = "load_lake"
CHECKS = "checks"


def load_lake() -> UnresolvedAssetJobDefinition:
    """Everything from the lake to the star; `sparkify run` is a run of it."""
    return dg.define_asset_job(
        LOAD_LAKE,
        selection=dg.AssetSelection.all(),
        description="Bring every table up to date with the lake, for a day or a range of days.",
        tags={"layer": "all"},
        owners=OWNERS,
    )


def checks() -> UnresolvedAssetJobDefinition:
    """Every check alone, against what is published."""
    return dg.define_asset_job(
        CHECKS,
        selection=dg.AssetSelection.all_asset_checks(),
        description="Run every check against the published rows; nothing is written.",
        tags={"layer": "checks"},
        owners=OWNERS,
    )
