"""Arrivals: what the lake holds and the tables do not, at one moment, and how that is said.

Only looking lives here: the listing is compared with the ledger, by key and etag. What is asked
for because of it is decided in `run_requests`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from hashlib import blake2b
from typing import TypeVar

from sparkify_dagster.engines.open import open_warehouse
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.lake import LakeFile
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.settings.sources import Source
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.load import ledger
from sparkify_dagster.warehouse.reports import HeldBack
from sparkify_dagster.warehouse.status import recorded, still_held

SECONDS_TO_LIST, SECONDS_TO_READ = 40.0, 12.0
"""Dagster cuts a tick off after 60."""
LOCK_SECONDS = 1.0
_SAMPLE = 3
_T = TypeVar("_T")


class TickError(SparkifyError):
    """A look at the lake or the warehouse that failed, as one message without what caused it."""


@dataclass(frozen=True)
class Arrivals:
    """What there is to load of one source, and what is worth telling.

    `files` are the new and changed ones by day, those of an undated source under None, and
    `contents` has a mark of each day's. `behind` are derived tables that are not as their sources
    are. `newest_day` is that of the log that was loaded, if any was; undated sources ask for it.
    """

    source: Source
    plan: ledger.LoadPlan
    files: Mapping[date | None, list[LakeFile]]
    contents: Mapping[date | None, str]
    behind: frozenset[str]
    newest_day: date | None
    held_back: tuple[HeldBack, ...] = ()
    """Those of `files` that were tried as they are, and could not be loaded."""

    @property
    def gone_mark(self) -> str:
        """A mark of the files that vanished; empty where none did."""
        return mark(self.plan.gone) if self.plan.gone else ""


def impatient(platform: Platform, seconds: float = LOCK_SECONDS) -> Platform:
    """The same platform, for looking: it hardly waits until another process has written."""
    duckdb, cluster = platform.settings.duckdb, platform.settings.cluster
    settings = replace(
        platform.settings,
        duckdb=replace(duckdb, lock_timeout=min(seconds, duckdb.lock_timeout)),
        cluster=replace(cluster, lock_timeout=1),
    )
    return Platform(settings, platform.catalogue, open_warehouse(settings))


def look(platform: Platform, table: str, listing: Sequence[LakeFile]) -> Arrivals:
    """Compare a listing of a source with the ledger.

    Raises:
        WarehouseBusyError: if a writer of another process kept us from reading.
        SparkifyError: if the warehouse cannot be read.
    """
    source = platform.catalogue.sources[table]
    etags, held, behind = recorded(platform, (table,), ledger.current_etags)
    plan = _plan(source, listing, etags[table], platform.partitions())
    files: dict[date | None, list[LakeFile]] = {}
    for file in plan.to_read:
        files.setdefault(source.day_of(file.key), []).append(file)
    contents = {day: mark(map(version_of, files[day]), size=4) for day in sorted(files, key=str)}
    newest = _newest_day(platform) if not source.dated and (contents or behind) else None
    return Arrivals(
        source,
        plan,
        files,
        contents,
        frozenset(behind),
        newest,
        still_held(held, table, listing),
    )


def _plan(
    source: Source,
    listing: Sequence[LakeFile],
    etags: Mapping[str, str],
    partitions: DayRange,
) -> ledger.LoadPlan:
    """The plan of a load; only what differs is looked at closely, or 100,000 files take long."""
    different = [file for file in listing if etags.get(file.key) != file.etag]
    gone = etags.keys() - {file.key for file in listing}
    changed = {
        file.key: ledger.Version(etags[file.key], source.day_of(file.key), file.last_modified)
        for file in different
        if file.key in etags
    }
    plan = ledger.plan_load(
        source, different, changed, days=None, partitions=partitions, reload=False
    )
    return replace(plan, unchanged=len(listing) - len(different), gone=tuple(sorted(gone)))


def version_of(file: LakeFile) -> str:
    return f"{file.key}\0{file.etag}"


def mark(texts: Iterable[str], *, size: int = 8) -> str:
    """A short text that differs where the texts do."""
    return blake2b("\n".join(texts).encode(), digest_size=size).hexdigest()


def within(seconds: float, work: Callable[[], _T], what: str) -> _T:
    """The result of `work`, or a TickError once it has taken too long.

    Dagster would cut the tick off without saying at what; the thread ends by itself, because
    every request that it makes is bounded.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="sensor")
    future = pool.submit(work)
    pool.shutdown(wait=False)
    with suppress(TimeoutError):
        return future.result(seconds)
    raise TickError(
        f"{what} takes longer than {seconds:g} seconds, and a sensor has a minute. See that it"
        " answers; if there is that much, load it with `sparkify run` or by schedule."
    )


def summary(arrivals: Arrivals) -> str:
    """What was seen, for people."""
    plan, what = arrivals.plan, arrivals.source.name
    shown = [f"{what}: {_files(plan.unchanged)} loaded and unchanged"]
    for files, are in ((plan.new, "new"), (plan.changed, "changed")):
        if files:
            shown.append(f"{_files(len(files))} {are}, {sample(file.key for file in files)}")
    for keys, are in (
        (plan.gone, "gone from the lake (their rows stay)"),
        (plan.outside, "of days outside the platform's"),
        (plan.strange, "without a name of this source"),
    ):
        if keys:
            shown.append(f"{_files(len(keys))} {are}, {sample(keys)}")
    return "; ".join(shown) + "."


def sample(keys: Iterable[str]) -> str:
    """The first keys of many."""
    first = [key for key, _ in zip(keys, range(_SAMPLE), strict=False)]
    return f"such as {', '.join(first)}"


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def _newest_day(platform: Platform) -> date | None:
    """The newest day that is loaded; None where none is."""
    valid = platform.partitions()
    dated = [name for name, source in platform.catalogue.sources.items() if source.dated]
    versions, _, _ = recorded(platform, dated, ledger.current_versions)
    days = (version.day for files in versions.values() for version in files.values())
    return max((day for day in days if day and valid.holds(day)), default=None)
