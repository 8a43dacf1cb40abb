"""`sparkify verify`: hold tables against their expected results, and show what differs."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparkify_dagster.console import Column, Mark, counted, listed, note, one_line, table
from sparkify_dagster.errors import SparkifyError

if TYPE_CHECKING:
    from sparkify_dagster.warehouse import Platform
    from sparkify_dagster.warehouse.expected.compare_rows import Comparison
    from sparkify_dagster.warehouse.expected.expected_files import Folder
    from sparkify_dagster.warehouse.expected.verify_tables import Verdict

_COLOURS = {"missing": "red", "unexpected": "yellow", "different": "cyan"}


class NotAsExpectedError(SparkifyError):
    """A table differs from its expected results, or could not be compared."""


@click.command(short_help="Compare tables with the results that are expected.")
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@click.option(
    "--expected",
    "given",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The folder of CSV files.",
)
def verify(tables: tuple[str, ...], given: Path | None) -> None:
    """Compare tables with the results that are expected of them.

    The expected rows of a table are in FOLDER/<table>.csv, or in the folder that [ANALYTICS]
    EXPECTED names, or in the folder `expected` beside the lake, where a sample has its own. The
    header of a file names the columns to compare; `# tolerance: 0.001` above it lets fractions
    differ by so much.

    \b
    Examples:
      sparkify verify
      sparkify verify --expected my_results
      sparkify verify top_songs users
      sparkify query users --out my_results/users.csv

    The exit status is 0 only if every table that has a file holds exactly the rows of its file.
    """
    from sparkify_dagster.settings import load_settings
    from sparkify_dagster.warehouse import open_platform
    from sparkify_dagster.warehouse.expected.expected_files import look_into
    from sparkify_dagster.warehouse.expected.verify_tables import verify as compared

    platform = open_platform(load_settings())
    _require_known(platform, tables)
    folder = look_into(_folder(platform, given), platform.catalogue)
    files = _chosen(folder, tables)
    click.echo(f"Expected results: {folder.path}")
    with platform.warehouse.read(note) as session:
        schema = platform.warehouse.schema
        verdicts = list(compared(session, schema, platform.catalogue, files))
    for verdict in verdicts:
        click.echo(_reported(verdict))
    if not tables:
        for name, why in folder.ignored.items():
            click.echo(f"{Mark.WARN.shown} {one_line(name)}: not compared, {why}")
    failed = [verdict.table for verdict in verdicts if not verdict.equal]
    if failed:
        _say_what_is_behind(platform, failed)
        raise NotAsExpectedError(
            f"{len(failed)} of {counted(len(verdicts), 'table')} not as expected: {listed(failed)}."
        )
    click.echo(f"{counted(len(verdicts), 'table')} as expected.")


def _folder(platform: "Platform", given: Path | None) -> Path:
    """The folder that is given, that is configured, or that lies beside a lake in a folder."""
    from sparkify_dagster.warehouse.expected.expected_files import BESIDE_THE_LAKE, ExpectedError

    settings = platform.settings
    if given is not None:
        return given.absolute()
    if settings.analytics.expected is not None:
        return settings.analytics.expected
    beside = Path(settings.s3.log_data).parent / BESIDE_THE_LAKE
    if not settings.s3.log_data.startswith("s3://") and beside.is_dir():
        return beside
    raise ExpectedError(
        "No expected results are known: name their folder with --expected FOLDER or [ANALYTICS]"
        f" EXPECTED in {settings.config_file}."
    )


def _require_known(platform: "Platform", tables: Sequence[str]) -> None:
    known = tuple(platform.catalogue.transforms)
    for name in tables:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise click.BadParameter(
                f"no star or analytics table is named '{name}'.{hint} They are:"
                f" {', '.join(known)}.",
                param_hint="TABLE",
            )


def _chosen(folder: "Folder", tables: Sequence[str]) -> dict[str, Path]:
    """The files to compare; those of `tables`, if any are named.

    Raises:
        ExpectedError: if there is none, or none for a table that is named.
    """
    from sparkify_dagster.warehouse.expected.expected_files import ExpectedError

    if without := [name for name in tables if name not in folder.files]:
        raise ExpectedError(
            f"{folder.path} has no file {listed([f'{name}.csv' for name in without])}: nothing was"
            " compared."
        )
    if not folder.files:
        instead = "; ".join(f"{name}: {why}" for name, why in list(folder.ignored.items())[:3])
        raise ExpectedError(
            f"{folder.path} has no file named after a star or analytics table, such as"
            f" users.csv{f' ({one_line(instead)})' if instead else ''}: nothing was compared."
        )
    return {name: path for name, path in folder.files.items() if not tables or name in tables}


def _say_what_is_behind(platform: "Platform", failed: Sequence[str]) -> None:
    """Tables that a run has still to bring up to date may well differ."""
    from sparkify_dagster.warehouse.status import tables_behind

    pending = tables_behind(platform, note)
    if behind := [name for name in failed if name in pending]:
        click.echo(
            f"{Mark.WARN.shown} behind what was loaded: {listed(behind)}; `sparkify run` brings"
            f" {'it' if len(behind) == 1 else 'them'} up to date"
        )


def _reported(verdict: "Verdict") -> str:
    """One line for a table that is as expected; else also what differs."""
    from sparkify_dagster.warehouse.expected.verify_tables import counts

    found = verdict.comparison
    if found is None:
        return f"{Mark.FAIL.shown} {verdict.table}: {one_line(verdict.problem)}"
    rows = counted(found.found_rows, "row")
    if found.equal:
        within = ", ".join(f"{c} within {most}" for c, most in found.expected.tolerances.items())
        return f"{Mark.OK.shown} {verdict.table}: {rows}{f', {within}' if within else ''}"
    arrow = " (expected → found)" if found.different else ""
    headline = (
        f"{Mark.FAIL.shown} {verdict.table}: {counts(found)}{arrow};"
        f" {rows} where {len(found.expected.rows):,} are expected"
    )
    return f"{headline}\n{_difference(found)}"


def _difference(found: "Comparison") -> str:
    """The rows that differ, indented below their table's line."""
    from sparkify_dagster.warehouse.expected.verify_tables import difference

    if not found.read:
        return "  The rows were not compared: there are too many of them."
    rows = difference(found)
    columns = [Column("difference"), Column("line", number=True), *map(Column, rows.columns[2:])]
    cells = [["" if value is None else str(value) for value in row] for row in rows.rows]
    shown = table(columns, cells, {0: _coloured})
    left = found.differences - len(rows.rows)
    more = f"\n  and {counted(left, 'more row')}" if left else ""
    return "\n".join(f"  {line}" for line in shown.splitlines()) + more


def _coloured(cell: str) -> str:
    return click.style(cell, fg=_COLOURS.get(cell.strip()))
