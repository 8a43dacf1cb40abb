"""One small file by its address, wherever it is: not data, but what describes data."""

from __future__ import annotations

from pathlib import Path

from sparkify_dagster.interruptible import interruptibly
from sparkify_dagster.lake.base import LakeError


def read_file(uri: str, *, region: str, endpoint_url: str | None) -> bytes:
    """The content of a file of this machine or of s3://bucket/key.

    Raises:
        LakeError: if it cannot be read.
    """
    if not uri.startswith("s3://"):
        try:
            return Path(uri).read_bytes()
        except OSError as error:
            raise LakeError(f"{uri} cannot be read: {error.strerror}") from error
    import obstore

    from sparkify_dagster.lake.s3 import S3Lake

    folder, _, name = uri.rpartition("/")
    place = S3Lake(folder, region=region, endpoint_url=endpoint_url)
    try:
        return interruptibly(lambda: bytes(obstore.get(place.store, name).bytes()))
    except (obstore.exceptions.BaseError, OSError) as error:
        problem = place.explain(error, uri)
    raise LakeError(problem)  # outside of `except`: the cause's text may hold an access key id
