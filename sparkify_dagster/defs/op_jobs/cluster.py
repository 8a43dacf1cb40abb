"""Jobs that create, show, pause, resume and delete the Redshift warehouse of [DWH].

They do what `sparkify cluster` does, where the run is. What costs money or deletes data wants the
warehouse's identifier in its configuration: a click alone does neither.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import dagster as dg

from sparkify_dagster.aws.cluster import (
    Cluster,
    ClusterError,
    configuration,
    configuration_text,
    open_cluster,
    write,
)
from sparkify_dagster.defs.op_jobs.op_job import job_of
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings import Settings

Given = Mapping[str, object]


@dataclass(frozen=True)
class _Order:
    """What one run is about: the warehouse, and what the run's configuration says."""

    cluster: Cluster
    settings: Settings
    given: Given


@dataclass(frozen=True)
class _Act:
    """One job: what it wants to hear, and what it does; the text is what came of it."""

    name: str
    description: str
    work: Callable[[_Order], str]
    fields: Mapping[str, dg.Field]

    @property
    def op_name(self) -> str:
        """`create_cluster` of `cluster_create`: Dagster wants them to differ."""
        return "_".join(reversed(self.name.split("_")))


def cluster_jobs(settings: Settings) -> list[dg.JobDefinition]:
    """`cluster_create`, `cluster_status`, `cluster_pause`, `cluster_resume`, `cluster_delete`."""
    identifier = settings.dwh.identifier
    confirm = dg.Field(str, description=f"{identifier}, to confirm that it is meant.")
    to_file = dg.Field(
        bool, default_value=False, is_required=False, description="Put the result into dwh.cfg."
    )
    keep = dg.Field(
        bool, default_value=True, is_required=False, description="Keep the data in a snapshot."
    )
    acts = [
        _Act(
            "cluster_create",
            "Make the Redshift warehouse of [DWH], with its role. It costs money from then on.",
            _create,
            {"confirm": confirm, "write": to_file},
        ),
        _Act("cluster_status", "Show the Redshift warehouse of [DWH].", _status, {}),
        _Act("cluster_pause", "Stop paying for the nodes of a provisioned cluster.", _pause, {}),
        _Act("cluster_resume", "Start a paused cluster again.", _resume, {}),
        _Act(
            "cluster_delete",
            "Delete the Redshift warehouse of [DWH] and its role, after a final snapshot.",
            _delete,
            {"confirm": confirm, "final_snapshot": keep},
        ),
    ]
    return [_job(act, settings) for act in acts]


def _job(act: _Act, settings: Settings) -> dg.JobDefinition:
    @dg.op(name=act.op_name, description=act.description, config_schema=dict(act.fields) or None)
    def op(context: dg.OpExecutionContext) -> None:
        given: Given = context.op_config or {}
        try:
            said = act.work(_Order(open_cluster(settings, context.log.info), settings, given))
        except SparkifyError as error:
            raise dg.Failure(str(error), allow_retries=False) from None
        context.log.info(said)
        context.add_output_metadata({"result": dg.MetadataValue.md(f"```\n{said}\n```")})

    return job_of(op, act.name, layer="cluster")


def _confirmed(order: _Order) -> Cluster:
    identifier = order.cluster.plan.identifier
    if order.given["confirm"] != identifier:
        raise ClusterError(
            f"Not confirmed, so nothing was done: set confirm to {identifier} in the configuration"
            " of the run."
        )
    return order.cluster


def _create(order: _Order) -> str:
    cluster, file = _confirmed(order), order.settings.config_file
    state, role_arn = cluster.create()
    values = configuration(cluster.plan, state, role_arn)
    if order.given["write"]:
        write(file, values)
    done = "Written to" if order.given["write"] else "Set these in"
    return (
        f"{cluster.plan.subject} is {state.status}. {done} {file}; then reload the definitions."
        f"\n\n{configuration_text(values)}"
    )


def _status(order: _Order) -> str:
    return "\n".join(order.cluster.facts())


def _pause(order: _Order) -> str:
    order.cluster.pause()
    return _status(order)


def _resume(order: _Order) -> str:
    order.cluster.resume()
    return _status(order)


def _delete(order: _Order) -> str:
    cluster = _confirmed(order)
    return cluster.farewell(cluster.delete(final_snapshot=bool(order.given["final_snapshot"])))
