"""The job that makes the tables: what `sparkify tables create` does, where the run is."""

import dagster as dg

from sparkify_dagster.catalogue.catalogue import Catalogue
from sparkify_dagster.defs.op_jobs.op_job import job_of
from sparkify_dagster.defs.resources import WarehouseResource
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.warehouse.admin.create_tables import make_tables

CREATE_TABLES = "create_tables"


def create_tables(catalogue: Catalogue, pool: str | None) -> dg.JobDefinition:
    """Make the schemas and tables that are missing; what stands is left as it is."""
    description = (
        "Make the schemas and tables that are missing. Loads make them too; this is for owners of "
        "the tables where loads run as another user."
    )

    @dg.op(name="make_missing_tables", description=description, pool=pool)
    def op(context: dg.OpExecutionContext, warehouse: WarehouseResource) -> None:
        try:
            opened = warehouse.open()
            made, stood = make_tables(opened, catalogue, context.log.info, context.run.run_id)
        except SparkifyError as error:
            raise dg.Failure(str(error), allow_retries=False) from None
        context.log.info(f"{len(made)} made, {len(stood)} there already")
        context.add_output_metadata(
            {
                "warehouse": opened.location,
                "made": dg.MetadataValue.md("\n".join(f"- {c.full_name}" for c in made) or "none"),
                "there already": len(stood),
                "sql": dg.MetadataValue.md(
                    "\n".join(
                        [
                            "```sql",
                            *(f"{text};\n" for c in made or stood for text in c.statements),
                            "```",
                        ]
                    )
                ),
            }
        )

    return job_of(op, CREATE_TABLES, layer="all")
