"""The warehouse: tables filled from the lake and derived from each other, on any engine."""

from sparkify_dagster.engines.base import WarehouseBusyError, WarehouseError
from sparkify_dagster.warehouse.checks.run_checks import AuditFailedError
from sparkify_dagster.warehouse.platform import Platform, open_platform

__all__ = [
    "AuditFailedError",
    "Platform",
    "WarehouseBusyError",
    "WarehouseError",
    "open_platform",
]
