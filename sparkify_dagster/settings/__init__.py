"""dwh.cfg and the environment as one frozen, typed object; what it may hold, and its errors.

Nothing is opened but dwh.cfg, and nobody else looks at it or at the variables SPARKIFY_*.
"""

from sparkify_dagster.settings.read import KEYS, Overrides, Settings, SettingsError, load_settings

__all__ = [
    "KEYS",
    "Overrides",
    "Settings",
    "SettingsError",
    "alert_sections",
    "days",
    "load_settings",
    "sections",
    "sources",
    "values",
]
