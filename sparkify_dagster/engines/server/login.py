"""Who logs in to the server, and with which password: minted for each new connection.

A password is asked for when a connection needs it and is kept nowhere. How a connection is made is
not known here.
"""

import json
import re
from dataclasses import dataclass, field

from sparkify_dagster.aws.requests import Answer, Aws, AwsError, word
from sparkify_dagster.engines.base import WarehouseError
from sparkify_dagster.settings.sections import ClusterSettings, Login

SECONDS_VALID = 900
"""How long a password that IAM gives can be used to connect; a connection made lasts longer."""

_NO_SUCH = {"ClusterNotFound", "ClusterNotFoundFault", "ResourceNotFoundException"}


@dataclass(frozen=True)
class Credentials:
    """For one connection."""

    user: str
    password: str = field(repr=False)


def mint_credentials(cluster: ClusterSettings, region: str) -> Credentials:
    """User and password for one new connection, as [CLUSTER] LOGIN says.

    Raises:
        WarehouseError: if they cannot be had; it says what to do and holds no secret.
    """
    if cluster.login is Login.PASSWORD:
        return Credentials(cluster.db_user, cluster.db_password)
    if cluster.login is Login.SECRET:
        return _from_secret(cluster, region)
    if cluster.workgroup:
        return _from_workgroup(cluster, region)
    return _from_cluster(cluster, region)


def _from_secret(cluster: ClusterSettings, region: str) -> Credentials:
    """As Redshift's managed secrets are: a JSON object with `username` and `password`."""
    # An ARN says its region, which need not be the lake's.
    arn = re.match(r"arn:[a-z-]+:secretsmanager:([a-z0-9-]+):", cluster.secret_id)
    answer = _ask(
        Aws(arn.group(1) if arn else region),
        "secretsmanager",
        "GetSecretValue",
        "There is no such secret: check [CLUSTER] SECRET_ID",
        SecretId=cluster.secret_id,
    )
    user, password = _parts(word(answer, "SecretString"))
    if cluster.db_user and cluster.db_user != user:
        raise WarehouseError(
            f"[CLUSTER] DB_USER = {cluster.db_user} is not the user of the secret that SECRET_ID"
            " names: leave DB_USER empty, or name the secret of that user."
        )
    return Credentials(user, password)


def _parts(text: str) -> tuple[str, str]:
    try:
        secret = json.loads(text)
    except ValueError:
        secret = None
    user, password = (
        secret.get(name) if isinstance(secret, dict) else None for name in ("username", "password")
    )
    # Raised out of `except`: the parser's error holds the text.
    if not (isinstance(user, str) and user and isinstance(password, str) and password):
        raise WarehouseError(
            "The secret that [CLUSTER] SECRET_ID names cannot be used (its value is not shown):"
            ' expected a JSON object with the texts "username" and "password".'
        )
    return user, password


def _from_cluster(cluster: ClusterSettings, region: str) -> Credentials:
    """The user that AWS returns is the one to connect as: its name has a prefix, `IAM:`."""
    answer = _ask(
        Aws(region),
        "redshift",
        "GetClusterCredentials",
        f"There is no cluster {cluster.cluster_identifier}: check [CLUSTER] CLUSTER_IDENTIFIER",
        ClusterIdentifier=cluster.cluster_identifier,
        DbUser=re.sub("^IAMR?:", "", cluster.db_user),
        DbName=cluster.db_name,
        AutoCreate=False,
        DurationSeconds=SECONDS_VALID,
    )
    return Credentials(word(answer, "DbUser"), word(answer, "DbPassword"))


def _from_workgroup(cluster: ClusterSettings, region: str) -> Credentials:
    """Serverless gives the caller's own user: `IAM:<user>` or `IAMR:<role>`."""
    answer = _ask(
        Aws(region),
        "redshift-serverless",
        "GetCredentials",
        f"There is no workgroup {cluster.workgroup}: check [CLUSTER] WORKGROUP",
        workgroupName=cluster.workgroup,
        dbName=cluster.db_name,
        durationSeconds=SECONDS_VALID,
    )
    return Credentials(word(answer, "dbUser"), word(answer, "dbPassword"))


def _ask(aws: Aws, service: str, operation: str, if_missing: str, **parameters: object) -> Answer:
    try:
        return aws.call(service, operation, **parameters)
    except AwsError as error:
        if error.code in _NO_SUCH:
            problem = f"{if_missing} and [S3] REGION ({aws.region})."
        elif error.code == "DecryptionFailure":
            problem = (
                "AWS refuses to decrypt the secret that [CLUSTER] SECRET_ID names: give the user or"
                " role of these credentials the permission kms:Decrypt for its key."
            )
        elif service == "secretsmanager" and error.code == "InvalidRequestException":
            problem = (
                "The secret that [CLUSTER] SECRET_ID names cannot be read in its present state: it"
                " is probably being deleted. Restore it, or name another."
            )
        elif service == "secretsmanager" and error.code.startswith("InvalidParameter"):
            problem = "[CLUSTER] SECRET_ID is neither the name nor the ARN of a secret."
        else:
            problem = str(error)
    raise WarehouseError(f"Cannot log in (LOGIN = {_login(service)}). {problem}")


def _login(service: str) -> Login:
    return Login.SECRET if service == "secretsmanager" else Login.IAM
