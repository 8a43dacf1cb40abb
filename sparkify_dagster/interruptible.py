"""Calls that an interruption ends, although they wait in a library where Python hears none.

Python runs the handlers of signals in the main thread, between two steps of its own: a call that
waits in C or Rust hears nothing. Here such a call runs in a thread of its own, and whoever asked
waits in Python. Whatever ends this waiting ends the call: what the handler of a signal raises, an
exception that another thread sets, and in other threads Ctrl-C ending the main one. No handler is
replaced, and `signal.set_wakeup_fd` is left to asyncio and Dagster.
"""

import atexit
import sys
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from math import inf
from queue import SimpleQueue
from threading import Thread, current_thread, main_thread
from time import monotonic
from typing import Any, TypeVar
from weakref import WeakSet

_T = TypeVar("_T")
_threads: "WeakSet[CallThread]" = WeakSet()
_Calls = SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
# Not every interruption wakes a thread that waits: `_thread.interrupt_main` does not.
_LOOK = 0.1  # seconds
_FIRST_PAUSE = 0.05  # seconds between two tries to end a call; doubled each time
_PATIENCE = 0.8  # seconds until a call that does not end is left to itself


class CallThread:
    """The thread in which the calls of one connection run, one after the other.

    `stop` ends the call under way. It may be called several times and from another thread; None
    where nothing can.
    """

    def __init__(self, stop: Callable[[], None] | None = None) -> None:
        self._stop = stop
        self._calls: _Calls = SimpleQueue()
        self._thread: Thread | None = None
        self._under_way: Future[Any] | None = None
        self._is_given_up = False
        self._is_closed = False

    def call(self, work: Callable[[], _T], within: float = inf) -> _T:
        """What `work` returns or raises; or the interruption, once the call has ended.

        Raises:
            TimeoutError: if it takes longer than `within` seconds; it is ended as well.
        """
        if self._is_given_up:
            raise KeyboardInterrupt
        if self._is_closed or current_thread() is self._thread:
            return work()
        answer: Future[_T] = Future()
        until = monotonic() + within
        try:
            self._submit(answer, work)
            while not _is_done(answer, min(_LOOK, until - monotonic())):
                if _was_main_thread_interrupted():
                    raise KeyboardInterrupt
                if monotonic() >= until:
                    raise TimeoutError
        except BaseException:
            self._end(answer)
            raise
        self._under_way = None  # or its result would be kept
        return answer.result()

    def close(self, last: Callable[[], object] | None = None) -> None:
        """End the thread, after a last call: at once, or when a call left to itself has ended."""
        if self._is_closed:
            return
        try:
            if last is not None and self._is_given_up:
                self._submit(Future(), last)
            elif last is not None:
                self.call(last)
        finally:
            self._is_closed = True
            self._calls.put(None)
            if self._thread and not self._is_given_up:
                self._thread.join()  # it has nothing to do any more

    def _submit(self, answer: "Future[_T]", work: Callable[[], _T]) -> None:
        if self._thread is None:
            # A daemon: a call left to itself does not keep the process from ending.
            self._thread = Thread(target=_run, args=(self._calls,), name="calls", daemon=True)
            self._thread.start()
            _threads.add(self)
        self._under_way = answer
        self._calls.put((answer, work))

    def end_with_process(self) -> None:
        """End the call under way, and begin no other: the process takes the rest with it."""
        self._is_given_up = self._is_closed = True
        self._calls.put(None)
        if self._under_way is not None:
            self._end(self._under_way)

    def _end(self, answer: "Future[_T]") -> None:
        """End a call, also one that has not begun; a second Ctrl-C changes nothing."""
        pause, until = _FIRST_PAUSE, monotonic() + _PATIENCE
        while not (answer.cancel() or answer.done()):
            if self._stop is None or monotonic() >= until:
                self._is_given_up = True
                return
            with suppress(BaseException):
                self._stop()
                _is_done(answer, min(pause, until - monotonic()))
            pause *= 2


def interruptibly(work: Callable[[], _T], within: float = inf) -> _T:
    """Wait for a call that nothing can end; after an interruption nobody waits any longer.

    Raises:
        TimeoutError: if it takes longer than `within` seconds.
    """
    thread = CallThread()
    try:
        return thread.call(work, within)
    finally:
        thread.close()


def _is_done(answer: "Future[_T]", within: float) -> bool:
    """Wait until there is an answer, of whatever kind, or the seconds are over."""
    with suppress(TimeoutError):
        answer.exception(max(0.0, within))  # does not raise it
    return answer.done()


@atexit.register
def _end_all() -> None:
    """Python does not wait for every thread, and tears down those that are inside a library."""
    for thread in list(_threads):
        thread.end_with_process()


def _was_main_thread_interrupted() -> bool:
    if main_thread().is_alive():
        return False
    ended_by = getattr(sys, "last_type", None)  # what Python printed as it ended
    return ended_by is not None and issubclass(ended_by, KeyboardInterrupt)


def _run(calls: "_Calls") -> None:
    while call := calls.get():
        answer, work = call
        if answer.set_running_or_notify_cancel():
            try:
                answer.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
                answer.set_exception(error)
        # While the next one is waited for, what the last one had can go.
        del call, answer, work
