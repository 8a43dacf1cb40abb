"""What is in the warehouse: which tables stand, and whether they are behind the lake."""

from collections.abc import Iterator, Sequence

from sparkify_dagster.console import Mark, counted, listed, size
from sparkify_dagster.doctor.finding import Finding
from sparkify_dagster.warehouse import Platform

_SHOWN = 8


def tables(platform: Platform, *, compare: bool) -> Iterator[Finding]:
    warehouse, place = platform.warehouse, platform.warehouse.location
    if not warehouse.exists():
        yield Finding(Mark.OK, "warehouse", f"{place} has no tables yet; the first run makes it")
        return
    with warehouse.read(lambda _: None) as session:
        found = {
            str(name)
            for (name,) in session.fetch(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = :schema",
                {"schema": warehouse.schema},
            )
        }
    missing = [name for name in platform.catalogue.tables if name not in found]
    there = len(platform.catalogue.tables) - len(missing)
    yield Finding(
        Mark.WARN if missing else Mark.OK,
        "warehouse",
        f"{place}: {there} of {len(platform.catalogue.tables)} tables{_size(platform)}"
        + (f"; missing: {_some(missing)}" if missing else ""),
        "Run `sparkify run` to make them." if missing else "",
    )
    if compare:
        yield from behind(platform)


def behind(platform: Platform) -> Iterator[Finding]:
    status = platform.status()
    sources = platform.catalogue.sources
    parts = [
        counted(count, f"{kind} {sources[name].file_noun}")
        for kind, counts in (("new", status.new_files), ("changed", status.changed_files))
        for name, count in counts.items()
        if count
    ]
    if status.pending_tables:
        parts.append(f"tables to refresh: {_some(status.pending_tables)}")
    for held in status.held_back:
        if not held.waits:
            name = f"{held.day or sources[held.table].file_noun} is held back"
            yield Finding(Mark.FAIL, "lake", f"{name}: {held.key}: {held.cause}", held.cure)
    if parts:
        yield Finding(Mark.WARN, "tables", f"behind the lake: {listed(parts)}", "sparkify run")
    else:
        yield Finding(Mark.OK, "tables", "up to date with the lake")
    for name, count in status.gone_files.items():
        if count:
            said = f"{counted(count, sources[name].file_noun)} gone from {platform.lake_uri(name)}"
            yield Finding(Mark.WARN, "lake", said, "Their rows stay in the tables.")


def _some(names: Sequence[str]) -> str:
    """The first of the names, in the order in which they are made, and how many more."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _size(platform: Platform) -> str:
    file = platform.warehouse.file
    return f", {size(file.stat().st_size)}" if file else ""
