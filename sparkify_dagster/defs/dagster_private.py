"""What this package needs of Dagster's private modules: the only file that names them.

They may move in any release. The comment above each name says what it is needed for, what the
public interface lacks, and the version of Dagster in which that was read. Import names from here as
from any module; those of the storage are loaded when they are first asked for, because
`import dagster` alone does not load them. What is done with a name is not decided here.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    # To store the planned checks of a run in one statement: not exported. (1.13.27)
    AssetCheckEvaluationPlanned,
    # To tie the outcome of a check to a day: an argument whose type is not exported. (1.13.27)
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.definitions.metadata import (
    # To type metadata that is put together before Dagster has it: not exported. (1.13.27)
    RawMetadataValue,
)
from dagster._core.definitions.unresolved_asset_job_definition import (
    # To type what `define_asset_job` returns: not exported. (1.13.27)
    UnresolvedAssetJobDefinition,
)
from dagster._core.errors import (
    # To recognize a step that Dagster failed because of its checks: not exported. (1.13.27)
    DagsterAssetCheckFailedError,
)
from dagster._core.event_api import (
    # To type who watches the events of a run: not exported. (1.13.27)
    EventHandlerFn,
    # To read the history of a check for one day: the storage wants it, not exported. (1.13.27)
    PartitionKeyFilter,
    # To type the ends of runs that are asked for: not exported. (1.13.27)
    RunStatusChangeEventType,
)
from dagster._core.events import (
    # To know events of checks in a batch: not exported. (1.13.27)
    ASSET_CHECK_EVENTS,
    # To know events of assets in a batch: not exported. (1.13.27)
    ASSET_EVENTS,
    # To store the check outcomes of many days at once: ops yield them one by one. (1.13.27)
    DagsterEventBatchMetadata,
    # To read why a run failed without a failed step: not exported. (1.13.27)
    JobFailureData,
    # To tell an interrupted run from a failed one: not exported. (1.13.27)
    RunFailureReason,
)
from dagster._core.instance.ref import (
    # To open an instance with settings of this process: `DagsterInstance.get` takes none. (1.13.27)
    InstanceRef,
)
from dagster._core.storage.asset_check_execution_record import (
    # To ask for outcomes of checks that ran to their end: not exported. (1.13.27)
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
    # To write the state of a check into its row: not exported. (1.13.27)
    AssetCheckExecutionRecordStatus,
)
from dagster._serdes import (
    # To type what a class that dagster.yaml names is given: not exported. (1.13.27)
    ConfigurableClassData,
)
from dagster_shared.check import (
    # To tell a malformed dagster.yaml as one message: it is no `DagsterError`. (1.13.27)
    CheckError,
)
from dagster_shared.yaml_utils import (
    # To read dagster.yaml as Dagster does: no public reading of it. (1.13.27)
    load_yaml_from_path,
)

if TYPE_CHECKING:
    from dagster._core.storage.event_log import (
        # To write the event log fast: no storage to inherit from is exported. (1.13.27)
        SqliteEventLogStorage,
    )
    from dagster._core.storage.event_log.schema import (
        # To write the rows of checks in batches: not exported. (1.13.27)
        AssetCheckExecutionsTable,
        # To write the rows of events in batches: not exported. (1.13.27)
        SqlEventLogStorageTable,
    )
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
        # To show a run live while its file stays open: the stock one waits for the file. (1.13.27)
        SqliteEventLogStorageWatchdog,
    )
    from dagster._core.storage.noop_compute_log_manager import (
        # To leave the output of steps at the terminal: not exported. (1.13.27)
        NoOpComputeLogManager,
    )
    from dagster._core.storage.sqlite_storage import (
        # To keep runs and schedules beside that event log: no storage is exported. (1.13.27)
        DagsterSqliteStorage,
        # To type the configuration of that storage: not exported. (1.13.27)
        SqliteStorageConfig,
    )
else:
    # The imports above, where they are: a test compares the two.
    _STORAGE = {
        "AssetCheckExecutionsTable": "dagster._core.storage.event_log.schema",
        "DagsterSqliteStorage": "dagster._core.storage.sqlite_storage",
        "NoOpComputeLogManager": "dagster._core.storage.noop_compute_log_manager",
        "SqlEventLogStorageTable": "dagster._core.storage.event_log.schema",
        "SqliteEventLogStorage": "dagster._core.storage.event_log",
        "SqliteEventLogStorageWatchdog": "dagster._core.storage.event_log.sqlite.sqlite_event_log",
        "SqliteStorageConfig": "dagster._core.storage.sqlite_storage",
    }

    def __getattr__(name: str) -> object:
        """A name of the storage; any other is a mistake."""
        if name not in _STORAGE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_STORAGE[name]), name)


def narrow(output: dg.OutputContext, kept: Sequence[str]) -> None:
    """Have an output of a daily asset recorded for these of its days alone.

    To leave out days that a run was asked for and did not make: Dagster records every day of its
    range, in `_log_materialization_or_observation_events_for_asset`. (1.13.27)
    """
    if kept:
        days = output.asset_partitions_def.empty_subset()
        output._asset_partitions_subset = days.with_partition_keys(kept)
    else:  # of no day at all it would be recorded as one of the table
        output._asset_key = None


__all__ = [
    "ASSET_CHECK_EVENTS",
    "ASSET_EVENTS",
    "COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES",
    "AssetCheckEvaluationPlanned",
    "AssetCheckEvaluationTargetMaterializationData",
    "AssetCheckExecutionRecordStatus",
    "AssetCheckExecutionsTable",
    "CheckError",
    "ConfigurableClassData",
    "DagsterAssetCheckFailedError",
    "DagsterEventBatchMetadata",
    "DagsterSqliteStorage",
    "EventHandlerFn",
    "InstanceRef",
    "JobFailureData",
    "NoOpComputeLogManager",
    "PartitionKeyFilter",
    "RawMetadataValue",
    "RunFailureReason",
    "RunStatusChangeEventType",
    "SqlEventLogStorageTable",
    "SqliteEventLogStorage",
    "SqliteEventLogStorageWatchdog",
    "SqliteStorageConfig",
    "UnresolvedAssetJobDefinition",
    "load_yaml_from_path",
    "narrow",
]
