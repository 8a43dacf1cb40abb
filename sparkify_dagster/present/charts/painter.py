"""The helper process that draws (`vega`), and how this process asks it.

V8 takes half a second to start and holds the interpreter's lock while it draws: in a thread it
would stop what it is meant to run beside.
"""

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Timer
from typing import Any

_PROGRAM = Path(__file__).with_name("vega.py")
_PATIENCE = 30.0
_INHERITED = (
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
    "PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
)  # fmt: skip
"""Where Python and the fonts are. Nothing else of the environment, which may hold secrets."""


class NotDrawn(ValueError):
    """There is no picture; the message says why."""


class Painter:
    """The helper of this process: started when it is first needed, and again when it has died.

    A thread asks at a time. A forked child has none of its parent's, and starts its own.
    """

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._registered = False

    def start(self) -> None:
        """Start the helper, without waiting until it is ready."""
        with self._lock, suppress(OSError):  # it is reported where something is drawn
            self._started()

    def paint(self, spec: Mapping[str, Any]) -> str:
        """The SVG of a specification.

        Raises:
            NotDrawn: if Vega refuses it, or the helper dies, hangs or cannot be started.
        """
        question = json.dumps(spec).encode() + b"\n"
        with self._lock:
            # One that died since it was asked last is seen by that; another is asked then.
            shown = self._shown(question) or self._shown(question)
        if not shown:
            raise NotDrawn("its process ended.")
        found: dict[str, str] = json.loads(shown)
        if "svg" not in found:
            raise NotDrawn(found["error"])
        return found["svg"]

    def close(self) -> None:
        """End the helper and wait for it. Takes no lock: nothing may keep a process from ending."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        _close_pipes(process)

    def _shown(self, question: bytes) -> bytes:
        """The line that answers; nothing if the helper died over it."""
        try:
            process = self._started()
        except OSError as error:
            raise NotDrawn(f"its process cannot be started ({error}).") from error
        try:
            shown, late = _ask(process, question, self._patience)
        except BaseException:  # an interrupted question leaves its answer in the pipe
            self.close()
            raise
        if shown.endswith(b"\n"):
            return shown
        self.close()
        if late:
            raise NotDrawn(f"it took more than {self._patience:g} s.")
        return b""

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process and self._process.poll() is None:
            return self._process
        self.close()
        if not self._registered:
            atexit.register(self.close)
            os.register_at_fork(after_in_child=self._forget)
            self._registered = True
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM)],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _INHERITED if name in os.environ},
            start_new_session=True,  # Ctrl-C at the terminal is not for it
        )
        return self._process

    def _forget(self) -> None:
        """What a forked child does: the helper is its parent's to ask and to wait for."""
        self._lock = Lock()
        process, self._process = self._process, None
        if process is not None:
            process.returncode = 0
            _close_pipes(process)


def _ask(
    process: "subprocess.Popen[bytes]", question: bytes, patience: float
) -> tuple[bytes, bool]:
    """The line that answers, less than a line if the helper ended; and whether it was too late."""
    assert process.stdin is not None
    assert process.stdout is not None
    late = Event()

    def give_up() -> None:
        late.set()
        process.kill()

    waiting = Timer(patience, give_up)
    waiting.daemon = True
    waiting.start()
    shown = bytearray()
    try:
        rest = memoryview(question)
        while rest:
            rest = rest[os.write(process.stdin.fileno(), rest) :]
        while not shown.endswith(b"\n") and (some := os.read(process.stdout.fileno(), 1 << 16)):
            shown += some
    except BrokenPipeError:
        pass
    finally:
        waiting.cancel()
    return bytes(shown), late.is_set()


def _close_pipes(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
