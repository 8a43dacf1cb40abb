"""Which message is handed to whom in one look of a sensor, and what has to be tried again.

All that is remembered between two looks is the sensor's cursor, so each event is sent once to
each notifier. One that fails is reported, never raised, and tried a few times, ever more rarely.
"""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from sparkify_dagster.present.alerts.alert_message import Alert, Failure
from sparkify_dagster.present.alerts.notifier import Notifier, NotifyError

SECONDS = 20.0
"""For all that is sent in one look of a sensor, which is cut off after 60."""
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

    What was not taken is sent again together with what is new by then, as one message. Who has
    nothing to send is asked whether it could, so that this is known before something fails.
    """
    kept = dict(cursor.unsent)
    if alert:
        for name in notifiers:
            message = kept[name].alert.and_then(alert) if name in kept else alert
            kept[name] = Unsent(message, 0, now)
    due = {name: kept[name].alert for name in notifiers if name in kept and kept[name].due <= now}
    errors = _attempts(
        {
            name: partial(notifier.send, due[name]) if name in due else notifier.check
            for name, notifier in notifiers.items()
        }
    )
    unsent: dict[str, Unsent] = {}
    said = []
    for name, error in errors.items():
        problem = hide(_shown(error)) if error else ""
        left = kept.get(name)
        if name in due:
            left, line = _outcome(name, kept[name], now, error, problem)
            said.append(line)
        elif left:
            said.append(f"{name} is tried again in {_minutes(left.due - now)}.")
        elif error:
            said.append(f"{name} cannot send alerts: {problem}")
        if left:
            unsent[name] = left
    return replace(cursor, unsent=unsent), said


def _outcome(
    name: str, sent: Unsent, now: float, error: BaseException | None, problem: str
) -> tuple[Unsent | None, str]:
    """What is to be sent again, and what is said of this try."""
    if error is None:
        return None, f"Told by {name}: {sent.alert.title}."
    again = _again(sent, now) if getattr(error, "again", True) else None
    if again is None:
        return None, f"{name} failed and is not tried again: {problem}"
    return again, f"{name} failed: {problem} Next try in {_minutes(again.due - now)}."


def _attempts(calls: Mapping[str, Callable[[], None]]) -> dict[str, BaseException | None]:
    """What went wrong in each, if anything; a server that never ends its answer is left alone.

    All at the same time, so that several of these do not add up to more than a look may take.
    """
    pool = ThreadPoolExecutor(max_workers=len(calls))
    try:
        running = {name: pool.submit(call) for name, call in calls.items()}
        wait(running.values(), SECONDS)
    finally:
        pool.shutdown(wait=False)
    endless = NotifyError(f"No end after {SECONDS:g} seconds.")
    return {name: one.exception() if one.done() else endless for name, one in running.items()}


def _shown(error: BaseException) -> str:
    # the text of an error that nobody wrote for users may hold anything
    return str(error) if isinstance(error, NotifyError) else f"{type(error).__name__}."


def _again(kept: Unsent, now: float) -> Unsent | None:
    if kept.tries == len(WAITS):
        return None
    return Unsent(kept.alert, kept.tries + 1, now + WAITS[kept.tries])


def _minutes(seconds: float) -> str:
    return f"{max(1, round(seconds / 60))} min"
