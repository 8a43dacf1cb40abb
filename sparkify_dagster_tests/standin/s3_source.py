"""The files that a COPY reads: prefixes, manifests, regions, and what its role may see.

The objects come from a real S3 endpoint. Their contents are decoded elsewhere.
"""

import bz2
import gzip
import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from sparkify_dagster_tests.standin.copy_statement import Copy
from sparkify_dagster_tests.standin.errors import INTERNAL, RefusedError

EVERYTHING = ("s3://",)


def _unzstd(data: bytes) -> bytes:
    import pyarrow as pa

    unpacked: bytes = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    return unpacked


_UNPACK: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "bzip2": bz2.decompress,
    "zstd": _unzstd,
}


class S3Client(Protocol):
    """What is used of boto3's; its answers are dictionaries of its own making."""

    def get_paginator(self, name: str) -> Any: ...

    def get_object(self, *, Bucket: str, Key: str) -> Any: ...

    def head_object(self, *, Bucket: str, Key: str) -> Any: ...


@dataclass(frozen=True)
class S3Access:
    """An endpoint, and what the cluster may do there.

    ``roles`` are the roles attached to the cluster, `default` among them, each with the beginnings
    of the URLs it may read. ``region`` is the cluster's own. Before a COPY reads, ``settle``
    seconds pass: S3 shows at once what was put, a test's server over a folder only after its
    cache's time.
    """

    endpoint_url: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"default": EVERYTHING})
    bucket_regions: Mapping[str, str] = field(default_factory=dict)
    settle: float = 0.02

    @cached_property
    def client(self) -> S3Client:
        import boto3
        from botocore.config import Config

        client: S3Client = boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, proxies={}, max_pool_connections=8),
        )
        return client


class Source:
    """The files of one COPY."""

    def __init__(self, access: S3Access, copy: Copy) -> None:
        self._access = access
        self._copy = copy
        self._allowed = self._assume_role()

    def urls(self) -> list[str]:
        """What is loaded, in order; a URL that a manifest lists twice comes twice.

        Raises:
            RefusedError: as Redshift does when there is nothing to load, or may not be read.
        """
        time.sleep(self._access.settle)
        if self._copy.manifest:
            return self._of_manifest()
        bucket, prefix = self._place(self._copy.source)
        self._check_may_read(self._copy.source)
        pages = self._access.client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix
        )
        # A prefix is text: `s3://b/log` takes `log_json_path.json` along.
        found = [
            f"s3://{bucket}/{item['Key']}" for page in pages for item in page.get("Contents", [])
        ]
        if not found:
            raise RefusedError(f"The specified S3 prefix '{prefix}' does not exist", INTERNAL)
        return sorted(found)

    def contents(self, urls: list[str]) -> Iterator[tuple[str, bytes]]:
        """The files with their bytes, unpacked as the COPY says."""
        with ThreadPoolExecutor(4) as pool:
            for url, data in zip(urls, pool.map(self.read, urls), strict=True):
                yield url, self._unpacked(url, data)

    def read(self, url: str) -> bytes:
        """One object.

        Raises:
            RefusedError: if it is not there, or the role may not read it.
        """
        found = self._read(url)
        if found is None:
            raise _s3_error("The specified key does not exist.", 404, "NoSuchKey", url)
        return found

    def _assume_role(self) -> tuple[str, ...]:
        allowed: tuple[str, ...] = ()
        for role in self._copy.role.replace(",arn:", "\narn:").split("\n"):
            if role not in self._access.roles:
                raise RefusedError(
                    "User arn:aws:redshift:us-east-1:123456789012:dbuser:stand-in/user is not "
                    f"authorized to assume IAM Role {role}",
                    INTERNAL,
                    f"code: 8001, context: IAM Role={role}",
                )
            allowed = self._access.roles[role]  # the last of a chain reads
        return allowed

    def _check_may_read(self, url: str) -> None:
        if not url.startswith(self._allowed):
            raise _s3_error("Access Denied", 403, "AccessDenied", url)

    def _place(self, url: str) -> tuple[str, str]:
        """Bucket and key; the bucket has to be in the region that the COPY names."""
        bucket, _, key = url.removeprefix("s3://").partition("/")
        there = self._access.bucket_regions.get(bucket, self._access.region)
        if there != (self._copy.region or self._access.region):
            raise _s3_error(
                "The bucket you are attempting to access must be addressed using the specified "
                "endpoint. Please send all future requests to this endpoint.",
                301,
                "PermanentRedirect",
                url,
            )
        return bucket, key

    def _read(self, url: str) -> bytes | None:
        from botocore.exceptions import BotoCoreError, ClientError

        bucket, key = self._place(url)
        self._check_may_read(url)
        try:
            found: bytes = self._access.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket", "404"):
                return None
            code = error.response["Error"]["Code"]
            raise _s3_error(error.response["Error"].get("Message", ""), 403, code, url) from error
        except BotoCoreError as error:
            raise _s3_error(str(error), 500, "Connection", url) from error
        return found

    def _of_manifest(self) -> list[str]:
        """Entries are not mandatory unless they say so: what is missing is passed over silently."""
        data = self._read(self._copy.source)
        if data is None:
            raise RefusedError(
                f"Problem reading manifest file - {self._copy.source}: NoSuchKey", INTERNAL,
                "code: 8001, COPY with MANIFEST parameter requires full path of an S3 object.",
            )  # fmt: skip
        entries = _entries(data)
        there = {url: self._exists(url) for url in dict.fromkeys(url for url, _ in entries)}
        for url, mandatory in entries:
            if mandatory and not there[url]:
                raise RefusedError(
                    f"Mandatory url is not present in manifest file: {url}", INTERNAL,
                    "The specified key does not exist.",
                )  # fmt: skip
        found = [url for url, _ in entries if there[url]]
        if not found:
            raise RefusedError("No files found for the entries of the manifest", INTERNAL)
        return found

    def _exists(self, url: str) -> bool:
        from botocore.exceptions import ClientError

        bucket, key = self._place(url)
        self._check_may_read(url)
        try:
            self._access.client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NoSuchBucket"):
                return False
            raise
        return True

    def _unpacked(self, url: str, data: bytes) -> bytes:
        unpack = _UNPACK.get(self._copy.compression)
        if unpack is None:
            return data
        try:
            return unpack(data)
        except (OSError, EOFError, ValueError, zlib.error):
            raise RefusedError(
                f"{self._copy.compression} decompression of {url} failed: the data is invalid",
                INTERNAL,
            ) from None


def _entries(data: bytes) -> list[tuple[str, bool]]:
    try:
        entries = json.loads(data)["entries"]
        found = [(str(e["url"]), bool(e.get("mandatory", False))) for e in entries]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RefusedError("Manifest file is not in correct json format", INTERNAL) from None
    if not found:
        raise RefusedError("Manifest file does not contain any entries", INTERNAL)
    return found


def _s3_error(message: str, status: int, code: str, url: str) -> RefusedError:
    return RefusedError(
        f"S3ServiceException:{message},Status {status},Error {code},Rid STANDIN", INTERNAL, url
    )
