"""What a user sees while a run lasts: live lines on a terminal, plain ones elsewhere.

What remains to be read afterwards is in `summary`.
"""

from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from sparkify_dagster.console import Mark, counted, is_terminal, one_line
from sparkify_dagster.progress import (
    Checked,
    Event,
    Failed,
    Finished,
    Noted,
    Observer,
    Report,
    Started,
)
from sparkify_dagster.warehouse.reports import LoadReport

if TYPE_CHECKING:
    from rich.progress import TaskID


def watch() -> AbstractContextManager[Observer]:
    """The observer that fits stdout, as a block."""
    return LiveWatch() if is_terminal() else nullcontext(plain_watch)


def plain_watch(event: Event) -> None:
    """One line for each finished table, and for whatever a user waits for."""
    match event:
        case Noted(table, message):
            click.echo(f"{table}: {message}")
        case Finished(table, report):
            click.echo(f"{table}: {told(report)} ({report.seconds:.1f} s)")
        case Failed(table):
            click.echo(f"{table}: failed")
        case Started() | Checked():
            pass


class LiveWatch:
    """One line for each table: a spinner while it lasts, then what came of it."""

    def __init__(self) -> None:
        from rich.console import Console, RenderableType
        from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
        from rich.text import Text

        class Sign(ProgressColumn):
            """The spinner, then the mark of how it went."""

            spinner = SpinnerColumn()

            def render(self, task: Task) -> RenderableType:
                mark = task.fields["mark"]
                return Text(mark.text, mark.colour) if mark else self.spinner.render(task)

        self._progress = Progress(
            Sign(),
            TextColumn("{task.description:<16}", markup=False),
            TextColumn("{task.fields[said]}", markup=False),
            TextColumn("[dim]{task.elapsed:.1f} s"),
            console=Console(highlight=False),
            redirect_stdout=False,  # what stands in for it does not tell its encoding
        )
        self._lines: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case Started(table):
                self._lines[table] = self._progress.add_task(table, total=1, mark=None, said="")
            case Noted(table, message):
                self._update(table, message)
            case Finished(table, report):
                self._end(table, told(report), Mark.OK)
            case Checked(table, outcomes):
                self._end(table, counted(len(outcomes), "check"), Mark.OK)
            case Failed(table):
                self._end(table, "failed", Mark.FAIL)

    def _update(self, table: str, said: str) -> None:
        if table in self._lines:
            self._progress.update(self._lines[table], said=one_line(said))

    def _end(self, table: str, said: str, mark: Mark) -> None:
        self._update(table, said)
        if table in self._lines:
            self._progress.update(self._lines[table], completed=1, mark=mark)
            self._progress.stop_task(self._lines[table])


def told(report: Report) -> str:
    """What a table's work came to, in a few words."""
    if not report.rows_added and not report.rows_removed:
        return f"unchanged, {counted(report.rows_total, 'row')}"
    rows = f"{counted(report.rows_added, 'row')} written"
    if isinstance(report, LoadReport):
        rows += f" from {counted(len(report.files), 'file')}"
    return f"{rows}, {report.rows_total:,} in all"
