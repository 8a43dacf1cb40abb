"""Queries and DML: the shape of each statement; what stands inside is judged by `denied.py`."""

from sparkify_dagster_tests.standin import denied
from sparkify_dagster_tests.standin.errors import RefusedError, not_served
from sparkify_dagster_tests.standin.plans import Forward, Plan
from sparkify_dagster_tests.standin.tokens import Kind, Reader, Token


def translated(tokens: tuple[Token, ...], sql: str) -> str:
    """SYSDATE is the one word of queries that PostgreSQL has under no name."""
    for token in reversed(tokens):
        if token.word == "SYSDATE":
            sql = f"{sql[: token.start]}pg_catalog.sysdate(){sql[token.end :]}"
    return sql


def query(reader: Reader, sql: str) -> Plan:
    """SELECT, or WITH before any DML."""
    verb = next(
        (
            t.word
            for t in reader.tokens
            if not t.depth and t.word in ("SELECT", "DELETE", "UPDATE", "INSERT")
        ),
        "",
    )
    if verb in ("DELETE", "UPDATE", "INSERT"):
        raise not_served(f"WITH before {verb}")
    denied.check(reader.tokens)
    return Forward(translated(reader.tokens, sql))


def insert(reader: Reader, sql: str) -> Plan:
    reader.expect("INSERT", "INTO")
    reader.name()
    if reader.word() == "(" and reader.word(1) not in ("SELECT", "WITH"):
        reader.name_list()
    if not (
        reader.accept("DEFAULT", "VALUES") or reader.word() in ("VALUES", "SELECT", "WITH", "(")
    ):
        raise reader.error()
    denied.check(reader.tokens)
    return Forward(translated(reader.tokens, sql))


def delete(reader: Reader, sql: str) -> Plan:
    reader.expect("DELETE")
    reader.accept("FROM")
    reader.name()
    if not reader.at_end and reader.word() not in ("WHERE", "USING"):
        raise reader.error()  # an alias, which a target cannot have
    denied.check(reader.tokens)
    return Forward(translated(reader.tokens, sql))


def update(reader: Reader, sql: str) -> Plan:
    reader.expect("UPDATE")
    reader.name()
    if reader.word() != "SET":
        reader.accept("AS")
        reader.identifier()
    reader.expect("SET")
    denied.check(reader.tokens)
    return Forward(translated(reader.tokens, sql))


def merge(reader: Reader, sql: str) -> Plan:
    """One MATCHED and one NOT MATCHED, without conditions; no alias on the target."""
    reader.expect("MERGE", "INTO")
    reader.name()
    reader.expect("USING")
    whens = [i for i, t in enumerate(reader.tokens) if t.word == "WHEN" and not t.depth]
    clauses = [tuple(t.word for t in reader.tokens[i + 1 : i + 4]) for i in whens]
    if [c for c in clauses if c[:2] == ("MATCHED", "THEN")] != clauses[:1] or len(clauses) != 2:
        raise RefusedError("MERGE needs one WHEN MATCHED and one WHEN NOT MATCHED clause")
    if clauses[1] != ("NOT", "MATCHED", "THEN"):
        raise RefusedError("MERGE needs one WHEN MATCHED and one WHEN NOT MATCHED clause")
    denied.check(reader.tokens)
    return Forward(translated(reader.tokens, sql))


def explain(reader: Reader, sql: str) -> Plan:
    reader.expect("EXPLAIN")
    reader.accept("VERBOSE")
    if reader.word() not in ("SELECT", "WITH", "INSERT", "DELETE", "UPDATE"):
        raise reader.error()
    denied.check(reader.tokens[reader.place :])
    return Forward(translated(reader.tokens, sql))


def cursor(reader: Reader, sql: str) -> Plan:
    if reader.accept("DECLARE"):
        reader.identifier()
        reader.expect("CURSOR")
        reader.accept("WITHOUT", "HOLD")
        reader.expect("FOR")
        denied.check(reader.rest())
        return Forward(translated(reader.tokens, sql))
    if reader.accept("CLOSE"):
        reader.identifier()
        reader.end()
        return Forward(sql)
    reader.expect("FETCH")
    if not reader.accept("NEXT"):
        reader.accept("FORWARD")
        if not reader.accept("ALL"):
            reader.of_kind(Kind.NUMBER)
    reader.expect("FROM")
    reader.identifier()
    reader.end()
    return Forward(sql)
