"""The engine Amazon Redshift, over `server`."""

__all__ = ["copy_sql", "warehouse"]
