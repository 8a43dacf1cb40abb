"""JSONPaths: the file, its expressions, and finding what they name in a root value."""

import json
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from sparkify_dagster_tests.standin.columns import MALFORMED, LoadError
from sparkify_dagster_tests.standin.errors import INTERNAL, RefusedError
from sparkify_dagster_tests.standin.json_stream import Json

_STEP = re.compile(r"\['([^']*)'\]|\[\"([^\"]*)\"\]|\[([0-9]+)\]|\.([^.\[\]'\"*]+)")
Step: TypeAlias = str | int
Find: TypeAlias = Callable[[Json], "list[Json]"]


def read_paths(data: bytes) -> tuple[tuple[Step, ...], ...] | None:
    """The expressions of a JSONPaths file; None if its key is not `jsonpaths`: then it is 'auto'.

    Raises:
        RefusedError: if it is no JSON object of that shape, or an expression is not understood.
    """
    try:
        found = json.loads(data)
    except ValueError:
        raise RefusedError("Invalid JSONPaths file: it is not JSON", INTERNAL) from None
    if not isinstance(found, dict):
        raise RefusedError("Invalid JSONPaths file: it is not an object", INTERNAL)
    if "jsonpaths" not in found:
        return None
    paths = found["jsonpaths"]
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise RefusedError("Invalid JSONPaths file: jsonpaths is not an array of text", INTERNAL)
    return tuple(_steps(path) for path in paths)


def _steps(path: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    place = 1
    while path.startswith("$") and (match := _STEP.match(path, place)):
        bracketed, quoted, index, dotted = match.groups()
        steps.append(int(index) if index else bracketed or quoted or dotted)
        place = match.end()
    if not steps or place < len(path):
        raise RefusedError(f"Invalid JSONPath format: {path}", INTERNAL)
    return tuple(steps)


def finder(paths: Sequence[tuple[Step, ...]]) -> Find:
    """The values of a root in the order of the expressions, None where nothing is found."""
    if all(len(path) == 1 and isinstance(path[0], str) for path in paths):
        names = [str(path[0]) for path in paths]
        return lambda root: _by_name(root, names)
    return lambda root: [_walk(root, path) for path in paths]


def auto_finder(columns: Sequence[str], *, ignore_case: bool) -> Find:
    """The values whose names are those of the columns."""
    if ignore_case:
        return lambda root: _by_name(_lowered(root), columns)
    return lambda root: _by_name(root, columns)


def _by_name(root: Json, names: Sequence[str]) -> list[Json]:
    if not isinstance(root, dict):
        raise LoadError(MALFORMED, "Invalid JSONPath format: Member is not an object.")
    get = root.get
    return [get(name) for name in names]


def _lowered(root: Json) -> Json:
    return {k.lower(): v for k, v in root.items()} if isinstance(root, dict) else root


def _walk(root: Json, path: Sequence[Step]) -> Json:
    for step in path:
        if isinstance(step, str) and isinstance(root, dict):
            root = root.get(step)
        elif isinstance(step, int) and isinstance(root, list) and step < len(root):
            root = root[step]
        else:
            return None
    return root
