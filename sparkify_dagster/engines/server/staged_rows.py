"""Parsed rows as a server takes them: with the key and the day of their file, in column order.

How they travel is the engine's.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparkify_dagster.catalogue.tables import Table
from sparkify_dagster.engines.base import StagedFile

if TYPE_CHECKING:
    import pyarrow as pa


def staged_rows(table: Table, rows: "pa.Table", files: Sequence[StagedFile]) -> "pa.Table":
    """The rows of `parsing.Parsed` with all columns of a staging table, in the table's order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    index = rows["file"]
    made = {
        "source_file": pa.array([file.key for file in files], pa.string()),
        "log_date": pa.array([file.day for file in files], pa.date32()),
    }
    columns = [
        pc.take(made[name], index) if name in made else rows[name] for name in table.column_names
    ]
    return pa.table(columns, names=list(table.column_names))
