"""Loading: new and changed files of one source become rows of its staging table.

One transaction holds the rows, the quarantine, the ledger, what is held back, and what derived
tables have to do. What a line must be is decided in parsing, which files are read in the ledger;
the days that cannot be loaded are found in `held_back`.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeVar

from sparkify_dagster.catalogue.line_rules import LineRules
from sparkify_dagster.engines.base import CopyRefusedError, Session, StagedFile
from sparkify_dagster.lake import ChangedError, Lake, LakeFile
from sparkify_dagster.settings.sources import Source
from sparkify_dagster.warehouse.load import ledger
from sparkify_dagster.warehouse.load.held_back import Tally, days_to_hold_back
from sparkify_dagster.warehouse.load.lines import LineBatch, line_batches
from sparkify_dagster.warehouse.load.parsing import Parsed, Rejected, parse
from sparkify_dagster.warehouse.privacy.personal import emptying, shown_line, without_forgotten
from sparkify_dagster.warehouse.refresh.apply_transforms import Dependents
from sparkify_dagster.warehouse.reports import FileReport, HeldBack

READINGS = 3
"""How often a file that changes while it is read is read, before its day is held back."""
# Batches that are parsed at once: the engine never waits for a slow one, and few are in memory.
_PARSERS = 2
_T = TypeVar("_T")
_U = TypeVar("_U")


class StartAgain(Exception):
    """The transaction has to be done once more, from its start: it cannot be mended from inside.

    Without the files `held`, whose day had rows before, which are deleted by now; or, if the
    warehouse refused to copy a file itself, by our own reading, which names what is wrong.
    """

    def __init__(self, reason: str, held: Sequence[HeldBack], *, copy: bool) -> None:
        super().__init__(reason)
        self.held = tuple(held)
        self.copy = copy


@dataclass
class Loaded:
    """What a load did, before it is committed."""

    reports: list[tuple[LakeFile, FileReport]] = field(default_factory=list)
    held: tuple[HeldBack, ...] = ()
    newer: dict[str, LakeFile] = field(default_factory=dict)
    """Files that changed meanwhile, by their key, in the version that was read in the end."""
    unknown_keys: Counter[str] = field(default_factory=Counter)
    removed: int = 0


@dataclass(frozen=True)
class Order:
    """What one load is to do: what to read from where, and by which rules."""

    lake: Lake
    source: Source
    rules: LineRules
    plan: ledger.LoadPlan
    versions: Mapping[str, ledger.Version]
    run_id: str
    max_reject_ratio: float
    forgotten: frozenset[int] = frozenset()
    """The users whose personal data is left out."""
    listed: frozenset[str] = frozenset()
    """The keys of all files of the lake."""
    held: tuple[HeldBack, ...] = ()
    """Files that an attempt before this one found in the way of their days, and those that wait."""
    copy: bool = True
    """Whether the warehouse may read files itself."""


class Loading:
    """The load of one source inside one transaction: `run` does it, once."""

    def __init__(self, session: Session, order: Order, dependents: Dependents) -> None:
        self._session = session
        self._order = order
        self._dependents = dependents
        self._table = order.rules.table
        waiting = {held.key for held in order.held}
        self._files = [file for file in order.plan.to_read if file.key not in waiting]
        # Their rows of before are deleted first.
        self._replaced = {file.key for file in (*order.plan.changed, *order.plan.repeated)}
        self._newer: dict[str, LakeFile] = {}
        self._tally = Tally()
        self._places: list[StagedFile] = []

    def run(self) -> Loaded:
        """Read the plan's files and put their rows in place of those of their earlier versions.

        A day with a file that cannot be read whole, or with too many bad lines, keeps the rows
        that it had; so does, of a source without days, the file alone.

        Raises:
            StartAgain: if only another transaction can do it.
            LakeError: if the lake as a whole does not answer.
        """
        order, session = self._order, self._session
        self._open(self._files)
        loaded = Loaded()
        if self._replaced.intersection(file.key for file in self._files):
            self._dependents.note()
            loaded.removed = self._remove_rows()
        if order.copy:
            self._copy()
        self._stage([file for file in self._files if file.key not in self._tally.files])
        self._read_changed_again()
        loaded.newer = self._newer
        loaded.held = order.held + self._hold_back()
        self._dependents.note()
        for file in self._files:
            tally = self._tally.files[file.key]
            day = order.source.day_of(file.key)
            report = FileReport(
                file.key, day, file.size, tally.lines, tally.lines - tally.rejects, tally.rejects
            )
            loaded.reports.append((file, report))
            loaded.unknown_keys.update(tally.unknown)
        self._write_unknown_keys()
        ledger.write_ledger(session, self._table.name, loaded.reports, order.versions, order.run_id)
        untried = order.listed.difference(file.key for file in order.plan.to_read)
        ledger.write_held_back(session, self._table.name, loaded.held, untried)
        session.analyze(self._table.name, sum(report.rows for _, report in loaded.reports))
        return loaded

    def _open(self, files: Sequence[LakeFile]) -> None:
        """Say which files the transaction is about."""
        self._places = [StagedFile(file.key, self._order.source.day_of(file.key)) for file in files]
        ledger.open_loading(self._session, self._table.name, files, self._places)

    def _remove_rows(self) -> int:
        """Remove what there is of the files that the transaction is about."""
        days = "log_date IN (SELECT day FROM loading) AND " if self._order.source.dated else ""
        removed = self._session.execute(
            f"DELETE FROM {self._table.name} WHERE {days}source_file IN (SELECT key FROM loading)"
        )
        for name in ("forget rejects", "forget unknown keys"):
            self._session.execute(ledger.statement(name), {"table_name": self._table.name})
        return removed

    def _hold_back(self) -> tuple[HeldBack, ...]:
        """Take out again what is of days that cannot be loaded."""
        order = self._order
        held = days_to_hold_back(
            self._session, order.source, self._files, self._tally, order.max_reject_ratio
        )
        if not held:
            return ()
        keys = {one.key for one in held}
        if keys.intersection(self._replaced):
            causes = [str(one) for one in held if not one.waits]
            raise StartAgain("; ".join(causes), order.held + held, copy=order.copy)
        self._take_out([file for file in self._files if file.key in keys])
        self._files = [file for file in self._files if file.key not in keys]
        self._open(self._files)
        return held

    def _take_out(self, files: Sequence[LakeFile]) -> None:
        """Remove the rows that were staged of some files, and what was counted of them."""
        self._open(files)
        self._remove_rows()
        for file in files:
            self._tally.files.pop(file.key, None)

    def _copy(self) -> None:
        """Have the warehouse read what it can, and see that it read the versions that were listed.

        Raises:
            StartAgain: if the warehouse cannot read one of them, or read another version.
        """
        order = self._order
        copying = self._session.copy(
            order.source, order.rules, order.lake, self._places, order.max_reject_ratio
        )
        try:
            with closing(copying):  # whatever happens, what it wrote for the warehouse is cleared
                for copied in copying:
                    tally = self._tally.of(self._places[copied.index].key)
                    tally.lines = copied.rows + len(copied.rejected)
                    rejected = [Rejected(copied.index, n, why, None) for n, why in copied.rejected]
                    self._quarantine(rejected)
        except CopyRefusedError as error:
            raise StartAgain(str(error), order.held, copy=False) from None
        if not self._tally.files:
            return
        self._empty_copied()
        now = {file.key: file.etag for file in order.lake.list()}
        for file in self._files:
            if file.key in self._tally.files and now.get(file.key) != file.etag:
                self._tally.files[file.key].error = ChangedError(order.lake.url(file.key))

    def _empty_copied(self) -> None:
        """What the warehouse read itself has the personal data of forgotten users in it."""
        if not self._order.forgotten or not self._table.personal:
            return
        dated = self._order.source.dated
        days = "\n  AND log_date IN (SELECT day FROM loading)" if dated else ""
        self._session.execute(
            f"{emptying(self._table, 'SELECT user_id FROM forgotten_users')}{days}"
            "\n  AND source_file IN (SELECT key FROM loading)"
        )

    def _read_changed_again(self) -> None:
        """Read files that changed while they were read in the version that they have now."""
        for _ in range(READINGS - 1):
            changed = [
                file
                for file in self._files
                if isinstance(self._tally.files[file.key].error, ChangedError)
            ]
            if not changed:
                return
            now = {file.key: file for file in self._order.lake.list()}
            again = {file.key: now[file.key] for file in changed if file.key in now}
            if not again:  # they vanished, which is no cause to read them again
                return
            errors = {file.key: self._tally.files[file.key] for file in changed}
            self._take_out(changed)
            self._tally.files |= {key: errors[key] for key in errors.keys() - again.keys()}
            self._newer |= again
            self._files = [again.get(file.key, file) for file in self._files]
            self._open(self._files)
            self._stage(list(again.values()))

    def _stage(self, files: Sequence[LakeFile]) -> None:
        """Read and parse files here, and hand the rows to the warehouse."""
        if not files:
            return
        order = self._order
        places = {place.key: place for place in self._places}
        staged = [places[file.key] for file in files]
        days = [place.day for place in staged]
        for file in files:
            self._tally.of(file.key)

        def parsed(batch: LineBatch) -> tuple[LineBatch, Parsed, object]:
            lines = parse(order.rules, batch, days)
            rows = without_forgotten(self._table, lines.rows, order.forgotten)
            return batch, lines, intake.encode(rows)

        # Closed from the last to the first: what the threads wait for, then these.
        with (
            self._session.staging(self._table, staged) as intake,
            ThreadPoolExecutor(1, thread_name_prefix="lines") as cutter,
            ThreadPoolExecutor(_PARSERS, thread_name_prefix="parsing") as parsers,
            closing(order.lake.read(files)) as chunks,
        ):
            cut = _ahead(cutter, line_batches(chunks, files))
            for batch, lines, encoded in _mapped(parsers, parsed, cut):
                intake.append(encoded)
                self._quarantine(lines.rejected, staged)
                for index, number in batch.counts.items():
                    self._tally.of(staged[index].key).lines += number
                for (index, key), number in lines.unknown_keys.items():
                    self._tally.of(staged[index].key).unknown[key] += number
                for index, error in batch.broken.items():
                    self._tally.of(staged[index].key).error = error

    def _quarantine(
        self, rejected: Sequence[Rejected], places: Sequence[StagedFile] | None = None
    ) -> None:
        """Put lines away at once: a file of nothing but bad lines must not fill the memory."""
        places = self._places if places is None else places
        forgotten = self._order.forgotten
        self._session.insert(
            "load_rejects",
            ("table_name", "key", "line", "reason", "raw_line"),
            [
                (
                    self._table.name, places[r.file].key, r.line, r.reason,
                    shown_line(self._table, r.raw, forgotten),
                )
                for r in rejected
            ],
        )  # fmt: skip
        for line in rejected:
            self._tally.of(places[line.file].key).reject(line.line, line.reason)

    def _write_unknown_keys(self) -> None:
        name = self._table.name
        unknown = [
            (name, file.key, key, lines)
            for file in self._files
            for key, lines in self._tally.files[file.key].unknown.items()
        ]
        self._session.insert("unknown_keys", ("table_name", "key", "json_key", "lines"), unknown)


def _ahead(pool: ThreadPoolExecutor, items: Iterator[_T]) -> Iterator[_T]:
    """The same items, the next one made ready while this one is worked on."""
    coming = pool.submit(next, items, None)
    while (item := coming.result()) is not None:
        coming = pool.submit(next, items, None)
        yield item


def _mapped(
    pool: ThreadPoolExecutor, work: Callable[[_T], _U], items: Iterator[_T]
) -> Iterator[_U]:
    """What becomes of the items, in their order, made while the engine works on those before."""
    coming: deque[Future[_U]] = deque()
    for item in items:
        coming.append(pool.submit(work, item))
        if len(coming) > _PARSERS:
            yield coming.popleft().result()
    while coming:
        yield coming.popleft().result()
