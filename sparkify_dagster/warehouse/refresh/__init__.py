"""Refreshing: derived tables are brought up to date with what they read."""

__all__ = ["chart_rows", "refresh_table"]
