"""The lake: JSON files under a prefix, in a folder or in S3, behind one small interface.

Only the choice between the two lives here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkify_dagster.lake.base import Chunk, Lake, LakeError, LakeFile

if TYPE_CHECKING:
    from sparkify_dagster.settings.sections import S3Options

__all__ = ["Chunk", "Lake", "LakeError", "LakeFile", "open_lake"]


def open_lake(
    uri: str, *, region: str, endpoint_url: str | None, options: S3Options | None = None
) -> Lake:
    """The lake at ``s3://bucket/prefix`` or in a folder; nothing is contacted or opened yet."""
    if uri.startswith("s3://"):
        from sparkify_dagster.lake.s3 import S3Lake

        return S3Lake(uri, region=region, endpoint_url=endpoint_url, options=options)
    from sparkify_dagster.lake.local import LocalLake

    return LocalLake.at(uri)
