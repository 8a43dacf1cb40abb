"""SQL that people type: where a statement ends, and whether it only reads.

Text alone, no warehouse. That nothing can be written is the warehouse's read session, and what is
refused here gets a clearer message, on every engine the same. One thing only this module prevents:
a server obeys several statements in one text, and COMMIT ends the session that reads. So a text is
one statement only if no engine can take it for more.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from sparkify_dagster.errors import QueryError

READING = (
    "SELECT", "WITH", "FROM", "VALUES", "TABLE", "SHOW", "DESCRIBE", "SUMMARIZE", "EXPLAIN",
    "PIVOT", "UNPIVOT",
)  # fmt: skip
"""The words with which a statement that reads begins, on one engine or another."""
_NAME = re.compile(r"\s*([\w-]+)\s*;?\s*")
_SQL_PART = re.compile(
    r"""(?P<comment>--[^\n\r]*|/\*.*?(?:\*/|\Z))
    | (?P<quoted>'(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z)
        | (?<![\w$\x80-\U0010ffff])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z))
    | (?P<end>;)
    | (?P<space>\s+)
    | (?P<word>\w+)
    | (?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)


def one_reading_statement(sql: str) -> str:
    """The statement without its semicolon.

    Raises:
        QueryError: if there is none, several, or one that does not read.
    """
    found = split(sql)
    if not found:
        raise QueryError('There is no statement: give one, such as "SELECT COUNT(*) FROM users".')
    if len(found) > 1:
        raise QueryError("These are several statements: ask one at a time.")
    _refuse_writing(found[0])
    if ";" in found[0]:
        _refuse_unclear(found[0])
    return found[0]


def split(sql: str) -> list[str]:
    """The statements of a text, each without its semicolon."""
    statements: list[str] = []
    start, says_something = 0, False
    for part in _SQL_PART.finditer(sql):
        kind = part.lastgroup
        if kind == "end":
            if says_something:
                statements.append(sql[start : part.start()].strip())
            start, says_something = part.end(), False
        elif kind not in ("comment", "space"):
            says_something = True
    return [*statements, sql[start:].strip()] if says_something else statements


def is_ended(sql: str) -> bool:
    """Whether nothing but white space and comments follows the last semicolon."""
    ended = False
    for part in _SQL_PART.finditer(sql):
        if part.lastgroup not in ("comment", "space"):
            ended = part.lastgroup == "end"
    return ended


def single_name(text: str) -> str | None:
    """The name that the text is, in lower case; None for what is longer, and for SQL's words."""
    found = _NAME.fullmatch(text)
    name = found[1].lower() if found else ""
    return name if name and name.upper() not in READING else None


def _refuse_writing(statement: str) -> None:
    first, *words = _words(statement)
    if first not in READING:
        raise QueryError(
            f"{first[:40]} is not a statement that reads, and only reading is possible here: a"
            f" statement begins with {', '.join(READING[:-1])} or {READING[-1]}. Nothing was"
            " changed."
        )
    # SELECT … INTO makes a table on a server; only the INTO NAME of UNPIVOT does not write.
    if any(word == "INTO" and after != "NAME" for word, after in pairwise([*words, ""])):
        raise QueryError(
            "INTO writes a table, and only reading is possible here. Nothing was changed."
        )


def _refuse_unclear(statement: str) -> None:
    """Refuse what engines read differently, where that decides whether a semicolon is quoted.

    A quote behind a backslash (`E'…'` on PostgreSQL, every literal on Redshift), a comment within a
    comment, and a `$` that may belong to a name.
    """
    unclear = "\\'" in statement
    for part in _SQL_PART.finditer(statement):
        nested = part.lastgroup == "comment" and "/*" in part[0][2:] and part[0].startswith("/*")
        unclear = unclear or nested or part[0] == "$"
    if unclear:
        raise QueryError(
            "It is not clear on every engine where this statement ends: it has a semicolon inside,"
            " together with \\' or a comment within a comment or a $ that begins no quote. Write"
            " CHR(59) for the semicolon. Nothing was changed."
        )


def _words(statement: str) -> Iterator[str]:
    """What the statement begins with, behind parentheses, and its words; nothing quoted."""
    first = True
    for part in _SQL_PART.finditer(statement):
        kind = part.lastgroup
        if kind == "word" or (first and kind not in ("comment", "space") and part[0] != "("):
            yield part[0].upper()
            first = False
    if first:
        yield statement
