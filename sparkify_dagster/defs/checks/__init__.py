"""Asset checks: those of the ledger and of expected results, and how outcomes are recorded."""
