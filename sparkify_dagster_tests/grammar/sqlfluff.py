"""What sqlfluff's redshift dialect cannot parse: a judge that is not ours.

A parse takes some 20 ms, so a pass is kept by the text that was judged, in files that all processes
of the suite share; a refusal is judged again each time. Without a folder, as outside of pytest,
nothing is kept.
"""

import hashlib
import re
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

from sqlfluff.core import FluffConfig, Linter

# What Redshift documents and sqlfluff 4.5 does not know, as the text that is judged in its place.
# A test shows for each that sqlfluff still refuses it.
FALSE_REJECTIONS = (
    # ANALYZE: only the columns that queries filter by.
    (re.compile(r"^(\s*ANALYZE\s+[\w.]+)\s+PREDICATE\s+COLUMNS\s*;?\s*$", re.IGNORECASE), r"\1"),
)


class Passes:
    """The texts that parsed; `root` holds a folder for every version that there ever was."""

    def __init__(self, root: Path | None) -> None:
        self._folder = root and root / _judge()

    def has(self, text: str) -> bool:
        return self._folder is not None and self._place(self._folder, text).exists()

    def keep(self, text: str) -> None:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._place(self._folder, text).touch()

    @staticmethod
    def _place(folder: Path, text: str) -> Path:
        return folder / hashlib.sha256(text.encode()).hexdigest()


in_use = Passes(None)
"""A plugin names the folder."""


def _judge() -> str:
    parts = [sys.version, version("sqlfluff"), repr(FALSE_REJECTIONS)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@cache
def unparsable(text: str) -> tuple[str, ...]:
    """What sqlfluff cannot parse of a statement."""
    if in_use.has(text):
        return ()
    judged = text
    for pattern, instead in FALSE_REJECTIONS:
        judged = pattern.sub(instead, judged)
    found = parse(judged)
    if not found:
        in_use.keep(text)
    return found


def parse(text: str) -> tuple[str, ...]:
    parsed = _linter().parse_string(text)
    variant = parsed.root_variant()
    tree = variant.tree if variant else None
    if tree is None:
        return tuple(f"sqlfluff: {violation.desc()}" for violation in parsed.violations)
    return tuple(
        f"sqlfluff's redshift dialect does not parse: {' '.join(segment.raw.split())[:100]}"
        for segment in tree.iter_unparsables()
    )


@cache
def _linter() -> Linter:
    # Without the user's own configuration, and without templates: `{{` is no part of our SQL.
    config = FluffConfig(
        overrides={"dialect": "redshift", "templater": "raw"}, ignore_local_config=True
    )
    return Linter(config=config)
