"""The run configuration of loads that nobody asked for by name: they read what is new, no more."""

from collections.abc import Sequence

from sparkify_dagster.catalogue.catalogue import Catalogue


def only_new(catalogue: Catalogue, tables: Sequence[str]) -> dict[str, object]:
    """For a person, a day means that day again; a sensor or schedule only wants what is missing."""

    def config_of(table: str) -> dict[str, bool]:
        if table in catalogue.sources:
            return {"reload": False}
        return {"recompute": False} if catalogue.is_daily(table) else {}

    return {"ops": {catalogue.step_of(t): {"config": config_of(t)} for t in tables}}
