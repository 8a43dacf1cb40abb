"""A lake in a folder of this machine.

Listing by recursive scandir, reading by a few threads, small files many at a time. Nothing here
knows about gzip or JSON.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from sparkify_dagster.lake import prefetch
from sparkify_dagster.lake.base import (
    BUDGET_BYTES,
    ChangedError,
    FileError,
    LakeError,
    LakeFile,
    is_data_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

THREADS = 4
BLOCK_BYTES = 1 << 20
BLOCK_FILES = 256  # one future a file costs more than reading a song file of 250 bytes


class LocalLake:
    """The files under a folder."""

    def __init__(self, root: Path, *, budget: int = BUDGET_BYTES) -> None:
        self._root = os.path.abspath(root)
        self._budget = budget

    @classmethod
    def at(cls, uri: str) -> LocalLake:
        """The lake at a path or a ``file://`` address."""
        parts = urlsplit(uri)
        if parts.scheme == "file":
            return cls(Path(unquote(parts.path)))
        if "://" in uri:
            raise LakeError(
                f"{uri}: a lake is a folder or s3://bucket/prefix; {parts.scheme}:// is neither"
            )
        return cls(Path(uri).expanduser())

    @property
    def uri(self) -> str:
        return self._root

    def url(self, key: str) -> str:
        return Path(self._root, key).as_uri()

    def list(self) -> list[LakeFile]:
        if not os.path.isdir(self._root):
            wrong = "is not a folder" if os.path.exists(self._root) else "does not exist"
            raise LakeError(
                f"The lake folder {self._root} {wrong}: create it and put the JSON files there, "
                "or configure another folder or s3://bucket/prefix"
            )
        files = list(_scan(self._root, "", (os.path.realpath(self._root),)))
        files.sort(key=lambda file: file.key)
        return files

    def read(self, files: Sequence[LakeFile]) -> prefetch.Reading:
        todo = prefetch.blocks(files, BLOCK_BYTES, BLOCK_FILES)
        return prefetch.Reading(todo, lambda: FileFetcher(self._root), self._budget, self._path)

    def _path(self, key: str) -> str:
        return os.path.join(self._root, key)


def _scan(folder: str, prefix: str, parents: tuple[str, ...]) -> Iterator[LakeFile]:
    """The data files below one folder; ``parents`` guards against links that lead in circles."""
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if is_data_key(entry.name)]
    except FileNotFoundError:
        return  # removed since its parent was listed: gone like any file
    except OSError as error:
        raise LakeError(
            f"The lake folder {folder} cannot be listed ({error.strerror}): check its permissions"
        ) from error
    for entry in found:
        stat = _stat(entry)
        key = prefix + entry.name
        if stat is None:
            continue
        if S_ISDIR(stat.st_mode):
            real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
            if real not in parents:
                yield from _scan(entry.path, f"{key}/", (*parents, real))
        elif S_ISREG(stat.st_mode):
            if not _is_text(key):
                raise LakeError(
                    f"{entry.path!a}: the file name is not valid UTF-8; rename the file"
                )
            modified = datetime.fromtimestamp(stat.st_mtime, UTC)
            yield LakeFile(key, stat.st_size, _etag(stat), modified)


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What the entry or the target of a link is; None if it was removed since it was listed."""
    try:
        return entry.stat()
    except FileNotFoundError:
        if not entry.is_symlink():
            return None
        raise LakeError(
            f"{entry.path} is a link to a file that is not there: restore it or remove the link"
        ) from None
    except OSError as error:
        raise LakeError(
            f"{entry.path} cannot be looked at ({error.strerror}): check its permissions"
        ) from error


def _is_text(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _etag(stat: os.stat_result) -> str:
    """Two versions of a file never share it.

    Nanoseconds, because a file may be rewritten within a second; the time of the inode's last
    change, because `cp -p`, `rsync -t` and `touch -r` restore the other one; the inode's number,
    because a file that is replaced within one tick of the clock is another inode.
    """
    return f"{stat.st_mtime_ns:x}-{stat.st_ctime_ns:x}-{stat.st_ino:x}-{stat.st_size:x}"


class FileFetcher:
    """Threads that read blocks of files."""

    ahead = 8 * THREADS

    def __init__(self, root: str) -> None:
        self._root = root
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="lake")

    def submit(self, block: prefetch.Block) -> Future[list[prefetch.Fetched]]:
        return self._pool.submit(self._fetch, block)

    def close(self) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _fetch(self, block: prefetch.Block) -> list[prefetch.Fetched]:
        return [b"" if self._stop.is_set() else self._part(part) for part in block]

    def _part(self, part: prefetch.Part) -> prefetch.Fetched:
        path = os.path.join(self._root, part.file.key)
        try:
            handle = os.open(path, os.O_RDONLY)
            try:
                data = _read(handle, part.start, part.length)
                stat = os.fstat(handle)  # after reading: nothing changed until here
            finally:
                os.close(handle)
        except FileNotFoundError:
            return ChangedError(path, "vanished while the lake was being read")
        except OSError as error:
            cause = f"cannot be read ({error.strerror})"
            return FileError(path, cause, "check its permissions and its disk")
        if len(data) != part.length or _etag(stat) != part.file.etag:
            return ChangedError(path)
        return data


def _read(handle: int, start: int, length: int) -> bytes:
    """Up to ``length`` bytes; one call returns less only at the end or for very large reads."""
    data = os.pread(handle, length, start)
    while 0 < len(data) < length:
        more = os.pread(handle, length - len(data), start + len(data))
        if not more:
            break
        data += more
    return data
