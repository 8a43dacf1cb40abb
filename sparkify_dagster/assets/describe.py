"""What the UI says about a table, made from its file: description, columns, keys, kinds, owners.

Only words and schema; what a run found is in `metadata`.
"""

import dagster as dg

from sparkify_dagster.tables import Column, Table
from sparkify_dagster.warehouse import Platform

OWNERS = ("team:data-platform",)
SOURCES, STAGING, STAR = "sources", "staging", "star"


def description(table: Table) -> str:
    """Purpose, grain and columns as markdown."""
    lines = [
        table.description,
        "",
        f"**Grain:** {table.grain}",
        "",
        "| column | type | | meaning |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {column.name} | {column.type} | {', '.join(_marks(table, column))} "
        f"| {column.description.replace('|', '/')} |"
        for column in table.columns
    ]
    return "\n".join(lines)


def column_schema(table: Table) -> dg.TableSchema:
    columns = [
        dg.TableColumn(
            name=column.name,
            type=column.type,
            description=column.description,
            constraints=dg.TableColumnConstraints(
                nullable=column.nullable,
                unique=table.primary_key == (column.name,),
                other=[f"one of {', '.join(column.accepted)}"] if column.accepted else None,
            ),
            tags=_tags(table, column),
        )
        for column in table.columns
    ]
    keys = [f"unique: {', '.join(table.primary_key)}"] if table.primary_key else []
    keys += [
        f"{', '.join(r.columns)} → {r.table} ({', '.join(r.parent_columns)})"
        for r in table.references
    ]
    return dg.TableSchema(columns, constraints=dg.TableConstraints(other=keys))


def table_name(platform: Platform, table: str) -> str:
    return f"{platform.settings.warehouse.schema}.{table}"


def table_spec(
    platform: Platform,
    table: str,
    *,
    group: str,
    deps: tuple[str, ...],
    kinds: set[str],
    partitions: dg.PartitionsDefinition | None,
) -> dg.AssetSpec:
    """The asset of a table: its key is the table's name."""
    declared = platform.catalogue.tables[table]
    return dg.AssetSpec(
        table,
        deps=deps,
        description=description(declared),
        group_name=group,
        owners=OWNERS,
        kinds=kinds | {platform.settings.warehouse.engine.value, "table"},
        tags={"layer": group, "grain": "day" if partitions else "table"},
        code_version=platform.catalogue.code_version(table),
        partitions_def=partitions,
        metadata={
            "dagster/table_name": table_name(platform, table),
            "dagster/column_schema": column_schema(declared),
            "sql": sql_block(platform.catalogue.sql_of(table)),
        },
    )


def sql_block(sql: str) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"```sql\n{sql.strip()}\n```")


def _marks(table: Table, column: Column) -> list[str]:
    marks = ["key"] if column.name in table.primary_key else []
    marks += [f"→ {r.table}" for r in table.references if column.name in r.columns]
    return marks if column.nullable else [*marks, "required"]


def _tags(table: Table, column: Column) -> dict[str, str]:
    tags = {"primary_key": ""} if column.name in table.primary_key else {}
    for reference in table.references:
        if column.name in reference.columns:
            tags["references"] = reference.table
    if column.name == table.dist_key:
        tags["distkey"] = ""
    if column.name in table.sort_key:
        tags["sortkey"] = ""
    return tags
