"""What failed in a run that is over, read from Dagster's event log: its steps, and its checks.

A check whose failure stopped a step is reported with that step. Who gets it is in `notifiers`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import dagster as dg

from sparkify_dagster.catalogue.catalogue import Catalogue
from sparkify_dagster.defs.dagster_private import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
    DagsterAssetCheckFailedError,
    JobFailureData,
    PartitionKeyFilter,
)
from sparkify_dagster.defs.partitions import RANGE_END_TAG, RANGE_START_TAG
from sparkify_dagster.present.alerts.alert_message import Failure, Links, one_line

_PAGE = 1000
_PARTITION_TAG = "dagster/partition"
_DAYS_SHOWN = 3
_DAYS_COMPARED = 50
_LOOK_BACK = 200


@dataclass(frozen=True)
class Reader:
    """Reads runs of one instance; `hide` takes known secrets out of whatever they say."""

    instance: dg.DagsterInstance
    links: Links
    catalogue: Catalogue
    hide: Callable[[str], str]

    def failed_run(self, run: dg.DagsterRun) -> list[Failure]:
        """One failure for each table or step that failed; one for the run if none did.

        Where Dagster itself failed a step because of its checks, they are what is reported.
        """
        steps = list(self._events(run, dg.DagsterEventType.STEP_FAILURE))
        if steps:
            return [
                self._failure(run, subject, reason)
                for event in steps
                if not _is_of_checks(event)
                for subject, reason in _reasons(event).items()
            ]
        ends = self._events(run, dg.DagsterEventType.RUN_FAILURE)
        said = next((_reason(event) for event in ends), "")
        return [self._failure(run, run.job_name, said or "It did not say why.")]

    def failed_checks(self, run: dg.DagsterRun, *, warnings: bool) -> list[Failure]:
        """The failed checks of a run that `failed_run` does not tell as a reason.

        What is published all the same stands until its cause is mended, run after run: it is
        reported when it is new.
        """
        failed: dict[tuple[str, str], list[dg.AssetCheckEvaluation]] = {}
        for event in self._events(run, dg.DagsterEventType.ASSET_CHECK_EVALUATION):
            found = event.asset_check_evaluation_data
            if not found.passed and (warnings or found.severity is dg.AssetCheckSeverity.ERROR):
                place = found.asset_key.to_user_string(), found.check_name
                failed.setdefault(place, []).append(found)
        if not failed:
            return []
        steps = self._events(run, dg.DagsterEventType.STEP_FAILURE)
        shown = [reason for event in steps for reason in _reasons(event).values()]
        return [
            self._failed_check(run, asset, check, found)
            for (asset, check), found in failed.items()
            # `AuditFailedError` begins with the table and names its failed checks like this
            if not any(r.startswith(f"{asset}: ") and f"{check} (" in r for r in shown)
            and self._is_news(run, found)
        ]

    def _is_news(self, run: dg.DagsterRun, found: list[dg.AssetCheckEvaluation]) -> bool:
        """Whether it stopped a run, or is about a day (or a table) that was not so before."""
        if any(one.blocking for one in found):
            return True
        judged = [one for one in found if one.partition] or found
        return any(_rows(one) != self._rows_before(run, one) for one in judged[:_DAYS_COMPARED])

    def _rows_before(self, run: dg.DagsterRun, found: dg.AssetCheckEvaluation) -> object:
        """The offending rows that the same check found the time before; None if it passed."""
        history = self.instance.event_log_storage.get_asset_check_execution_history(
            found.asset_check_key,
            limit=_LOOK_BACK,
            status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
            partition_filter=PartitionKeyFilter(key=found.partition),
        )
        own = max((record.id for record in history if record.run_id == run.run_id), default=0)
        others = [r for r in history if r.id < own and r.run_id != run.run_id]
        if not found.partition and self._is_by_day(found):
            # what it found in all days of a run is compared with a run over the same days
            ids = [record.run_id for record in others]
            runs = self.instance.get_runs(dg.RunsFilter(run_ids=ids)) if ids else []
            same = {other.run_id for other in runs if _days(other) == _days(run)}
            others = [record for record in others if record.run_id in same]
        event = others[0].event.dagster_event if others and others[0].event else None
        before = event.asset_check_evaluation_data if event else None
        return _rows(before) if before and not before.passed else None

    def _is_by_day(self, found: dg.AssetCheckEvaluation) -> bool:
        checks = self.catalogue.checks_of(found.asset_key.to_user_string())
        return any(check.by_day for check in checks if check.name == found.check_name)

    def _failure(self, run: dg.DagsterRun, subject: str, reason: str) -> Failure:
        page = self.links.run(run.run_id)
        day = run.tags.get(_PARTITION_TAG, "")
        return Failure(
            subject=subject,
            days=_days(run),
            reason=one_line(self.hide(reason)),
            run_id=run.run_id,
            run_url=page,
            url=self.links.asset(subject, day) if subject in self.catalogue.tables else page,
        )

    def _failed_check(
        self, run: dg.DagsterRun, asset: str, check: str, found: list[dg.AssetCheckEvaluation]
    ) -> Failure:
        days = sorted({one.partition for one in found if one.partition})
        # the outcome of the whole run, which stands beside those of its days
        whole = next((one for one in found if not one.partition), found[-1])
        counted = f" Offending rows: {_rows(whole)}."
        return Failure(
            subject=asset,
            days=", ".join(days[:_DAYS_SHOWN])
            + (f" and {len(days) - _DAYS_SHOWN} more days" if len(days) > _DAYS_SHOWN else ""),
            reason=one_line(self.hide(f"{whole.description or ''}{counted}")),
            run_id=run.run_id,
            run_url=self.links.run(run.run_id),
            url=self.links.check(asset, check),
            check=check,
            severity="error" if whole.severity is dg.AssetCheckSeverity.ERROR else "warning",
        )

    def _events(self, run: dg.DagsterRun, kind: dg.DagsterEventType) -> Iterator[dg.DagsterEvent]:
        cursor, more = None, True
        while more:
            page = self.instance.get_records_for_run(run.run_id, cursor, kind, _PAGE)
            yield from _events_of(page.records)
            cursor, more = page.cursor, page.has_more


def _events_of(records: Iterable[dg.EventLogRecord]) -> Iterator[dg.DagsterEvent]:
    for record in records:
        if event := record.event_log_entry.dagster_event:
            yield event


def _rows(found: dg.AssetCheckEvaluation) -> object:
    """How many rows break the rule, which every check of this platform says."""
    rows = found.metadata.get("offending_rows")
    return rows.value if rows else "not counted"


def _is_of_checks(event: dg.DagsterEvent) -> bool:
    error = event.step_failure_data.error
    return error is not None and error.cls_name == DagsterAssetCheckFailedError.__name__


def _days(run: dg.DagsterRun) -> str:
    first, last = run.tags.get(RANGE_START_TAG), run.tags.get(RANGE_END_TAG)
    if first and last and first != last:
        return f"{first} to {last}"
    return first or run.tags.get(_PARTITION_TAG, "")


def _reasons(event: dg.DagsterEvent) -> dict[str, str]:
    """What a failed step says of each table that failed (see `materialize`), or of itself."""
    said = event.step_failure_data.user_failure_data
    tables = said.metadata if said else {}
    found = {table: str(reason.value) for table, reason in tables.items()}
    return found or {event.step_key or "": _reason(event)}


def _reason(event: dg.DagsterEvent) -> str:
    """What a failure says for people: the text of a SparkifyError, or the head of an error."""
    if event.is_step_failure:
        failure = event.step_failure_data
        if failure.user_failure_data and failure.user_failure_data.description:
            return failure.user_failure_data.description
        error = failure.error
    else:
        data = event.event_specific_data  # none where the run's process did not say it itself
        error = data.error if isinstance(data, JobFailureData) else None
    if error:
        cause = error.cause or error
        return cause.message.strip() or cause.cls_name or ""
    return event.message or ""
