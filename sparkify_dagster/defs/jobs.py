"""Jobs: what is launched as one run. What it does is in the assets.

Those with daily tables are asked for a day in the launchpad, or for a range of days as a backfill,
which loads them in one run. `dimensions` has no days: what changed is known in the warehouse.
`analytics` has them for its daily tables; the others take no notice of them.
"""

import dagster as dg

from sparkify_dagster.catalogue.catalogue import ANALYTICS, STAR, Catalogue
from sparkify_dagster.defs.assets.describe import OWNERS
from sparkify_dagster.defs.assets.report import REPORT
from sparkify_dagster.defs.dagster_private import UnresolvedAssetJobDefinition

LOAD_LAKE = "load_lake"
STAGING = "staging"
DIMENSIONS = "dimensions"
CHECKS = "checks"


def asset_jobs(catalogue: Catalogue) -> list[UnresolvedAssetJobDefinition]:
    """The jobs that are selections of assets and checks."""
    jobs = [load_lake(), staging(catalogue), dimensions(catalogue)]
    if catalogue.tables_of(ANALYTICS):  # a job of nothing cannot be
        jobs.append(analytics(catalogue))
    return [*jobs, checks()]


def load_lake() -> UnresolvedAssetJobDefinition:
    """Everything from the lake to the analytics; `sparkify run` is a run of it."""
    return dg.define_asset_job(
        LOAD_LAKE,
        selection=dg.AssetSelection.all(),
        description="Bring every table up to date with the lake, for a day or a range of days.",
        tags={"layer": "all"},
        owners=OWNERS,
    )


def staging(catalogue: Catalogue) -> UnresolvedAssetJobDefinition:
    """The files of the lake into the staging tables, and no further."""
    return dg.define_asset_job(
        STAGING,
        selection=dg.AssetSelection.assets(*catalogue.sources),
        description="Load the lake into the staging tables, for a day or a range of days.",
        tags={"layer": "staging"},
        owners=OWNERS,
    )


def dimensions(catalogue: Catalogue) -> UnresolvedAssetJobDefinition:
    """What facts refer to: the star's tables without days."""
    tables = [table for table in catalogue.tables_of(STAR) if not catalogue.is_daily(table)]
    return dg.define_asset_job(
        DIMENSIONS,
        selection=dg.AssetSelection.assets(*tables),
        description=f"Bring {', '.join(tables)} up to date with the staging tables.",
        tags={"layer": STAR},
        owners=OWNERS,
    )


def analytics(catalogue: Catalogue) -> UnresolvedAssetJobDefinition:
    """The answers to questions, from the star as it is."""
    return dg.define_asset_job(
        ANALYTICS,
        selection=dg.AssetSelection.assets(*catalogue.tables_of(ANALYTICS), REPORT),
        description="Answer every question of the analytics again where the star changed; a day, or"
        " a range of days, for the tables by day.",
        tags={"layer": ANALYTICS},
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
