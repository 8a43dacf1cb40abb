"""`sparkify run` as a Dagster run: the whole chain over a range of days, in this process.

One range-tagged run of the job that the UI shows too, in the same instance. What is displayed
while it lasts is decided by the observer.
"""

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.reports import CheckOutcome, HeldBack, LoadReport
from sparkify_dagster.warehouse.run_events import (
    Checked,
    Event,
    Failed,
    Finished,
    Observer,
    Report,
    Started,
    unobserved,
)

if TYPE_CHECKING:
    import dagster as dg

    from sparkify_dagster.settings.days import DayRange


@dataclass(frozen=True)
class RunResult:
    """What became of a run. `ok` is what the exit status says."""

    run_id: str
    success: bool
    reports: Mapping[str, Report]
    failures: Mapping[str, Exception]
    skipped: tuple[str, ...]
    outcomes: tuple[CheckOutcome, ...]

    @property
    def ok(self) -> bool:
        """Everything succeeded, and no check of error severity failed."""
        return self.success and not any(outcome.failed_hard for outcome in self.outcomes)

    @property
    def held_back(self) -> tuple[HeldBack, ...]:
        """The files that could not be loaded; everything else was."""
        loads = (report for report in self.reports.values() if isinstance(report, LoadReport))
        return tuple(held for load in loads for held in load.held_back)

    @property
    def message(self) -> str | None:
        """The messages for the user, one a failed table; None if there is none."""
        return "\n".join(str(error) for error in self.failures.values()) or None

    @property
    def defect(self) -> str | None:
        """The traceback of a failure that is no SparkifyError, for --debug."""
        for error in self.failures.values():
            if not isinstance(error, SparkifyError):
                return "".join(traceback.format_exception(error))
        return None


@dataclass
class _Journal:
    """Keeps what the assets tell, and passes it on."""

    observer: Observer
    started: list[str] = field(default_factory=list)
    reports: dict[str, Report] = field(default_factory=dict)
    failures: dict[str, Exception] = field(default_factory=dict)
    outcomes: list[CheckOutcome] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        match event:
            case Started(table):
                self.started.append(table)
            case Finished(table, report):
                self.reports[table] = report
                self.outcomes += report.outcomes
                for other in getattr(report, "also_refreshed", ()):
                    self.outcomes += other.outcomes
            case Checked(_, outcomes):
                self.outcomes += outcomes
            case Failed(table, error, outcomes):
                self.failures[table] = error
                self.outcomes += outcomes
            case _:
                pass
        self.observer(event)


def materialize(
    platform: Platform,
    instance: "dg.DagsterInstance",
    *,
    days: "DayRange",
    tables: Sequence[str] | None = None,
    reload: bool = False,
    full: bool = False,
    observer: Observer = unobserved,
) -> RunResult:
    """Materialize tables, all of them by default, for a range of days; days are validated first.

    `reload` reads the files of these days again although they are loaded and unchanged, and
    rebuilds the days of derived tables; `full` rebuilds derived tables in full, and reads files
    that have no day again.

    Raises:
        SparkifyError: if the range or a table's name is not one of the platform's.
        HomeError: if Dagster's folder cannot be written; every committed table stays as it is.
        KeyboardInterrupt: if the user interrupted it; what was committed until then stays.
    """
    import dagster as dg

    from sparkify_dagster.defs.build import build_definitions
    from sparkify_dagster.defs.instance.home import storage_errors
    from sparkify_dagster.defs.instance.process_identity import (
        PROCESS_TAG,
        close_dead_runs,
        process_tag,
    )
    from sparkify_dagster.defs.jobs import LOAD_LAKE
    from sparkify_dagster.defs.partitions import range_tags
    from sparkify_dagster.defs.run_context import observed_by
    from sparkify_dagster.settings.days import check_range

    chosen = _chosen(platform, tables)
    days = check_range(*days, platform.settings.partitions)
    journal = _Journal(observer)
    close_dead_runs(instance)
    with storage_errors(platform.settings.home):
        definitions = build_definitions(platform.settings, platform)
        with observed_by(journal):
            done = definitions.resolve_job_def(LOAD_LAKE).execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey(table) for table in chosen] if tables else None,
                run_config=_run_config(platform, chosen, reload=reload, full=full),
                tags={**range_tags(days), PROCESS_TAG: process_tag()},
                raise_on_error=False,
            )
    failures = journal.failures
    if not done.success and not failures:
        failures["run"] = _unheard_failure(done)
    return RunResult(
        run_id=done.run_id,
        success=done.success,
        reports=journal.reports,
        failures=failures,
        skipped=tuple(table for table in chosen if table not in journal.started),
        outcomes=tuple(journal.outcomes),
    )


def _chosen(platform: Platform, tables: Sequence[str] | None) -> tuple[str, ...]:
    catalogue = platform.catalogue
    known = (*catalogue.sources, *catalogue.transforms)
    unknown = [table for table in tables or () if table not in known]
    if unknown:
        raise SparkifyError(
            f"There is no asset named {', '.join(unknown)}. The assets are: {', '.join(known)}."
        )
    return tuple(table for table in known if tables is None or table in tables)


def _run_config(
    platform: Platform, tables: Sequence[str], *, reload: bool, full: bool
) -> dict[str, object]:
    def config_of(table: str) -> dict[str, bool]:
        if table in platform.catalogue.sources:
            # Days are asked for by name; a source without days is read again with all the rest.
            return {"reload": reload and (full or platform.catalogue.sources[table].dated)}
        return {"full": full} | (
            {"recompute": reload} if platform.catalogue.is_daily(table) else {}
        )

    return {
        "ops": {platform.catalogue.step_of(t): {"config": config_of(t)} for t in tables},
        # The terminal belongs to the observer; the event log keeps everything all the same.
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }


def _unheard_failure(done: "dg.ExecuteInProcessResult") -> RuntimeError:
    """What Dagster says of a failure that no asset reported: one of its own, or an interruption."""
    from sparkify_dagster.defs.dagster_private import RunFailureReason

    events = done.all_events
    reasons = [e.job_failure_data.failure_reason for e in events if e.is_run_failure]
    if RunFailureReason.UNEXPECTED_TERMINATION in reasons:
        raise KeyboardInterrupt
    for event in events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            return RuntimeError(error.to_string() if error else event.message)
    return RuntimeError("The run failed; the UI shows why.")
