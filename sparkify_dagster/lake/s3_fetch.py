"""Fetching S3 objects in the background: one thread with an event loop, many requests at a time.

An event loop and not threads, because its requests can be cancelled: closing a reader does not
wait for a server that does not answer.
"""

from __future__ import annotations

import asyncio
import random
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sparkify_dagster.lake.base import ChangedError, FileError, LakeError
from sparkify_dagster.lake.s3_errors import Place, explain, file_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from obstore import BytesStream, GetOptions, GetResult, ObjectMeta
    from obstore.store import ClientConfig, RetryConfig, S3Store

    from sparkify_dagster.lake.base import LakeFile
    from sparkify_dagster.lake.prefetch import Block, Fetched, Part

CONCURRENCY = 32
STREAM_BYTES = 1 << 20
NO_ETAG = "~"
"""Begins the etag made up for an object of a store that gives none."""


@dataclass(frozen=True)
class Patience:
    """How long a request is waited for, and how often it is repeated."""

    connect: float = 5
    silence: float = 20
    whole: float = 120  # seconds; one request carries at most CHUNK_BYTES
    retries: int = 5
    backoff: float = 0.2  # doubled each time up to the limit, with jitter
    backoff_limit: float = 5

    def client(self, endpoint: str | None, *, verify: bool = True) -> ClientConfig:
        return {
            "allow_invalid_certificates": not verify,
            "allow_http": endpoint is not None and endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=self.connect),
            "read_timeout": timedelta(seconds=self.silence),
            "timeout": timedelta(seconds=self.whole),
        }

    def retry(self) -> RetryConfig:
        return {
            "max_retries": self.retries,
            "retry_timeout": timedelta(seconds=self.whole),
            "backoff": {
                "init_backoff": timedelta(seconds=self.backoff),
                "max_backoff": timedelta(seconds=self.backoff_limit),
                "base": 2,
            },
        }

    def pause(self, attempt: int) -> float:
        """Seconds before the next try, after so many failed ones."""
        return random.uniform(0.5, 1) * min(self.backoff * 2.0**attempt, self.backoff_limit)


class S3Fetcher:
    """A thread whose event loop fetches blocks of objects."""

    ahead = 2 * CONCURRENCY  # so that a slow oldest object does not make the others wait

    def __init__(
        self, store: S3Store, place: Place, url: Callable[[str], str], patience: Patience
    ) -> None:
        self._store = store
        self._place = place
        self._url = url
        self._patience = patience
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._closing: asyncio.Event
        self._room: asyncio.Semaphore
        self._turn: asyncio.Lock
        self._ranges = True
        self._stream: Stream | None = None
        # A daemon, so that a reader left open does not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="lake-s3", daemon=True)
        self._thread.start()
        self._ready.wait()

    def submit(self, block: Block) -> Future[list[Fetched]]:
        return asyncio.run_coroutine_threadsafe(self._fetch(block), self._loop)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._until_closed())  # cancels what still runs when it ends

    async def _until_closed(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        self._room = asyncio.Semaphore(CONCURRENCY)
        self._turn = asyncio.Lock()
        self._ready.set()
        await self._closing.wait()

    async def _fetch(self, block: Block) -> list[Fetched]:
        async with self._room:
            return [await self._part_or_error(part) for part in block]

    async def _part_or_error(self, part: Part) -> Fetched:
        try:
            return await self._part(part)
        except FileError as error:
            return error

    async def _part(self, part: Part) -> bytes:
        """A part of the listed version, whole; a body that breaks off is fetched again."""
        if not part.length:
            return b""
        for attempt in range(self._patience.retries + 1):
            if attempt:
                await asyncio.sleep(self._patience.pause(attempt - 1))
            data = await self._try(part)
            if data is not None and len(data) == part.length:
                return data
        raise FileError(
            self._url(part.file.key),
            f"{self._place.server} sent fewer bytes than announced "
            f"({self._patience.retries + 1} tries)",
            "run again later, or upload the file again",
        )

    async def _try(self, part: Part) -> bytes | None:
        """What one request gives; None if its body broke off."""
        import obstore

        whole = part.length == part.file.size
        if not whole and not self._ranges:
            return await self._next(part)
        wanted: GetOptions = {} if whole else {"range": (part.start, part.start + part.length)}
        result = await self._open(part.file, wanted)
        if result is None:
            return await self._next(part)
        try:
            return (await result.bytes_async()).to_bytes()
        except (obstore.exceptions.BaseError, OSError):
            return None

    async def _next(self, part: Part) -> bytes | None:
        """A part of a large object from a store that does not serve ranges properly.

        One request for the whole object serves its parts one after the other: they are asked for
        in order, and the lock keeps it. After a failure the next request skips what was had.
        """
        import obstore

        async with self._turn:
            if self._stream is None or not self._stream.can_give(part):
                result = await self._open(part.file, {})
                if result is None:
                    return None
                self._stream = Stream(part.file, result.stream(STREAM_BYTES))
            try:
                data = await self._stream.read(part)
                if len(data) < part.length:
                    self._stream = None
            except (obstore.exceptions.BaseError, OSError):
                self._stream = None
                return None
        if part.last:
            # A server of plain files sends what is in the file at the time: a file rewritten
            # under one long answer would come out mixed.
            await self._confirm(part.file)
        return data

    async def _confirm(self, file: LakeFile) -> None:
        """Refuse an object that is no longer the listed version."""
        import obstore

        try:
            meta = await obstore.head_async(self._store, file.key)
        except (obstore.exceptions.BaseError, OSError) as error:
            problem = self._problem(error, file)
        else:
            if is_version(file, meta):
                return
            problem = ChangedError(self._url(file.key))
        raise problem

    async def _open(self, file: LakeFile, wanted: GetOptions) -> GetResult | None:
        """The answer to a request for the listed version; None if it should not be a range."""
        import obstore

        if not file.etag.startswith(NO_ETAG):
            wanted["if_match"] = f'"{file.etag}"'
        try:
            result = await obstore.get_async(self._store, file.key, options=wanted)
            # Not every store obeys If-Match (rclone's does not): what it sent is looked at too.
            if not is_version(file, result.meta):
                raise ChangedError(self._url(file.key))
            return result
        except (obstore.exceptions.BaseError, OSError) as error:
            if "non-partial response" in str(error):  # 200 where 206 is due: rclone, lakeFS
                self._ranges = False
                return None
            problem = self._problem(error, file)
        raise problem  # outside of `except`: the cause's text may hold an access key id

    def _problem(self, error: Exception, file: LakeFile) -> LakeError:
        url = self._url(file.key)
        return file_error(error, self._place, url) or LakeError(
            explain(error, self._place, url, listing=False)
        )


class Stream:
    """The body of one request for a whole object, given out part by part."""

    def __init__(self, file: LakeFile, body: BytesStream) -> None:
        self._file = file
        self._body = body
        self._at = 0
        self._rest = b""

    def can_give(self, part: Part) -> bool:
        return self._file == part.file and self._at <= part.start

    async def read(self, part: Part) -> bytes:
        """The part's bytes, fewer only if the body ends."""
        data = bytearray()
        while len(data) < part.length:
            if not self._rest:
                self._rest = await anext(self._body, b"")
                if not self._rest:
                    break
            skip = max(0, min(part.start - self._at, len(self._rest)))
            piece = self._rest[skip : skip + part.length - len(data)]
            data += piece if self._at + skip >= part.start else b""
            used = skip + len(piece)
            self._rest = self._rest[used:]
            self._at += used
        return bytes(data)


def is_version(file: LakeFile, meta: ObjectMeta) -> bool:
    """Whether an answer is about the listed version: by etag, or where a store has none by age.

    The time of an answer has whole seconds, the time of a listing has milliseconds.
    """
    etag = bare(meta["e_tag"])
    if etag and not file.etag.startswith(NO_ETAG):
        return etag == file.etag
    age = abs(meta["last_modified"] - file.last_modified)
    return meta["size"] == file.size and age < timedelta(seconds=1)


def bare(etag: str | None) -> str:
    """An etag without its quotes: stores disagree on them even between listing and reading."""
    return (etag or "").removeprefix("W/").strip('"')
