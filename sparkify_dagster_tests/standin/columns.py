"""A JSON value into a column: what COPY stores, and the load errors with Redshift's numbers.

Numbers and texts of the errors are those of the guide's load error reference, the wordings those
seen in STL_LOAD_ERRORS in the field. Each converter returns the text for COPY FROM STDIN.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal, InvalidOperation, localcontext
from typing import TypeAlias

from sparkify_dagster_tests.standin.errors import not_served
from sparkify_dagster_tests.standin.json_stream import Json, Number, as_text

TOO_LONG, BAD_DATE, BAD_TIME, BAD_DIGIT = 1204, 1205, 1206, 1207
BAD_BOOLEAN, MISSING, NOT_ASCII, MALFORMED, BAD_CHARACTER, OVERFLOW = (
    1210,
    1213,
    1215,
    1216,
    1220,
    1222,
)
_INTEGER = re.compile(r"[-+]?[0-9]+")
_DECIMAL = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}"
    r"(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[-+][0-9:]{2,6})?"
)
_BITS = {"smallint": 15, "integer": 31, "bigint": 63}
_TRUE = frozenset(("t", "true", "y", "yes", "1"))
_FALSE = frozenset(("f", "false", "n", "no", "0"))
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00")


class LoadError(ValueError):
    """A value does not fit its column."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True)
class Column:
    """A column of the target; ``kind`` is its type without arguments, as the catalogue has it."""

    name: str
    kind: str
    arguments: tuple[int, ...]
    not_null: bool
    has_default: bool


@dataclass(frozen=True)
class Options:
    """The COPY's options that change values."""

    time_format: str = "auto"
    empty_as_null: bool = False
    blanks_as_null: bool = False


Convert: TypeAlias = Callable[[Json], "str | None"]


def converter(column: Column, options: Options) -> Convert:
    """How values become the text of a column; None is NULL.

    Raises:
        RefusedError: for a type that the stand-in does not load.
    """
    convert = _typed(column, options)

    def checked(value: Json) -> str | None:
        found = None if value is None else convert(value)
        if found is None and column.not_null:
            raise LoadError(MISSING, "Missing data for not-null field")
        return found

    return checked


def _typed(column: Column, options: Options) -> Convert:
    kind = column.kind
    if kind in _BITS:
        return _integer(_BITS[kind], kind.capitalize())
    if kind == "numeric":
        return _numeric(*column.arguments)
    if kind in ("double precision", "real"):
        return _float
    if kind in ("character varying", "character", "text"):
        return _varchar(column.arguments[0] if column.arguments else 65535, kind, options)
    if kind == "boolean":
        return _boolean
    if kind == "date":
        return _date
    if kind.startswith("timestamp"):
        return _timestamp(options.time_format)
    raise not_served(f"COPY into a column of type {kind}")


def _scalar(value: Json) -> str:
    """What a column other than text reads; an object is seen by its first character."""
    return str(value) if isinstance(value, str) else as_text(value)


def _bad_digit(text: str, allowed: str, name: str) -> LoadError:
    place = next((i for i, c in enumerate(text) if c not in allowed), len(text) - 1)
    return LoadError(BAD_DIGIT, f"Invalid digit, Value '{text[place]}', Pos {place}, Type: {name}")


def _integer(bits: int, name: str) -> Convert:
    low, high = -(2**bits), 2**bits - 1

    def convert(value: Json) -> str | None:
        text = _scalar(value)
        if not text:
            return None
        if not _INTEGER.fullmatch(text):
            raise _bad_digit(text, "-+0123456789", name)
        if len(text) > 4 and not low <= int(text) <= high:
            raise LoadError(OVERFLOW, f"Overflow for {name} (range {low} to {high})")
        return text

    return convert


def _numeric(precision: int = 18, scale: int = 0) -> Convert:
    unit, limit = Decimal(1).scaleb(-scale), Decimal(10) ** (precision - scale)

    def convert(value: Json) -> str | None:
        text = _scalar(value)
        if not text:
            return None
        if not _DECIMAL.fullmatch(text):
            raise _bad_digit(text, "-+.0123456789", "Decimal")
        with localcontext(prec=400):
            try:
                number = Decimal(text).quantize(unit, ROUND_DOWN)
            except InvalidOperation:
                number = limit
        if abs(number) >= limit:
            raise LoadError(TOO_LONG, f"Numeric data overflow, Type: Decimal({precision},{scale})")
        return f"{number:f}"

    return convert


def _float(value: Json) -> str | None:
    text = _scalar(value)
    if not text:
        return None
    if not _DECIMAL.fullmatch(text):
        raise _bad_digit(text, "-+.0123456789", "Double")
    if float(text) in (float("inf"), float("-inf")):
        raise LoadError(OVERFLOW, "Overflow for Double")
    return text


def _varchar(length: int, kind: str, options: Options) -> Convert:
    def convert(value: Json) -> str | None:
        text = as_text(value)
        # Fewer characters than a quarter of the bytes always fit.
        if len(text) * 4 > length or not text.isascii():
            _check_bytes(text, length, kind)
        if "\0" in text:
            raise LoadError(
                BAD_CHARACTER, "String contains invalid or unsupported UTF-8 codepoints"
            )
        if (options.empty_as_null and not text) or (options.blanks_as_null and not text.strip(" ")):
            return None
        return text

    return convert


def _check_bytes(text: str, length: int, kind: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        bad = text[error.start].encode("utf-8", "surrogatepass")
        if "\udc80" <= text[error.start] <= "\udcff":
            bad = text[error.start].encode("utf-8", "surrogateescape")
        raise LoadError(
            BAD_CHARACTER,
            "String contains invalid or unsupported UTF-8 codepoints. "
            f"Bad UTF-8 hex sequence: {bad.hex(' ')} (error 3)",
        ) from None
    if kind == "character" and not text.isascii():
        raise LoadError(
            NOT_ASCII, "Multibyte character not supported for CHAR (Hint: Try using VARCHAR)"
        )
    if size > length:
        raise LoadError(TOO_LONG, "String length exceeds DDL length")


def _boolean(value: Json) -> str | None:
    text = _scalar(value).lower()
    if not text:
        return None
    if text not in _TRUE | _FALSE:
        raise LoadError(BAD_BOOLEAN, "Unknown boolean format")
    return "t" if text in _TRUE else "f"


def _date(value: Json) -> str | None:
    text = _scalar(value)
    if not text:
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise LoadError(BAD_DATE, "Invalid Date Format - length must be 10 or more") from None


def _timestamp(time_format: str) -> Convert:
    """'auto' does not know epochs; an epoch format knows nothing else."""
    unit = {"epochsecs": 1_000_000, "epochmillisecs": 1_000}.get(time_format)

    def convert(value: Json) -> str | None:
        text = _scalar(value)
        if not text:
            return None
        try:
            if unit is None:
                if isinstance(value, Number) or not _TIME.fullmatch(text):
                    raise ValueError
                moment = datetime.fromisoformat(text)
                if moment.tzinfo:
                    moment = moment.astimezone(UTC).replace(tzinfo=None)
            else:
                moment = _EPOCH + timedelta(microseconds=int(Decimal(text) * unit))
        except (ValueError, OverflowError, InvalidOperation):
            raise LoadError(BAD_TIME, "Invalid timestamp format or value") from None
        return moment.isoformat(" ")

    return convert
