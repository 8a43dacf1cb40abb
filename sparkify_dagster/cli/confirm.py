"""Asking before something is done that cannot be undone."""

import click

from sparkify_dagster.errors import SparkifyError


class NotConfirmedError(SparkifyError):
    """Nobody said yes."""


def confirm(question: str, yes: bool) -> None:
    """Go on only if `yes`, or if somebody answers so.

    Raises:
        NotConfirmedError: if not, or if nobody is there to answer.
    """
    if yes:
        return
    try:
        confirmed = click.confirm(question, default=False, err=True)
    except click.Abort:  # nobody is there
        confirmed = False
    if not confirmed:
        raise NotConfirmedError("Not confirmed, so nothing was done: answer y, or pass --yes.")
