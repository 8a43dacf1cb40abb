"""What a check is: one rule about one table, as SQL that selects the rows which break it.

How checks are found is in `find_checks`, how they are run in `warehouse.checks`.
"""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """ERROR fails a run; WARN is shown and fails nothing."""

    ERROR = "error"
    WARN = "warn"


@dataclass(frozen=True)
class Check:
    """One rule about one table; its SQL selects the rows that break the rule.

    A check of error severity blocks, unless it `publishes`: it runs inside the transaction that
    writes the table and rolls it back. `by_day` says that the offending rows carry `log_date`, so
    that results are shown day by day. Values of `personal` columns are masked in what is shown.
    """

    name: str
    table: str
    description: str
    severity: Severity
    by_day: bool
    sql: str
    personal: frozenset[str] = frozenset()
    publishes: bool = False

    @property
    def blocking(self) -> bool:
        return self.severity is Severity.ERROR and not self.publishes
