"""Charts as Vega-Lite specifications, in the light colours.

Everything is drawn as wide as a phone: enlarged on a page, hardly made smaller on a phone.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from sparkify_dagster.catalogue.charts import BAR, HEATMAP, POINTS
from sparkify_dagster.catalogue.tables import Column
from sparkify_dagster.engines.rows import Value
from sparkify_dagster.present.charts import words
from sparkify_dagster.present.charts.colours import (
    DASHES,
    GRID,
    HEAT,
    HEAT_OPACITIES,
    INK,
    SERIES,
    SHAPES,
)
from sparkify_dagster.warehouse.refresh.chart_rows import ChartRows

Spec = dict[str, Any]
WIDTH = 380
_HEIGHT = 220
_BAND = 24
_FIRST = next(iter(SERIES))
_STEPS = 5
_CELLS_WITH_NUMBERS = 40
_POINTS_SHOWN = 14
_TICKS = 5
_LABEL_LENGTH = 22
_CHARACTER = 7.5  # of a wide font: what shows the chart may have a wider one than what measured it
_CONFIG = {
    "aria": False,  # the picture as a whole has words
    "background": None,
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK, "titleColor": INK, "domainColor": INK, "tickColor": GRID,
        "gridColor": GRID, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal",
        "labelLimit": 0, "labelOverlap": True, "labelSeparation": 5, "tickCount": 5,
    },
    "axisY": {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "end", "titleY": -10},
    "legend": {
        "orient": "bottom", "labelColor": INK, "titleColor": INK, "labelFontSize": 12,
        "titleFontSize": 12, "titleFontWeight": "normal", "symbolStrokeWidth": 2,
        "symbolSize": 200, "labelLimit": 180, "columnPadding": 16,
    },
}  # fmt: skip


def spec_of(found: ChartRows) -> Spec:
    """The specification of a chart that has something to draw."""
    make = {BAR: _bars, HEATMAP: _heatmap}.get(found.chart.kind, _lines)
    spec = make(found)
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": WIDTH,
        "height": _HEIGHT,
        "padding": 4,
        "autosize": {"type": "fit", "contains": "padding"},
        "config": _CONFIG,
    } | spec


def _bars(found: ChartRows) -> Spec:
    chart, value = found.chart, found.chart.values[0]
    rows = [(label, amount) for label, amount in found.rows.rows if amount is not None]
    labels = [_label(chart.x, label) for label, _ in rows]
    data: list[Spec] = [
        {"i": i, "v": _amount(amount), "t": words.number(value, amount)}
        for i, (_, amount) in enumerate(rows)
    ]
    band = {"field": "i", "type": "ordinal"}
    length = {"field": "v", "type": "quantitative"}
    names = _band(words.title(chart.x), "labels")
    bar: Spec = {"mark": {"type": "bar", "color": _FIRST}}
    spec: Spec = {"params": [{"name": "labels", "value": labels}], "data": {"values": data}}
    if not chart.largest_first:
        axis = _number_axis(value)
        return spec | bar | {"encoding": {"x": band | {"axis": names}, "y": length | axis}}
    number = {"mark": {"type": "text", "align": "left", "dx": 4, "color": INK, "fontSize": 12}}
    number |= {"encoding": {"text": {"field": "t"}}}
    # the number beside each bar is its axis; it needs room right of the longest
    longest = max(row["v"] for row in data) or 1
    width = WIDTH - 8 - _room(labels)
    beside = _room([row["t"] for row in data]) + 6
    scale = {"scale": {"domainMax": longest * width / (width - beside), "nice": False}}
    names |= {"title": None, "minExtent": _room(labels)}
    return spec | {
        "height": _BAND * len(data) + 8,
        "layer": [bar, number],
        "encoding": {"y": band | {"axis": names}, "x": length | scale | {"axis": None}},
    }


def _lines(found: ChartRows) -> Spec:
    chart = found.chart
    lines, _ = words.lines_of(found)
    data: list[Spec] = [
        {"x": _place(x), "v": _amount(v), "s": name}
        for name, _, points in lines
        for x, v in points
        if x is not None
    ]
    names = [name for name, _, _ in lines]
    lengths = [len(points) for _, _, points in lines]
    mark: Spec = {"type": "line", "strokeWidth": 2}
    points = chart.kind == POINTS
    if points:
        mark = {"type": "point", "size": 44, "strokeWidth": 1.5, "opacity": 1}
    elif max(lengths) <= _POINTS_SHOWN or min(lengths) == 1:
        mark["point"] = {"size": 26, "filled": True}
    named = len(names) > 1 or chart.series is not None
    legend: Spec | None = {"title": None} if named else None
    if legend and not points:
        legend["symbolType"] = "stroke"
    value = chart.values[0]
    title = words.title(value) if chart.series or not named else None
    encoding: Spec = {
        "x": {"field": "x"} | _moments(chart.x, [row["x"] for row in data]),
        "y": {"field": "v", "type": "quantitative"} | _number_axis(value, title),
    }
    if points:
        encoding["x"]["scale"] |= {"padding": 10}  # a point at the edge is seen whole
    told_apart: list[tuple[str, Sequence[object]]] = [("color", list(SERIES))]
    told_apart.append(("shape", SHAPES) if points else ("strokeDash", DASHES))
    for channel, ways in told_apart:
        scale = {"domain": names, "range": ways[: len(names)]}
        encoding[channel] = {"field": "s", "type": "nominal", "legend": legend, "scale": scale}
    return {"data": {"values": data}, "mark": mark, "encoding": encoding}


def _heatmap(found: ChartRows) -> Spec:
    chart, value = found.chart, found.chart.values[0]
    if chart.y is None:
        raise TypeError("a heatmap has two axes")
    rows = [row for row in found.rows.rows if row[2] is not None]
    across = _ordered([row[0] for row in rows], by_value=True)
    down = _ordered([row[1] for row in rows], by_value=not chart.largest_first)
    amounts = [_amount(row[2]) or 0 for row in rows]
    steps, bucket = _buckets(value, amounts)
    data: list[Spec] = [
        {
            "x": across.index(x), "y": down.index(y), "b": steps[bucket(amount)],
            "t": words.number(value, v),
        }
        for (x, y, v), amount in zip(rows, amounts, strict=True)
    ]  # fmt: skip
    data.sort(key=lambda cell: steps.index(str(cell["b"])))  # alike in a row: a smaller picture
    labels = {
        "across": [_label(chart.x, x) for x in across],
        "down": [_label(chart.y, y) for y in down],
    }
    shown = list(dict.fromkeys(cell["b"] for cell in data))
    legend: Spec = {"title": words.title(value), "titleOrient": "left", "symbolType": "square"}
    legend |= {"symbolFillColor": HEAT, "symbolStrokeWidth": 0}
    legend |= {"columns": 3} if len("".join(shown)) > 14 else {}
    scale = {"domain": shown, "range": list(HEAT_OPACITIES)}
    opacity = {"field": "b", "type": "ordinal", "scale": scale, "legend": legend}
    layers: list[Spec] = [
        {"mark": {"type": "rect", "fill": HEAT}, "encoding": {"opacity": opacity}}
    ]
    if len(data) <= _CELLS_WITH_NUMBERS:
        text = {"mark": {"type": "text", "fontSize": 12, "color": INK}}
        layers.append(text | {"encoding": {"text": {"field": "t"}}})
    return {
        "params": [{"name": name, "value": texts} for name, texts in labels.items()],
        "data": {"values": data},
        "height": max(_BAND * len(down), 3 * _BAND) + 90,
        "layer": layers,
        "encoding": {
            "x": _cells("x") | {"axis": _band(words.title(chart.x), "across")},
            "y": _cells("y")
            | {"axis": _band(words.title(chart.y), "down") | {"minExtent": _room(labels["down"])}},
        },
    }


def _cells(field: str) -> Spec:
    return {"field": field, "type": "ordinal", "scale": {"paddingInner": 0.04}}


def _band(title: str, labels: str) -> Spec:
    """An axis of places in a list of labels."""
    axis = {"title": title, "ticks": False, "domain": False, "labelAngle": 0}
    return axis | {"labelExpr": f"{labels}[datum.value]"}


def _label(column: Column, value: Value) -> str:
    """A value as it stands on an axis, cut to what there is room for."""
    text = words.label(column, value)
    return text if len(text) <= _LABEL_LENGTH else f"{text[: _LABEL_LENGTH - 1].rstrip()}…"


def _room(labels: Sequence[str]) -> float:
    return max(map(len, labels)) * _CHARACTER


def _ordered(values: Sequence[Value], *, by_value: bool) -> list[Value]:
    """Each value once: in its own order, NULL last, or in that of the rows."""
    once = list(dict.fromkeys(values))
    if not by_value:
        return once
    return sorted(once, key=lambda v: (v is None, v if isinstance(v, int | float) else 0, str(v)))


def _buckets(column: Column, amounts: Sequence[float]) -> tuple[list[str], Callable[[float], int]]:
    """Names of equal steps between the smallest and the largest amount, and which one is whose."""
    low, high = min(amounts), max(amounts)
    if low == high:
        return [_span(column, amounts)], lambda _: 0
    whole = all(float(amount).is_integer() for amount in amounts)
    number = min(_STEPS, int(high - low) + 1) if whole else _STEPS
    width = (high - low + (1 if whole else 0)) / number

    def bucket(amount: float) -> int:
        return min(int((amount - low) / width), number - 1)

    inside = [[a for a in amounts if bucket(a) == n] for n in range(number)]
    return [_span(column, found) or f"({n})" for n, found in enumerate(inside)], bucket


def _span(column: Column, amounts: Sequence[float]) -> str:
    """`3`, or `3-7` with the dash of ranges; empty without any."""
    ends = dict.fromkeys(words.number(column, _exact(f(amounts))) for f in (min, max) if amounts)
    return "\N{EN DASH}".join(ends).replace(" %", "", len(ends) - 1)


def _exact(amount: float) -> int | float:
    return int(amount) if float(amount).is_integer() else amount


def _number_axis(column: Column, title: str | None = "") -> Spec:
    axis: Spec = {"title": words.title(column) if title == "" else title, "domain": False}
    axis |= {"ticks": False}
    if words.is_share(column):
        axis["format"] = ".0%"
    elif column.is_integer:
        axis |= {"tickMinStep": 1, "format": ",d"}
    return {"axis": axis}


def _moments(column: Column, places: Sequence[float | str]) -> Spec:
    """The x axis of a line chart: of time, of numbers or of texts."""
    axis: Spec = {"title": words.title(column), "grid": False}
    if column.base_type not in ("DATE", "TIMESTAMP"):
        kind = "ordinal" if column.is_text or column.base_type == "BOOLEAN" else "quantitative"
        return {"type": kind, "axis": axis | {"tickMinStep": 1}, "scale": {"zero": False}}
    days = sorted({float(place) // 86_400_000 for place in places})
    span = int(days[-1] - days[0]) if days else 0
    step = max(1, -(-span // (_TICKS - 1)))
    ticks = [int(days[0] + n) * 86_400_000 for n in range(0, span + 1, step)] if days else []
    if len(days) <= _TICKS and column.base_type == "DATE":
        ticks = [int(day) * 86_400_000 for day in days]
    form = "%-d %b" if span <= 300 else "%b %Y"
    return {
        "type": "temporal",
        "scale": {"type": "utc"},
        "axis": axis | {"format": form, "values": ticks, "labelOverlap": False},
    }


def _place(value: Value) -> float | str:
    if isinstance(value, datetime):
        return int(value.replace(tzinfo=UTC).timestamp() * 1000)
    if isinstance(value, date):
        return int(datetime.combine(value, time(), UTC).timestamp() * 1000)
    amount = _amount(value)
    return str(value) if amount is None else amount


def _amount(value: object) -> float | None:
    if isinstance(value, int | float | Decimal):
        return value if isinstance(value, int) else float(value)
    return None
