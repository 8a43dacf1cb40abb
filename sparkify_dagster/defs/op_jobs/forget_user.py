"""The job that forgets a user: what `sparkify forget` does, where the run is.

It wants the number of the user in its configuration: a click alone forgets nobody.
"""

import dagster as dg

from sparkify_dagster.defs.op_jobs.op_job import job_of
from sparkify_dagster.defs.resources import WarehouseResource
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.privacy.forget_messages import done_text
from sparkify_dagster.warehouse.privacy.forget_user import forget_user, user_number

FORGET_USER = "forget_user"


def forgetting(platform: Platform, pool: str | None) -> dg.JobDefinition:
    """Take a user's personal data out of every table, and out of whatever is loaded later."""
    description = (
        "Take a user's personal data out of every table and of the quarantine, for good, and out"
        " of whatever is loaded later. Counts stay as they are; the lake is not changed."
    )

    @dg.op(
        name="empty_personal_data",
        description=description,
        pool=pool,
        config_schema={"user_id": dg.Field(int, description="The number of the user.")},
    )
    def op(context: dg.OpExecutionContext, warehouse: WarehouseResource) -> None:
        try:
            user_id = user_number(str(context.op_config["user_id"]))
            found = warehouse.platform(platform)
            report = forget_user(found, user_id, run_id=context.run.run_id, notify=context.log.info)
        except SparkifyError as error:
            raise dg.Failure(str(error), allow_retries=False) from None
        said = "\n".join(done_text(found, report))
        context.log.info(said)
        context.add_output_metadata(
            {
                "user_id": user_id,
                "warehouse": found.warehouse.location,
                "rows_emptied": sum(report.found.rows.values()),
                "lines_hidden": report.hidden_lines,
                "result": dg.MetadataValue.md(f"```\n{said}\n```"),
            }
        )

    return job_of(op, FORGET_USER, layer="all")
