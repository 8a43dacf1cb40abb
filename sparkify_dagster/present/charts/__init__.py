"""Charts of tables, as SVG with words for those who do not see it.

What is shown is decided by the table's file (`catalogue.charts`); here it is drawn, from rows
alone: no warehouse, no Dagster, no network.
"""

from sparkify_dagster.present.charts.drawing import Picture, draw, warm_up

__all__ = ["Picture", "draw", "relations", "warm_up"]
