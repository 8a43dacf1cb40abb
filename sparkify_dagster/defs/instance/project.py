"""The instance of plain `dagster dev` and `dg dev`: the one that `sparkify` uses in this project.

Without DAGSTER_HOME these commands read dagster.yaml of the working directory, and keep what they
store in a temporary folder. The dagster.yaml beside dwh.cfg names `project_instance` as the class
of its instance. Nothing else belongs into that file: the settings are in dagster.yaml of the home.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

    from sparkify_dagster.defs.dagster_private import ConfigurableClassData


class ProjectInstance:
    """Dagster asks a class of instances for these two, and calls it to make one."""

    def config_schema(self) -> Mapping[str, object]:
        return {}

    def config_defaults(self, base_dir: str) -> "Mapping[str, ConfigurableClassData | None]":
        from sparkify_dagster.defs.dagster_private import InstanceRef

        return InstanceRef.config_defaults(base_dir)

    def __call__(self, **_: object) -> "dg.DagsterInstance":
        """Instead of the temporary one: what Dagster prepared for it is left unused."""
        from sparkify_dagster.defs.instance.home import open_instance
        from sparkify_dagster.defs.instance.process_identity import close_dead_runs
        from sparkify_dagster.settings import load_settings

        settings = load_settings()
        instance = open_instance(settings, at_terminal=False)
        close_dead_runs(instance)
        logging.getLogger("dagster").info(
            "Not the temporary directory, but %s keeps what this instance stores.", settings.home
        )
        return instance


project_instance = ProjectInstance()
