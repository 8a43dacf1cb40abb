"""A lake under an S3 prefix, at Amazon or at any S3-compatible endpoint.

Opening, with credentials from the ordinary AWS chain through boto3;
listing is in s3_listing.py, reading in s3_fetch.py, the words of errors are in
s3_errors.py. Libraries are imported only when the lake is used.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sparkify_dagster.interruptible import interruptibly
from sparkify_dagster.lake import prefetch
from sparkify_dagster.lake.base import BUDGET_BYTES, CHUNK_BYTES, LakeError, LakeFile, is_data_key
from sparkify_dagster.lake.s3_errors import SET_CREDENTIALS, Place, explain
from sparkify_dagster.lake.s3_fetch import Patience, S3Fetcher
from sparkify_dagster.lake.s3_listing import Listing
from sparkify_dagster.settings.sections import S3Options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from obstore.store import S3Config, S3Credential, S3Store

_YES = {"1", "true", "yes"}


class S3Lake:
    """The objects under ``s3://bucket/prefix/``."""

    def __init__(
        self,
        uri: str,
        *,
        region: str,
        endpoint_url: str | None,
        options: S3Options | None = None,
        budget: int = BUDGET_BYTES,
        patience: Patience | None = None,
    ) -> None:
        self._options = options or S3Options()
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        prefix = prefix.strip("/")
        if not bucket or "//" in prefix:
            raise LakeError(f"{uri}: an S3 lake is written s3://bucket/prefix")
        endpoint_url = endpoint_url or _configured_endpoint(uri)
        if endpoint_url is None and not self._options.use_ssl:
            endpoint_url = f"http://s3.{region}.amazonaws.com"
        if endpoint_url is not None and not endpoint_url.startswith(("http://", "https://")):
            raise LakeError("The S3 endpoint must start with http:// or https://")
        self._place = Place(bucket, prefix, region, endpoint_url)
        self._budget = budget
        self._patience = patience or Patience(retries=max(self._options.max_attempts, 1) - 1)

    @property
    def uri(self) -> str:
        return f"s3://{self._place.bucket}/{self._place.prefix}".rstrip("/")

    def url(self, key: str) -> str:
        return f"{self.uri}/{key}"

    def list(self) -> list[LakeFile]:
        credential = None if self._is_public else self._credential
        verify = self._options.verify
        listing = Listing(self._place, self.uri, self._patience, credential, verify=verify)
        # Not interrupted while it fetches, a listing would keep Ctrl-C waiting for its server.
        files = interruptibly(lambda: [file for file in listing.files() if is_data_key(file.key)])
        files.sort(key=lambda file: file.key)
        return files

    def read(self, files: Sequence[LakeFile]) -> prefetch.Reading:
        todo = prefetch.blocks(files, CHUNK_BYTES, block_files=1)
        return prefetch.Reading(
            todo,
            lambda: S3Fetcher(self.store, self._place, self.url, self._patience),
            self._budget,
            self.url,
        )

    def explain(self, error: Exception, url: str) -> str:
        """What a failed request for `url` means, without what is secret in the error."""
        return explain(error, self._place, url, listing=False)

    @cached_property
    def store(self) -> S3Store:
        from obstore.store import S3Store

        place = self._place
        config: S3Config = {"region": place.region}
        if place.endpoint is not None:
            config["aws_endpoint_url_s3"] = place.endpoint  # `endpoint` yields to the environment
        if self._is_public:
            config["skip_signature"] = True
        return S3Store(
            place.bucket,
            prefix=place.prefix or None,
            config=config,
            client_options=self._patience.client(place.endpoint, verify=self._options.verify),
            retry_config=self._patience.retry(),
            credential_provider=None if self._is_public else self._credential,
        )

    @cached_property
    def _credential(self) -> Callable[[], S3Credential]:
        options = self._options
        if options.access_key_id and options.secret_access_key:
            given: S3Credential = {
                "access_key_id": options.access_key_id,
                "secret_access_key": options.secret_access_key,
                "token": options.session_token,
                "expires_at": None,
            }
            return lambda: given
        import boto3
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider

        try:
            # Asked again every 5 minutes: the chain renews what a role gives 10 minutes before
            # its end at the latest.
            session = boto3.Session(profile_name=options.profile)
            return Boto3CredentialProvider(session, ttl=timedelta(minutes=5))
        except (BotoCoreError, ValueError) as error:  # ValueError: the chain found none
            found = "" if isinstance(error, ValueError) else f" ({type(error).__name__})"
        raise LakeError(f"{self.uri}: no usable AWS credentials{found}: {SET_CREDENTIALS}")

    @property
    def _is_public(self) -> bool:
        """Whether no request is signed."""
        return self._options.unsigned or os.environ.get("AWS_SKIP_SIGNATURE", "").lower() in _YES


def _configured_endpoint(uri: str) -> str | None:
    """What every AWS tool is told by AWS_ENDPOINT_URL(_S3), or by the profile of ~/.aws/config."""
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if given := os.environ.get(name):
            return given
    file = Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    # Most files name none, and botocore takes its time.
    if not (file.is_file() and b"endpoint_url" in file.read_bytes()):
        return None
    from botocore.configprovider import ConfiguredEndpointProvider
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    session = Session()
    try:
        if session.get_config_variable("ignore_configured_endpoint_urls"):
            return None
        provider = ConfiguredEndpointProvider(
            session.full_config, session.get_scoped_config(), "s3"
        )
        found = provider.provide()
    except BotoCoreError as error:
        found, problem = None, type(error).__name__
    else:
        return str(found) if found else None
    raise LakeError(f"{uri}: no usable AWS credentials ({problem}): {SET_CREDENTIALS}")
