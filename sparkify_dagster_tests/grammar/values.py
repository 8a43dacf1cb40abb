"""What means something else on Redshift than on the other engines, although all of them take it.

One function a rule. Types are known where a cast, a literal or a column of our tables shows them;
where nothing does, a number counts as whole, and a cast makes it plain.
"""

from collections.abc import Iterator, Sequence

from sparkify_dagster.catalogue.tables import load_tables
from sparkify_dagster_tests.grammar.statement import Rule, Statement, arguments
from sparkify_dagster_tests.standin.tokens import Kind, Token

_CLAUSES = {
    "AND", "AS", "BETWEEN", "BY", "CASE", "DISTINCT", "ELSE", "FROM", "HAVING", "IN", "INTO", "IS",
    "LIKE", "LIMIT", "NOT", "ON", "OR", "SELECT", "SET", "THEN", "UNION", "USING", "VALUES", "WHEN",
    "WHERE",
}  # fmt: skip
_COMPARISONS = ("=", "<>", "!=", "<", ">", "<=", ">=")
_FLOAT_TYPES = {"DOUBLE", "FLOAT", "FLOAT4", "FLOAT8", "REAL", "DECIMAL", "NUMERIC"}
_FLOAT_COLUMNS = {
    column.name.upper()
    for table in load_tables().values()
    for column in table.columns
    if column.is_float
}


def integer_averages(s: Statement) -> Iterator[str]:
    for i in s.calls("AVG"):
        if not _is_fraction(s.inside(i + 1)):
            yield "AVG of whole numbers is cut to one: cast to DOUBLE PRECISION"


def integer_divisions(s: Statement) -> Iterator[str]:
    for i, token in enumerate(s.tokens):
        if not token.is_symbol("/"):
            continue
        if not _is_fraction(_factors_before(s, i)) and not _is_fraction(_factor_after(s, i)):
            yield (
                "a division of whole numbers is cut to one, except on DuckDB: "
                "cast one side to DOUBLE PRECISION"
            )


def trims(s: Statement) -> Iterator[str]:
    for i in s.calls("TRIM", "LTRIM", "RTRIM", "BTRIM"):
        inner = s.inside(i + 1)
        depth = s[i].depth + 1
        words = [t for t in inner if t.depth == depth]
        cut = next((n for n, t in enumerate(words) if t.is_word("FROM")), None)
        sides = ("BOTH", "LEADING", "TRAILING")
        named = cut is not None and any(not t.is_word(*sides) for t in words[:cut])
        if len(arguments(inner)) < 2 and not named:
            yield f"{s[i].word} of one argument strips other characters on DuckDB: name them"


def dates(s: Statement) -> Iterator[str]:
    if any(s.calls("DATEDIFF", "DATE_DIFF")):
        yield "DATEDIFF counts the boundaries between, and differs by engine: subtract"
    for i in s.calls("EXTRACT"):
        part = s[i + 2].word
        if part in ("ISODOW", "ISOYEAR", "JULIAN", "WEEKDAY", "DAYOFWEEK", "DW"):
            yield f"EXTRACT({part}) is absent or differs by engine: DOW is 0 (Sunday) to 6"


def trailing_blanks(s: Statement) -> Iterator[str]:
    for i, token in enumerate(s.tokens):
        if token.kind is Kind.STRING and token.text.endswith(" '"):
            beside = (s[i - 1], s[i + 1])
            if any(t.is_symbol(*_COMPARISONS) or t.is_word("LIKE", "IN") for t in beside):
                yield "a comparison ignores trailing blanks: RTRIM(…, ' ') both sides"


RULES: tuple[Rule, ...] = (integer_averages, integer_divisions, trims, dates, trailing_blanks)


def _is_fraction(tokens: Sequence[Token]) -> bool:
    """Whether something in an expression shows that it is no whole number."""
    for i, token in enumerate(tokens):
        if token.kind is Kind.NUMBER and any(sign in token.text for sign in ".eE"):
            return True
        if token.is_word(*_FLOAT_COLUMNS):
            return True
        before = tokens[i - 1] if i else None
        typed = before is not None and (before.is_word("AS") or before.is_symbol("::"))
        if typed and token.is_word(*_FLOAT_TYPES):
            return True
    return False


def _factors_before(s: Statement, sign: int) -> Sequence[Token]:
    """The product to the left of a division."""
    start = sign
    while start > 0:
        token = s[start - 1]
        if token.depth < s[sign].depth or (token.depth == s[sign].depth and _ends_factor(token)):
            break
        start -= 1
    return s.tokens[start:sign]


def _factor_after(s: Statement, sign: int) -> Sequence[Token]:
    end = sign + 1
    while end < len(s):
        token = s[end]
        ends = _ends_factor(token) or token.is_symbol("*", "/", "%")
        if token.depth < s[sign].depth or (token.depth == s[sign].depth and ends):
            break
        end += 1
    return s.tokens[sign + 1 : end]


def _ends_factor(token: Token) -> bool:
    return token.is_symbol("+", "-", ",", "||", *_COMPARISONS) or token.is_word(*_CLAUSES)
