"""Which days and tables the options of `sparkify run` ask for, and whether the lake has any.

Decided before Dagster is imported. Days that are due unasked are in `warehouse.due_ranges`.
"""

from difflib import get_close_matches

import click

from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.due_ranges import days_with_files
from sparkify_dagster.warehouse.reports import LakeStatus


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


def named_range(platform: Platform, first: str | None, last: str | None) -> DayRange:
    """`--from` and `--to`; without one of them, the first or the last day with a log file.

    Raises:
        SparkifyError: if an end is not a day of the platform, or the range is reversed.
    """
    from sparkify_dagster.settings.days import check_range, parse_day

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
