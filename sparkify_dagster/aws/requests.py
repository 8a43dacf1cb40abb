"""Requests to Amazon's control planes: one place that sends them, one message for each failure.

Who logs in and who makes a cluster both come through here. What is asked, and what the answer
means, is theirs. Nothing of what S3 or a database says passes through this module.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from sparkify_dagster.errors import SparkifyError

if TYPE_CHECKING:
    import boto3
    from botocore.exceptions import BotoCoreError

Answer = Mapping[str, object]
"""What AWS answered, as its JSON: `word` and `entries` read it."""

# At DEBUG these print requests and answers, with session tokens and passwords.
_TALKATIVE = ("botocore.parsers", "botocore.endpoint", "botocore.auth", "botocore.httpsession")

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_UNKNOWN_KEY = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "AuthFailure",
    "InvalidToken",
}
_WRONG_SIGNATURE = {"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"}
_REFUSED = {
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnauthorizedException",
    "NotAuthorized",
}
_BUSY = {"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"}
_SIGN_IN = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine a role"
)


class AwsError(SparkifyError):
    """AWS did not do what it was asked; ``code`` is its name for that, empty if it never heard."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message, code)
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])


class Aws:
    """The control planes of one region, with credentials from the ordinary AWS chain."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._clients: dict[str, object] = {}

    @cached_property
    def _session(self) -> "boto3.Session":
        """Its own: boto3's shared one must not be used by several threads."""
        import boto3

        return boto3.Session(region_name=self.region)

    @property
    def partition(self) -> str:
        """What an ARN of this region begins with after `arn:`: aws, aws-cn or aws-us-gov.

        Raises:
            AwsError: if no partition has regions of such a name.
        """
        from botocore.exceptions import BotoCoreError

        try:
            return self._session.get_partition_for_region(self.region)
        except BotoCoreError as error:
            problem = _unsent(error, "service", self.region)
        raise AwsError(problem)

    def call(self, service: str, operation: str, **parameters: object) -> Answer:
        """One request, such as `call("iam", "GetRole", RoleName=…)`.

        Raises:
            AwsError: if there are no credentials, AWS cannot be reached, or it refuses.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        _hush()
        client: object = None
        try:
            client = self._client(service)
            method = getattr(client, _snake(operation))
            answer: Answer = method(**parameters)
            return answer
        except ClientError as error:
            code, said = error.response["Error"].get("Code", ""), error.response["Error"]
            problem = _refusal(code, said.get("Message", ""), f"{service}:{operation}", self.region)
        except BotoCoreError as error:
            code, problem = "", _unsent(error, service, self.region)
        except ValueError:  # botocore's way to refuse an address, which it quotes
            if client is not None:
                raise
            code, problem = (
                "",
                (
                    f"The address of AWS ({service} in {self.region!r}) cannot be used: check [S3]"
                    " REGION and AWS_ENDPOINT_URL."
                ),
            )
        # Raised out here: what is attached to the errors above may hold a token or a password.
        raise AwsError(problem, code)

    def _client(self, service: str) -> object:
        from botocore.config import Config

        if service not in self._clients:
            config = Config(
                connect_timeout=10,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": 4},
            )
            self._clients[service] = self._session.client(service, config=config)  # type: ignore[call-overload]  # any service, by its name
        return self._clients[service]


def word(answer: object, *path: str) -> str:
    """The text (or number, as text) at this path of an answer; empty if there is none."""
    for name in path:
        answer = answer.get(name) if isinstance(answer, Mapping) else None
    return "" if answer is None else str(answer)


def entries(answer: Answer, *path: str) -> Sequence[Answer]:
    """The objects of the list at this path of an answer."""
    found: object = answer
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _snake(operation: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower()


def _hush() -> None:
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if logger.isEnabledFor(logging.DEBUG):
            logger.setLevel(logging.INFO)


def _refusal(code: str, said: str, action: str, region: str) -> str:
    if code in _EXPIRED:
        return "The AWS credentials have expired: sign in again, or renew AWS_SESSION_TOKEN."
    if code in _UNKNOWN_KEY:
        return (
            f"AWS does not know the access key ({code}): check AWS_ACCESS_KEY_ID,"
            " AWS_SESSION_TOKEN or AWS_PROFILE."
        )
    if code in _WRONG_SIGNATURE:
        return (
            f"AWS refuses the signature ({code}): check AWS_SECRET_ACCESS_KEY, and the clock of"
            " this machine."
        )
    if code in _REFUSED:
        return (
            f"AWS refuses {action} in {region} ({code}): give the user or role of these"
            f" credentials the permission {action}."
        )
    if code in _BUSY:
        return f"AWS is asked too often ({code} for {action}): run again in a minute."
    return f"AWS refused {action} in {region}: {code}{_shown(said)}"


def _shown(said: str) -> str:
    """AWS's own sentence, without anything that looks like a key."""
    text = re.sub(r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b", "[access key]", " ".join(said.split()))
    return f": {text[:300]}" if text else "."


def _unsent(error: "BotoCoreError", service: str, region: str) -> str:
    """A request that got no answer. Its text is not shown: it may hold what was to be sent."""
    from botocore import exceptions as e

    name = type(error).__name__
    if isinstance(error, e.NoCredentialsError | e.PartialCredentialsError):
        return f"There are no AWS credentials: {_SIGN_IN}."
    if isinstance(error, e.ProfileNotFound | e.ConfigParseError | e.ConfigNotFound):
        return f"The AWS configuration cannot be used ({name}): check AWS_PROFILE and ~/.aws."
    if "SSO" in name or "Token" in name or isinstance(error, e.CredentialRetrievalError):
        return f"The AWS credentials could not be had ({name}): sign in again (aws sso login)."
    if isinstance(
        error,
        e.NoRegionError | e.UnknownRegionError | e.InvalidRegionError | e.EndpointProviderError,
    ):
        return f"AWS has no {service} in a region {region!r} ({name}): check [S3] REGION."
    if isinstance(error, e.HTTPClientError | e.ConnectionError):
        return (
            f"AWS ({service} in {region}) cannot be reached ({name}): check the network, the proxy"
            " and [S3] REGION."
        )
    return f"The request to AWS ({service} in {region}) could not be made: {name}."
