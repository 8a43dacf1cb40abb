"""The IAM role with which Redshift reads the lake: exactly its prefixes, and nothing else."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparkify_dagster.aws.cluster.base import ClusterError, Notify, Plan, carries_tag, tags
from sparkify_dagster.aws.requests import Aws, AwsError, entries, word
from sparkify_dagster.settings import Settings

POLICY = "sparkify-reads-lake"
TRUSTED = ("redshift.amazonaws.com", "redshift-serverless.amazonaws.com")
Document = Mapping[str, object]

_NO_SUCH = "NoSuchEntity"


@dataclass(frozen=True)
class Place:
    """What may be read: every object below a prefix, or one object."""

    bucket: str
    key: str  # without a slash at its end; empty: the whole bucket
    one_object: bool = False


def places_of(settings: Settings) -> tuple[Place, ...]:
    """What Redshift has to read.

    Raises:
        ClusterError: if something of it is not on Amazon S3: one message with every key to mend.
    """
    s3 = settings.s3
    uris = {**s3.prefixes, "LOG_JSONPATH": s3.log_jsonpath, "SCRATCH": s3.scratch}
    problems = [
        f"[S3] {name} is empty" if not uri else f"[S3] {name} = {uri} is a folder of this machine"
        for name, uri in uris.items()
        if not (uri or "").startswith("s3://")
    ]
    if s3.endpoint_url:
        problems.append("[S3] ENDPOINT_URL is set: it is for storage that is not Amazon's")
    if problems:
        raise ClusterError(
            "\n  ".join(
                (
                    "Redshift reads its lake from Amazon S3 only. Copy the lake there and set the"
                    " keys to s3:// places:",
                    *problems,
                )
            )
        )
    return tuple(_place(uri or "", one_object=name == "LOG_JSONPATH") for name, uri in uris.items())


def _place(uri: str, *, one_object: bool) -> Place:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return Place(bucket, key.strip("/"), one_object)


def policy(places: Sequence[Place], partition: str) -> Document:
    """Read the objects, and list the prefixes: COPY does both."""
    objects = []
    listed: dict[str, list[str]] = {}
    for place in places:
        arn = f"arn:{partition}:s3:::{place.bucket}"
        key = _literal(place.key)
        objects.append(
            f"{arn}/{key}" if place.one_object else f"{arn}/{key}/*" if key else f"{arn}/*"
        )
        below = [key] if place.one_object else [f"{key}/*"] if key else []
        listed.setdefault(arn, []).extend(below or ["*"])
    statements: list[Document] = [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": list(dict.fromkeys(objects))}
    ]
    for arn, prefixes in listed.items():
        statement = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn}
        if "*" in prefixes:  # a whole bucket: listing it names no prefix that could be compared
            statements.append(statement)
            continue
        condition = {"StringLike": {"s3:prefix": list(dict.fromkeys(prefixes))}}
        statements.append({**statement, "Condition": condition})
    return {"Version": "2012-10-17", "Statement": statements}


def _literal(key: str) -> str:
    """In a policy `*`, `?` and `${` have a meaning, in a key they have none."""
    return "".join(f"${{{c}}}" if c in "*?$" else c for c in key)


def trust() -> Document:
    """Redshift itself may use the role, nobody else."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": list(TRUSTED)},
        "Action": "sts:AssumeRole",
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def find_role(aws: Aws, plan: Plan) -> tuple[str, bool] | None:
    """The ARN of the role of this name, and whether it was made for this warehouse."""
    try:
        answer = aws.call("iam", "GetRole", RoleName=plan.role_name)
    except AwsError as error:
        if error.code != _NO_SUCH:
            raise
        return None
    return word(answer, "Role", "Arn"), carries_tag(entries(answer, "Role", "Tags"), plan.owner)


def ensure_role(aws: Aws, plan: Plan, places: Sequence[Place], notify: Notify) -> tuple[str, bool]:
    """The ARN of the role with today's prefixes, and whether it is new.

    Raises:
        ClusterError: if a role of this name was not made for this warehouse.
    """
    found = find_role(aws, plan)
    if found and not found[1]:
        raise ClusterError(
            f"The IAM role {plan.role_name} exists and was not made for {plan.name} in"
            f" {plan.region}; it is left as it is. Choose another [DWH] IAM_ROLE_NAME."
        )
    if not found:
        answer = aws.call(
            "iam",
            "CreateRole",
            RoleName=plan.role_name,
            AssumeRolePolicyDocument=json.dumps(trust()),
            Description=f"Lets Redshift read the lake of {plan.owner}.",
            Tags=tags(plan.owner),
        )
        notify(f"IAM role {plan.role_name}: made")
    aws.call(
        "iam",
        "PutRolePolicy",
        RoleName=plan.role_name,
        PolicyName=POLICY,
        PolicyDocument=json.dumps(policy(places, aws.partition)),
    )
    return (found[0], False) if found else (word(answer, "Role", "Arn"), True)


def remove_role(aws: Aws, plan: Plan, notify: Notify) -> None:
    """Delete the role if it was made for this warehouse; repeatable."""
    found = find_role(aws, plan)
    if not found:
        return
    if not found[1]:
        notify(f"IAM role {plan.role_name}: not made for {plan.name}, left as it is")
        return
    problem = ""
    try:
        aws.call("iam", "DeleteRolePolicy", RoleName=plan.role_name, PolicyName=POLICY)
    except AwsError as error:
        if error.code != _NO_SUCH:
            raise
    try:
        aws.call("iam", "DeleteRole", RoleName=plan.role_name)
    except AwsError as error:
        if error.code != "DeleteConflict":
            raise
        problem = (
            f"The IAM role {plan.role_name} has more attached to it than was made here: detach it"
            " (aws iam list-attached-role-policies, list-role-policies), then repeat the command."
        )
    if problem:
        raise ClusterError(problem)
    notify(f"IAM role {plan.role_name}: deleted")
