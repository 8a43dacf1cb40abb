"""The `sparkify` command: joins its subcommands, and decides what an error looks like.

What a subcommand does is in its module or folder here. Nothing heavy is imported: help, a query and
a run that has nothing to do start fast.
"""

import logging
import os
import signal
import sys
import traceback
from typing import NoReturn

import click

from sparkify_dagster import __version__
from sparkify_dagster.cli.cluster import cluster
from sparkify_dagster.cli.doctor import doctor
from sparkify_dagster.cli.forget import forget
from sparkify_dagster.cli.query.command import query
from sparkify_dagster.cli.report import report
from sparkify_dagster.cli.run.command import run
from sparkify_dagster.cli.simulate import simulate
from sparkify_dagster.cli.tables import tables
from sparkify_dagster.cli.ui import ui
from sparkify_dagster.cli.verify import verify
from sparkify_dagster.console import DEBUG, complain, debugging, replace_unprintable
from sparkify_dagster.errors import INTERRUPTED, INTERRUPTION, SparkifyError

READER_LEFT = 141  # as for a command that SIGPIPE ends


class _Group(click.Group):
    """Every error becomes one message and an exit status."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except KeyboardInterrupt:
            complain(INTERRUPTION)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # Python would complain once more when it flushes at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(READER_LEFT)
        except SparkifyError as error:
            _show_traceback(ctx)
            complain(str(error))
            ctx.exit(1)
        except Exception as error:  # noqa: BLE001 - a defect: one line for the user, all of it with --debug
            _show_traceback(ctx)
            said = " ".join(str(error).split())[:500]
            complain(
                f"unexpected {type(error).__name__}{f': {said}' if said else ''}. This is a defect"
                " of sparkify; run again with --debug for the traceback."
            )
            ctx.exit(1)


def _show_traceback(ctx: click.Context) -> None:
    if debugging(ctx):
        click.echo(traceback.format_exc(), err=True, nl=False)


def _note_debug(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    ctx.meta[DEBUG] = wanted or debugging(ctx)


def _debug_option(command: click.Command) -> click.Command:
    """`--debug` before and behind the name of a command means the same."""
    option = click.Option(
        ["--debug"],
        is_flag=True,
        expose_value=False,
        callback=_note_debug,
        help="Show the traceback of an error.",
    )
    command.params.append(option)
    for sub in command.commands.values() if isinstance(command, click.Group) else ():
        _debug_option(sub)
    return command


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sparkify")
def sparkify() -> None:
    """Sparkify's data platform: JSON logs in a lake become tables that analysts trust.

    \b
    The first steps:
      sparkify run --sample     make a sample lake if there is none, and load it
      sparkify query "SELECT level, COUNT(*) FROM songplays GROUP BY level"
      sparkify ui               see assets, runs and checks in the browser

    The configuration is the nearest dwh.cfg at or above this folder; SPARKIFY_CONFIG names another
    file, and SPARKIFY_<SECTION>_<KEY> overrides a key. `sparkify doctor` says what is wrong.
    """


for _command in (run, query, report, verify, simulate, doctor, ui, tables, forget, cluster):
    sparkify.add_command(_command)
_debug_option(sparkify)


def main() -> NoReturn:
    """Run the command line, and end the process."""
    # Ends as Ctrl-C does: what runs on a server is cancelled, and something is said.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    replace_unprintable()
    if logging.lastResort:  # what prints where nothing else is set up to
        logging.lastResort.addFilter(_no_interruption)
    try:
        sparkify.main(prog_name="sparkify")
    except SystemExit as end:
        _leave(end.code)
    except KeyboardInterrupt:
        complain(INTERRUPTION)
        _leave(INTERRUPTED)
    raise AssertionError("click ends the process itself")


def _no_interruption(record: logging.LogRecord) -> bool:
    """Libraries log what passes them by; that the user pressed Ctrl-C, the user knows."""
    return not (record.exc_info and isinstance(record.exc_info[1], KeyboardInterrupt))


def _leave(code: object) -> NoReturn:
    """End at once: everything is closed, and taking Dagster's modules apart costs half a second."""
    # What is done cannot be interrupted any more.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = code if isinstance(code, int) else int(code is not None)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the reader has left; the status says so already, or it did not matter
            status = status or 1
    os._exit(status)
