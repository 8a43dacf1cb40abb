"""Questions of people: a statement or the name of a table, asked in a session that only reads.

Nothing about how an answer looks is known here; the command line and DataFrames ask the same way.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sparkify_dagster.ask.statements import one_reading_statement, single_name
from sparkify_dagster.catalogue.catalogue import ANALYTICS, STAGING, STAR, Catalogue, read_catalogue
from sparkify_dagster.engines.base import Notify, Session, Warehouse, WarehouseError
from sparkify_dagster.errors import QueryError

_ERROR_KIND = re.compile(r"^(?:\w+ )+Error: ")  # "Catalog Error: ", in front of what is wrong
_IS_MISSING = re.compile(r"does not exist", re.IGNORECASE)


@dataclass(frozen=True)
class Question:
    """A statement, and where it came by its name: the table, and what it answers or holds."""

    sql: str
    table: str = ""
    title: str = ""


def question(text: str, catalogue: Catalogue | None = None) -> Question:
    """What a text asks: a statement for itself, the name of a table for its rows in order.

    The catalogue is read where a name needs it and none is given.

    Raises:
        QueryError: if the text is not one reading statement, or no table has the name.
    """
    # What a pipe or the command line had of other bytes are surrogates, which UTF-8 has not.
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise QueryError("The question is not UTF-8 text: save it as UTF-8, and ask again.")
    name = single_name(text)
    if name is None:
        return Question(one_reading_statement(text))
    catalogue = catalogue or read_catalogue()
    if name not in catalogue.tables:
        raise QueryError(_unknown(name, catalogue))
    table = catalogue.tables[name]
    order = dict.fromkeys((*table.sort_key, *table.primary_key))
    sql = f"SELECT * FROM {name}" + (f" ORDER BY {', '.join(order)}" if order else "")
    return Question(sql, name, " ".join(table.description.split()))


def names(catalogue: Catalogue) -> Iterator[str]:
    """The names that can be asked: those of analytics first."""
    for layer in (ANALYTICS, STAR, STAGING):
        yield from catalogue.tables_of(layer)


@contextmanager
def asking(warehouse: Warehouse, notify: Notify, table: str = "") -> Iterator[Session]:
    """A session that sees the tables alone and only reads.

    Raises:
        QueryError: what the engine says about the statement, with the place in it.
        WarehouseError: if there is nothing to ask.
    """
    is_open = False
    try:
        with warehouse.read(notify) as session:
            is_open = True
            # The platform's bookkeeping is not for analysts.
            session.execute(f"SET search_path = '{warehouse.schema}'")
            yield session
    except WarehouseError as error:
        if not is_open or error.__cause__ is None:
            raise
        shown = str(error.__cause__).strip()
        if table and _IS_MISSING.search(shown):
            shown = f"{table} is not in {warehouse.location} yet. Run `sparkify run` to make it."
        raise QueryError(_ERROR_KIND.sub("", shown)) from error


def _unknown(name: str, catalogue: Catalogue) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, names(catalogue), n=3)
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    return (
        f"There is no table {name}. {hint}`sparkify query --list` lists what can be asked by name;"
        " a statement begins with a word such as SELECT."
    )
