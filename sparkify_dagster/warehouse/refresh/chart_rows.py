"""The rows that the chart of a table shows, read from the warehouse."""

from dataclasses import dataclass

from sparkify_dagster.catalogue.charts import BAR, HEATMAP, LINE, POINTS, Chart
from sparkify_dagster.engines.base import Session
from sparkify_dagster.engines.rows import Rows

LARGEST = 12
"""Of bars and cells whose texts have no order of their own, so many of the largest."""
_NEWEST = {BAR: 60, LINE: 400, POINTS: 800, HEATMAP: 600}
"""Of bars, points and cells with an order of their own, the last on their axis."""


@dataclass(frozen=True)
class ChartRows:
    """A chart with its rows: in the order of `Chart.columns`, and of how many in all."""

    chart: Chart
    rows: Rows
    total: int


def read_chart(session: Session, table: str, chart: Chart) -> ChartRows:
    """The rows that a chart shows: a table that has grown long is drawn in part.

    Of texts those are the largest, of everything else the newest, the last on its axis.
    """
    names = [column.name for column in chart.columns]
    if chart.largest_first:
        *axes, value = names
        order = [f"{value} DESC NULLS LAST", *(f"{name} NULLS LAST" for name in axes)]
    else:
        # what grows is the axis of days or weeks: in a heatmap, the y axis
        first = (chart.y or chart.x).name
        order = [f"{n} DESC NULLS LAST" for n in (first, *(n for n in names if n != first))]
    limit = LARGEST if chart.largest_first else _NEWEST[chart.kind]
    found = session.rows(
        f"SELECT {', '.join(names)} FROM {table} ORDER BY {', '.join(order)} LIMIT {limit}"
    )
    rows = found.rows if chart.largest_first else tuple(reversed(found.rows))
    total = session.count(f"SELECT COUNT(*) FROM {table}")
    return ChartRows(chart, Rows(tuple(names), rows), total)
