"""The two ends that this platform does not make itself: the prefixes of the lake, and the ledger.

External assets: the graph starts in the lake, and shows the tables that loads keep about
themselves. Nothing here is executed.
"""

import dagster as dg

from sparkify_dagster.defs.assets import describe, links
from sparkify_dagster.settings.sources import Source
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.load.ledger import write_ledger


def lake_assets(platform: Platform, daily: dg.PartitionsDefinition) -> list[dg.AssetSpec]:
    """One asset for each prefix; a dated one has the days of the platform."""
    return [_lake_asset(platform, table, daily) for table in platform.catalogue.sources]


def ledger_assets(platform: Platform) -> list[dg.AssetSpec]:
    """The tables that every load writes beside its rows, in the same transaction."""
    catalogue = platform.catalogue
    return [
        describe.table_spec(
            platform,
            table,
            deps=tuple(source.name for source in catalogue.sources.values()),
            kinds=set(),
            partitions=None,
            code=write_ledger,
        )
        for table in catalogue.tables
        if table not in catalogue.sources and table not in catalogue.transforms
    ]


def _lake_asset(platform: Platform, table: str, daily: dg.PartitionsDefinition) -> dg.AssetSpec:
    catalogue = platform.catalogue
    source, uri = catalogue.sources[table], platform.lake_uri(table)
    kind = "s3" if uri.startswith("s3://") else "file"
    grain = "one file of a day" if source.dated else "one file"
    said = [source.description, f"**Grain:** {grain}", f"Files of `{uri}`."]
    return dg.AssetSpec(
        source.name,
        description="\n\n".join(said),
        group_name=describe.SOURCES,
        owners=describe.OWNERS,
        kinds={kind, "json"},
        tags={"layer": describe.SOURCES, "grain": "day" if source.dated else "table"},
        partitions_def=daily if source.dated else None,
        metadata={
            "dagster/uri": links.prefix_uri(uri),
            "dagster/storage_kind": kind,
            "dagster/column_schema": describe.source_schema(catalogue, table),
            "dagster/code_references": describe.code_references(
                catalogue.files_of(table), code=Source
            ),
        },
    )
