"""Decoding: the raw pieces of one file become its decoded content.

Gzip is recognised by its magic bytes, since names lie in both directions; zstd has to be in the
name as well, because Redshift's COPY goes by it. Both are decompressed piece by piece, so that
neither a huge file nor a small one that expands hugely is held whole.
"""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING

from sparkify_dagster.lake.base import CHUNK_BYTES, FileError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
GZIP = 16 + zlib.MAX_WBITS  # zlib's way to ask for gzip's header and its checksum


def gunzip(raw: Iterator[bytes], url: str) -> Iterator[bytes]:
    """The decoded content of a file that comes in raw pieces, at most CHUNK_BYTES at a time."""
    file = _Gunzip(url)
    for piece in raw:
        yield from file.feed(piece)
    file.finish()


class _Gunzip:
    """Streaming decompression of one file, which may hold several gzip members (RFC 1952)."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._member = zlib.decompressobj(GZIP)
        self._inside = True  # a member is begun: its header at least is due

    def feed(self, raw: bytes) -> Iterator[bytes]:
        """The decoded content of the next raw piece, at most CHUNK_BYTES at a time."""
        pending = False  # zlib may hold output back after a full chunk took the last input
        while raw or pending:
            if not self._inside:
                raw = raw.lstrip(b"\0")  # tape blocks are padded with zeros
                if not raw:
                    return
                self._member = zlib.decompressobj(GZIP)
                self._inside = True
            try:
                data = self._member.decompress(raw, CHUNK_BYTES)
            except zlib.error:
                raise FileError(
                    self._url, "the gzip data is damaged", "upload the file again"
                ) from None
            if data:
                yield data
            self._inside = not self._member.eof
            raw = self._member.unconsumed_tail if self._inside else self._member.unused_data
            pending = self._inside and len(data) == CHUNK_BYTES

    def finish(self) -> None:
        """Refuse a file that ends in the middle of a member."""
        if self._inside:
            raise FileError(self._url, "the gzip data ends early", "upload the file again")


def is_zstd(key: str, raw: bytes) -> bool:
    return key.endswith(".zst") and raw.startswith(ZSTD_MAGIC)


def unzstd(raw: Iterator[bytes], url: str) -> Iterator[bytes]:
    """The decoded content of a file that comes in raw pieces, at most CHUNK_BYTES at a time."""
    import pyarrow as pa

    source = _Pieces(raw)
    try:
        with pa.CompressedInputStream(pa.PythonFile(source, mode="r"), "zstd") as stream:
            while data := stream.read(CHUNK_BYTES):
                yield data
        return
    except (pa.ArrowException, OSError) as error:
        early = "runcated" in str(error)
    state = "ends early" if early else "is damaged"
    raise FileError(url, f"the zstd data {state}", "upload the file again")


class _Pieces(io.RawIOBase):
    """Pieces of bytes, to be read as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self._rest:
            self._rest = next(self._pieces, b"")
        taken = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(taken) :]
        return taken
