"""Decoding: the raw pieces of one file become its decoded content.

Gzip is recognised by its magic bytes, since names lie in both directions, and decompressed piece
by piece, so that neither a huge file nor a small one that expands hugely is held whole.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from sparkify_dagster.lake.base import CHUNK_BYTES, FileError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"\x1f\x8b"
GZIP = 16 + zlib.MAX_WBITS  # zlib's way to ask for gzip's header and its checksum


class Gunzip:
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
