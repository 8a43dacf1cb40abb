"""Requests: which arrivals a sensor asks a run for, and which have to wait or are given up.

A function of two recorded states: what the warehouse lacks (`arrivals`), and what became of the
runs that were asked for, which the instance tells by their tags. Nothing is remembered elsewhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import dagster as dg

from sparkify_dagster.defs.jobs import LOAD_LAKE, STAGING
from sparkify_dagster.defs.partitions import RANGE_END_TAG, RANGE_START_TAG, range_tags
from sparkify_dagster.defs.sensors.arrivals import mark
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.settings.sections import SensorSettings

SENSOR_TAG = "sparkify/sensor"
CONTENT_TAG = "sparkify/content"
ATTEMPT_TAG = "sparkify/attempt"
# The mark of each day of the range: hundreds of them, which the UI need not show.
DAYS_TAG = ".dagster/sparkify_days"

MAX_OPEN_REQUESTS = 10
"""Runs of one sensor that have not finished; more wait for the next tick."""
_RUNS_REMEMBERED = 1000
_SMALLER = (None, 31, 7, 1)
"""The most days of a request after so many failures: at last a day is alone with its fault."""
_GAPS = (0, 7, 31, 366)
"""Days without arrivals that a range may bridge, tried in turn while there are too many ranges."""
_LONGEST_DELAY = 6 * 3600
_NOTHING, _UNDATED = "-", "*"

Day = date | None
"""A day of a dated source; None for all of an undated one."""

# NOT_STARTED is missing on purpose: the daemon died between making such a run and launching it,
# and takes it up again when the same run key is requested once more.
_UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
_FAILED = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_FINISHED = (dg.DagsterRunStatus.SUCCESS, *_FAILED)


@dataclass
class Attempt:
    """What became of the runs that were asked for one content of one day."""

    tries: int = 0
    failures: int = 0
    """Since the last success; one that left the content unloaded was in vain, but no failure."""
    ended: float = 0.0


@dataclass(frozen=True)
class Request:
    """One run to ask for: a range of days (undated: one day, for the tables that have days)."""

    days: DayRange
    contents: Mapping[Day, str]
    attempt: int = 1

    @property
    def content(self) -> str:
        return mark(f"{day}={text}" for day, text in self.contents.items())

    @property
    def run_key(self) -> str:
        return f"{self.content}-{self.attempt}"

    def tags(self, sensor: str) -> dict[str, str]:
        return {
            **range_tags(self.days),
            SENSOR_TAG: sensor,
            CONTENT_TAG: self.content,
            ATTEMPT_TAG: str(self.attempt),
            DAYS_TAG: self._marks(),
        }

    def _marks(self) -> str:
        if None in self.contents:
            return _UNDATED + self.contents[None]
        return " ".join(self.contents.get(day, _NOTHING) for day in self.days.days())


@dataclass
class Decision:
    """What a tick asks for, and why it does not ask for the rest."""

    requests: list[Request] = field(default_factory=list)
    fresh: list[Day] = field(default_factory=list)
    """Asked for the first time."""
    loading: list[Day] = field(default_factory=list)
    retried_at: dict[Day, float] = field(default_factory=dict)
    given_up: list[Day] = field(default_factory=list)
    crowded: int = 0
    """Requests for which there are too many unfinished ones."""


class History:
    """The runs of the instance that concern one sensor."""

    def __init__(self, instance: dg.DagsterInstance, sensor: str, table: str) -> None:
        self._instance = instance
        self._sensor = sensor
        self.attempts: dict[tuple[Day, str], Attempt] = {}
        self._failed: dict[Day, str] = {}
        self._read_finished()
        unfinished = instance.get_runs(dg.RunsFilter(statuses=list(_UNFINISHED)))
        self.open = sum(run.tags.get(SENSOR_TAG) == sensor for run in unfinished)
        self.loading: set[Day] = {
            day for run in unfinished if _loads(run, table) for day in (None, *_days_of(run))
        }

    def attempt_number(self, content: str) -> int:
        """The next attempt at a content: also of one that is older than what is remembered."""
        tags = {SENSOR_TAG: self._sensor, CONTENT_TAG: content}
        filters = dg.RunsFilter(tags=tags, statuses=list(_FINISHED))
        return self._instance.get_runs_count(filters) + 1

    def unrepaired(self, partitions: DayRange) -> dict[Day, str]:
        """What was asked for in vain since the sensor's last success, of the days that exist."""
        return {d: text for d, text in self._failed.items() if d is None or partitions.holds(d)}

    def of(self, day: Day, content: str) -> Attempt:
        return self.attempts.get((day, content), Attempt())

    def _read_finished(self) -> None:
        filters = dg.RunsFilter(tags={SENSOR_TAG: self._sensor}, statuses=list(_FINISHED))
        records = self._instance.get_run_records(filters, limit=_RUNS_REMEMBERED)
        for record in sorted(records, key=_ended):
            failed = record.dagster_run.status in _FAILED
            if not failed:
                self._failed.clear()
            for day, content in _contents_of(record.dagster_run):
                attempt = self.attempts.setdefault((day, content), Attempt())
                attempt.tries += 1
                attempt.failures = attempt.failures + 1 if failed else 0
                attempt.ended = _ended(record)
                if failed:
                    self._failed[day] = content


def decide(
    contents: Mapping[Day, str],
    history: History,
    settings: SensorSettings,
    now: float,
    newest_day: date,
) -> Decision:
    """What to ask for: whatever is not being loaded, not tried in vain too often or just now.

    What has no day is asked for together with `newest_day`.
    """
    decision, due = Decision(), dict[Day, int]()
    for day, content in contents.items():
        attempt = history.of(day, content)
        again = attempt.ended + delay(attempt.tries, settings)
        if day in history.loading:
            decision.loading.append(day)
        elif attempt.failures >= settings.max_attempts:
            decision.given_up.append(day)
        elif attempt.tries and now < again:
            decision.retried_at[day] = again
        else:
            due[day] = attempt.failures
    found = _grouped(due, contents, history.loading, newest_day)
    room = max(0, MAX_OPEN_REQUESTS - history.open)
    decision.requests = [
        replace(request, attempt=history.attempt_number(request.content))
        for request in found[:room]
    ]
    decision.crowded = len(found[room:])
    decision.fresh = [
        day
        for request in decision.requests
        for day, content in request.contents.items()
        if not history.of(day, content).tries
    ]
    return decision


def delay(tries: int, settings: SensorSettings) -> float:
    """Seconds after the end of the last of so many tries: each four times the one before."""
    return min(settings.retry_delay * 4.0 ** min(tries - 1, 20), _LONGEST_DELAY)


def _grouped(
    due: Mapping[Day, int],
    contents: Mapping[Day, str],
    loading: set[Day],
    newest_day: date,
) -> list[Request]:
    if None in due:
        return [Request(DayRange(newest_day, newest_day), {None: contents[None]})]
    levels = {day: level for day, level in due.items() if day is not None}
    # A day that waits or is given up must not come along in the range of others.
    closed = {day for day in (*contents, *loading) if day is not None and day not in due}
    found: list[list[date]] = []
    for gap in _GAPS:
        found = list(_ranges(levels, closed, gap))
        if len(found) <= MAX_OPEN_REQUESTS:
            break
    return [Request(DayRange(d[0], d[-1]), {day: contents[day] for day in d}) for d in found]


def _ranges(levels: Mapping[date, int], closed: set[date], gap: int) -> Iterator[list[date]]:
    """Days in order, split where a gap, a closed day, another level or the size demands it."""
    group: list[date] = []
    for day in sorted(levels):
        most = _SMALLER[min(levels[day], len(_SMALLER) - 1)]
        if group and (
            levels[day] != levels[group[-1]]
            or (most and len(group) >= most)
            or not _bridged(group[-1], day, closed, gap if not levels[day] else 0)
        ):
            yield group
            group = []
        group.append(day)
    if group:
        yield group


def _bridged(one: date, other: date, closed: set[date], gap: int) -> bool:
    between = (other - one).days - 1
    return between <= gap and not any(one + timedelta(n + 1) in closed for n in range(between))


def _contents_of(run: dg.DagsterRun) -> Iterator[tuple[Day, str]]:
    """What a run was asked to load; nothing for a run whose tags somebody changed."""
    marks = run.tags.get(DAYS_TAG, "")
    texts, days = marks.split(), _days_of(run)
    if marks.startswith(_UNDATED):
        yield None, marks.removeprefix(_UNDATED)
    elif len(texts) == len(days):
        yield from ((day, text) for day, text in zip(days, texts, strict=True) if text != _NOTHING)


def _days_of(run: dg.DagsterRun) -> Sequence[date]:
    """The days that a run is about, if it is about days."""
    tags = run.tags
    first = tags.get(RANGE_START_TAG) or tags.get("dagster/partition", "")
    last = tags.get(RANGE_END_TAG) or first
    try:
        return list(DayRange(date.fromisoformat(first), date.fromisoformat(last)).days())
    except ValueError:
        return []


def _loads(run: dg.DagsterRun, table: str) -> bool:
    """Whether a run fills a staging table: it is selected, or nothing is in a job that does."""
    if run.asset_selection:
        return dg.AssetKey(table) in run.asset_selection
    return run.job_name in (LOAD_LAKE, STAGING)


def _ended(record: dg.RunRecord) -> float:
    return record.end_time or record.update_timestamp.timestamp()
