"""Sparkify's data platform: JSON logs in a lake become a star schema that analysts trust."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparkify_dagster.ask.dataframe import read_frame

__version__ = "0.1.0"
__all__ = ["__version__", "read_frame"]


def __getattr__(name: str) -> object:
    if name == "read_frame":
        from sparkify_dagster.ask.dataframe import read_frame

        return read_frame
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
