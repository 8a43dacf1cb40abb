"""What happens during a run, as small records for whoever watches it live.

The assets tell it and the command line shows it. What is kept for later is in Dagster's event log.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sparkify_dagster.warehouse.reports import CheckOutcome, LoadReport, RefreshReport

Report = LoadReport | RefreshReport


@dataclass(frozen=True)
class Started:
    """Work on a table begins."""

    table: str


@dataclass(frozen=True)
class Noted:
    """Something that a user who waits wants to know, such as whom the warehouse is waiting for."""

    table: str
    message: str


@dataclass(frozen=True)
class Finished:
    """The rows of a table are committed."""

    table: str
    report: Report


@dataclass(frozen=True)
class Checked:
    """The outcomes of checks that were run alone."""

    table: str
    outcomes: tuple[CheckOutcome, ...]


@dataclass(frozen=True)
class Failed:
    """The table keeps its rows from before. `outcomes` are those of its failed audits, if any."""

    table: str
    error: Exception
    outcomes: tuple[CheckOutcome, ...] = ()


Event = Started | Noted | Finished | Checked | Failed
Observer = Callable[[Event], None]


def unobserved(_: Event) -> None:
    """Nobody watches."""
