"""Makes the rows of derived tables by their transforms, and notes what has to be made again.

Everything here happens inside a transaction of the caller. What a transform says is in
`catalogue.transforms`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sparkify_dagster.catalogue.sql_files import incremental, whole
from sparkify_dagster.catalogue.transforms import VERBS, Transform
from sparkify_dagster.engines.base import Session
from sparkify_dagster.warehouse.load import ledger


class Dependents:
    """Tells derived tables what changes in one of their sources, inside its transaction."""

    def __init__(
        self, session: Session, transforms: Iterable[Transform], source: str, built: Iterable[str]
    ) -> None:
        self._session = session
        self._source = source
        self._all = [t for t in transforms if source in t.reads]
        self._built = [t for t in self._all if t.table.name in built]

    def note(self) -> None:
        """Note the keys of the source's present rows; call before and after they change."""
        for transform in self._built:
            if statement := transform.changed_by(self._source):
                self._session.execute(statement)

    def mark_stale(self) -> None:
        ledger.mark_stale(self._session, (t.table.name for t in self._all))

    def forget(self) -> None:
        """Have them rebuilt in full: the source changed altogether.

        What has no keys to note is rebuilt in full anyway, once it is stale.
        """
        for transform in self._all:
            if transform.key is None:
                continue
            self._session.execute(
                ledger.statement("forget built"), {"table_name": transform.table.name}
            )


@dataclass(frozen=True)
class Written:
    """What making a table wrote."""

    full: bool
    added: int
    removed: int


def apply(session: Session, transform: Transform, *, full: bool) -> Written:
    """Make the table's rows: all of them, or those of the pending keys."""
    counts = dict.fromkeys(VERBS, 0)
    everything = full or transform.key is None
    statements = list(transform.statements)
    if "delete" not in transform.script.statements:
        statements.insert(0, f"DELETE FROM {transform.table.name}")
    for statement in statements:
        sql = whole(statement) if everything else incremental(statement)
        if sql:
            counts[sql.split(maxsplit=1)[0].upper()] += session.execute(sql)
    return Written(everything, counts["INSERT"], counts["DELETE"])


def add_pending_days(session: Session, transform: Transform, days: Sequence[date]) -> None:
    """Ask for days by name, whether they changed or not."""
    session.insert(transform.pending, ("log_date",), [(day,) for day in days])


def pending_days(session: Session, transform: Transform) -> list[date]:
    """The days of a daily table that are about to be rebuilt."""
    rows = session.fetch(f"SELECT DISTINCT log_date FROM {transform.pending} ORDER BY log_date")
    return [day for (day,) in rows if isinstance(day, date)]


def note_done(session: Session, transform: Transform, code_version: str) -> None:
    """Nothing is pending any more, and the table stands as this version of its text makes it."""
    name = {"table_name": transform.table.name}
    if transform.key:
        session.execute(f"DELETE FROM {transform.pending}")
    session.execute(ledger.statement("clear stale"), name)
    session.execute(ledger.statement("forget built"), name)
    session.execute(
        ledger.statement("note built"),
        {
            **name,
            "code_version": code_version,
            "refreshed_at": datetime.now(UTC).replace(tzinfo=None),
        },
    )
