"""Charts in words: labels of axes, numbers as people write them, and what a chart shows.

The sentence of a chart says what it is and what it finds, from the same rows as the picture.
"""

import unicodedata
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from sparkify_dagster.catalogue.charts import BAR, HEATMAP, POINTS
from sparkify_dagster.catalogue.tables import Column
from sparkify_dagster.engines.rows import Value
from sparkify_dagster.warehouse.refresh.chart_rows import ChartRows

NOTHING = "There are no rows yet, so there is nothing to draw."
UNKNOWN = "unknown"
_WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_MENTIONED = 4
LINES = 5
"""So many lines, the largest, can be told apart in one chart."""
_LABEL_LENGTH = 60
_TURNS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))


Drawn = tuple[str, Column, list[tuple[Value, Value]]]
"""One line of a chart: its name, the column of its values, and its points."""


def title(column: Column) -> str:
    """`log_date` as `log date`."""
    return column.name.replace("_", " ")


def label(column: Column, value: Value) -> str:
    """A value as people read it on an axis; weekdays by name, from Sunday as in the tables."""
    if value is None:
        return UNKNOWN
    if column.name == "weekday" and isinstance(value, int) and 0 <= value < len(_WEEKDAYS):
        return _WEEKDAYS[value]
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, date):
        return value.isoformat()
    return clean(str(value)) or UNKNOWN


def is_share(column: Column) -> bool:
    """Whether a column holds parts of one, which its description says."""
    return column.is_float and "0 to 1" in column.description


def number(column: Column, value: object) -> str:
    """`1,234`, `2.5` or, for parts of one, `25 %`."""
    if value is None:
        return UNKNOWN
    amount = float(str(value)) if isinstance(value, Decimal) else value
    if not isinstance(amount, int | float):
        return clean(str(value))
    if is_share(column):
        return percent(amount)
    if isinstance(amount, int) or amount.is_integer():
        return f"{int(amount):,}"
    return f"{amount:,.{1 if abs(amount) >= 10 else 2}f}"


def percent(share: float) -> str:
    """`33 %`; what is not all of it never reads 100 %, and what is not nothing never 0 %."""
    size = round(share, 9)  # what adds up to one may miss it by a hair
    if 0.999 < size < 1:
        return "over 99.9 %"
    if 0 < share < 0.0001:
        return "under 0.01 %"
    digits = 2 if 0 < size < 0.01 else 1 if 0 < size < 0.1 or 0.99 < size < 1 else 0
    return f"{100 * share:,.{digits}f} %"


def clean(text: str) -> str:
    """Text on one line, without control characters, which neither SVG nor markdown can hold, and
    without those that turn the direction of what follows: of figures, say."""
    spaced = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Cn") else c for c in text)
    spaced = spaced.translate(_TURNS)
    return " ".join(spaced.split())


def shortened(text: str) -> str:
    """A long label, cut where it ends to be one."""
    return text if len(text) <= _LABEL_LENGTH else f"{text[: _LABEL_LENGTH - 1].rstrip()}…"


def sentence(found: ChartRows) -> str:
    """What the chart shows and finds, for a reader who does not see it."""
    if not drawable(found):
        return NOTHING
    chart = found.chart
    if chart.kind == BAR:
        return _bars(found)
    return _cells(found) if chart.kind == HEATMAP else _lines(found)


def drawable(found: ChartRows) -> bool:
    """Whether there is a number to draw."""
    first = len(found.chart.columns) - len(found.chart.values)
    return any(value is not None for row in found.rows.rows for value in row[first:])


def _bars(found: ChartRows) -> str:
    chart, value = found.chart, found.chart.values[0]
    what = f"Bar chart of {title(value)} by {title(chart.x)}"
    points = [(label(chart.x, x), v) for x, v in found.rows.rows]
    if chart.largest_first:
        reported = [f"{shortened(name)} ({number(value, v)})" for name, v in points[:_MENTIONED]]
        more = found.total - len(reported)
        rest = f", and {more:,} more" if more > 0 else ""
        return f"{what}, largest first: {', '.join(reported)}{rest}."
    return f"{what}: {_extremes(value, points)}.{_cut(found)}"


def _lines(found: ChartRows) -> str:
    chart, rows = found.chart, found.rows.rows
    *others, name = (title(value) for value in chart.values)
    names = f"{', '.join(others)} and {name}" if others else name
    points = chart.kind == POINTS
    by = (
        f", a {'colour' if points else 'line'} for each {title(chart.series)}"
        if chart.series
        else ""
    )
    first, last = label(chart.x, rows[0][0]), label(chart.x, rows[-1][0])
    span = f"from {first} to {last}" if first != last else f"at {first}"
    reported = []
    lines, left = lines_of(found)
    for name, value, line in lines:
        known = [(label(chart.x, x), v) for x, v in line if v is not None]
        if known:
            last = f", last {number(value, known[-1][1])}" if len(known) > 1 and not points else ""
            many = f"{len(known):,} points, " if points and len(known) > 1 else ""
            reported.append(f"{shortened(name)}: {many}{_extremes(value, known)}{last}")
    more = f" The largest of {left + len(lines):,} lines." if left else ""
    what = f"{'Points' if points else 'Line chart'} of {names} by {title(chart.x)}{by}, {span}"
    return f"{what}. {'. '.join(reported)}.{more}{_cut(found)}"


def _cells(found: ChartRows) -> str:
    chart = found.chart
    if chart.y is None:
        raise TypeError("a heatmap has two axes")
    points = [
        (f"{title(chart.y)} {label(chart.y, y)}, {title(chart.x)} {label(chart.x, x)}", v)
        for x, y, v in found.rows.rows
    ]
    value = chart.values[0]
    what = f"Heatmap of {title(value)} by {title(chart.x)} and {title(chart.y)}"
    return f"{what}: {_extremes(value, points)}.{_cut(found)}"


def lines_of(found: ChartRows) -> tuple[list[Drawn], int]:
    """The lines or kinds of points that are drawn, the largest, and how many are not."""
    chart, rows = found.chart, found.rows.rows
    if chart.series is None:
        lines = [
            (title(value), value, [(row[0], row[n]) for row in rows])
            for n, value in enumerate(chart.values, start=1)
        ]
    else:
        by: dict[str, list[tuple[Value, Value]]] = {}
        for x, series, value in rows:
            by.setdefault(label(chart.series, series), []).append((x, value))
        lines = [(name, chart.values[0], by[name]) for name in sorted(by)]
    sums = [sum(float(str(v)) for _, v in points if v is not None) for _, _, points in lines]
    largest = sorted(range(len(lines)), key=lambda n: -sums[n])[:LINES]
    return [lines[n] for n in sorted(largest)], len(lines) - len(largest)


def _extremes(column: Column, points: Sequence[tuple[str, Value]]) -> str:
    known = [(float(str(v)), name, v) for name, v in points if v is not None]
    most, least = max(known, key=lambda p: p[0]), min(known, key=lambda p: p[0])
    if most[0] == least[0]:
        return f"{number(column, most[2])} at {shortened(most[1])}" + (
            " and everywhere else" if len(known) > 1 else ""
        )
    return (
        f"most at {shortened(most[1])} ({number(column, most[2])}),"
        f" fewest at {shortened(least[1])} ({number(column, least[2])})"
    )


def _cut(found: ChartRows) -> str:
    shown = len(found.rows.rows)
    return f" The newest {shown:,} of {found.total:,} rows." if shown < found.total else ""
