"""Checks that hold the lake against the ledger; a listing is needed, so SQL alone cannot tell."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from sparkify_dagster.catalogue.check import Check
from sparkify_dagster.catalogue.lake_checks import lake_checks
from sparkify_dagster.engines.rows import Rows
from sparkify_dagster.lake import LakeFile
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.settings.sources import Source
from sparkify_dagster.warehouse.checks.run_checks import SAMPLE_ROWS
from sparkify_dagster.warehouse.load.ledger import Version, plan_load
from sparkify_dagster.warehouse.reports import CheckOutcome


def hold_against_ledger(
    source: Source,
    listing: Sequence[LakeFile],
    versions: Mapping[str, Version],
    *,
    days: DayRange | None,
    partitions: DayRange,
) -> tuple[CheckOutcome, ...]:
    """The outcomes of `lake_checks` for a listing and the ledger's current versions."""
    plan = plan_load(source, listing, versions, days=days, partitions=partitions, reload=False)
    current, gone = lake_checks(source)
    behind = [(source.day_of(f.key), f.key, f.etag, "not loaded") for f in plan.new]
    behind += [(source.day_of(f.key), f.key, f.etag, "changed since") for f in plan.changed]
    missing = [(versions[key].day, key, versions[key].etag, "gone") for key in plan.gone]
    return (_outcome(current, behind), _outcome(gone, missing))


def _outcome(check: Check, found: Sequence[tuple[date | None, str, str, str]]) -> CheckOutcome:
    by_day = Counter(day for day, *_ in found if day is not None)
    rows = Rows(("log_date", "key", "etag", "state"), tuple(sorted(found, key=str)[:SAMPLE_ROWS]))
    return CheckOutcome(check, len(found), dict(by_day), rows)
