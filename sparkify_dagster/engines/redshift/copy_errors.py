"""Which lines COPY passed over, and why: asked from SYS_LOAD_ERROR_DETAIL on a second connection.

That view has no text of the lines, which STL_LOAD_ERRORS would put into the system's own tables.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from sparkify_dagster.engines.base import CopyRefusedError, Session, TransientError, WarehouseError
from sparkify_dagster.engines.rows import Value

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_SKIPPED = re.compile(r"(\d+) record\(s\) could not be loaded")
_UNREADABLE = "XX000"
"""What Redshift answers where lines, an object, a manifest or a role are not as COPY needs them."""
# Reasons are kept and shown: none quotes what a line holds, be it a character.
_QUOTED = re.compile(r",? Value:? '.*?'(?=,|$)")
_FOUND = """
    SELECT query_id, file_name, line_number, column_name, error_code, error_message
    FROM sys_load_error_detail
    WHERE session_id = :session_id
      AND start_time >= :began
    ORDER BY line_number
"""
# The view may lag behind the COPY.
_PATIENCE = 30.0
_PAUSE = 0.5
_LAG = 2.0  # where COPY does not say how many lines there are to wait for
# The view cuts names of files at 256 bytes, and perhaps a character before.
_CUT = 253


class CopyErrors:
    """The errors of the COPYs of one session."""

    def __init__(
        self,
        session: Session,
        connection: "Connection",
        look: Callable[[], AbstractContextManager[Session]],
    ) -> None:
        self._session = session
        self._connection = connection
        self._look = look
        # The COPYs whose errors were reported: GETDATE() has whole seconds, and the next COPY of
        # the session may begin within the same.
        self._shown: set[object] = set()

    @contextmanager
    def of(self, url: str) -> Iterator[list[tuple[int, str]]]:
        """Around the COPY of one file: at the end the list has the lines passed over, with why.

        Raises:
            CopyRefusedError: if COPY cannot read the file, or may not pass over its bad lines.
            WarehouseError: if COPY says that it passed over lines which nothing tells of.
        """
        [(session_id, began)] = self._session.fetch("SELECT pg_backend_pid(), GETDATE()")
        mark: dict[str, Value] = {"session_id": session_id, "began": began}
        rejected: list[tuple[int, str]] = []
        del self._connection.notices[:]
        try:
            yield rejected
        except TransientError:
            raise
        except WarehouseError as error:
            if getattr(error.__cause__, "pgcode", None) != _UNREADABLE:
                raise
            raise CopyRefusedError(f"COPY of {url} failed. {error}") from error
        skipped = self._skipped()
        if skipped == 0:
            return
        if skipped is None:
            time.sleep(_LAG)
        found = self._fetch(url, mark, at_least=skipped or 0)
        if skipped is not None and len(found) != skipped:
            raise WarehouseError(
                f"{url}: COPY passed over {skipped} lines, and SYS_LOAD_ERROR_DETAIL tells of "
                f"{len(found)}. Nothing was changed; run again, and see whether the user may read "
                "that view."
            )
        rejected += found

    def _skipped(self) -> int | None:
        """How many lines COPY says that it passed over; None if it says nothing at all."""
        notices = " ".join(self._connection.notices)
        counts = [int(count) for count in _SKIPPED.findall(notices)]
        if counts:
            return sum(counts)
        return 0 if "loaded successfully" in notices else None

    def _fetch(self, url: str, mark: dict[str, Value], *, at_least: int) -> list[tuple[int, str]]:
        deadline = time.monotonic() + _PATIENCE
        while True:
            with self._look() as session:
                found = session.fetch(_FOUND, mark)
            reasons: dict[int, str] = {}
            queries: set[object] = set()
            for query, file, line, *why in found:
                if query not in self._shown and _is_name_of(url, str(file).rstrip(" ")):
                    reasons.setdefault(int(str(line)), _reason(*why))
                    queries.add(query)
            if len(reasons) >= at_least or time.monotonic() > deadline:
                self._shown |= queries
                return sorted(reasons.items())
            time.sleep(_PAUSE)


def _is_name_of(url: str, name: str) -> bool:
    return name == url or (len(name.encode()) >= _CUT and url.startswith(name))


def _reason(column: object, code: object, message: object) -> str:
    name = str(column or "").strip()
    shown = _QUOTED.sub("", str(message).strip())
    return f"{f'{name}: ' if name else ''}{shown} ({code})"
