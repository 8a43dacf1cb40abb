"""A lake under an S3 prefix, at Amazon or at any S3-compatible endpoint.

Opening and listing, through obstore, with credentials from the ordinary AWS chain through boto3;
reading is in s3_fetch.py, the words of errors are in s3_errors.py. Both libraries are imported
only when the lake is used.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING

from sparkify_dagster.interruptible import interruptibly
from sparkify_dagster.lake import prefetch
from sparkify_dagster.lake.base import BUDGET_BYTES, CHUNK_BYTES, LakeError, LakeFile, is_data_key
from sparkify_dagster.lake.s3_errors import SET_CREDENTIALS, Place, explain
from sparkify_dagster.lake.s3_fetch import NO_ETAG, Patience, S3Fetcher, bare
from sparkify_dagster.settings.sections import S3Options

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from obstore import ObjectMeta
    from obstore.store import S3Config, S3CredentialProvider, S3Store

LISTING_TRIES = 3
PROBE = ".sparkify-probe"
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
        for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):  # as every AWS tool takes them
            endpoint_url = endpoint_url or os.environ.get(name) or None
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
        metas = self._metas()
        if not metas:
            self._refuse_what_is_not_s3()
        files = [_file(meta) for meta in metas if meta["path"] and is_data_key(meta["path"])]
        files.sort(key=lambda file: file.key)
        folders = {folder for file in files for folder in _folders(file.key)}
        return [file for file in files if file.size or not self._is_marker(file.key, folders)]

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
        provider, options = None, self._options
        if options.unsigned or os.environ.get("AWS_SKIP_SIGNATURE", "").lower() in _YES:
            config["skip_signature"] = True
        elif options.access_key_id and options.secret_access_key:
            config["access_key_id"] = options.access_key_id
            config["secret_access_key"] = options.secret_access_key
            if options.session_token:
                config["session_token"] = options.session_token
        else:
            provider = self._credentials()
        return S3Store(
            place.bucket,
            prefix=place.prefix or None,
            config=config,
            client_options=self._patience.client(place.endpoint, verify=options.verify),
            retry_config=self._patience.retry(),
            credential_provider=provider,
        )

    def _credentials(self) -> S3CredentialProvider:
        import boto3
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider

        try:
            # Asked again every 5 minutes: the chain renews what a role gives 10 minutes before
            # its end at the latest.
            session = boto3.Session(profile_name=self._options.profile)
            return Boto3CredentialProvider(session, ttl=timedelta(minutes=5))
        except (BotoCoreError, ValueError) as error:  # ValueError: the chain found none
            found = "" if isinstance(error, ValueError) else f" ({type(error).__name__})"
        raise LakeError(f"{self.uri}: no usable AWS credentials{found}: {SET_CREDENTIALS}")

    def _metas(self) -> Sequence[ObjectMeta]:
        """Every object under the prefix; what S3's page limit cuts, obstore puts together."""
        import obstore

        problem = ""
        for _ in range(LISTING_TRIES):
            try:
                return interruptibly(obstore.list(self.store, chunk_size=1000).collect)
            except (obstore.exceptions.BaseError, OSError) as error:
                problem = explain(error, self._place, self.uri, listing=True)
                # obstore repeats failed requests, but not one whose answer breaks off.
                if "response body" not in str(error):
                    break
        raise LakeError(problem)  # outside of `except`: the cause's text may hold an access key id

    def _is_marker(self, key: str, folders: set[str]) -> bool:
        """Whether an empty object is an empty "folder" made by a console: its key ends with `/`.

        obstore drops that slash, so a folder with nothing in it is recognised by asking.
        """
        import obstore

        if key in folders:
            return True
        if "." in key.rpartition("/")[2]:
            return False
        try:
            interruptibly(partial(obstore.head, self.store, key))
        except FileNotFoundError:
            return True
        except obstore.exceptions.BaseError:
            return False
        return False

    def _refuse_what_is_not_s3(self) -> None:
        """A web page, such as MinIO's console on its other port, reads as an empty listing.

        It also answers 200 to a key that nothing has.
        """
        import obstore

        if self._place.endpoint is None:
            return
        try:
            interruptibly(partial(obstore.head, self.store, PROBE))
        except (obstore.exceptions.BaseError, OSError) as error:
            if isinstance(error, (FileNotFoundError, obstore.exceptions.PermissionDeniedError)):
                return
        raise LakeError(f"{self._place.server} does not answer like S3: check the endpoint")


def _file(meta: ObjectMeta) -> LakeFile:
    modified = meta["last_modified"]
    # Without etags, versions are told apart by what there is.
    etag = bare(meta["e_tag"]) or f"{NO_ETAG}{modified.timestamp():.6f}-{meta['size']}"
    return LakeFile(meta["path"], meta["size"], etag, modified)


def _folders(key: str) -> Iterator[str]:
    at = key.find("/")
    while at >= 0:
        yield key[:at]
        at = key.find("/", at + 1)
