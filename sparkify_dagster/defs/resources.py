"""The resource that gives assets and checks the platform.

A resource holds no state of its own; what the platform does is in `warehouse`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg

from sparkify_dagster.catalogue.catalogue import ANALYTICS
from sparkify_dagster.defs.instance.process_identity import sign
from sparkify_dagster.present.charts import warm_up
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.run_events import Observer, unobserved

PLATFORM = "platform"
"""The name under which ops ask for it."""


@dataclass(frozen=True)
class RunContext:
    """Where an op finds the platform, and whom it tells about its progress."""

    platform: Platform
    observer: Observer = unobserved


def platform_resource(platform: Platform, observer: Observer) -> dg.ResourceDefinition:
    """The run as a Dagster resource, described for the UI without any secret."""
    settings = platform.settings
    description = (
        f"Engine {settings.warehouse.engine.value}, schema `{settings.warehouse.schema}`, "
        f"configured by `{settings.config_file.name}`. Lake: "
        + ", ".join(f"`{platform.lake_uri(table)}`" for table in platform.catalogue.sources)
    )

    def make(context: dg.InitResourceContext) -> Iterator[RunContext]:
        if context.run and context.instance:
            sign(context.run, context.instance)
        if _draws(platform, context.run):
            warm_up()
        with platform.warehouse.stay_open():
            yield RunContext(platform, observer)

    return dg.ResourceDefinition(make, description=description)


def _draws(platform: Platform, run: dg.DagsterRun | None) -> bool:
    """Whether a run makes a table that has a chart."""
    chosen = run.asset_selection if run else None  # none, or an empty one, of a whole job
    drawn = platform.catalogue.tables_of(ANALYTICS)
    return any(not chosen or dg.AssetKey(table) in chosen for table in drawn)


def run_context(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> RunContext:
    run = getattr(context.resources, PLATFORM)
    if not isinstance(run, RunContext):
        raise TypeError(f"resource '{PLATFORM}' must be made by platform_resource, not {run!r}")
    return run
