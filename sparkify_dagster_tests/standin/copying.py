"""COPY from its target to its messages: what happens when, and what the client is told.

The order is Redshift's: a COPY that fails before it reads leaves pg_last_copy_id() alone; one that
fails over its data is noted there and in SYS_LOAD_ERROR_DETAIL, and its transaction is lost.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sparkify_dagster_tests.standin.backend import Backend
from sparkify_dagster_tests.standin.copy_statement import Copy
from sparkify_dagster_tests.standin.errors import INTERNAL, RefusedError
from sparkify_dagster_tests.standin.load_errors import Administration, LoadErrorDetail
from sparkify_dagster_tests.standin.loading import (
    BadRecord,
    Target,
    find_target,
    now,
    read_files,
    store,
    user_ids,
)
from sparkify_dagster_tests.standin.s3_source import S3Access, Source

_CHECK = "Check 'sys_load_error_detail' system table for details."


@dataclass(frozen=True)
class Copying:
    """The cluster's way of loading.

    Two things are not documented, and code should stand both: whether a malformed object costs the
    rest of its file (``resumes_after_malformed``), and whether pg_last_copy_id() outlives a
    rollback (``id_survives_rollback``).
    """

    access: S3Access
    administration: Administration
    database: str
    resumes_after_malformed: bool = True
    id_survives_rollback: bool = True
    ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(700_001))

    def perform(
        self,
        backend: Backend,
        copy: Copy,
        begun: Callable[[int, int], None],
        before_end: Callable[[], None],
    ) -> list[str]:
        """Load, and return the INFO messages.

        ``begun`` is told the query's number and its rows so far.

        Raises:
            RefusedError: if the COPY fails for a reason of Redshift's.
            BackendError: if PostgreSQL refuses the rows.
        """
        target = find_target(backend, copy)
        source = Source(self.access, copy)
        query_id, started = next(self.ids), now()
        begun(query_id, 0)
        loaded = read_files(copy, source, target, resume=self.resumes_after_malformed)
        if loaded.bad:
            self._note(backend, copy, target, loaded.bad, query_id, started)
        if loaded.failed:
            raise RefusedError(f"Load into table '{target.name}' failed.  {_CHECK}", INTERNAL)
        if copy.noload:
            return [f"Load into table '{target.name}' completed, NOLOAD was given."]
        store(backend, copy, target, loaded.lines, before_end)
        begun(query_id, len(loaded.lines))
        return _messages(target.name, len(loaded.lines), len(loaded.bad))

    def _note(
        self,
        backend: Backend,
        copy: Copy,
        target: Target,
        bad: Sequence[BadRecord],
        query_id: int,
        started: str,
    ) -> None:
        user_name, user, process = user_ids(backend)
        self.administration.note_errors(
            [
                LoadErrorDetail(
                    user_name=user_name,
                    user_id=user,
                    query_id=query_id,
                    transaction_id=query_id + 1_000_000,
                    session_id=process,
                    database_name=self.database,
                    table_id=target.oid,
                    start_time=started,
                    file_name=record.url[:256],
                    line_number=record.line,
                    column_name=record.column.name[:127] if record.column else "",
                    column_type=_type_name(record),
                    column_length=_length(record),
                    position=0,
                    error_code=record.code,
                    error_message=record.message[:512],
                )
                for record in bad
            ]
        )


def _messages(table: str, loaded: int, rejected: int) -> list[str]:
    done = f"Load into table '{table}' completed, {loaded} record(s) loaded successfully."
    if not rejected:
        return [done]
    return [
        f"Load into table '{table}' completed, {rejected} record(s) could not be loaded.  {_CHECK}",
        done,
    ]


def _type_name(record: BadRecord) -> str:
    shown = {"character varying": "varchar", "integer": "int4", "bigint": "int8"}
    kind = record.column.kind if record.column else ""
    return shown.get(kind, kind)[:10]


def _length(record: BadRecord) -> str:
    arguments = record.column.arguments if record.column else ()
    return ",".join(map(str, arguments))[:10]
