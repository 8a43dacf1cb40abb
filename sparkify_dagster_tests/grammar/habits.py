"""What Redshift takes, and the platform must not send: it does something else than is meant.

One function a rule. What Redshift refuses is known to its stand-in alone.
"""

from collections.abc import Iterator

from sparkify_dagster_tests.grammar.statement import Rule, Statement


def transactions(s: Statement) -> Iterator[str]:
    if s.begins("TRUNCATE"):
        yield "TRUNCATE commits the open transaction: DELETE"
    if s.begins("VACUUM"):
        yield "VACUUM cannot run in a transaction"
    if s.begins("ALTER", "TABLE") and s.has("APPEND", "FROM"):
        yield "ALTER TABLE APPEND cannot run in a transaction"
    if s.begins("ALTER", "TABLE") and any(s[i].depth == 0 for i in s.places("TYPE")):
        yield "ALTER COLUMN TYPE cannot run in a transaction"


def identity(s: Statement) -> Iterator[str]:
    if s.begins("CREATE") or s.begins("ALTER"):
        for i in s.places("IDENTITY"):
            if s[i + 1].is_symbol("(") or s[i - 1].is_word("AS"):
                yield "IDENTITY has gaps and changes on reload: hash the natural key"


def sizes(s: Statement) -> Iterator[str]:
    if not s.begins("CREATE"):
        return
    for i in _column_types(s):
        unsized = s[i].is_word("VARCHAR", "NVARCHAR", "CHAR") and not s[i + 1].is_symbol("(")
        if unsized or s[i].is_word("TEXT", "BPCHAR"):
            yield f"{s[i].word} without a size is short on Redshift: write VARCHAR(n)"


RULES: tuple[Rule, ...] = (transactions, identity, sizes)


def _column_types(s: Statement) -> Iterator[int]:
    """The indexes of the types of a CREATE TABLE's columns."""
    if "TABLE" not in {token.word for token in s.tokens[:3]} or not s.has("("):
        return
    opening = next(s.places("("))
    if s[opening - 1].is_word("AS") or s[opening + 1].is_word("SELECT", "WITH", "LIKE"):
        return
    for i in range(opening, opening + 1 + len(s.inside(opening))):
        starts = i == opening or (s[i].is_symbol(",") and s[i].depth == 1)
        constraint = s[i + 1].is_word("PRIMARY", "FOREIGN", "UNIQUE", "LIKE", "CONSTRAINT")
        if starts and not constraint:
            yield i + 2
