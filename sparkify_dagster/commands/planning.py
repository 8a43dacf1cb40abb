"""Which days `sparkify run` covers, and which tables: decided before Dagster is even imported.

What a run does with them is in the assets.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from difflib import get_close_matches

import click

from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.sources import Source
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.refreshing import Days
from sparkify_dagster.warehouse.reports import LakeStatus

# A day of a range that needs nothing costs some 20 ms of records, a run of its own a second.
BRIDGED_DAYS = 31


class EmptyLakeError(SparkifyError):
    """There is nothing to load."""


def chosen_tables(platform: Platform, select: str | None) -> tuple[str, ...] | None:
    """The tables of `--select a,b`; None for all.

    Raises:
        click.BadParameter: naming what is not a table, and what comes close.
    """
    if select is None:
        return None
    catalogue = platform.catalogue
    known = (*catalogue.sources, *catalogue.transforms)
    names = [name for part in select.split(",") if (name := part.strip())]
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise click.BadParameter(
                f"there is no table '{name}'.{hint} The tables are: {', '.join(known)}.",
                param_hint="--select",
            )
    if not names:
        raise click.BadParameter(f"name tables: {', '.join(known)}.", param_hint="--select")
    return tuple(dict.fromkeys(names))


def ranges_of(days: Iterable[date]) -> list[Days]:
    """The ranges that hold all these days, one run each; gaps up to a month are bridged."""
    ranges: list[Days] = []
    for day in sorted(days):
        if ranges and day - ranges[-1][1] <= timedelta(BRIDGED_DAYS + 1):
            ranges[-1] = ranges[-1][0], day
        else:
            ranges.append((day, day))
    return ranges


def ranges_to_run(platform: Platform, status: LakeStatus, *, full: bool) -> list[Days]:
    """The days of new and changed log files; one day where there are none; or all of them.

    A table that waits for something else (songs that arrived, a new transform) knows itself which
    of its days are concerned.
    """
    if status.days and not full:
        return ranges_of(status.days)
    days = days_with_files(platform) or [platform.partitions()[0]]
    return [(days[0], days[-1])] if full else [(days[-1], days[-1])]


def named_range(platform: Platform, first: str | None, last: str | None) -> Days:
    """`--from` and `--to`; without one of them, the first or the last day with a log file.

    Raises:
        SparkifyError: if an end is not a day of the platform, or the range is reversed.
    """
    from sparkify_dagster.partitions import check_range, parse_day

    begin, end = (parse_day(text) if text is not None else None for text in (first, last))
    for day in (begin, end):
        if day is not None:
            check_range(day, day, platform.settings.partitions)
    if begin is None or end is None:
        days = days_with_files(platform)
        if begin is not None:
            days = [day for day in days if day >= begin]
        elif end is not None:
            days = [day for day in days if day <= end]
        if not days:
            side = f"on or after {begin}" if begin else f"on or before {end}"
            raise SparkifyError(
                f"The lake holds no log file of a day {side}. Name both --from and --to to load a"
                " day without files."
            )
        begin, end = begin or days[0], end or days[-1]
    return check_range(begin, end, platform.settings.partitions)


def days_with_files(platform: Platform) -> list[date]:
    """The days of the platform for which the lake holds a log file."""
    first, last = platform.partitions()
    days = {
        day
        for table, source in platform.catalogue.sources.items()
        if source.dated
        for file in platform.lake(table).list()
        if (day := source.day_of(file.key)) and first <= day <= last
    }
    return sorted(days)


def require_files(platform: Platform, status: LakeStatus) -> None:
    """Refuse a lake without any log file: it is more likely misplaced than empty.

    Raises:
        EmptyLakeError: saying what there is instead, and what to do.
    """
    dated = [table for table, source in platform.catalogue.sources.items() if source.dated]
    if any(files_in_lake(status, table) for table in dated):
        return
    first, last = platform.partitions()
    where = " and ".join(platform.lake_uri(table) for table in dated)
    if outside := status.outside_partitions:
        raise EmptyLakeError(
            f"The lake {where} holds log files only of days outside {first} to {last}, such as"
            f" {outside[0]}. Set [PARTITIONS] FIRST_DAY and LAST_DAY in"
            f" {platform.settings.config_file} to the days that you want."
        )
    strange = [name for table in dated for name in status.strange_files.get(table, ())]
    instead = f" (but {len(strange)} others, such as {strange[0]})" if strange else ""
    raise EmptyLakeError(
        f"The lake {where} holds no log files{instead}: a name such as {first}-events.json is"
        " expected. Put files there, name another place with [S3] LOG_DATA, or make a sample with"
        " `sparkify run --sample` or `sparkify simulate`."
    )


def files_in_lake(status: LakeStatus, table: str) -> int:
    """New, changed and loaded files of a source."""
    counts = (status.new_files, status.changed_files, status.loaded_files)
    return sum(count.get(table, 0) for count in counts)


def files_are(source: Source) -> str:
    """What a file of a source is called: `log file`, `song file`."""
    return f"{source.name.removesuffix('_data').replace('_', ' ')} file"
