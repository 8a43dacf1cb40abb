"""Alerts: what people read when something fails, and how it reaches them. No Dagster."""
