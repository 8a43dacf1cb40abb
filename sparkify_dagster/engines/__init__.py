"""The engines: DuckDB, PostgreSQL and Amazon Redshift behind one interface, `base`.

All that differs between engines lives here: sessions, types, ways in for rows, errors. Which tables
there are and what is loaded into them is in `warehouse`.
"""

__all__ = ["base", "ddl", "open", "redshift", "results", "rows", "server"]
