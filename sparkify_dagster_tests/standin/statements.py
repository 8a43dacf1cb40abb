"""From a statement's text to what is done with it: the grammar of each kind that is served.

Judging is pure and cached: the text alone decides. Queries and DML are in `queries.py`, DDL in
`definitions.py`, grants in `access.py`, COPY in `copy_statement.py`; the rest is here.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from sparkify_dagster_tests.standin import access, definitions, queries
from sparkify_dagster_tests.standin.copy_statement import Copy, read_copy
from sparkify_dagster_tests.standin.errors import RefusedError, not_served, syntax_error
from sparkify_dagster_tests.standin.plans import (
    Forward,
    Load,
    Nothing,
    Plan,
    Truncate,
)
from sparkify_dagster_tests.standin.tokens import Kind, Reader, tokenize
from sparkify_dagster_tests.standin.words import PARAMETERS, SHARED_PARAMETERS

LONGEST = 16 * 1024 * 1024  # Redshift's limit for one statement
_CACHED = 20_000  # characters; longer ones are inserts of many rows, each sent once
# An INSERT of nothing but literals, as drivers write them; its rows need no judging one by one.
_LITERAL = (
    r"(?>'(?>[^'\\]|''|\\.)*+'(?:::(?:date|timestamp|timestamptz|time|interval))?"
    r"|-?[0-9.]++(?:[eE][-+]?[0-9]+)?|NULL|true|false)"
)
_ROW = rf"\(\s*+{_LITERAL}(?:\s*+,\s*+{_LITERAL})*+\s*+\)"
_PLAIN_INSERT = re.compile(
    rf"(\s*+INSERT\s+INTO\s+[\w.\"]+\s*+(?:\([^()']*+\)\s*+)?VALUES\s*+)"
    rf"{_ROW}(?:\s*+,\s*+{_ROW})*+\s*+",
    re.IGNORECASE | re.DOTALL,
)


def judge(sql: str) -> Plan:
    """What to do with a statement.

    Raises:
        RefusedError: if Redshift would refuse it, or the stand-in does not serve it.
    """
    if len(sql.encode(errors="replace")) > LONGEST:
        raise RefusedError("Statement is too large. Statement Size: over 16777216 bytes.", "54000")
    if len(sql) < _CACHED:
        return _cached(sql)
    if plain := _PLAIN_INSERT.fullmatch(sql):
        _cached(f"{plain[1]}(1)")
        return Forward(sql)
    return _judge(sql)


@lru_cache(maxsize=2048)
def _cached(sql: str) -> Plan:
    return _judge(sql)


def _judge(sql: str) -> Plan:
    tokens = tokenize(sql)
    if not tokens:
        return Forward(sql)
    reader = Reader(tokens)
    read = _KINDS.get(tokens[0].word)
    if read is None:
        raise syntax_error(tokens[0].text)
    return read(reader, sql)


def _forward(reader: Reader, sql: str) -> Plan:
    reader.end()
    return Forward(sql)


def _begin(reader: Reader, sql: str) -> Plan:
    """Whatever isolation is asked for, a transaction has the database's."""
    reader.next()
    started = reader.tokens[0].word == "START"
    if started:
        reader.expect("TRANSACTION")
    else:
        reader.one_of("WORK", "TRANSACTION")
    readonly = ""
    while not reader.at_end:
        if reader.accept("ISOLATION", "LEVEL"):
            if not (reader.accept("SERIALIZABLE") or reader.accept("REPEATABLE", "READ")):
                reader.expect("READ")
                reader.need_one_of("COMMITTED", "UNCOMMITTED")
        else:
            reader.expect("READ")
            readonly = f" READ {reader.need_one_of('ONLY', 'WRITE')}"
        reader.accept(",")
    return Forward(f"BEGIN{readonly}")


def _end(reader: Reader, sql: str) -> Plan:
    reader.next()
    reader.one_of("WORK", "TRANSACTION")
    return _forward(reader, sql)


def _set(reader: Reader, sql: str) -> Plan:
    """SET, RESET and SHOW of the parameters that Redshift has."""
    verb = reader.need_one_of("SET", "RESET", "SHOW")
    if verb == "SET":
        reader.one_of("SESSION", "LOCAL")
    if reader.accept("ALL") and verb != "SET":
        return _forward(reader, sql)
    token = reader.peek()
    name = reader.identifier()
    if verb == "SET":
        reader.need_one_of("TO", "=")
        reader.next()
        while not reader.at_end:
            reader.expect(",")
            reader.next()
    reader.end()
    if name not in PARAMETERS:
        raise RefusedError(f'unrecognized configuration parameter "{name}"', "42704")
    if token is None or name in SHARED_PARAMETERS:
        return Forward(sql)
    return Forward(f"{sql[: token.start]}standin.{name}{sql[token.end :]}")


def _lock(reader: Reader, sql: str) -> Plan:
    """Always ACCESS EXCLUSIVE: there is no MODE and no NOWAIT."""
    reader.expect("LOCK")
    reader.accept("TABLE")
    reader.names()
    return _forward(reader, sql)


def _analyze(reader: Reader, sql: str) -> Plan:
    reader.expect("ANALYZE")
    if reader.word() == "COMPRESSION":
        raise not_served("ANALYZE COMPRESSION")
    reader.accept("VERBOSE")
    end = reader.tokens[reader.place - 1].end
    if not reader.at_end:
        reader.name()
        if reader.word() == "(":
            reader.name_list()
        end = reader.tokens[reader.place - 1].end
        if reader.one_of("PREDICATE", "ALL"):
            reader.expect("COLUMNS")
    reader.end()
    return Forward(sql[:end])


def _vacuum(reader: Reader, sql: str) -> Plan:
    reader.expect("VACUUM")
    reader.accept("SORT", "ONLY") or reader.accept("DELETE", "ONLY")
    reader.one_of("FULL", "REINDEX", "RECLUSTER")
    if not reader.at_end:
        reader.name()
    if reader.accept("TO"):
        reader.of_kind(Kind.NUMBER)
        reader.expect("PERCENT")
    reader.accept("BOOST")
    reader.end()
    return Nothing("VACUUM", outside_transactions=True)


def _truncate(reader: Reader, sql: str) -> Plan:
    reader.expect("TRUNCATE")
    reader.accept("TABLE")
    reader.name()
    reader.end()
    return Truncate(sql)


def _copy(reader: Reader, sql: str) -> Plan:
    copy: Copy = read_copy(reader, sql)
    return Load(copy)


def _refused(what: str) -> Callable[[Reader, str], Plan]:
    def refuse(reader: Reader, sql: str) -> Plan:
        raise not_served(what)

    return refuse


_KINDS: dict[str, Callable[[Reader, str], Plan]] = {
    "BEGIN": _begin, "START": _begin,
    "COMMIT": _end, "END": _end, "ROLLBACK": _end, "ABORT": _end,
    "SELECT": queries.query, "WITH": queries.query, "(": queries.query,
    "INSERT": queries.insert, "DELETE": queries.delete, "UPDATE": queries.update,
    "MERGE": queries.merge, "EXPLAIN": queries.explain,
    "DECLARE": queries.cursor, "FETCH": queries.cursor, "CLOSE": queries.cursor,
    "CREATE": definitions.create, "ALTER": definitions.alter, "DROP": definitions.drop,
    "TRUNCATE": _truncate,
    "GRANT": access.grant, "REVOKE": access.grant,
    "SET": _set, "RESET": _set, "SHOW": _set,
    "LOCK": _lock, "ANALYZE": _analyze, "ANALYSE": _analyze, "VACUUM": _vacuum,
    "COPY": _copy,
    "UNLOAD": _refused("UNLOAD"), "CALL": _refused("CALL"), "PREPARE": _refused("PREPARE"),
    "EXECUTE": _refused("EXECUTE"), "COMMENT": _refused("COMMENT"),
}  # fmt: skip
