"""COPY from JSON in S3: the statement's grammar and the options that do not go together.

Nothing is read or loaded here. Options that Redshift has and the platform does not send are
refused as not served, those that do not exist are syntax errors.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sparkify_dagster_tests.standin.errors import RefusedError, not_served, syntax_error
from sparkify_dagster_tests.standin.tokens import Kind, Reader
from sparkify_dagster_tests.standin.words import word_set

LARGEST_MAXERROR = 100_000
_NOT_WITH_JSON = word_set("""
    CSV DELIMITER ESCAPE FILLRECORD FIXEDWIDTH IGNOREBLANKLINES NULL READRATIO REMOVEQUOTES
    """)
_NOT_SERVED = word_set("""
    CREDENTIALS ACCESS_KEY_ID SECRET_ACCESS_KEY SESSION_TOKEN AVRO PARQUET ORC SHAPEFILE ENCRYPTED
    MASTER_SYMMETRIC_KEY LZOP SSH ACCEPTINVCHARS ACCEPTANYDATE ROUNDEC TRIMBLANKS EXPLICIT_IDS
    IGNOREHEADER TRUNCATECOLUMNS QUOTE IGNOREALLERRORS
    """)
_ARN = re.compile(r"default|arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+")
_S3 = re.compile(r"s3://[a-z0-9.-]+/.+")
_TIME_FORMATS = ("auto", "epochsecs", "epochmillisecs")


@dataclass(frozen=True)
class Copy:
    """One COPY. ``json`` is 'auto', 'auto ignorecase' or the place of a JSONPaths file."""

    table: str
    table_text: str
    columns: tuple[str, ...] | None
    source: str
    role: str = ""
    region: str | None = None
    manifest: bool = False
    json: str = ""
    compression: str = ""
    max_error: int = 0
    time_format: str = "auto"
    noload: bool = False
    update_statistics: bool | None = None
    empty_as_null: bool = False
    blanks_as_null: bool = False
    given: frozenset[str] = field(default=frozenset())


def read_copy(reader: Reader, sql: str) -> Copy:
    """A whole COPY statement.

    Raises:
        RefusedError: if Redshift would not take it, or the stand-in does not serve it.
    """
    reader.expect("COPY")
    start = reader.place
    table = reader.name()
    text = sql[reader.tokens[start].start : reader.tokens[reader.place - 1].end]
    columns = tuple(reader.name_list()) if reader.word() == "(" else None
    reader.expect("FROM")
    source = reader.of_kind(Kind.STRING).value
    if not _S3.fullmatch(source):
        raise not_served(f"COPY from {source.partition(':')[0]}")
    copy = Copy(table, text, columns, source)
    while not reader.at_end:
        copy = _read_option(copy, reader)
    return _checked(copy)


def _read_option(copy: Copy, reader: Reader) -> Copy:
    reader.accept("WITH")
    word = reader.word()
    if word in ("FORMAT", "AS"):
        reader.accept("FORMAT")
        reader.accept("AS")
        word = reader.word()
        if word not in ("JSON", *_NOT_WITH_JSON, *_NOT_SERVED):
            raise reader.error()
    if word in _NOT_SERVED:
        raise not_served(f"COPY with {word}")
    if word in _NOT_WITH_JSON:
        raise RefusedError(f"{'NULL AS' if word == 'NULL' else word} is not supported with JSON")
    if word in copy.given:
        raise RefusedError("conflicting or redundant options")
    read = _OPTIONS.get(word)
    if read is None:
        raise reader.error()
    reader.next()
    return replace(read(copy, reader), given=copy.given | {word})


def _text(reader: Reader) -> str:
    reader.accept("AS")
    return reader.of_kind(Kind.STRING).value


def _role(copy: Copy, reader: Reader) -> Copy:
    role = "default" if reader.accept("DEFAULT") else reader.of_kind(Kind.STRING).value
    if not all(_ARN.fullmatch(part) for part in role.split(",arn:") if part.startswith("arn:")):
        raise RefusedError(f"Invalid IAM role ARN {role}")
    return replace(copy, role=role)


def _region(copy: Copy, reader: Reader) -> Copy:
    return replace(copy, region=_text(reader))


def _manifest(copy: Copy, reader: Reader) -> Copy:
    return replace(copy, manifest=True)


def _json(copy: Copy, reader: Reader) -> Copy:
    reader.accept("AS")
    token = reader.peek()
    given = reader.next().value if token and token.kind is Kind.STRING else "auto"
    if given not in ("auto", "auto ignorecase") and not _S3.fullmatch(given):
        # 'noshred' loads into SUPER, which the platform has not.
        raise not_served(f"JSON '{given}'")
    return replace(copy, json=given)


def _compressed(name: str) -> Callable[[Copy, Reader], Copy]:
    def read(copy: Copy, reader: Reader) -> Copy:
        if copy.compression:
            raise RefusedError("conflicting or redundant options")
        return replace(copy, compression=name)

    return read


def _max_error(copy: Copy, reader: Reader) -> Copy:
    reader.accept("AS")
    token = reader.of_kind(Kind.NUMBER)
    if not token.text.isdigit() or int(token.text) > LARGEST_MAXERROR:
        raise RefusedError(f"MAXERROR must be a whole number from 0 to {LARGEST_MAXERROR}", "22023")
    return replace(copy, max_error=int(token.text))


def _on_or_off(reader: Reader, *more: str) -> str:
    return reader.one_of("ON", "OFF", "TRUE", "FALSE", *more) or "ON"


def _compupdate(copy: Copy, reader: Reader) -> Copy:
    _on_or_off(reader, "PRESET")
    return copy


def _statupdate(copy: Copy, reader: Reader) -> Copy:
    return replace(copy, update_statistics=_on_or_off(reader) in ("ON", "TRUE"))


def _comprows(copy: Copy, reader: Reader) -> Copy:
    reader.of_kind(Kind.NUMBER)
    return copy


def _time_format(copy: Copy, reader: Reader) -> Copy:
    given = _text(reader)
    if given not in _TIME_FORMATS:  # case-sensitive, as Redshift is
        raise not_served(f"TIMEFORMAT '{given}'")
    return replace(copy, time_format=given)


def _date_format(copy: Copy, reader: Reader) -> Copy:
    given = _text(reader)
    if given != "auto":
        raise not_served(f"DATEFORMAT '{given}'")
    return copy


def _encoding(copy: Copy, reader: Reader) -> Copy:
    reader.accept("AS")
    if reader.next().text.strip("'").upper() not in ("UTF8", "UTF"):
        raise not_served("COPY of another encoding than UTF8")
    return copy


_OPTIONS: dict[str, Callable[[Copy, Reader], Copy]] = {
    "IAM_ROLE": _role,
    "REGION": _region,
    "MANIFEST": _manifest,
    "JSON": _json,
    "GZIP": _compressed("gzip"),
    "BZIP2": _compressed("bzip2"),
    "ZSTD": _compressed("zstd"),
    "MAXERROR": _max_error,
    "COMPUPDATE": _compupdate,
    "STATUPDATE": _statupdate,
    "COMPROWS": _comprows,
    "TIMEFORMAT": _time_format,
    "DATEFORMAT": _date_format,
    "ENCODING": _encoding,
    "NOLOAD": lambda copy, _: replace(copy, noload=True),
    "EMPTYASNULL": lambda copy, _: replace(copy, empty_as_null=True),
    "BLANKSASNULL": lambda copy, _: replace(copy, blanks_as_null=True),
}


def _checked(copy: Copy) -> Copy:
    if not copy.role:
        # Redshift's own words for a COPY without any authorization.
        raise RefusedError("The COPY operation requires an authorization clause (IAM_ROLE)")
    if not copy.json:
        raise not_served("COPY of another format than JSON")
    if copy.columns is not None and len(set(copy.columns)) < len(copy.columns):
        raise syntax_error(copy.columns[-1])
    return copy
