"""Listing a prefix of S3: pages of ListObjectsV2, asked for one after the other.

obstore's own listing ends at a key that it cannot address and takes any page that does not say how
to go on for the last. Credentials come from s3.py, the words of errors from s3_errors.py.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus, urlencode, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass
from xml.etree import ElementTree

from sparkify_dagster.lake.base import LakeError, LakeFile
from sparkify_dagster.lake.s3_errors import Place, explain
from sparkify_dagster.lake.s3_fetch import NO_ETAG, Patience, bare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import urllib3
    from obstore.store import S3Credential

_ANSWER = "ListBucketResult"


class _RefusedError(Exception):
    """A request that failed, in the words that `explain` knows; `again` if another may succeed."""

    def __init__(self, text: str, *, again: bool) -> None:
        super().__init__(text)
        self.again = again


@dataclass(frozen=True)
class Page:
    """Some objects of a prefix, and where the next page begins."""

    files: list[LakeFile]
    token: str


class Listing:
    """The objects under a prefix; `credential` gives what signs requests, None: they are not."""

    def __init__(
        self,
        place: Place,
        uri: str,
        patience: Patience,
        credential: Callable[[], S3Credential] | None,
        *,
        verify: bool = True,
    ) -> None:
        self._verify = verify
        self._place = place
        self._uri = uri
        self._patience = patience
        self._credential = credential
        self._prefix = f"{place.prefix}/" if place.prefix else ""
        address = urlsplit(place.endpoint or f"https://s3.{place.region}.amazonaws.com")
        host = address.netloc.rpartition("@")[2]
        path = f"{address.path.rstrip('/')}/{place.bucket}"
        self._address = urlunsplit((address.scheme, host, path, "", ""))

    def files(self) -> Iterator[LakeFile]:
        """Every object, whatever its key, in the order of S3.

        Raises:
            LakeError: if S3 refuses, or what answers is not S3, or ends before it is at the end.
        """
        pool = _pool(self._address, self._patience, verify=self._verify)
        token = ""
        while True:
            page = self._page(pool, token)
            yield from page.files
            if not page.token:
                return
            if page.token == token:
                raise self._cut_short()
            token = page.token

    def _page(self, pool: urllib3.PoolManager, token: str) -> Page:
        deadline = time.monotonic() + self._patience.whole
        problem = ""
        for attempt in range(self._patience.retries + 1):
            if attempt:
                time.sleep(self._patience.pause(attempt - 1))
            try:
                return self._read(self._ask(pool, token))
            except _RefusedError as error:
                tries = f" after {attempt} retries" if error.again else ""
                known = _RefusedError(f"{error}{tries}", again=False)
                problem = explain(known, self._place, self._uri, listing=True)
                if not error.again or time.monotonic() > deadline:
                    break
        raise LakeError(problem)  # outside of `except`: the cause's text may hold an access key id

    def _ask(self, pool: urllib3.PoolManager, token: str) -> bytes:
        """The answer to the request for one page."""
        import urllib3

        asked = {"encoding-type": "url", "list-type": "2", "prefix": self._prefix}
        if token:
            asked["continuation-token"] = token
        query = urlencode(sorted(asked.items()), quote_via=quote, safe="-_.~")
        url = f"{self._address}?{query}"
        headers = self._signed(url)
        try:
            answer = pool.request("GET", url, headers=headers, redirect=False, retries=False)
        except urllib3.exceptions.HTTPError as error:
            refused = _unanswered(error)
        else:
            if answer.status == 200:
                return answer.data
            said = answer.data.decode("utf-8", "replace")
            text = f"status code: {answer.status} {said}"
            refused = _RefusedError(text, again=answer.status >= 500 or answer.status == 429)
        raise refused

    def _signed(self, url: str) -> dict[str, str]:
        """The headers of a request for this address."""
        if self._credential is None:
            return {}
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        from botocore.exceptions import BotoCoreError

        try:
            given = self._credential()
        except (BotoCoreError, ValueError):
            raise _RefusedError("External AWS credential provider", again=False) from None
        request = AWSRequest("GET", url)
        keys = Credentials(
            given["access_key_id"], given["secret_access_key"], given.get("token") or None
        )
        S3SigV4Auth(keys, "s3", self._place.region).add_auth(request)
        return {name: str(value) for name, value in request.headers.items()}

    def _read(self, answer: bytes) -> Page:
        try:
            root = ElementTree.fromstring(answer)
            space, _, name = root.tag.rpartition("}")
            if name != _ANSWER:
                raise ValueError
            space = f"{space}}}" if space else ""
            quoted = root.findtext(f"{space}EncodingType") == "url"
            found = [self._file(item, space, quoted) for item in root.iterfind(f"{space}Contents")]
        except (ElementTree.ParseError, ValueError):
            raise _RefusedError("invalid list response", again=False) from None
        token = root.findtext(f"{space}NextContinuationToken") or ""
        if not token and root.findtext(f"{space}IsTruncated") == "true":
            raise self._cut_short()
        return Page([file for file in found if file is not None], token)

    def _file(self, item: ElementTree.Element, space: str, quoted: bool) -> LakeFile | None:
        """One object; None for an empty "folder" as consoles make them, whose key ends with `/`."""
        whole = item.findtext(f"{space}Key") or ""
        whole = unquote_plus(whole) if quoted else whole
        key = whole.removeprefix(self._prefix)
        size = int(item.findtext(f"{space}Size") or "")
        if not key or (key.endswith("/") and not size):
            return None
        modified = datetime.fromisoformat(item.findtext(f"{space}LastModified") or "")
        # Without etags, versions are told apart by what there is.
        etag = bare(item.findtext(f"{space}ETag")) or f"{NO_ETAG}{modified.timestamp():.6f}-{size}"
        return LakeFile(key, size, etag, modified)

    def _cut_short(self) -> LakeError:
        return LakeError(
            f"{self._uri}: {self._place.server} says that its listing goes on, and not where: no"
            " file of it can be missed, so none is taken. Run again; if it stays so, this storage"
            " does not list as S3 does"
        )


def _pool(address: str, patience: Patience, *, verify: bool) -> urllib3.PoolManager:
    """Connections as the environment wants them: by proxy, and with the system's certificates."""
    import ssl

    import urllib3

    trusted = ssl.create_default_context() if verify else ssl._create_unverified_context()
    timeout = urllib3.Timeout(connect=patience.connect, read=patience.silence)
    url = urlsplit(address)
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(url.hostname or ""):
        return urllib3.ProxyManager(proxy, timeout=timeout, ssl_context=trusted)
    return urllib3.PoolManager(timeout=timeout, ssl_context=trusted)


def _unanswered(error: Exception) -> _RefusedError:
    """What kept an answer from coming, in the words of `s3_errors.NETWORK`."""
    from urllib3 import exceptions as e

    text = str(error)
    if isinstance(error, e.NameResolutionError):
        return _RefusedError("dns error", again=False)
    if isinstance(error, e.SSLError):
        sign = "kind: Connect certificate" if "CERTIFICATE" in text else "InvalidContentType"
        return _RefusedError(sign, again=False)
    if isinstance(error, e.NewConnectionError | e.ProxyError):
        refused = "Connection refused" in text
        return _RefusedError("ConnectionRefused" if refused else "kind: Connect", again=False)
    if isinstance(error, e.TimeoutError):
        return _RefusedError("kind: Timeout", again=True)
    return _RefusedError("error sending request", again=True)  # it broke off
