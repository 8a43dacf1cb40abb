"""Misfortunes on demand: what a test asks for happens at the n-th statement that matches.

Each happens once. Statements of all sessions are counted, from the moment of asking.
"""

import re
import threading
from dataclasses import dataclass, field
from enum import Enum, auto


class Trouble(Enum):
    SERIALIZATION_FAILURE = auto()
    """Error 1023 instead of the statement."""
    DROP_BEFORE = auto()
    """The connection breaks and the statement was never executed."""
    DROP_AFTER = auto()
    """The statement is executed, and the connection breaks before its answer."""
    SLOW = auto()
    """The statement takes so many seconds longer, holding its locks."""
    ERROR = auto()
    """The statement fails with a given message."""


@dataclass
class Fault:
    """One of them; ``done`` is set when it has happened."""

    trouble: Trouble
    pattern: re.Pattern[str]
    nth: int
    seconds: float = 0.0
    message: str = ""
    code: str = "XX000"
    done: threading.Event = field(default_factory=threading.Event)


class Faults:
    """The faults that have not happened yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []
        self._logins: list[tuple[str, str]] = []

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._waiting.append(fault)
        return fault

    def of(self, statement: str) -> Fault | None:
        """The fault of a statement that is about to be executed."""
        with self._lock:
            for fault in self._waiting:
                if not fault.pattern.search(statement):
                    continue
                fault.nth -= 1
                if fault.nth <= 0:
                    self._waiting.remove(fault)
                    return fault
        return None

    def refuse_logins(self, times: int, message: str, code: str) -> None:
        with self._lock:
            self._logins += [(message, code)] * times

    def of_login(self) -> tuple[str, str] | None:
        with self._lock:
            return self._logins.pop(0) if self._logins else None

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()
            self._logins.clear()
