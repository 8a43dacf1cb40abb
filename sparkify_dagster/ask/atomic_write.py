"""Files that people asked for: there whole or not at all.

What is in them, and how trouble is reported, is the caller's.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def replaced(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes this place, and that of what stands there, at the end of the block.

    Raises:
        OSError: as it came; what stands there stays.
    """
    place = Path(os.path.realpath(path))
    new = place.with_name(f".{place.name}.{os.getpid()}.new")
    try:
        with open(new, "wb") as file:
            yield file
        if place.exists():
            shutil.copymode(place, new)
        os.replace(new, place)
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)
