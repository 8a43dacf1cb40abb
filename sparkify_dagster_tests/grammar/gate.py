"""The grammar gate: whether Redshift would take a statement, as far as that is known without one.

A statement must be of the grammar that Redshift's stand-in serves, parse in sqlfluff's redshift
dialect, and pass our rules for what Redshift takes and means differently. It is a judgement of
text: no statement was run on Redshift.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise

from sparkify_dagster_tests.grammar import habits as grammar_habits
from sparkify_dagster_tests.grammar import sqlfluff as grammar_sqlfluff
from sparkify_dagster_tests.grammar import values as grammar_values
from sparkify_dagster_tests.grammar.copy import copy
from sparkify_dagster_tests.grammar.statement import Statement, bound
from sparkify_dagster_tests.grammar.subqueries import correlated
from sparkify_dagster_tests.standin.errors import RefusedError
from sparkify_dagster_tests.standin.statements import judge

RULES = (*grammar_habits.RULES, *grammar_values.RULES, copy, correlated)

# Of a long row list, the first and the last row are parsed.
_ROW_LIST = re.compile(r"^(\s*INSERT\s+INTO\s+[\w.]+\s*\([\w\s,]*\)\s*VALUES\s*)(?=\()", re.I)
_ROW = re.compile(r"\((?:[^()']|'(?:[^']|'')*'|\([^()]*\))*\)")
# What changes from run to run: numbers, days and identifiers.
_CHANGING = re.compile(r"\b(?:[0-9a-f]{8,}(?:-[0-9a-f]{4,})*|\d+)\b")


def problems_of(statement: str) -> list[str]:
    """Why Redshift would refuse a statement, or understand it differently; empty if all is well.

    Named parameters (`:name`) are bound to a literal first.
    """
    text = bound(statement)
    parsed = _CHANGING.sub("0", _shortened(text))
    return list(dict.fromkeys([*refusals(text), *grammar_sqlfluff.unparsable(parsed)]))


@cache
def refusals(text: str) -> tuple[str, ...]:
    """The problems that the stand-in and our own rules see."""
    return tuple(_refusals(text))


def _refusals(text: str) -> Iterator[str]:
    try:
        judge(text)
    except RefusedError as error:
        yield f"refused: {error}"
    try:
        statement = Statement(text)
    except RefusedError:
        return  # said already
    if not len(statement):
        yield "refused: no statement"
    for rule in RULES:
        yield from rule(statement)


def problems_of_session(statements: Iterable[str]) -> list[str]:
    """The problems of what one connection sent, in its order, each with its statement.

    Statements are those on the wire, with the BEGIN that psycopg2 sends by itself: a COPY outside
    a transaction goes on after its client is gone, and is committed without its ledger.
    """
    return list(dict.fromkeys(_problems_of_session(statements)))


def _problems_of_session(statements: Iterable[str]) -> Iterator[str]:
    open_transaction = False
    for statement in statements:
        shown = " ".join(statement.split())[:120]
        verb = statement.split(maxsplit=1)[0].upper().rstrip(";") if statement.strip() else ""
        if verb in ("BEGIN", "START"):
            open_transaction = True
        elif verb in ("COMMIT", "END", "ROLLBACK", "ABORT"):
            open_transaction = False
        if verb == "COPY" and not open_transaction:
            yield f"COPY outside a transaction: {shown}"
        for problem in problems_of(statement):
            yield f"{problem}: {shown}"


def _shortened(text: str) -> str:
    head = _ROW_LIST.match(text)
    if not head:
        return text
    rows = list(_ROW.finditer(text, head.end()))
    if len(rows) < 3:
        return text
    # Between rows there are commas alone; anything else is judged as it is.
    between = (text[a.end() : b.start()].strip() for a, b in pairwise(rows))
    if any(sign != "," for sign in between):
        return text
    return f"{head[0]}{rows[0][0]}, {rows[-1][0]}{text[rows[-1].end() :]}"
