"""What makes a line of JSON a row: the rules, one line at a time.

These rules decide. Parsing in bulk may only accept what they accept, and asks them about every
line that it is not sure of.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

from sparkify_dagster.catalogue.tables import Column, Table

# What TIMESTAMP of every engine holds, years 1 to 9999, as epoch milliseconds.
FIRST_INSTANT = -62_135_596_800_000
LAST_INSTANT = 253_402_300_799_999
# The largest whole number that no other rounds to as a float; a JSON number is read as one.
EXACT = 2**53 - 1
NUMBER_AS_TEXT = r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"
_NUMBER = re.compile(NUMBER_AS_TEXT)
_EPOCH, _MIDNIGHT = date(1970, 1, 1), datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, as everywhere
_MS_AN_HOUR = 3_600_000
_MS_A_DAY = 24 * _MS_AN_HOUR
_OTHER_UNITS = {"seconds": 1000, "microseconds": 1e-3, "nanoseconds": 1e-6}
"""What else a time is given in, and how many milliseconds that is."""
_BITS = {"SMALLINT": 15, "INTEGER": 31, "BIGINT": 63}

Cell = str | int | float | None


class LineError(ValueError):
    """A line is not a row; the text says why, without quoting the line."""


@dataclass(frozen=True)
class DayWindow:
    """How far from the day of its file an event may have happened."""

    hours_ahead: int
    """Hours after the end of the day."""
    days_late: int
    """Days before its beginning: events that arrive late."""

    def of(self, day: date) -> tuple[int, int]:
        """The first and the last moment, both included, in epoch milliseconds."""
        begins = (day - _EPOCH).days * _MS_A_DAY
        first = begins - self.days_late * _MS_A_DAY
        last = begins + _MS_A_DAY + self.hours_ahead * _MS_AN_HOUR - 1
        return max(first, FIRST_INSTANT), min(last, LAST_INSTANT)


@dataclass(frozen=True)
class LineRules:
    """The rules of one staging table.

    `epoch_times` maps a timestamp column to the column of epoch milliseconds it is made from. Those
    of a line from the file of a day lie within the `window` around that day, if there is one.
    """

    table: Table
    epoch_times: Mapping[str, str]
    window: DayWindow | None = None

    @property
    def columns(self) -> tuple[tuple[Column, str], ...]:
        """The columns that a line fills, each with its JSON key."""
        return self.table.json_columns

    @cached_property
    def _nearly_known(self) -> Mapping[str, str]:
        """The known keys by what is left of them without case and underscores."""
        return {_bare(key): key for _, key in self.columns}

    def meant_by(self, key: str) -> str | None:
        """The known key that an unknown one is but for case and underscores."""
        return self._nearly_known.get(_bare(key))

    def row(self, line: bytes, day: date | None = None) -> tuple[tuple[Cell, ...], tuple[str, ...]]:
        """The values of a line, in the order of `columns`, and the keys that no column takes.

        `day` is that of the line's file.

        Raises:
            LineError: if the line does not fit; the first broken rule is named.
        """
        fields = _fields(line)
        known = {key for _, key in self.columns}
        unknown = tuple(k for k, v in fields.items() if k not in known and v is not None)
        for key in unknown:
            if meant := self.meant_by(key):
                raise LineError(f"{shown_key(key)}: is {meant} meant?")
        values: dict[str, Cell] = {}
        for column, key in self.columns:
            try:
                values[column.name] = _value(column, fields.get(key))
            except LineError as error:
                raise LineError(f"{key}: {error}") from None
        for source in self.epoch_times.values():
            instant = values[source]
            if instant is not None and not FIRST_INSTANT <= float(instant) <= LAST_INSTANT:
                raise LineError(f"{self._key(source)}: not a time between the years 1 and 9999")
            if instant is not None and day is not None and self.window is not None:
                self._check_window(source, int(instant), day, self.window)
        return tuple(values[column.name] for column, _ in self.columns), tuple(
            map(shown_key, unknown)
        )

    def _key(self, name: str) -> str:
        return next(key for column, key in self.columns if column.name == name)

    def _check_window(self, source: str, instant: int, day: date, window: DayWindow) -> None:
        first, last = window.of(day)
        if first <= instant <= last:
            return
        happened = (_MIDNIGHT + timedelta(milliseconds=instant)).date()
        hint = next(
            (
                f"; {unit} where milliseconds are expected?"
                for unit, factor in _OTHER_UNITS.items()
                if first <= instant * factor <= last
            ),
            "",
        )
        side = "before" if instant < first else "after"
        apart = _distance(abs((happened - day).days))
        raise LineError(
            f"{self._key(source)}: {happened}, {apart} {side} the day of its file{hint}"
        )


def _bare(key: str) -> str:
    return key.replace("_", "").lower()


def _distance(days: int) -> str:
    number, unit = (days // 365, "year") if days >= 730 else (days, "day")
    return f"{number} {unit}{'' if number == 1 else 's'}"


def shown_key(key: str) -> str:
    """An unknown key as it is shown and stored: cut, and without what is no character."""
    return key[:200].replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()


def integer_range(column: Column) -> tuple[int, int]:
    """The smallest and the largest value of a whole-number column that are read exactly."""
    bound = 2 ** _BITS[column.base_type]
    return max(-bound, -EXACT), min(bound - 1, EXACT)


def whole_number(value: object) -> int | None:
    """The whole number that a JSON value is read as, also from text; None for all others."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    try:
        number = float(str(value))
    except OverflowError:
        return None
    return int(number) if math.isfinite(number) and number.is_integer() else None


def _fields(line: bytes) -> dict[str, object]:
    try:
        fields = json.loads(
            line.decode("utf-8"), object_pairs_hook=_pairs, parse_constant=_constant
        )
    except UnicodeDecodeError as error:
        raise LineError(f"not UTF-8 (byte {error.start + 1})") from None
    except LineError:
        raise
    except ValueError:
        if line.startswith(b"\xef\xbb\xbf"):
            raise LineError("a byte order mark inside the file: remove it") from None
        raise LineError("not one JSON object") from None
    except RecursionError:
        raise LineError("nested too deeply") from None
    if not isinstance(fields, dict):
        raise LineError(f"not one JSON object but {_kind(fields)}")
    return fields


def _pairs(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise LineError("a key stands twice")
    return fields


def _constant(name: str) -> object:
    raise LineError(f"{name}, which is not JSON")


def _value(column: Column, value: object) -> Cell:
    if value is None or (value == "" and (column.accepted or not column.is_text)):
        if not column.nullable:
            raise LineError("missing, and required")
        return None
    return _text(column, value) if column.is_text else _number(column, value)


def _text(column: Column, value: object) -> str:
    if not isinstance(value, str):
        raise LineError(f"{_kind(value)} where text is expected")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise LineError("text with half a character (a lone surrogate)") from None
    if column.length is not None and size > column.length:
        raise LineError(f"{size} bytes where {column.length} fit")
    if "\0" in value:
        # PostgreSQL cannot store it, and no reader would see it.
        raise LineError("text with a NUL character")
    if column.only_accepted and value not in column.accepted:
        raise LineError(f"none of {', '.join(column.accepted)}")
    return value


def _number(column: Column, value: object) -> int | float:
    expected = "a whole number" if column.is_integer else "a number"
    wrong_kind = isinstance(value, bool) or not isinstance(value, int | float | str)
    if wrong_kind or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        raise LineError(f"{_kind(value)} where {expected} is expected")
    try:
        number = float(str(value))
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise LineError(f"too large for {expected}")
    if not column.is_integer:
        return number
    if not number.is_integer():
        raise LineError("a fraction where a whole number is expected")
    low, high = integer_range(column)
    if not low <= number <= high:
        if abs(number) < 2 ** _BITS[column.base_type]:
            raise LineError(f"beyond {EXACT}: larger whole numbers of JSON are not exact")
        raise LineError(f"out of the range of {column.base_type}")
    return int(number)


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "an array" if isinstance(value, list) else "an object"
