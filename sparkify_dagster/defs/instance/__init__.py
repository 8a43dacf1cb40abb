"""Dagster's instance: its home, its storage, and the processes that execute runs."""

__all__ = ["event_storage", "home", "process_identity"]
