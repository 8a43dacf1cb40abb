"""Results of any size as CSV, JSON or Parquet, into a file or to stdout.

A result is written as it is read, a page at a time, and shown or put in its place when it is
complete: memory is bounded, a failed query leaves nothing half-written, and whoever reads stdout
slowly (a pager, say) does not keep the warehouse from a run.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING

from sparkify_dagster.ask.atomic_write import replaced
from sparkify_dagster.ask.values import csv_line, json_text
from sparkify_dagster.errors import QueryError, SparkifyError

if TYPE_CHECKING:
    import pyarrow as pa

    from sparkify_dagster.engines.base import Session

_IN_MEMORY = 8 << 20  # bytes of a result on its way to stdout; what is more waits on disk
_ROWS_A_GROUP = 100_000  # of a Parquet file: the unit in which it is read and skipped


class ExportError(SparkifyError):
    """A file that cannot be written."""


def export(session: "Session", sql: str, form: str, limit: int | None, file: IO[bytes]) -> int:
    """Write the result of a query into an open file, and return its number of rows."""
    return FORMATS[form](session, sql, limit, file)


@contextmanager
def exported(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes this place, and that of what stands there, at the end of the block.

    Raises:
        ExportError: if it cannot be written; what stands there stays.
    """
    try:
        if path.exists() and not path.is_file():
            raise ExportError(f"{path} is not a file: name one, or write to a pipe without --out.")
        with replaced(path) as file:
            yield file
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror or error}.") from error


@contextmanager
def kept() -> Iterator[IO[bytes]]:
    """A file for what goes to stdout once it is complete."""
    with written_out(), SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        yield file


@contextmanager
def written_out() -> Iterator[None]:
    """A block that writes to stdout.

    Raises:
        BrokenPipeError: if the reader has left, who needs no message.
        ExportError: if the disk is full, or whatever else keeps the result from being written.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ExportError(f"The result cannot be written: {error.strerror or error}.") from error


def show(file: IO[bytes]) -> None:
    """Copy what was kept to stdout: as it is, but to a terminal in the terminal's encoding."""
    file.seek(0)
    sys.stdout.flush()
    if sys.stdout.isatty():
        for line in file:
            sys.stdout.write(line.decode())
    else:
        shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.flush()


def _csv(session: "Session", sql: str, limit: int | None, file: IO[bytes]) -> int:
    count = _csv_by_columns(session, sql, limit, file)
    return _csv_by_rows(session, sql, limit, file) if count is None else count


def _csv_by_columns(session: "Session", sql: str, limit: int | None, file: IO[bytes]) -> int | None:
    """A quarter of the time that rows take. None, and nothing is written, where it cannot be."""
    batches = session.exact_batches(sql, limit=limit)
    if batches is None:
        return None
    from sparkify_dagster.ask.csv_columns import BeyondPythonError, csv_lines

    file.write(f"{csv_line(batches.schema.names)}\n".encode())
    count = 0
    try:
        for batch in batches:
            file.write(csv_lines(batch))
            count += len(batch)
    except BeyondPythonError:
        file.seek(0)
        file.truncate()
        return None
    return count


def _csv_by_rows(session: "Session", sql: str, limit: int | None, file: IO[bytes]) -> int:
    found = session.stream(sql, limit=limit)
    file.write(f"{csv_line(found.columns)}\n".encode())
    count = 0
    for page in found.pages:
        file.write("".join([f"{csv_line(row)}\n" for row in page]).encode())
        count += len(page)
    return count


def _json(session: "Session", sql: str, limit: int | None, file: IO[bytes]) -> int:
    """One array with an object a line; names that come twice get a number."""
    from sparkify_dagster.engines.results import distinct

    found = session.stream(sql, limit=limit)
    names = distinct(found.columns)
    count = 0
    file.write(b"[")
    for page in found.pages:
        objects = [json_text(dict(zip(names, row, strict=True))) for row in page]
        file.write(((",\n" if count else "\n") + ",\n".join(objects)).encode())
        count += len(page)
    file.write(b"\n]\n")
    return count


def _parquet(session: "Session", sql: str, limit: int | None, file: IO[bytes]) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    reader = session.reader(sql, limit=limit)
    count = 0
    try:
        with parquet.ParquetWriter(file, reader.schema, compression="zstd") as writer:
            for group in _groups(reader):
                writer.write_table(group, row_group_size=_ROWS_A_GROUP)
                count += len(group)
    except pa.ArrowNotImplementedError as error:
        # DuckDB's intervals; every other type of the engines has one.
        spans = [f.name for f in reader.schema if pa.types.is_interval(f.type)]
        raise QueryError(
            f"Parquet has no type for {' and '.join(spans) or error}: cast it in the statement,"
            f" such as CAST({spans[0] if spans else '…'} AS VARCHAR)"
        ) from error
    return count


def _groups(reader: "pa.RecordBatchReader") -> "Iterator[pa.Table]":
    """The batches in tables that are worth a row group."""
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    for batch in reader:
        waiting.append(batch)
        if sum(map(len, waiting)) >= _ROWS_A_GROUP:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


FORMATS: "dict[str, Callable[[Session, str, int | None, IO[bytes]], int]]" = {
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
}
