"""Everything that imports dagster, a folder or module for each of its concepts.

What a run does to the tables is in `warehouse`; `definitions` joins what is declared here.
"""

__all__ = ["build", "instance", "runs"]
