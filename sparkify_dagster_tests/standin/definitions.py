"""CREATE, ALTER and DROP: the shape of each statement, and what PostgreSQL is told of it.

The columns of a CREATE TABLE are read by `create_table.py`, users and groups by `access.py`.
"""

from sparkify_dagster_tests.standin import access, denied
from sparkify_dagster_tests.standin.create_table import (
    NewTable,
    read_attributes,
    read_body,
    read_column,
    read_head,
    read_type,
)
from sparkify_dagster_tests.standin.errors import not_served, syntax_error
from sparkify_dagster_tests.standin.plans import CreateTable, DropTables, Forward, Nothing, Plan
from sparkify_dagster_tests.standin.queries import translated
from sparkify_dagster_tests.standin.tokens import Reader
from sparkify_dagster_tests.standin.words import ENCODINGS


def create(reader: Reader, sql: str) -> Plan:
    words = [reader.word(i) for i in range(1, 4)]
    if "TABLE" in words[: 1 + (words[0] in ("TEMP", "TEMPORARY", "LOCAL"))]:
        return _create_table(reader, sql)
    if words[0] == "SCHEMA":
        return _create_schema(reader, sql)
    if words[0] in ("USER", "GROUP", "ROLE"):
        return access.create(reader, sql)
    if "VIEW" in words:
        return _create_view(reader, sql)
    raise syntax_error(words[0] or "CREATE")


def _create_table(reader: Reader, sql: str) -> Plan:
    table = read_head(reader, sql)
    opens_query = reader.word() == "AS" or (
        reader.word() == "(" and reader.word(1) in ("SELECT", "WITH")
    )
    if reader.word() == "(" and not opens_query:
        if reader.word(1) == "LIKE":
            raise not_served("CREATE TABLE … (LIKE …)")
        if not _is_column_list(reader):
            read_body(table, reader, sql)
            return CreateTable(table)
    names = f" ({', '.join(reader.name_list())})" if reader.word() == "(" else ""
    read_attributes(table, reader)
    reader.expect("AS")
    query = reader.rest()
    denied.check(query)
    text = translated(query, sql)[query[0].start :] if query else ""
    return CreateTable(table, f"{table.head}{names} AS {text}")


def _is_column_list(reader: Reader) -> bool:
    """Names alone, of a CREATE TABLE AS."""
    return reader.word(2) in (",", ")")


def _create_schema(reader: Reader, sql: str) -> Plan:
    reader.expect("CREATE", "SCHEMA")
    reader.accept("IF", "NOT", "EXISTS")
    if reader.word() != "AUTHORIZATION":
        reader.identifier()
    if reader.accept("AUTHORIZATION"):
        reader.identifier()
    return forward(reader, sql)


def _create_view(reader: Reader, sql: str) -> Plan:
    reader.expect("CREATE")
    reader.accept("OR", "REPLACE")
    reader.expect("VIEW")
    reader.name()
    if reader.word() == "(":
        reader.name_list()
    reader.expect("AS")
    if [reader.tokens[i].word for i in range(-4, 0)] == ["WITH", "NO", "SCHEMA", "BINDING"]:
        raise not_served("views without schema binding")
    denied.check(reader.rest())
    return Forward(translated(reader.tokens, sql))


def alter(reader: Reader, sql: str) -> Plan:
    reader.expect("ALTER")
    if reader.word() != "TABLE":
        return access.alter(reader, sql)
    reader.expect("TABLE")
    reader.name()
    if reader.accept("APPEND"):
        raise not_served("ALTER TABLE APPEND")
    if reader.accept("RENAME"):
        if not reader.accept("TO"):
            reader.accept("COLUMN")
            reader.identifier()
            reader.expect("TO")
        reader.identifier()
    elif reader.accept("OWNER", "TO"):
        reader.identifier()
    elif reader.accept("DROP"):
        reader.one_of("COLUMN", "CONSTRAINT")
        reader.identifier()
        reader.one_of("CASCADE", "RESTRICT")
    elif reader.accept("ALTER"):
        return _alter_layout(reader)
    else:
        reader.expect("ADD")
        return _add_column(reader, sql)
    return forward(reader, sql)


def _add_column(reader: Reader, sql: str) -> Plan:
    """One column a statement."""
    if reader.word() in ("PRIMARY", "FOREIGN", "UNIQUE", "CONSTRAINT"):
        raise not_served("ALTER TABLE … ADD of a constraint")
    reader.accept("COLUMN")
    start = reader.tokens[reader.place - 1].end
    rest = reader.tokens[reader.place :]
    if comma := next((t for t in rest if t.word == "," and not t.depth), None):
        raise syntax_error(comma.text)
    # The same attributes as in CREATE TABLE: read them as a table of this one column.
    made = NewTable("", "")
    inner = Reader(rest)
    read_column(made, inner, sql)
    inner.end()
    null = " NOT NULL" if made.not_null else ""
    return Forward(f"{sql[:start]} {made.definitions[0]}{null}")


def _alter_layout(reader: Reader) -> Plan:
    """Where rows lie and how they are packed: nothing of it exists here."""
    if reader.one_of("DISTSTYLE", "DISTKEY", "SORTKEY", "COMPOUND", "ENCODE"):
        reader.rest()
        return Nothing("ALTER TABLE")
    reader.expect("COLUMN")
    reader.identifier()
    if reader.accept("ENCODE"):
        if reader.next().word not in ENCODINGS:
            raise reader.error()
        reader.end()
        return Nothing("ALTER TABLE")
    reader.expect("TYPE")
    read_type(reader)
    raise not_served("ALTER TABLE … ALTER COLUMN … TYPE")


def drop(reader: Reader, sql: str) -> Plan:
    reader.expect("DROP")
    kind = reader.need_one_of("TABLE", "VIEW", "SCHEMA", "USER", "GROUP", "ROLE")
    if kind not in ("GROUP", "ROLE"):
        reader.accept("IF", "EXISTS")
    names = reader.names()
    how = "" if kind in ("USER", "GROUP") else reader.one_of("CASCADE", "RESTRICT")
    reader.end()
    return DropTables(sql, tuple(names), how == "CASCADE") if kind == "TABLE" else Forward(sql)


def forward(reader: Reader, sql: str) -> Plan:
    reader.end()
    return Forward(sql)
