"""Forgetting a user: everything that says who they are goes, in one transaction, and stays away.

Rows, ids, songs and times stay, so that every count does; only `(personal)` columns are emptied.
The id is noted, and every later load leaves their data out: which values, is said in personal.py.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sparkify_dagster.catalogue.tables import Table
from sparkify_dagster.engines.base import (
    Notify,
    Session,
    TransientError,
    WarehouseBusyError,
    WarehouseError,
    silent,
)
from sparkify_dagster.engines.rows import Value
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.warehouse.admin.create_tables import FORGOTTEN, look, prepare
from sparkify_dagster.warehouse.checks.run_checks import AuditFailedError, audit
from sparkify_dagster.warehouse.load import ledger
from sparkify_dagster.warehouse.platform import Platform
from sparkify_dagster.warehouse.privacy.personal import (
    emptying,
    forgotten_ids,
    holds_personal,
    shown_line,
)
from sparkify_dagster.warehouse.refresh.apply_transforms import Dependents
from sparkify_dagster.warehouse.refresh.refresh_table import Refresher, read_state

_REJECTS = ("table_name", "key", "line", "reason", "raw_line")


class ForgetError(SparkifyError):
    """Nobody was forgotten: the id is none, or a table would still hold their data."""


@dataclass(frozen=True)
class Forgotten:
    """A user whose personal data is left out."""

    user_id: int
    at: datetime
    """UTC."""
    run_id: str


@dataclass(frozen=True)
class Found:
    """What the warehouse holds of a user: rows with personal values by table, lake files by
    staging table, and when they were forgotten, if they were."""

    rows: Mapping[str, int]
    files: Mapping[str, tuple[str, ...]]
    before: Forgotten | None
    strangers: tuple[str, ...]
    """Tables and views in the schema that are not declared, into which nobody looks."""

    @property
    def known(self) -> bool:
        return any(self.files.values()) or any(self.rows.values())


@dataclass(frozen=True)
class ForgetReport:
    """One user forgotten, committed."""

    user_id: int
    found: Found
    hidden_lines: int
    """Quarantined lines whose text was taken away."""
    refreshed: Mapping[str, int]
    """The derived tables that were brought up to date, with their rows."""
    behind: str
    """Why some could not be; empty if all were. No personal column of them holds anything."""
    remains: str
    """What the engine may still keep out of sight of every query; empty if nothing."""
    seconds: float


def user_number(text: str) -> int:
    """The id of a user as it is given.

    Raises:
        ForgetError: if it is not a whole number, or one that no user can have.
    """
    try:
        number = int(text.strip())
    except ValueError:
        raise ForgetError(
            f"{text!r} is not the id of a user: give a whole number, such as 39."
        ) from None
    if not 0 <= number < 2**31:
        raise ForgetError(f"{number} is not the id of a user: these are 0 to {2**31 - 1}.")
    return number


def forgotten_users(platform: Platform, notify: Notify = silent) -> tuple[Forgotten, ...]:
    """Who was forgotten, the earliest first."""
    warehouse = platform.warehouse
    if not warehouse.exists():
        return ()
    with warehouse.read(notify) as session:
        return _noted(session) if FORGOTTEN in look(session, warehouse).state else ()


def find_user(platform: Platform, user_id: int, notify: Notify = silent) -> Found:
    """What the warehouse holds of a user; nothing is changed."""
    if not platform.warehouse.exists():
        return Found({}, {}, None, ())
    with platform.warehouse.read(notify) as session:
        return _find(session, platform, user_id)


def forget_user(
    platform: Platform, user_id: int, *, run_id: str, notify: Notify = silent
) -> ForgetReport:
    """Forget one user, and bring the derived tables up to date, in one transaction.

    Where data that has nothing to do with it keeps a derived table from being brought up to date,
    personal columns are emptied as they stand, and then what can be refreshed is, table by table.

    Raises:
        ForgetError, WarehouseError: nothing was changed.
    """
    started = time.monotonic()

    def attempt(*, refresh: bool) -> ForgetReport:
        def work(session: Session) -> ForgetReport:
            prepare(session, platform.warehouse, platform.catalogue)
            return _Forgetting(session, platform, user_id, run_id).run(refresh=refresh)

        return platform.warehouse.transact(work, notify, run_id)

    try:
        report = attempt(refresh=True)
    except (WarehouseBusyError, TransientError):
        raise
    except (AuditFailedError, WarehouseError):
        report = attempt(refresh=False)
        refreshed, behind = _refresh_each(platform, run_id, notify)
        report = replace(report, refreshed=refreshed, behind=behind)
    try:
        remains = platform.warehouse.erase(["load_rejects", *report.found.rows])
    except WarehouseError as error:  # what is committed is done
        remains = f"What rows held before may still lie unseen in the warehouse: {error}"
    return replace(report, remains=remains, seconds=time.monotonic() - started)


def _refresh_each(platform: Platform, run_id: str, notify: Notify) -> tuple[dict[str, int], str]:
    """Bring the derived tables up to date, each for itself: their rows, and why some could not."""
    refreshed, behind = {}, []
    for table in platform.catalogue.transforms:
        try:
            refreshed[table] = platform.refresh(table, run_id=run_id, notify=notify).rows_total
        except SparkifyError as error:
            behind.append(str(error))
    return refreshed, " ".join(behind)


class _Forgetting:
    """The work of one transaction."""

    def __init__(self, session: Session, platform: Platform, user_id: int, run_id: str) -> None:
        self._session = session
        self._platform = platform
        self._catalogue = platform.catalogue
        self._user_id = user_id
        self._user: dict[str, Value] = {"user_id": user_id}
        self._run_id = run_id
        self._people = tuple(_tables_of_people(platform))

    def run(self, *, refresh: bool) -> ForgetReport:
        session = self._session
        found = _find(session, self._platform, self._user_id)
        if found.before is None:
            values: dict[str, Value] = {"forgotten_at": _now(), "run_id": self._run_id}
            session.execute(ledger.statement("note forgotten"), self._user | values)
        forgotten = forgotten_ids(session)
        sources = [t for t in self._people if t.name in self._catalogue.sources]
        hidden = sum(self._hide_lines(table, forgotten) for table in sources)
        for table in sources:
            if found.rows.get(table.name):
                self._empty_source(table, check=refresh)
        refreshed: Mapping[str, int] = {}
        if refresh and any(found.rows.values()):
            refreshed = dict(self._refresh())
        elif not refresh:
            self._empty_derived(found)
        self._see_that_nothing_is_left()
        return ForgetReport(self._user_id, found, hidden, refreshed, "", "", 0.0)

    def _hide_lines(self, table: Table, forgotten: frozenset[int]) -> int:
        """Take the text of lines that may be theirs out of the quarantine; how many they were."""
        session, name = self._session, {"table_name": table.name}
        kept = session.fetch(ledger.statement("texts in quarantine"), name)
        shown = [(*line, raw, shown_line(table, str(raw), forgotten)) for *line, raw in kept]
        hidden = sum(raw != text for *_, raw, text in shown)
        if hidden:
            # All of them, in a few statements: one by one would take hours on Redshift.
            session.execute(ledger.statement("clear texts in quarantine"), name)
            rows = [(table.name, *line, text) for *line, _, text in shown]
            session.insert("load_rejects", _REJECTS, rows)
        return hidden

    def _empty_source(self, table: Table, *, check: bool) -> None:
        """Empty the rows of one staging table, and tell derived tables as if they were loaded."""
        session, catalogue = self._session, self._catalogue
        built = read_state(session, catalogue).built
        dependents = Dependents(session, catalogue.transforms.values(), table.name, built)
        day = "log_date" if catalogue.sources[table.name].dated else "CAST(NULL AS DATE)"
        session.execute(ledger.statement("clear loading"))
        session.execute(
            "INSERT INTO loading (table_name, key, etag, day)\n"
            f"SELECT DISTINCT CAST(:table_name AS VARCHAR(127)), source_file, '-', {day}\n"
            f"FROM {table.name}\nWHERE {table.person} = :user_id\n  AND {holds_personal(table)}",
            self._user | {"table_name": table.name},
        )
        session.analyze_keys("loading")
        dependents.note()
        session.execute(emptying(table, ":user_id"), self._user)
        dependents.note()
        dependents.mark_stale()
        if check:
            checks = [
                check
                for check in catalogue.checks_of(table.name)
                if check.blocking and not self._platform.catalogue.compares_lake(check)
            ]
            audit(session, checks, changed_only=True)
        session.execute(ledger.statement("clear loading"))

    def _refresh(self) -> Iterator[tuple[str, int]]:
        """Every derived table that was made and is behind now, each after those that it reads."""
        session = self._session
        made = ledger.built_versions(session)
        refresher = Refresher(session, self._platform.warehouse, self._catalogue)
        for name in self._catalogue.transforms:
            behind = read_state(session, self._catalogue).is_behind(name)
            if behind and (name in made or session.fetch(f"SELECT 1 FROM {name} LIMIT 1")):
                yield name, refresher.refresh(name, force=None, full=False).rows_total

    def _empty_derived(self, found: Found) -> None:
        """Empty derived tables as they stand; what reads them is rebuilt in full when it can be."""
        session, transforms = self._session, self._catalogue.transforms
        for table in self._people:
            if table.name in transforms and found.rows.get(table.name):
                session.execute(emptying(table, ":user_id"), self._user)
                dependents = Dependents(session, transforms.values(), table.name, ())
                dependents.mark_stale()
                dependents.forget()

    def _see_that_nothing_is_left(self) -> None:
        standing = look(self._session, self._platform.warehouse).tables
        still = [
            table.name
            for table in self._people
            if not _has_columns(table, standing.get(table.name, ()))
            or _count(self._session, table, self._user_id)
        ]
        if still:
            raise ForgetError(
                f"{', '.join(still)} would still hold personal data of user {self._user_id}, so"
                " nothing was changed. Either what fills it takes the data from elsewhere than the"
                " rows of that user, or it is to be rebuilt with other columns and cannot be:"
                " `sparkify run` says why. Mend its SQL or the data, and run again."
            )


def _find(session: Session, platform: Platform, user_id: int) -> Found:
    standing = look(session, platform.warehouse)
    tables = [
        table
        for table in _tables_of_people(platform)
        if _has_columns(table, standing.tables.get(table.name, ()))
    ]
    noted = _noted(session) if FORGOTTEN in standing.state else ()
    declared = platform.catalogue.tables
    return Found(
        rows={table.name: _count(session, table, user_id) for table in tables},
        files={
            table.name: _files(session, table, user_id)
            for table in tables
            if table.name in platform.catalogue.sources
        },
        before=next((who for who in noted if who.user_id == user_id), None),
        strangers=tuple(name for name in standing.tables if name not in declared),
    )


def _tables_of_people(platform: Platform) -> Iterator[Table]:
    return (table for table in platform.catalogue.tables.values() if table.personal)


def _has_columns(table: Table, columns: Sequence[str]) -> bool:
    return {table.person, *table.personal} <= set(columns)


def _count(session: Session, table: Table, user_id: int) -> int:
    """The rows of a user that hold something personal."""
    query = f"SELECT COUNT(*) FROM {table.name} WHERE {table.person} = :user_id"
    return session.count(f"{query} AND {holds_personal(table)}", {"user_id": user_id})


def _files(session: Session, table: Table, user_id: int) -> tuple[str, ...]:
    query = (
        f"SELECT DISTINCT source_file FROM {table.name} WHERE {table.person} = :user_id ORDER BY 1"
    )
    return tuple(str(key) for (key,) in session.fetch(query, {"user_id": user_id}))


def _noted(session: Session) -> tuple[Forgotten, ...]:
    return tuple(
        Forgotten(int(str(user)), at, str(run_id))
        for user, at, run_id in session.fetch(ledger.statement("forgotten users"))
        if isinstance(at, datetime)
    )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
