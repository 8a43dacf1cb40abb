"""Which process executes a run: noted in its tags, so that runs of dead processes are closed."""

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

PROCESS_TAG = "sparkify/process"


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
