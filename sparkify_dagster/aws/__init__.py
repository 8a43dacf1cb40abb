"""Requests to AWS, and the Redshift warehouse that is made there.

The lake in S3 is not read from here: see `lake`.
"""

__all__ = ["cluster", "requests"]
