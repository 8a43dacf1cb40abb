"""Credentials for a connection: minted when asked, from where LOGIN says, and never shown."""

import json
import logging
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from sparkify_dagster.aws.requests import Aws, AwsError
from sparkify_dagster.engines.base import WarehouseError
from sparkify_dagster.engines.server.login import Credentials, mint_credentials
from sparkify_dagster.settings.sections import ClusterSettings
from sparkify_dagster_tests.aws.conftest import PLANTED, ClusterProject, FakeAws
from sparkify_dagster_tests.aws.fake_serverless import REGION, Refused

PASSWORD = "hunter2-never-shown"


class Login:
    """Logins as [CLUSTER] says; nothing that they log or raise holds a secret."""

    def __init__(self, project: ClusterProject, caplog: pytest.LogCaptureFixture) -> None:
        self._project, self._caplog = project, caplog

    def settings(self, **cluster: str) -> ClusterSettings:
        # The file names a user; most of these do not.
        given = {"DB_USER": "", "DB_NAME": "sparkify"} | cluster
        return self._project.settings(**{f"CLUSTER__{k}": v for k, v in given.items()}).cluster

    def mint(self, **cluster: str) -> Credentials:
        # Whoever looks for a problem of AWS turns on everything that botocore has to say.
        for name in (None, "botocore.parsers", "botocore.endpoint", "botocore.auth"):
            self._caplog.set_level(logging.DEBUG, logger=name)
        self._caplog.clear()
        try:
            return mint_credentials(self.settings(**cluster), REGION)
        finally:
            self.nothing_logged()

    def refused(self, **cluster: str) -> str:
        """The message of a login that fails."""
        with pytest.raises(WarehouseError) as caught:
            self.mint(**cluster)
        error: BaseException | None = caught.value
        for secret in (PASSWORD, *PLANTED):
            assert secret not in f"{error} {error!r}"
        assert len(str(error).splitlines()) == 1
        # What is attached to an error is shown by a traceback.
        assert error is not None
        assert error.__cause__ is None
        assert error.__context__ is None
        return str(error)

    def nothing_logged(self) -> None:
        for secret in (PASSWORD, *PLANTED):
            assert secret not in self._caplog.text


@pytest.fixture
def login(aws: FakeAws, cluster_project: ClusterProject, caplog: pytest.LogCaptureFixture) -> Login:
    return Login(cluster_project, caplog)


def secret(aws: FakeAws, value: object, name: str = "dwh") -> str:
    """A secret with this value; its ARN."""
    text = value if isinstance(value, str) else json.dumps(value)
    arn: str = aws.client("secretsmanager").create_secret(Name=name, SecretString=text)["ARN"]
    return arn


def test_credentials_show_no_password_and_do_not_change() -> None:
    credentials = Credentials("someone", PASSWORD)
    assert PASSWORD not in f"{credentials} {credentials!r} {[credentials]}"
    with pytest.raises(FrozenInstanceError):
        credentials.password = "x"  # type: ignore[misc]  # that it is frozen is what is tested


def test_a_password_is_that_of_the_settings(login: Login) -> None:
    minted = login.mint(DB_USER="u", DB_PASSWORD=PASSWORD)
    assert (minted.user, minted.password) == ("u", PASSWORD)


# A secret


def test_a_secret_is_found_by_name_and_by_arn(login: Login, aws: FakeAws) -> None:
    arn = secret(aws, {"username": "admin", "password": PASSWORD, "host": "h"})
    for named in ("dwh", arn):
        minted = login.mint(LOGIN="secret", SECRET_ID=named)
        assert (minted.user, minted.password) == ("admin", PASSWORD)


def test_an_arn_is_asked_in_its_own_region(login: Login, aws: FakeAws) -> None:
    import boto3

    client = boto3.client("secretsmanager", region_name="eu-central-1")
    value = json.dumps({"username": "admin", "password": PASSWORD})
    arn = client.create_secret(Name="dwh", SecretString=value)["ARN"]
    assert login.mint(LOGIN="secret", SECRET_ID=arn).user == "admin"


def test_a_secret_is_read_for_each_connection(login: Login, aws: FakeAws) -> None:
    secret(aws, {"username": "admin", "password": "old"})
    assert login.mint(LOGIN="secret", SECRET_ID="dwh").password == "old"
    value = json.dumps({"username": "admin", "password": "new"})
    aws.client("secretsmanager").put_secret_value(SecretId="dwh", SecretString=value)
    assert login.mint(LOGIN="secret", SECRET_ID="dwh").password == "new"


def test_a_user_of_the_settings_must_be_that_of_the_secret(login: Login, aws: FakeAws) -> None:
    secret(aws, {"username": "admin", "password": PASSWORD})
    assert login.mint(LOGIN="secret", SECRET_ID="dwh", DB_USER="admin").user == "admin"
    said = login.refused(LOGIN="secret", SECRET_ID="dwh", DB_USER="loader")
    assert said.startswith("[CLUSTER] DB_USER = loader is not the user of the secret")


@pytest.mark.parametrize(
    "value",
    [
        PASSWORD,
        f'{{"username": "admin", "password": "{PASSWORD}"',
        json.dumps([PASSWORD]),
        {"password": PASSWORD},
        {"username": "admin", "passwort": PASSWORD},
        {"username": "", "password": PASSWORD},
        {"username": "admin", "password": ""},
        {"username": "admin", "password": [PASSWORD]},
    ],
)
def test_a_malformed_secret_is_reported_and_not_shown(
    login: Login, aws: FakeAws, value: object
) -> None:
    secret(aws, value)
    said = login.refused(LOGIN="secret", SECRET_ID="dwh")
    assert 'expected a JSON object with the texts "username" and "password"' in said


def test_a_secret_of_bytes_is_reported(login: Login, aws: FakeAws) -> None:
    value = json.dumps({"username": "admin", "password": PASSWORD}).encode()
    aws.client("secretsmanager").create_secret(Name="dwh", SecretBinary=value)
    assert "cannot be used" in login.refused(LOGIN="secret", SECRET_ID="dwh")


def test_a_secret_that_is_missing_or_being_deleted_is_reported(login: Login, aws: FakeAws) -> None:
    said = login.refused(LOGIN="secret", SECRET_ID="dwh")
    assert "There is no such secret: check [CLUSTER] SECRET_ID and [S3] REGION" in said
    secret(aws, {"username": "admin", "password": PASSWORD})
    aws.client("secretsmanager").delete_secret(SecretId="dwh")
    assert "probably being deleted" in login.refused(LOGIN="secret", SECRET_ID="dwh")


def test_a_password_in_place_of_the_name_of_a_secret_is_not_shown(login: Login) -> None:
    login.refused(LOGIN="secret", SECRET_ID=PASSWORD)  # which looks for it


# IAM


def a_cluster(aws: FakeAws) -> None:
    aws.client("redshift").create_cluster(
        ClusterIdentifier="dwh", NodeType="ra3.large", MasterUsername="admin"
    )


def test_iam_mints_a_password_for_the_user_that_aws_returns(
    login: Login, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_cluster(aws)
    asked: list[dict[str, Any]] = []
    call = Aws.call

    def recording(self: Aws, service: str, operation: str, **given: Any) -> Any:
        asked.append({"operation": operation, **given})
        return call(self, service, operation, **given)

    monkeypatch.setattr(Aws, "call", recording)
    iam = {"LOGIN": "iam", "CLUSTER_IDENTIFIER": "dwh"}
    first, second = login.mint(**iam, DB_USER="loader"), login.mint(**iam, DB_USER="IAM:loader")
    assert first.user == second.user == "IAM:loader"
    assert first.password
    assert first.password != second.password
    assert asked == 2 * [
        {
            "operation": "GetClusterCredentials",
            "ClusterIdentifier": "dwh",
            "DbUser": "loader",
            "DbName": "sparkify",
            "AutoCreate": False,
            "DurationSeconds": 900,
        }
    ]


def test_a_minted_password_is_not_logged(
    login: Login, aws: FakeAws, caplog: pytest.LogCaptureFixture
) -> None:
    a_cluster(aws)
    minted = login.mint(LOGIN="iam", CLUSTER_IDENTIFIER="dwh", DB_USER="loader")
    assert minted.password not in caplog.text


def test_iam_of_a_workgroup_is_for_the_caller(login: Login, aws: FakeAws) -> None:
    aws.serverless.workgroups["dwh"] = {}
    aws.serverless.password = PASSWORD
    minted = login.mint(LOGIN="iam", WORKGROUP="dwh", DB_USER="ignored")
    assert (minted.user, minted.password) == ("IAMR:analyst", PASSWORD)
    (asked,) = aws.serverless.asked("GetCredentials")
    assert asked == {"workgroupName": "dwh", "dbName": "sparkify", "durationSeconds": 900}


def test_a_warehouse_that_does_not_exist_is_reported(login: Login) -> None:
    cluster = login.refused(LOGIN="iam", CLUSTER_IDENTIFIER="dwh", DB_USER="u")
    assert "There is no cluster dwh: check [CLUSTER] CLUSTER_IDENTIFIER and [S3] REG" in cluster
    workgroup = login.refused(LOGIN="iam", WORKGROUP="dwh")
    assert "There is no workgroup dwh: check [CLUSTER] WORKGROUP and [S3] REGION" in workgroup


# What AWS or the network refuse

REFUSALS = {
    "AccessDeniedException": "the permission redshift-serverless:GetCredentials",
    "ExpiredTokenException": "have expired: sign in again",
    "UnrecognizedClientException": "does not know the access key",
    "InvalidSignatureException": "check AWS_SECRET_ACCESS_KEY, and the clock",
    "ValidationException": "refused redshift-serverless:GetCredentials in us-west-2: Validation",
}


@pytest.mark.parametrize("code", REFUSALS)
def test_each_refusal_says_what_to_do(login: Login, aws: FakeAws, code: str) -> None:
    # What AWS says of a wrong signature holds the token; any text may hold the key's id.
    secrets = f"{PLANTED[1]} {PLANTED[2]}" if "Signature" in code else ""
    aws.serverless.refuse["GetCredentials"] = Refused(code, f"said {PLANTED[0]} {secrets}")
    said = login.refused(LOGIN="iam", WORKGROUP="dwh")
    assert said.startswith("Cannot log in (LOGIN = iam). ")
    assert REFUSALS[code] in said


def test_a_secret_that_may_not_be_read_or_decrypted_is_reported(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(code: str) -> str:
        def call(self: Aws, service: str, operation: str, **_: object) -> None:
            raise AwsError(f"AWS refuses {service}:{operation}", code)

        monkeypatch.setattr(Aws, "call", call)
        with pytest.raises(WarehouseError) as caught:
            mint_credentials(login.settings(LOGIN="secret", SECRET_ID="dwh"), REGION)
        return str(caught.value)

    assert "AWS refuses secretsmanager:GetSecretValue" in refuse("AccessDeniedException")
    assert "the permission kms:Decrypt" in refuse("DecryptionFailure")
    assert "neither the name nor the ARN" in refuse("InvalidParameterException")


LOGINS = [
    {"LOGIN": "secret", "SECRET_ID": "dwh"},
    {"LOGIN": "iam", "CLUSTER_IDENTIFIER": "dwh", "DB_USER": "u"},
    {"LOGIN": "iam", "WORKGROUP": "dwh"},
]


@pytest.mark.parametrize("how", LOGINS)
def test_no_credentials_at_all_is_reported(
    login: Login, monkeypatch: pytest.MonkeyPatch, how: dict[str, str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    assert "There are no AWS credentials: set AWS_ACCESS_KEY_ID" in login.refused(**how)


@pytest.mark.parametrize("how", LOGINS)
def test_a_profile_that_does_not_exist_is_reported(
    login: Login, monkeypatch: pytest.MonkeyPatch, how: dict[str, str]
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "(ProfileNotFound): check AWS_PROFILE and ~/.aws" in login.refused(**how)


def test_a_network_that_does_not_answer_is_reported(
    cluster_project: ClusterProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", PLANTED[0]),
        ("AWS_SECRET_ACCESS_KEY", PLANTED[1]),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),  # nothing listens there
        ("AWS_MAX_ATTEMPTS", "1"),
        ("NO_PROXY", "127.0.0.1"),
    ):
        monkeypatch.setenv(name, value)
    settings = cluster_project.settings(CLUSTER__LOGIN="secret", CLUSTER__SECRET_ID="dwh")
    with pytest.raises(WarehouseError) as caught:
        mint_credentials(settings.cluster, REGION)
    assert "AWS (secretsmanager in us-west-2) cannot be reached (Endpoint" in str(caught.value)
    assert "check the network, the proxy and [S3] REGION" in str(caught.value)


def test_an_error_survives_a_process_boundary() -> None:
    error = pickle.loads(pickle.dumps(AwsError("said", "Code")))
    assert (str(error), error.code) == ("said", "Code")


@pytest.mark.parametrize("region", ["", "auto", "mars_1"])
def test_a_region_that_aws_does_not_have_is_reported(aws: FakeAws, region: str) -> None:
    with pytest.raises(AwsError, match=r"check \[S3\] REGION"):
        _ = Aws(region).partition


def test_an_address_that_cannot_be_used_is_reported_and_not_shown(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https:/u:{PASSWORD}@h")
    said = login.refused(LOGIN="secret", SECRET_ID="dwh")
    assert "cannot be used: check [S3] REGION and AWS_ENDPOINT_URL" in said
