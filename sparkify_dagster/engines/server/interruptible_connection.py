"""psycopg2's connection, whose calls to the server an interruption ends (see `interruptible`).

psycopg2 is imported here: whoever opens a connection imports this module.
"""

from contextlib import suppress
from ctypes import CDLL, c_char_p, c_int, c_void_p, create_string_buffer
from functools import cache, partial
from threading import Thread
from typing import Any

from psycopg2 import InterfaceError, _psycopg, extensions

from sparkify_dagster.interruptible import CallThread


class InterruptibleCursor(extensions.cursor):
    """A cursor whose statements run in the thread of its connection."""

    def execute(self, *args: Any, **kwargs: Any) -> None:
        _thread_of(self).call(partial(super().execute, *args, **kwargs))

    def copy_expert(self, *args: Any, **kwargs: Any) -> None:
        _thread_of(self).call(partial(super().copy_expert, *args, **kwargs))


class InterruptibleConnection(extensions.connection):
    """A connection that waits for its server in a thread of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.thread = CallThread(self._cancel)
        self._cancelling: int | None = None
        try:
            self.thread.call(partial(super().__init__, *args, **kwargs))
        except BaseException:
            # The traceback keeps this object, and the server would wait for it to go on.
            self.thread.close(partial(_close_unopened, self))
            raise
        self._cancelling = _libpq().PQgetCancel(self.pgconn_ptr)
        self.cursor_factory = InterruptibleCursor

    def commit(self) -> None:
        self.thread.call(super().commit)

    def rollback(self) -> None:
        self.thread.call(super().rollback)

    def close(self) -> None:
        self.thread.close(super().close)

    def _cancel(self) -> None:
        # Asking for it is a connection of its own, which a server that is gone lets wait.
        if self._cancelling is not None:
            Thread(target=_cancel, args=(self._cancelling,), name="cancel", daemon=True).start()


def _close_unopened(connection: InterruptibleConnection) -> None:
    with suppress(InterfaceError):  # libpq had not even begun
        extensions.connection.close(connection)


def _cancel(cancelling: int) -> None:
    text = create_string_buffer(256)
    _libpq().PQcancel(cancelling, text, len(text))  # in vain if nothing runs any more


@cache
def _libpq() -> CDLL:
    """libpq as psycopg2 has it, whose own `cancel` keeps all of Python waiting for the server."""
    library = CDLL(_psycopg.__file__)
    library.PQgetCancel.argtypes, library.PQgetCancel.restype = [c_void_p], c_void_p
    library.PQcancel.argtypes, library.PQcancel.restype = [c_void_p, c_char_p, c_int], c_int
    return library


def _thread_of(cursor: extensions.cursor) -> CallThread:
    connection = cursor.connection
    assert isinstance(connection, InterruptibleConnection)
    return connection.thread
