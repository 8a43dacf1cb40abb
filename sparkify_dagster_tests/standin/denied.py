"""What Redshift does not have inside queries and DML, found in the tokens of a statement.

REDSHIFT.md's "Absent" list and its other SQL rules; the shape of whole statements is not judged
here. Whatever passes goes verbatim to PostgreSQL, which knows the rest of the grammar.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from sparkify_dagster_tests.standin.errors import (
    UNSUPPORTED,
    RefusedError,
    syntax_error,
    unsupported,
)
from sparkify_dagster_tests.standin.tokens import Kind, Token
from sparkify_dagster_tests.standin.words import (
    BEFORE_PARENTHESIS,
    FRAMED,
    FUNCTIONS,
    LEADER_ONLY,
    RESERVED,
    TYPES,
    word_set,
)

_SYNTAX_ERRORS: tuple[tuple[str, ...], ...] = (
    ("ON", "CONFLICT"),
    ("RETURNING",),
    ("FILTER", "("),
    ("IS", "DISTINCT", "FROM"),
    ("IS", "NOT", "DISTINCT", "FROM"),
    ("LATERAL",),
    ("TABLESAMPLE",),
    ("FETCH", "FIRST"),
    ("FETCH", "NEXT"),
    ("FOR", "UPDATE"),
    ("FOR", "SHARE"),
    ("AS", "MATERIALIZED"),
    ("AS", "NOT", "MATERIALIZED"),
    ("ORDINALITY",),
    ("EXCEPT", "ALL"),
    ("INTERSECT", "ALL"),
    ("UNNEST", "("),
)
_UNSUPPORTED: dict[tuple[str, ...], str] = {
    ("DISTINCT", "ON"): "SELECT DISTINCT ON",
    ("ARRAY",): "an array constructor",
    ("ROW", "("): "a row constructor",
}
_FOREIGN_SYMBOLS = word_set("[ ] { } ` $ ? -> ->> #> #>> @> <@ && ->")
# Reserved words that have no part in a query: there they can only be names, and need quotes.
_NEVER_IN_QUERIES = RESERVED & word_set("""
    AES128 AES256 ALLOWOVERWRITE BACKUP BLANKSASNULL BZIP2 CREDENTIALS DEFLATE DEFRAG DELTA DELTA32K
    DISABLE EMPTYASNULL ENABLE ENCODE ENCRYPT ENCRYPTION EXPLICIT GLOBALDICT256 GLOBALDICT64K GZIP
    IDENTITY LANGUAGE LUN LUNS LZO LZOP MOSTLY8 MOSTLY16 MOSTLY32 NEW OFF OFFLINE OID OLD OPEN
    PARALLEL PERCENT PERMISSIONS RAW READRATIO RECOVER REJECTLOG RESORT RESTORE SNAPSHOT SYSTEM TAG
    TDES TEXT255 TEXT32K TRUNCATECOLUMNS WALLET
    """)
_FROM_ARGUMENTS = frozenset(("EXTRACT", "TRIM", "SUBSTRING", "OVERLAY"))
_CATALOGUE = ("information_schema.", "pg_")
_MONITORING = ("svv_", "svl_", "stl_", "stv_", "sys_", "svcs_")


def check(tokens: Sequence[Token]) -> None:
    """Refuse a query or a DML statement that Redshift would refuse.

    Raises:
        RefusedError: for the first thing that Redshift does not have.
    """
    opened = list(_opened(tokens))
    _check_words(tokens)
    _check_values(tokens)
    _check_literals(tokens)
    _check_functions(tokens, opened)
    _check_arguments(tokens)
    _check_types_and_names(tokens, opened)
    _check_windows(tokens)
    _check_leader(tokens, opened)


def _opened(tokens: Sequence[Token]) -> Iterator[int]:
    """For each token, where the parenthesis around it opens; -1 outside of all."""
    stack: list[int] = []
    for place, token in enumerate(tokens):
        if token.word == ")" and stack:
            yield stack.pop()
            continue
        yield stack[-1] if stack else -1
        if token.word == "(":
            stack.append(place)


def _words(tokens: Sequence[Token], place: int, count: int) -> tuple[str, ...]:
    return tuple(token.word for token in tokens[place : place + count])


def _check_words(tokens: Sequence[Token]) -> None:
    for place, token in enumerate(tokens):
        for pattern in _SYNTAX_ERRORS:
            if token.word == pattern[0] and _words(tokens, place, len(pattern)) == pattern:
                raise syntax_error(tokens[place + len(pattern) - 1].text)
        for pattern, what in _UNSUPPORTED.items():
            if token.word == pattern[0] and _words(tokens, place, len(pattern)) == pattern:
                raise unsupported(what)
        if token.word in _FOREIGN_SYMBOLS or token.word in _NEVER_IN_QUERIES:
            raise syntax_error(token.text)
        if token.word == "WINDOW" and _words(tokens, place + 2, 2) == ("AS", "("):
            raise unsupported("a named window")


def _check_values(tokens: Sequence[Token]) -> None:
    """VALUES belongs to INSERT alone; as a table it does not exist."""
    inserts = any(token.word == "INSERT" and token.depth == 0 for token in tokens)
    for token in tokens:
        if token.word == "VALUES" and (token.depth or not inserts):
            raise syntax_error(token.text)


def _check_literals(tokens: Sequence[Token]) -> None:
    for prefix, literal in pairwise(tokens):
        if literal.kind is Kind.STRING and prefix.end == literal.start and prefix.is_name:
            raise RefusedError(f'type "{prefix.name}" does not exist', "42704")


def _check_functions(tokens: Sequence[Token], opened: Sequence[int]) -> None:
    for place, (token, following) in enumerate(pairwise(tokens)):
        if following.word != "(" or token.kind is not Kind.WORD or token.word in BEFORE_PARENTHESIS:
            continue
        if token.word in FUNCTIONS or _names_a_relation(tokens, place, opened):
            continue
        raise RefusedError(f"function {token.name}() does not exist", "42883")


def _check_arguments(tokens: Sequence[Token]) -> None:
    """LAG and LEAD take an expression and an offset, and no default."""
    for place, token in enumerate(tokens):
        if token.word in ("LAG", "LEAD") and _words(tokens, place + 1, 1) == ("(",):
            inside = _inside(tokens, place + 1)
            commas = [t for t in inside if t.word == "," and t.depth == token.depth + 1]
            if len(commas) > 1:
                raise RefusedError(f"{token.name}() takes no default for missing rows", "42883")


def _names_a_relation(tokens: Sequence[Token], place: int, opened: Sequence[int]) -> bool:
    """Whether a column list follows: of an INSERT's table, a WITH query, or an alias."""
    first = place
    while first >= 2 and tokens[first - 1].word == ".":
        first -= 2
    if first and tokens[first - 1].word in ("INTO", "AS"):
        return True
    closing = next(i for i, o in enumerate(opened) if o == place + 1 and tokens[i].word == ")")
    return _words(tokens, closing + 1, 2) == ("AS", "(")


def _check_types_and_names(tokens: Sequence[Token], opened: Sequence[int]) -> None:
    for place, token in enumerate(tokens[:-1]):
        following = tokens[place + 1]
        casts = opened[place] > 0 and tokens[opened[place] - 1].word in ("CAST", "TRY_CAST")
        if token.word == "::" or (token.word == "AS" and casts):
            half = following.word == "DOUBLE" and _words(tokens, place + 2, 1) != ("PRECISION",)
            if following.word not in TYPES or half:
                raise RefusedError(f'type "{following.text.lower()}" does not exist', "42704")
        elif (
            token.word == "AS"
            and following.word in RESERVED
            and following.word not in ("SELECT", "WITH")
        ):
            raise syntax_error(following.text)


def _check_windows(tokens: Sequence[Token]) -> None:
    for place, token in enumerate(tokens):
        if token.word != "OVER":
            continue
        if _words(tokens, place + 1, 1) != ("(",):
            raise unsupported("a named window")
        inside = _inside(tokens, place + 1)
        ordered = any(_words(inside, i, 2) == ("ORDER", "BY") for i in range(len(inside)))
        words = {t.word for t in inside if t.depth == tokens[place + 1].depth + 1}
        if words & {"RANGE", "GROUPS", "EXCLUDE"}:
            raise syntax_error(
                next(t.text for t in inside if t.word in ("RANGE", "GROUPS", "EXCLUDE"))
            )
        framed = _function_before(tokens, place) in FRAMED
        if framed and ordered and "ROWS" not in words:
            raise RefusedError(
                "Aggregate window functions with an ORDER BY clause require a frame clause",
                UNSUPPORTED,
            )
        if not framed and "ROWS" in words:
            raise unsupported("a frame clause for this window function")


def _inside(tokens: Sequence[Token], opening: int) -> list[Token]:
    depth = tokens[opening].depth
    found = []
    for token in tokens[opening + 1 :]:
        if token.word == ")" and token.depth == depth:
            break
        found.append(token)
    return found


def _function_before(tokens: Sequence[Token], place: int) -> str:
    """The function whose call ends before this place."""
    depth = tokens[place].depth
    for i in range(place - 1, 0, -1):
        if tokens[i].word == "(" and tokens[i].depth == depth:
            return tokens[i - 1].word
    return ""


def _check_leader(tokens: Sequence[Token], opened: Sequence[int]) -> None:
    """Functions and catalogues of the leader node do not meet the tables of users."""
    names = set(relations(tokens, opened))
    if hidden := names & {"stl_load_errors", "pg_catalog.stl_load_errors"}:
        raise RefusedError(
            f"permission denied for relation {hidden.pop()}: the stand-in keeps no raw data",
            "42501",
        )
    tables = {name for name in names if not name.startswith(_CATALOGUE + _MONITORING)}
    if not tables:
        return
    leader = [t.text for t in tokens if t.word in LEADER_ONLY]
    leader += [name for name in names if name.startswith(_CATALOGUE)]
    if leader:
        raise RefusedError(
            "Specified types or functions (one per INFO message) not supported on Redshift tables.",
            UNSUPPORTED,
            f'"{leader[0]}" runs on the leader node only',
        )


def relations(tokens: Sequence[Token], opened: Sequence[int]) -> Iterator[str]:
    """The tables that a statement names, without the names that its WITH clauses define."""
    local = {
        token.name
        for place, token in enumerate(tokens)
        if token.is_name and _words(tokens, place + 1, 2) == ("AS", "(")
    }
    for place, token in enumerate(tokens):
        starts = token.word in ("FROM", "JOIN", "INTO") or (token.word == "UPDATE" and not place)
        if not starts:
            continue
        if opened[place] > 0 and tokens[opened[place] - 1].word in _FROM_ARGUMENTS:
            continue
        name = _name_at(tokens, place + 1)
        if name and name not in local:
            yield name


def _name_at(tokens: Sequence[Token], place: int) -> str:
    parts = []
    while place < len(tokens) and tokens[place].is_name:
        parts.append(tokens[place].name)
        if _words(tokens, place + 1, 1) != (".",):
            break
        place += 2
    return ".".join(parts)
