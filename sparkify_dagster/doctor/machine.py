"""What this machine is like: packages, Dagster's folder, room on the disks."""

import importlib.metadata
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from sparkify_dagster.console import Mark, listed, size
from sparkify_dagster.doctor.finding import Finding

DISTRIBUTION = "sparkify-dagster"
LEAST_FREE_BYTES, LITTLE_FREE_BYTES = 100 << 20, 1 << 30
_PIN = re.compile(r"([\w.-]+)==([\w.]+)$")


def versions() -> Iterator[Finding]:
    """Dagster's packages are released together: the core with the libraries of the same day."""
    try:
        pinned = [_PIN.match(text) for text in importlib.metadata.requires(DISTRIBUTION) or ()]
    except importlib.metadata.PackageNotFoundError:
        yield Finding(Mark.WARN, "packages", f"{DISTRIBUTION} is not installed", "Run `make env`.")
        return
    wanted = {pin[1]: pin[2] for pin in pinned if pin}
    found = {name: _installed(name) for name in wanted}
    wrong = [
        f"{name} is {found[name]} and has to be {version}"
        for name, version in wanted.items()
        if found[name] != version
    ]
    if wrong:
        yield Finding(Mark.FAIL, "packages", listed(wrong), "Run `make env`.")
        return
    shown = listed([f"{name} {version}" for name, version in found.items()])
    yield Finding(Mark.OK, "packages", f"{shown} go together")


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def home(home: Path) -> Iterator[Finding]:
    subject = "DAGSTER_HOME"
    place = existing(home)
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding(
            Mark.FAIL,
            subject,
            f"{place} cannot be written to",
            "Set DAGSTER_HOME to another folder.",
        )
        return
    if not home.exists():
        yield Finding(Mark.OK, subject, f"{home} does not exist yet; the first run makes it")
        return
    file = home / "dagster.yaml"
    wrong = _yaml_problem(file) if file.exists() else ""
    if wrong:
        advice = "Mend it, or remove it to get a new one."
        yield Finding(Mark.FAIL, subject, f"{file}: {wrong}", advice)
    else:
        yield Finding(Mark.OK, subject, str(home))


def _yaml_problem(file: Path) -> str:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return " ".join(str(error).split())
    return "" if content is None or isinstance(content, dict) else "not a mapping of settings"


def disks(*places: Path) -> Iterator[Finding]:
    """Each disk once."""
    disks = {place.stat().st_dev: place for place in reversed(places)}
    for place in disks.values():
        free = shutil.disk_usage(place).free
        said = f"{size(free)} free at {place if place.is_dir() else place.parent}"
        if free >= LITTLE_FREE_BYTES:
            yield Finding(Mark.OK, "disk", said)
            continue
        mark = Mark.FAIL if free < LEAST_FREE_BYTES else Mark.WARN
        yield Finding(mark, "disk", said, "Make room, or set [DUCKDB] PATH to another disk.")


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next(place for place in (path, *path.parents) if place.exists())
