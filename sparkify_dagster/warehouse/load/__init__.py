"""Loading: files of the lake become rows of the staging tables, with ledger and quarantine."""

__all__ = ["ledger"]
