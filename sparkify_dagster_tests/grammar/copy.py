"""The COPY that the platform sends: from JSON in S3, by manifest, with everything said.

Redshift takes other forms as well; they are refused here because they load something else than
was meant, twice, or silently less.
"""

from collections.abc import Iterator

from sparkify_dagster_tests.grammar.statement import Statement

_LOSES_DATA = {
    "TRUNCATECOLUMNS": "cuts what is too long",
    "ACCEPTINVCHARS": "replaces characters",
    "ACCEPTANYDATE": "makes NULL of what is no date",
    "NOLOAD": "loads nothing",
}
_SECRETS = ("CREDENTIALS", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")


def copy(s: Statement) -> Iterator[str]:
    if not s.begins("COPY"):
        return
    if not s[s.after_name(1)].is_symbol("("):
        yield "COPY without a column list takes the table's order: name the columns"
    if not s.has("MANIFEST"):
        yield "COPY without MANIFEST takes every key that begins alike"
    if not s.has("JSON"):
        yield "COPY loads JSON: FORMAT JSON 'auto' or FORMAT JSON 's3://…'"
    for word in _SECRETS:
        if s.has(word):
            yield f"{word} puts a secret into the statement: IAM_ROLE"
    for word, what in _LOSES_DATA.items():
        if s.has(word):
            yield f"{word} {what}"
    for word in ("COMPUPDATE", "STATUPDATE"):
        if not s.has(word, "OFF"):
            yield f"COPY decides {word} by itself: {word} OFF"
