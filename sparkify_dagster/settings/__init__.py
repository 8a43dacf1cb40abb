"""dwh.cfg and the environment as one frozen, typed object; what it may hold, and its errors."""

from sparkify_dagster.settings.read import (
    KEYS,
    Settings,
    SettingsError,
    days_until_today,
    load_settings,
)

__all__ = ["KEYS", "Settings", "SettingsError", "days_until_today", "load_settings"]
