"""Values and rows as every engine gives them to Python."""

from dataclasses import dataclass
from datetime import date, datetime

Value = str | int | float | bool | date | datetime | None


@dataclass(frozen=True)
class Rows:
    """A few rows with their column names, for previews and offending rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
