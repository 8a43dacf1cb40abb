"""What a question is answered with on a terminal: a table of its rows, or the list of names.

Commands and the prompt show it; what can be asked is in `ask.questions`.
"""

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from sparkify_dagster.console import Column, counted, note, table

if TYPE_CHECKING:
    from sparkify_dagster.ask.questions import Question
    from sparkify_dagster.catalogue.catalogue import Catalogue
    from sparkify_dagster.engines.base import Warehouse
    from sparkify_dagster.engines.rows import Rows

# What a reader of a terminal may still want to scroll through.
SHOWN_ROWS = 1000
_COUNTABLE = re.compile(r"(?:[\s(]|--[^\n]*\n|/\*.*?\*/)*(?:SELECT|WITH|FROM)\b", re.I | re.S)


def show(
    warehouse: "Warehouse", asked: "Question", limit: int | None, hint: str, with_title: bool
) -> None:
    """The answer as a table; `hint` says how to see more than its first rows."""
    from sparkify_dagster.ask.files import written_out
    from sparkify_dagster.ask.values import as_table

    rows, total = _first_rows(warehouse, asked, limit)
    if with_title and asked.title:
        note(f"{asked.title}\n")
    with written_out():
        click.echo(as_table(rows))
    count = len(rows.rows)
    if total is None or total > count:
        in_all = f", {total:,} in all" if total else ""
        note(f"{counted(count, 'row')}; there are more{in_all}: {hint}")
    else:
        note(counted(count, "row"))


def listed(catalogue: "Catalogue") -> str:
    """The tables that can be asked by name, with what they answer or hold."""
    from sparkify_dagster.catalogue.catalogue import ANALYTICS, STAGING, STAR

    parts = []
    for titles, layers in (
        (("analytics", "question"), (ANALYTICS,)),
        (("table", "what it holds"), (STAR, STAGING)),
    ):
        names = [name for layer in layers for name in sorted(catalogue.tables_of(layer))]
        said = [(name, " ".join(catalogue.tables[name].description.split())) for name in names]
        parts += [table([Column(title) for title in titles], said)] if said else []
    return "\n\n".join(parts)


def _first_rows(
    warehouse: "Warehouse", asked: "Question", limit: int | None
) -> "tuple[Rows, int | None]":
    """The rows to show, and how many there are in all; None: more than that, nobody counted."""
    from sparkify_dagster.ask.questions import asking
    from sparkify_dagster.engines.rows import Rows

    shown = SHOWN_ROWS if limit is None else limit
    with asking(warehouse, note, asked.table) as session:
        found = session.stream(asked.sql, limit=shown + 1)
        rows = Rows(found.columns, tuple(row for page in found.pages for row in page))
        if len(rows.rows) <= shown:
            return rows, len(rows.rows)
        total = None
        if limit is None and _COUNTABLE.match(asked.sql):
            total = session.count(f"SELECT COUNT(*) FROM (\n{asked.sql}\n) AS found")
    return replace(rows, rows=rows.rows[:shown]), total
