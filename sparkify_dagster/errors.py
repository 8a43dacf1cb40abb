"""The errors that the platform shows to its users.

Whatever a user can cause or must act on is raised as a SparkifyError whose text is the whole
message: what is wrong, where, and what to do. Anything else is a defect and keeps its traceback.
"""

INTERRUPTED = 130
"""The exit status of a command that was interrupted."""
INTERRUPTION = "interrupted; nothing half-written. The next run completes what is missing."


class SparkifyError(Exception):
    """A problem the user can understand and act on; ``str(error)`` is shown as it is."""


class QueryError(SparkifyError):
    """The statement is not one that reads, or the warehouse does not understand it."""
