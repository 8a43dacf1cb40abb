"""Which days a load holds back: those with a file that cannot be read, or with too many bad lines.

A day is loaded whole or not at all; of a source without days, each file stands for itself. What is
done about a day that is held back is in `loading`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from sparkify_dagster.engines.base import Session
from sparkify_dagster.lake import FileError, LakeFile
from sparkify_dagster.settings.sources import Source
from sparkify_dagster.warehouse.load import ledger
from sparkify_dagster.warehouse.reports import HeldBack

REASONS_SHOWN = 3
_MEND = "mend the file or raise [LOAD] MAX_REJECT_RATIO, and run again"


@dataclass
class FileTally:
    """What was found in one file while it was read."""

    lines: int = 0
    rejects: int = 0
    reasons: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The first reasons for which lines were rejected: the first line, and how many there are."""
    unknown: Counter[str] = field(default_factory=Counter)
    """How many lines have a key that no column takes."""
    error: FileError | None = None
    """Why the file could not be read whole."""

    def reject(self, line: int, reason: str) -> None:
        """Count a rejected line."""
        self.rejects += 1
        first, count = self.reasons.get(reason, (line, 0))
        if count or len(self.reasons) < REASONS_SHOWN:
            self.reasons[reason] = first, count + 1

    @property
    def shown_reasons(self) -> str:
        """The first reasons, for people."""
        shown = [
            f"line {line}{f' and {count - 1} more' if count > 1 else ''}: {reason}"
            for reason, (line, count) in self.reasons.items()
        ]
        others = self.rejects - sum(count for _, count in self.reasons.values())
        return "; ".join(shown) + (f"; and {others} more for other reasons" if others else "")


@dataclass
class Tally:
    """What was found in the files of a load, by their key."""

    files: dict[str, FileTally] = field(default_factory=dict)

    def of(self, key: str) -> FileTally:
        """The tally of one file, begun if it is the first that is heard of it."""
        return self.files.setdefault(key, FileTally())


def days_to_hold_back(
    session: Session,
    source: Source,
    files: Sequence[LakeFile],
    tally: Tally,
    max_reject_ratio: float,
) -> tuple[HeldBack, ...]:
    """The files to hold back: those that are the cause, then those of the same days that wait."""
    found = {held.key: held for held in _unreadable(source, files, tally)}
    readable = [file for file in files if file.key not in found]
    found |= {
        held.key: held for held in _spoilt(session, source, readable, tally, max_reject_ratio)
    }
    causes: dict[date, str] = {}
    for held in found.values():
        if held.day is not None:
            causes.setdefault(held.day, held.key)
    waiting = [
        HeldBack(source.table, file.key, day, file.etag, f"waits for {causes[day]}", "")
        for file in files
        if file.key not in found and (day := source.day_of(file.key)) in causes
    ]
    return (*found.values(), *waiting)


def _unreadable(source: Source, files: Sequence[LakeFile], tally: Tally) -> Iterator[HeldBack]:
    for file in files:
        if error := tally.files[file.key].error:
            day = source.day_of(file.key)
            yield HeldBack(source.table, file.key, day, file.etag, error.cause, error.cure)


def _spoilt(
    session: Session,
    source: Source,
    files: Sequence[LakeFile],
    tally: Tally,
    max_reject_ratio: float,
) -> Iterator[HeldBack]:
    """Compare rejects with lines: of each day, or of the whole of a source without days."""
    by_day: dict[date | None, list[LakeFile]] = defaultdict(list)
    for file in files:
        by_day[source.day_of(file.key)].append(file)
    for day, together in by_day.items():
        bad = [file for file in together if tally.files[file.key].rejects]
        if not bad:
            continue
        params = {"table_name": source.table, "day": day}
        (others,) = session.fetch(ledger.statement("totals of a day"), params)
        lines = int(str(others[0])) + sum(tally.files[file.key].lines for file in together)
        rejects = int(str(others[1])) + sum(tally.files[file.key].rejects for file in bad)
        # 29 of 100 are not more than 0.29, which as a float is a little less.
        if rejects <= (max_reject_ratio + 1e-9) * lines:
            continue
        of = f"of {day} " if day else ""
        allowed = f"more than the allowed share of {max_reject_ratio:g}"
        for file in bad:
            reasons = tally.files[file.key].shown_reasons
            cause = f"{rejects} of {lines} lines {of}do not fit, {allowed}: {reasons}"
            yield HeldBack(source.table, file.key, day, file.etag, cause, _MEND)
