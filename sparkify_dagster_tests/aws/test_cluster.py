"""The life of a warehouse on AWS: made once, waited for, paused, and deleted with all it had."""

from typing import Any

import pytest

from sparkify_dagster.aws.cluster import Cluster, ClusterError, lifecycle, open_cluster
from sparkify_dagster.aws.cluster.base import TAG
from sparkify_dagster.aws.requests import AwsError
from sparkify_dagster_tests.aws.conftest import ClusterProject, FakeAws
from sparkify_dagster_tests.aws.fake_serverless import REGION, Refused

KINDS = ["serverless", "provisioned"]
OUR_TAG = {"Key": TAG, "Value": f"{REGION}/sparkify"}
ROLE = "sparkify-redshift-reads-lake"


class Recorder(list[str]):
    """What was notified, line by line."""

    @property
    def text(self) -> str:
        return "\n".join(self)


@pytest.fixture
def reported() -> Recorder:
    return Recorder()


class Account:
    """The warehouse of a project on the fake AWS, opened anew for each command."""

    def __init__(self, aws: FakeAws, project: ClusterProject, reported: Recorder) -> None:
        self.aws, self.project, self.reported = aws, project, reported

    def open(self, **dwh: str) -> Cluster:
        return open_cluster(self.project.settings(**dwh), self.reported.append, self.aws.clock)

    def inventory(self) -> dict[str, object]:
        """Everything that somebody could have made."""
        return {
            "clusters": {name: cluster.tags for name, cluster in self.aws.clusters.items()},
            "namespaces": sorted(self.aws.serverless.namespaces),
            "workgroups": sorted(self.aws.serverless.workgroups),
            "roles": self.aws.roles(),
            "groups": [(group["GroupName"], group["IpPermissions"]) for group in self.aws.groups()],
        }


@pytest.fixture
def account(aws: FakeAws, cluster_project: ClusterProject, reported: Recorder) -> Account:
    return Account(aws, cluster_project, reported)


# Creation


@pytest.mark.parametrize("kind", KINDS)
def test_a_warehouse_is_made_and_waited_for(account: Account, kind: str) -> None:
    state, role_arn = account.open(KIND=kind).create()
    assert state.available
    assert (state.db_name, state.db_user, state.port) == ("sparkify", "someone", "5439")
    assert state.host.startswith("sparkify.")
    assert ":secret:redshift!sparkify-someone-" in state.secret_arn
    assert role_arn == f"arn:aws:iam::123456789012:role/{ROLE}"
    assert state.roles == (role_arn,)
    assert account.aws.seconds == 30  # until others see the new role, and twice for the warehouse
    statuses = [
        line for line in account.reported if ": creating (" in line or ": available (" in line
    ]
    assert [line.split(": ")[1].split(" ")[0] for line in statuses] == ["creating", "available"]


def test_a_cluster_is_encrypted_private_and_without_a_password_of_ours(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = record(monkeypatch)
    account.open(KIND="provisioned", NUM_NODES="1").create()
    (given,) = asked["CreateCluster"]
    assert given["Encrypted"] is True
    assert given["ManageMasterPassword"] is True
    assert given["PubliclyAccessible"] is False
    assert "MasterUserPassword" not in given
    assert "VpcSecurityGroupIds" not in given
    assert (given["ClusterType"], "NumberOfNodes" in given) == ("single-node", False)
    assert given["Tags"] == [OUR_TAG]


def test_a_serverless_warehouse_is_private_and_without_a_password_of_ours(
    account: Account,
) -> None:
    account.open(BASE_CAPACITY="16").create()
    (namespace,) = account.aws.serverless.asked("CreateNamespace")
    (workgroup,) = account.aws.serverless.asked("CreateWorkgroup")
    assert namespace["manageAdminPassword"] is True
    assert "adminUserPassword" not in namespace
    assert workgroup["publiclyAccessible"] is False
    assert "securityGroupIds" not in workgroup
    assert workgroup["baseCapacity"] == 16
    tag = {"key": TAG, "value": f"{REGION}/sparkify"}
    assert namespace["tags"] == workgroup["tags"] == [tag]


def record(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """Every request from here on, by operation."""
    asked: dict[str, list[dict[str, Any]]] = {}
    call = lifecycle.Aws.call

    def recording(self: lifecycle.Aws, service: str, operation: str, **given: Any) -> Any:
        asked.setdefault(operation, []).append(given)
        return call(self, service, operation, **given)

    monkeypatch.setattr(lifecycle.Aws, "call", recording)
    return asked


@pytest.mark.parametrize("kind", KINDS)
def test_a_warehouse_that_exists_is_left_as_it_is(
    account: Account, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    first = account.open(KIND=kind, ALLOWED_CIDR="203.0.113.0/24").create()
    before = account.inventory()
    asked = record(monkeypatch)
    again = account.open(KIND=kind, ALLOWED_CIDR="203.0.113.0/24").create()
    assert again == first
    assert account.inventory() == before
    changing = [name for name in asked if not name.startswith(("Get", "List", "Describe"))]
    assert changing == ["PutRolePolicy"]
    assert "left as it is" in account.reported.text
    assert "differs" not in account.reported.text


def test_what_differs_from_the_settings_is_reported_and_not_changed(account: Account) -> None:
    account.open(KIND="provisioned").create()
    account.open(KIND="provisioned", NUM_NODES="4", ALLOWED_CIDR="203.0.113.0/24").create()
    differences = [
        line.split("differs from [DWH]: ")[1] for line in account.reported if "differs" in line
    ]
    assert differences == [
        "2 x ra3.large, not 4 x ra3.large",
        "it is not publicly accessible, despite ALLOWED_CIDR",
        "it is not in its security group",
    ]
    assert account.aws.clusters["sparkify"].number_of_nodes == 2


@pytest.mark.parametrize("kind", KINDS)
def test_somebody_elses_warehouse_of_that_name_is_never_touched(
    account: Account, kind: str
) -> None:
    if kind == "provisioned":
        account.aws.client("redshift").create_cluster(
            ClusterIdentifier="sparkify", NodeType="ra3.large", MasterUsername="a",
            Tags=[{"Key": TAG, "Value": "us-east-1/sparkify"}],
        )  # fmt: skip
        account.aws.clock.sleep(60)
    else:
        account.aws.serverless._CreateNamespace(
            "sparkify", manageAdminPassword=True, adminUsername="a", dbName="d", iamRoles=[]
        )
    before = account.inventory()
    cluster = account.open(KIND=kind)
    for act in (
        cluster.create,
        cluster.pause,
        cluster.resume,
        lambda: cluster.delete(final_snapshot=False),
    ):
        with pytest.raises(ClusterError, match="was not made by `sparkify cluster create`"):
            act()
    assert account.inventory() == before


def test_a_serverless_creation_that_stopped_in_the_middle_is_completed(account: Account) -> None:
    account.aws.serverless.refuse["CreateWorkgroup"] = Refused("AccessDeniedException")
    with pytest.raises(AwsError, match="the permission redshift-serverless:CreateWorkgroup"):
        account.open().create()
    found = account.open().look()
    assert found is not None
    assert (found.status, found.passing) == ("a namespace without workgroup", True)
    assert account.open().create()[0].available
    assert len(account.aws.serverless.asked("CreateNamespace")) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("final_snapshot", [True, False])
def test_a_creation_that_stopped_in_the_middle_can_be_deleted(
    account: Account, monkeypatch: pytest.MonkeyPatch, kind: str, final_snapshot: bool
) -> None:
    before = account.inventory()
    cluster = account.open(KIND=kind, ALLOWED_CIDR="203.0.113.0/24")

    def interrupt() -> None:
        raise KeyboardInterrupt

    account.aws.on_sleep = interrupt
    with pytest.raises(KeyboardInterrupt):
        cluster.create()
    account.aws.on_sleep = lambda: None
    assert account.inventory() != before
    account.open(KIND=kind).delete(final_snapshot=final_snapshot)
    assert account.inventory() == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_waiting_ends(account: Account, kind: str) -> None:
    account.aws.on_sleep = lambda: freeze(account.aws)
    with pytest.raises(
        ClusterError, match=r"is creating after 60:\d\d minutes.*repeat the command"
    ):
        account.open(KIND=kind).create()
    assert account.aws.seconds < 3700


def freeze(aws: FakeAws) -> None:
    """Nothing that AWS is doing ever ends."""
    for workgroup in aws.serverless.workgroups.values():
        workgroup |= {"status": "CREATING", "ticks": 9}
    aws.pending.clear()
    for cluster in aws.clusters.values():
        cluster.status = "creating"


def test_a_cluster_that_aws_cannot_build_is_reported(account: Account) -> None:
    def fail() -> None:
        for cluster in account.aws.clusters.values():
            cluster.status = "incompatible-network"

    account.aws.on_sleep = fail
    with pytest.raises(ClusterError, match="is incompatible-network: look at it"):
        account.open(KIND="provisioned").create()
    with pytest.raises(ClusterError, match="incompatible-network: AWS cannot mend it"):
        account.open(KIND="provisioned").create()


def test_a_cluster_that_aws_could_not_build_can_be_deleted(account: Account) -> None:
    account.open(KIND="provisioned").create()
    account.aws.clusters["sparkify"].status = "incompatible-network"
    account.open(KIND="provisioned").delete(final_snapshot=False)
    assert (account.aws.clusters, account.aws.roles()) == ({}, [])


def test_a_lake_that_redshift_cannot_read_is_refused_before_anything_is_made(
    account: Account,
) -> None:
    local = {"S3__LOG_DATA": "lake/logs", "S3__SCRATCH": "", "S3__ENDPOINT_URL": "http://h:9000"}
    config = account.project.config
    config.write_text(config.read_text().replace("SCRATCH = s3://lake-scratch/tmp/sparkify", ""))
    with pytest.raises(ClusterError) as caught:
        account.open(**local).create()
    first, *problems = str(caught.value).splitlines()
    assert "Amazon S3 only" in first
    assert [line.split()[1] for line in problems] == ["LOG_DATA", "SCRATCH", "ENDPOINT_URL"]
    assert account.aws.roles() == []


def test_a_port_that_redshift_does_not_have_is_refused(account: Account) -> None:
    with pytest.raises(ClusterError, match=r"DB_PORT = 5500 is no port of Redshift"):
        account.open(CLUSTER__DB_PORT="5500")
    on_postgres = {"WAREHOUSE__ENGINE": "postgres", "CLUSTER__DB_PORT": "9999"}
    assert account.open(**on_postgres).plan.port == 5439


def test_an_account_without_a_default_vpc_gets_a_message_with_what_to_do(account: Account) -> None:
    ec2 = account.aws.client("ec2")
    (vpc,) = ec2.describe_vpcs()["Vpcs"]
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=vpc["VpcId"])
    with pytest.raises(ClusterError, match=r"no default VPC in us-west-2.*create-default-vpc"):
        account.open().create()


# Pause and resume


def test_a_cluster_is_paused_and_resumed(account: Account) -> None:
    cluster = account.open(KIND="provisioned")
    cluster.create()
    cluster.pause()
    assert account.aws.clusters["sparkify"].status == "paused"
    cluster.pause()
    assert "The cluster sparkify in us-west-2 is paused already" in account.reported
    cluster.resume()
    assert account.aws.clusters["sparkify"].status == "available"
    cluster.resume()
    assert "The cluster sparkify in us-west-2 is available already" in account.reported


def test_a_serverless_workgroup_needs_no_pause(account: Account) -> None:
    cluster = account.open()
    cluster.create()
    asked = len(account.aws.serverless.calls)
    cluster.pause()
    cluster.resume()
    assert account.reported.count(lifecycle.SLEEPS_BY_ITSELF) == 2
    assert {name for name, _ in account.aws.serverless.calls[asked:]} == {
        "GetNamespace",
        "GetWorkgroup",
        "ListTagsForResource",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_exist_cannot_be_paused_or_shown(account: Account, kind: str) -> None:
    cluster = account.open(KIND=kind)
    for act in (cluster.pause, cluster.resume, cluster.facts):
        with pytest.raises(ClusterError, match="does not exist in us-west-2: `sparkify cluster cr"):
            act()


# Deletion


@pytest.mark.parametrize("kind", KINDS)
def test_deletion_removes_everything_that_creation_made(account: Account, kind: str) -> None:
    account.aws.client("iam").create_role(RoleName="other", AssumeRolePolicyDocument="{}")
    account.aws.client("ec2").create_security_group(GroupName="other", Description="x")
    before = account.inventory()
    account.open(KIND=kind, ALLOWED_CIDR="203.0.113.0/24").create()
    assert account.open(KIND=kind).delete(final_snapshot=False) is None
    assert account.inventory() == before
    assert snapshots(account) == []


def snapshots(account: Account) -> list[str]:
    """The final ones, by name."""
    redshift = account.aws.client("redshift")
    found = redshift.describe_cluster_snapshots(SnapshotType="manual")["Snapshots"]
    names = [item["SnapshotIdentifier"] for item in found if item["SnapshotType"] == "manual"]
    return [*names, *account.aws.serverless.snapshots]


@pytest.mark.parametrize("kind", KINDS)
def test_the_data_are_kept_in_a_final_snapshot(account: Account, kind: str) -> None:
    account.open(KIND=kind).create()
    taken = account.open(KIND=kind).delete(final_snapshot=True)
    assert taken == "sparkify-final-20261123-080000"
    assert snapshots(account) == [taken]
    assert account.open(KIND=kind).look() is None


def test_a_paused_cluster_is_resumed_to_be_deleted_with_its_snapshot(account: Account) -> None:
    cluster = account.open(KIND="provisioned")
    cluster.create()
    cluster.pause()
    taken = cluster.delete(final_snapshot=True)
    assert snapshots(account) == [taken]
    assert account.aws.clusters == {}


@pytest.mark.parametrize("kind", KINDS)
def test_deletion_can_be_repeated_when_it_stopped_in_the_middle(
    account: Account, kind: str
) -> None:
    before = account.inventory()
    account.open(KIND=kind, ALLOWED_CIDR="203.0.113.0/24").create()
    stops = 0
    while account.inventory() != before:
        left = 1 + stops  # let it get one step further each time
        cluster = account.open(KIND=kind)

        def interrupt() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise KeyboardInterrupt

        account.aws.on_sleep = interrupt
        try:
            cluster.delete(final_snapshot=True)
        except KeyboardInterrupt:
            stops += 1
        account.aws.on_sleep = lambda: None
    assert stops > 0
    assert len(snapshots(account)) == 1
    account.open(KIND=kind).delete(final_snapshot=True)
    assert account.inventory() == before


def test_a_deletion_that_aws_refuses_keeps_the_data_and_the_role(account: Account) -> None:
    account.open().create()
    account.aws.serverless.refuse["DeleteNamespace"] = Refused("ValidationException", "no snapshot")
    with pytest.raises(ClusterError, match=r"its data are still there.*--no-final-snapshot"):
        account.open().delete(final_snapshot=True)
    assert list(account.aws.serverless.namespaces) == ["sparkify"]
    assert account.aws.roles() == [ROLE]
    account.open().delete(final_snapshot=True)
    assert account.aws.roles() == []
    assert len(account.aws.serverless.snapshots) == 1


def test_what_an_unfinished_deletion_left_is_reported(account: Account) -> None:
    account.open(ALLOWED_CIDR="203.0.113.0/24").create()
    account.aws.serverless.namespaces.clear()
    account.aws.serverless.workgroups.clear()
    with pytest.raises(ClusterError) as caught:
        account.open().facts()
    left = f"the IAM role {ROLE} and the security group sparkify-sparkify"
    assert f"Of an earlier one there is {left}" in str(caught.value)


def test_nothing_to_delete_is_no_error(account: Account) -> None:
    assert account.open().delete(final_snapshot=True) is None
    assert account.reported == ["The serverless workgroup sparkify does not exist in us-west-2"]
