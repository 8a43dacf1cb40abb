"""The report: what the warehouse says, as one page that needs nothing else.

`facts` reads, `page` writes HTML of what was read, `write` puts it into a file. No Dagster.
"""

__all__ = ["facts", "write"]
