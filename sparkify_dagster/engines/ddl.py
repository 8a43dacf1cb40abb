"""The CREATE TABLE statement of a table on each engine.

What an engine does differently is a field of its Dialect with the reason; nothing else asks which
engine it is. Statements are said here and run elsewhere.
"""

import re
from dataclasses import dataclass

from sparkify_dagster.catalogue.tables.model import Column, Table
from sparkify_dagster.catalogue.tables.names import TableError, check_identifier


@dataclass(frozen=True, slots=True)
class Dialect:
    """``as_written``: the file's own text runs. The rest says what derived DDL keeps."""

    as_written: bool = False
    text_size: bool = False
    text_collation: str = ""
    indexes: bool = False


# Keys are in no derived DDL: the audits prove them inside each writing transaction, and show the
# rows that break them, which a constraint would not let in. In DuckDB an index would cost, too: 3
# million integers insert in 1.2 s with it, in 0.07 s without.
DIALECTS = {
    # Files are Redshift SQL; keys are declared for its planner and proven by the audits.
    "redshift": Dialect(as_written=True),
    # DuckDB ignores the n of VARCHAR(n).
    "duckdb": Dialect(),
    # COLLATE "C" orders and compares bytes as Redshift does, whatever the database's locale. The n
    # of VARCHAR(n) counts characters here: never stricter than the bytes that the loader checked.
    # Indexes take the place of the block ranges by which the other two pass over other days.
    "postgres": Dialect(text_size=True, text_collation=' COLLATE "C"', indexes=True),
}


def create_table(table: Table, engine: str, schema: str) -> str:
    """The CREATE TABLE IF NOT EXISTS statement for an engine, in a schema."""
    dialect = _dialect(engine)
    check_identifier(schema, "schema")
    if dialect.as_written:
        return _qualified(table.source_text, schema)
    body = ",\n    ".join(_column_line(column, dialect) for column in table.columns)
    return f"CREATE TABLE IF NOT EXISTS {schema}.{table.name} (\n    {body}\n)"


def create_indexes(table: Table, engine: str, schema: str) -> tuple[str, ...]:
    """The statements for the sort key and for each column of an `-- index:` line, if any."""
    if not _dialect(engine).indexes:
        return ()
    keys = dict.fromkeys([table.sort_key, *((column,) for column in table.indexes)])
    return tuple(
        f"CREATE INDEX IF NOT EXISTS {table.name}_{'_'.join(key)}_index"
        f" ON {schema}.{table.name} ({', '.join(key)})"
        for key in keys
        if key
    )


def _dialect(engine: str) -> Dialect:
    dialect = DIALECTS.get(engine)
    if dialect is None:
        raise TableError(f"engine {engine!r} is unknown: use one of {', '.join(DIALECTS)}")
    return dialect


def _column_line(column: Column, dialect: Dialect) -> str:
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
