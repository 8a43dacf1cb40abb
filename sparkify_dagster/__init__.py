"""Sparkify's data platform: JSON logs in a lake become a star schema that analysts trust."""

__version__ = "0.1.0"
