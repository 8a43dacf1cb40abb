"""Tables against files of expected results."""

__all__ = ["compare_rows", "expected_files", "verify_tables"]
