"""What `dagster` and the UI load: the definitions for dwh.cfg and the environment.

How they are joined is in `defs.build`.
"""

import dagster as dg

from sparkify_dagster.defs.build import build_definitions
from sparkify_dagster.settings import load_settings

__all__ = ["build_definitions", "defs"]


@dg.definitions
def defs() -> dg.Definitions:
    """Everything that Dagster shows and runs."""
    return build_definitions(load_settings())
