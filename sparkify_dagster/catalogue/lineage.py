"""Column lineage: the columns that each column of a table is made from, one step back.

A staging column comes from a JSON key of its source or from the name of the file; a derived column
from what its expression names in the SQL that makes the table whole, followed through that
statement. What only filters, joins or orders rows is no origin. How SQL is followed is in
`lineage_sql`, and what it gave is kept by `lineage_cache`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sparkify_dagster.catalogue.catalogue import Catalogue
from sparkify_dagster.catalogue.lineage_sql import LineageError, Question
from sparkify_dagster.catalogue.sql_files import whole
from sparkify_dagster.catalogue.tables import Table

FILE_NAME = "file name"
"""The part of a source that is no JSON key: the key of the file below its prefix."""
ALL_ROWS = "*"
"""In place of a column: how many rows there are, as COUNT(*) tells."""


@dataclass(frozen=True, order=True)
class Origin:
    """A column of a table, or a JSON key of a source (or one of the two words above)."""

    asset: str
    column: str


Lineage = Mapping[str, tuple[Origin, ...]]
"""The origins of each column, in the table's order; () for a constant."""


def column_lineage(catalogue: Catalogue, table: str) -> Lineage:
    """The lineage of a table; empty for one that no file and no SQL fills.

    Raises:
        LineageError: if the table's SQL cannot be followed, naming the file.
    """
    if table in catalogue.sources:
        return _of_staging(catalogue, table)
    if table not in catalogue.transforms:
        return {}
    try:
        columns = catalogue.lineage.follow(question_of(catalogue, table))
    except LineageError as error:
        path = catalogue.transforms[table].script.path
        raise LineageError(f"{path}: its columns cannot be followed: {error}") from None
    return {name: tuple(Origin(*origin) for origin in found) for name, found in columns.items()}


def question_of(catalogue: Catalogue, table: str) -> Question:
    """What the lineage of a derived table depends on: its statements and the columns they read."""
    transform = catalogue.transforms[table]
    statements = (whole(statement) for statement in transform.statements)
    read = (catalogue.tables[name] for name in (*transform.reads, table))
    return Question(
        columns=catalogue.tables[table].column_names,
        statements=tuple(s for s in statements if s and not _removes(s)),
        tables=tuple((other.name, other.column_names) for other in read),
    )


def row_columns(table: Table) -> tuple[str, ...]:
    """The columns that tell the rows of a table apart, as far as it says."""
    return table.primary_key or table.sort_key or table.column_names[:1]


def _of_staging(catalogue: Catalogue, table: str) -> Lineage:
    source = catalogue.sources[table]
    keys = {column.name: key for column, key in catalogue.tables[table].json_columns}
    keys |= {column: keys[sent] for column, sent in source.epoch_times.items()}
    return {
        name: (Origin(source.name, keys.get(name, FILE_NAME)),)
        for name in catalogue.tables[table].column_names
    }


def _removes(statement: str) -> bool:
    return statement.split(maxsplit=1)[0].upper() == "DELETE"
