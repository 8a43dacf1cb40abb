"""The checks that hold the lake against the ledger, for each source.

A listing is needed, so SQL alone cannot tell: what they find is in `warehouse.checks`.
"""

from sparkify_dagster.catalogue.check import Check, Severity
from sparkify_dagster.settings.sources import Source

LEDGER_CURRENT = "ledger_current"
NO_FILES_GONE = "no_files_gone"
NOTHING_HELD_BACK = "nothing_held_back"


def lake_checks(source: Source) -> tuple[Check, ...]:
    """The three checks of one source; their `sql` says what is compared, for people."""
    compared = f"-- the listing of {source.name} against load_files"
    return (
        Check(
            LEDGER_CURRENT,
            source.table,
            "Every file of the lake is in the ledger with its current etag, or held back.",
            Severity.ERROR,
            source.dated,
            compared,
        ),
        Check(
            NO_FILES_GONE,
            source.table,
            "Every file in the ledger is still in the lake. The rows of a file that is gone stay.",
            Severity.WARN,
            source.dated,
            compared,
        ),
        Check(
            NOTHING_HELD_BACK,
            source.table,
            "No file is held back. One that cannot be loaded holds back its day, which keeps the"
            " rows that it had; without a day, itself. All others are loaded.",
            Severity.ERROR,
            source.dated,
            f"-- the listing of {source.name} against held_back",
            publishes=True,
        ),
    )
