"""Making and dropping the tables, and the roles that may use them."""
