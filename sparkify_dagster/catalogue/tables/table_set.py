"""All table files of a folder as one set: every reference holds, and parents come first.

A file that somebody adds to the folder is a table like any other.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from sparkify_dagster.catalogue.tables.model import Reference, Table
from sparkify_dagster.catalogue.tables.names import TableError
from sparkify_dagster.catalogue.tables.parser import located, parse_table

_NAMED_STATEMENTS = re.compile(r"^-- name: ", re.MULTILINE)
TABLES_FOLDER = Path(__file__).parents[2] / "sql" / "tables"


def load_tables(folder: Path = TABLES_FOLDER, analytics: Path | None = None) -> Mapping[str, Table]:
    """The tables of ``folder`` by name, referenced tables before those that refer to them.

    Files of ``analytics`` hold a table and, below the first ``-- name:``, what makes its rows.
    """
    files = sorted(folder.glob("*.sql"))
    if not files:
        raise TableError(f"{folder} holds no table files: expected <table>.sql files there")
    files += sorted(analytics.glob("*.sql")) if analytics else []
    tables: dict[str, Table] = {}
    for file in files:
        with located(file):
            if file.stem in tables:
                raise TableError(f"there is a table {file.stem!r} in {folder}: name this one else")
            tables[file.stem] = _read(file)
    for file in files:
        with located(file):
            for reference in tables[file.stem].references:
                _check_reference(reference, tables[file.stem], tables)
    return MappingProxyType({name: tables[name] for name in _parents_first(tables, folder)})


def _read(file: Path) -> Table:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"cannot be read as UTF-8 text: {error}") from error
    table = parse_table(_NAMED_STATEMENTS.split(text, maxsplit=1)[0])
    if table.name != file.stem:
        raise TableError(f"the file creates table {table.name!r}: name it {table.name}.sql")
    return table


def _check_reference(reference: Reference, child: Table, tables: Mapping[str, Table]) -> None:
    parent = tables.get(reference.table)
    if parent is None:
        raise TableError(
            f"FOREIGN KEY refers to table {reference.table!r}, which has no file: "
            f"add {reference.table}.sql or use one of: {', '.join(tables)}"
        )
    if reference.parent_columns != parent.primary_key:
        raise TableError(
            f"FOREIGN KEY refers to {parent.name} ({', '.join(reference.parent_columns)}), whose "
            f"PRIMARY KEY is ({', '.join(parent.primary_key)}): refer to exactly that"
        )
    for name, parent_name in zip(reference.columns, reference.parent_columns, strict=True):
        kind, parent_kind = child.column(name).type, parent.column(parent_name).type
        if kind != parent_kind:
            raise TableError(
                f"FOREIGN KEY: {name} is {kind}, but {parent.name}.{parent_name} is "
                f"{parent_kind}: make them the same"
            )


def _parents_first(tables: Mapping[str, Table], folder: Path) -> list[str]:
    """Alphabetical wherever references leave the choice; a table may refer to itself."""
    waiting = {
        name: {reference.table for reference in table.references} - {name}
        for name, table in tables.items()
    }
    ordered: list[str] = []
    while waiting:
        ready = next(
            (name for name, parents in waiting.items() if not parents & set(waiting)), None
        )
        if ready is None:
            raise TableError(
                f"{folder}: tables refer to each other in a circle: {', '.join(waiting)}; "
                "drop one of the FOREIGN KEYs between them"
            )
        ordered.append(ready)
        del waiting[ready]
    return ordered
