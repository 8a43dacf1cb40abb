"""Follows the columns of an INSERT … SELECT back to the tables that it reads, with sqlglot.

sqlglot is imported only when something is followed (`lineage_cache` says why). Nothing here reads a
file or knows what the tables mean.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sparkify_dagster.errors import SparkifyError

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.lineage import Node

_DIALECT = "redshift"
# A column that every table and every subquery is given, so that COUNT(*) can be followed like any
# other column. Two underscores: no table file is likely to declare it.
_ROWS = "all__rows"
_UNDERLINE = re.compile(r"\x1b\[\d*m")  # sqlglot marks the place for a terminal
Columns = Mapping[str, list[tuple[str, str]]]
"""The (table, column) pairs that each column comes from, sorted."""


class LineageError(SparkifyError):
    """SQL whose columns cannot be followed to the tables that it reads."""


@dataclass(frozen=True)
class Question:
    """Where the columns of a table come from, given what fills it and what that may read."""

    columns: tuple[str, ...]
    statements: tuple[str, ...]
    tables: tuple[tuple[str, tuple[str, ...]], ...]


@lru_cache(maxsize=256)
def follow(question: Question) -> Columns:
    """The origins of each column; those of several statements together.

    Raises:
        LineageError: if a statement cannot be parsed, is not an INSERT of a query or a query, or
            names a column that no table has.
    """
    from sqlglot.errors import SqlglotError

    found: dict[str, set[tuple[str, str]]] = {name: set() for name in question.columns}
    for statement in question.statements:
        try:
            for column, origins in _follow_one(statement, question):
                found[column] |= origins
        except (SqlglotError, ValueError) as error:  # lineage() raises ValueError, too
            raise LineageError(" ".join(_UNDERLINE.sub("", str(error)).split())) from None
    return {column: sorted(origins) for column, origins in found.items()}


def _follow_one(statement: str, question: Question) -> Iterator[tuple[str, set[tuple[str, str]]]]:
    from sqlglot import exp
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    targets, query = _query(statement, question.columns)
    _simplify(query)
    schema: dict[str, object] = {
        name: dict.fromkeys((*columns, _ROWS), "varchar") for name, columns in question.tables
    }
    # qualify() refuses names that nothing has, and writes out every `*`
    qualify(query, schema=schema, dialect=_DIALECT, identify=False)
    selected = [e for e in query.selects if e.alias_or_name != _ROWS]
    if len(selected) != len(targets):
        raise LineageError(f"{len(targets)} columns are filled from {len(selected)} expressions")
    for target, expression in zip(targets, selected, strict=True):
        named = exp.alias_(expression.unalias(), target, quoted=False)
        expression.replace(named)
    scope = build_scope(query)
    nodes = lineage(None, query, schema, dialect=_DIALECT, scope=scope, copy=False)
    for target in targets:
        yield target, set(_leaves(nodes[target]))


def _query(statement: str, columns: tuple[str, ...]) -> "tuple[tuple[str, ...], exp.Query]":
    """The columns that a statement fills, and the query that fills them."""
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(statement, dialect=_DIALECT)
    query: exp.Expr | None = tree
    if isinstance(tree, exp.Insert):
        query = tree.expression
        if isinstance(tree.this, exp.Schema):
            columns = tuple(column.name for column in tree.this.expressions)
    if not isinstance(query, exp.Query):
        raise LineageError(f"a statement is {tree.key.upper()}, where INSERT … SELECT is expected")
    return columns, query


def _simplify(query: "exp.Query") -> None:
    """Have the tree name what values come from, and nothing else.

    LEAD(moment) OVER (PARTITION BY …) comes from `moment`; ROW_NUMBER() OVER (ORDER BY plays) names
    nothing itself, and comes from what it is ordered by. COUNT(*) counts the rows of what stands
    first behind FROM.
    """
    from sqlglot import exp

    for window in query.find_all(exp.Window):
        if window.this.find(exp.Column):
            window.set("partition_by", None)
            window.set("order", None)
    counts = [c for c in query.find_all(exp.Count) if isinstance(c.this, exp.Star)]
    if not counts:
        return
    for count in counts:
        select = count.find_ancestor(exp.Select)
        count.set("this", _rows_of(select) if select else exp.null())
    for select in list(query.find_all(exp.Select)):
        if select is not query and _is_read_from(select):
            select.append("expressions", exp.alias_(_rows_of(select), _ROWS))


def _rows_of(select: "exp.Select") -> "exp.Expr":
    from sqlglot import exp

    from_ = select.args.get("from_")
    return exp.column(_ROWS, table=from_.this.alias_or_name) if from_ else exp.null()


def _is_read_from(select: "exp.Select") -> bool:
    """Whether a SELECT is what FROM, JOIN or WITH names, alone or as a part of a UNION."""
    from sqlglot import exp

    place = select.parent
    while isinstance(place, exp.SetOperation) or (
        isinstance(place, exp.Subquery) and isinstance(place.parent, exp.SetOperation)
    ):
        place = place.parent
    if isinstance(place, exp.Subquery):
        return isinstance(place.parent, exp.From | exp.Join)
    return isinstance(place, exp.CTE)


def _leaves(node: "Node") -> Iterator[tuple[str, str]]:
    from sqlglot import exp

    for part in node.walk():
        if not part.downstream and isinstance(part.expression, exp.Table):
            column = part.name.rpartition(".")[2].strip('"')
            yield part.expression.name, "*" if column == _ROWS else column
