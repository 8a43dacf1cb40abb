"""What is declared: tables, transforms, checks, charts and lineage, read from the SQL files.

Nothing here knows a lake, a connection or an engine.
"""
