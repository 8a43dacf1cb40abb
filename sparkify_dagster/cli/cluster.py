"""`sparkify cluster`: asks before money is spent or data are deleted, and shows what came of it.

What is done on AWS is in `aws.cluster`. Progress goes to stderr, the result to stdout.
"""

import os
from typing import TYPE_CHECKING

import click

from sparkify_dagster.cli.confirm import confirm
from sparkify_dagster.console import listed, note

if TYPE_CHECKING:
    from sparkify_dagster.aws.cluster import Cluster, Values
    from sparkify_dagster.settings import Settings

_YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group(short_help="Create, watch, pause, resume and delete a Redshift warehouse.")
def cluster() -> None:
    """Create, watch, pause, resume and delete the Redshift warehouse of [DWH] in dwh.cfg.

    Every command can be repeated, and completes what an earlier one began. Nothing that was not
    made here is changed or deleted. AWS credentials come from where AWS tools look for them.

    \b
    Examples:
      sparkify cluster create --write
      sparkify cluster status
      sparkify cluster delete
    """


@cluster.command()
@_YES
@click.option("--write", "to_file", is_flag=True, help="Put the result into dwh.cfg.")
def create(yes: bool, to_file: bool) -> None:
    """Make the warehouse, its IAM role and its security group, and say what to set in dwh.cfg."""
    from sparkify_dagster.aws.cluster import configuration

    settings, made = _open()
    intentions = made.intentions()
    found = made.look()
    if found is None or found.passing:
        note("This makes:\n  " + "\n  ".join(intentions))
        confirm("Make it, and pay for it?", yes)
    state, role_arn = made.create()
    click.echo(f"{made.plan.subject} is {state.status}.")
    if not state.public:
        note("It is reachable from inside its VPC only; see [DWH] ALLOWED_CIDR.")
    values = configuration(made.plan, state, role_arn)
    _show(settings, values, to_file=to_file)


def _show(settings: "Settings", values: "Values", *, to_file: bool) -> None:
    from sparkify_dagster.aws.cluster import configuration_text, overridden, write

    if to_file:
        write(settings.config_file, values)
        click.echo(f"Written to {settings.config_file}:\n")
    else:
        click.echo(f"Set these in {settings.config_file} (--write does it):\n")
    click.echo(configuration_text(values))
    winning = overridden(values, os.environ)
    if winning:
        note(f"\nThe environment says otherwise, and wins: unset {listed(winning)}.")


@cluster.command()
def status() -> None:
    """Show the warehouse as it is. The exit status is 1 if there is none."""
    click.echo("\n".join(_open()[1].facts()))


@cluster.command()
def pause() -> None:
    """Stop paying for the nodes of a provisioned cluster; its data stay."""
    _open()[1].pause()


@cluster.command()
def resume() -> None:
    """Start a paused cluster again."""
    _open()[1].resume()


@cluster.command()
@_YES
@click.option("--no-final-snapshot", is_flag=True, help="Delete the data for good.")
def delete(yes: bool, no_final_snapshot: bool) -> None:
    """Delete the warehouse, its role and its security group, after a final snapshot."""
    _, doomed = _open()
    state = doomed.look()
    if state is not None and state.ours:  # another's is refused below, unasked
        kept = "for good" if no_final_snapshot else "after a final snapshot"
        note(f"{doomed.plan.subject} in {doomed.plan.region} is {state.status}, {state.size}.")
        confirm(f"Delete it and its data {kept}?", yes)
    snapshot = doomed.delete(final_snapshot=not no_final_snapshot)
    click.echo(doomed.farewell(snapshot))


def _open() -> "tuple[Settings, Cluster]":
    from sparkify_dagster.aws.cluster import open_cluster
    from sparkify_dagster.settings import load_settings

    settings = load_settings(server_exists=False)
    return settings, open_cluster(settings, note)
