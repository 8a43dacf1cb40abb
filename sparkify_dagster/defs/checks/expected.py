"""The check `expected_results`: a table against its file of expected results.

Each is a step of its own behind its table, so it sees what readers see. It fails the run, and rolls
nothing back: what is published passed its audits, and who expects something else may be wrong.
"""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from sparkify_dagster.console import counted
from sparkify_dagster.defs.assets import metadata
from sparkify_dagster.defs.assets.describe import Metadata
from sparkify_dagster.defs.checks import check_events
from sparkify_dagster.defs.resources import WarehouseResource
from sparkify_dagster.defs.run_context import run_context
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.expected.verify_tables import (
    EXPECTED_RESULTS,
    Verdict,
    check_of,
    configured,
    counts,
    outcome_of,
    recorded,
    verify,
)
from sparkify_dagster.warehouse.run_events import Checked, Failed


def expected_checks(platform: Platform, pool: str | None) -> list[dg.AssetChecksDefinition]:
    """One for each table that has a file in the configured folder.

    Raises:
        ExpectedError: if the folder that is configured is not there.
    """
    folder = configured(platform.settings, platform.catalogue)
    files = folder.files if folder else {}
    return [_check(platform, table, path, pool) for table, path in files.items()]


def _check(
    platform: Platform, table: str, path: Path, pool: str | None
) -> dg.AssetChecksDefinition:
    check = check_of(table, path)
    spec = dg.AssetCheckSpec(
        check.name,
        asset=table,
        description=check.description,
        metadata={
            "severity": check.severity.value,
            "in_the_writing_transaction": dg.MetadataValue.bool(False),
            "file": dg.MetadataValue.path(path),
        },
    )

    @dg.multi_asset_check(
        name=f"{table}_{EXPECTED_RESULTS}",
        description=f"{check.description} Compared with what is published; nothing is rolled back.",
        specs=[spec],
        pool=pool,
    )
    def run_check(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.AssetCheckResult]:
        run = run_context(platform, context.run, warehouse)
        opened, catalogue = run.platform.warehouse, run.platform.catalogue
        name = f"{table}.{EXPECTED_RESULTS}"  # the line of the table itself is shown already
        try:
            with opened.read(context.log.info) as session:
                (verdict,) = verify(session, opened.schema, catalogue, {table: path})
        except SparkifyError as error:
            run.observer(Failed(name, error))
            raise dg.Failure(str(error), allow_retries=False) from None
        run.observer(Checked(name, (outcome_of(verdict),)))
        yield from check_events.as_newest(context, catalogue, [_result(verdict)])

    return run_check


def _result(verdict: Verdict) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=verdict.table,
        check_name=EXPECTED_RESULTS,
        passed=verdict.equal,
        severity=dg.AssetCheckSeverity.ERROR,
        description=_said(verdict),
        metadata=_metadata(verdict),
    )


def _said(verdict: Verdict) -> str:
    found = verdict.comparison
    if found is None:
        return verdict.problem
    if found.equal:
        rows = counted(found.found_rows, "row")
        return f"{rows} as expected." if found.found_rows == 1 else f"All {rows} are as expected."
    return f"Not as expected: {counts(found)}."


def _metadata(verdict: Verdict) -> Metadata:
    offending = outcome_of(verdict).offending
    said: Metadata = {"offending_rows": offending, "file": dg.MetadataValue.path(verdict.path)}
    found = verdict.comparison
    if found is None:
        return said
    said |= {
        "rows_expected": len(found.expected.rows),
        "rows_found": found.found_rows,
        "missing": found.missing,
        "unexpected": found.unexpected,
        "different": found.different,
    }
    if found.expected.tolerances:
        said["tolerances"] = {name: float(most) for name, most in found.expected.tolerances.items()}
    if not found.equal:
        said["difference"] = metadata.table(recorded(found))
    return said
