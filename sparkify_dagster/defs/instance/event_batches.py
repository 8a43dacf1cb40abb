"""A batch of events in Dagster's event log: many rows in one statement.

Dagster makes batches of what a run plans and of the daily events of a range. Nothing here opens a
file.
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from dagster import AssetCheckEvaluation, DagsterEventType, EventLogEntry
from sqlalchemy import bindparam, select, text

from sparkify_dagster.defs.dagster_private import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    AssetCheckEvaluationPlanned,
    AssetCheckExecutionRecordStatus,
    AssetCheckExecutionsTable,
    ConfigurableClassData,
    SqlEventLogStorageTable,
    SqliteEventLogStorage,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_State = AssetCheckExecutionRecordStatus


class _Stored(NamedTuple):
    """An event, its row in the log of all runs, and the row's id."""

    event: EventLogEntry
    row: dict[str, Any]
    id: int


class BatchWritingEventLog(SqliteEventLogStorage):
    """The stock storage makes and runs up to five statements for each event of a batch."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._seen_columns: set[str] = set()
        super().__init__(base_dir, inst_data)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of one run; what is there afterwards is as if each had come alone."""
        run_id = events[0].run_id
        kinds = {event.dagster_event_type for event in events}
        with self.run_connection(run_id) as run, self.index_connection() as index:
            if kinds == {DagsterEventType.ASSET_CHECK_EVALUATION}:
                self._note_evaluations(index, run_id, self._insert(run, index, events))
            elif kinds <= {*ASSET_EVENTS, DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED}:
                batch = self._insert(run, index, events)
                of_assets = [s for s in batch if s.event.dagster_event_type in ASSET_EVENTS]
                of_checks = [s for s in batch if s.event.dagster_event_type in ASSET_CHECK_EVENTS]
                self._note_asset_events(index, of_assets)
                self._note_planned_checks(index, run_id, of_checks)
            else:
                for event in events:
                    self.store_event(event)

    def _insert(
        self, run: "Connection", index: "Connection", events: Sequence[EventLogEntry]
    ) -> list[_Stored]:
        """Write the events to the log of their run and to that of all runs."""
        rows = [self._event_to_row(event) for event in events]
        run.execute(SqlEventLogStorageTable.insert(), rows)
        index.execute(SqlEventLogStorageTable.insert(), rows)
        last = int(index.execute(text("SELECT last_insert_rowid()")).scalar_one())
        ids = range(last - len(rows) + 1, last + 1)  # nobody else writes in this transaction
        return list(map(_Stored, events, rows, ids))

    def _note_asset_events(self, index: "Connection", batch: Sequence[_Stored]) -> None:
        """Note tags, and the last event of each kind of each asset."""
        latest: dict[tuple[str, str], _Stored] = {}
        for stored in batch:
            self._store_asset_event_tags(index, [stored.event], [stored.id])
            latest[stored.row["asset_key"], stored.row["dagster_event_type"]] = stored
        for event, _, number in sorted(latest.values(), key=attrgetter("id")):
            self._store_asset_event(index, event, number)

    def _note_planned_checks(
        self, index: "Connection", run_id: str, batch: Sequence[_Stored]
    ) -> None:
        """Make a row for each check of each day."""
        rows = []
        subset, days = None, list[str]()
        for stored in batch:
            planned = cast(AssetCheckEvaluationPlanned, _shown(stored))
            # Those of a run are of the same days, which take a millisecond to be named.
            if planned.partitions_subset and planned.partitions_subset != subset:
                subset = planned.partitions_subset
                days = list(subset.get_partition_keys())
            outcome = _outcome(stored, execution_status=_State.PLANNED.value)
            for day in days if planned.partitions_subset else [None]:
                rows.append(_of_check(planned, day) | {"run_id": run_id} | outcome)
        if rows:
            index.execute(AssetCheckExecutionsTable.insert(), rows)

    def _note_evaluations(self, index: "Connection", run_id: str, batch: Sequence[_Stored]) -> None:
        """Note outcomes of checks: in the row that was planned for one, else in a new row."""
        evaluations = [cast(AssetCheckEvaluation, _shown(stored)) for stored in batch]
        planned = _planned(index, run_id, evaluations) if run_id else {}
        changes, new = [], dict[object, dict[str, Any]]()
        for stored, evaluation in zip(batch, evaluations, strict=True):
            target = evaluation.target_materialization_data
            outcome = _outcome(
                stored,
                execution_status=(_State.SUCCEEDED if evaluation.passed else _State.FAILED).value,
                materialization_event_storage_id=target.storage_id if target else None,
            )
            of_check = _of_check(evaluation, evaluation.partition)
            key = tuple(of_check.values())
            if key in planned:
                changes.append({"planned_id": planned[key]} | outcome)
            else:  # the later of two outcomes of a check stands; without a run each does
                new[key if run_id else stored.id] = of_check | {"run_id": run_id} | outcome
        if changes:
            at = AssetCheckExecutionsTable.c.id == bindparam("planned_id")
            index.execute(AssetCheckExecutionsTable.update().where(at), changes)
        if new:
            index.execute(AssetCheckExecutionsTable.insert(), list(new.values()))

    def _has_asset_key_col_on_connection(self, conn: "Connection", column_name: str) -> bool:
        # asked for every event of an asset, by looking at all columns; a migration adds some
        if column_name not in self._seen_columns:
            if not super()._has_asset_key_col_on_connection(conn, column_name):
                return False
            self._seen_columns.add(column_name)
        return True


def _planned(
    index: "Connection", run_id: str, evaluations: Sequence[AssetCheckEvaluation]
) -> dict[tuple[str | None, ...], int]:
    """The rows that a run has for these checks, by asset, check and day."""
    columns = AssetCheckExecutionsTable.c
    # By assets and names as well: only with these is there an index, and the table is long.
    found = select(columns.asset_key, columns.check_name, columns.partition, columns.id).where(
        columns.asset_key.in_({evaluation.asset_key.to_string() for evaluation in evaluations}),
        columns.check_name.in_({evaluation.check_name for evaluation in evaluations}),
        columns.run_id == run_id,
    )
    return {(asset, name, day): row for asset, name, day, row in index.execute(found)}


def _shown(stored: _Stored) -> object:
    return stored.event.get_dagster_event().event_specific_data


def _of_check(
    shown: AssetCheckEvaluation | AssetCheckEvaluationPlanned, day: str | None
) -> dict[str, str | None]:
    asset_key = shown.asset_key.to_string()
    return {"asset_key": asset_key, "check_name": shown.check_name, "partition": day}


def _outcome(stored: _Stored, **more: object) -> dict[str, Any]:
    return {
        "evaluation_event": stored.row["event"],
        "evaluation_event_timestamp": stored.row["timestamp"],
        "evaluation_event_storage_id": stored.id,
        **more,
    }
