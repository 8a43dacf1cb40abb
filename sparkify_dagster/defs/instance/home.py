"""Dagster's instance: the home folder is made if there is none, and opened the same way by all.

A dagster.yaml that exists there belongs to the user and is never changed. What runs in the instance
is not decided here.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

WAREHOUSE_POOL = "warehouse"
"""Runs of the embedded warehouse take turns: a file has one writer at a time."""

STORAGE = {"module": "sparkify_dagster.event_storage", "class": "BatchingSqliteStorage"}

DAGSTER_YAML = """\
# Dagster's own settings for this platform. Made once, then yours: it is never overwritten.
# https://docs.dagster.io/deployment/oss/dagster-yaml
telemetry: {enabled: false}
nux: {enabled: false}
# Every event is recorded and shown in the UI; the terminal need not repeat it.
python_logs: {python_log_level: INFO}

# Dagster's SQLite files in this folder, written fast. docs/deployment.md: PostgreSQL instead.
storage:
  custom:
    module: sparkify_dagster.event_storage
    class: BatchingSqliteStorage
    config: {base_dir: {env: DAGSTER_HOME}}

# An embedded warehouse has one writer: its runs wait in this queue for the pool "warehouse".
run_coordinator:
  module: dagster
  class: QueuedRunCoordinator
  config: {dequeue_interval_seconds: 1}
concurrency:
  pools: {granularity: run}
  runs: {max_concurrent_runs: 4}

# A crashed run is tried again; one that failed for a reason is not, it waits for its cause to end.
run_monitoring:
  enabled: true
  start_timeout_seconds: 180
  cancel_timeout_seconds: 180
  max_runtime_seconds: 86400
  free_slots_after_run_end_seconds: 60
run_retries: {enabled: true, max_retries: 1, retry_on_asset_or_op_failure: false}

# A tick that lists a large lake does not delay the others.
sensors: {use_threads: true, num_workers: 4}
schedules: {use_threads: true, num_workers: 2}
backfills: {use_threads: true, num_workers: 2}
retention:
  schedule: {purge_after_days: 90}
  sensor: {purge_after_days: {skipped: 7, success: 90, failure: 90}}
  auto_materialize: {purge_after_days: {skipped: 7, success: 90, failure: 90}}
"""


class HomeError(SparkifyError):
    """Dagster's home folder cannot be used."""


def open_instance(settings: Settings, *, at_terminal: bool = True) -> "dg.DagsterInstance":
    """The instance that the UI shows too; close it with `with` or `dispose()`.

    At a terminal, runs in this process leave its output there; elsewhere the UI shows it.

    Raises:
        HomeError: if the folder or its dagster.yaml cannot be used.
    """
    home = settings.home
    if not home.is_absolute():
        raise HomeError(f"DAGSTER_HOME = {home}: it must be an absolute path. Write it in full.")
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _only_one(home / ".lock"):
            _write_if_missing(home / "dagster.yaml", DAGSTER_YAML)
            return _open(home, at_terminal=at_terminal)
    except OSError as error:
        raise HomeError(
            f"Dagster's folder {home} cannot be used: {error.strerror or error}. Make it a folder"
            " that you may write to, or set DAGSTER_HOME to another."
        ) from error


@contextmanager
def storage_errors(home: Path) -> Iterator[None]:
    """What the databases of Dagster's folder refuse, as one message."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        raise HomeError(
            f"Dagster's folder {home} cannot be written: {_reason(error)} Free space on its disk,"
            " or set DAGSTER_HOME to another folder, and run again. Tables that were said to be"
            " written are."
        ) from error


def _open(home: Path, *, at_terminal: bool) -> "dg.DagsterInstance":
    import dagster as dg
    from sqlalchemy.exc import SQLAlchemyError
    from yaml import YAMLError

    from sparkify_dagster.defs.dagster_private import CheckError, InstanceRef

    try:
        ref = InstanceRef.from_dir(str(home), overrides=_overrides(home, at_terminal))
        instance = dg.DagsterInstance.from_ref(ref)
        storage = instance.event_log_storage
        if WAREHOUSE_POOL not in storage.get_concurrency_keys():
            # pools.default_limit alone does not hold for the first runs of a fresh instance
            storage.set_concurrency_slots(WAREHOUSE_POOL, 1)
    except (dg.DagsterError, SQLAlchemyError, YAMLError, CheckError) as error:
        raise HomeError(
            f"Dagster's folder {home} cannot be opened: {_reason(error)} Correct its"
            " dagster.yaml, free space on its disk, or set DAGSTER_HOME to another folder."
        ) from error
    return instance


def _reason(error: Exception) -> str:
    """The first thing that an error of Dagster, SQLite or YAML says, without its surroundings."""
    inner = next(iter(getattr(error, "errors", ())), None)
    said = getattr(inner, "message", None) or getattr(error, "orig", None) or error
    text = " ".join(str(said).split()).partition(' Expected: "')[0]
    return text if text.endswith(".") else f"{text}."


def _overrides(home: Path, at_terminal: bool) -> Mapping[str, object]:
    """What this process decides; other processes of the same home go by dagster.yaml alone."""
    from sparkify_dagster.defs.dagster_private import NoOpComputeLogManager, load_yaml_from_path

    configured = load_yaml_from_path(str(home / "dagster.yaml")) or {}
    overrides: dict[str, object] = {}
    if at_terminal:
        # It shows progress; redirecting it into a file for each step would garble it.
        overrides["compute_logs"] = {
            "module": NoOpComputeLogManager.__module__,
            "class": NoOpComputeLogManager.__name__,
        }
    if isinstance(configured, dict) and _keeps_our_storage(configured):
        # Wherever the folder is, and whether or not DAGSTER_HOME says so.
        overrides["storage"] = {"custom": STORAGE | {"config": {"base_dir": str(home)}}}
    return overrides


def _keeps_our_storage(configured: Mapping[str, object]) -> bool:
    """Whether dagster.yaml names our storage, or none, as those did that older versions made."""
    match configured:
        case {"storage": {"custom": {"module": module, "class": name}}}:
            return {"module": module, "class": name} == STORAGE
        case {"storage": _} | {"run_storage": _} | {"event_log_storage": _}:
            return False
    return "schedule_storage" not in configured


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """One process at a time makes or opens the folder: SQLite's tables are made at the opening."""
    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield  # the lock goes with the file


def _write_if_missing(path: Path, text: str) -> None:
    """All of the file or none of it, also for a process that does not ask for the lock."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)
