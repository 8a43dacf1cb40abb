"""Loading: new and changed files of one source become rows of its staging table.

One transaction holds the rows, the quarantine, the ledger, what derived tables have to do, and
the audits. What a line must be is decided in parsing, which files are read in the ledger.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from sparkify_dagster.catalogue.line_rules import LineRules
from sparkify_dagster.engines.base import Session, StagedFile
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.lake import Lake, LakeFile, changed
from sparkify_dagster.settings.sources import Source
from sparkify_dagster.warehouse.load import ledger
from sparkify_dagster.warehouse.load.lines import LineBatch, line_batches
from sparkify_dagster.warehouse.load.parsing import Parsed, Rejected, parse
from sparkify_dagster.warehouse.privacy.personal import emptying, shown_line, without_forgotten
from sparkify_dagster.warehouse.refresh.apply_transforms import Dependents
from sparkify_dagster.warehouse.reports import FileReport

REASONS_TOLD = 3
# Batches that are parsed at once: the engine never waits for a slow one, and few are in memory.
_PARSERS = 2
_T = TypeVar("_T")
_U = TypeVar("_U")


class TooManyRejectsError(SparkifyError):
    """More lines of a day were rejected than the configured share; nothing was loaded."""


@dataclass
class Loaded:
    """What a load did, before it is committed."""

    reports: list[tuple[LakeFile, FileReport]] = field(default_factory=list)
    unknown_keys: Counter[str] = field(default_factory=Counter)
    removed: int = 0


@dataclass
class _Tally:
    """Counts of the files being read, by their key."""

    lines: Counter[str] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    told: dict[date | None, list[str]] = field(default_factory=dict)
    """The first reasons of each day."""
    unknown: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True)
class Load:
    """One load: what to read from where, and by which rules."""

    lake: Lake
    source: Source
    rules: LineRules
    plan: ledger.LoadPlan
    versions: Mapping[str, ledger.Version]
    run_id: str
    max_reject_ratio: float
    forgotten: frozenset[int] = frozenset()
    """The users whose personal data is left out."""


def load_files(session: Session, load: Load, dependents: Dependents) -> Loaded:
    """Read the plan's files and put their rows in place of those of their earlier versions.

    Raises:
        TooManyRejectsError: naming the day, the file and the first reasons.
        LakeError: if a file cannot be read whole.
    """
    source, files = load.source, load.plan.to_read
    staged = [StagedFile(file.key, source.day_of(file.key)) for file in files]
    ledger.open_loading(session, source.table, files, staged)
    loaded = Loaded()
    if load.plan.changed or load.plan.repeated:
        dependents.note()
        loaded.removed = _remove_rows(session, load)
    tally = _Tally()
    _copy(session, load, staged, tally)
    left = [i for i, file in enumerate(files) if file.key not in tally.lines]
    if left:
        _stage(session, load, [files[i] for i in left], [staged[i] for i in left], tally)
    dependents.note()
    for file, place in zip(files, staged, strict=True):
        lines, bad = tally.lines[file.key], tally.rejects[file.key]
        report = FileReport(file.key, place.day, file.size, lines, lines - bad, bad)
        loaded.reports.append((file, report))
    _refuse_too_many(session, load, loaded, tally)
    _write_unknown_keys(session, source, tally)
    ledger.write_ledger(session, source.table, loaded.reports, load.versions, load.run_id)
    session.analyze(source.table, sum(report.rows for _, report in loaded.reports))
    for (_, key), lines in tally.unknown.items():
        loaded.unknown_keys[key] += lines
    return loaded


def _remove_rows(session: Session, load: Load) -> int:
    source = load.source
    days = "log_date IN (SELECT day FROM loading) AND " if source.dated else ""
    removed = session.execute(
        f"DELETE FROM {source.table} WHERE {days}source_file IN (SELECT key FROM loading)"
    )
    for name in ("forget rejects", "forget unknown keys"):
        session.execute(ledger.statement(name), {"table_name": source.table})
    return removed


def _copy(session: Session, load: Load, staged: Sequence[StagedFile], tally: _Tally) -> None:
    """Have the warehouse read what it can, and see that it read the versions that were listed."""
    copying = session.copy(load.source, load.rules, load.lake, staged, load.max_reject_ratio)
    with closing(copying):  # whatever happens, what it wrote for the warehouse is cleared away
        for copied in copying:
            file = staged[copied.index]
            tally.lines[file.key] = copied.rows + len(copied.rejected)
            rejected = [Rejected(copied.index, line, why, None) for line, why in copied.rejected]
            _quarantine(session, load, staged, rejected, tally)
    if not tally.lines:
        return
    _empty_copied(session, load)
    now = {file.key: file.etag for file in load.lake.list()}
    for listed in load.plan.to_read:
        if listed.key in tally.lines and now.get(listed.key) != listed.etag:
            raise changed(load.lake.url(listed.key))


def _empty_copied(session: Session, load: Load) -> None:
    """What the warehouse read itself has the personal data of forgotten users in it."""
    table = load.rules.table
    if not load.forgotten or not table.personal:
        return
    days = "\n  AND log_date IN (SELECT day FROM loading)" if load.source.dated else ""
    session.execute(
        f"{emptying(table, 'SELECT user_id FROM forgotten_users')}{days}"
        "\n  AND source_file IN (SELECT key FROM loading)"
    )


def _stage(
    session: Session,
    load: Load,
    files: Sequence[LakeFile],
    staged: Sequence[StagedFile],
    tally: _Tally,
) -> None:
    tally.lines.update({file.key: 0 for file in files})

    def parsed(batch: LineBatch) -> tuple[LineBatch, Parsed, object]:
        lines = parse(load.rules, batch)
        rows = without_forgotten(load.rules.table, lines.rows, load.forgotten)
        return batch, lines, intake.encode(rows)

    # Closed from the last to the first: what the threads wait for, then these.
    with (
        session.staging(load.rules.table, staged) as intake,
        ThreadPoolExecutor(1, thread_name_prefix="lines") as cutter,
        ThreadPoolExecutor(_PARSERS, thread_name_prefix="parsing") as parsers,
        closing(load.lake.read(files)) as chunks,
    ):
        cut = _ahead(cutter, line_batches(chunks, files))
        for batch, lines, encoded in _mapped(parsers, parsed, cut):
            intake.append(encoded)
            _quarantine(session, load, staged, lines.rejected, tally)
            for file, number in batch.counts.items():
                tally.lines[staged[file].key] += number
            for (file, key), number in lines.unknown_keys.items():
                tally.unknown[staged[file].key, key] += number


def _quarantine(
    session: Session,
    load: Load,
    staged: Sequence[StagedFile],
    rejected: Sequence[Rejected],
    tally: _Tally,
) -> None:
    """Put lines away at once: a file of nothing but bad lines must not fill the memory."""
    table = load.rules.table

    def shown(line: Rejected) -> str | None:
        return shown_line(table, line.raw, load.forgotten)

    session.insert(
        "load_rejects",
        ("table_name", "key", "line", "reason", "raw_line"),
        [(table.name, staged[r.file].key, r.line, r.reason, shown(r)) for r in rejected],
    )
    for line in rejected:
        file = staged[line.file]
        tally.rejects[file.key] += 1
        told = tally.told.setdefault(file.day, [])
        if len(told) < REASONS_TOLD:
            told.append(f"{file.key} line {line.line}: {line.reason}")


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


def _refuse_too_many(session: Session, load: Load, loaded: Loaded, tally: _Tally) -> None:
    """Compare rejects with lines: of each day, or of the whole of an undated source."""
    source, max_reject_ratio = load.source, load.max_reject_ratio
    lines: Counter[date | None] = Counter()
    bad: Counter[date | None] = Counter()
    for _, report in loaded.reports:
        lines[report.day] += report.lines
        bad[report.day] += report.rejects
    for day, rejects in sorted(bad.items(), key=lambda item: str(item[0])):
        if not rejects:
            continue
        params = {"table_name": source.table, "day": day}
        (others,) = session.fetch(ledger.statement("totals of a day"), params)
        all_lines, all_bad = lines[day] + int(str(others[0])), rejects + int(str(others[1]))
        # 29 of 100 are not more than 0.29, which as a float is a little less.
        if all_bad <= (max_reject_ratio + 1e-9) * all_lines:
            continue
        told = "; ".join(tally.told[day])
        more = f"; and {rejects - REASONS_TOLD} more" if rejects > REASONS_TOLD else ""
        raise TooManyRejectsError(
            f"{source.table}: {all_bad} of {all_lines} lines{f' of {day}' if day else ''} do not "
            f"fit, more than the allowed share of {max_reject_ratio:g}: {told}{more}. Nothing was "
            "changed. Mend the files, or raise [LOAD] MAX_REJECT_RATIO, and run again."
        )


def _write_unknown_keys(session: Session, source: Source, tally: _Tally) -> None:
    unknown = [(source.table, file, key, lines) for (file, key), lines in tally.unknown.items()]
    session.insert("unknown_keys", ("table_name", "key", "json_key", "lines"), unknown)
