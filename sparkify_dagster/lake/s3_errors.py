"""What went wrong with S3, in one sentence that says what to do.

obstore reports most failures as one class with a long text. Only the status, S3's error code and
a few fixed words are taken from that text: the rest may hold an access key id or a token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sparkify_dagster.lake.base import ChangedError, FileError

EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}
UNKNOWN_KEY = {"InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken", "InvalidSecurity"}
WRONG_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "TemporaryRedirect"}
ACCESS_KEY_ID = re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b")

NETWORK = (
    ("dns error", "{server} cannot be reached: its host name is unknown; check the endpoint"),
    (
        "InvalidContentType",
        "{server} does not speak TLS: use http:// in the endpoint, or another port",
    ),
    (
        "kind: Connect.*ertificate",
        "{server} cannot be trusted: its TLS certificate is not valid on this machine",
    ),
    (
        "ConnectionRefused",
        "{server} cannot be reached: it refuses the connection; check the endpoint",
    ),
    (
        "kind: Connect",
        "{server} cannot be reached: check the endpoint and the network",
    ),
    (
        "kind: Timeout|TimedOut",
        "{url}: {server} did not answer in time{tries}; run again later",
    ),
    (
        "kind: Interrupted|error sending request",
        "{url}: the connection to {server} broke off{tries}; run again later",
    ),
    ("invalid list response", "{server} does not answer like S3: check the endpoint"),
)
"""Words of the HTTP client's errors, the most telling first, and what they mean."""

SET_CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine a role; "
    "for a public bucket set AWS_SKIP_SIGNATURE=true"
)


@dataclass(frozen=True)
class Place:
    """Where a request went, in the user's words."""

    bucket: str
    prefix: str
    region: str
    endpoint: str | None

    @property
    def server(self) -> str:
        """The endpoint without user and password."""
        if self.endpoint is None:
            return f"Amazon S3 in {self.region}"
        return re.sub(r"//[^/@]*@", "//", self.endpoint)


def explain(error: Exception, place: Place, url: str, *, listing: bool) -> str:
    """The whole message for a failed request for ``url``."""
    text = str(error)
    code, status = _answer(text)
    if "External AWS credential provider" in text:
        return f"{url}: the AWS credentials could not be renewed: sign in again, or check the role"
    return (
        _credentials(code, place, url)
        or _state(code, text, url)
        or _bucket(code, status, text, place, listing)
        or _access(status, place, url, listing)
        or _server(text, status, code, place, url)
        or _object(text, status, url)
        or f"{url}: unexpected answer from {place.server}: {_summary(text, status, code)}"
    )


def file_error(error: Exception, place: Place, url: str) -> FileError | None:
    """What is wrong with one object; None where it is the store as a whole that does not answer."""
    text = str(error)
    code, status = _answer(text)
    if _credentials(code, place, url) or _bucket(code, status, text, place, listing=False):
        return None
    if status in {304, 412}:
        return ChangedError(url)
    if status == 404:
        return ChangedError(url, "vanished while the lake was being read")
    if status in {401, 403} or "InvalidPath" in text:
        said = explain(error, place, url, listing=False).removeprefix(url).lstrip(": ")
        cause, _, cure = said.partition(": ")
        return FileError(url, cause, cure)
    return None


def _answer(text: str) -> tuple[str, int]:
    """S3's error code and the HTTP status in the text of an error; "" and 0 where it has none."""
    code = _first(r"<Code>([\w.]+)</Code>", text)
    return code, int(_first(r"status code: (\d+)", text) or 0)


def _credentials(code: str, place: Place, url: str) -> str:
    if code in EXPIRED:
        return f"{url}: the AWS credentials have expired: sign in again or renew AWS_SESSION_TOKEN"
    if code in UNKNOWN_KEY:
        return (
            f"{url}: {place.server} does not know the access key ({code}): "
            "check AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN or AWS_PROFILE"
        )
    if code == "SignatureDoesNotMatch":
        return f"{url}: the secret key does not fit the access key: check AWS_SECRET_ACCESS_KEY"
    if code == "RequestTimeTooSkewed":
        return f"{url}: this machine's clock differs too much from {place.server}'s: set the clock"
    return ""


def _state(code: str, text: str, url: str) -> str:
    """What keeps even those out who may read."""
    if code == "InvalidObjectState":
        where = _first(r"<StorageClass>(\w+)</StorageClass>", text) or "GLACIER or DEEP_ARCHIVE"
        tier = _first(r"<AccessTier>(\w+)</AccessTier>", text)
        return (
            f"{url} is archived (storage class {where}{f', {tier}' if tier else ''}): restore it"
            " (aws s3api restore-object), and run again when that is done"
        )
    if code == "AllAccessDisabled":
        return f"{url}: all access to this bucket or object is disabled: ask its owner, or AWS"
    if code.startswith("KMS."):
        return f"{url}: its key in AWS KMS cannot be used ({code}): enable the key, or its access"
    if code == "AccessDenied" and "kms:" in text:
        key = _first(r"(arn:aws[\w-]*:kms:[\w:/-]+)", text)
        return (
            f"{url}: access refused: it is encrypted, and the credentials need kms:Decrypt on"
            f" {key or 'its key in AWS KMS'}"
        )
    return ""


def _bucket(code: str, status: int, text: str, place: Place, listing: bool) -> str:
    if code in {"NoSuchBucket", "InvalidBucketName"} or (listing and status == 404):
        return (
            f"The bucket {place.bucket} does not exist at {place.server}: "
            "check the bucket's name, the region and the endpoint"
        )
    if code in WRONG_REGION or "Received redirect without LOCATION" in text:
        actual = _first(r"expecting '([\w-]+)'", text)
        where = f"in {actual}, not" if actual else "not"
        return (
            f"The bucket {place.bucket} is {where} in {place.region}: "
            f"set the region{f' to {actual}' if actual else ' of the bucket'}"
        )
    return ""


def _access(status: int, place: Place, url: str, listing: bool) -> str:
    if status not in {401, 403}:
        return ""
    arn = f"arn:aws:s3:::{place.bucket}"
    below = f"{place.prefix}/*" if place.prefix else "*"
    need = f"s3:ListBucket on {arn} for {below}" if listing else f"s3:GetObject on {arn}/{below}"
    return f"{url}: access refused ({status}): the credentials need {need}"


def _server(text: str, status: int, code: str, place: Place, url: str) -> str:
    if status >= 500 or status == 429:
        answer = f"{status} {code}".strip()
        return f"{url}: {place.server} answered {answer}{_tries(text)}; run again later"
    for sign, message in NETWORK:
        if re.search(sign, text, re.DOTALL):
            return message.format(server=place.server, url=url, tries=_tries(text))
    return ""


def _object(text: str, status: int, url: str) -> str:
    if status == 404:
        return f"{url} vanished while the lake was being read; run again"
    if status in {304, 412}:
        return f"{url} changed while it was being read; run again"
    if "InvalidPath" in text:
        key = _first(r'[Pp]ath "([^"]*)"', text)
        return (
            f"{url}: the object {key!a} cannot be addressed: a part of its key is empty, "
            "'.' or '..', or has a control character; rename or remove it"
        )
    return ""


def _summary(text: str, status: int, code: str) -> str:
    message = _first(r"<Message>([^<]*)</Message>", text)
    said = " ".join(str(part) for part in (status, code, message) if part)
    if not said:
        said = text.partition("\n")[0].partition("Server returned")[0][:200]
    return ACCESS_KEY_ID.sub("[access key]", re.sub(r"//[^/@\s]*@", "//", said))


def _tries(text: str) -> str:
    retries = _first(r"after (\d+) retries", text)
    return f" ({int(retries) + 1} tries)" if retries else ""


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found.group(1) if found else ""
