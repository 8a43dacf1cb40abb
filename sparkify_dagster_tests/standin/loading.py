"""Performs a COPY: reads the files, turns their objects into rows, and gives them to PostgreSQL.

All files are read and judged before the first row is stored, so that a COPY is all or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sparkify_dagster_tests.standin.backend import Backend
from sparkify_dagster_tests.standin.columns import MALFORMED, Column, LoadError, Options, converter
from sparkify_dagster_tests.standin.copy_statement import Copy
from sparkify_dagster_tests.standin.errors import INTERNAL, RefusedError
from sparkify_dagster_tests.standin.json_paths import Find, auto_finder, finder, read_paths
from sparkify_dagster_tests.standin.json_stream import Json, Malformed, roots
from sparkify_dagster_tests.standin.keys import object_id, quoted
from sparkify_dagster_tests.standin.load_errors import identifier
from sparkify_dagster_tests.standin.s3_source import Source

_CHUNK = 1 << 18
_SPECIAL = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


@dataclass(frozen=True)
class BadRecord:
    """An object that is not a row."""

    url: str
    line: int
    column: Column | None
    code: int
    message: str


@dataclass
class Loaded:
    """What a COPY found in its files; ``lines`` is in the format of COPY FROM STDIN."""

    lines: list[str] = field(default_factory=list)
    bad: list[BadRecord] = field(default_factory=list)
    failed: bool = False


@dataclass(frozen=True)
class Target:
    """The table of a COPY and the columns that it fills, in order."""

    oid: int
    name: str
    columns: tuple[Column, ...]


def find_target(backend: Backend, copy: Copy) -> Target:
    """Look the table up.

    Raises:
        RefusedError: if it or a column does not exist, or a column that is needed is left out.
    """
    oid = object_id(backend, copy.table)
    if oid is None:
        raise RefusedError(f"Cannot COPY into nonexistent table {copy.table}", INTERNAL)
    every = _columns(backend, oid)
    wanted = copy.columns if copy.columns is not None else tuple(every)
    for name in wanted:
        if name not in every:
            raise RefusedError(
                f'column "{name}" of relation "{copy.table}" does not exist', "42703"
            )
    for column in every.values():
        if column.not_null and not column.has_default and column.name not in wanted:
            raise RefusedError(
                "NOT NULL column without DEFAULT must be included in column list", INTERNAL
            )
    if copy.update_statistics and not _is_owner(backend, oid):
        raise RefusedError(f"must be owner of relation {copy.table} to update statistics", "42501")
    return Target(oid, copy.table.rpartition(".")[2], tuple(every[name] for name in wanted))


def _columns(backend: Backend, oid: int) -> dict[str, Column]:
    rows = backend.run(
        "SELECT attname, format_type(atttypid, NULL), attnotnull, atthasdef OR attidentity <> '', "
        "information_schema._pg_char_max_length(atttypid, atttypmod), "
        "information_schema._pg_numeric_precision(atttypid, atttypmod), "
        "information_schema._pg_numeric_scale(atttypid, atttypmod) "
        f"FROM pg_attribute WHERE attrelid = {oid} AND attnum > 0 "
        "AND NOT attisdropped ORDER BY attnum"
    )
    found = {}
    for name, kind, not_null, default, length, precision, scale in rows:
        arguments = (length,) if length else (precision, scale) if kind == "numeric" else ()
        found[str(name)] = Column(
            str(name),
            str(kind),
            tuple(int(a) for a in arguments if a is not None),
            not_null == "t",
            default == "t",
        )
    return found


def _is_owner(backend: Backend, oid: int) -> bool:
    rows = backend.run(f"SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = {oid}")
    return rows == [["t"]]


def read_files(copy: Copy, source: Source, target: Target, *, resume: bool) -> Loaded:
    """The rows of all files; reading ends with the error that is one too many.

    Raises:
        RefusedError: if the files cannot be had, or the JSONPaths do not fit the columns.
    """
    names = [column.name for column in target.columns]
    find = _finder(copy, source, names)
    options = Options(copy.time_format, copy.empty_as_null, copy.blanks_as_null)
    converters = [converter(column, options) for column in target.columns]
    loaded = Loaded()
    tolerated = max(copy.max_error, 1)  # 0 and 1 mean the same: the first error fails
    for url, data in source.contents(source.urls()):
        for line, value in roots(data, resume=resume):
            cells: list[str | None] = []
            found: Sequence[Json] | None = None
            try:
                found = _cells(find, value)
                for convert, cell in zip(converters, found, strict=True):
                    cells.append(convert(cell))
            except LoadError as error:
                # As many cells as fitted stand before the one that did not.
                column = None if found is None else target.columns[len(cells)]
                loaded.bad.append(BadRecord(url, line, column, error.code, str(error)))
                if len(loaded.bad) >= tolerated:
                    loaded.failed = True
                    return loaded
            else:
                loaded.lines.append(_line(cells))
    return loaded


def _finder(copy: Copy, source: Source, names: Sequence[str]) -> Find:
    paths = read_paths(source.read(copy.json)) if copy.json.startswith("s3://") else None
    if paths is None:
        return auto_finder(names, ignore_case=copy.json == "auto ignorecase")
    if len(paths) != len(names):
        raise RefusedError(
            "Number of jsonpaths and the number of columns should match. "
            f"JSONPath size: {len(paths)}, Number of columns in table or column list: {len(names)}",
            INTERNAL,
        )
    return finder(paths)


def _cells(find: Find, value: Json | Malformed) -> list[Json]:
    if isinstance(value, Malformed):
        raise LoadError(MALFORMED, value.reason)
    return find(value)


def _line(cells: Sequence[str | None]) -> str:
    return "\t".join("\\N" if cell is None else _escaped(cell) for cell in cells)


def _escaped(cell: str) -> str:
    # Most values have nothing to escape, and looking is cheaper than translating.
    plain = cell.isprintable() and "\\" not in cell
    return cell if plain else cell.translate(_SPECIAL)


def store(
    backend: Backend,
    copy: Copy,
    target: Target,
    lines: Sequence[str],
    before_end: Callable[[], None],
) -> None:
    """Give the rows to PostgreSQL, in the session's transaction.

    ``before_end`` is called when all rows are there and the statement is still under way.

    Raises:
        BackendError: if the user may not insert.
    """
    columns = ", ".join(identifier(column.name) for column in target.columns)
    chunks = _chunks(lines, before_end)
    backend.copy_in(f"COPY {quoted(copy.table)} ({columns}) FROM STDIN", chunks)


def _chunks(lines: Sequence[str], before_end: Callable[[], None]) -> Iterator[bytes]:
    waiting: list[str] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size > _CHUNK:
            yield ("\n".join(waiting) + "\n").encode()
            waiting, size = [], 0
    if waiting:
        yield ("\n".join(waiting) + "\n").encode()
    before_end()


def now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat(" ")


def user_ids(backend: Backend) -> tuple[str, int, int]:
    """Name and number of the session's user, and the number of the process that serves it."""
    rows = backend.run(
        "SELECT current_user, (SELECT oid FROM pg_roles WHERE rolname = current_user), "
        "pg_backend_pid()"
    )
    name, user, process = rows[0]
    return str(name), int(user or 0), int(process or 0)
