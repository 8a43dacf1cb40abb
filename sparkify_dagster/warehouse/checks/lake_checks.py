"""Checks that hold the lake against the ledger; a listing is needed, so SQL alone cannot tell."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from sparkify_dagster.catalogue.check import Check
from sparkify_dagster.catalogue.lake_checks import lake_checks
from sparkify_dagster.engines.rows import Rows, Value
from sparkify_dagster.lake import LakeFile
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.settings.sources import Source
from sparkify_dagster.warehouse.checks.run_checks import SAMPLE_ROWS
from sparkify_dagster.warehouse.load.ledger import Version, plan_load
from sparkify_dagster.warehouse.reports import CheckOutcome, HeldBack

_STATE = ("log_date", "key", "etag", "state")
_HELD = ("log_date", "key", "reason", "what_to_do")


def compare_with_ledger(
    source: Source,
    listing: Sequence[LakeFile],
    versions: Mapping[str, Version],
    held_back: Sequence[HeldBack],
    *,
    days: DayRange | None,
    partitions: DayRange,
) -> tuple[CheckOutcome, ...]:
    """The outcomes of `lake_checks` for a listing, the current versions, and what is held back."""
    plan = plan_load(source, listing, versions, days=days, partitions=partitions, reload=False)
    current, gone, nothing_held_back = lake_checks(source)
    waiting = {(held.key, held.etag): held for held in held_back}
    behind = [(file, "not loaded") for file in plan.new]
    behind += [(file, "changed since") for file in plan.changed]
    # A day that was loaded by an earlier version of its files is not held back because of them.
    held = [one for file, _ in behind if (one := waiting.get((file.key, file.etag)))]
    rows = [
        (source.day_of(file.key), file.key, file.etag, state)
        for file, state in behind
        if (file.key, file.etag) not in waiting
    ]
    missing = [(versions[key].day, key, versions[key].etag, "gone") for key in plan.gone]
    causes = sorted(held, key=lambda one: (one.waits, str(one.day), one.key))
    return (
        _outcome(current, _STATE, sorted(rows, key=str)),
        _outcome(gone, _STATE, sorted(missing, key=str)),
        _outcome(nothing_held_back, _HELD, [(h.day, h.key, h.cause, h.cure) for h in causes]),
    )


def _outcome(
    check: Check, columns: tuple[str, ...], found: Sequence[tuple[date | None, *tuple[Value, ...]]]
) -> CheckOutcome:
    by_day = Counter(day for day, *_ in found if day is not None)
    sample = Rows(columns, tuple(found[:SAMPLE_ROWS]))
    return CheckOutcome(check, len(found), dict(by_day), sample)
