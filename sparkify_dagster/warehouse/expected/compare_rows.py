"""Holds the expected rows of a table against those that are published.

Rows belong together by the table's primary key where the file has it, else only if all of their
values are equal. How a difference is shown is decided elsewhere.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain

from sparkify_dagster.engines.base import Session
from sparkify_dagster.warehouse.expected.csv_values import Compared, comparable
from sparkify_dagster.warehouse.expected.expected_files import Expected, ExpectedError, Row

SHOWN = 20
# Of a table that has so many rows more than its file, only their number is reported.
MOST_UNEXPECTED = 200_000
_COLUMNS = """
    SELECT column_name FROM information_schema.columns
    WHERE table_schema = :schema AND table_name = :table_name
"""


@dataclass(frozen=True)
class Different:
    """An expected row whose key is there with other values; `columns` names those."""

    line: int
    expected: Row
    found: Row
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What holding a table against its expected rows gave.

    The numbers are of all rows; of each kind at most `SHOWN` are kept: missing and different rows
    in the order of the file, unexpected ones in that of their values. Where the table was too large
    to be read (`read` is false), only `unexpected` is known, and at least so much.
    """

    expected: Expected
    found_rows: int
    missing: int
    unexpected: int
    different: int
    missing_rows: tuple[tuple[int, Row], ...] = ()
    unexpected_rows: tuple[Row, ...] = ()
    different_rows: tuple[Different, ...] = ()
    read: bool = True

    @property
    def equal(self) -> bool:
        return not (self.missing or self.unexpected or self.different)

    @property
    def differences(self) -> int:
        return self.missing + self.unexpected + self.different


def compare_table(session: Session, schema: str, expected: Expected) -> Comparison:
    """Compare with the rows of `schema` that the session sees.

    Raises:
        ExpectedError: if the table does not stand yet, or not with all columns of the file.
    """
    table = expected.table
    standing = session.fetch(_COLUMNS, {"schema": schema, "table_name": table})
    if not standing:
        raise ExpectedError(f"{table} is not in the warehouse yet: `sparkify run` makes it.")
    if missing := [name for name in expected.names if (name,) not in standing]:
        raise ExpectedError(
            f"{table} has no {' and '.join(missing)} in the warehouse yet: `sparkify run` rebuilds"
            " it."
        )
    found_rows = session.count(f"SELECT COUNT(*) FROM {table}")
    surplus = found_rows - len(expected.rows)
    if surplus > MOST_UNEXPECTED:
        return Comparison(expected, found_rows, 0, surplus, 0, read=False)
    # In pages, in which a server's DECIMAL has all its digits.
    found = session.stream(f"SELECT {', '.join(expected.names)} FROM {table}")
    return compare(expected, chain.from_iterable(found.pages))


def compare(expected: Expected, found: Iterable[tuple[object, ...]]) -> Comparison:
    """Compare with rows that have the columns of the file, in its order."""
    names = expected.names
    places = [names.index(name) for name in expected.key or names]
    groups: dict[Row, tuple[list[tuple[int, Row]], list[Row]]] = defaultdict(lambda: ([], []))
    for line, row in expected.rows:
        groups[tuple(row[place] for place in places)][0].append((line, row))
    found_rows = 0
    for values in found:
        found_rows += 1
        row = tuple(map(comparable, values, expected.columns))
        groups[tuple(row[place] for place in places)][1].append(row)
    missing, unexpected, different = list[tuple[int, Row]](), list[Row](), list[Different]()
    for group in groups.values():
        wanted, given = _without_equals(*group, expected)
        pairs = min(len(wanted), len(given))
        for (line, row), other in zip(wanted[:pairs], given[:pairs], strict=True):
            different.append(Different(line, row, other, _unequal(row, other, expected)))
        missing += wanted[pairs:]
        unexpected += given[pairs:]
    missing.sort(key=lambda item: item[0])
    different.sort(key=lambda item: item.line)
    unexpected.sort(key=_order)
    return Comparison(
        expected,
        found_rows,
        len(missing),
        len(unexpected),
        len(different),
        tuple(missing[:SHOWN]),
        tuple(unexpected[:SHOWN]),
        tuple(different[:SHOWN]),
    )


def _without_equals(
    wanted: Sequence[tuple[int, Row]], given: Sequence[Row], expected: Expected
) -> tuple[list[tuple[int, Row]], list[Row]]:
    """What is left of both when every expected row takes away one that equals it."""
    if not expected.key:  # what is in one group is equal
        return list(wanted[len(given) :]), list(given[len(wanted) :])
    left, rest = list[tuple[int, Row]](), list(given)
    for line, row in wanted:
        place = next((n for n, other in enumerate(rest) if not _unequal(row, other, expected)), -1)
        if place < 0:
            left.append((line, row))
        else:
            del rest[place]
    return left, rest


def _unequal(row: Row, other: Row, expected: Expected) -> tuple[str, ...]:
    """The columns in which two rows differ."""
    if row == other:
        return ()
    values = zip(expected.names, row, other, strict=True)
    return tuple(name for name, a, b in values if not _equal(a, b, expected.tolerances.get(name)))


def _equal(a: Compared, b: Compared, tolerance: Decimal | None) -> bool:
    """Whether two values are the same, or numbers at most so far apart.

    In decimals, as people read them: 0.3 is 0.1 away from 0.2, in binary fractions it is not.
    """
    if a is b or a == b:  # NaN is itself and equals nothing
        return True
    if tolerance is None or a is None or b is None:
        return False
    one, other = Decimal(str(a)), Decimal(str(b))
    return one.is_finite() and other.is_finite() and abs(one - other) <= tolerance


def _order(row: Row) -> tuple[tuple[int, Compared], ...]:
    """A sort key: behind what has an order NaN, and NULL behind everything."""
    return tuple((2, 0) if v is None else (0, v) if v == v else (1, 0) for v in row)  # noqa: PLR0124 - only NaN is not itself
