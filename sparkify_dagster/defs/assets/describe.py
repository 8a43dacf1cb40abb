"""What the UI says about a table, made from its files: words, columns, lineage, kinds, owners.

Only what is known before the first run. What a run found is in `metadata`, where a table is in
`links`.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from inspect import getsourcefile, getsourcelines
from pathlib import Path

import dagster as dg

from sparkify_dagster.catalogue.catalogue import STAR, Catalogue
from sparkify_dagster.catalogue.dictionary import (
    FILE_NAME_MEANING,
    describe_table,
    filled_by,
    lineage_or_trouble,
    origins_text,
)
from sparkify_dagster.catalogue.lineage import ALL_ROWS, FILE_NAME, Lineage, Origin, row_columns
from sparkify_dagster.catalogue.tables import Column, Table
from sparkify_dagster.defs.assets import links
from sparkify_dagster.defs.dagster_private import RawMetadataValue
from sparkify_dagster.present.charts.relations import neighbourhood, star_diagram
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.privacy.personal import MASK

Metadata = dict[str, RawMetadataValue]
OWNERS = ("team:data-platform",)
SOURCES = "sources"


def column_schema(catalogue: Catalogue, name: str) -> dg.TableSchema:
    """The columns with their meaning and, behind an arrow, where they come from."""
    table = catalogue.tables[name]
    lineage, _ = lineage_or_trouble(catalogue, name)
    columns = [
        dg.TableColumn(
            name=column.name,
            type=column.type,
            description=_meaning(column) + _arrow("←", lineage.get(column.name, ())),
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


def source_schema(catalogue: Catalogue, name: str) -> dg.TableSchema:
    """What a line of a source holds, with the columns of the staging table that it fills."""
    fills = filled_by(catalogue, name)

    def column(key: str, kind: str, meaning: str, *, nullable: bool) -> dg.TableColumn:
        filled = [Origin(name, column) for column in fills.get(key, ())]
        constraints = dg.TableColumnConstraints(nullable=nullable)
        return dg.TableColumn(key, kind, meaning + _arrow("→", filled), constraints)

    columns = [
        column(key, declared.type, declared.description, nullable=declared.nullable)
        for declared, key in catalogue.tables[name].json_columns
    ]
    columns.append(column(FILE_NAME, "VARCHAR", FILE_NAME_MEANING, nullable=False))
    return dg.TableSchema(columns)


def column_lineage(catalogue: Catalogue, table: str) -> dg.TableColumnLineage | None:
    """The lineage as Dagster knows it; None where there is none."""
    lineage, _ = lineage_or_trouble(catalogue, table)
    if not lineage:
        return None
    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(dg.AssetKey(origin.asset), name)
                for origin in origins
                for name in _names(catalogue, origin)
            ]
            for column, origins in lineage.items()
        }
    )


def table_spec(
    platform: Platform,
    table: str,
    *,
    deps: tuple[str, ...],
    kinds: set[str],
    partitions: dg.PartitionsDefinition | None,
    code: Callable[..., object],
) -> dg.AssetSpec:
    """The asset of a table: its key is the table's name. `code` is the Python that makes it."""
    catalogue, engine = platform.catalogue, platform.warehouse.engine
    layer = catalogue.layer_of(table)
    return dg.AssetSpec(
        table,
        deps=deps,
        description=_description(catalogue, table),
        group_name=layer,
        owners=OWNERS,
        kinds=kinds | {engine, "table"},
        tags={"layer": layer, "grain": "day" if partitions else "table"},
        code_version=catalogue.code_version(table),
        partitions_def=partitions,
        metadata={
            **place(platform, table),
            **column_metadata(platform.catalogue, table),
            **_comes_from(lineage_or_trouble(catalogue, table)[0]),
            **_star(catalogue, table),
            "sql": sql_block(catalogue.sql_of(table)),
            "dagster/code_references": code_references(catalogue.files_of(table), code),
        },
    )


def place(platform: Platform, table: str) -> Metadata:
    """Where a table is."""
    return {
        "dagster/table_name": links.table_name(platform, table),
        "dagster/storage_kind": platform.warehouse.engine,
        "dagster/uri": links.table_uri(platform, table),
    }


def column_metadata(catalogue: Catalogue, table: str) -> Metadata:
    """The columns of a table, and where each comes from."""
    lineage = column_lineage(catalogue, table)
    schema: Metadata = {"dagster/column_schema": column_schema(catalogue, table)}
    return schema | ({"dagster/column_lineage": lineage} if lineage else {})


def code_references(
    files: Iterable[Path], code: Callable[..., object]
) -> dg.CodeReferencesMetadataValue:
    """Links to the SQL files of an asset and to the function that runs them."""
    sql = [
        dg.LocalFileCodeReference(file_path=str(path), line_number=1, label=_label(path))
        for path in files
    ]
    file, line = _place(code)
    python = dg.LocalFileCodeReference(
        file_path=file, line_number=line, label=f"{code.__name__} ({Path(file).name})"
    )
    return dg.CodeReferencesMetadataValue(code_references=[*sql, python])


def sql_block(sql: str) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"```sql\n{sql.strip()}\n```")


def _meaning(column: Column) -> str:
    if not column.personal:
        return column.description
    return f"{column.description} Personal: shown as {MASK} in previews and samples."


def _arrow(arrow: str, origins: Sequence[Origin]) -> str:
    return f" {arrow} {origins_text(origins)}" if origins else ""


def _names(catalogue: Catalogue, origin: Origin) -> tuple[str, ...]:
    """A number of rows depends on what tells rows apart."""
    if origin.column != ALL_ROWS:
        return (origin.column,)
    return row_columns(catalogue.tables[origin.asset])


def _description(catalogue: Catalogue, table: str) -> str:
    """What the data dictionary says, with a picture of the table among those next to it.

    The UI shows a description at once, and long metadata on a click.
    """
    picture = neighbourhood(catalogue, table)
    shown = describe_table(catalogue, table)
    return f"{shown}\n\n{picture.markdown}" if picture else shown


def _star(catalogue: Catalogue, table: str) -> Metadata:
    if catalogue.layer_of(table) != STAR:
        return {}
    return {"star_diagram": dg.MetadataValue.md(star_diagram(catalogue).markdown)}


def _comes_from(lineage: Lineage) -> Metadata:
    """The lineage in a place of our own: the open-source UI does not draw Dagster's."""
    if not lineage:
        return {}
    lines = ["| column | comes from |", "| --- | --- |"]
    lines += [f"| {column} | {origins_text(origins)} |" for column, origins in lineage.items()]
    return {"columns_come_from": dg.MetadataValue.md("\n".join(lines))}


def _label(path: Path) -> str:
    """`tables/songs.sql`: the same name stands for a table and for its transform."""
    return f"{path.parent.name}/{path.name}"


@cache
def _place(code: Callable[..., object]) -> tuple[str, int]:
    return os.path.abspath(getsourcefile(code) or ""), getsourcelines(code)[1]


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
