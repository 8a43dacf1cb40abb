"""`sparkify tables`: shows, makes and drops the platform's tables, and sets up roles for them.

Which statements these are is said in `warehouse.admin`. What is
shown goes to stdout as SQL that runs as it is; the rest is said beside it.
"""

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from sparkify_dagster.cli.confirm import confirm
from sparkify_dagster.console import counted, listed, note
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings.sections import Engine

if TYPE_CHECKING:
    from sparkify_dagster.warehouse import Platform
    from sparkify_dagster.warehouse.admin.create_tables import Creation
    from sparkify_dagster.warehouse.admin.drop_tables import Removal


class UnknownTableError(SparkifyError):
    """A name that is no table of the platform."""


class ChangedMeanwhileError(SparkifyError):
    """What was confirmed is not what there is any more."""


@click.group(short_help="Show, make and drop the tables, and set up roles for them.")
def tables() -> None:
    """Show, make and drop the platform's tables, and set up roles for them.

    `sparkify run` makes tables that are missing; these commands are for those who want to see the
    SQL first, or whose loads run as a user that may not make tables.

    \b
    Examples:
      sparkify tables show --engine redshift > tables.sql
      sparkify tables create
      sparkify tables grant --apply
      sparkify tables drop
    """


@tables.command()
@click.argument("names", nargs=-1, metavar="[TABLE]...")
@click.option(
    "--engine",
    type=click.Choice([engine.value for engine in Engine]),
    help="Whose SQL. Default: the configured engine's.",
)
def show(names: tuple[str, ...], engine: str | None) -> None:
    """Print the statements that make the tables, or some of them. Nothing is contacted."""
    from sparkify_dagster.settings import load_settings
    from sparkify_dagster.warehouse import open_platform
    from sparkify_dagster.warehouse.admin.create_tables import creations, schema_statements

    environ = dict(os.environ)
    if engine:
        environ["SPARKIFY_WAREHOUSE_ENGINE"] = engine
    platform = open_platform(load_settings(environ=environ, server_exists=False))
    made = creations(platform.warehouse, platform.catalogue)
    statements = [text for c in _chosen(made, names) for text in c.statements]
    if not names:
        statements = [*schema_statements(platform.warehouse), *statements]
    click.echo("\n\n".join(map(complete, statements)))


@tables.command()
def create() -> None:
    """Make the schemas and tables that are missing; what stands is left as it is."""
    click.echo(made_text(_platform()))


@tables.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(yes: bool) -> None:
    """Drop the platform's tables with their rows, and its bookkeeping, after asking.

    Nothing that the platform did not make is dropped, and nothing at all if something of others
    depends on the tables. The lake stays: `sparkify run` makes and loads the tables again.
    """
    from sparkify_dagster.engines.base import Session
    from sparkify_dagster.warehouse.admin.drop_tables import plan_removal, remove

    platform = _platform()
    warehouse, catalogue = platform.warehouse, platform.catalogue
    if not warehouse.exists():
        click.echo(f"There is no warehouse at {warehouse.location}: nothing to drop.")
        return
    with warehouse.read(note) as session:
        removal = plan_removal(session, warehouse, catalogue)
    if not removal:
        click.echo(f"The platform has no tables in {warehouse.location}: nothing to drop.")
        return
    note("\n".join(_announcement(removal, warehouse.location)))
    confirm("Drop all of this?", yes)

    def work(session: Session) -> None:
        again = plan_removal(session, warehouse, catalogue)
        if again.statements != removal.statements:
            raise ChangedMeanwhileError(
                "The tables changed while you were asked, so nothing was dropped: run again."
            )
        remove(session, again)

    warehouse.transact(work, note)
    click.echo(f"Dropped {counted(len(removal.tables), 'table')} and the bookkeeping.")


@tables.command()
@click.option("--loader", default="sparkify_loader", show_default=True, metavar="NAME")
@click.option("--analyst", default="sparkify_analyst", show_default=True, metavar="NAME")
@click.option("--owner", default="sparkify_owner", show_default=True, metavar="NAME")
@click.option(
    "--keep-public",
    is_flag=True,
    help="Leave everybody what the server gives to all by default, such as temporary tables.",
)
@click.option("--apply", "to_server", is_flag=True, help="Run the statements, in one transaction.")
def grant(loader: str, analyst: str, owner: str, keep_public: bool, to_server: bool) -> None:
    """Print, and with --apply run, what sets up roles with the least that each needs.

    \b
    loader   loads and refreshes, but makes and drops no table
    analyst  reads the star and the analytics, and nothing else
    owner    makes, changes and drops the tables

    An empty name leaves a role out. Nobody gets a role by this: grant it to people, such as
    GRANT sparkify_analyst TO ada. Only who owns the tables now joins the owners, to whom PostgreSQL
    hands them. Run it as a superuser, or as the owner of the database with the right to make
    roles; safe to repeat. Tables that are made later are opened to the roles too.
    """
    from sparkify_dagster.warehouse.admin.create_tables import creations
    from sparkify_dagster.warehouse.admin.roles import Roles, role_statements

    platform = _platform()
    warehouse, catalogue = platform.warehouse, platform.catalogue
    roles = Roles(loader or None, analyst or None, owner or None)
    names = [(c.schema, c.name) for c in creations(warehouse, catalogue)]
    database = platform.settings.cluster.db_name
    statements = role_statements(
        warehouse, catalogue, roles, names, database, keep_public=keep_public
    )
    click.echo("\n".join(map(complete, statements)))
    if not to_server:
        note("\nNothing was changed: --apply runs these.")
        return
    from sparkify_dagster.engines.base import Session
    from sparkify_dagster.warehouse.admin.create_tables import require_tables
    from sparkify_dagster.warehouse.admin.roles import apply_roles

    def work(session: Session) -> None:
        require_tables(session, warehouse, catalogue)
        apply_roles(session, warehouse, roles, statements)

    warehouse.transact(work, note)
    note(f"\nApplied to {warehouse.location}: {listed([name for _, name in roles.named()])}.")


def made_text(platform: "Platform") -> str:
    """Make what is missing, in one transaction, and say what was made and what stood."""
    from sparkify_dagster.warehouse.admin.create_tables import make_tables

    warehouse = platform.warehouse
    made, stood = make_tables(warehouse, platform.catalogue, note)
    lines = [f"{warehouse.location}:"]
    for what, which in (("made", made), ("there already", stood)):
        for schema in dict.fromkeys(c.schema for c in which):
            names = [c.name for c in which if c.schema == schema]
            lines.append(
                f"  {what} in {schema}: {counted(len(names), 'table')} ({', '.join(names)})"
            )
    return "\n".join(lines)


def complete(statement: str) -> str:
    """The statement with its semicolon, where no comment hides it."""
    last = statement.rsplit("\n", 1)[-1]
    return f"{statement}\n;" if "--" in last else f"{statement};"


def _platform() -> "Platform":
    from sparkify_dagster.settings import load_settings
    from sparkify_dagster.warehouse import open_platform

    return open_platform(load_settings())


def _chosen(made: "Sequence[Creation]", names: Sequence[str]) -> "Iterable[Creation]":
    known = {name for c in made for name in (c.name, c.full_name)}
    unknown = [name for name in names if name not in known]
    if unknown:
        there = ", ".join(creation.name for creation in made)
        raise UnknownTableError(f"There is no table {listed(unknown)}: the tables are {there}.")
    return [c for c in made if not names or {c.name, c.full_name} & set(names)]


def _announcement(removal: "Removal", location: str) -> Iterable[str]:
    yield f"This drops from {location}:"
    width = max((len(table.full_name) for table in removal.tables), default=0)
    yield from (f"  {table.full_name:<{width}}  {table.rows}" for table in removal.tables)
    if removal.bookkeeping:
        names = ", ".join(table.name for table in removal.bookkeeping)
        yield f"  the platform's bookkeeping in {removal.bookkeeping[0].schema}: {names}"
    if removal.state_schema:
        yield f"  the schema {removal.state_schema}"
    if removal.strangers:
        yield f"What the platform did not make stays: {listed(removal.strangers)}."
    if removal.kept:
        yield f"{listed(removal.kept)} stays, so that who was forgotten does when days are loaded."
