"""`sparkify run`: bring the warehouse up to date with the lake, as runs of the Dagster job.

Whether there is anything to do is asked first, without Dagster. How a run goes is in `defs.runs`.
"""

import gc
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from sparkify_dagster.cli.run import planning
from sparkify_dagster.cli.run.planning import files_in_lake
from sparkify_dagster.console import Mark, counted, debugging, listed, note
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.warehouse.due_ranges import ranges_to_run

if TYPE_CHECKING:
    from sparkify_dagster.cli.run.grouped_lines import Fold
    from sparkify_dagster.defs.runs import RunResult
    from sparkify_dagster.settings.days import DayRange
    from sparkify_dagster.warehouse import Platform
    from sparkify_dagster.warehouse.reports import HeldBack, LakeStatus


class RunFailedError(SparkifyError):
    """Tables failed; the messages of all of them."""


@click.command(short_help="Bring the warehouse up to date with the lake.")
@click.option("--from", "first", metavar="DAY", help="Load again from this day on (YYYY-MM-DD).")
@click.option("--to", "last", metavar="DAY", help="Load again up to this day (YYYY-MM-DD).")
@click.option("--select", metavar="TABLES", help="Only these tables: --select songs,artists")
@click.option("--full", is_flag=True, help="Read every file again and rebuild every table.")
@click.option("--details", is_flag=True, help="A line for each analytics table, not one for all.")
@click.option("--sample", is_flag=True, help="Fill a lake that holds no file with a sample first.")
def run(
    first: str | None,
    last: str | None,
    select: str | None,
    full: bool,
    details: bool,
    sample: bool,
) -> None:
    """Bring the warehouse up to date with the lake.

    New and changed files are loaded, and every table that depends on them is refreshed, in the
    Dagster instance that `sparkify ui` shows. With nothing new this takes a moment.

    Days that are asked for by name are loaded again, even if they are loaded and unchanged. --from
    alone means up to the last day with a log file, --to alone from the first one on.

    \b
    Examples:
      sparkify run
      sparkify run --from 2018-11-15 --to 2018-11-16
      sparkify run --from 2018-11-15               from that day on
      sparkify run --select songs,artists
      sparkify run --full

    The exit status is 0 only if everything succeeded and no check of error severity failed.
    """
    from sparkify_dagster.cli.run.grouped_lines import fold_of
    from sparkify_dagster.settings import load_settings
    from sparkify_dagster.warehouse import open_platform

    if full and (first is not None or last is not None):
        raise click.UsageError("--full reads every day: leave out --from and --to, or --full.")
    settings = load_settings()
    platform = open_platform(settings)
    tables = planning.chosen_tables(platform, select)
    named = first is not None or last is not None
    days = planning.named_range(platform, first, last) if named else None
    if sample:
        _make_sample(platform)
    status = platform.status(click.echo)
    planning.require_files(platform, status)
    if status.up_to_date and not (named or full):
        _say_nothing_new(platform, status)
        return
    ranges = [days] if days else ranges_to_run(platform, status, full=full)
    fold = fold_of(platform.catalogue, tables, details=details)
    results = _materialize(platform, ranges, tables, fold, reload=named or full, full=full)
    _conclude(platform, status, results, fold)


def _make_sample(platform: "Platform") -> None:
    from sparkify_dagster.cli.run.sample import fill_if_empty

    if made := fill_if_empty(platform):
        folder, lake = made
        click.echo(
            f"Made a sample lake in {folder}: {counted(lake.events, 'event')} of"
            f" {counted(lake.log_files, 'day')}, {counted(lake.song_files, 'song')}."
        )


def _say_nothing_new(platform: "Platform", status: "LakeStatus") -> None:
    from sparkify_dagster.cli.run.summary import lake_lines

    files = [
        counted(files_in_lake(status, table), source.file_noun)
        for table, source in platform.catalogue.sources.items()
    ]
    click.echo(f"Nothing new: {listed(files)} are loaded, the tables are up to date.")
    for line in lake_lines(platform, status):
        click.echo(line)


def _materialize(
    platform: "Platform",
    ranges: "Sequence[DayRange]",
    tables: tuple[str, ...] | None,
    fold: "Fold",
    *,
    reload: bool,
    full: bool,
) -> "list[RunResult]":
    """One run for each range, up to the first that fails."""
    # Dagster is hundreds of thousands of objects that stay: looking among them for garbage takes
    # a tenth of a short run.
    gc.set_threshold(50_000, 20, 50)
    from sparkify_dagster.cli.run.watching import watch
    from sparkify_dagster.defs.instance.home import open_instance
    from sparkify_dagster.defs.runs import materialize
    from sparkify_dagster.settings.days import DayRange, check_range

    settings = platform.settings
    checked: list[DayRange] = [check_range(*days, settings.partitions) for days in ranges]
    results: list[RunResult] = []
    if debugging():
        note(f"DAGSTER_HOME = {settings.home}")
    with open_instance(settings) as instance, watch(fold) as observer:
        for days in checked:
            result = materialize(
                platform,
                instance,
                days=days,
                tables=tables,
                reload=reload,
                full=full,
                observer=observer,
            )
            results.append(result)
            if not result.success:
                break
    return results


def _conclude(
    platform: "Platform", status: "LakeStatus", results: "Sequence[RunResult]", fold: "Fold"
) -> None:
    """Say what happened; end with an error if anything failed."""
    from sparkify_dagster.catalogue.check import Severity
    from sparkify_dagster.cli.run.summary import (
        check_lines,
        closing_table,
        held_back_lines,
        lake_lines,
        where_next,
    )

    outcomes = [outcome for result in results for outcome in result.outcomes]
    click.echo(f"\n{closing_table(platform, results, fold)}")
    warnings = [*check_lines(outcomes, Severity.WARN), *lake_lines(platform, status)]
    failed = check_lines(outcomes, Severity.ERROR)
    held = [one for result in results for one in result.held_back]
    held_back = held_back_lines(held)
    for lines in (warnings, failed, held_back):
        if lines:
            click.echo("\n" + "\n".join(lines))
    _raise_failures(results)
    click.echo("\n" + "\n".join(where_next(platform)))
    if held_back:
        raise RunFailedError(
            f"Held back: {_days_and_files(held)}, marked {Mark.FAIL.text} above; everything else is"
            " loaded and published. Mend them and run again: every run tries them once more."
        )
    if failed:  # and nothing else: those that block are failures
        raise RunFailedError(
            f"{counted(len(failed), 'table')} not as expected, marked {Mark.FAIL.text} above;"
            " published all the same. `sparkify verify` shows the difference."
        )


def _days_and_files(held_back: "Sequence[HeldBack]") -> str:
    days = {held.day for held in held_back if held.day}
    files = [held for held in held_back if not held.day]
    counts = [(len(days), "day"), (len(files), "file")]
    return listed([counted(number, name) for number, name in counts if number])


def _raise_failures(results: "Sequence[RunResult]") -> None:
    """A defect as it is, so that its traceback can be shown; else one message of all failures."""
    failures = [error for result in results for error in result.failures.values()]
    for error in failures:
        if not isinstance(error, SparkifyError):
            raise error
    if failures:
        # Two tables may fail for one reason, such as a full disk: it is shown once.
        raise RunFailedError("\n".join(dict.fromkeys(map(str, failures)))) from failures[0]
