"""CREATE TABLE: Redshift's grammar, and the same table for PostgreSQL.

Distribution, sort keys and encodings are judged and dropped. Keys are not enforced: their table is
made without them, and `keys.py` remembers what depends on what. VARCHAR(n) gets a check of its
bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sparkify_dagster_tests.standin import denied
from sparkify_dagster_tests.standin.errors import RefusedError, syntax_error
from sparkify_dagster_tests.standin.tokens import Kind, Reader, Token
from sparkify_dagster_tests.standin.words import ENCODINGS, RESERVED, TEXTS, TYPES, word_set

BYTES_CHECK = "standin_bytes_"
_DEFAULT_BYTES = {"VARCHAR": 256, "NVARCHAR": 256, "TEXT": 256, "CHARACTER VARYING": 256}
_ATTRIBUTES = word_set("""
    DEFAULT IDENTITY GENERATED ENCODE DISTKEY SORTKEY COLLATE NOT NULL UNIQUE PRIMARY REFERENCES
    """)


@dataclass(frozen=True)
class ForeignKey:
    parent: str
    columns: tuple[str, ...]
    """Of the parent; empty where its primary key is meant."""


@dataclass
class NewTable:
    """What a CREATE TABLE declares."""

    name: str
    head: str
    columns: list[str] = field(default_factory=list)
    definitions: list[str] = field(default_factory=list)
    keys: list[tuple[str, ...]] = field(default_factory=list)
    references: list[ForeignKey] = field(default_factory=list)
    not_null: set[str] = field(default_factory=set)
    distributed_by: list[str] = field(default_factory=list)
    sorted_by: list[str] = field(default_factory=list)

    @property
    def sql(self) -> str:
        """The statement for PostgreSQL."""
        lines = [
            text + (" NOT NULL" if name in self.not_null else "")
            for name, text in zip(self.columns, self.definitions, strict=True)
        ]
        return f"{self.head} ({', '.join(lines)})"


def read_head(reader: Reader, sql: str) -> NewTable:
    """CREATE [TEMP] TABLE [IF NOT EXISTS] name."""
    start = reader.next().start
    reader.one_of("TEMP", "TEMPORARY", "LOCAL")
    reader.one_of("TEMP", "TEMPORARY")
    reader.expect("TABLE")
    reader.accept("IF", "NOT", "EXISTS")
    name = reader.name()
    return NewTable(name, sql[start : reader.tokens[reader.place - 1].end])


def read_body(table: NewTable, reader: Reader, sql: str) -> None:
    """The columns and constraints in parentheses, and what follows them."""
    for item in _items(reader.group()):
        _read_item(table, Reader(item), sql)
    style = read_attributes(table, reader)
    reader.end()
    if style == "KEY" and not table.distributed_by:
        raise RefusedError("DISTSTYLE KEY requires a DISTKEY", "42611")
    if style in ("EVEN", "ALL", "AUTO") and table.distributed_by:
        raise RefusedError(f"DISTKEY is not allowed with DISTSTYLE {style}", "42611")
    if len(table.distributed_by) > 1:
        raise RefusedError("multiple DISTKEYs are not allowed", "42611")
    for column in (*table.distributed_by, *table.sorted_by, *(c for k in table.keys for c in k)):
        if column not in table.columns:
            raise RefusedError(f'column "{column}" named in key does not exist', "42703")


def read_attributes(table: NewTable, reader: Reader) -> str:
    """BACKUP, DISTSTYLE, DISTKEY, SORTKEY, ENCODE AUTO; returns the style."""
    style = ""
    while not reader.at_end and reader.word() != "AS":
        if reader.accept("BACKUP"):
            reader.need_one_of("YES", "NO")
        elif reader.accept("DISTSTYLE"):
            style = reader.need_one_of("AUTO", "EVEN", "KEY", "ALL")
        elif reader.accept("DISTKEY"):
            table.distributed_by += reader.name_list()
        elif reader.accept("SORTKEY", "AUTO") or reader.accept("ENCODE", "AUTO"):
            continue
        elif reader.one_of("COMPOUND", "INTERLEAVED") or reader.word() == "SORTKEY":
            reader.expect("SORTKEY")
            table.sorted_by += reader.name_list()
        else:
            raise reader.error()
    return style


def _items(tokens: Sequence[Token]) -> list[tuple[Token, ...]]:
    """What commas of the outermost level separate."""
    if not tokens:
        raise syntax_error(")")
    depth, found = tokens[0].depth, [list[Token]()]
    for token in tokens:
        if token.word == "," and token.depth == depth:
            found.append([])
        else:
            found[-1].append(token)
    return [tuple(item) for item in found]


def _read_item(table: NewTable, reader: Reader, sql: str) -> None:
    if reader.accept("PRIMARY", "KEY"):
        columns = tuple(reader.name_list())
        table.keys.append(columns)
        table.not_null |= set(columns)
    elif reader.accept("UNIQUE"):
        table.keys.append(tuple(reader.name_list()))
    elif reader.accept("FOREIGN", "KEY"):
        reader.name_list()
        _read_reference(table, reader)
    else:
        read_column(table, reader, sql)
    reader.end()


def _read_reference(table: NewTable, reader: Reader) -> None:
    reader.expect("REFERENCES")
    parent = reader.name()
    columns = tuple(reader.name_list()) if reader.word() == "(" else ()
    table.references.append(ForeignKey(parent, columns))


def read_column(table: NewTable, reader: Reader, sql: str) -> None:
    """One column with its attributes."""
    token = reader.next()
    if not token.is_name or token.word in RESERVED:
        raise syntax_error(token.text)
    name = token.name
    if name in table.columns:
        raise RefusedError(f'column "{name}" specified more than once', "42701")
    kind, text = read_type(reader)
    table.columns.append(name)
    definition = f'"{name}" {text}{_bytes_check(name, text)}'
    while not reader.at_end:
        definition += _read_attribute(table, reader, sql, name, kind)
    table.definitions.append(definition)


def _read_attribute(table: NewTable, reader: Reader, sql: str, name: str, kind: str) -> str:
    """One attribute of a column; what PostgreSQL is told of it."""
    if reader.accept("NOT", "NULL"):
        table.not_null.add(name)
    elif reader.accept("ENCODE"):
        encoding = reader.next().word
        if encoding not in ENCODINGS or kind not in ENCODINGS[encoding]:
            raise RefusedError(f'invalid encoding type specified for column "{name}"', "42611")
    elif reader.accept("DISTKEY"):
        table.distributed_by.append(name)
    elif reader.accept("SORTKEY"):
        table.sorted_by.append(name)
    elif reader.accept("PRIMARY", "KEY"):
        table.keys.append((name,))
        table.not_null.add(name)
    elif reader.accept("UNIQUE"):
        table.keys.append((name,))
    elif reader.word() == "REFERENCES":
        _read_reference(table, reader)
    elif reader.accept("COLLATE"):
        reader.need_one_of("CASE_SENSITIVE", "CASE_INSENSITIVE")
    elif reader.accept("DEFAULT"):
        return f" DEFAULT {_default(reader, sql)}"
    elif reader.accept("IDENTITY") or reader.accept("GENERATED", "BY", "DEFAULT", "AS", "IDENTITY"):
        start, step = (token.text for token in reader.group() if token.kind is Kind.NUMBER)
        return f" GENERATED BY DEFAULT AS IDENTITY (START WITH {start} INCREMENT BY {step})"
    else:
        reader.expect("NULL")
    return ""


def _default(reader: Reader, sql: str) -> str:
    first, last = reader.next(), reader.tokens[reader.place - 1]
    while not reader.at_end and not (
        reader.word() in _ATTRIBUTES and reader.next_depth() == first.depth
    ):
        last = reader.next()
    taken = tuple(t for t in reader.tokens if first.start <= t.start <= last.start)
    denied.check(taken)
    return (
        f"pg_catalog.{taken[0].text}()"
        if taken[0].word == "SYSDATE"
        else sql[first.start : last.end]
    )


def read_type(reader: Reader) -> tuple[str, str]:
    """A column's type: its first word, and its text for PostgreSQL."""
    token = reader.next()
    kind = token.word
    if kind not in TYPES - {"INTERVAL"}:
        raise RefusedError(f'type "{token.text.lower()}" does not exist', "42704")
    text = kind
    if kind == "DOUBLE":
        reader.expect("PRECISION")
        text = "DOUBLE PRECISION"
    elif kind == "CHARACTER" and reader.accept("VARYING"):
        text = "CHARACTER VARYING"
    elif kind in ("TIME", "TIMESTAMP") and reader.zone():
        text = f"{kind} WITH TIME ZONE"
    if kind == "NVARCHAR":
        text = "VARCHAR"
    arguments = [t.text for t in reader.group() if t.word != ","] if reader.word() == "(" else []
    if kind in TEXTS:
        return kind, f"{'VARCHAR' if text == 'TEXT' else text}({_length(text, kind, arguments)})"
    if kind in ("DECIMAL", "NUMERIC"):
        return kind, f"{text}({', '.join(arguments or ['18', '0'])})"
    if arguments:
        raise syntax_error("(")
    return kind, text


def _length(text: str, kind: str, arguments: Sequence[str]) -> int:
    longest = 65535 if text in ("VARCHAR", "CHARACTER VARYING") else 4096
    if not arguments:
        return _DEFAULT_BYTES.get(text, 1) if kind != "BPCHAR" else 256
    length = longest if arguments[0].upper() == "MAX" else int(arguments[0])
    if not 1 <= length <= longest:
        raise RefusedError(f"length for type {text.lower()} cannot exceed {longest}", "22023")
    return length


def _bytes_check(column: str, type_text: str) -> str:
    """PostgreSQL counts characters: never fewer are allowed than bytes."""
    if not type_text.startswith(("VARCHAR(", "CHARACTER VARYING(")):
        return ""
    length = type_text.partition("(")[2].rstrip(")")
    return (
        f' CONSTRAINT "{BYTES_CHECK}{length}_{column}" CHECK (octet_length("{column}") <= {length})'
    )
