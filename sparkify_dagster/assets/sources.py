"""The two ends that this platform does not make itself: the prefixes of the lake, and the ledger.

External assets: the graph starts in the lake, and shows the tables that loads keep about
themselves. Nothing here is executed.
"""

import dagster as dg

from sparkify_dagster.assets import describe
from sparkify_dagster.warehouse import Platform


def lake_assets(platform: Platform, daily: dg.PartitionsDefinition) -> list[dg.AssetSpec]:
    """One asset for each prefix; a dated one has the days of the platform."""
    return [
        dg.AssetSpec(
            source.name,
            description=f"{source.description}\n\nFiles of `{platform.lake_uri(table)}`.",
            group_name=describe.SOURCES,
            owners=describe.OWNERS,
            kinds={"s3" if platform.lake_uri(table).startswith("s3://") else "file", "json"},
            tags={"layer": describe.SOURCES, "grain": "day" if source.dated else "table"},
            partitions_def=daily if source.dated else None,
            metadata={"dagster/uri": dg.MetadataValue.url(platform.lake_uri(table))},
        )
        for table, source in platform.catalogue.sources.items()
    ]


def ledger_assets(platform: Platform) -> list[dg.AssetSpec]:
    """The tables that every load writes beside its rows, in the same transaction."""
    catalogue = platform.catalogue
    return [
        describe.table_spec(
            platform,
            table,
            group=describe.STAGING,
            deps=tuple(source.name for source in catalogue.sources.values()),
            kinds=set(),
            partitions=None,
        )
        for table in catalogue.tables
        if table not in catalogue.sources and table not in catalogue.transforms
    ]
