"""Makes, watches, pauses and deletes the Redshift warehouse that [DWH] describes, on AWS.

Everything that is made carries a tag, and only what carries it is changed or deleted. Whether
somebody wants to spend the money is asked in `cli`.
"""

from sparkify_dagster.aws.cluster.base import Clock, ClusterError, State
from sparkify_dagster.aws.cluster.configure import (
    Values,
    configuration,
    configuration_text,
    overridden,
    write,
)
from sparkify_dagster.aws.cluster.lifecycle import Cluster, open_cluster

__all__ = [
    "Clock",
    "Cluster",
    "ClusterError",
    "State",
    "Values",
    "configuration",
    "configuration_text",
    "open_cluster",
    "overridden",
    "write",
]
