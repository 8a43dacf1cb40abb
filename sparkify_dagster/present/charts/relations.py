"""Tables with their keys and references as an SVG: the whole star, or a table's neighbourhood.

Made of the table files alone, in well under a millisecond, so that it is never out of date. Boxes
stand in columns; a line leads from the column that refers to the key that it refers to, with the
crow's foot at the many.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

from sparkify_dagster.catalogue.catalogue import STAR, Catalogue
from sparkify_dagster.catalogue.tables import Column, Reference, Table
from sparkify_dagster.present.charts.colours import GRID, INK, LIGHT_GROUND, SERIES
from sparkify_dagster.present.charts.drawing import Picture

_ROW = 20
_CHARACTER = 7.2  # of 12 pixels, in a wide font
_MARKS = 46  # room for "PK FK" before a name
_PADDING = 8
_ACROSS, _DOWN = 96, 24  # between boxes
_MARGIN = 12
_FOOT = 16  # of a line, where it says how many
_QUIET = "#57606a"
_ACCENT = next(iter(SERIES))


Line = tuple[Table, Reference]
"""A reference with the table that has it."""


@dataclass(frozen=True)
class _Box:
    """A table with the columns of it that are shown, and its place."""

    table: Table
    shown: tuple[Column, ...]
    column: int = 0
    x: float = 0
    y: float = 0
    width: float = 0

    @property
    def more(self) -> str:
        """What is said of the columns that are not shown."""
        hidden = len(self.table.columns) - len(self.shown)
        return f"and {hidden} more column{'s' if hidden > 1 else ''}" if hidden else ""

    @property
    def height(self) -> float:
        return _ROW * (1 + len(self.shown) + bool(self.more)) + 4

    def row(self, place: int) -> float:
        """The middle of a row below the title."""
        return self.y + _ROW * (place + 1.5)

    def row_of(self, name: str) -> float:
        return self.row([column.name for column in self.shown].index(name))


def star_diagram(catalogue: Catalogue) -> Picture:
    """Every table of the star with all its columns; the table that refers most stands first."""
    tables = [catalogue.tables[name] for name in sorted(catalogue.tables_of(STAR))]
    names = {table.name for table in tables}
    lines = [(table, r) for table in tables for r in table.references if r.table in names]
    return _picture(_by_distance(tables), lines, {table.name: table.columns for table in tables})


def neighbourhood(catalogue: Catalogue, name: str) -> Picture | None:
    """A table between those that refer to it and those it refers to; None if there are neither.

    Of each table only the columns are shown that a key or one of these references names.
    """
    table = catalogue.tables[name]
    lines = [
        (child, reference)
        for child in catalogue.tables.values()
        for reference in child.references
        if name in (child.name, reference.table)
    ]
    if not lines:
        return None
    parents = [catalogue.tables[n] for n in dict.fromkeys(_parents(table)) if n != name]
    referring = dict.fromkeys(child.name for child, _ in lines)
    children = [catalogue.tables[n] for n in referring if n not in (name, *_parents(table))]
    columns = [column for column in (children, [table], parents) if column]
    shown = {t.name: _keys(t, lines) for column in columns for t in column}
    return _picture(columns, lines, shown, accent=name)


def _parents(table: Table) -> list[str]:
    return [reference.table for reference in table.references]


def _by_distance(tables: Sequence[Table]) -> list[list[Table]]:
    """Columns of tables: the one that refers most, its neighbours, theirs, and so on."""
    left = {table.name: table for table in tables}
    columns: list[list[Table]] = []
    found: list[str] = []
    while left:
        # a table that nothing leads to begins anew
        found = found or [max(left.values(), key=lambda table: len(table.references)).name]
        columns.append([left.pop(name) for name in found])
        here = {table.name for table in columns[-1]}
        near = [name for table in columns[-1] for name in _parents(table)]
        near += [name for name, table in left.items() if here & set(_parents(table))]
        found = [name for name in dict.fromkeys(near) if name in left]
    return columns


def _keys(table: Table, lines: Iterable[Line]) -> tuple[Column, ...]:
    named = set(table.primary_key)
    for child, reference in lines:
        named |= set(reference.columns) if child == table else set()
        named |= set(reference.parent_columns) if reference.table == table.name else set()
    return tuple(column for column in table.columns if column.name in named)


def _picture(
    columns: Sequence[Sequence[Table]],
    lines: Sequence[Line],
    shown: Mapping[str, tuple[Column, ...]],
    accent: str = "",
) -> Picture:
    boxes = {box.table.name: box for box in _laid_out(columns, shown)}
    said = _words(lines, accent)
    ends = [(boxes[child.name], reference, boxes[reference.table]) for child, reference in lines]
    width = max(box.x + box.width for box in boxes.values()) + _MARGIN
    width += 2 * _FOOT * any(child.column == parent.column for child, _, parent in ends)
    height = max(box.y + box.height for box in boxes.values()) + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}"'
        f' viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(said)}"'
        f' font-family="system-ui,sans-serif" font-size="12" fill="{INK}">',
        f'<g fill="none" stroke="{INK}">',
        *(_line(*end) for end in ends),
        "</g>",
        *(part for box in boxes.values() for part in _drawn(box, accent in ("", box.table.name))),
        "</svg>",
    ]
    return Picture("".join(parts), said)


def _laid_out(
    columns: Sequence[Sequence[Table]], shown: Mapping[str, tuple[Column, ...]]
) -> Iterator[_Box]:
    """Boxes one below the other in each column, the columns side by side, centred."""
    x: float = _MARGIN
    stacks = [[_Box(table, shown[table.name]) for table in column] for column in columns]
    heights = [sum(box.height + _DOWN for box in stack) - _DOWN for stack in stacks]
    for place, stack in enumerate(stacks):
        y = _MARGIN + (max(heights) - heights[place]) / 2
        width = max(_width(box) for box in stack)
        for box in stack:
            yield replace(box, column=place, x=x, y=y, width=width)
            y += box.height + _DOWN
        x += width + _ACROSS


def _width(box: _Box) -> float:
    texts = [f"{column.name}  {column.type}" for column in box.shown]
    longest = max(map(len, (*texts, box.more, box.table.name)))
    return 2 * _PADDING + _MARKS + round(_CHARACTER * longest)


def _drawn(box: _Box, accented: bool) -> Iterator[str]:
    """The box: its title, and a row for each column with its mark, name and type."""
    x, y, width = box.x, box.y, box.width
    colour = _ACCENT if accented else INK
    yield (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{box.height:g}" rx="4"'
        f' fill="{LIGHT_GROUND}" stroke="{colour}"/>'
    )
    yield _text(x + _PADDING, y + 15, box.table.name, f' font-weight="bold" fill="{colour}"')
    yield f'<path d="M{x:g} {y + _ROW:g}h{width:g}" stroke="{GRID}"/>'
    for place, column in enumerate(box.shown):
        line = box.row(place) + 4
        if marks := _marks(box.table, column):
            yield _text(x + _PADDING, line, marks, f' font-size="10" fill="{colour}"')
        yield _text(x + _PADDING + _MARKS, line, column.name)
        end = f' text-anchor="end" fill="{_QUIET}"'
        yield _text(x + width - _PADDING, line, column.type, end)
    if box.more:
        line = box.row(len(box.shown)) + 4
        yield _text(x + _PADDING + _MARKS, line, box.more, f' fill="{_QUIET}"')


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}"{more}>{escape(text)}</text>'


def _marks(table: Table, column: Column) -> str:
    marks = ["PK"] if column.name in table.primary_key else []
    marks += ["FK"] if any(column.name in r.columns for r in table.references) else []
    return " ".join(marks)


def _line(child: _Box, reference: Reference, parent: _Box) -> str:
    """From the first column that refers to the one it refers to, around what stands between."""
    start, end = child.row_of(reference.columns[0]), parent.row_of(reference.parent_columns[0])
    right = child.column <= parent.column
    back = child.column < parent.column
    x, side = (child.x + child.width, 1) if right else (child.x, -1)
    to, other = (parent.x, -1) if back else (parent.x + parent.width, 1)
    near, far = x + side * _FOOT, to + other * _FOOT
    bend = _FOOT * 1.5 if child.column == parent.column else abs(far - near) / 2
    curve = (
        f"M{x:g} {start:g}H{near:g}C{near + side * bend:g} {start:g}"
        f" {far + other * bend:g} {end:g} {far:g} {end:g}H{to:g}"
    )
    foot = f"M{x:g} {start - 5:g}L{x + side * 10:g} {start:g}L{x:g} {start + 5:g}"
    ring = _ring(x + side * 13, start)
    one = f"M{to + other * 5:g} {end - 5:g}v10"
    optional = any(child.table.column(name).nullable for name in reference.columns)
    if optional:
        return f'<path d="{curve}{foot}{one}"/>{ring}{_ring(to + other * 11, end)}'
    return f'<path d="{curve}{foot}{one}M{to + other * 9:g} {end - 5:g}v10"/>{ring}'


def _ring(x: float, y: float) -> str:
    """Perhaps none."""
    return f'<circle cx="{x:g}" cy="{y:g}" r="3" fill="{LIGHT_GROUND}"/>'


def _words(lines: Iterable[Line], accent: str) -> str:
    """The references as sentences."""
    found: dict[str, list[str]] = {}
    for child, reference in lines:
        reported = f"{reference.table} by {' and '.join(reference.columns)}"
        found.setdefault(child.name, []).append(reported)
    sentences = []
    for name, (*others, last) in found.items():
        before = f"{', '.join(others)} and " if others else ""
        sentences.append(f"{name} refers to {before}{last}")
    of = f" of {accent}" if accent else ""
    return f"Diagram of the keys and references{of}: {'; '.join(sentences) or 'there are none'}."
