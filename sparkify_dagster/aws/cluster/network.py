"""Who can reach the warehouse: a security group in the default VPC, open to one range of addresses.

Without ALLOWED_CIDR there is no such group, and nobody outside the VPC can.
"""

from collections.abc import Sequence

from sparkify_dagster.aws.cluster.base import (
    Clock,
    ClusterError,
    Notify,
    Plan,
    carries_tag,
    seconds,
    tags,
)
from sparkify_dagster.aws.requests import Answer, Aws, AwsError, entries, word

LIMIT = 600.0
"""Seconds to wait for AWS to take its network interfaces out of a group."""
_PAUSE = 10.0


def group_name(plan: Plan) -> str:
    return f"sparkify-{plan.identifier}"


def default_vpc(aws: Aws) -> str:
    """Where Redshift puts a warehouse for which no subnets are named.

    Raises:
        ClusterError: if the account has none.
    """
    answer = aws.call("ec2", "DescribeVpcs", Filters=[{"Name": "is-default", "Values": ["true"]}])
    for vpc in entries(answer, "Vpcs"):
        return word(vpc, "VpcId")
    raise ClusterError(
        f"This AWS account has no default VPC in {aws.region}, and the warehouse needs one. Make it"
        " with `aws ec2 create-default-vpc`, or choose another [S3] REGION."
    )


def find_group(aws: Aws, plan: Plan) -> Answer | None:
    """The group that was made for this warehouse."""
    groups = _of_this_name(aws, plan)
    return next((g for g in groups if carries_tag(entries(g, "Tags"), plan.owner)), None)


def _of_this_name(aws: Aws, plan: Plan) -> Sequence[Answer]:
    filters = [{"Name": "group-name", "Values": [group_name(plan)]}]
    return entries(aws.call("ec2", "DescribeSecurityGroups", Filters=filters), "SecurityGroups")


def ensure_group(aws: Aws, plan: Plan, notify: Notify) -> list[str]:
    """The group that lets ALLOWED_CIDR reach the port, and nothing else in; none without it.

    A group of an earlier ALLOWED_CIDR is closed: what the settings no longer allow is not allowed.
    """
    vpc = default_vpc(aws)
    group = find_group(aws, plan)
    if group:
        _close(aws, plan, group, notify)
    if not plan.allowed_cidr:
        return []
    name = group_name(plan)
    group_id = word(group, "GroupId") if group else ""
    if not group_id:
        if any(word(other, "VpcId") == vpc for other in _of_this_name(aws, plan)):
            raise ClusterError(
                f"A security group {name} exists in {vpc} and was not made for {plan.name}; it is"
                " left as it is. Choose another [DWH] IDENTIFIER."
            )
        answer = aws.call(
            "ec2",
            "CreateSecurityGroup",
            GroupName=name,
            Description=f"Who can reach the Redshift warehouse {plan.identifier}.",
            VpcId=vpc,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tags(plan.owner)}],
        )
        group_id = word(answer, "GroupId")
        notify(f"security group {name}: made")
    if not (group and any(_allows_only(rule, plan) for rule in _rules(group))):
        aws.call(
            "ec2",
            "AuthorizeSecurityGroupIngress",
            GroupId=group_id,
            IpPermissions=[_rule(plan.allowed_cidr, plan.port)],
        )
        notify(f"security group {name}: {plan.allowed_cidr} can reach port {plan.port}")
    return [group_id]


def remove_group(aws: Aws, plan: Plan, clock: Clock, notify: Notify) -> None:
    """Delete the group; AWS refuses while the network interfaces of the warehouse are in it."""
    group = find_group(aws, plan)
    if not group:
        return
    name, start = group_name(plan), clock.now()
    while True:
        try:
            aws.call("ec2", "DeleteSecurityGroup", GroupId=word(group, "GroupId"))
        except AwsError as error:
            if error.code == "InvalidGroup.NotFound":
                return
            if error.code != "DependencyViolation":
                raise
        else:
            notify(f"security group {name}: deleted")
            return
        if clock.now() - start >= LIMIT:
            raise ClusterError(
                f"The security group {name} is still in use after {seconds(LIMIT)} minutes. Take it"
                " away from what uses it, then repeat the command."
            )
        notify(f"security group {name}: still in use")
        clock.sleep(_PAUSE)


def _rule(cidr: str, port: int) -> dict[str, object]:
    return {
        "IpProtocol": "tcp",
        "FromPort": port,
        "ToPort": port,
        "IpRanges": [{"CidrIp": cidr, "Description": "[DWH] ALLOWED_CIDR"}],
    }


def _rules(group: Answer) -> list[Answer]:
    return list(entries(group, "IpPermissions"))


def _allows_only(rule: Answer, plan: Plan) -> bool:
    """Whether this is the one rule that the settings ask for."""
    others = ("Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
    return (
        word(rule, "IpProtocol") == "tcp"
        and word(rule, "FromPort") == word(rule, "ToPort") == str(plan.port)
        and [word(found, "CidrIp") for found in entries(rule, "IpRanges")] == [plan.allowed_cidr]
        and not any(entries(rule, name) for name in others)
    )


def _close(aws: Aws, plan: Plan, group: Answer, notify: Notify) -> None:
    wrong = [rule for rule in _rules(group) if not _allows_only(rule, plan)]
    if wrong:
        aws.call(
            "ec2",
            "RevokeSecurityGroupIngress",
            GroupId=word(group, "GroupId"),
            IpPermissions=wrong,
        )
        notify(f"security group {group_name(plan)}: closed for what [DWH] no longer allows")
