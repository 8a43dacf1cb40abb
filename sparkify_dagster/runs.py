"""`sparkify run` as a Dagster run: the whole chain over a range of days, in this process.

One range-tagged run of the job that the UI shows too, in the same instance. What is displayed
while it lasts is decided by the observer.
"""

import os
import socket
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.progress import (
    Checked,
    Event,
    Failed,
    Finished,
    Observer,
    Report,
    Started,
    unobserved,
)
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.reports import CheckOutcome

if TYPE_CHECKING:
    import dagster as dg

    from sparkify_dagster.partitions import DayRange

PROCESS_TAG = "sparkify/process"


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

    `reload` reads the files of these days again although they are loaded and unchanged, and makes
    the days of derived tables anew; `full` makes whole derived tables anew, and reads files that
    have no day again.

    Raises:
        SparkifyError: if the range or a table's name is not one of the platform's.
        HomeError: if Dagster's folder cannot be written; every committed table stays as it is.
        KeyboardInterrupt: if the user interrupted it; what was committed until then stays.
    """
    import dagster as dg

    from sparkify_dagster.automation.jobs import LOAD_LAKE
    from sparkify_dagster.definitions import build_definitions
    from sparkify_dagster.instance import storage_errors
    from sparkify_dagster.partitions import check_range

    chosen = _chosen(platform, tables)
    days = check_range(*days, platform.settings.partitions)
    journal = _Journal(observer)
    close_dead_runs(instance)
    with storage_errors(platform.settings.home):
        definitions = build_definitions(platform.settings, platform, journal)
        done = definitions.resolve_job_def(LOAD_LAKE).execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(table) for table in chosen] if tables else None,
            run_config=_run_config(platform, chosen, reload=reload, full=full),
            tags={**days.tags(), PROCESS_TAG: process_tag()},
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


def close_dead_runs(instance: "dg.DagsterInstance") -> int:
    """Mark runs as failed whose process on this machine is gone, and say how many.

    A killed process cannot say that its run ended. Without this the UI shows it running for ever,
    and every other run waits for its place in the warehouse's pool.
    """
    import dagster as dg

    host, closed = socket.gethostname(), 0
    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    for run in instance.get_runs(unfinished):
        where, _, process = run.tags.get(PROCESS_TAG, "").partition(":")
        process, _, signed_for = process.partition("/")
        # A retried run has the tags of the run before, until its own process signs it.
        if where == host and signed_for in ("", run.run_id) and not _is_alive(process):
            instance.report_run_failed(run, "Its process ended without saying so.")
            closed += 1
    return closed


def sign(run: "dg.DagsterRun", instance: "dg.DagsterInstance") -> None:
    """Note in the run that this process executes it, whoever launched it."""
    instance.add_run_tags(run.run_id, {PROCESS_TAG: f"{process_tag()}/{run.run_id}"})


def process_tag() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{_birth(str(os.getpid()))}"


def _is_alive(process: str) -> bool:
    """A process of the same number that was born at another time is another process."""
    pid, _, birth = process.partition(":")
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _birth(pid) == birth


def _birth(pid: str) -> str:
    """When a process began, in the kernel's words; empty where there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


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
    """What Dagster says of a failure that no asset told: one of its own, or an interruption."""
    from sparkify_dagster.dagster_private import RunFailureReason

    events = done.all_events
    reasons = [e.job_failure_data.failure_reason for e in events if e.is_run_failure]
    if RunFailureReason.UNEXPECTED_TERMINATION in reasons:
        raise KeyboardInterrupt
    for event in events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            return RuntimeError(error.to_string() if error else event.message)
    return RuntimeError("The run failed; the UI shows why.")
