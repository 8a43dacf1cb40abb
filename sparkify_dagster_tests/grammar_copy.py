"""The COPY that the platform sends: from JSON in S3, by manifest, with everything said.

Redshift takes other forms as well; they are refused here because they load something else than
was meant, twice, or silently less.
"""

from collections.abc import Iterator

from sparkify_dagster_tests.grammar_tokens import Kind, Statement

_NOT_WITH_JSON = (
    "CSV", "DELIMITER", "ESCAPE", "FILLRECORD", "FIXEDWIDTH", "IGNOREBLANKLINES", "READRATIO",
    "REMOVEQUOTES",
)  # fmt: skip
_LOSES_DATA = {
    "TRUNCATECOLUMNS": "cuts what is too long",
    "ACCEPTINVCHARS": "replaces characters",
    "ACCEPTANYDATE": "makes NULL of what is no date",
    "NOLOAD": "loads nothing",
}
_JSON_WORDS = ("'auto'", "'auto ignorecase'")


def copy(s: Statement) -> Iterator[str]:
    if not s.begins("COPY"):
        return
    if s[1].is_word("JOB") or s.has("JOB", "CREATE"):
        yield "COPY JOB loads by name, beside the ledger: COPY by manifest"
        return
    yield from _target(s)
    yield from _source(s)
    yield from _format(s)
    yield from _options(s)


def _target(s: Statement) -> Iterator[str]:
    if not s[s.after_name(1)].is_symbol("("):
        yield "COPY without a column list takes the table's order: name the columns"


def _source(s: Statement) -> Iterator[str]:
    source = next((s[i + 1] for i in s.places("FROM") if s[i].depth == 0), None)
    if source is None or not source.text.startswith("'s3://"):
        yield "COPY reads from S3: FROM 's3://…'"
    if not s.has("MANIFEST"):
        yield "COPY without MANIFEST takes every key that begins alike"
    roles = [s[i + 1] for i in s.places("IAM_ROLE")]
    if not any(t.is_word("DEFAULT") or t.text.startswith("'arn:") for t in roles):
        yield "COPY without credentials: IAM_ROLE 'arn:…' or IAM_ROLE default"
    for word in ("CREDENTIALS", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        if s.has(word):
            yield f"{word} puts a secret into the statement: IAM_ROLE"


def _format(s: Statement) -> Iterator[str]:
    places = [i for i in s.places("JSON") if s[i].depth == 0]
    if len(places) != 1:
        yield "COPY loads JSON: FORMAT JSON 'auto' or FORMAT JSON 's3://…'"
        return
    paths = s[places[0] + 1 + s[places[0] + 1].is_word("AS")]
    if paths.text not in _JSON_WORDS and not paths.text.startswith("'s3://"):
        yield "JSON takes 'auto', 'auto ignorecase' or the 's3://…' of a JSONPaths file"
    for word in _NOT_WITH_JSON:
        if any(s[i].depth == 0 for i in s.places(word)):
            yield f"{word} is not allowed with JSON"
    if s.has("NULL", "AS"):
        yield "NULL AS is not allowed with JSON"


def _options(s: Statement) -> Iterator[str]:
    words = {token.text for token in s.tokens if token.is_word() and token.depth == 0}
    for word in sorted(words & _LOSES_DATA.keys()):
        yield f"{word} {_LOSES_DATA[word]}"
    for word in ("COMPUPDATE", "STATUPDATE"):
        if not s.has(word, "OFF"):
            yield f"COPY decides {word} by itself: {word} OFF"
    for i in s.places("TIMEFORMAT"):
        text = s[i + 1 + s[i + 1].is_word("AS")]
        epoch = text.kind is Kind.LITERAL and text.text.lower().startswith("'epoch")
        if epoch and text.text not in ("'epochsecs'", "'epochmillisecs'"):
            yield f"TIMEFORMAT {text.text} is case-sensitive: 'epochsecs' or 'epochmillisecs'"
