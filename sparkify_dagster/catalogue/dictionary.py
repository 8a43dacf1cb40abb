"""The data dictionary: what every table and column means and where it comes from, as markdown.

Made from the SQL files alone. The UI shows a table's part of it as the asset's description; the
page, with the entity-relationship diagram in Mermaid, is `docs/data_dictionary.md`. The UI draws no
Mermaid: its diagrams are those of `charts.relations`.
"""

from collections.abc import Iterable, Iterator, Mapping

from sparkify_dagster.catalogue.catalogue import ANALYTICS, STAGING, STAR, Catalogue
from sparkify_dagster.catalogue.lineage import ALL_ROWS, FILE_NAME, Lineage, Origin, column_lineage
from sparkify_dagster.catalogue.lineage_sql import LineageError
from sparkify_dagster.catalogue.tables import Column, Reference, Table

_TITLES = {
    STAR: "The star",
    ANALYTICS: "Analytics: a question a table",
    STAGING: "Staging, and what loads keep about themselves",
}
FILE_NAME_MEANING = "Not a key of the line: the key of its file below the prefix."
_INTRODUCTION = """\
# Data dictionary

Made of the table files and transforms in `sparkify_dagster/sql` by `make docs`; edit those. The
Dagster UI shows each table's part on its asset. **comes from** names the columns that a value is
made from, one step back; what only filters, joins or orders rows is not among them. What is
**personal** is masked in previews, and emptied when a user is forgotten."""


def data_dictionary(catalogue: Catalogue) -> str:
    """The whole page."""
    layers: dict[str, list[str]] = {STAR: []}
    for table in sorted(catalogue.tables):
        layers.setdefault(catalogue.layer_of(table), []).append(table)
    layers[STAGING] = layers.pop(STAGING)  # last
    parts = [_INTRODUCTION, "\n".join(_overview(catalogue, layers)), "## Keys and references"]
    parts.append(f"```mermaid\n{er_diagram(catalogue)}\n```")
    for layer, tables in layers.items():
        parts.append(f"## {_TITLES.get(layer, layer.capitalize())}")
        for table in tables:
            parts += [f"### {table}", describe_table(catalogue, table)]
            parts += [_columns_of(catalogue, table), _files(catalogue, table)]
    parts.append("## Sources")
    for table in catalogue.sources:
        source = catalogue.sources[table]
        parts += [f"### {source.name}", source.description, _keys_of(catalogue, table)]
    return "\n\n".join(parts) + "\n"


def describe_table(catalogue: Catalogue, table: str) -> str:
    """Purpose, grain, and how the rows are chosen."""
    declared = catalogue.tables[table]
    parts = [declared.description, f"**Grain:** {declared.grain}"]
    if table in catalogue.transforms:
        parts += [f"**Rows:** {rows}"] if (rows := _rows(catalogue, table)) else []
    _, trouble = lineage_or_trouble(catalogue, table)
    if trouble:
        parts.append(f"Where the columns come from is not known: {trouble}")
    return "\n\n".join(parts)


def filled_by(catalogue: Catalogue, table: str) -> Mapping[str, list[str]]:
    """The columns of a staging table that each part of its source fills."""
    fills: dict[str, list[str]] = {}
    for column, (origin,) in column_lineage(catalogue, table).items():
        fills.setdefault(origin.column, []).append(column)
    return fills


def er_diagram(catalogue: Catalogue) -> str:
    """The star with keys and references, in the language of Mermaid.

    What answers a question stands alone: it would hide how the star hangs together.
    """
    tables = [catalogue.tables[name] for name in sorted(catalogue.tables_of(STAR))]
    lines = ["erDiagram"]
    lines += [_relation(table, r) for table in tables for r in table.references]
    for table in tables:
        lines.append(f"    {table.name} {{")
        lines += [f"        {_attribute(table, column)}" for column in table.columns]
        lines.append("    }")
    return "\n".join(lines)


def lineage_or_trouble(catalogue: Catalogue, table: str) -> tuple[Lineage, str]:
    """The lineage; where it cannot be had, none, and why: it explains a table, and runs nothing."""
    try:
        return column_lineage(catalogue, table), ""
    except LineageError as error:
        return {}, str(error)


def origins_text(origins: Iterable[Origin]) -> str:
    """`table.column` of each; the number of rows, and the name of a file, in words."""
    return ", ".join(_shown(origin) for origin in origins) or "a constant"


def _rows(catalogue: Catalogue, table: str) -> str:
    """How the rows are chosen; a file of both begins with what its table is for."""
    said = catalogue.transforms[table].script.description
    if catalogue.layer_of(table) == STAR:
        return said
    return " ".join(said.split()).removeprefix(catalogue.tables[table].description).strip()


def _shown(origin: Origin) -> str:
    if origin.column == ALL_ROWS:
        return f"{origin.asset} (number of rows)"
    if origin.column == FILE_NAME:
        return f"{origin.asset} ({FILE_NAME})"
    return f"{origin.asset}.{origin.column}"


def _columns_of(catalogue: Catalogue, table: str) -> str:
    lineage, _ = lineage_or_trouble(catalogue, table)
    return "\n".join(_columns(catalogue.tables[table], lineage))


def _columns(table: Table, lineage: Lineage) -> Iterator[str]:
    more = (" comes from |", " --- |") if lineage else ("", "")
    yield f"| column | type | | meaning |{more[0]}"
    yield f"| --- | --- | --- | --- |{more[1]}"
    for column in table.columns:
        marks = ", ".join(_marks(table, column))
        comes_from = f" {origins_text(lineage[column.name])} |" if lineage else ""
        meaning = _cell(column.description)
        yield f"| {column.name} | {column.type} | {marks} | {meaning} |{comes_from}"


def _marks(table: Table, column: Column) -> list[str]:
    marks = ["key"] if column.name in table.primary_key else []
    marks += [f"→ {r.table}" for r in table.references if column.name in r.columns]
    marks += ["personal"] if column.personal else []
    return marks if column.nullable else [*marks, "required"]


def _cell(text: str) -> str:
    return text.replace("|", "/")


def _keys_of(catalogue: Catalogue, table: str) -> str:
    """What the files of a source hold: the keys of a line, and the columns that they fill."""
    fills = filled_by(catalogue, table)
    lines = [
        f"| JSON key | type | | meaning | fills a column of {table} |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {key} | {column.type} | {'' if column.nullable else 'required'} "
        f"| {_cell(column.description)} | {', '.join(fills[key])} |"
        for column, key in catalogue.tables[table].json_columns
    ]
    if FILE_NAME in fills:
        lines.append(f"| *{FILE_NAME}* | | | {FILE_NAME_MEANING} | {', '.join(fills[FILE_NAME])} |")
    return "\n".join(lines)


def _overview(catalogue: Catalogue, layers: Mapping[str, list[str]]) -> Iterator[str]:
    yield "| table | one row is | layer |"
    yield "| --- | --- | --- |"
    for layer, tables in layers.items():
        for table in tables:
            grain = catalogue.tables[table].grain
            yield f"| [{table}](#{table}) | {_cell(grain)} | {layer} |"


def _files(catalogue: Catalogue, table: str) -> str:
    names = [path.relative_to(catalogue.folder) for path in catalogue.files_of(table)]
    links = (f"[{n.as_posix()}](../sparkify_dagster/sql/{n.as_posix()})" for n in names)
    return f"SQL: {', '.join(links)}"


def _relation(table: Table, reference: Reference) -> str:
    """A row refers to one parent, or to none where the column may be NULL."""
    optional = any(table.column(name).nullable for name in reference.columns)
    parent = "|o" if optional else "||"
    return f"    {reference.table} {parent}--o{{ {table.name} : {'_'.join(reference.columns)}"


def _attribute(table: Table, column: Column) -> str:
    keys = ["PK"] if column.name in table.primary_key else []
    keys += ["FK"] if any(column.name in r.columns for r in table.references) else []
    # the diagram's language takes neither blanks nor commas in a type
    kind = column.type.replace(" ", "_").replace(",", "_")
    return f"{kind} {column.name} {', '.join(keys)}".rstrip()
