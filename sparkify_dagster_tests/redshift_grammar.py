"""The grammar gate: whether Redshift would take a statement, as far as that is known without one.

A statement must parse in sqlfluff's redshift dialect and pass rules of our own for what sqlfluff
wrongly accepts. It is a judgement of text: no statement was run on Redshift.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise

from sparkify_dagster_tests import grammar_denied, grammar_values, grammar_verdicts
from sparkify_dagster_tests.grammar_copy import copy
from sparkify_dagster_tests.grammar_subqueries import correlated
from sparkify_dagster_tests.grammar_tokens import Statement, bound, read

RULES = (*grammar_denied.RULES, *grammar_values.RULES, copy, correlated)

# What Redshift documents and sqlfluff 4.5 does not know, as the text that is judged in its place.
# A test shows for each that sqlfluff still refuses it.
FALSE_REJECTIONS = (
    # COPY: every bad row is skipped, without a limit.
    (re.compile(r"(?<=\s)IGNOREALLERRORS\b(?=[^']*(?:'[^']*'[^']*)*$)"), ""),
    # ANALYZE: only the columns that queries filter by.
    (re.compile(r"^(\s*ANALYZE\s+[\w.]+)\s+PREDICATE\s+COLUMNS\s*;?\s*$", re.IGNORECASE), r"\1"),
)
# Of a long row list, the first and the last row are judged.
_ROW_LIST = re.compile(r"^(\s*INSERT\s+INTO\s+[\w.]+\s*\([\w\s,]*\)\s*VALUES\s*)(?=\()", re.I)
_ROW = re.compile(r"\((?:[^()']|'(?:[^']|'')*'|\([^()]*\))*\)")
_CHANGING = re.compile(r"\b(?:[0-9a-f]{8,}(?:-[0-9a-f]{4,})*|\d+)\b")


def problems_of(statement: str) -> list[str]:
    """Why Redshift would refuse a statement, or understand it differently; empty if all is well.

    Named parameters (`:name`) are bound to a literal first.
    """
    text = _shortened(bound(statement))
    return list(_judged(_CHANGING.sub("0", text)))


def problems_of_session(statements: Iterable[str]) -> list[str]:
    """The problems of what one connection sent, in its order, each with its statement.

    Statements are those on the wire, with the BEGIN that psycopg2 sends by itself: a COPY outside
    a transaction goes on after its client is gone, and is committed without its ledger.
    """
    return list(dict.fromkeys(_problems_of_session(statements)))


def _problems_of_session(statements: Iterable[str]) -> Iterator[str]:
    open_transaction = False
    for statement in statements:
        told = " ".join(statement.split())[:120]
        verb = statement.split(maxsplit=1)[0].upper().rstrip(";") if statement.strip() else ""
        if verb in ("BEGIN", "START"):
            open_transaction = True
        elif verb in ("COMMIT", "END", "ROLLBACK", "ABORT"):
            open_transaction = False
        if verb == "COPY" and not open_transaction:
            yield f"COPY outside a transaction: {told}"
        for problem in problems_of(statement):
            yield f"{problem}: {told}"


@cache
def _judged(text: str) -> tuple[str, ...]:
    """Cached by the text without what changes from run to run: numbers, days and identifiers."""
    verdicts = grammar_verdicts.in_use
    if verdicts.passed(text):
        return ()
    found = _problems_in(text)
    if not found:
        verdicts.keep(text)
    return found


def _problems_in(text: str) -> tuple[str, ...]:
    for pattern, instead in FALSE_REJECTIONS:
        text = pattern.sub(instead, text)
    statements, problems = read(text)
    if len(statements) != 1:
        return (*problems, f"{len(statements)} statements in one text: send one at a time")
    return tuple(dict.fromkeys([*problems, *_denied(statements[0])]))


def _denied(statement: Statement) -> Iterator[str]:
    for rule in RULES:
        yield from rule(statement)


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
