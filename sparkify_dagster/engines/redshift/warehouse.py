"""The engine Amazon Redshift: rows come in through COPY from S3, writers queue at a locked table.

The text of a COPY is in `copy_sql`; what is shared with PostgreSQL is in `engines.server`.
"""

import gzip
import json
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from sparkify_dagster.catalogue.line_rules import LineRules
from sparkify_dagster.catalogue.tables import Table
from sparkify_dagster.engines.base import (
    CopiedFile,
    Intake,
    Notify,
    RoleDialect,
    Session,
    StagedFile,
    WarehouseBusyError,
    WarehouseError,
    silent,
)
from sparkify_dagster.engines.ddl import Dialect, in_schema
from sparkify_dagster.engines.redshift import copy_sql
from sparkify_dagster.engines.redshift.copy_errors import CopyErrors
from sparkify_dagster.engines.rows import Value
from sparkify_dagster.engines.server.results import SELECTS, Page
from sparkify_dagster.engines.server.staged_rows import staged_rows
from sparkify_dagster.engines.server.warehouse import ServerSession, ServerWarehouse
from sparkify_dagster.lake import Lake, LakeError
from sparkify_dagster.lake.scratch import PATIENCE, Scratch
from sparkify_dagster.lake.single import read_file
from sparkify_dagster.settings import Settings
from sparkify_dagster.settings.sources import Source

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg2.extensions import Column
    from psycopg2.extensions import connection as Connection

_QUEUE = "writer"
_A_MOMENT = 2  # seconds of waiting that are not worth a message
# A COPY of its own costs a log file some seconds; more files than this are compacted first.
_MOST_COPIES = 50
_SORTS = re.compile(r"\bORDER\s+BY\b", re.IGNORECASE)


class RedshiftSession(ServerSession):
    """A transaction on Redshift, with what its COPY needs beside it."""

    rows_a_page = 1000  # the most that FETCH gives where there is a single node

    def __init__(
        self, connection: "Connection", warehouse: "RedshiftWarehouse", notify: Notify
    ) -> None:
        super().__init__(connection, warehouse.location)
        self._warehouse = warehouse
        self._notify = notify
        self._errors = CopyErrors(self, connection, warehouse.look)

    @contextmanager
    def staging(self, table: Table, files: Sequence[StagedFile]) -> Iterator[Intake]:
        """Compact the rows to a few gzip objects of the scratch folder, and copy these at once."""
        with self._warehouse.scratch(self._notify) as scratch:
            intake = _ScratchIntake(scratch, table, files)
            yield intake
            if not intake.urls:
                return
            place = scratch.put(f"{table.name}.manifest", copy_sql.manifest(intake.urls).encode())
            # Column names are the keys: `auto` matches them. Nothing here may fail to load.
            self._copy(table.name, table.column_names, "'auto'", place, 0, packed="GZIP")

    def copy(
        self,
        source: Source,
        rules: LineRules,
        lake: Lake,
        files: Sequence[StagedFile],
        max_reject_ratio: float,
    ) -> Generator[CopiedFile, None, None]:
        direct = self._warehouse.reads_logs and lake.uri.startswith("s3://")
        if not (direct and source.copied and len(files) <= _MOST_COPIES):
            return
        # One file a COPY: nothing in a row that COPY loads tells which file it came from.
        max_errors = copy_sql.MOST_ERRORS if max_reject_ratio else 0
        names = [column.name for column, _ in rules.columns]
        with self._warehouse.scratch(self._notify) as scratch:
            paths = self._warehouse.jsonpaths(source, rules, scratch)
            for index, file in enumerate(files):
                url = lake.url(file.key)
                place = scratch.put(f"{index:05d}.manifest", copy_sql.manifest([url]).encode())
                self.execute(copy_sql.landing_table(rules))
                packed = copy_sql.compression(file.key)
                with self._errors.of(url) as rejected:
                    self._copy(
                        copy_sql.LANDING, names, ":jsonpaths", place, max_errors,
                        packed=packed, jsonpaths=paths,
                    )  # fmt: skip
                # What only the line rules can judge is left to them.
                ours = self.count(copy_sql.count_of_misfits(rules, file.day))
                if not ours and not (rejected and _is_no_file_of_lines(lake, file.key)):
                    values: dict[str, Value] = {"day": file.day, "key": file.key}
                    rows = self.execute(copy_sql.take_over(rules), values)
                    yield CopiedFile(index, rows, tuple(rejected))
                self.execute(copy_sql.DROP_LANDING)

    def at_most(self, limit: int, sql: str) -> str:
        # The order of a subquery is nobody's promise.
        if _SORTS.search(sql):
            return sql
        return f"SELECT * FROM (\n{sql}\n) AS found LIMIT {limit}"

    def result(self, sql: str, limit: int | None) -> "tuple[Sequence[Column], Iterator[Page]]":
        # The first row of a cursor makes the leader node write all of them down.
        if limit is not None and SELECTS.match(sql):
            sql = self.at_most(limit, sql)
        return super().result(sql, limit)

    def analyze(self, table: str, written: int) -> None:
        # Only the owner may; for others Redshift's own analysis, minutes later, has to do.
        mine = (
            "SELECT 1 FROM pg_tables WHERE schemaname = :schema AND tablename = :table"
            " AND tableowner = CURRENT_USER"
        )
        if self.fetch(mine, {"schema": self._warehouse.schema, "table": table}):
            super().analyze(table, written)

    def _copy(
        self,
        table: str,
        columns: Sequence[str],
        json_as: str,
        manifest: str,
        max_errors: int,
        *,
        packed: str,
        jsonpaths: str | None = None,
    ) -> None:
        role = self._warehouse.role
        by_default = role == "default"
        values: dict[str, Value] = {
            "manifest": manifest,
            "region": self._warehouse.region,
            "max_errors": max_errors,
            "jsonpaths": jsonpaths,
            "role": role,
        }
        statement = copy_sql.copy_statement(
            table,
            columns,
            json_as=json_as,
            packed=packed,
            role="default" if by_default else ":role",
        )
        self.execute(statement, values)


def _is_no_file_of_lines(lake: Lake, key: str) -> bool:
    """Whether a file in which COPY passed over lines has no lines: our reading says what it is."""
    with closing(lake.read([file for file in lake.list() if file.key == key])) as chunks:
        return any(chunk.error for chunk in islice(chunks, 1))


class _ScratchIntake(Intake):
    """Batches as gzip-compressed JSON lines by column name, each an object of its own."""

    def __init__(self, scratch: Scratch, table: Table, files: Sequence[StagedFile]) -> None:
        self.urls: list[str] = []
        self._scratch, self._table, self._files = scratch, table, files

    def encode(self, rows: "pa.Table") -> object:
        lines = []
        for row in staged_rows(self._table, rows, self._files).to_pylist():
            present = {name: value for name, value in row.items() if value is not None}
            lines.append(json.dumps(present, ensure_ascii=False, default=str))
        return gzip.compress("\n".join(lines).encode(), compresslevel=1, mtime=0) if lines else b""

    def append(self, encoded: object) -> None:
        if isinstance(encoded, bytes) and encoded:
            name = f"{self._table.name}-{len(self.urls):05d}.json.gz"
            self.urls.append(self._scratch.put(name, encoded))


class RedshiftWarehouse(ServerWarehouse):
    """A schema of a Redshift database, provisioned or serverless; see `Warehouse`."""

    engine = "redshift"
    product = "Redshift"
    # Files are Redshift SQL; keys are declared for its planner and proven by the audits.
    dialect = Dialect(as_written=True)
    # It has no CURRENT_TIMESTAMP that it commends; GETDATE() is in UTC.
    clock = "SELECT EXTRACT(EPOCH FROM GETDATE())"
    # COPY lands in a temporary table. Roles own nothing: DROP and ALTER are privileges there.
    roles = RoleDialect("ROLE ", "SELECT role_name FROM svv_roles", temporary=True, owning=False)
    declares_keys = True
    reads_s3 = True
    unanswered = (
        "Let this machine's address into the security group of the warehouse ([DWH]"
        " ALLOWED_CIDR), run inside its VPC, or resume it if it is paused."
    )
    queue_ddl = f"CREATE TABLE IF NOT EXISTS {_QUEUE} (turn INTEGER)"
    # The server's own: SNAPSHOT on new clusters, SERIALIZABLE on old ones. Writers are alone in
    # their schema, and a conflict with somebody else (1023) makes the whole transaction again.
    isolation = None
    reading = None

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.role = settings.iam_role_arn or "default"
        self.reads_logs = settings.load.redshift_reads_logs
        self._s3 = settings.s3

    def session(self, connection: "Connection", notify: Notify = silent) -> ServerSession:
        return RedshiftSession(connection, self, notify)

    def settings_of_a_connection(self, run_id: str) -> Sequence[str]:
        group = "".join(c for c in run_id if c.isalnum() or c in "-_") or "query"
        return (
            f"SET search_path TO {self.schema}, {self.state_schema}",
            f"SET query_group TO 'sparkify {group}'",
            # GETDATE() is in the session's zone, which a user may have set; the system's views
            # are in UTC.
            "SET timezone TO 'UTC'",
            f"SET statement_timeout TO {self.cluster.statement_timeout * 1000}",
            # Numbers come as text: with all the digits that they have.
            "SET extra_float_digits TO 2",
        )

    def prepare_turn(self, session: Session) -> None:
        found = session.fetch(
            "SELECT 1 FROM information_schema.tables"
            " WHERE table_schema = :schema AND table_name = :name",
            {"schema": self.state_schema, "name": _QUEUE},
        )
        if not found:
            session.execute(in_schema(self.queue_ddl, self.state_schema))

    def take_turn(self, session: ServerSession, notify: Notify) -> None:
        # The first statement of the transaction: what it sees later is what was committed before
        # its turn came. LOCK cannot be asked whether it would wait, so it is given a moment first.
        patience = self.cluster.lock_timeout
        if not self._lock(session, min(_A_MOMENT, patience)):
            notify(f"waiting for another run, which is writing to {self.location}")
            session.give_up()
            if not self._lock(session, patience):
                raise WarehouseBusyError(
                    f"{self.location}: another run has been writing for {patience} seconds. Wait "
                    "for it or end it, or raise [CLUSTER] LOCK_TIMEOUT."
                )
        session.execute(f"SET statement_timeout TO {self.cluster.statement_timeout * 1000}")

    def _lock(self, session: Session, seconds: int) -> bool:
        """Whether the queue was locked within this time; if not, the transaction is lost."""
        session.execute(f"SET statement_timeout TO {seconds * 1000}")
        try:
            session.execute(f"LOCK TABLE {self.state_schema}.{_QUEUE}")
        except WarehouseError as error:
            if getattr(error.__cause__, "pgcode", None) != "57014":
                raise
            return False
        return True

    def erase(self, tables: Sequence[str]) -> str:
        del tables
        return (
            "Redshift clears the rows from before away by itself, when it is less busy; the owner"
            " of the tables can do it at once by VACUUM DELETE ONLY."
        )

    @contextmanager
    def look(self) -> Iterator[Session]:
        """A transaction of its own beside the one that writes, to see what the system tells."""
        with self._connected("", read_only=True) as connection:
            yield self._begin(connection)

    @contextmanager
    def scratch(self, notify: Notify = silent) -> Iterator[Scratch]:
        """A folder for what Redshift is to read; it is emptied in the end, or that is reported."""
        s3 = self._s3
        if s3.scratch is None:
            raise WarehouseError("[S3] SCRATCH is missing: Redshift copies from there.")
        scratch = Scratch(s3.scratch, region=s3.region, endpoint_url=s3.endpoint_url)
        patience = PATIENCE
        try:
            yield scratch
        except BaseException as error:
            if not isinstance(error, Exception | GeneratorExit):
                patience = 1  # an interruption: S3 may be what did not answer
            raise
        finally:
            scratch.clear(notify, patience)

    def jsonpaths(self, source: Source, rules: LineRules, scratch: Scratch) -> str:
        """The address of the source's JSONPaths: the configured file, checked; else one we write.

        Raises:
            WarehouseError: if the configured file means other columns, or another order.
        """
        given = self._s3.log_jsonpath if source.setting == "LOG_DATA" else None
        if given is None:
            return scratch.put("jsonpaths.json", copy_sql.jsonpaths(rules).encode())
        try:
            content = read_file(given, region=self.region, endpoint_url=self._s3.endpoint_url)
        except LakeError as error:
            raise LakeError(
                f"[S3] LOG_JSONPATH: {error}. Name the file, or leave it empty: then each load"
                " writes its own."
            ) from None
        copy_sql.check_jsonpaths(content, rules, f"[S3] LOG_JSONPATH {given}")
        return given if given.startswith("s3://") else scratch.put("jsonpaths.json", content)
