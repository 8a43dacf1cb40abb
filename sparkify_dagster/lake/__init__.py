"""The lake: JSON files under a prefix, in a folder or in S3, behind one small interface.

Besides, a scratch prefix of S3 (`scratch`) and single files (`single`). What the files mean is in
`warehouse`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkify_dagster.lake.base import (
    ChangedError,
    Chunk,
    FileError,
    Lake,
    LakeError,
    LakeFile,
    is_data_key,
)

if TYPE_CHECKING:
    from sparkify_dagster.settings.sections import S3Options

__all__ = [
    "ChangedError",
    "Chunk",
    "FileError",
    "Lake",
    "LakeError",
    "LakeFile",
    "is_data_key",
    "open_lake",
    "scratch",
    "single",
]


def open_lake(
    uri: str, *, region: str, endpoint_url: str | None, options: S3Options | None = None
) -> Lake:
    """The lake at ``s3://bucket/prefix`` or in a folder; nothing is contacted or opened yet."""
    if uri.startswith("s3://"):
        from sparkify_dagster.lake.s3 import S3Lake

        return S3Lake(uri, region=region, endpoint_url=endpoint_url, options=options)
    from sparkify_dagster.lake.local import LocalLake

    return LocalLake.at(uri)
