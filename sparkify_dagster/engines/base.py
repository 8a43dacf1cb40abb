"""What an engine gives the platform: transactions over SQL text, and fast ways in for rows.

One module per engine implements this; loading, transforms and audits use nothing else. Statements
come from the `.sql` files as they are, with values bound by name (`:name`).
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sparkify_dagster.catalogue.line_rules import LineRules
from sparkify_dagster.catalogue.tables import Table
from sparkify_dagster.engines.ddl import Dialect
from sparkify_dagster.engines.results import Stream, plain, to_frame
from sparkify_dagster.engines.rows import Rows, Value
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.lake import Lake
from sparkify_dagster.settings.sources import Source

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Notify = Callable[[str], None]
_T = TypeVar("_T")
# A value's place in a statement: `:name`, but not the type of `x::date`.
PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)\b")
WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)


def silent(_: str) -> None:
    """Nobody listens."""


class WarehouseError(SparkifyError):
    """The warehouse cannot be used, or refused a statement for a reason the user can act on."""


class WarehouseBusyError(WarehouseError):
    """Another process held the warehouse for longer than the configured time."""


class CopyRefusedError(WarehouseError):
    """The warehouse cannot copy a file itself; the transaction is lost, and nothing was changed."""


class TransientError(WarehouseError):
    """The transaction is lost, but the same work may succeed in another.

    `restarting`: the server itself says that it comes or goes.
    """

    def __init__(self, message: str, *, at_connect: bool = False, restarting: bool = False) -> None:
        super().__init__(message)
        self.at_connect = at_connect
        self.restarting = restarting


@dataclass(frozen=True)
class StagedFile:
    """A file while it is being staged: its key, and the day that its rows carry."""

    key: str
    day: date | None


@dataclass(frozen=True)
class CopiedFile:
    """What became of the lines of a file that the warehouse read itself.

    `rejected` has the number of each line that is not a row, and why.
    """

    index: int
    rows: int
    rejected: tuple[tuple[int, str], ...]


class Intake(ABC):
    """How batches of parsed rows come into a staging table."""

    def encode(self, rows: "pa.Table") -> object:
        """Make a batch ready for `append`; in other threads, while those before are appended."""
        return rows

    @abstractmethod
    def append(self, encoded: object) -> None:
        """Take what `encode` made of a batch."""


class Session(ABC):
    """A transaction, or a read of one consistent state. Not to be shared between threads.

    An interruption (Ctrl-C) ends the statement under way and comes out as it is, such as
    KeyboardInterrupt; after it the session is of no more use.
    """

    @abstractmethod
    def execute(self, sql: str, params: Mapping[str, Value] | None = None) -> int:
        """Run one statement and return the number of rows it wrote (0 where none)."""

    @abstractmethod
    def rows(
        self, sql: str, params: Mapping[str, Value] | None = None, *, limit: int | None = None
    ) -> Rows:
        """The result of a query with its column names, at most `limit` rows of it."""

    @abstractmethod
    def stream(self, sql: str, *, limit: int | None = None) -> Stream:
        """The result of a query of any size, at most `limit` rows of it, in bounded memory."""

    @abstractmethod
    def arrow(self, sql: str, *, limit: int | None = None) -> "pa.RecordBatchReader":
        """The same as Arrow batches, in the engine's types; perhaps more than `limit` rows."""

    def exact_batches(self, sql: str, *, limit: int | None = None) -> "pa.RecordBatchReader | None":
        """The same as Arrow batches that say exactly what the rows of `stream` say.

        None, and nothing is run, where that is not sure of every column's type.
        """
        del sql, limit
        return None

    def reader(self, sql: str, *, limit: int | None = None) -> "pa.RecordBatchReader":
        """The same as Arrow batches, in types that mean the same on every engine (see `plain`)."""
        return plain(self.arrow(sql, limit=limit), limit)

    def frame(self, sql: str) -> "pd.DataFrame":
        """The result of a query as a DataFrame (see `to_frame`)."""
        return to_frame(self.reader(sql))

    @abstractmethod
    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> None:
        """Append rows; fast for tens of thousands."""

    @abstractmethod
    def staging(
        self, table: Table, files: Sequence[StagedFile]
    ) -> AbstractContextManager["Intake"]:
        """A way in for parsed rows (see `parsing.Parsed`), a batch at a time.

        At the end of the block they are in the table, with the key and the day of their files.
        """

    def copy(
        self,
        source: Source,
        rules: LineRules,
        lake: Lake,
        files: Sequence[StagedFile],
        max_reject_ratio: float,
    ) -> Generator[CopiedFile, None, None]:
        """Let the warehouse read files itself: what became of each, for those where that worked.

        Those that are left out are ours to read: all of them where an engine cannot do that, or
        where it does not pay; and a file with something in it that only the line rules can judge.

        Raises:
            CopyRefusedError: if the engine refused a file; the transaction is of no more use.
        """
        yield from ()

    def analyze(self, table: str, written: int) -> None:  # noqa: B027 - nothing is right for some
        """Let the planner know a table into which so many rows were written.

        Without it a planner believes in a few hundred rows, and may take minutes for seconds.
        """

    def analyze_keys(self, table: str) -> None:  # noqa: B027 - nothing is right for some
        """Let the planner know a table of few rows that says which part of large ones is meant."""

    def fetch(
        self, sql: str, params: Mapping[str, Value] | None = None
    ) -> tuple[tuple[Value, ...], ...]:
        """The rows of a query."""
        return self.rows(sql, params).rows

    def count(self, sql: str, params: Mapping[str, Value] | None = None) -> int:
        """The whole number that a query of one row and one column gives."""
        return int(str(self.fetch(sql, params)[0][0]))


@dataclass(frozen=True)
class RoleDialect:
    """How an engine speaks of roles."""

    to: str
    """What stands before a role's name in GRANT."""
    standing: str
    """The query for the roles that there are."""
    temporary: bool
    """Whether loading makes temporary tables."""
    owning: bool
    """Whether a role can own tables; otherwise it is granted what owners may do."""


class Warehouse(ABC):
    """An engine with its location: opens sessions, waits its turn, and closes what it opened."""

    engine: str
    schema: str
    dialect: Dialect
    """What its CREATE TABLE statements keep of a table file."""
    one_process: bool = False
    """Whether only one process at a time can use it, readers included."""
    queue_ddl: str | None = None
    """The CREATE TABLE of what writers queue at, where that is a table of the state schema;
    its name without a schema, as in the statements of the ledger."""
    declares_keys: bool = False
    """Whether its DDL declares foreign keys, which then stand in the way of a DROP."""
    roles: RoleDialect | None = None
    """None where who may read and write is not the engine's to say."""
    reads_s3: bool = False
    """Whether it reads files of S3 itself."""

    @property
    def file(self) -> Path | None:
        """The file of an embedded engine."""
        return None

    @property
    def state_schema(self) -> str:
        """Where the platform's own bookkeeping lives, out of the analysts' sight."""
        return f"{self.schema}_state"

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the tables are, for people: a file, or a server and database; never a secret."""

    @property
    @abstractmethod
    def database(self) -> str:
        """The name of the database, as a query could say it."""

    @property
    @abstractmethod
    def address(self) -> str:
        """The address of the database as a URI, without a user or a secret."""

    @abstractmethod
    def dependents(self, session: "Session", tables: Collection[str]) -> Iterable[tuple[str, str]]:
        """What depends on tables of the two schemas: pairs of full names, the table's first."""

    def estimated_rows(self, session: "Session") -> Mapping[str, str]:
        """Of tables that are too large to be counted, about how many rows they have, as text."""
        del session
        return {}

    @abstractmethod
    def write(self, notify: Notify, run_id: str = "") -> AbstractContextManager[Session]:
        """One transaction: committed at the end of the block, rolled back by any exception.

        Writers take turns; a reader sees what was committed before. Where the engine can show who
        is connected, it shows `run_id`.

        Raises:
            WarehouseBusyError: if others kept the warehouse for longer than configured.
        """

    def transact(self, work: Callable[[Session], _T], notify: Notify, run_id: str = "") -> _T:
        """Do `work` in one transaction; again, from its start, where an engine may lose one."""
        with self.write(notify, run_id) as session:
            return work(session)

    def stay_open(self) -> AbstractContextManager[None]:
        """Within the block, transactions may share what is slow to open, for two seconds at a time.

        Others who wait for the warehouse wait no longer than that, and for the work under way.
        """
        return nullcontext()

    def erase(self, tables: Sequence[str]) -> str:
        """Let go of what rows of these tables held before the last commit, where that is kept.

        What could not be let go, and what to do about it, is the text; empty if it is gone.
        """
        del tables
        return ""

    @abstractmethod
    def read(self, notify: Notify) -> AbstractContextManager[Session]:
        """A read-only session. Raises WarehouseError if there is no warehouse yet."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is anything to read yet."""
