"""What Redshift refuses although sqlfluff may parse it.

One function a rule; values, COPY and subqueries have modules of their own. A rule sees tokens
only: text in literals, quoted names and comments never reaches it.
"""

from collections.abc import Callable, Iterator

from sparkify_dagster_tests.grammar_tokens import Statement, arguments

Rule = Callable[[Statement], Iterator[str]]

_ABSENT = {
    ("ON", "CONFLICT"): "delete, then insert",
    ("DISTINCT", "ON"): "take ROW_NUMBER() = 1",
    ("IS", "DISTINCT", "FROM"): "compare NULLs in the open",
    ("IS", "NOT", "DISTINCT", "FROM"): "compare NULLs in the open",
    ("EXCEPT", "ALL"): "only EXCEPT is there",
    ("INTERSECT", "ALL"): "only INTERSECT is there",
    ("ON", "COMMIT"): "drop the table",
    ("FOR", "UPDATE"): "rows are not locked",
    ("FOR", "SHARE"): "rows are not locked",
    ("TABLESAMPLE",): "order by something and limit",
    ("SAVEPOINT",): "a transaction is whole",
    ("JOIN", "LATERAL"): "join a subquery that stands alone",
    (",", "LATERAL"): "join a subquery that stands alone",
    ("GENERATED", "ALWAYS"): "compute the column when inserting",
}  # fmt: skip
# "Unsupported PostgreSQL functions" of the developer guide, and DuckDB's that come to mind.
_ABSENT_FUNCTIONS = """
    ARRAY_AGG BIT_LENGTH CLOCK_TIMESTAMP CORR COVAR_POP COVAR_SAMP DATE_BIN DIV EPOCH_MS EVERY
    FORMAT GENERATE_SERIES GENERATE_SUBSCRIPTS GEN_RANDOM_UUID JUSTIFY_DAYS JUSTIFY_HOURS
    JUSTIFY_INTERVAL LIST MAKE_DATE MAKE_TIMESTAMP MODE NEXTVAL OVERLAY PG_ADVISORY_LOCK
    PG_ADVISORY_XACT_LOCK PG_SLEEP PG_TRY_ADVISORY_XACT_LOCK QUOTE_NULLABLE REGEXP_MATCHES
    REGEXP_SPLIT_TO_ARRAY REGEXP_SPLIT_TO_TABLE REGR_SLOPE SETSEED STRFTIME STRING_AGG STRPTIME
    STRUCT_PACK TRANSACTION_TIMESTAMP STATEMENT_TIMESTAMP TRY_CAST UNNEST WIDTH_BUCKET XMLAGG
"""
# On the leader node alone: with a table of ours in the query they fail.
_LEADER_ONLY = {"NOW", "AGE", "CURRENT_TIME", "LOCALTIME", "ISFINITE"}
_LEADER_ONLY_WORDS = {"CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "CURRENT_TIME", "LOCALTIME"}
_ABSENT_TYPES = """
    BIGSERIAL BLOB BYTEA CIDR HUGEINT INET INT1 JSON JSONB MONEY SERIAL SMALLSERIAL STRING STRUCT
    TIMESTAMP_MS TINYINT UBIGINT UHUGEINT UINTEGER USMALLINT UTINYINT UUID XML
"""
_AGGREGATES = """
    ANY_VALUE AVG COUNT FIRST_VALUE LAST_VALUE LISTAGG MAX MEDIAN MIN NTH_VALUE STDDEV STDDEV_POP
    STDDEV_SAMP SUM VARIANCE VAR_POP VAR_SAMP
"""


def absent_words(s: Statement) -> Iterator[str]:
    for words, instead in _ABSENT.items():
        if s.has(*words):
            yield f"{' '.join(words)} is absent: {instead}"
    for verb in ("INSERT", "UPDATE", "DELETE", "MERGE"):
        if s.begins(verb) and any(s[i].depth == 0 for i in s.places("RETURNING")):
            yield "RETURNING is absent: select the rows"


def absent_functions(s: Statement) -> Iterator[str]:
    for i in s.calls(*_ABSENT_FUNCTIONS.split()):
        yield f"{s[i].text} is absent"
    for i in s.places("FILTER", "("):
        if s[i - 1].is_symbol(")"):
            yield "FILTER is absent: aggregate a CASE"


def arrays(s: Statement) -> Iterator[str]:
    if any(token.is_symbol("[") for token in s.tokens) or any(s.calls("ARRAY")):
        yield "arrays are absent"


def leader_node_only(s: Statement) -> Iterator[str]:
    named = {s[i].text for i in s.calls(*_LEADER_ONLY)}
    words = (i for i, token in enumerate(s.tokens) if token.is_word(*_LEADER_ONLY_WORDS))
    named |= {s[i].text for i in words if not s[i - 1].is_symbol(".")}
    for name in sorted(named):
        yield f"{name} fails on tables of ours: bind the time"


def absent_types(s: Statement) -> Iterator[str]:
    for i in _types(s):
        if s[i].text in _ABSENT_TYPES.split() or (
            s[i].text == "DOUBLE" and s[i + 1].text != "PRECISION"
        ):
            yield f"type {s[i].text} is absent"
    if s.begins("CREATE"):
        for i in _column_types(s):
            unsized = s[i].text in ("VARCHAR", "NVARCHAR", "CHAR") and not s[i + 1].is_symbol("(")
            if unsized or s[i].text in ("TEXT", "BPCHAR"):
                yield f"{s[i].text} without a size is short on Redshift: write VARCHAR(n)"


def values_as_a_table(s: Statement) -> Iterator[str]:
    for i in s.places("VALUES"):
        inserts = s.begins("INSERT") or s.begins("MERGE")
        if not inserts or s[i].depth or s[i - 1].is_word("FROM", "JOIN", "UNION", "ALL"):
            yield "VALUES is only there to insert: SELECT with UNION ALL"


def alter_table(s: Statement) -> Iterator[str]:
    if not s.begins("ALTER", "TABLE"):
        return
    if any(token.is_symbol(",") and token.depth == 0 for token in s.tokens):
        yield "ALTER TABLE changes one column: write one statement for each"
    if s.has("IF", "EXISTS") or s.has("IF", "NOT", "EXISTS"):
        yield "ALTER TABLE has no IF EXISTS: look first"
    if s.has("APPEND", "FROM"):
        yield "ALTER TABLE APPEND cannot run in a transaction"
    if any(s[i].depth == 0 for i in s.places("TYPE")):
        yield "ALTER COLUMN TYPE cannot run in a transaction"


def target_aliases(s: Statement) -> Iterator[str]:
    if s.begins("DELETE"):
        after = s.after_name(2 if s[1].is_word("FROM") else 1)
        if after < len(s) and not s[after].is_word("WHERE", "USING"):
            yield "DELETE takes no alias for its table: name the table"
    if s.begins("MERGE"):
        after = s.after_name(2 if s[1].is_word("INTO") else 1)
        if not s[after].is_word("USING"):
            yield "MERGE takes no alias for its target: name the table"


def merge(s: Statement) -> Iterator[str]:
    if s.begins("WITH") and any(s[i].depth == 0 for i in s.places("MERGE")):
        yield "MERGE takes no WITH: make a temporary table"
    if not s.begins("MERGE"):
        return
    if s.has("WITH"):
        yield "MERGE takes no WITH: make a temporary table"
    if s.has("REMOVE", "DUPLICATES"):
        return
    whens = list(s.places("WHEN"))
    shapes = sorted("NOT MATCHED" if s[i + 1].is_word("NOT") else "MATCHED" for i in whens)
    if shapes != ["MATCHED", "NOT MATCHED"]:
        yield "MERGE needs exactly one WHEN MATCHED and one WHEN NOT MATCHED"
    for i in whens:
        matched = i + 2 if s[i + 1].is_word("NOT") else i + 1
        if not s[matched + 1].is_word("THEN"):
            yield "MERGE takes no condition beside MATCHED: restrict the source"


def commands(s: Statement) -> Iterator[str]:
    if s.begins("TRUNCATE"):
        yield "TRUNCATE commits the open transaction: DELETE"
    if s.begins("VACUUM"):
        yield "VACUUM cannot run in a transaction"
    if s.begins("LOCK") and (s.has("MODE") or s.has("NOWAIT")):
        yield "LOCK has no modes: LOCK TABLE name"
    if s.begins("ROLLBACK", "TO") or s.begins("ROLLBACK", "WORK", "TO"):
        yield "savepoints are absent"
    if s.begins("CREATE"):
        for what in ("INDEX", "SEQUENCE", "TRIGGER", "DOMAIN", "EXTENSION", "TYPE", "RULE"):
            if s[1].is_word(what) or s.begins("CREATE", "UNIQUE", what):
                yield f"CREATE {what} is absent"


def identity(s: Statement) -> Iterator[str]:
    if s.begins("CREATE") or s.begins("ALTER"):
        for i in s.places("IDENTITY"):
            if s[i + 1].is_symbol("(") or s[i - 1].is_word("AS"):
                yield "IDENTITY has gaps and changes on reload: hash the natural key"


def windows(s: Statement) -> Iterator[str]:
    for i in s.places("OVER"):
        function = _called_before(s, i)
        if not s[i + 1].is_symbol("("):
            yield "named windows are absent: write the window after OVER"
            continue
        inner = s.inside(i + 1)
        words = {token.text for token in inner if token.is_word() and token.depth == s[i].depth + 1}
        if words & {"RANGE", "GROUPS"}:
            yield "a window's frame is ROWS: RANGE is absent"
        elif function in _AGGREGATES.split() and "ORDER" in words and "ROWS" not in words:
            yield f"{function} OVER (… ORDER BY …) needs a ROWS frame"
    for i in s.calls("LAG", "LEAD"):
        if len(arguments(s.inside(i + 1))) > 2:
            yield f"{s[i].text} has no third argument: COALESCE it"


RULES: tuple[Rule, ...] = (
    absent_words, absent_functions, arrays, leader_node_only, absent_types, values_as_a_table,
    alter_table, target_aliases, merge, commands, identity, windows,
)  # fmt: skip


def _types(s: Statement) -> Iterator[int]:
    """The indexes of the names of types: after `::`, in CAST, and of columns."""
    for i in range(len(s)):
        if s[i].is_symbol("::"):
            yield i + 1
    for i in s.calls("CAST", "TRY_CAST"):
        depth, end = s[i].depth + 1, s.closing(i + 1)
        places = (n for n in range(i, end) if s[n].is_word("AS") and s[n].depth == depth)
        yield from (n + 1 for n in places)
    if s.begins("CREATE"):
        yield from _column_types(s)
    if s.begins("ALTER", "TABLE"):
        yield from (i + 2 + s[i + 1].is_word("COLUMN") for i in s.places("ADD"))


def _column_types(s: Statement) -> Iterator[int]:
    if "TABLE" not in {token.text for token in s.tokens[:3]} or not s.has("("):
        return
    opening = next(s.places("("))
    if s[opening - 1].is_word("AS") or s[opening + 1].is_word("SELECT", "WITH", "LIKE"):
        return
    end = s.closing(opening)
    for i in range(opening, end):
        starts = i == opening or (s[i].is_symbol(",") and s[i].depth == 1)
        constraint = s[i + 1].is_word("PRIMARY", "FOREIGN", "UNIQUE", "LIKE", "CONSTRAINT")
        if starts and not constraint:
            yield i + 2


def _called_before(s: Statement, over: int) -> str:
    """The function whose window begins at `over`."""
    for i in range(over - 1, 0, -1):
        if s[i].is_symbol("(") and s[i].depth == s[over].depth:
            return s[i - 1].text
    return ""
