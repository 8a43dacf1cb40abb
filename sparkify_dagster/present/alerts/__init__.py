"""Alerts: what people read when something fails, and how it reaches them. No Dagster."""

__all__ = ["alert_message", "notifier", "notifiers"]
