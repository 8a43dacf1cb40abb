"""The command `sparkify query` and its prompt."""
