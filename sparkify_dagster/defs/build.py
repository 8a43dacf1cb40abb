"""Joins assets, checks, jobs and resources to Dagster definitions.

Nothing is declared here but the joining. `build_definitions` makes the same graph for a test, with
other settings or another platform.
"""

import warnings

import dagster as dg

from sparkify_dagster.defs.assets.derived import derived_assets
from sparkify_dagster.defs.assets.lake import lake_assets, ledger_assets
from sparkify_dagster.defs.assets.report import report_assets
from sparkify_dagster.defs.assets.staging import staging_asset
from sparkify_dagster.defs.checks.expected import expected_checks
from sparkify_dagster.defs.checks.ledger import ledger_checks
from sparkify_dagster.defs.freshness import with_freshness
from sparkify_dagster.defs.instance.home import WAREHOUSE_POOL
from sparkify_dagster.defs.jobs import asset_jobs
from sparkify_dagster.defs.op_jobs.cluster import cluster_jobs
from sparkify_dagster.defs.op_jobs.create_tables import create_tables
from sparkify_dagster.defs.op_jobs.forget_user import forgetting
from sparkify_dagster.defs.partitions import daily_partitions
from sparkify_dagster.defs.resources import LAKE, WAREHOUSE, lake_resource, warehouse_resource
from sparkify_dagster.defs.schedules import schedules
from sparkify_dagster.defs.sensors.alerts import alert_sensors
from sparkify_dagster.defs.sensors.new_files import arrival_sensors
from sparkify_dagster.settings import Settings
from sparkify_dagster.warehouse import Platform, open_platform


def build_definitions(settings: Settings, platform: Platform | None = None) -> dg.Definitions:
    """Everything that Dagster shows and runs for these settings.

    Raises:
        SparkifyError: if the platform cannot be made of these settings.
    """
    platform = platform or open_platform(settings)
    catalogue = platform.catalogue
    pool = WAREHOUSE_POOL if platform.warehouse.one_process else None
    daily = daily_partitions(settings.partitions)
    accept_beta_features()
    ledger = ledger_assets(platform)
    return dg.Definitions(
        assets=[
            *lake_assets(platform, daily),
            *ledger,
            *with_freshness(
                settings,
                [
                    *(staging_asset(platform, table, daily, pool) for table in catalogue.sources),
                    *derived_assets(platform, daily, pool),
                ],
            ),
            *report_assets(platform, pool),
        ],
        asset_checks=[
            *(
                found
                for spec in ledger
                if (found := ledger_checks(platform, spec.key.to_user_string(), pool))
            ),
            *expected_checks(platform, pool),
        ],
        jobs=[
            *asset_jobs(catalogue),
            create_tables(catalogue, pool),
            forgetting(platform, pool),
            *cluster_jobs(settings),
        ],
        sensors=[*arrival_sensors(platform), *alert_sensors(settings, catalogue)],
        schedules=schedules(platform),
        resources={LAKE: lake_resource(settings), WAREHOUSE: warehouse_resource(settings)},
        # The work is the warehouse's, one writer at a time. Measured: seven trivial assets took
        # 28 s in processes of their own, 1.3 s in one.
        executor=dg.in_process_executor,
    )


def accept_beta_features() -> None:
    """No warnings for the beta and preview features that are used on purpose, in this process.

    They are backfill policies, checks with days, owners of jobs: the one place that silences them.
    Dagster warns when it resolves definitions, long after they are built, so this is not a block.
    """
    for category in (dg.BetaWarning, dg.PreviewWarning):
        warnings.filterwarnings("ignore", r".* is currently in (beta|preview)", category)
