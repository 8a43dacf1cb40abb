"""What the doctor says of one thing that it looked at."""

from collections.abc import Iterator
from dataclasses import dataclass

from sparkify_dagster.console import Mark
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.warehouse import WarehouseBusyError


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `advice` says what to do about it."""

    mark: Mark
    subject: str
    said: str
    advice: str = ""


def guarded(subject: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings of one subject; an error of the platform is a failed one."""
    try:
        yield from findings
    except WarehouseBusyError as error:
        yield Finding(Mark.WARN, subject, str(error))
    except SparkifyError as error:
        yield Finding(Mark.FAIL, subject, str(error))
