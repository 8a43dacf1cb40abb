"""Tables and queries as pandas DataFrames, for notebooks and scripts; nothing can be written.

from sparkify_dagster import read_frame

songs = read_frame("top_songs")
plays = read_frame("SELECT level, COUNT(*) AS plays FROM songplays GROUP BY level")
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def read_frame(query: str, *, config: str | os.PathLike[str] | None = None) -> "pd.DataFrame":
    """Every row that a SELECT gives, or that a table named alone has, in the table's order.

    The warehouse is that of the configuration: of `config`, else of the file that SPARKIFY_CONFIG
    names, else of the nearest dwh.cfg at or above the working directory, as on the command line.
    It is open only while it is read: a DuckDB file is free for runs again when this returns.

    A dtype follows from the type of the column, never from its values: integers are Int64 and
    booleans boolean, with <NA> for NULL; numbers with a fraction (DECIMAL too) float64; DATE and
    TIMESTAMP datetime64[us], in UTC; VARCHAR is text. Only where PostgreSQL's sums and averages do
    not tell their type, whole numbers are Int64 and others float64: CAST them to be sure.

    Raises:
        SparkifyError: if there is no configuration, warehouse or table of that name, if the
            statement does not read (the engine itself would refuse it), or is not understood.
    """
    from sparkify_dagster.ask.questions import asking, question
    from sparkify_dagster.console import note
    from sparkify_dagster.engines.open import open_warehouse
    from sparkify_dagster.settings import load_settings

    warehouse = open_warehouse(load_settings(Path(config) if config is not None else None))
    asked = question(query)
    with asking(warehouse, note, asked.table) as session:
        return session.frame(asked.sql)
