"""The warehouse: tables filled from the lake and derived from each other, on any engine."""

from sparkify_dagster.warehouse.audits import AuditFailedError
from sparkify_dagster.warehouse.base import WarehouseBusyError, WarehouseError
from sparkify_dagster.warehouse.loading import TooManyRejectsError
from sparkify_dagster.warehouse.platform import Platform, open_platform

__all__ = [
    "AuditFailedError",
    "Platform",
    "TooManyRejectsError",
    "WarehouseBusyError",
    "WarehouseError",
    "open_platform",
]
