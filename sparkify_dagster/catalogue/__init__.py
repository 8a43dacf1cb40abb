"""What is declared: tables, transforms, checks, charts and lineage, read from the SQL files.

Nothing here knows a lake, a connection or an engine.
"""

__all__ = [
    "catalogue",
    "charts",
    "check",
    "dictionary",
    "lake_checks",
    "line_rules",
    "lineage",
    "sql_files",
    "tables",
    "transforms",
]
