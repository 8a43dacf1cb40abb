"""What an engine gives the platform: transactions over SQL text, and fast ways in for rows.

One module per engine implements this; loading, transforms and audits use nothing else. Statements
come from the `.sql` files as they are, with values bound by name (`:name`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.tables import Table
from sparkify_dagster.warehouse.reports import Rows, Value

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Notify = Callable[[str], None]


class WarehouseError(SparkifyError):
    """The warehouse cannot be used, or refused a statement for a reason the user can act on."""


class WarehouseBusyError(WarehouseError):
    """Another process held the warehouse for longer than the configured time."""


@dataclass(frozen=True)
class StagedFile:
    """A file while it is being staged: its key, and the day that its rows carry."""

    key: str
    day: date | None


class Session(ABC):
    """A transaction, or a read of one consistent state. Not to be shared between threads."""

    @abstractmethod
    def execute(self, sql: str, params: Mapping[str, Value] | None = None) -> int:
        """Run one statement and return the number of rows it wrote (0 where none)."""

    @abstractmethod
    def rows(
        self, sql: str, params: Mapping[str, Value] | None = None, *, limit: int | None = None
    ) -> Rows:
        """The result of a query with its column names, at most `limit` rows of it."""

    @abstractmethod
    def frame(self, sql: str) -> "pd.DataFrame":
        """The result of a query as a DataFrame."""

    @abstractmethod
    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> None:
        """Append rows; fast for tens of thousands."""

    @abstractmethod
    def stage(self, table: Table, rows: "pa.Table", files: Sequence[StagedFile]) -> int:
        """Append parsed rows (see `parsing.Parsed`) with the key and the day of their files."""

    def fetch(
        self, sql: str, params: Mapping[str, Value] | None = None
    ) -> tuple[tuple[Value, ...], ...]:
        """The rows of a query."""
        return self.rows(sql, params).rows

    def count(self, sql: str, params: Mapping[str, Value] | None = None) -> int:
        """The whole number that a query of one row and one column gives."""
        return int(str(self.fetch(sql, params)[0][0]))


class Warehouse(ABC):
    """An engine with its location: opens sessions, waits its turn, and closes what it opened."""

    engine: str
    schema: str

    @property
    def state_schema(self) -> str:
        """Where the platform's own bookkeeping lives, out of the analysts' sight."""
        return f"{self.schema}_state"

    @abstractmethod
    def write(self, notify: Notify) -> AbstractContextManager[Session]:
        """One transaction: committed at the end of the block, rolled back by any exception.

        Raises:
            WarehouseBusyError: if others kept the warehouse for longer than configured.
        """

    @abstractmethod
    def read(self, notify: Notify) -> AbstractContextManager[Session]:
        """A read-only session. Raises WarehouseError if there is no warehouse yet."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is anything to read yet."""
