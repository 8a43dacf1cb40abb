"""What a load, a refresh or a check found, as Dagster metadata.

Numbers become plots in the UI, rows become tables. Nothing here touches a warehouse or an event.
"""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from sparkify_dagster.defs.assets.describe import Metadata, column_metadata, place, sql_block
from sparkify_dagster.defs.assets.links import file_link, prefix_uri
from sparkify_dagster.engines.rows import Rows
from sparkify_dagster.present.charts import draw
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.reports import CheckOutcome, FileReport, LoadReport, RefreshReport
from sparkify_dagster.warehouse.run_events import Report

_NAMES_SHOWN = 50


def of_report(platform: Platform, report: Report) -> Metadata:
    """What a whole run found: short, because each of its days says it."""
    metadata: Metadata = {
        **place(platform, report.table),
        "dagster/row_count": report.rows_total,
        "rows_added": report.rows_added,
        "rows_removed": report.rows_removed,
        "seconds": round(report.seconds, 3),
    }
    if not isinstance(report, LoadReport):
        return metadata | {"made_whole": dg.MetadataValue.bool(report.full)}
    metadata |= {"lake": prefix_uri(platform.lake_uri(report.table))}
    metadata |= _of_files(platform, report.table, report.files)
    return metadata | {"files_unchanged": report.unchanged_files}


def once(platform: Platform, report: Report) -> Metadata:
    """What is long and the same for every day of a run: said once, on the last of them."""
    metadata: Metadata = {}
    if isinstance(report, RefreshReport) and report.chart:
        picture = draw(report.chart)
        metadata["chart"] = dg.MetadataValue.md(picture.markdown)
        metadata["chart_says"] = picture.words  # the UI shows the picture on a click
    metadata |= column_metadata(platform.catalogue, report.table)
    metadata["sql"] = sql_block(report.sql)
    if report.preview.rows:
        metadata["preview"] = table(report.preview)
    if isinstance(report, LoadReport):
        if report.gone_files:
            metadata["files_gone"] = _names(report.gone_files)
        if report.strange_files:
            metadata["files_not_read"] = _names(report.strange_files)
        if report.unknown_keys:
            found = tuple(report.unknown_keys.items())
            metadata["unknown_json_keys"] = table(Rows(("key", "lines"), found))
    return metadata


def of_day(platform: Platform, report: Report, day: date) -> Metadata:
    """What is said of one day in the place of the whole run."""
    metadata: Metadata = {"dagster/partition_row_count": report.rows_by_day.get(day, 0)}
    if isinstance(report, LoadReport):
        files = [file for file in report.files if file.day == day]
        metadata |= _of_files(platform, report.table, files)
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


def table(rows: Rows) -> dg.MarkdownMetadataValue:
    """Rows as a markdown table."""
    import pandas as pd

    frame = pd.DataFrame(list(rows.rows), columns=list(rows.columns), dtype=object)
    # a cell with a bar or a line end would break the table apart
    cells = frame.map(lambda value: "" if value is None else " ".join(str(value).split()))
    cells = cells.map(lambda text: text.replace("|", "\\|"))
    return dg.MetadataValue.md(cells.to_markdown(index=False, disable_numparse=True))


def _of_files(platform: Platform, table: str, files: Sequence[FileReport]) -> Metadata:
    return {
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "lines": sum(file.lines for file in files),
        "rejects": sum(file.rejects for file in files),
        "file_list": _file_list(platform, table, files),
    }


def _file_list(
    platform: Platform, table: str, files: Sequence[FileReport]
) -> dg.MarkdownMetadataValue:
    """A row for each file, those with rejects first, with a link where a browser can follow it."""
    if not files:
        return dg.MetadataValue.md("No file was new or changed.")
    lines = ["| file | bytes | lines | rows | rejects |", "| --- | ---: | ---: | ---: | ---: |"]
    for file in sorted(files, key=lambda file: (-file.rejects, file.key))[:_NAMES_SHOWN]:
        link = file_link(platform, table, file.key)
        name = f"[{_code(file.key)}]({link})" if link else _code(file.key)
        lines.append(f"| {name} | {file.size} | {file.lines} | {file.rows} | {file.rejects} |")
    if len(files) > _NAMES_SHOWN:
        lines.append(f"| and {len(files) - _NAMES_SHOWN} more | | | | |")
    return dg.MetadataValue.md("\n".join(lines))


def _code(name: str) -> str:
    """A name of the lake as it is: without anything that markdown would take for its own."""
    return f"`{name.replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def _names(names: Sequence[str]) -> dg.MarkdownMetadataValue:
    shown = [f"- {_code(name)}" for name in names[:_NAMES_SHOWN]]
    if len(names) > _NAMES_SHOWN:
        shown.append(f"- and {len(names) - _NAMES_SHOWN} more")
    return dg.MetadataValue.md("\n".join(shown))
