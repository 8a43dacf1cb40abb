"""`sparkify doctor`: the findings of `sparkify_dagster.doctor`, one a line."""

import click

from sparkify_dagster.console import Mark, counted, one_line
from sparkify_dagster.errors import SparkifyError


class UnfitError(SparkifyError):
    """Something has to be mended before a run can succeed."""


@click.command(short_help="Check configuration, lake and warehouse, and say what to do.")
def doctor() -> None:
    """Check configuration, lake, warehouse, disk and packages, and say what to do.

    Nothing stays created or changed: on redshift a probe is written to [S3] SCRATCH, copied into
    a table that is rolled back, and deleted. The exit status is 1 if something has to be mended
    before a run can succeed; a warning does not count.
    """
    from sparkify_dagster.doctor import examine

    failed = 0
    for finding in examine():
        failed += finding.mark is Mark.FAIL
        advice = f" → {finding.advice}" if finding.advice else ""
        said = " ".join(finding.said.split())
        click.echo(f"{finding.mark.shown} {finding.subject}: {one_line(said + advice)}")
    if failed:
        raise UnfitError(f"{counted(failed, 'thing')} to mend, marked {Mark.FAIL.text} above.")
