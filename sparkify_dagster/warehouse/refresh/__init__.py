"""Refreshing: derived tables are brought up to date with what they read."""
