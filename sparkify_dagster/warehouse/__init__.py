"""The warehouse: tables filled from the lake and derived from each other, on any engine.

What differs between engines is in `engines`; when something runs is decided in `cli` and `defs`.
"""

from sparkify_dagster.engines.base import WarehouseBusyError, WarehouseError
from sparkify_dagster.warehouse.checks.run_checks import AuditFailedError
from sparkify_dagster.warehouse.platform import Platform, open_platform

__all__ = [
    "AuditFailedError",
    "Platform",
    "WarehouseBusyError",
    "WarehouseError",
    "admin",
    "checks",
    "due_ranges",
    "expected",
    "load",
    "open_platform",
    "privacy",
    "refresh",
    "reports",
    "run_events",
    "status",
]
