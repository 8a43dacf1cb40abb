"""Running checks, and saying what they found. Which checks there are is in `catalogue`."""

__all__ = ["run_checks"]
