"""Where the report goes: a file that is there whole or not at all."""

from pathlib import Path

from sparkify_dagster.ask.atomic_write import replaced
from sparkify_dagster.present.report.facts import Facts, ReportError
from sparkify_dagster.present.report.page import page
from sparkify_dagster.warehouse import Platform

NAME = "report.html"


def beside_the_warehouse(platform: Platform, otherwise: Path) -> Path:
    """The report's place in the folder of an embedded warehouse, and in another for a server's."""
    file = platform.warehouse.file
    return (file.parent if file else otherwise) / NAME


def write_report(platform: Platform, facts: Facts, path: Path) -> int:
    """Write the page, in place of one that is there, and say how many bytes it has.

    Raises:
        ReportError: if the file cannot be written; one that was there stays as it was.
    """
    content = page(facts, platform.catalogue.tables).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as file:
            file.write(content)
    except OSError as error:
        raise ReportError(
            f"The report cannot be written to {path}: {error.strerror or error}. Name another file"
            " with --out."
        ) from error
    return len(content)
