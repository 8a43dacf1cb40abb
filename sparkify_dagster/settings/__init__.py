"""dwh.cfg and the environment as one frozen, typed object; what it may hold, and its errors."""

from sparkify_dagster.settings.read import KEYS, Overrides, Settings, SettingsError, load_settings

__all__ = ["KEYS", "Overrides", "Settings", "SettingsError", "load_settings"]
