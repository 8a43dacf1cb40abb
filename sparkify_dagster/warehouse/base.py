"""What all work of the platform is done with: settings, catalogue, warehouse and lakes.

The work itself is in the folders beside this module; `platform` is how others ask for it.
"""

from sparkify_dagster.catalogue.catalogue import Catalogue
from sparkify_dagster.engines.base import Session, Warehouse
from sparkify_dagster.lake import Lake, open_lake
from sparkify_dagster.settings import Settings
from sparkify_dagster.settings.days import DayRange, all_days
from sparkify_dagster.warehouse.admin.create_tables import prepare, standing_names


class PlatformBase:
    """A catalogue of tables with the lake and the warehouse that they live in."""

    def __init__(self, settings: Settings, catalogue: Catalogue, warehouse: Warehouse) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.warehouse = warehouse
        self._stood: frozenset[tuple[str, str]] = frozenset()

    def lake_uri(self, table: str) -> str:
        """The configured prefix of a staging table's source."""
        return self.settings.s3.prefixes[self.catalogue.sources[table].setting]

    def lake(self, table: str) -> Lake:
        """The lake of a staging table's source; nothing is opened yet."""
        s3 = self.settings.s3
        return open_lake(
            self.lake_uri(table),
            region=s3.region,
            endpoint_url=s3.endpoint_url,
            options=s3.options,
        )

    def partitions(self) -> DayRange:
        """The first and the last day of the platform: the configured ones, up to today (UTC).

        Raises:
            DayError: if the first day is still to come.
        """
        return all_days(self.settings.partitions)

    def prepare(self, session: Session) -> None:
        """See that every table stands; only the first time, and when one came or went, closely.

        Looking at every column costs more than refreshing a small table does.
        """
        if self._stood and self._stood == standing_names(session, self.warehouse):
            return
        prepare(session, self.warehouse, self.catalogue)
        self._stood = standing_names(session, self.warehouse)
