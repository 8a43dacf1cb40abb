"""Keeps what following SQL gave, so that only the first start after a change pays for it.

Importing sqlglot and following all tables takes half a second. The file is a convenience: one that
is missing, damaged, of something else or not to be written changes no answer.
"""

import hashlib
import json
import os
import threading
from contextlib import suppress
from functools import cached_property
from itertools import chain
from pathlib import Path

from sparkify_dagster.catalogue import lineage_sql
from sparkify_dagster.catalogue.lineage_sql import Columns, Question

FILE_NAME = "lineage.json"
_MOST_ENTRIES = 1000  # of all versions of all tables that one home has seen


class LineageCache:
    """Columns by a digest of all that they depend on, in a file if one is named.

    Nothing is written where the file's folder does not exist.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file

    def follow(self, question: Question) -> Columns:
        """The origins of each column (see `lineage_sql.follow`, which raises LineageError)."""
        if self._file is None:
            return lineage_sql.follow(question)
        key = self._digest(question)
        found = self._kept.get(key)
        if found is None or not _fits(found, question):
            found = self._kept[key] = lineage_sql.follow(question)
            self._write(self._file)
        return found

    @cached_property
    def _kept(self) -> dict[str, Columns]:
        return _read(self._file) if self._file else {}

    @cached_property
    def _follower(self) -> str:
        """What an answer depends on besides its question."""
        from importlib.metadata import version  # slow, where nobody has imported it

        code = Path(lineage_sql.__file__).read_bytes()
        return f"{version('sqlglot')} {hashlib.sha256(code).hexdigest()}"

    def _digest(self, question: Question) -> str:
        parts = [self._follower, question.columns, question.statements, question.tables]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def _write(self, file: Path) -> None:
        """Replace the file by one with all that is kept; of two who write, the last one's stays."""
        draft = file.with_name(f".{file.name}.{os.getpid()}-{threading.get_ident()}")
        latest = dict([*self._kept.items()][-_MOST_ENTRIES:])
        with suppress(OSError):
            try:
                draft.write_text(json.dumps(latest), encoding="utf-8")
                os.replace(draft, file)
            finally:
                draft.unlink(missing_ok=True)


def _read(file: Path) -> dict[str, Columns]:
    """What the file keeps; nothing if it is not one of ours."""
    try:
        return {
            key: {
                name: [(str(asset), str(column)) for asset, column in origins]
                for name, origins in columns.items()
            }
            for key, columns in json.loads(file.read_text(encoding="utf-8")).items()
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _fits(columns: Columns, question: Question) -> bool:
    """Whether an answer speaks of the columns that it was asked for, and of what these can read."""
    there = {(table, column) for table, names in question.tables for column in (*names, "*")}
    return tuple(columns) == question.columns and there.issuperset(chain(*columns.values()))
