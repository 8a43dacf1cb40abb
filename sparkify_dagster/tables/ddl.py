"""The CREATE TABLE statement of a table on each engine.

What an engine does differently is a field of its Dialect with the reason; nothing else asks which
engine it is. Statements are said here and run elsewhere.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkify_dagster.tables.names import TableError, check_identifier

if TYPE_CHECKING:
    from sparkify_dagster.tables.model import Column, Table


@dataclass(frozen=True, slots=True)
class Dialect:
    """``as_written``: the file's own text runs. The rest says what derived DDL keeps."""

    as_written: bool = False
    primary_key: bool = False
    text_size: bool = False
    text_collation: str = ""


# FOREIGN KEY is in no derived DDL: the tables of the star refresh one by one, and the audits prove
# the references inside each writing transaction.
DIALECTS = {
    # Files are Redshift SQL; keys are declared for its planner and proven by the audits.
    "redshift": Dialect(as_written=True),
    # A PRIMARY KEY builds an index: 3 million integers insert in 1.2 s with it, in 0.07 s without;
    # the audits prove the keys. DuckDB ignores the n of VARCHAR(n).
    "duckdb": Dialect(),
    # COLLATE "C" orders and compares bytes as Redshift does, whatever the database's locale. The n
    # of VARCHAR(n) counts characters here: never stricter than the bytes that the loader checked.
    "postgres": Dialect(primary_key=True, text_size=True, text_collation=' COLLATE "C"'),
}


def create_table(table: "Table", engine: str, schema: str) -> str:
    dialect = DIALECTS.get(engine)
    if dialect is None:
        raise TableError(f"engine {engine!r} is unknown: use one of {', '.join(DIALECTS)}")
    check_identifier(schema, "schema")
    if dialect.as_written:
        return _qualified(table.source_text, schema)
    lines = [_column_line(column, dialect) for column in table.columns]
    if dialect.primary_key and table.primary_key:
        lines.append(f"PRIMARY KEY ({', '.join(table.primary_key)})")
    body = ",\n    ".join(lines)
    return f"CREATE TABLE IF NOT EXISTS {schema}.{table.name} (\n    {body}\n)"


def _column_line(column: "Column", dialect: Dialect) -> str:
    kind = column.type
    if column.is_text:
        kind = (kind if dialect.text_size else column.base_type) + dialect.text_collation
    return f"{column.name} {kind}" + ("" if column.nullable else " NOT NULL")


def _qualified(text: str, schema: str) -> str:
    """The file's statement with the schema before every table name, and without the last ';'.

    The parser took only files where both clauses begin a line, so that no comment is touched.
    """
    clause = r"^(\s*(?:CREATE TABLE IF NOT EXISTS|FOREIGN\s+KEY\s*\([^)]*\)\s*REFERENCES)\s+)(\w+)"
    flags = re.MULTILINE | re.IGNORECASE
    return re.sub(clause, rf"\1{schema}.\2", text, flags=flags).rstrip().removesuffix(";")
