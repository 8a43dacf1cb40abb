"""The resources `lake` and `warehouse`: where assets read from and write to.

What is configurable lives here. How a lake is read is in `lake`, how a warehouse is used in
`engines`, and what the platform does with both in `warehouse`.
"""

from sparkify_dagster.defs.resources.lake import LakeResource, lake_resource
from sparkify_dagster.defs.resources.warehouse import WarehouseResource, warehouse_resource

LAKE, WAREHOUSE = "lake", "warehouse"
"""The names under which assets, checks, ops and sensors ask for them."""

__all__ = [
    "LAKE",
    "WAREHOUSE",
    "LakeResource",
    "WarehouseResource",
    "lake_resource",
    "warehouse_resource",
]
