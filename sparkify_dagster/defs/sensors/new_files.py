"""Sensors: while the daemon runs, new and changed files of the lake ask for their own loading.

One sensor for each source. A tick is a function of recorded state: the lake's listing, the ledger
in the warehouse, and the runs of the instance. What is asked for is decided in `run_requests`; the
cursor only spares the warehouse a question whose answer cannot have changed.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import dagster as dg

from sparkify_dagster.catalogue.catalogue import ANALYTICS
from sparkify_dagster.defs.assets.report import REPORT
from sparkify_dagster.defs.instance.process_identity import close_dead_runs
from sparkify_dagster.defs.jobs import LOAD_LAKE
from sparkify_dagster.defs.resources import LakeResource, WarehouseResource
from sparkify_dagster.defs.run_config import only_new
from sparkify_dagster.defs.sensors import arrivals, tick_messages
from sparkify_dagster.defs.sensors.arrivals import (
    SECONDS_TO_LIST,
    SECONDS_TO_READ,
    Arrivals,
    TickError,
)
from sparkify_dagster.defs.sensors.run_requests import Decision, History, Request, decide
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.lake import LakeFile
from sparkify_dagster.settings.days import check_range
from sparkify_dagster.warehouse import Platform, WarehouseBusyError

_SAID_LENGTH = 300

Clock = Callable[[], float]


@dataclass(frozen=True)
class Cursor:
    """What a tick leaves for the next: losing it costs one more look, and repeats no request."""

    seen: str = ""
    """A mark of listing, days and runs of the instance, when nothing was left to ask for."""
    said: str = ""
    until: float | None = None
    """When something has to be asked for again; None for never."""
    gone: str = ""
    """A mark of the vanished files that were reported."""

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        try:
            return cls(**json.loads(text or "{}"))
        except (ValueError, TypeError):  # written by another version, or by hand
            return cls()

    def write(self) -> str:
        return json.dumps(asdict(self))


def arrival_sensors(platform: Platform, clock: Clock = time.time) -> list[dg.SensorDefinition]:
    """A sensor for each source; the clock is only asked when a failed run is due again."""
    return [_sensor(platform, table, clock) for table in platform.catalogue.sources]


def sensor_name(platform: Platform, table: str) -> str:
    return f"new_{platform.catalogue.sources[table].name.removesuffix('_data')}_files"


def _sensor(platform: Platform, table: str, clock: Clock) -> dg.SensorDefinition:
    source, settings = platform.catalogue.sources[table], platform.settings.sensors
    running = dg.DefaultSensorStatus.RUNNING if settings.enabled else dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        name=sensor_name(platform, table),
        job_name=LOAD_LAKE,
        minimum_interval_seconds=settings.minimum_interval,
        default_status=running,
        description=(
            f"Loads what is new or changed in `{platform.lake_uri(table)}` and refreshes every"
            f" table that depends on {source.name}. A run that fails is tried again, at most"
            f" {settings.max_attempts} times for the same files; vanished files are reported."
        ),
    )
    def sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource, warehouse: WarehouseResource
    ) -> dg.SensorResult:
        looked_at = arrivals.impatient(warehouse.platform(platform, lake))
        try:
            return _Tick(looked_at, table, context, clock).result()
        except WarehouseBusyError as error:
            return dg.SensorResult(
                skip_reason=f"{error} The next tick looks again.", cursor=context.cursor
            )
        except SparkifyError as error:
            problem = str(error)
        # Outside of `except`: what caused it is not the user's business, and may hold secrets.
        raise TickError(problem)

    return sensor


class _Tick:
    """One look of one sensor."""

    def __init__(
        self, platform: Platform, table: str, context: dg.SensorEvaluationContext, clock: Clock
    ) -> None:
        self._platform = platform
        self._table = table
        self._source = platform.catalogue.sources[table]
        self._instance = context.instance
        self._context = context
        self._clock = clock
        self._cursor = Cursor.read(context.cursor)

    def result(self) -> dg.SensorResult:
        close_dead_runs(self._instance)
        # Before the ledger is read: a run that ends in between is seen by the next tick.
        runs = self._newest_run()
        listing = arrivals.within(
            SECONDS_TO_LIST,
            self._platform.lake(self._table).list,
            f"Listing {self._platform.lake_uri(self._table)}",
        )
        seen = self._mark(listing, runs)
        if self._is_known(seen):
            return dg.SensorResult(skip_reason=self._cursor.said, cursor=self._cursor.write())
        found = arrivals.within(
            SECONDS_TO_READ,
            lambda: arrivals.look(self._platform, self._table, listing),
            f"Reading the ledger of {self._platform.warehouse.location}",
        )
        decision = self._decide(found)
        return self._shown(found, decision, seen)

    def _newest_run(self) -> str:
        """Changes whenever a run begins, goes on or ends."""
        records = self._instance.get_run_records(limit=1, order_by="update_timestamp")
        return "".join(f"{r.dagster_run.run_id} {r.update_timestamp}" for r in records)

    def _mark(self, listing: Sequence[LakeFile], runs: str) -> str:
        days = str(self._platform.partitions())
        return arrivals.mark((runs, days, *map(arrivals.version_of, listing)))

    def _is_known(self, seen: str) -> bool:
        until = self._cursor.until
        waiting = until is None or self._clock() < until
        # A file that is gone is seen without opening anything; a server is left asleep.
        warehouse = self._platform.warehouse
        stands = not warehouse.one_process or warehouse.exists()
        return self._cursor.seen == seen and waiting and stands

    def _decide(self, found: Arrivals) -> Decision:
        contents = dict(found.contents)
        broken = found.behind.intersection(self._chain())
        if not contents and not broken:
            return Decision()
        name = sensor_name(self._platform, self._table)
        history = History(self._instance, name, self._table)
        if broken:
            # Their files were loaded, but a table after them failed.
            contents = history.unrepaired(self._platform.partitions()) | contents
        settings = self._platform.settings.sensors
        newest_day = found.newest_day or self._platform.settings.partitions.first_day
        return decide(contents, history, settings, self._clock(), newest_day)

    def _chain(self) -> list[str]:
        """The source's table, and all that depend on it."""
        catalogue = self._platform.catalogue
        chain = [self._table]
        for name in catalogue.transforms:  # in the order of their dependencies
            if set(chain).intersection(catalogue.dependencies(name)):
                chain.append(name)
        return chain

    def _tables_for(self, request: Request, found: Arrivals) -> list[str]:
        """The chain; at first everything, where other tables were never made either.

        Songplays are then matched once, with their songs. Not again: songs that cannot be loaded
        must not keep the days from being loaded.
        """
        catalogue, chain = self._platform.catalogue, self._chain()
        others = found.behind.difference(chain)
        if self._source.dated and request.attempt == 1 and others:
            return [*catalogue.sources, *catalogue.transforms]
        if not self._source.dated and found.newest_day is None:
            # No day was ever loaded, and perhaps none comes: the others are made, without rows.
            return [*chain, *sorted(others)]
        return chain

    def _shown(self, found: Arrivals, decision: Decision, seen: str) -> dg.SensorResult:
        said = tick_messages.reason(found, decision)
        events = list(tick_messages.events(found, decision, self._cursor.gone))
        cursor = Cursor(gone=found.gone_mark)
        if decision.requests:
            self._context.log.info(said)  # only a tick without requests can say a reason
            requests = [self._run_request(request, found) for request in decision.requests]
            return dg.SensorResult(
                run_requests=requests, cursor=cursor.write(), asset_events=events
            )
        until = min(decision.retried_at.values(), default=None)
        cursor = replace(cursor, seen=seen, said=said[:_SAID_LENGTH], until=until)
        return dg.SensorResult(skip_reason=said, cursor=cursor.write(), asset_events=events)

    def _run_request(self, request: Request, found: Arrivals) -> dg.RunRequest:
        # Dagster does not look at a range's days until the run is under way.
        check_range(*request.days, self._platform.settings.partitions)
        tables = self._tables_for(request, found)
        answered = set(tables).intersection(self._platform.catalogue.tables_of(ANALYTICS))
        return dg.RunRequest(
            run_key=request.run_key,
            tags=request.tags(sensor_name(self._platform, self._table)),
            asset_selection=list(map(dg.AssetKey, [*tables, REPORT] if answered else tables)),
            run_config=only_new(self._platform.catalogue, tables),
        )
