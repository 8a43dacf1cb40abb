"""Making and dropping the tables, and the roles that may use them."""

__all__ = ["create_tables", "drop_tables", "roles"]
