"""`sparkify forget`: takes what says who a user is out of every table, for good.

What that is and how it is done is said in `warehouse.privacy`.
"""

from typing import TYPE_CHECKING

import click

from sparkify_dagster.cli.confirm import confirm
from sparkify_dagster.console import Column, note, table

if TYPE_CHECKING:
    from sparkify_dagster.warehouse.privacy.forget_user import Forgotten

_RUN = "sparkify forget"


@click.command(short_help="Take a user's personal data out of every table.")
@click.argument("user_id", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--list", "listing", is_flag=True, help="Show who was forgotten, and when.")
@click.pass_context
def forget(context: click.Context, user_id: str | None, yes: bool, listing: bool) -> None:
    """Take a user's personal data out of every table and of the quarantine, after asking.

    Names and the other columns that the data dictionary calls personal are emptied, in one
    transaction. Rows, songs, times and the number of the user stay, so that every count does. The
    number is noted, and whatever is loaded later comes without their personal data. The lake is
    not changed: the command says which files still hold it.

    \b
    Examples:
      sparkify forget 39
      sparkify forget --list
    """
    from sparkify_dagster.settings import load_settings
    from sparkify_dagster.warehouse import open_platform
    from sparkify_dagster.warehouse.privacy.forget_messages import done_text, found_text
    from sparkify_dagster.warehouse.privacy.forget_user import (
        find_user,
        forget_user,
        forgotten_users,
        user_number,
    )

    if (user_id is None) != listing:
        raise click.UsageError("give the number of a user, or --list.", context)
    platform = open_platform(load_settings())
    if user_id is None:
        _show(forgotten_users(platform, note))
        return
    number = user_number(user_id)
    note("\n".join(found_text(platform, number, find_user(platform, number, note))))
    confirm(f"Forget user {number}?", yes)
    report = forget_user(platform, number, run_id=_RUN, notify=note)
    click.echo("\n".join(done_text(platform, report)))


def _show(users: "tuple[Forgotten, ...]") -> None:
    if not users:
        click.echo("Nobody was forgotten.")
        return
    rows = [[str(u.user_id), f"{u.at:%Y-%m-%d %H:%M:%S}", u.run_id] for u in users]
    click.echo(
        table([Column("user", number=True), Column("forgotten at (UTC)"), Column("by")], rows)
    )
