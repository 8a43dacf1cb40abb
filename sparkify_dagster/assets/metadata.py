"""What a load, a refresh or a check found, as Dagster metadata.

Numbers become plots in the UI, rows become tables. Nothing here touches a warehouse or an event.
"""

from collections.abc import Sequence
from datetime import date

import dagster as dg
from dagster._core.definitions.metadata import RawMetadataValue

from sparkify_dagster.assets.describe import column_schema, sql_block, table_name
from sparkify_dagster.progress import Report
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.reports import CheckOutcome, FileReport, LoadReport, Rows

Metadata = dict[str, RawMetadataValue]
_NAMES_SHOWN = 50


def of_report(platform: Platform, report: Report) -> Metadata:
    """What is said once for a whole run, on each of its days where there are days."""
    metadata: Metadata = {
        "dagster/table_name": table_name(platform, report.table),
        "dagster/column_schema": column_schema(platform.catalogue.tables[report.table]),
        "dagster/row_count": report.rows_total,
        "rows_added": report.rows_added,
        "rows_removed": report.rows_removed,
        "seconds": round(report.seconds, 3),
        "sql": sql_block(report.sql),
    }
    if not isinstance(report, LoadReport):
        return metadata | {"made_whole": dg.MetadataValue.bool(report.full)}
    metadata |= {"dagster/uri": dg.MetadataValue.url(platform.lake_uri(report.table))}
    metadata |= _of_files(report.files) | {"files_unchanged": report.unchanged_files}
    if report.gone_files:
        metadata["files_gone"] = _names(report.gone_files)
    if report.strange_files:
        metadata["files_not_read"] = _names(report.strange_files)
    if report.unknown_keys:
        found = tuple(report.unknown_keys.items())
        metadata["unknown_json_keys"] = table(Rows(("key", "lines"), found))
    return metadata


def of_day(report: Report, day: date) -> Metadata:
    """What is said of one day in the place of the whole run."""
    metadata: Metadata = {"dagster/partition_row_count": report.rows_by_day.get(day, 0)}
    if isinstance(report, LoadReport):
        metadata |= _of_files([file for file in report.files if file.day == day])
    return metadata


def of_outcome(outcome: CheckOutcome, day: date | None = None) -> Metadata:
    """The number of offending rows and a sample of them: of one day, or of all."""
    rows, offending = outcome.sample, outcome.offending
    if day is not None:
        offending = outcome.offending_by_day.get(day, 0)
        place = rows.columns.index("log_date") if "log_date" in rows.columns else None
        if place is not None:
            rows = Rows(rows.columns, tuple(row for row in rows.rows if row[place] == day))
    metadata: Metadata = {"offending_rows": offending}
    if offending and rows.rows:
        metadata["sample"] = table(rows)
    return metadata


def preview(rows: Rows) -> Metadata:
    return {"preview": table(rows)} if rows.rows else {}


def table(rows: Rows) -> dg.MarkdownMetadataValue:
    """Rows as a markdown table."""
    import pandas as pd

    frame = pd.DataFrame(list(rows.rows), columns=list(rows.columns), dtype=object)
    # a cell with a bar or a line end would break the table apart
    cells = frame.map(lambda value: "" if value is None else " ".join(str(value).split()))
    cells = cells.map(lambda text: text.replace("|", "\\|"))
    return dg.MetadataValue.md(cells.to_markdown(index=False, disable_numparse=True))


def _of_files(files: Sequence[FileReport]) -> Metadata:
    return {
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "lines": sum(file.lines for file in files),
        "rejects": sum(file.rejects for file in files),
    }


def _names(names: Sequence[str]) -> dg.MarkdownMetadataValue:
    shown = [f"- `{name}`" for name in names[:_NAMES_SHOWN]]
    if len(names) > _NAMES_SHOWN:
        shown.append(f"- and {len(names) - _NAMES_SHOWN} more")
    return dg.MetadataValue.md("\n".join(shown))
