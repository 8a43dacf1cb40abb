"""What a tick tells: the reason that people read, and the events on the assets of the lake.

Nothing is decided here.
"""

from collections.abc import Collection, Iterator, Mapping, Set
from datetime import UTC, datetime

import dagster as dg

from sparkify_dagster.defs.sensors.arrivals import Arrivals, summary
from sparkify_dagster.defs.sensors.run_requests import Day, Decision
from sparkify_dagster.lake import LakeFile

MAX_EVENTS = 100
"""Days whose arrival is recorded one by one in a tick; the older ones are shown as a number."""
_KEYS_SHOWN = 10
_DAYS_SHOWN = 5

Event = dg.AssetMaterialization | dg.AssetObservation


def reason(found: Arrivals, decision: Decision) -> str:
    """What was seen, and what becomes of it."""
    reported = [summary(found)]
    if decision.requests:
        ranges = [str(request.days) for request in decision.requests]
        days = f" for {_listed(ranges)}" if found.source.dated else ""
        reported.append(f"Asked for {_counted(len(ranges), 'run')}{days}.")
    if decision.loading:
        reported.append(f"Being loaded now: {_days(decision.loading)}.")
    if decision.retried_at:
        day, at = min(decision.retried_at.items(), key=lambda item: item[1])
        when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        held = next((one for one in found.held_back if one.day == day and not one.waits), None)
        what = (
            f"Held back: {_days([day])} ({held})" if held else f"The run for {_days([day])} failed"
        )
        reported.append(f"{what}; tried again after {when} UTC, or once the files change.")
    if len(decision.retried_at) > 1:
        reported.append(f"{len(decision.retried_at) - 1} more days wait to be tried again.")
    if decision.given_up:
        reported.append(
            f"Given up, because every run failed: {_days(decision.given_up)}. Mend the cause, then"
            " materialize them by hand, or put another version of the files there."
        )
    if decision.crowded:
        reported.append(
            f"{_counted(decision.crowded, 'run')} more when those under way have ended."
        )
    return " ".join(reported)


def events(found: Arrivals, decision: Decision, reported_gone: str) -> Iterator[Event]:
    """Arrivals that are asked for the first time, and vanished files that were not reported yet."""
    new = {file.key for file in found.plan.new}
    fresh = [day for day in decision.fresh if day in found.contents]
    for day in fresh[-MAX_EVENTS:]:
        yield dg.AssetMaterialization(
            found.source.name,
            partition=day.isoformat() if day else None,
            description="New or changed files.",
            metadata=_of_day(found.files[day], new),
        )
    if (older := len(fresh) - MAX_EVENTS) > 0:
        yield dg.AssetObservation(
            found.source.name,
            description=f"New or changed files of {older} older days arrived as well.",
            metadata={"days": older},
        )
    if found.gone_mark and found.gone_mark != reported_gone:
        gone = found.plan.gone
        yield dg.AssetObservation(
            found.source.name,
            description="Loaded files are gone from the lake; their rows stay.",
            metadata={"gone files": len(gone), "keys": _keys(gone)},
        )


def _of_day(files: list[LakeFile], new: Set[str]) -> Mapping[str, dg.MetadataValue | int]:
    arrived = sum(file.key in new for file in files)
    return {
        "new files": arrived,
        "changed files": len(files) - arrived,
        "bytes": sum(file.size for file in files),
        "keys": _keys([file.key for file in files]),
    }


def _keys(keys: Collection[str]) -> dg.MetadataValue:
    shown = [key for key, _ in zip(keys, range(_KEYS_SHOWN), strict=False)]
    more = [f"and {len(keys) - len(shown)} more"] if len(keys) > len(shown) else []
    return dg.MetadataValue.text("\n".join([*shown, *more]))


def _days(days: Collection[Day]) -> str:
    return _listed([str(day) for day in days if day]) or "its files"


def _listed(texts: Collection[str]) -> str:
    shown = [text for text, _ in zip(texts, range(_DAYS_SHOWN), strict=False)]
    more = [f"{len(texts) - len(shown)} more"] if len(texts) > len(shown) else []
    return ", ".join([*shown, *more])


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
