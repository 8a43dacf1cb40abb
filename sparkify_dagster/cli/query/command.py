"""`sparkify query`: the answer to one question as a table, CSV, JSON or Parquet, or a prompt.

What can be asked is in `ask.questions`; how values look in `ask.values`; large
results are written by `ask.files`; the prompt is `prompt`.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparkify_dagster.cli.query.answers import SHOWN_ROWS, listed, show
from sparkify_dagster.console import counted, note

if TYPE_CHECKING:
    from sparkify_dagster.ask.questions import Question
    from sparkify_dagster.engines.base import Warehouse

_SUFFIXES = {".csv": "csv", ".json": "json", ".parquet": "parquet"}


@click.command(short_help="Ask the warehouse, read-only.")
@click.argument("question", metavar="[SQL|TABLE]", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "csv", "json", "parquet")),
    help="How the result is written. Default: what the name of --out ends in, else a table.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the whole result to this file, and replace the one that is there.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"At most N rows. A table shows {SHOWN_ROWS:,} by default, the other formats all.",
)
@click.option("--list", "listing", is_flag=True, help="List what can be asked by name.")
def query(
    question: str | None, form: str | None, out: Path | None, limit: int | None, listing: bool
) -> None:
    """Ask the warehouse with one SQL statement, or by the name of a table; read-only.

    A name gives the rows of that table in its order; --list shows the analytics and the questions
    that they answer. On a terminal, without anything to ask, a prompt opens. With -, or without a
    terminal, the question is read from a pipe.

    In CSV a NULL is an empty field and an empty text is "". JSON is one array of objects. Parquet
    keeps the types: dates, times, booleans, and whole numbers with NULL among them. A file is
    complete or not there: if a query fails, the file from before stays.

    \b
    Examples:
      sparkify query --list
      sparkify query top_songs
      sparkify query "SELECT level, COUNT(*) AS plays FROM songplays GROUP BY level"
      sparkify query songplays --out songplays.parquet
      sparkify query "SELECT * FROM users" --format csv > users.csv
      sparkify query "DESCRIBE songplays"
      sparkify query < question.sql
      sparkify query
    """
    form = _form(form, out)
    if question is None and not listing and (sys.stdin is None or sys.stdin.isatty()):
        _prompt(free=form == "table" and limit is None)
        return
    from sparkify_dagster.ask.questions import question as understood
    from sparkify_dagster.engines.open import open_warehouse
    from sparkify_dagster.settings import load_settings

    if listing:
        if question is not None or out or form != "table" or limit is not None:
            raise click.UsageError("--list takes no question and no other option.")
        from sparkify_dagster.catalogue.catalogue import read_catalogue

        click.echo(listed(read_catalogue()))
        return
    text = str(question) if question not in (None, "-") else _piped()
    warehouse = open_warehouse(load_settings())
    asked = understood(text)
    if form == "table":
        hint = "--limit N shows N, --out FILE has all"
        show(warehouse, asked, limit, hint, sys.stdout.isatty())
    else:
        _export(warehouse, asked, form, limit, out)


def _form(form: str | None, out: Path | None) -> str:
    """The format that was named, else that of the file.

    Raises:
        click.UsageError: if neither says one, or it cannot go there.
    """
    if out is not None:
        form = form or _SUFFIXES.get(out.suffix.lower())
        if form is None:
            raise click.UsageError(
                f"The name of {out} does not say a format: end it in {', '.join(_SUFFIXES)}, or"
                " give --format."
            )
        if form == "table":
            raise click.UsageError("--out is for csv, json and parquet: use > FILE for a table.")
    elif form == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet is no text for a terminal: add --out FILE, or use > FILE.")
    return form or "table"


def _piped() -> str:
    """What stands in a pipe or file, with or without a byte order mark."""
    return sys.stdin.buffer.read().decode("utf-8-sig", errors="surrogateescape")


def _prompt(*, free: bool) -> None:
    if not (free and sys.stdin is not None and sys.stdout.isatty()):
        raise click.UsageError(
            'Name a statement, such as: sparkify query "SELECT COUNT(*) FROM songplays"'
        )
    from sparkify_dagster.cli.query.prompt import converse

    converse()


def _export(
    warehouse: "Warehouse", asked: "Question", form: str, limit: int | None, out: Path | None
) -> None:
    from sparkify_dagster.ask import files
    from sparkify_dagster.ask.questions import asking

    with files.exported(out) if out else files.kept() as file:
        with asking(warehouse, note, asked.table) as session:
            count = files.export(session, asked.sql, form, limit, file)
        if out is None:
            files.show(file)
    if out is not None:
        note(f"{counted(count, 'row')} in {out}")
