"""What people read when something fails: one message, however many things failed at once.

Words, links and JSON only. What failed is found in `alerts`, who gets it is in `notifiers`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self
from urllib.parse import quote, urlencode

_SHOWN = 10
_REASON_LENGTH = 600


@dataclass(frozen=True)
class Failure:
    """One thing that failed: a step of a run, a whole run, or a check (`check` is its name)."""

    subject: str
    """The asset, or the job where no asset is concerned."""
    days: str
    """Empty where it is not about days."""
    reason: str
    run_id: str
    run_url: str
    url: str
    """The page of the asset or the check; that of the run where there is none."""
    check: str = ""
    severity: str = "error"

    @property
    def headline(self) -> str:
        days = f" ({self.days})" if self.days else ""
        if not self.check:
            return f"{self.subject} failed{days}"
        verb = "failed" if self.severity == "error" else "warns"
        return f"{self.subject}: check {self.check} {verb}{days}"

    @property
    def text(self) -> str:
        links = dict.fromkeys((self.url, self.run_url))
        return "\n".join([self.headline, f"  {self.reason}", *(f"  {link}" for link in links)])


@dataclass(frozen=True)
class Alert:
    """Everything of one kind that was found in one look, or in several that could not be sent."""

    kind: str
    first: int
    """The events that it is about: with its kind they are its identity."""
    last: int
    total: int
    failures: tuple[Failure, ...]
    """The first of them."""
    ui_url: str

    @classmethod
    def of(cls, kind: str, events: Sequence[int], found: Sequence[Failure], ui_url: str) -> Self:
        return cls(kind, min(events), max(events), len(found), tuple(found[:_SHOWN]), ui_url)

    @property
    def id(self) -> str:
        """The same whenever the same message is tried again: receivers can know it by that."""
        return f"{self.kind}-{self.first}-{self.last}"

    def and_then(self, later: "Alert") -> "Alert":
        """One message of two: the earlier could not be sent yet."""
        failures = (*self.failures, *later.failures)[:_SHOWN]
        total = self.total + later.total
        return Alert(self.kind, self.first, later.last, total, failures, self.ui_url)

    @property
    def title(self) -> str:
        """One line."""
        if self.total == 1:
            return f"Sparkify: {self.failures[0].headline}"
        names = list(dict.fromkeys(failure.subject for failure in self.failures))
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 or self.total > _SHOWN else "")
        return f"Sparkify: {self.total} {_PLURALS[self.kind]}: {shown}"

    @property
    def text(self) -> str:
        parts = [failure.text for failure in self.failures]
        if rest := self.total - len(self.failures):
            parts.append(f"and {rest} more: {self.ui_url}/runs")
        return "\n\n".join(parts)

    @property
    def payload(self) -> dict[str, object]:
        """For programs; `text` is what chat services show of a message posted to them."""
        return {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "text": f"{self.title}\n\n{self.text}",
            "total": self.total,
            "failures": [asdict(failure) for failure in self.failures],
        }


FAILED_RUNS, FAILED_CHECKS = "failed_runs", "failed_checks"
_PLURALS = {FAILED_RUNS: "failures", FAILED_CHECKS: "failed checks"}


@dataclass(frozen=True)
class Links:
    """Pages of the UI."""

    ui_url: str

    def run(self, run_id: str) -> str:
        return f"{self.ui_url}/runs/{run_id}"

    def asset(self, asset: str, day: str = "") -> str:
        return self._asset(asset, view="partitions", partition=day) if day else self._asset(asset)

    def check(self, asset: str, check: str) -> str:
        return self._asset(asset, view="checks", checkDetail=check)

    def _asset(self, asset: str, **query: str) -> str:
        page = f"{self.ui_url}/assets/{quote(asset)}"
        return f"{page}?{urlencode(query)}" if query else page


def one_line(text: str) -> str:
    """A reason as it fits into a message: printable, without line ends, not endless."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _REASON_LENGTH else f"{line[: _REASON_LENGTH - 1]}…"
