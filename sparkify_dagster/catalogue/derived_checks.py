"""Checks that follow from a table file: NOT NULL, keys, references and accepted values.

Each selects the rows that break its rule, as Redshift SQL like the checks in files. Running them
and judging their outcome is not done here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sparkify_dagster.catalogue.check import Check, Severity
from sparkify_dagster.catalogue.tables import Reference, Table


@dataclass(frozen=True)
class Scope:
    """The rows that a transaction changed: those whose `column` is in `subquery`."""

    column: str
    subquery: str


def is_daily(table: Table) -> bool:
    """Whether the table is partitioned by log_date."""
    return any(column.name == "log_date" for column in table.columns)


def derived_checks(table: Table, scope: Scope | None) -> Iterator[Check]:
    """The checks of one table; where a scope is given, each has a line that restricts it."""
    key = list(table.primary_key)
    shown = _unique([*(["log_date"] if is_daily(table) else []), *key])
    required = [column.name for column in table.columns if not column.nullable]
    yield _check(
        table,
        "not_null",
        f"{', '.join(required)} are never NULL.",
        _select(_unique([*shown, *required]), table.name)
        + f"WHERE ({' OR '.join(f'{name} IS NULL' for name in required)})\n"
        + _restriction(scope),
    )
    if key:
        names = ", ".join(key)
        days = "MIN(log_date) AS log_date, " if is_daily(table) and "log_date" not in key else ""
        yield _check(
            table,
            "unique_key",
            f"{names} is unique.",
            f"SELECT {days}{names}, COUNT(*) AS copies\nFROM {table.name}\n"
            f"WHERE {key[0]} IS NOT NULL\n{_restriction(scope)}"
            f"GROUP BY {names}\nHAVING COUNT(*) > 1",
        )
    for reference in table.references:
        yield _reference_check(table, reference, shown, scope)
    for column in table.columns:
        if not column.accepted:
            continue
        values = ", ".join("'" + value.replace("'", "''") + "'" for value in column.accepted)
        yield _check(
            table,
            f"accepted_{column.name}",
            f"{column.name} is one of {', '.join(column.accepted)}.",
            _select(_unique([*shown, column.name]), table.name)
            + f"WHERE {column.name} NOT IN ({values})\n"
            + _restriction(scope),
            # What the lake sends is kept as it is: no value of it may stop the star.
            warn=True,
        )


def _reference_check(
    table: Table, reference: Reference, shown: list[str], scope: Scope | None
) -> Check:
    name = f"references_{reference.table}"
    if sum(other.table == reference.table for other in table.references) > 1:
        name += "_by_" + "_".join(reference.columns)
    pairs = zip(reference.columns, reference.parent_columns, strict=True)
    columns = _unique([*shown, *reference.columns])
    return _check(
        table,
        name,
        f"Every {', '.join(reference.columns)} has its row in {reference.table}.",
        _select([f"child.{column}" for column in columns], f"{table.name} AS child")
        + f"LEFT JOIN {reference.table} AS parent\n    ON "
        + " AND ".join(f"parent.{parent} = child.{child}" for child, parent in pairs)
        + f"\nWHERE parent.{reference.parent_columns[0]} IS NULL\n"
        + "".join(f"  AND child.{column} IS NOT NULL\n" for column in reference.columns)
        + _restriction(scope, "child."),
    )


def _check(table: Table, name: str, description: str, sql: str, *, warn: bool = False) -> Check:
    severity = Severity.WARN if warn else Severity.ERROR
    return Check(name, table.name, description, severity, is_daily(table), sql.strip())


def _select(columns: list[str], source: str) -> str:
    return f"SELECT {', '.join(columns)}\nFROM {source}\n"


def _restriction(scope: Scope | None, prefix: str = "") -> str:
    return f"  AND {prefix}{scope.column} IN ({scope.subquery}) -- incremental\n" if scope else ""


def _unique(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))
