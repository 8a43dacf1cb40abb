"""A few lines of S3 that can be told to misbehave: only for faults that no real endpoint shows.

It knows listing and GET of one bucket, and plays the queued faults before it answers properly.
"""

from __future__ import annotations

import hashlib
import sys
import threading
import time
import traceback
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ACCESS_KEY = "LAKEREADERKEYID"  # S3's own error answers repeat it: a message must not
PAGE = 3  # keys in a page of a listing: every listing here has several pages


@dataclass
class FakeS3:
    """The bucket ``bucket``; a fault is played once, for the next request it is queued for.

    ``ranges`` is the status of an answer to a request for a range: some stores say 200.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    list_faults: deque[Callable[[Handler], None]] = field(default_factory=deque)
    get_faults: deque[Callable[[Handler], None]] = field(default_factory=deque)
    requests: list[str] = field(default_factory=list)
    endpoint_url: str = ""
    etags: bool = True
    ranges: int = 206
    signed: int = 0


class Handler(BaseHTTPRequestHandler):
    """One connection to the fake."""

    protocol_version = "HTTP/1.1"
    s3: FakeS3

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.s3.requests.append(self.path)
        self.s3.signed += "Authorization" in self.headers
        key = unquote(url.path).removeprefix("/bucket").removeprefix("/")
        faults = self.s3.get_faults if key else self.s3.list_faults
        refused = "Range" in self.headers and self.s3.ranges != 206
        if faults and not refused:
            faults.popleft()(self)
        elif key:
            self.get(key)
        else:
            self.list(parse_qs(url.query))

    do_HEAD = do_GET

    def list(self, query: dict[str, list[str]]) -> None:
        prefix = query.get("prefix", [""])[0]
        after = query.get("continuation-token", [""])[0]
        keys = sorted(k for k in self.s3.objects if k.startswith(prefix) and k > after)
        page = keys[:PAGE]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.s3.objects[key])}</Size>"
            f"<LastModified>2018-11-01T00:00:00.000Z</LastModified>"
            f"{tag(self.s3.objects[key]) if self.s3.etags else ''}</Contents>"
            for key in page
        )
        more = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>"
        body = f"<ListBucketResult>{rows}{more if keys[PAGE:] else ''}</ListBucketResult>"
        self.answer(200, body.encode())

    def get(self, key: str) -> None:
        data = self.s3.objects.get(key)
        if data is None:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        match = self.headers.get("If-Match")
        if match and match.strip('"') != etag(data):
            self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        headers = {"Last-Modified": "Thu, 01 Nov 2018 00:00:00 GMT"}
        if self.s3.etags:
            headers["ETag"] = f'"{etag(data)}"'
        status, body = 200, data
        if wanted := self.headers.get("Range"):
            start, end = wanted.removeprefix("bytes=").split("-")
            status, body = self.s3.ranges, data[int(start) : int(end or len(data)) + 1]
            headers["Content-Range"] = f"bytes {start}-{int(start) + len(body) - 1}/{len(data)}"
        self.answer(status, body, headers)

    def answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int = -1
    ) -> None:
        """Send an answer; a ``length`` above the body's own breaks the connection off after it."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length if length >= 0 else len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = length > len(body)


class Server(ThreadingHTTPServer):
    """A server that takes a client's hanging up for granted."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            traceback.print_exc()


def etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def tag(data: bytes) -> str:
    return f"<ETag>&quot;{etag(data)}&quot;</ETag>"


def fails(status: int, code: str = "InternalError", message: str = "") -> Callable[[Handler], None]:
    """A fault: an error answer as S3 gives it."""
    said = f"<Code>{code}</Code><Message>{message}</Message>"
    body = f"<Error>{said}<AWSAccessKeyId>{ACCESS_KEY}</AWSAccessKeyId></Error>".encode()
    return lambda handler: handler.answer(status, body)


def stalls(seconds: float) -> Callable[[Handler], None]:
    """A fault: no answer for so long, then none at all."""

    def fault(handler: Handler) -> None:
        time.sleep(seconds)
        handler.close_connection = True

    return fault


def breaks_off(
    data: bytes, announced: int, *, of: bytes | None = None
) -> Callable[[Handler], None]:
    """A fault: fewer bytes than announced, then the end of the connection."""
    headers = {"ETag": f'"{etag(of or data)}"', "Last-Modified": "Thu, 01 Nov 2018 00:00:00 GMT"}
    return lambda handler: handler.answer(200, data, headers, announced)


def serve(s3: FakeS3) -> Iterator[FakeS3]:
    """Serve on a free loopback port until the generator is closed."""
    handler = type("BoundHandler", (Handler,), {"s3": s3})
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    s3.endpoint_url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield s3
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
