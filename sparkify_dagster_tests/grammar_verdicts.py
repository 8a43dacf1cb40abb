"""Which statements the grammar gate has passed, as files that all processes of the suite share.

Only a pass is kept, by the whole text that was judged and by who judged it: sqlfluff's version and
the text of our own rules. What was refused is judged again each time. Without a folder, as outside
of pytest, nothing is kept.
"""

import hashlib
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent


class Verdicts:
    """The passes in one folder; `root` holds a folder for every gate that there ever was."""

    def __init__(self, root: Path | None) -> None:
        self._folder = root and root / _gate()

    def passed(self, text: str) -> bool:
        return self._folder is not None and self._place(self._folder, text).exists()

    def keep(self, text: str) -> None:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._place(self._folder, text).touch()

    @staticmethod
    def _place(folder: Path, text: str) -> Path:
        return folder / hashlib.sha256(text.encode()).hexdigest()


@cache
def _gate() -> str:
    """What decides: another version of any of it has verdicts of its own."""
    rules = sorted([*HERE.glob("grammar_*.py"), HERE / "redshift_grammar.py"])
    parts = [sys.version, version("sqlfluff"), *(path.read_text("utf-8") for path in rules)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


in_use = Verdicts(None)
"""A plugin names the folder."""
