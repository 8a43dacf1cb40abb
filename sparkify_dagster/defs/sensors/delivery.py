"""Which message is handed to whom in one look of a sensor, and what has to be tried again.

All that is remembered between two looks is the sensor's cursor, so each event is sent once to
each notifier. One that fails is reported, never raised, and tried a few times, ever more rarely.
"""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sparkify_dagster.defs.sensors.alert_message import Alert, Failure
from sparkify_dagster.defs.sensors.notifiers import Notifier, NotifyError

SECONDS = 20.0
"""For one message to one notifier: a look of a sensor is cut off after 60."""
WAITS = (60, 300, 900, 3600)
"""Seconds until a message is tried again; after the last of these tries it is given up."""


@dataclass(frozen=True)
class Unsent:
    """A message that a notifier did not take, how often it was tried, and when it will be again."""

    alert: Alert
    tries: int
    due: float


@dataclass(frozen=True)
class Cursor:
    """The last event that was looked at, and by notifier what it was not sent yet."""

    seen: int
    unsent: Mapping[str, Unsent] = field(default_factory=dict)

    def text(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


def parse_cursor(text: str | None) -> Cursor | None:
    """The cursor that `Cursor.text` wrote; None if there is none, or one of somebody else."""
    try:
        found = json.loads(text or "")
        return Cursor(
            int(found["seen"]),
            {
                name: Unsent(_alert(kept["alert"]), int(kept["tries"]), float(kept["due"]))
                for name, kept in found["unsent"].items()
            },
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _alert(found: dict[str, Any]) -> Alert:
    return Alert(**found | {"failures": tuple(Failure(**f) for f in found["failures"])})


def deliver(
    alert: Alert | None,
    cursor: Cursor,
    notifiers: Mapping[str, Notifier],
    now: float,
    hide: Callable[[str], str],
) -> tuple[Cursor, list[str]]:
    """Tell each notifier what is new and what is due again; the cursor then, and what came of it.

    What was not taken is sent again together with what is new by then, as one message.
    """
    unsent: dict[str, Unsent] = {}
    said = []
    for name, notifier in notifiers.items():
        kept = cursor.unsent.get(name)
        if alert:
            message = kept.alert.and_then(alert) if kept else alert
            kept = Unsent(message, 0, now)
        if not kept:
            continue
        if kept.due > now:
            unsent[name] = kept
            said.append(f"{name} is tried again in {_minutes(kept.due - now)}.")
            continue
        error = _attempt(notifier, kept.alert)
        if error is None:
            said.append(f"Told by {name}: {kept.alert.title}.")
            continue
        problem = hide(_told(error))
        again = _again(kept, now) if getattr(error, "again", True) else None
        if again:
            unsent[name] = again
            said.append(f"{name} failed: {problem} Next try in {_minutes(again.due - now)}.")
        else:
            said.append(f"{name} failed and is not tried again: {problem}")
    return replace(cursor, unsent=unsent), said


def _attempt(notifier: Notifier, alert: Alert) -> BaseException | None:
    """What went wrong, if anything; a server that never ends its answer is left alone."""
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        return pool.submit(notifier.send, alert).exception(SECONDS)
    except TimeoutError:
        return NotifyError(f"No end after {SECONDS:g} seconds.")
    finally:
        pool.shutdown(wait=False)


def _told(error: BaseException) -> str:
    # the text of an error that nobody wrote for users may hold anything
    return str(error) if isinstance(error, NotifyError) else f"{type(error).__name__}."


def _again(kept: Unsent, now: float) -> Unsent | None:
    if kept.tries == len(WAITS):
        return None
    return Unsent(kept.alert, kept.tries + 1, now + WAITS[kept.tries])


def _minutes(seconds: float) -> str:
    return f"{max(1, round(seconds / 60))} min"
