"""The engine PostgreSQL, over `server`."""
