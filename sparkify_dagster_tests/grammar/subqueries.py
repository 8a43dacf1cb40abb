"""Correlated subqueries that Redshift cannot turn into joins, and refuses when they run.

The patterns are those of the developer guide, "Correlated subqueries"; a comparison other than
`=` is beyond what it promises. A reference counts as correlated where its table is named further
out, so columns must carry their table, as ours do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sparkify_dagster_tests.grammar.statement import Statement
from sparkify_dagster_tests.standin.tokens import Token

_CLAUSES = {
    "EXCEPT", "FROM", "GROUP", "HAVING", "INTERSECT", "LIMIT", "ON", "ORDER", "SELECT", "SET",
    "UNION", "VALUES", "WHERE", "WITH",
}  # fmt: skip
_BEFORE_RELATION = ("FROM", "JOIN", "USING", "UPDATE", "INTO")
_NOT_AN_ALIAS = _CLAUSES | {
    "AS", "CROSS", "FULL", "INNER", "JOIN", "LEFT", "NATURAL", "RIGHT", "USING", "WHEN",
}  # fmt: skip
_UNEQUAL = ("<", ">", "<=", ">=", "<>", "!=")
_UNEQUAL_WORDS = ("BETWEEN", "LIKE", "ILIKE", "SIMILAR")
_AGGREGATES = ("AVG", "COUNT", "LISTAGG", "MAX", "MEDIAN", "MIN", "SUM")


@dataclass
class _Block:
    """A SELECT with its tokens, without those of the subqueries in it."""

    outer: "_Block | None"
    before: list[Token]
    """What stands before it in the block around it, nearest last."""
    tokens: list[Token] = field(default_factory=list)

    def has(self, word: str) -> bool:
        return any(token.is_word(word) for token in self.tokens)

    @property
    def clause(self) -> str:
        """The clause of the outer block that it stands in."""
        return next((t.word for t in reversed(self.before) if t.is_word(*_CLAUSES)), "")

    def sources(self) -> set[str]:
        """The names by which its tables are called."""
        found: set[str] = set()
        for i, token in enumerate(self.tokens):
            if token.is_word(*_BEFORE_RELATION):
                found |= set(_relations(self.tokens[i + 1 :]))
        return found


def correlated(s: Statement) -> Iterator[str]:
    for block in _blocks(s):
        own = block.sources()
        for i, name in _qualifiers(block.tokens):
            if name not in own and (distance := _distance(block, name)):
                column = f"{name}.{block.tokens[i + 2].name}"
                for problem in _problems(block, i, distance):
                    yield f"correlated subquery ({column}): {problem}"


def _problems(block: _Block, place: int, distance: int) -> Iterator[str]:
    if distance > 1:
        yield "the reference skips a query block"
    if block.clause == "FROM":
        yield "a subquery in FROM stands alone, LATERAL is absent"
    if block.clause == "ON":
        yield "it is part of an ON clause"
    if block.clause == "GROUP":
        yield "it is part of GROUP BY"
    if block.has("OVER"):
        yield "it holds a window function"
    if block.has("LIMIT"):
        yield "it holds a LIMIT"
    aggregates = any(token.is_word(*_AGGREGATES) for token in block.tokens)
    if block.before and block.before[-1].is_word("IN") and aggregates and block.has("GROUP"):
        yield "it aggregates by group and is compared by IN"
    beside = (*block.tokens[max(place - 1, 0) : place], *block.tokens[place + 3 : place + 4])
    if any(t.is_symbol(*_UNEQUAL) or t.is_word(*_UNEQUAL_WORDS) for t in beside):
        yield "it is compared by something else than ="


def _blocks(s: Statement) -> list[_Block]:
    current = _Block(None, [])
    found, open_at = [current], list[tuple[int, _Block]]()
    for i, token in enumerate(s.tokens):
        if token.is_symbol("(") and s[i + 1].is_word("SELECT", "WITH"):
            open_at.append((token.depth, current))
            current = _Block(current, list(current.tokens))
            found.append(current)
        elif open_at and token.is_symbol(")") and token.depth == open_at[-1][0]:
            _, current = open_at.pop()
            # A place for what was left out, so that an alias is found behind it.
            current.tokens.append(token)
        else:
            current.tokens.append(token)
    return found


def _relations(tokens: list[Token]) -> Iterator[str]:
    """The aliases, or names, of the relations that a FROM or JOIN begins with."""
    i = 0
    while i < len(tokens):
        name = tokens[i].name if tokens[i].is_name else ""
        i += 1
        while i + 1 < len(tokens) and tokens[i].is_symbol("."):
            name, i = tokens[i + 1].name, i + 2
        if i < len(tokens) and tokens[i].is_word("AS"):
            i += 1
        if i < len(tokens) and tokens[i].is_name and tokens[i].word not in _NOT_AN_ALIAS:
            name, i = tokens[i].name, i + 1
        if name:
            yield name
        if not (i < len(tokens) and tokens[i].is_symbol(",")):
            return
        i += 1


def _qualifiers(tokens: list[Token]) -> Iterator[tuple[int, str]]:
    """The tables named before a column: `t.c`, but not the `s.t` of a FROM."""
    for i in range(len(tokens) - 2):
        before = tokens[i - 1] if i else None
        named = tokens[i].is_name and tokens[i + 1].is_symbol(".")
        table = before is not None and (before.is_word(*_BEFORE_RELATION) or before.is_symbol("."))
        if named and not table:
            yield i, tokens[i].name


def _distance(block: _Block, name: str) -> int:
    """How many blocks further out a table is named; 0 if nowhere."""
    distance, outer = 1, block.outer
    while outer is not None:
        if name in outer.sources():
            return distance
        distance, outer = distance + 1, outer.outer
    return 0
