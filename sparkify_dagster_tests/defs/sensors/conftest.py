"""Fixtures for sensors: what Dagster's daemon does with a tick, one tick at a time.

The instance, the runs and the warehouse are real; only time is moved, by `later`.
"""

import json
import shutil
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from sparkify_dagster.definitions import build_definitions
from sparkify_dagster.defs.instance.home import open_instance
from sparkify_dagster.defs.partitions import RANGE_END_TAG, RANGE_START_TAG
from sparkify_dagster.defs.resources import lake_resource, warehouse_resource
from sparkify_dagster.defs.sensors.new_files import arrival_sensors
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings import load_settings
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.load.ledger import current_etags
from sparkify_dagster.warehouse.status import recorded
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    FolderLake,
    all_rows,
    assert_same_rows,
    bring_up_to_date,
    make_platform,
    with_questions,
)

LOGS, SONGS = "staging_events", "staging_songs"


def resources_of(platform: Platform) -> dict[str, object]:
    """What sensors and schedules are given."""
    settings = platform.settings
    return {"lake": lake_resource(settings), "warehouse": warehouse_resource(settings)}


class Daemon:
    """One sensor as the daemon drives it: its cursor, its run keys, and the runs it asks for."""

    def __init__(self, platform: Platform, instance: dg.DagsterInstance, table: str = LOGS) -> None:
        self.platform = platform
        self.instance = instance
        self.table = table
        self.cursor: str | None = None
        self.asked: list[dg.RunRequest] = []
        self.events: list[dg.AssetMaterialization | dg.AssetObservation] = []
        self._ahead = 0.0
        (self.sensor,) = (
            sensor
            for name, sensor in zip(
                platform.catalogue.sources,
                arrival_sensors(platform, lambda: time.time() + self._ahead),
                strict=True,
            )
            if name == table
        )
        self.job = build_definitions(platform.settings, platform).resolve_job_def("load_lake")
        self._parts: dict[frozenset[dg.AssetKey], dg.JobDefinition] = {}

    def later(self, seconds: float) -> None:
        self._ahead += seconds

    def after(self, seconds: float) -> None:
        """So long after now, and so after runs that have just ended."""
        self._ahead = seconds

    def restart(self) -> None:
        """The cursor is lost, as when somebody resets the sensor."""
        self.cursor = None

    def look(self) -> SensorExecutionData:
        """One tick, of which nothing is launched."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            sensor_name=self.sensor.name,
            resources=resources_of(self.platform),
        ) as context:
            data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return data

    def tick(self) -> list[dg.RunRequest]:
        """One tick, and the requests of which the daemon makes runs: those with a new run key."""
        data = self.look()
        for event in data.asset_events:
            assert isinstance(event, dg.AssetMaterialization | dg.AssetObservation)
            self.instance.report_runless_asset_event(event)
            self.events.append(event)
        requests = list(data.run_requests or ())
        used = {run.tags.get("dagster/run_key") for run in self.instance.get_runs()}
        assert not {request.run_key for request in requests} & used, "a run key is used once"
        self.asked += requests
        return requests

    def skipped(self) -> str:
        """Why a tick asks for nothing."""
        data = self.look()
        assert not data.run_requests
        assert data.skip_message
        return data.skip_message

    def launch(self, request: dg.RunRequest) -> dg.DagsterRun:
        """A run as the daemon makes it, under way."""
        return self.instance.create_run_for_job(
            self._part(frozenset(request.asset_selection or ())),
            run_config=request.run_config,
            tags=self._tags(request),
            status=dg.DagsterRunStatus.STARTED,
            asset_selection=frozenset(request.asset_selection or ()),
        )

    def crash(self, request: dg.RunRequest, *, after_loading: bool = False) -> None:
        """The run's process dies: at once, or when the first table is written."""
        run = self.launch(request)
        if after_loading:
            days = (
                DayRange(*days_of(request))
                if self.platform.catalogue.sources[self.table].dated
                else None
            )
            self.platform.load(self.table, days=days, reload=False, run_id=run.run_id)
        self.instance.report_run_failed(run, "Its process was killed.")

    def complete(self, request: dg.RunRequest) -> bool:
        """What the run does to the warehouse, and how it ends; a tick sees no more of a run."""
        run, days = self.launch(request), DayRange(*days_of(request))
        catalogue = self.platform.catalogue
        selected = {key.to_user_string() for key in request.asset_selection or ()}
        config = request.run_config.get("ops", {})
        try:
            with self.platform.warehouse.stay_open():
                for table in [table for table in catalogue.sources if table in selected]:
                    dated = catalogue.sources[table].dated
                    given = {"reload": dated} | config.get(table, {}).get("config", {})
                    self.platform.load(
                        table, days=days if dated else None, run_id=run.run_id, **given
                    )
                for table in [table for table in catalogue.transforms if table in selected]:
                    daily = catalogue.is_daily(table)
                    self.platform.refresh(table, days=days if daily else None, recompute=daily)
        except SparkifyError as error:
            self.instance.report_run_failed(run, str(error))
            return False
        ended = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, run.job_name)
        self.instance.report_dagster_event(ended, run.run_id)
        return True

    def execute(self, request: dg.RunRequest) -> bool:
        """The run, to its end, in this process: it takes five times as long."""
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        done = self.job.execute_in_process(
            instance=self.instance,
            asset_selection=list(request.asset_selection or ()),
            run_config={**request.run_config, **quiet},
            tags=self._tags(request),
            raise_on_error=False,
        )
        return done.success

    def settle(self, ticks: int = 30) -> None:
        """Ticks and runs, with time passing, until nothing is asked for."""
        for _ in range(ticks):
            requests = self.tick()
            for request in requests:
                self.complete(request)
            if not requests and json.loads(self.cursor or "{}")["until"] is None:
                return
            self.later(7 * 3600)
        pytest.fail("The sensor never comes to rest.")

    def _part(self, selection: frozenset[dg.AssetKey]) -> dg.JobDefinition:
        """The job of some assets, kept: what Dagster writes of it into a run is long to make."""
        if selection not in self._parts:
            self._parts[selection] = self.job.get_subset(asset_selection=selection)
        return self._parts[selection]

    def _tags(self, request: dg.RunRequest) -> dict[str, str]:
        return {
            **request.tags,
            "dagster/run_key": request.run_key or "",
            "dagster/sensor_name": self.sensor.name,
        }


def days_of(request: dg.RunRequest) -> tuple[date, date]:
    first, last = (request.tags[tag] for tag in (RANGE_START_TAG, RANGE_END_TAG))
    return date.fromisoformat(first), date.fromisoformat(last)


def loaded_versions(platform: Platform, table: str = LOGS) -> dict[str, str]:
    """The etag of each current file in the ledger."""
    files, _, _ = recorded(platform, (table,), current_etags)
    return files[table]


def lake_versions(platform: Platform, table: str = LOGS) -> dict[str, str]:
    return {file.key: file.etag for file in platform.lake(table).list()}


def assert_as_a_fresh_load(platform: Platform, folder: Path) -> None:
    """The tables are a function of the lake."""
    fresh = make_platform(folder, Path(platform.lake_uri(LOGS)).parent)
    bring_up_to_date(fresh)
    assert_same_rows(all_rows(platform), all_rows(fresh))


@pytest.fixture
def sensor_instance(tmp_path: Path, fresh_home: Path) -> Iterator[dg.DagsterInstance]:
    config = tmp_path / "home.cfg"
    config.write_text(
        f"[S3]\nLOG_DATA = l\nSONG_DATA = s\n[PARTITIONS]\nFIRST_DAY = {FIRST}\n", encoding="utf-8"
    )
    settings = load_settings(config, {"DAGSTER_HOME": str(tmp_path / "home")})
    shutil.copytree(fresh_home, settings.home)
    with open_instance(settings) as instance:
        yield instance


@pytest.fixture
def watched(tmp_path: Path, folder_lake: FolderLake) -> Platform:
    """A platform over an empty folder lake; its days are those of November 2018.

    It answers no questions: its runs are shorter, and what sensors look at they do not change.
    """
    return make_platform(tmp_path / "platform", folder_lake.root, with_questions())


@pytest.fixture
def answering(tmp_path: Path, folder_lake: FolderLake) -> Platform:
    """The same platform with questions, for tests of what a run is asked to do."""
    return make_platform(tmp_path / "platform", folder_lake.root)


@pytest.fixture
def daemon(watched: Platform, sensor_instance: dg.DagsterInstance) -> Daemon:
    return Daemon(watched, sensor_instance)


@pytest.fixture
def song_daemon(watched: Platform, sensor_instance: dg.DagsterInstance) -> Daemon:
    return Daemon(watched, sensor_instance, SONGS)
