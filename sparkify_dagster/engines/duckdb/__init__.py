"""The engine DuckDB: a file in this process."""
