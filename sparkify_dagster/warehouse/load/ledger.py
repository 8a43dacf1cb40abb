"""The ledger of files, and what it says a load has to do.

The ledger keeps every version of every file that was loaded; the version loaded last is current.
Comparing it with a listing of the lake is all that decides what is read.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple, cast

from sparkify_dagster.catalogue.sql_files import SQL_FOLDER, read_script
from sparkify_dagster.engines.base import Session, StagedFile
from sparkify_dagster.lake import LakeFile
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.settings.sources import Source
from sparkify_dagster.warehouse.reports import FileReport, HeldBack

_SCRIPT = read_script(SQL_FOLDER / "ledger.sql")
_COLUMNS = (
    "table_name", "key", "etag", "size", "last_modified", "day",
    "lines", "rows", "rejects", "loaded_at", "run_id",
)  # fmt: skip


def statement(name: str) -> str:
    """One of the named statements of `sql/ledger.sql`."""
    return _SCRIPT.statements[name]


def state_ddl() -> tuple[str, ...]:
    """The statements that make the bookkeeping tables, safe to repeat."""
    return tuple(s for name, s in _SCRIPT.statements.items() if name.startswith("create "))


class Version(NamedTuple):
    """The current version of a file in the ledger; a tuple, because there are many."""

    etag: str
    day: date | None
    loaded_at: datetime


@dataclass(frozen=True)
class LoadPlan:
    """What a load of one source has to do, and what it passes over."""

    new: tuple[LakeFile, ...]
    changed: tuple[LakeFile, ...]
    repeated: tuple[LakeFile, ...]
    unchanged: int
    gone: tuple[str, ...]
    strange: tuple[str, ...]
    outside: tuple[str, ...]

    @property
    def to_read(self) -> tuple[LakeFile, ...]:
        """All files to read, in the order of their keys."""
        return tuple(sorted((*self.new, *self.changed, *self.repeated), key=lambda f: f.key))


def current_versions(session: Session, table: str) -> dict[str, Version]:
    """The current version of every file that was ever loaded into a table, by key."""
    rows = session.fetch(statement("current files"), {"table_name": table})
    # The columns' types say so; looking at each of 100,000 values takes longer than reading them.
    typed = cast("tuple[tuple[str, str, date | None, datetime], ...]", rows)
    return {key: Version(etag, day, loaded_at) for key, etag, day, loaded_at in typed}


def current_etags(session: Session, table: str) -> dict[str, str]:
    """The etag of every file's current version, by key; three times as fast as the versions."""
    pairs = session.fetch(statement("current etags"), {"table_name": table})
    return dict(cast("tuple[tuple[str, str], ...]", pairs))


def plan_load(
    source: Source,
    listing: Sequence[LakeFile],
    versions: Mapping[str, Version],
    *,
    days: DayRange | None,
    partitions: DayRange,
    reload: bool,
) -> LoadPlan:
    """Compare a listing with the ledger.

    `days` restricts a dated source to a range; `reload` asks for unchanged files as well.
    Files outside `partitions` have no day in the platform and are only reported.
    """
    new, changed, repeated, strange, outside = [], [], [], [], []
    unchanged = 0
    for file in listing:
        version = versions.get(file.key)
        is_read = version is None or version.etag != file.etag or reload
        day = version.day if version else source.day_of(file.key)
        if is_read and not source.owns(file.key):
            strange.append(file.key)  # also one that was loaded when names were read otherwise
        elif day is not None and not partitions.holds(day):
            outside.append(file.key)
        elif not _within(day, days):
            continue
        elif version is None:
            new.append(file)
        elif version.etag != file.etag:
            changed.append(file)
        elif reload:
            repeated.append(file)
        else:
            unchanged += 1
    present = {file.key for file in listing}
    gone = sorted(key for key, v in versions.items() if key not in present and _within(v.day, days))
    return LoadPlan(
        tuple(new), tuple(changed), tuple(repeated), unchanged,
        tuple(gone), tuple(strange), tuple(outside),
    )  # fmt: skip


def open_loading(
    session: Session, table: str, files: Sequence[LakeFile], staged: Sequence[StagedFile]
) -> None:
    """Say, inside the transaction, which files it loads."""
    session.execute(statement("clear loading"))
    rows = [(table, f.key, f.etag, s.day) for f, s in zip(files, staged, strict=True)]
    session.insert("loading", ("table_name", "key", "etag", "day"), rows)
    session.analyze_keys("loading")


def write_ledger(
    session: Session,
    table: str,
    files: Sequence[tuple[LakeFile, FileReport]],
    versions: Mapping[str, Version],
    run_id: str,
) -> None:
    """Make these versions current."""
    session.execute(statement("forget versions"), {"table_name": table})
    # Later than every earlier version, also when the clock was set back in between.
    earlier = (version.loaded_at + timedelta(microseconds=1) for version in versions.values())
    now = max([datetime.now(UTC).replace(tzinfo=None), *earlier])
    rows = [
        (
            table, file.key, file.etag, file.size,
            file.last_modified.astimezone(UTC).replace(tzinfo=None), report.day,
            report.lines, report.rows, report.rejects, now, run_id,
        )
        for file, report in files
    ]  # fmt: skip
    session.insert("load_files", _COLUMNS, rows)


def held_back(session: Session, table: str) -> tuple[HeldBack, ...]:
    """The files of a source that are held back, in the versions in which they were tried."""
    rows = session.fetch(statement("held back"), {"table_name": table})
    return tuple(HeldBack(*row) for row in cast("tuple[tuple[Any, ...], ...]", rows))


def write_held_back(
    session: Session, table: str, held: Sequence[HeldBack], untried: Collection[str]
) -> None:
    """Note what is held back now; of the files that were not tried, what was noted before."""
    before = held_back(session, table)
    now = [*(one for one in before if one.key in untried), *held]
    if not before and not now:
        return
    session.execute(statement("forget held back"), {"table_name": table})
    rows = [(table, h.key, h.etag, h.day, h.cause, h.cure) for h in now]
    columns = ("table_name", "key", "etag", "day", "cause", "cure")
    session.insert("held_back", columns, rows)


def days_held_back(session: Session) -> frozenset[date]:
    """The days that any source holds back."""
    return frozenset(cast("date", day) for (day,) in session.fetch(statement("days held back")))


def built_versions(session: Session) -> dict[str, str]:
    """The derived tables that were built, each with the version of the text that built it."""
    return {str(name): str(text) for name, text in session.fetch(statement("built tables"))}


def mark_stale(session: Session, tables: Iterable[str]) -> None:
    """Note that the sources of these derived tables changed."""
    for table in tables:
        session.execute(statement("mark stale"), {"table_name": table})


def _within(day: date | None, days: DayRange | None) -> bool:
    return day is None or days is None or days.holds(day)
