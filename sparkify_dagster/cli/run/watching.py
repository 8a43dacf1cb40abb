"""What a user sees while a run lasts: live lines on a terminal, plain ones elsewhere.

What remains to be read afterwards is in `summary`.
"""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from sparkify_dagster.cli.run.grouped_lines import Fold
from sparkify_dagster.console import Mark, counted, is_terminal, one_line
from sparkify_dagster.warehouse.reports import LoadReport
from sparkify_dagster.warehouse.run_events import (
    Checked,
    Event,
    Failed,
    Finished,
    Noted,
    Observer,
    Report,
    Started,
)

if TYPE_CHECKING:
    from rich.progress import TaskID


def watch(fold: Fold) -> AbstractContextManager[Observer]:
    """The observer that fits stdout, as a block. The tables of `fold` share a line."""
    return LiveWatch(fold) if is_terminal() else PlainWatch(fold)


class PlainWatch:
    """One line for each finished table, and for whatever a user waits for."""

    def __init__(self, fold: Fold) -> None:
        self._fold = fold

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tell_fold()

    def __call__(self, event: Event) -> None:
        match event:
            case Noted(table, message):
                click.echo(f"{table}: {message}")
            case Finished(table, report) if table in self._fold:
                self._fold.reports.append(report)
            case Finished(table, report):
                click.echo(f"{table}: {reported(report)} ({report.seconds:.1f} s)")
            case Failed(table):
                click.echo(f"{table}: failed")
                self._fold.failed += table in self._fold
            case Started() | Checked():
                pass
        if self._fold.complete:
            self._tell_fold()

    def _tell_fold(self) -> None:
        if self._fold.reports:
            click.echo(f"{self._fold.title}: {self._fold.reported} ({self._fold.seconds:.1f} s)")
        self._fold.clear()


class LiveWatch:
    """One line for each table: a spinner while it lasts, then what came of it."""

    def __init__(self, fold: Fold) -> None:
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
        self._fold = fold

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._end_fold()
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        if event.table in self._fold:
            self._together(event)
            return
        match event:
            case Started(table):
                self._start(table)
            case Noted(table, message):
                self._update(table, message)
            case Finished(table, report):
                self._end(table, reported(report), Mark.OK)
            case Checked(table, outcomes):
                self._end(table, counted(len(outcomes), "check"), Mark.OK)
            case Failed(table):
                self._end(table, "failed", Mark.FAIL)

    def _together(self, event: Event) -> None:
        fold = self._fold
        match event:
            case Started() if fold.title not in self._lines:
                self._start(fold.title)
            case Noted(_, message):
                self._update(fold.title, message)
            case Finished(_, report):
                fold.reports.append(report)
                self._update(fold.title, fold.progress)
            case Failed(table):
                fold.failed += 1
                self._start(table)
                self._end(table, "failed", Mark.FAIL)
            case _:
                pass
        if fold.complete:
            self._end_fold()

    def _end_fold(self) -> None:
        self._end(
            self._fold.title, self._fold.reported, Mark.OK if self._fold.reports else Mark.FAIL
        )
        self._lines.pop(self._fold.title, None)
        self._fold.clear()

    def _start(self, table: str) -> None:
        self._lines[table] = self._progress.add_task(table, total=1, mark=None, said="")

    def _update(self, table: str, said: str) -> None:
        if table in self._lines:
            self._progress.update(self._lines[table], said=one_line(said))

    def _end(self, table: str, said: str, mark: Mark) -> None:
        self._update(table, said)
        if table in self._lines:
            self._progress.update(self._lines[table], completed=1, mark=mark)
            self._progress.stop_task(self._lines[table])


def reported(report: Report) -> str:
    """What a table's work came to, in a few words."""
    if not report.rows_added and not report.rows_removed:
        return f"unchanged, {counted(report.rows_total, 'row')}"
    rows = f"{counted(report.rows_added, 'row')} written"
    if isinstance(report, LoadReport):
        rows += f" from {counted(len(report.files), 'file')}"
    return f"{rows}, {report.rows_total:,} in all"
