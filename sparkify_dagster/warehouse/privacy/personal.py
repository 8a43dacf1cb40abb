"""Personal data: which values it is, how forgotten users' are left out, and what is never shown.

Which columns are personal is said in the table files: `(personal)` in a column's comment, and
`-- person:` for the column that says whose row it is. When somebody is forgotten is decided in
forget_user.py.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from sparkify_dagster.catalogue.line_rules import whole_number
from sparkify_dagster.catalogue.tables import Table
from sparkify_dagster.engines.base import Session
from sparkify_dagster.engines.rows import Rows
from sparkify_dagster.warehouse.load import ledger

if TYPE_CHECKING:
    import pyarrow as pa

MASK = "•••"
"""In the place of a personal value, wherever rows are shown beside a query."""
HIDDEN = "(hidden: this may be a line of a forgotten user; it is in the file)"
"""In the place of a quarantined line."""


def masked(rows: Rows, personal: Collection[str]) -> Rows:
    """The rows with a mask over each value of a personal column; what is empty stays so."""
    covered = [name in personal for name in rows.columns]
    if not any(covered):
        return rows
    return Rows(
        rows.columns,
        tuple(
            tuple(
                MASK if cover and value is not None else value
                for cover, value in zip(covered, row, strict=True)
            )
            for row in rows.rows
        ),
    )


def forgotten_ids(session: Session) -> frozenset[int]:
    """The users whose personal data is left out of everything that is loaded."""
    found = session.fetch(ledger.statement("forgotten users"))
    return frozenset(int(str(user)) for user, *_ in found)


def holds_personal(table: Table) -> str:
    """The condition that a row still holds something personal."""
    return f"({' OR '.join(f'{name} IS NOT NULL' for name in table.personal)})"


def emptying(table: Table, whose: str) -> str:
    """The statement that empties the personal columns of rows; `whose` is what the person is in."""
    values = ", ".join(f"{name} = NULL" for name in table.personal)
    return (
        f"UPDATE {table.name}\nSET {values}\n"
        f"WHERE {table.person} IN ({whose})\n  AND {holds_personal(table)}"
    )


def without_forgotten(table: Table, rows: "pa.Table", forgotten: Collection[int]) -> "pa.Table":
    """Parsed rows with the personal columns of forgotten users empty, before anything has them."""
    if not forgotten or not table.personal:
        return rows
    import pyarrow as pa
    import pyarrow.compute as pc

    person = rows[table.person]
    theirs = pc.is_in(person.cast(pa.int64()), value_set=pa.array(sorted(forgotten), pa.int64()))
    if not pc.any(theirs).as_py():
        return rows
    for name in table.personal:
        place = rows.schema.get_field_index(name)
        kept = pc.if_else(theirs, pa.scalar(None, rows.schema.field(place).type), rows[name])
        rows = rows.set_column(place, rows.schema.field(place), kept)
    return rows


def shown_line(table: Table, raw: str | None, forgotten: Collection[int]) -> str | None:
    """The text of a rejected line, unless it belongs to a forgotten user, or may.

    Whose a line is cannot be read from one that is cut off or malformed, and nobody's name is
    known any more that could be looked for: once somebody is forgotten, such a line is hidden.
    """
    if raw is None or not forgotten or not table.personal:
        return raw
    return HIDDEN if _may_be_of(table, raw, forgotten) else raw


def _may_be_of(table: Table, raw: str, forgotten: Collection[int]) -> bool:
    try:
        fields = json.loads(raw, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return True
    if not isinstance(fields, dict):
        return True
    keys = {column.name: key for column, key in table.json_columns}
    whose = fields.get(keys[table.person or ""])
    if whose is None or whose == "":
        impersonal = {key for name, key in keys.items() if name not in table.personal}
        return any(key not in impersonal or _is_nested(v) for key, v in fields.items() if v)
    user = whole_number(whose)
    return user is None or user in forgotten


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping | list)


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """An object as JSON has it; of a key that stands twice nobody can tell which is meant."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a key stands twice")
    return fields
