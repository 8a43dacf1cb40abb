"""What both kinds of warehouse have in common: the plan, the state, the tag, and time.

What is asked of AWS for each kind is in `provisioned` and `serverless`, in which order in
`lifecycle`.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sparkify_dagster.aws.requests import Answer, word
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings import Settings
from sparkify_dagster.settings.sections import REDSHIFT_PORT, WarehouseKind

Notify = Callable[[str], None]

TAG = "sparkify:warehouse"
"""Its value is `<region>/<identifier>`: two warehouses never take each other's role for theirs."""

_PORTS = (range(5431, 5456), range(8191, 8216))  # what AWS accepts for RA3 nodes and serverless

UNFINISHED = "a namespace without workgroup"
"""The status of a serverless namespace that has no workgroup."""
BROKEN = ("hardware-failure", "incompatible-", "storage-full")
"""How a status begins that time alone does not change."""


class ClusterError(SparkifyError):
    """The warehouse cannot be made, changed or deleted as asked."""


@dataclass(frozen=True)
class Clock:
    """Time, to be replaced by a test: seconds since some moment, waiting, and the date."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    today: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Plan:
    """What is to be, out of [DWH] and [CLUSTER]."""

    kind: WarehouseKind
    identifier: str
    region: str
    node_type: str
    num_nodes: int
    base_capacity: int
    db_name: str
    db_user: str
    port: int
    role_name: str
    allowed_cidr: str | None

    @property
    def owner(self) -> str:
        """The value of the tag."""
        return f"{self.region}/{self.identifier}"

    @property
    def size(self) -> str:
        if self.kind is WarehouseKind.SERVERLESS:
            return f"{self.base_capacity} RPU"
        return f"{self.num_nodes} x {self.node_type}"

    @property
    def name(self) -> str:
        """Within a sentence."""
        if self.kind is WarehouseKind.SERVERLESS:
            return f"the serverless workgroup {self.identifier}"
        return f"the cluster {self.identifier}"

    @property
    def subject(self) -> str:
        """At the beginning of a sentence."""
        return self.name[0].upper() + self.name[1:]


def plan_of(settings: Settings) -> Plan:
    """What the settings ask for.

    Raises:
        ClusterError: if Redshift has no such port.
    """
    dwh, cluster, port = settings.dwh, settings.cluster, settings.redshift_port
    if not any(port in ports for ports in _PORTS):
        raise ClusterError(
            f"[CLUSTER] DB_PORT = {port} is no port of Redshift: choose {REDSHIFT_PORT}, or one"
            " from 5431 to 5455 or 8191 to 8215."
        )
    return Plan(
        kind=dwh.kind,
        identifier=dwh.identifier,
        region=settings.s3.region,
        node_type=dwh.node_type,
        num_nodes=dwh.num_nodes,
        base_capacity=dwh.base_capacity,
        db_name=cluster.db_name or "sparkify",
        db_user=cluster.db_user or "sparkify_admin",
        port=port,
        role_name=dwh.iam_role_name,
        allowed_cidr=dwh.allowed_cidr,
    )


@dataclass(frozen=True)
class State:
    """A warehouse as AWS describes it. ``status`` is AWS's word in small letters."""

    status: str
    ours: bool
    size: str = ""
    host: str = ""
    port: str = ""
    db_name: str = ""
    db_user: str = ""
    secret_arn: str = ""
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    public: bool = False

    @property
    def facts(self) -> dict[str, str]:
        """What is worth showing of it, by its name; empty where AWS does not say."""
        return {
            "made by sparkify": "yes" if self.ours else "no",
            "size": self.size,
            "address": f"{self.host}:{self.port}" if self.host else "",
            "publicly accessible": "yes" if self.public else "no",
            "database": self.db_name,
            "administrator": self.db_user,
            "secret": self.secret_arn,
            "roles": ", ".join(self.roles),
            "security groups": ", ".join(self.groups),
        }

    @property
    def available(self) -> bool:
        return self.status.startswith("available")

    @property
    def broken(self) -> bool:
        return self.status.startswith(BROKEN)

    @property
    def settled(self) -> bool:
        """Whether waiting changes nothing."""
        return self.available or self.broken or self.status in ("paused", UNFINISHED)

    @property
    def passing(self) -> bool:
        """Whether `create` makes something all the same: it is incomplete, or on its way out."""
        return self.status in (UNFINISHED, "deleting", "final-snapshot")


Done = Callable[[State | None], bool]


class Maker(ABC):
    """One kind of warehouse: single requests to AWS, without waiting for what they lead to."""

    @abstractmethod
    def look(self) -> State | None:
        """What there is of it; None if there is nothing."""

    @abstractmethod
    def make(self, role_arn: str, groups: Sequence[str]) -> None:
        """Ask for what is missing of it."""

    @abstractmethod
    def remove(self, state: State, snapshot: str | None) -> Done:
        """Ask for the next part to be deleted; tells when that is done. None: no snapshot."""


def tags(owner: str) -> list[dict[str, str]]:
    return [{"Key": TAG, "Value": owner}]


def carries_tag(found: Sequence[Answer], owner: str) -> bool:
    """Whether the tag is among these, whatever the case of a service's `Key` and `Value`."""
    pairs = [{name.lower(): word(tag, name) for name in tag} for tag in found]
    return {"key": TAG, "value": owner} in pairs


def seconds(count: float) -> str:
    """`0:30`, `12:05`: minutes and seconds."""
    return f"{int(count) // 60}:{int(count) % 60:02}"
