"""What the warehouse says, for eyes: charts, the report and alerts. No Dagster.

It reads through `warehouse`, and changes nothing there.
"""

__all__ = ["alerts", "charts", "report"]
