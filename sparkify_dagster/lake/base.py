"""What a lake is: the files under one prefix, listed and read as decoded bytes.

The types every lake shares, and the rule saying which keys are data. How files are fetched ahead
is in prefetch.py, what gzip means in decode.py, where the bytes come from in local.py and s3.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sparkify_dagster.errors import SparkifyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

CHUNK_BYTES = 8 << 20
"""The most decoded bytes in one chunk, and the most raw bytes fetched by one request."""

BUDGET_BYTES = 64 << 20
"""The most raw bytes fetched, or being fetched, and not yet consumed."""

UNFINISHED = (".tmp", ".part")


class LakeError(SparkifyError):
    """The lake or one of its files cannot be read; the message says which, why and what to do."""


class FileError(LakeError):
    """One file cannot be read whole as it was listed; the others of its lake can be.

    `cause` says why without naming the file, `cure` what to do; the message names the file.
    """

    def __init__(self, url: str, cause: str, cure: str) -> None:
        super().__init__(f"{url}: {cause}; {cure}")
        self.cause = cause
        self.cure = cure


class ChangedError(FileError):
    """The file is no longer the version that was listed."""

    def __init__(self, url: str, cause: str = "changed while it was being read") -> None:
        super().__init__(url, cause, "run again once it is no longer being written")


@dataclass(frozen=True, slots=True)
class LakeFile:
    """One version of one file; ``key`` is relative to the lake's prefix, with ``/`` separators."""

    key: str
    size: int
    etag: str
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next piece of one file's decoded content; exactly one chunk of a file is its last.

    With an `error` the file ends there without having been read whole: what came of it is void.
    """

    file: LakeFile
    data: bytes
    last: bool
    error: FileError | None = None


class Chunks(Protocol):
    """Chunks of files, fetched ahead in the background until they are closed."""

    def __iter__(self) -> Iterator[Chunk]:
        """The chunks themselves."""

    def __next__(self) -> Chunk:
        """The next one. LakeError where the lake as a whole does not answer."""

    def close(self) -> None:
        """Stop the fetching and leave no thread behind.

        Also while another thread waits for the next chunk: it gets an error instead.
        """


class Lake(Protocol):
    """The files under one prefix."""

    @property
    def uri(self) -> str:
        """The prefix, as a user would write it."""

    def list(self) -> list[LakeFile]:
        """Every data file, sorted by key."""

    def read(self, files: Sequence[LakeFile]) -> Chunks:
        """The decoded content of the files, in the order given."""

    def url(self, key: str) -> str:
        """The address of one file, for messages and links."""


def is_data_key(key: str) -> bool:
    """Whether a key is data: neither hidden (``.x``, ``_x``) nor still being written.

    One rule for folders and S3, so that a copied lake gives the same rows.
    A part of a key that is `.` or `..` hides nothing: no source takes such a key.
    """
    if key.endswith(UNFINISHED):
        return False
    names = (name for name in key.split("/") if name not in (".", ".."))
    return not any(name.startswith((".", "_")) for name in names)
