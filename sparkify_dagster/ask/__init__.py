"""What people ask of the warehouse, read-only, and its answers as pages, files and DataFrames.

How a question is typed and an answer looks in a terminal is in `cli`.
"""

__all__ = ["atomic_write", "dataframe", "files", "questions", "statements", "values"]
