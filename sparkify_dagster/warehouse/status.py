"""What the lake holds and the warehouse does not, without changing anything."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from sparkify_dagster.engines.base import Notify, Session, silent
from sparkify_dagster.lake import LakeFile
from sparkify_dagster.warehouse.base import PlatformBase
from sparkify_dagster.warehouse.load import ledger
from sparkify_dagster.warehouse.refresh.refresh_table import read_state
from sparkify_dagster.warehouse.reports import HeldBack, LakeStatus

_T = TypeVar("_T")
_STANDING = """
    SELECT table_name FROM information_schema.tables
    WHERE table_schema = :schema AND table_name IN ('refreshed', 'held_back')
"""


def recorded(
    platform: PlatformBase,
    tables: Sequence[str],
    read: Callable[[Session, str], dict[str, _T]],
    notify: Notify = silent,
) -> tuple[dict[str, dict[str, _T]], tuple[HeldBack, ...], tuple[str, ...]]:
    """What the warehouse says of its sources.

    That is what `read` reads of each, what is held back of them, and the tables that are behind.
    """
    files: dict[str, dict[str, _T]] = {table: {} for table in tables}
    held: list[HeldBack] = []
    pending = tuple(platform.catalogue.transforms)
    warehouse = platform.warehouse
    if warehouse.exists():
        with warehouse.read(notify) as session:
            schema = {"schema": warehouse.state_schema}
            standing = {str(name) for (name,) in session.fetch(_STANDING, schema)}
            if "refreshed" in standing:
                files = {table: read(session, table) for table in tables}
                state = read_state(session, platform.catalogue)
                pending = tuple(name for name in pending if state.is_behind(name))
            if "held_back" in standing:  # not in a warehouse of an earlier release, until it loads
                held = [one for table in tables for one in ledger.held_back(session, table)]
    return files, tuple(held), pending


def tables_behind(platform: PlatformBase, notify: Notify = silent) -> tuple[str, ...]:
    """The derived tables that are not as their sources and their text are."""
    return recorded(platform, (), lambda *_: {}, notify)[2]


def still_held(
    held: Sequence[HeldBack], table: str, listing: Sequence[LakeFile]
) -> tuple[HeldBack, ...]:
    """What is held back of a table's source in the version that the lake has now."""
    etags = {file.key: file.etag for file in listing} if held else {}
    return tuple(h for h in held if h.table == table and etags.get(h.key) == h.etag)


def status(platform: PlatformBase, notify: Notify = silent) -> LakeStatus:
    """Compare lake, ledger and tables."""
    sources = platform.catalogue.sources
    versions, held, pending = recorded(platform, tuple(sources), ledger.current_versions, notify)
    listings = {table: platform.lake(table).list() for table in sources}
    plans = {
        table: ledger.plan_load(
            source,
            listings[table],
            versions[table],
            days=None,
            partitions=platform.partitions(),
            reload=False,
        )
        for table, source in sources.items()
    }
    days = {sources[t].day_of(file.key) for t, plan in plans.items() for file in plan.to_read}
    return LakeStatus(
        days=tuple(sorted(day for day in days if day)),
        new_files={table: len(plan.new) for table, plan in plans.items()},
        changed_files={table: len(plan.changed) for table, plan in plans.items()},
        gone_files={table: len(plan.gone) for table, plan in plans.items()},
        outside_partitions=tuple(key for plan in plans.values() for key in plan.outside),
        strange_files={table: plan.strange for table, plan in plans.items()},
        pending_tables=pending,
        loaded_files={table: plan.unchanged for table, plan in plans.items()},
        held_back=tuple(
            one for table in sources for one in still_held(held, table, listings[table])
        ),
    )
