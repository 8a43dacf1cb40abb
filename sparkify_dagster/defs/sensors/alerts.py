"""The sensors that tell people of failed runs and failed checks; there are none without NOTIFY.

A look takes the runs that ended since the last one, and makes at most one message of them.
Dagster's own `run_failure_sensor` is not used: it calls once for each run, forgets a call that
failed, and does not see what `sparkify run` executed.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import dagster as dg

from sparkify_dagster.catalogue.catalogue import Catalogue
from sparkify_dagster.defs.assets.describe import OWNERS
from sparkify_dagster.defs.dagster_private import RunStatusChangeEventType
from sparkify_dagster.defs.sensors.alert_failures import Reader
from sparkify_dagster.defs.sensors.delivery import Cursor, deliver, parse_cursor
from sparkify_dagster.present.alerts.alert_message import (
    FAILED_CHECKS,
    FAILED_RUNS,
    Alert,
    Failure,
    Links,
)
from sparkify_dagster.present.alerts.notifier import Notifier
from sparkify_dagster.present.alerts.notifiers import notifiers_of
from sparkify_dagster.settings import Settings
from sparkify_dagster.settings.alert_sections import ServiceUrl

Events = tuple[RunStatusChangeEventType, ...]

_RUNS = 100
_SECONDS = 15
"""What one look reads at most, so that it ends in time; the next one goes on from there."""
_TOO_OLD = 7 * 86400
"""Seconds: who switches alerts on again does not want to hear of last month."""
_FAILED: Events = (dg.DagsterEventType.RUN_FAILURE,)
_ENDED: Events = (
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_CANCELED,
)


@dataclass(frozen=True)
class _Kind:
    """What one sensor tells of: which runs it looks at, and what it finds in one."""

    name: str
    description: str
    events: Events
    find: Callable[[Reader, dg.DagsterRun], list[Failure]]


def alert_sensors(
    settings: Settings,
    catalogue: Catalogue,
    notifiers: Mapping[str, Notifier] | None = None,
) -> list[dg.SensorDefinition]:
    """`failed_runs` and `failed_checks`, telling the notifiers of [ALERTS] NOTIFY or these ones."""
    alerts = settings.alerts
    if notifiers is None:
        notifiers = notifiers_of(alerts)
    if not notifiers:
        return []
    by = ", ".join(notifiers)
    fails = "fails or warns" if alerts.warnings else "fails"
    kinds = (
        _Kind(
            FAILED_RUNS,
            f"Tells by {by} of each run that failed: which assets and days, and why.",
            _FAILED,
            Reader.failed_run,
        ),
        _Kind(
            FAILED_CHECKS,
            f"Tells by {by} of each check that {fails}, unless {FAILED_RUNS} tells it as a reason.",
            _ENDED,
            lambda reader, run: reader.failed_checks(run, warnings=alerts.warnings),
        ),
    )
    return [_sensor(settings, kind, catalogue, notifiers) for kind in kinds]


def _sensor(
    settings: Settings, kind: _Kind, catalogue: Catalogue, notifiers: Mapping[str, Notifier]
) -> dg.SensorDefinition:
    links = Links(settings.alerts.ui_url.rstrip("/"))
    hide = _hider(settings)

    @dg.sensor(
        name=kind.name,
        description=kind.description,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        tags={"layer": "all"},
        owners=OWNERS,
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        cursor = parse_cursor(context.cursor)
        if cursor is None:
            cursor = Cursor(_newest(context.instance, kind.events))
            first = "The first look: what fails from now on is reported."
            return dg.SensorResult(skip_reason=first, cursor=cursor.text())
        reader = Reader(context.instance, links, catalogue, hide)
        cursor, alert, seen = _new_alert(context, kind, cursor, reader)
        cursor, said = deliver(alert, cursor, notifiers, time.time(), hide)
        for line in said:
            context.log.info(line)
        return dg.SensorResult(skip_reason=" ".join([seen, *said]), cursor=cursor.text())

    return look


def _new_alert(
    context: dg.SensorEvaluationContext, kind: _Kind, cursor: Cursor, reader: Reader
) -> tuple[Cursor, Alert | None, str]:
    """The cursor behind what was looked at, what failed there as one message, what was seen."""
    found: list[Failure] = []
    events: list[int] = []
    looked_at = 0
    until = time.monotonic() + _SECONDS
    for event, run in _ended_runs(context.instance, kind.events, cursor.seen):
        if looked_at and time.monotonic() > until:
            break
        looked_at += 1
        cursor = replace(cursor, seen=event)
        if run is not None and _is_ours(context, run) and not _is_tried_again(run):
            failures = kind.find(reader, run)
            found += failures
            events += [event] * bool(failures)
    ended = "failed" if kind.name == FAILED_RUNS else "ended"
    seen = f"{looked_at} {'run' if looked_at == 1 else 'runs'} {ended} since the last look."
    alert = Alert.of(kind.name, events, found, reader.links.ui_url) if found else None
    return cursor, alert, seen


def _ended_runs(
    instance: dg.DagsterInstance, kinds: Events, seen: int
) -> list[tuple[int, dg.DagsterRun | None]]:
    """The first runs that ended after an event, in that order; None for what is of no interest."""
    records = sorted(
        (
            record
            for kind in kinds
            for record in instance.fetch_run_status_changes(
                dg.RunStatusChangeRecordsFilter(kind, after_storage_id=seen),
                limit=_RUNS,
                ascending=True,
            ).records
        ),
        key=lambda record: record.storage_id,
    )[:_RUNS]
    young = [record for record in records if record.timestamp > time.time() - _TOO_OLD]
    ids = [record.run_id for record in young]
    runs = {run.run_id: run for run in instance.get_runs(dg.RunsFilter(run_ids=ids))} if ids else {}
    return [(record.storage_id, runs.get(record.run_id)) for record in records]


def _newest(instance: dg.DagsterInstance, kinds: Events) -> int:
    newest = [
        record.storage_id
        for kind in kinds
        for record in instance.fetch_run_status_changes(kind, limit=1).records
    ]
    return max(newest, default=-1)


def _is_ours(context: dg.SensorEvaluationContext, run: dg.DagsterRun) -> bool:
    """Not one of another code location in the same instance; `sparkify run` has none."""
    mine, its = context.code_location_origin, run.remote_job_origin
    if its is None or mine is None:
        return True
    return its.repository_origin.code_location_origin.location_name == mine.location_name


def _is_tried_again(run: dg.DagsterRun) -> bool:
    """Crashed, and about to be run again by Dagster; if that fails as well, that is reported.

    It marks every run like this, but runs again only what it launched, and not what belongs to a
    backfill that is over.
    """
    marked = run.tags.get("dagster/will_retry") == "true"
    return marked and run.remote_job_origin is not None and "dagster/backfill" not in run.tags


def _hider(settings: Settings) -> Callable[[str], str]:
    """Takes the secrets of the settings out of a text that others wrote."""
    alerts = settings.alerts
    urls = [receiver.url for receiver in alerts.notify if isinstance(receiver, ServiceUrl)]
    secrets = (settings.cluster.db_password, alerts.smtp_password, alerts.webhook_url, *urls)
    known = [secret for secret in secrets if len(secret) > 3]

    def hide(text: str) -> str:
        for secret in known:
            text = text.replace(secret, "(not shown)")
        return text

    return hide
