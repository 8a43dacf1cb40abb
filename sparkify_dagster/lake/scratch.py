"""A prefix of S3 for what another machine is handed: written, read by it, and deleted.

Every user of it has a folder of its own, so that runs side by side never meet. What is written
there, and who reads it, is not known here.
"""

from __future__ import annotations

import re
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sparkify_dagster.interruptible import interruptibly
from sparkify_dagster.lake.base import LakeError
from sparkify_dagster.lake.s3 import S3Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FOLDER = re.compile(r"(\d{8}T\d{6})-[0-9a-f]{12}/")
_LEFT_BEHIND = timedelta(days=1)
PATIENCE = 300.0  # seconds until clearing away is left to the next run


class Scratch:
    """One folder below the scratch prefix, named after its beginning."""

    def __init__(self, uri: str, *, region: str, endpoint_url: str | None) -> None:
        self._area = S3Lake(uri, region=region, endpoint_url=endpoint_url)
        self._name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}"
        self._written: list[str] = []

    def url(self, name: str) -> str:
        return self._area.url(f"{self._name}/{name}")

    def put(self, name: str, content: bytes) -> str:
        """Write one object; its address. Raises LakeError if it cannot be written."""
        key = f"{self._name}/{name}"
        self._written.append(key)
        with self._explaining(key):
            import obstore

            interruptibly(lambda: obstore.put(self._area.store, key, content))
        return self._area.url(key)

    def clear(self, notify: Callable[[str], None], patience: float) -> None:
        """Delete the folder, and those that killed runs left behind more than a day ago."""
        import obstore

        if not self._written:
            return
        try:
            interruptibly(self._delete, patience)
        except TimeoutError:
            notify(f"the scratch folder {self.url('')} was not emptied in {patience:g} seconds")
        except (obstore.exceptions.BaseError, OSError) as error:
            why = self._area.explain(error, self._area.uri)
            notify(f"the scratch folder {self.url('')} was not emptied: {why}")
        self._written.clear()

    def _delete(self) -> None:
        import obstore

        # Our own first: who may write and delete there may not always list.
        obstore.delete(self._area.store, self._written)
        if old := [key for key in self._keys() if _is_left_behind(key)]:
            obstore.delete(self._area.store, old)

    def _keys(self) -> Iterator[str]:
        import obstore

        for page in obstore.list(self._area.store):
            yield from (meta["path"] for meta in page)

    @contextmanager
    def _explaining(self, key: str) -> Iterator[None]:
        import obstore

        problem = ""
        try:
            yield
        except (obstore.exceptions.BaseError, OSError) as error:
            problem = self._area.explain(error, self._area.url(key))
        if problem:  # outside of `except`: the cause's text may hold an access key id
            raise LakeError(f"[S3] SCRATCH: {problem}")


def _is_left_behind(key: str) -> bool:
    match = _FOLDER.match(key)
    if not match:
        return False  # somebody else's
    try:
        began = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:  # no such day: somebody else's too
        return False
    return datetime.now(UTC) - began > _LEFT_BEHIND
