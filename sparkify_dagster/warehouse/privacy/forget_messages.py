"""What forgetting a user did, and what remains of them elsewhere, in words.

The command line and the Dagster job say the same. Nobody's name is in it: nothing knows it.
"""

from collections.abc import Iterator

from sparkify_dagster.console import counted, listed
from sparkify_dagster.warehouse.platform import Platform
from sparkify_dagster.warehouse.privacy.forget_user import ForgetReport, Found

_FILES_SHOWN = 20


def found_text(platform: Platform, user_id: int, found: Found) -> Iterator[str]:
    """What would be emptied, before it is done."""
    place = platform.warehouse.location
    if not any(found.rows.values()):
        yield f"{place} holds nothing personal of user {user_id}."
    else:
        yield f"This empties what {place} holds of user {user_id}, for good:"
        yield from _rows_text(platform, found)
    yield "The id is noted, and whatever is loaded later comes without their personal data."


def done_text(platform: Platform, report: ForgetReport) -> Iterator[str]:
    """What was done, what was not, and what remains."""
    found, user_id = report.found, report.user_id
    if found.before:
        yield f"User {user_id} was forgotten on {found.before.at:%Y-%m-%d %H:%M} UTC."
    elif found.known:
        yield f"User {user_id} is forgotten."
    else:
        yield (
            f"No row of {platform.warehouse.location} is of user {user_id}. The id is noted:"
            " their data will be left out of what is loaded."
        )
    if any(found.rows.values()):
        yield from _rows_text(platform, found)
    elif found.known:
        yield "No table held anything personal of them."
    if lines := report.hidden_lines:
        yield f"  load_rejects: the text of {counted(lines, 'line')} that may be theirs, hidden"
    if report.refreshed:
        tables = counted(len(report.refreshed), "derived table")
        yield f"{tables} brought up to date; no row, play or listener became less."
    if report.behind:
        yield (
            "The personal columns of the derived tables are empty. They could not be brought up to"
            f" date for another reason, and `sparkify run` tries it again: {report.behind}"
        )
    if found.strangers:
        yield (
            f"The platform did not look into {listed(found.strangers)}, which it does not declare:"
            " see whether they hold copies."
        )
    if report.remains:
        yield report.remains
    yield from _lake_text(platform, report)


def _rows_text(platform: Platform, found: Found) -> Iterator[str]:
    for name, rows in found.rows.items():
        columns = platform.catalogue.tables[name].personal
        yield f"  {name}: {counted(rows, 'row')}, of which {listed(columns)} are emptied"


def _lake_text(platform: Platform, report: ForgetReport) -> Iterator[str]:
    for table, keys in report.found.files.items():
        if not keys:
            continue
        source = platform.catalogue.sources[table]
        declared = platform.catalogue.tables[table]
        key = next(k for column, k in declared.json_columns if column.name == declared.person)
        yield (
            f"The lake is not changed: {counted(len(keys), source.file_noun)} below"
            f" {platform.lake_uri(table)} still hold their data:"
        )
        yield from (f"  {name}" for name in keys[:_FILES_SHOWN])
        if len(keys) > _FILES_SHOWN:
            yield f"  and {len(keys) - _FILES_SHOWN} more"
        yield (
            f"Remove their personal values from the lines with {key} {report.user_id} there, and"
            " from backups and snapshots of lake and warehouse; docs/privacy.md says more."
        )
