"""`sparkify simulate`: a lake of made-up listeners, written by the simulator."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import click

from sparkify_dagster.console import counted, is_terminal, size

_SECONDS_BETWEEN_LINES = 5.0


@click.command(short_help="Write a lake of made-up listeners.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="LAKE",
    help="The folder that gets log_data, song_data and log_json_path.json.",
)
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%d"]),
    default="2018-11-01",
    show_default=True,
    metavar="DAY",
    help="The first day.",
)
@click.option("--days", type=int, default=30, show_default=True, metavar="N", help="How many.")
@click.option("--users", type=int, default=100, show_default=True, metavar="N", help="Listeners.")
@click.option("--songs", type=int, default=500, show_default=True, metavar="N", help="Song files.")
@click.option(
    "--events-per-day",
    type=int,
    default=1000,
    show_default=True,
    metavar="N",
    help="Log lines of a mean day; weekends have fewer.",
)
@click.option("--seed", type=int, default=1, show_default=True, metavar="N", help="Chance.")
def simulate(
    out: Path, start: datetime, days: int, users: int, songs: int, events_per_day: int, seed: int
) -> None:
    """Write a lake of made-up listeners, in the shape of the real data and with its troubles.

    The same options give the same bytes. Files that are there already and have the right bytes
    are left alone, others of the same name are replaced, and nothing is deleted.

    \b
    Examples:
      sparkify simulate --out lake
      sparkify simulate --out /data/lake --start 2024-01-01 --days 365 --users 2000 \\
        --songs 5000 --events-per-day 20000 --seed 7
    """
    from sparkify_dagster.simulate import Simulation, write_lake

    simulation = Simulation(
        date(start.year, start.month, start.day), days, users, songs, events_per_day, seed
    )
    with _progress() as progress:
        lake = write_lake(out, simulation, progress=progress)
    click.echo(
        f"{out}: {counted(lake.events, 'event')} in {counted(lake.log_files, 'log file')} from"
        f" {simulation.day(0)} to {simulation.day(days - 1)}, {counted(lake.song_files, 'song')},"
        f" {size(lake.bytes)}."
    )


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; elsewhere a line every few seconds."""
    if not is_terminal():
        yield _Lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(
        "lines and songs", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Lines:
    """Tells the progress now and then."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _SECONDS_BETWEEN_LINES

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self._next:
            click.echo(f"{done:,} of {total:,} lines and songs")
            self._next = time.monotonic() + _SECONDS_BETWEEN_LINES
