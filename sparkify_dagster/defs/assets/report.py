"""The asset of the report: one HTML page, made after the analytics whose answers it shows.

What is on the page is in `present.report`. The checks of rows are those of runs, as the instance
knows them: to run them again would cost each run what the history weighs.
"""

from collections.abc import Iterator

import dagster as dg

from sparkify_dagster.catalogue.catalogue import ANALYTICS
from sparkify_dagster.catalogue.check import Check
from sparkify_dagster.defs.assets.describe import OWNERS, code_references
from sparkify_dagster.defs.checks.check_events import key_of
from sparkify_dagster.defs.resources import WarehouseResource
from sparkify_dagster.defs.run_context import run_context
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.present.report.facts import CheckLine, Facts, read_facts
from sparkify_dagster.present.report.write import beside_the_warehouse, write_report
from sparkify_dagster.warehouse import Platform

REPORT = "report"


def report_assets(platform: Platform, pool: str | None) -> list[dg.AssetsDefinition]:
    """The report; none where there are no questions to answer."""
    questions = platform.catalogue.tables_of(ANALYTICS)
    if not questions:
        return []

    @dg.asset(
        name=REPORT,
        deps=questions,
        description="What the warehouse says as one HTML page: headline figures, a chart and a"
        " table for each question, data freshness, check results and rejects. It opens offline and"
        " names nobody. `sparkify report` writes it too.",
        group_name=ANALYTICS,
        owners=OWNERS,
        kinds={"report"},
        tags={"layer": ANALYTICS, "grain": "page"},
        metadata={"dagster/code_references": code_references((), report_assets)},
        pool=pool,
    )
    def report(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult[None]:
        try:
            found = run_context(platform, context.run, warehouse).platform
            path = beside_the_warehouse(found, found.settings.home)
            facts = read_facts(found, _checks(context.instance, found), context.log.info)
            written = write_report(found, facts, path)
        except SparkifyError as error:
            raise dg.Failure(str(error), allow_retries=False) from None
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(path)),
                "link": dg.MetadataValue.url(path.as_uri()),
                "bytes": written,
                "figures": dg.MetadataValue.md(_figures(facts)),
            }
        )

    return [report]


def _figures(facts: Facts) -> str:
    lines = ["| | | |", "| --- | ---: | --- |"]
    lines += [f"| {f.name} | **{f.value}** | {f.note} |" for f in facts.headline]
    return "\n".join(lines)


def _checks(instance: dg.DagsterInstance, platform: Platform) -> Iterator[CheckLine]:
    """What the checks of rows came to when they last ran."""
    checks = [c for c in platform.catalogue.checks if not platform.catalogue.compares_lake(c)]
    keys = {key_of(check): check for check in checks}
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys))
    for key, check in keys.items():
        record = found.get(key)
        event = record.event.dagster_event if record and record.event else None
        shown = event.event_specific_data if event else None  # a planned check tells nothing yet
        yield _line(check, shown if isinstance(shown, dg.AssetCheckEvaluation) else None)


def _line(check: Check, evaluation: dg.AssetCheckEvaluation | None) -> CheckLine:
    offending = None
    if evaluation is not None:
        shown = evaluation.metadata.get("offending_rows")
        rows = int(str(shown.value)) if shown else 0
        offending = 0 if evaluation.passed else max(rows, 1)
    return CheckLine(check.table, check.name, check.description, check.severity, offending)
