"""Fetching ahead: raw pieces of many files, in order, within a budget of bytes.

Only the consumer's thread does the accounting: it submits blocks while the budget has room and
waits for the oldest one. No worker ever waits for room, so nothing can deadlock. Where the bytes
come from is the lake's business.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sparkify_dagster.lake.base import CHUNK_BYTES, Chunk, FileError, LakeFile
from sparkify_dagster.lake.content import not_json_lines
from sparkify_dagster.lake.decode import MAGIC, gunzip, is_zstd, unzstd

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from concurrent.futures import Future


@dataclass(frozen=True, slots=True)
class Part:
    """A range of one file's raw bytes."""

    file: LakeFile
    start: int
    length: int

    @property
    def last(self) -> bool:
        return self.start + self.length == self.file.size


Block = Sequence[Part]
"""What one task fetches: one part of a large file, or several small files."""

Fetched = bytes | FileError
"""The raw bytes of a part, exactly as long as the part; or why its file cannot be read."""


class Fetcher(Protocol):
    """Workers that fetch blocks in the background."""

    @property
    def ahead(self) -> int:
        """How many blocks may be submitted and not yet consumed."""

    def submit(self, block: Block) -> Future[list[Fetched]]:
        """Fetch each part. LakeError where the lake as a whole does not answer."""

    def close(self) -> None:
        """Abandon what is not fetched and wait until no worker is left."""


def blocks(files: Sequence[LakeFile], block_bytes: int, block_files: int) -> Iterator[Block]:
    """Cut the files into blocks, in order: large files into parts, small ones put together."""
    small: list[Part] = []
    size = 0
    for file in files:
        if small and (size + file.size > block_bytes or len(small) == block_files):
            yield small
            small, size = [], 0
        if file.size > block_bytes:
            for start in range(0, file.size, CHUNK_BYTES):
                yield [Part(file, start, min(CHUNK_BYTES, file.size - start))]
        else:
            small.append(Part(file, 0, file.size))
            size += file.size
    if small:
        yield small


def fetch(todo: Iterator[Block], fetcher: Fetcher, budget: int) -> Iterator[tuple[Part, Fetched]]:
    """The parts of all blocks in order; at most ``budget`` raw bytes are fetched ahead."""
    flying: deque[tuple[Block, int, Future[list[Fetched]]]] = deque()
    used = 0
    block = next(todo, None)
    while block or flying:
        while block and len(flying) < fetcher.ahead:
            size = sum(part.length for part in block)
            if flying and used + size > budget:
                break
            flying.append((block, size, fetcher.submit(block)))
            used += size
            block = next(todo, None)
        oldest, size, future = flying.popleft()
        yield from zip(oldest, future.result(), strict=True)
        used -= size


class Reading:
    """The chunks of blocks, fetched and decoded; its workers live until it ends or is closed."""

    def __init__(
        self,
        todo: Iterator[Block],
        start: Callable[[], Fetcher],
        budget: int,
        url: Callable[[str], str],
    ) -> None:
        self._start = start
        self._guard = threading.Lock()
        self._fetcher: Fetcher | None = None
        self._is_closed = False
        self._chunks = self._decoded(todo, budget, url)

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        return next(self._chunks)

    def close(self) -> None:
        with self._guard:
            fetcher, self._fetcher = self._fetcher, None
            self._is_closed = True
        if fetcher is not None:
            fetcher.close()  # whoever waits for a block is told that it was cancelled
        with suppress(ValueError):  # another thread is in it, and its wait has just been cancelled
            self._chunks.close()

    def _started(self) -> Fetcher:
        with self._guard:
            if self._is_closed:
                raise CancelledError
            self._fetcher = self._start()
            return self._fetcher

    def _decoded(
        self, todo: Iterator[Block], budget: int, url: Callable[[str], str]
    ) -> Generator[Chunk, None, None]:
        try:
            fetched = fetch(todo, self._started(), budget)
            for part, raw in fetched:  # the first part of a file; its others are taken from there
                yield from _checked(_File(part, raw, fetched), url(part.file.key))
        finally:
            with self._guard:
                fetcher, self._fetcher = self._fetcher, None
            if fetcher is not None:
                fetcher.close()


class _File:
    """The raw pieces of one file, from its first part on."""

    def __init__(self, part: Part, raw: Fetched, others: Iterator[tuple[Part, Fetched]]) -> None:
        self.file = part.file
        self.is_whole = part.last
        self._part, self._raw, self._others = part, raw, others

    @property
    def first(self) -> bytes:
        return _given(self._raw)

    def pieces(self) -> Iterator[bytes]:
        """All of them; the rest of a file that is given up is passed over by `skip`."""
        yield _given(self._raw)
        while not self._part.last:
            self._part, raw = next(self._others)
            yield _given(raw)

    def skip(self) -> None:
        while not self._part.last:
            self._part, _ = next(self._others)


def _given(raw: Fetched) -> bytes:
    if isinstance(raw, FileError):
        raise raw
    return raw


def _checked(file: _File, url: str) -> Iterator[Chunk]:
    """The decoded chunks of a file; one that cannot be read whole ends with the error."""
    is_first = True
    try:
        for chunk in _decoded(file, url):
            if is_first and (wrong := not_json_lines(chunk.data, whole=chunk.last)):
                what, _, cure = wrong.partition(": ")
                raise FileError(url, f"is {what}", cure)
            is_first = False
            yield chunk
    except FileError as error:
        file.skip()
        yield Chunk(file.file, b"", True, error)


def _decoded(file: _File, url: str) -> Iterator[Chunk]:
    if is_zstd(file.file.key, file.first):
        decoded = unzstd(file.pieces(), url)
    elif file.first.startswith(MAGIC):
        decoded = gunzip(file.pieces(), url)
    elif file.is_whole:
        yield Chunk(file.file, file.first, True)
        return
    else:
        decoded = file.pieces()
    for data in decoded:
        yield Chunk(file.file, data, False)
    yield Chunk(file.file, b"", True)
