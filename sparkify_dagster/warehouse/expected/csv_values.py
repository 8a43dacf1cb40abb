"""Values of CSV files and of the warehouse in one form, so that the same value is equal to itself.

A value of a file is read by the type of its column; what does not fit is an error, never a guess.
"""

import math
import re
import struct
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal

from sparkify_dagster.catalogue.tables import Column

Compared = str | int | float | bool | Decimal | date | datetime | None
NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_MOMENT = re.compile(r"([0-9-]{10})[ T]([0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)")


def comparable(value: object, column: Column) -> Compared:
    """A value of the warehouse as what stands in a file is read, so that the two can be equal.

    Engines differ in what they give for DECIMAL and REAL; NaN is one object, equal to itself.
    """
    if value is None:
        return None
    kind = column.base_type
    if kind == "DECIMAL":
        return Decimal(str(value))
    if kind in ("REAL", "DOUBLE PRECISION") and isinstance(value, int | float):
        return _float(float(value), kind)
    return value if isinstance(value, str | int | float | date) else str(value)


def parse_value(cell: str | None, column: Column) -> Compared:
    """What a cell says in a column of this type; ValueError, with the message, if it does not."""
    if cell is None and not column.nullable:
        empty = '; an empty text is written as ""' if column.is_text else ""
        raise ValueError(f"it is empty, but the column is never NULL{empty}")
    if cell is None or column.is_text:
        return cell
    parse, what = _KINDS["INTEGER" if column.is_integer else column.base_type]
    try:
        return parse(cell)
    except (ValueError, ArithmeticError):
        shown = cell if len(cell) <= 40 else f"{cell[:37]}..."
        raise ValueError(f"'{shown}' is not {what}") from None


def _integer(cell: str) -> int:
    if not re.fullmatch(r"[-+]?[0-9]{1,38}", cell):
        raise ValueError
    return int(cell)


def _double(cell: str) -> float:
    number = NUMBER.fullmatch(cell)
    if not number and not re.fullmatch(r"[-+]?(nan|inf(inity)?)", cell, re.I):
        raise ValueError
    if number and math.isinf(float(cell)):
        raise ValueError  # it is too large to be one
    return _float(float(cell), "DOUBLE PRECISION")


def _real(cell: str) -> float:
    return _float(_double(cell), "REAL")


def _float(value: float, kind: str) -> float:
    """One NaN for all, and a REAL with the precision of one."""
    if math.isnan(value):
        return math.nan
    if kind == "REAL" and math.isfinite(value):
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    return value


def _decimal(cell: str) -> Decimal:
    if not NUMBER.fullmatch(cell):
        raise ValueError
    return Decimal(cell)


def _truth(cell: str) -> bool:
    if cell.lower() not in ("true", "t", "false", "f"):
        raise ValueError
    return cell.lower().startswith("t")


def _day(cell: str) -> date:
    if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", cell):
        raise ValueError
    return date.fromisoformat(cell)


def _moment(cell: str) -> datetime:
    match = _MOMENT.fullmatch(cell)
    if not match:
        raise ValueError
    return datetime.fromisoformat(f"{match[1]} {match[2]}")


_KINDS: dict[str, tuple[Callable[[str], Compared], str]] = {
    "INTEGER": (_integer, "a whole number"),
    "DOUBLE PRECISION": (_double, "a number"),
    "REAL": (_real, "a number"),
    "DECIMAL": (_decimal, "a number"),
    "BOOLEAN": (_truth, "true or false"),
    "DATE": (_day, "a day as YYYY-MM-DD"),
    "TIMESTAMP": (_moment, "a time as YYYY-MM-DD HH:MM:SS.mmm"),
}
