"""What belongs to a warehouse on AWS: role, security group, price, configuration."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from sparkify_dagster.aws.cluster import (
    ClusterError,
    State,
    configuration,
    configuration_text,
    open_cluster,
    overridden,
    write,
)
from sparkify_dagster.aws.cluster.base import plan_of
from sparkify_dagster.aws.cluster.configure import edited
from sparkify_dagster.aws.cluster.prices import NODE_HOUR, estimate
from sparkify_dagster.aws.cluster.role import Place, places_of, policy
from sparkify_dagster.aws.requests import Aws, AwsError
from sparkify_dagster.settings import load_settings
from sparkify_dagster_tests.aws.conftest import CONFIG, ClusterProject, FakeAws

ROLE = "sparkify-redshift-reads-lake"
CIDR = "203.0.113.0/24"
SHIPPED = Path(__file__).parents[2] / "dwh.cfg"
STATE = State(
    status="available",
    ours=True,
    host="sparkify.x.redshift.amazonaws.com",
    port="5439",
    db_name="sparkify",
    db_user="admin",
    secret_arn="arn:aws:secretsmanager:us-west-2:123456789012:secret:redshift!sparkify-admin-AbC",
)
ROLE_ARN = f"arn:aws:iam::123456789012:role/{ROLE}"


# The role


def made(aws: FakeAws, project: ClusterProject, **dwh: str) -> None:
    open_cluster(project.settings(**dwh), lambda _: None, aws.clock).create()


def test_the_role_reads_the_prefixes_of_the_lake_and_nothing_else(
    aws: FakeAws, cluster_project: ClusterProject
) -> None:
    made(aws, cluster_project)
    iam = aws.client("iam")
    names = iam.list_role_policies(RoleName=ROLE)["PolicyNames"]
    assert names == ["sparkify-reads-lake"]
    assert iam.list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"] == []
    document = iam.get_role_policy(RoleName=ROLE, PolicyName=names[0])["PolicyDocument"]
    assert document == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "s3:GetObject",
                "Resource": [
                    "arn:aws:s3:::lake/log_data/*",
                    "arn:aws:s3:::lake/song_data/*",
                    "arn:aws:s3:::paths/log_json_path.json",
                    "arn:aws:s3:::lake-scratch/tmp/sparkify/*",
                ],
            },
            listing("lake", "log_data/*", "song_data/*"),
            listing("paths", "log_json_path.json"),
            listing("lake-scratch", "tmp/sparkify/*"),
        ],
    }


def listing(bucket: str, *prefixes: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{bucket}",
        "Condition": {"StringLike": {"s3:prefix": list(prefixes)}},
    }


def test_only_redshift_can_take_the_role(aws: FakeAws, cluster_project: ClusterProject) -> None:
    made(aws, cluster_project)
    role = aws.client("iam").get_role(RoleName=ROLE)["Role"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    services = ["redshift.amazonaws.com", "redshift-serverless.amazonaws.com"]
    assert statement["Principal"] == {"Service": services}
    assert statement["Action"] == "sts:AssumeRole"


def test_a_star_in_a_prefix_opens_nothing() -> None:
    document = json.dumps(policy([Place("b", "a*b?c$d")], "aws"))
    assert "b/a${*}b${?}c${$}d/*" in document
    assert "a*b" not in document


def test_a_whole_bucket_is_listed_without_a_condition() -> None:
    _, listing = policy([Place("b", "x"), Place("b", "")], "aws-cn")["Statement"]  # type: ignore[misc]  # typed as any JSON, is a list
    assert listing == {
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": "arn:aws-cn:s3:::b",
    }


def test_the_role_follows_a_lake_that_moves(aws: FakeAws, cluster_project: ClusterProject) -> None:
    made(aws, cluster_project)
    made(aws, cluster_project, S3__LOG_DATA="s3://elsewhere/logs")
    document = aws.client("iam").get_role_policy(RoleName=ROLE, PolicyName="sparkify-reads-lake")
    assert "elsewhere/logs/*" in str(document)
    assert "lake/log_data" not in str(document)


def test_a_role_of_somebody_else_is_neither_used_nor_deleted(
    aws: FakeAws, cluster_project: ClusterProject
) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    aws.client("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust)
    with pytest.raises(ClusterError, match="Choose another \\[DWH\\] IAM_ROLE_NAME"):
        made(aws, cluster_project)
    reported: list[str] = []
    open_cluster(cluster_project.settings(), reported.append, aws.clock).delete(final_snapshot=True)
    assert aws.roles() == [ROLE]
    assert aws.client("iam").list_role_policies(RoleName=ROLE)["PolicyNames"] == []
    assert f"IAM role {ROLE}: not made for the serverless workgroup sparkify" in reported[-1]


def test_the_role_of_the_same_warehouse_in_another_region_is_somebody_elses(
    aws: FakeAws, cluster_project: ClusterProject
) -> None:
    made(aws, cluster_project, KIND="provisioned")
    with pytest.raises(ClusterError, match=r"was not made for .* in us-east-1"):
        made(aws, cluster_project, KIND="provisioned", S3__REGION="us-east-1")


def test_a_role_to_which_somebody_attached_more_is_reported(
    aws: FakeAws, cluster_project: ClusterProject
) -> None:
    made(aws, cluster_project)
    document = json.dumps(policy([Place("b", "x")], "aws"))
    created = aws.client("iam").create_policy(PolicyName="more", PolicyDocument=document)
    more = {"PolicyArn": created["Policy"]["Arn"], "RoleName": ROLE}
    aws.client("iam").attach_role_policy(**more)
    cluster = open_cluster(cluster_project.settings(), lambda _: None, aws.clock)
    with pytest.raises(ClusterError, match=r"has more attached to it.*then repeat the command"):
        cluster.delete(final_snapshot=False)
    aws.client("iam").detach_role_policy(**more)
    cluster.delete(final_snapshot=False)
    assert aws.roles() == []


# The security group


@pytest.mark.parametrize("kind", ["serverless", "provisioned"])
def test_the_allowed_addresses_reach_the_port_and_nothing_else(
    aws: FakeAws, cluster_project: ClusterProject, kind: str
) -> None:
    made(aws, cluster_project, KIND=kind, ALLOWED_CIDR=CIDR, CLUSTER__DB_PORT="5440")
    (group,) = aws.groups()
    (vpc,) = aws.client("ec2").describe_vpcs()["Vpcs"]
    (rule,) = group["IpPermissions"]
    assert group["VpcId"] == vpc["VpcId"]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 5440, 5440)
    assert [found["CidrIp"] for found in rule["IpRanges"]] == [CIDR]
    assert rule["UserIdGroupPairs"] == rule.get("Ipv6Ranges", []) == []
    state = open_cluster(cluster_project.settings(KIND=kind), lambda _: None).look()
    assert state is not None
    assert state.public
    assert state.groups == (group["GroupId"],)


def test_what_the_settings_no_longer_allow_is_closed(
    aws: FakeAws, cluster_project: ClusterProject
) -> None:
    made(aws, cluster_project, ALLOWED_CIDR=CIDR)
    made(aws, cluster_project, ALLOWED_CIDR="198.51.100.7/32")
    assert allowed(aws) == ["198.51.100.7/32"]
    made(aws, cluster_project)
    assert allowed(aws) == []


def allowed(aws: FakeAws) -> list[str]:
    (group,) = aws.groups()
    rules = group["IpPermissions"]
    return [found["CidrIp"] for rule in rules for found in rule["IpRanges"]]


def test_a_group_of_somebody_else_is_neither_used_nor_changed_nor_deleted(
    aws: FakeAws, cluster_project: ClusterProject
) -> None:
    ec2 = aws.client("ec2")
    group = ec2.create_security_group(GroupName="sparkify-sparkify", Description="x")
    ec2.authorize_security_group_ingress(
        GroupId=group["GroupId"], IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="10.0.0.0/8"
    )
    before = aws.groups()
    with pytest.raises(ClusterError, match=r"A security group sparkify-sparkify exists in vpc-"):
        made(aws, cluster_project, ALLOWED_CIDR=CIDR)
    made(aws, cluster_project)
    open_cluster(cluster_project.settings(), [].append, aws.clock).delete(final_snapshot=False)
    assert aws.groups() == before


def test_the_whole_internet_is_let_in_only_if_configured(
    aws: FakeAws, cluster_project: ClusterProject
) -> None:
    with pytest.raises(Exception, match="opens the warehouse to everybody"):
        made(aws, cluster_project, ALLOWED_CIDR="0.0.0.0/0")
    assert aws.groups() == []
    made(aws, cluster_project, ALLOWED_CIDR="0.0.0.0/0", ALLOW_ANY_ADDRESS="yes")
    assert allowed(aws) == ["0.0.0.0/0"]


def test_a_group_that_is_still_in_use_is_waited_for(
    aws: FakeAws, cluster_project: ClusterProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(aws, cluster_project, ALLOWED_CIDR=CIDR)
    busy, call = [3], Aws.call

    def in_use(self: Aws, service: str, operation: str, **given: Any) -> Any:
        if operation == "DeleteSecurityGroup" and busy[0]:
            busy[0] -= 1
            raise AwsError("in use", "DependencyViolation")
        return call(self, service, operation, **given)

    monkeypatch.setattr(Aws, "call", in_use)
    cluster = open_cluster(cluster_project.settings(), lambda _: None, aws.clock)
    cluster.delete(final_snapshot=False)
    assert (busy, aws.groups()) == ([0], [])


def test_a_group_that_stays_in_use_is_reported(
    aws: FakeAws, cluster_project: ClusterProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(aws, cluster_project, ALLOWED_CIDR=CIDR)
    call = Aws.call

    def in_use(self: Aws, service: str, operation: str, **given: Any) -> Any:
        if operation == "DeleteSecurityGroup":
            raise AwsError("in use", "DependencyViolation")
        return call(self, service, operation, **given)

    monkeypatch.setattr(Aws, "call", in_use)
    cluster = open_cluster(cluster_project.settings(), lambda _: None, aws.clock)
    with pytest.raises(ClusterError, match=r"sparkify-sparkify is still in use after 10:00"):
        cluster.delete(final_snapshot=False)


# The price


def test_the_estimate_says_how_much_of_when_and_where_to_look(
    cluster_project: ClusterProject,
) -> None:
    said = estimate(plan_of(cluster_project.settings()))
    assert "$3.00 for an hour of queries (8 RPU x $0.375" in said
    for part in ("estimate", "September 2026", "us-west-2", "https://aws.amazon.com/redshift/pric"):
        assert part in said
    nodes = estimate(plan_of(cluster_project.settings(KIND="provisioned")))
    assert "$1.09 an hour, $793 a month, busy or not (2 x ra3.large at $0.543)" in nodes


def test_an_estimate_for_another_region_says_that_it_is_not_of_there(
    cluster_project: ClusterProject,
) -> None:
    said = estimate(plan_of(cluster_project.settings(S3__REGION="sa-east-1")))
    assert "in us-east-1; sa-east-1 may cost more" in said


def test_a_node_without_a_known_price_is_not_guessed(cluster_project: ClusterProject) -> None:
    unknown = {"KIND": "provisioned", "NODE_TYPE": "rg.large"}
    assert "rg.large" not in NODE_HOUR
    said = estimate(plan_of(cluster_project.settings(**unknown)))
    assert said.startswith("Cost: no price of rg.large is known here. See https://aws")


# The configuration


def values(project: ClusterProject, **dwh: str) -> Any:
    return configuration(plan_of(project.settings(**dwh)), STATE, ROLE_ARN)


def test_the_written_configuration_is_the_one_that_logs_in(
    cluster_project: ClusterProject,
) -> None:
    write(cluster_project.config, values(cluster_project))
    loaded = load_settings(cluster_project.config, {})
    assert loaded.warehouse.engine == "redshift"
    cluster = loaded.cluster
    assert (cluster.host, cluster.db_port) == (STATE.host, 5439)
    assert (cluster.db_name, cluster.db_user) == ("sparkify", "admin")
    assert (cluster.login, cluster.secret_id) == ("secret", STATE.secret_arn)
    assert (cluster.workgroup, cluster.cluster_identifier) == ("sparkify", "")
    assert loaded.iam_role_arn == ROLE_ARN
    write(cluster_project.config, values(cluster_project, KIND="provisioned"))
    cluster = load_settings(cluster_project.config, {}).cluster
    assert (cluster.workgroup, cluster.cluster_identifier) == ("", "sparkify")


def test_everything_else_in_the_file_stays(cluster_project: ClusterProject) -> None:
    write(cluster_project.config, values(cluster_project))
    after = cluster_project.config.read_text(encoding="utf-8").splitlines()
    changed = {"ENGINE = duckdb", "HOST =", "db_user: someone"}
    before = [line for line in CONFIG.splitlines() if line and line not in changed]
    assert [line for line in after if line in before] == before
    assert after[after.index("; an old server") + 1] == f"HOST = {STATE.host}"
    assert "db_user = admin" in after


def test_the_shipped_file_keeps_every_comment_and_line(cluster_project: ClusterProject) -> None:
    before = SHIPPED.read_text(encoding="utf-8")
    after = edited(before, values(cluster_project))
    before_lines, after_lines = before.splitlines(), after.splitlines()
    pairs = list(zip(before_lines, after_lines, strict=True))
    names = [new.partition(" = ")[0] for old, new in pairs if old != new]
    assert names == ["ENGINE", "HOST", "DB_NAME", "DB_USER", "DB_PORT", "LOGIN", "SECRET_ID",
                     "WORKGROUP", "ARN"]  # fmt: skip
    assert all(old.partition("=")[0] == new.partition("=")[0] for old, new in pairs)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_mark_stay(
    cluster_project: ClusterProject, ending: str, mark: str
) -> None:
    before = (mark + CONFIG.replace("\n", ending)).encode()
    cluster_project.config.write_bytes(before)
    write(cluster_project.config, values(cluster_project))
    after = cluster_project.config.read_bytes().decode()
    assert after.startswith(mark + "# What")
    assert after.count("\n") == after.count(ending)
    assert load_settings(cluster_project.config, {}).cluster.host == STATE.host


def test_writing_twice_changes_nothing_more(cluster_project: ClusterProject) -> None:
    once = edited(CONFIG, values(cluster_project))
    assert edited(once, values(cluster_project)) == once


def test_the_file_keeps_its_mode_and_its_link(cluster_project: ClusterProject) -> None:
    real = cluster_project.folder / "real.cfg"
    cluster_project.config.rename(real)
    real.chmod(0o640)
    cluster_project.config.symlink_to(real)
    write(cluster_project.config, values(cluster_project))
    assert cluster_project.config.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(path.name for path in cluster_project.folder.iterdir()) == ["dwh.cfg", "real.cfg"]


@pytest.mark.parametrize(
    "content",
    [
        CONFIG.replace("HOST =\n", "HOST =\n  continued\n"),
        CONFIG.replace("HOST =\n", " HOST =\n"),
    ],
)
def test_a_file_written_in_an_unforeseen_way_is_left_as_it_is(
    cluster_project: ClusterProject, content: str
) -> None:
    asked = values(cluster_project)
    cluster_project.config.write_text(content, encoding="utf-8")
    with pytest.raises(ClusterError, match="cannot be replaced") as caught:
        write(cluster_project.config, asked)
    assert f"HOST = {STATE.host}" in str(caught.value)
    assert cluster_project.config.read_text(encoding="utf-8") == content


def test_a_file_that_cannot_be_written_shows_the_values_instead(
    cluster_project: ClusterProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    asked = values(cluster_project)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ClusterError, match=r"No space left on device. Set these values") as caught:
        write(cluster_project.config, asked)
    assert f"SECRET_ID = {STATE.secret_arn}" in str(caught.value)
    assert cluster_project.config.read_text(encoding="utf-8") == CONFIG
    assert [path.name for path in cluster_project.folder.iterdir()] == ["dwh.cfg"]


def test_variables_that_win_over_the_file_are_named(cluster_project: ClusterProject) -> None:
    asked = values(cluster_project)
    environ = {"SPARKIFY_CLUSTER_HOST": "old", "SPARKIFY_WAREHOUSE_ENGINE": "redshift"}
    assert overridden(asked, environ) == ["SPARKIFY_CLUSTER_HOST"]


def test_what_to_set_is_shown_as_the_file_has_it(cluster_project: ClusterProject) -> None:
    shown = configuration_text(values(cluster_project))
    assert shown.startswith("[WAREHOUSE]\nENGINE = redshift\n\n[CLUSTER]\nHOST = sparkify.x.")
    assert shown.endswith(
        f"CLUSTER_IDENTIFIER =\nWORKGROUP = sparkify\n\n[IAM_ROLE]\nARN = {ROLE_ARN}"
    )


def test_a_warehouse_without_address_or_secret_configures_nothing(
    cluster_project: ClusterProject,
) -> None:
    with pytest.raises(ClusterError, match="repeat the command when it is available"):
        configuration(plan_of(cluster_project.settings()), State("modifying", ours=True), ROLE_ARN)


def test_the_places_of_the_lake_are_read_without_their_last_slash(
    cluster_project: ClusterProject,
) -> None:
    assert Place("lake", "song_data") in places_of(cluster_project.settings())
