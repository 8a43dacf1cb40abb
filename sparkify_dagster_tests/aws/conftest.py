"""AWS's control planes on this machine: moto, and our own Redshift Serverless, which moto lacks.

moto's clusters are available, paused and gone at once; here they take their time, as AWS does, and
have the managed secret that moto leaves out. No test lives here.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sparkify_dagster.aws.cluster import Clock
from sparkify_dagster.settings import Settings, load_settings
from sparkify_dagster_tests.aws.fake_serverless import ACCOUNT, REGION, TICKS, FakeServerless

if TYPE_CHECKING:
    from moto.redshift.models import Cluster as MotoCluster
    from moto.redshift.models import RedshiftBackend

PLANTED_KEY_ID = "AKIAPLANTEDPLANTED01"
PLANTED_KEY = "planted-secret-key-never-shown"
PLANTED_TOKEN = "planted-session-token-never-shown"
PLANTED = (PLANTED_KEY_ID, PLANTED_KEY, PLANTED_TOKEN)


@dataclass
class FakeAws:
    """What a test sees of AWS, and the clock that makes time pass there."""

    serverless: FakeServerless
    seconds: float = 0.0
    pending: dict[str, tuple[int, Callable[[], None]]] = field(default_factory=dict)
    on_sleep: Callable[[], None] = lambda: None

    def client(self, service: str) -> Any:
        import boto3

        return boto3.client(service, region_name=REGION)

    @property
    def clock(self) -> Clock:
        return Clock(
            lambda: self.seconds, self._sleep, lambda: datetime(2026, 11, 23, 8, tzinfo=UTC)
        )

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.serverless.tick()
        for name, (ticks, then) in list(self.pending.items()):
            if ticks > 1:
                self.pending[name] = (ticks - 1, then)
            else:
                del self.pending[name]
                then()
        self.on_sleep()

    @property
    def clusters(self) -> dict[str, "MotoCluster"]:
        from moto.redshift.models import redshift_backends

        return redshift_backends[ACCOUNT][REGION].clusters

    def later(self, cluster: "MotoCluster", status: str, then: Callable[[], None]) -> None:
        """The cluster has this status until time has passed."""
        cluster.status = status
        self.pending[cluster.cluster_identifier] = (TICKS, then)

    def roles(self) -> list[str]:
        return [role["RoleName"] for role in self.client("iam").list_roles()["Roles"]]

    def groups(self) -> list[dict[str, Any]]:
        found = self.client("ec2").describe_security_groups()["SecurityGroups"]
        return [group for group in found if group["GroupName"] != "default"]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    """An AWS account of its own, empty but for what every account has."""
    # Imported here: every run of the suite would wait two seconds for moto.
    import botocore.handlers
    import botocore.session
    from moto import mock_aws

    loader = _loader()
    monkeypatch.setattr(botocore.session, "create_loader", lambda *_: loader)
    serverless = FakeServerless()
    with pytest.MonkeyPatch.context() as around, ExitStack() as account:
        # Also while the account is taken down: moto would make hundreds of images once more.
        around.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        account.enter_context(mock_aws())
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", PLANTED_KEY_ID)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PLANTED_KEY)
        monkeypatch.setenv("AWS_SESSION_TOKEN", PLANTED_TOKEN)
        monkeypatch.setattr(
            botocore.handlers,
            "BUILTIN_HANDLERS",
            [
                *botocore.handlers.BUILTIN_HANDLERS,
                ("before-send.redshift-serverless", serverless),
            ],
        )
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        fake = FakeAws(serverless)
        _take_time(fake, monkeypatch)
        monkeypatch.setattr("sparkify_dagster.aws.cluster.lifecycle.Clock", lambda: fake.clock)
        yield fake
        # First what was set in here, also by the test: moto takes back its own credentials, stops
        # if somebody removed them, and what was undone after it would stay for other tests.
        monkeypatch.undo()


@cache
def _loader() -> Any:
    """The descriptions of AWS's services, read once and not for every client anew."""
    from botocore.loaders import create_loader

    return create_loader()


def _take_time(fake: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.redshift.models import Cluster as MotoCluster
    from moto.redshift.models import RedshiftBackend

    create, delete = RedshiftBackend.create_cluster, RedshiftBackend.delete_cluster

    def slow_create(self: "RedshiftBackend", **given: Any) -> "MotoCluster":
        cluster = create(self, **given)
        fake.later(cluster, "creating", lambda: setattr(cluster, "status", "available"))
        return cluster

    def slow_delete(self: "RedshiftBackend", **given: Any) -> "MotoCluster":
        cluster = self.describe_clusters(given["cluster_identifier"])[0]
        deletable = cluster.status == "available" or cluster.status.startswith("incompatible-")
        assert deletable, f"AWS does not delete a cluster that is {cluster.status}"
        status = "deleting" if given["skip_final_snapshot"] else "final-snapshot"
        if cluster.status != "available":
            status = cluster.status  # AWS may show the old one for a while
        fake.later(cluster, status, lambda: delete(self, **given) and None)
        return cluster

    def change(status: str, at_last: str) -> Callable[..., None]:
        def slowly(cluster: "MotoCluster") -> None:
            fake.later(cluster, status, lambda: setattr(cluster, "status", at_last))

        return slowly

    monkeypatch.setattr(RedshiftBackend, "create_cluster", slow_create)
    monkeypatch.setattr(RedshiftBackend, "delete_cluster", slow_delete)
    monkeypatch.setattr(MotoCluster, "pause", change("pausing", "paused"))
    monkeypatch.setattr(MotoCluster, "resume", change("resuming", "available"))
    monkeypatch.setattr(
        MotoCluster,
        "master_password_secret_arn",
        property(
            lambda self: (
                f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:redshift!"
                f"{self.cluster_identifier}-{self.master_username}-AbCdEf"
            )
        ),
        raising=False,
    )


CONFIG = """\
# What is said here stays.
[WAREHOUSE]
ENGINE = duckdb

[CLUSTER]
; an old server
HOST =
db_user: someone
[S3]
LOG_DATA = s3://lake/log_data
SONG_DATA = 's3://lake/song_data/'
LOG_JSONPATH = s3://paths/log_json_path.json
SCRATCH = s3://lake-scratch/tmp/sparkify
[PARTITIONS]
FIRST_DAY = 2018-11-01
# The end.
"""


@dataclass
class ClusterProject:
    """A folder with a dwh.cfg whose lake is on S3."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "dwh.cfg"

    def settings(self, **dwh: str) -> Settings:
        """With these keys of [DWH] (or of another section, as S3__REGION) changed."""
        environ = {
            f"SPARKIFY_{name.replace('__', '_') if '__' in name else f'DWH_{name}'}": value
            for name, value in dwh.items()
        }
        return load_settings(self.config, environ, server_exists=False)


@pytest.fixture
def cluster_project(tmp_path: Path) -> ClusterProject:
    """A configuration for a serverless warehouse that reads a lake on S3."""
    (tmp_path / "dwh.cfg").write_text(CONFIG, encoding="utf-8")
    return ClusterProject(tmp_path)
