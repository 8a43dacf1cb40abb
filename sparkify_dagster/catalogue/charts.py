"""The chart of a table: the `-- chart:` line of its file.

    -- chart: bar <label> <value>
    -- chart: line <x> <value>[, <value>…]
    -- chart: line <x> <value> by <series>
    -- chart: points <x> <value> by <series>
    -- chart: heatmap <x> <y> <value>

Each name is a column of the table. Which rows it shows is in `warehouse.refresh`,
how it looks in `present.charts`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparkify_dagster.catalogue.sql_files import ScriptError
from sparkify_dagster.catalogue.tables import Column, Table

BAR, LINE, POINTS, HEATMAP = "bar", "line", "points", "heatmap"
FORMS = (
    "bar <label> <value>",
    "line <x> <value>[, <value>…]",
    "line <x> <value> by <series>",
    "points <x> <value> by <series>",
    "heatmap <x> <y> <value>",
)
_SHAPES = (
    (BAR, re.compile(r"bar (?P<x>\w+) (?P<values>\w+)")),
    (LINE, re.compile(r"line (?P<x>\w+) (?P<values>\w+) by (?P<series>\w+)")),
    (POINTS, re.compile(r"points (?P<x>\w+) (?P<values>\w+) by (?P<series>\w+)")),
    (LINE, re.compile(r"line (?P<x>\w+) (?P<values>\w+(?:\s*,\s*\w+)*)")),
    (HEATMAP, re.compile(r"heatmap (?P<x>\w+) (?P<y>\w+) (?P<values>\w+)")),
)


@dataclass(frozen=True)
class Chart:
    """One chart of a table: its kind, and the columns that it shows.

    Several `values`, or one value for each value of `series`, are lines of one chart. Points are
    what happened at any moment: nothing leads from one to the next. `y` is the second axis of a
    heatmap.
    """

    kind: str
    x: Column
    values: tuple[Column, ...]
    y: Column | None = None
    series: Column | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        return (self.x, *filter(None, (self.y, self.series)), *self.values)

    @property
    def largest_first(self) -> bool:
        """Whether the order is that of the values: a text has no order that means more."""
        return self.kind in (BAR, HEATMAP) and (self.y or self.x).is_text


def parse_chart(path: Path, text: str, table: Table) -> Chart:
    """The chart that the `-- chart:` line of a table's file describes.

    Raises:
        ScriptError: if the line has none of the forms, or names what cannot be drawn.
    """
    said = " ".join(text.split())
    matches = [(kind, match) for kind, shape in _SHAPES if (match := shape.fullmatch(said))]
    if not matches:
        forms = "; ".join(f"chart: {form}" for form in FORMS)
        raise ScriptError(f"{path}: '-- chart: {said}' is no chart. Write one of: {forms}.")
    kind, match = matches[0]
    found = match.groupdict()
    names = re.split(r"\s*,\s*", found["values"])
    asked = [found["x"], *filter(None, (found.get("y"), found.get("series"))), *names]
    known = {column.name: column for column in table.columns}
    if unknown := [name for name in asked if name not in known]:
        raise ScriptError(
            f"{path}: '-- chart: {said}' names {_listed(unknown)}, which {table.name} does not"
            f" have. Its columns are {_listed(list(known))}."
        )
    if len(set(asked)) < len(asked):
        raise ScriptError(f"{path}: '-- chart: {said}' names a column twice. Name each once.")
    if personal := [name for name in asked if known[name].personal]:
        raise ScriptError(
            f"{path}: '-- chart: {said}' shows {_listed(personal)}, which is personal. Draw what"
            " names nobody: charts stay in the event log, and reports are passed on."
        )
    values = tuple(known[name] for name in names)
    if texts := [value.name for value in values if not _is_number(value)]:
        raise ScriptError(
            f"{path}: '-- chart: {said}' draws {_listed(texts)}, which is no number. Draw columns"
            " of numbers, and put the others on an axis."
        )
    y, series = (known.get(found.get(part) or "") for part in ("y", "series"))
    return Chart(kind, known[found["x"]], values, y, series)


def _is_number(column: Column) -> bool:
    return column.is_integer or column.is_float or column.base_type == "DECIMAL"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
