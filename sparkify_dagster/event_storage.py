"""The storage that the dagster.yaml of a home names; it is made in `defs.instance.event_storage`.

The name stays: homes that were made before go on naming it.
"""

from sparkify_dagster.defs.instance.event_storage import (
    BatchingSqliteEventLogStorage,
    BatchingSqliteStorage,
)

__all__ = ["BatchingSqliteEventLogStorage", "BatchingSqliteStorage"]
