"""Dagster's instance: its home, its storage, and the processes that execute runs."""
