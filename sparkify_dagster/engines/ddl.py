"""The CREATE TABLE statement of a table in the dialect of an engine.

What an engine does differently is a field of its Dialect, which its warehouse names with the
reason. Statements are made here and run by those who ask for them.
"""

import re
from dataclasses import dataclass

from sparkify_dagster.catalogue.tables import Column, Table, check_identifier


@dataclass(frozen=True, slots=True)
class Dialect:
    """``as_written``: the file's own text runs. The rest says what derived DDL keeps.

    Keys are in no derived DDL: the audits prove them inside each writing transaction, and show the
    rows that break them, which a constraint would not let in.
    """

    as_written: bool = False
    text_size: bool = False
    text_collation: str = ""
    indexes: bool = False


def create_table(table: Table, dialect: Dialect, schema: str) -> str:
    """The CREATE TABLE IF NOT EXISTS statement in a dialect, in a schema."""
    check_identifier(schema, "schema")
    if dialect.as_written:
        return in_schema(table.source_text, schema)
    body = ",\n    ".join(_column_line(column, dialect) for column in table.columns)
    return f"CREATE TABLE IF NOT EXISTS {schema}.{table.name} (\n    {body}\n)"


def create_indexes(table: Table, dialect: Dialect, schema: str) -> tuple[str, ...]:
    """The statements for the sort key and for each column of an `-- index:` line, if any."""
    if not dialect.indexes:
        return ()
    keys = dict.fromkeys([table.sort_key, *((column,) for column in table.indexes)])
    return tuple(
        f"CREATE INDEX IF NOT EXISTS {table.name}_{'_'.join(key)}_index"
        f" ON {schema}.{table.name} ({', '.join(key)})"
        for key in keys
        if key
    )


def in_schema(statement: str, schema: str) -> str:
    """A CREATE TABLE with the schema before every table name, and without the last ';'.

    Both clauses begin a line (the parser takes no other table files), so no comment is touched.
    """
    clause = r"^(\s*(?:CREATE TABLE IF NOT EXISTS|FOREIGN\s+KEY\s*\([^)]*\)\s*REFERENCES)\s+)(\w+)"
    flags = re.MULTILINE | re.IGNORECASE
    return re.sub(clause, rf"\1{schema}.\2", statement, flags=flags).rstrip().removesuffix(";")


def _column_line(column: Column, dialect: Dialect) -> str:
    kind = column.type
    if column.is_text:
        kind = (kind if dialect.text_size else column.base_type) + dialect.text_collation
    return f"{column.name} {kind}" + ("" if column.nullable else " NOT NULL")
