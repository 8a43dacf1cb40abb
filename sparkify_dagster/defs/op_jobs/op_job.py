"""Jobs of one op: what a command does, where the run is. They materialize nothing."""

import dagster as dg

from sparkify_dagster.defs.assets.describe import OWNERS


def job_of(op: dg.OpDefinition, name: str, *, layer: str) -> dg.JobDefinition:
    """The job of an op, described as it is; an op may not have the name of a job."""

    @dg.job(
        name=name,
        description=op.description,
        tags={"layer": layer},
        owners=OWNERS,
        executor_def=dg.in_process_executor,
    )
    def job() -> None:
        op()

    return job
