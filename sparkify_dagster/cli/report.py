"""`sparkify report`: writes one HTML page. What is on it is in `present.report`."""

from pathlib import Path

import click

from sparkify_dagster.console import note, size


@click.command(short_help="Write what the warehouse says as one HTML page.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file. Default: report.html beside the DuckDB file; of a server's warehouse, here.",
)
@click.option("--no-checks", is_flag=True, help="Leave the checks out: they read every row.")
def report(out: Path | None, no_checks: bool) -> None:
    """Write headline figures, charts and tables of every question as one HTML page.

    The page also says how fresh the data is, what the checks find and what was rejected. It needs
    no network, and holds no names of people.

    \b
    Examples:
      sparkify report
      sparkify report --out november.html
    """
    from sparkify_dagster.present.charts import warm_up
    from sparkify_dagster.present.report.facts import read_facts
    from sparkify_dagster.present.report.write import beside_the_warehouse, write_report
    from sparkify_dagster.settings import load_settings
    from sparkify_dagster.warehouse import open_platform

    platform = open_platform(load_settings())
    warm_up()
    facts = read_facts(platform, checks=() if no_checks else None, notify=note)
    path = (out or beside_the_warehouse(platform, Path.cwd())).absolute()
    written = write_report(platform, facts, path)
    click.echo(f"Report:  {path} ({size(written)})")
    click.echo(f"Open it: {path.as_uri()}")
