"""What a step of a run works with: the platform over the run's resources, and who is listening."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import dagster as dg

from sparkify_dagster.catalogue.catalogue import ANALYTICS
from sparkify_dagster.defs.resources import LakeResource, WarehouseResource
from sparkify_dagster.present.charts import warm_up
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.run_events import Observer, unobserved

_OBSERVER: ContextVar[Observer] = ContextVar("observer", default=unobserved)


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Within the block, runs that this process executes tell the observer how they go on."""
    token = _OBSERVER.set(observer)
    try:
        yield
    finally:
        _OBSERVER.reset(token)


@dataclass(frozen=True)
class RunContext:
    """Where a step finds the platform, and whom it tells about its progress."""

    platform: Platform
    observer: Observer


def run_context(
    declared: Platform,
    run: dg.DagsterRun,
    warehouse: WarehouseResource,
    lake: LakeResource | None = None,
) -> RunContext:
    """The declared platform over the resources of this run.

    Raises:
        SparkifyError: if a value of the resources cannot be used.
    """
    if warehouse.unused and _draws(declared, run):
        warm_up()
    return RunContext(warehouse.platform(declared, lake), _OBSERVER.get())


def _draws(platform: Platform, run: dg.DagsterRun) -> bool:
    """Whether a run makes a table that has a chart."""
    chosen = run.asset_selection  # none, or an empty one, of a whole job
    drawn = platform.catalogue.tables_of(ANALYTICS)
    return any(not chosen or dg.AssetKey(table) in chosen for table in drawn)
