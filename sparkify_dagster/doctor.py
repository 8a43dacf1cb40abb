"""What `sparkify doctor` looks at: one finding for each thing that a run needs, and what to do.

Nothing is created or changed, and Dagster is not imported. How a finding looks is in `commands`.
"""

import importlib.metadata
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from sparkify_dagster.commands.planning import files_are
from sparkify_dagster.console import Mark, counted, listed, size
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.lake import Lake, LakeFile
from sparkify_dagster.settings import Engine, load_settings
from sparkify_dagster.warehouse import Platform, WarehouseBusyError, open_platform

DISTRIBUTION = "sparkify-dagster"
SECONDS_FOR_A_BUSY_WAREHOUSE = 2.0
LEAST_FREE_BYTES, LITTLE_FREE_BYTES = 100 << 20, 1 << 30
_PIN = re.compile(r"([\w.-]+)==([\w.]+)$")
_JSON_PATH = re.compile(r"\$(?:\['([^']+)'\]|\.(\w+))")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `advice` says what to do about it."""

    mark: Mark
    subject: str
    said: str
    advice: str = ""


def examine() -> Iterator[Finding]:
    """Look at everything, from the configuration on."""
    yield from _versions()
    try:
        settings = load_settings()
        platform = open_platform(settings)
    except SparkifyError as error:
        yield Finding(Mark.FAIL, "configuration", str(error))
        return
    yield Finding(Mark.OK, "configuration", f"{settings.config_file} is valid")
    # A process that holds the warehouse is a finding, not something to wait for.
    patience = min(settings.duckdb.lock_timeout, SECONDS_FOR_A_BUSY_WAREHOUSE)
    impatient = replace(settings, duckdb=replace(settings.duckdb, lock_timeout=patience))
    platform = open_platform(impatient, platform.catalogue)
    yield from _home(settings.home)
    yield from _days(platform)
    of_lake: list[Finding] = []
    for name, source in platform.catalogue.sources.items():
        for finding in _guarded(f"lake {source.name}", _lake(platform, name)):
            of_lake.append(finding)
            yield finding
    yield from _json_paths(platform)
    lake_is_there = all(finding.mark is not Mark.FAIL for finding in of_lake)
    yield from _guarded("warehouse", _warehouse(platform, compare=lake_is_there))
    yield from _disks(_existing(settings.duckdb.path), _existing(settings.home))


def _guarded(subject: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings of one subject; an error of the platform is a failed one."""
    try:
        yield from findings
    except WarehouseBusyError as error:
        yield Finding(Mark.WARN, subject, str(error))
    except SparkifyError as error:
        yield Finding(Mark.FAIL, subject, str(error))


def _versions() -> Iterator[Finding]:
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
    told = listed([f"{name} {version}" for name, version in found.items()])
    yield Finding(Mark.OK, "packages", f"{told} go together")


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _home(home: Path) -> Iterator[Finding]:
    subject = "DAGSTER_HOME"
    place = _existing(home)
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


def _days(platform: Platform) -> Iterator[Finding]:
    first, last = platform.partitions()
    if first > last:
        yield Finding(
            Mark.FAIL,
            "days",
            f"FIRST_DAY {first} is in the future",
            f"Set [PARTITIONS] FIRST_DAY in {platform.settings.config_file}.",
        )


def _lake(platform: Platform, table: str) -> Iterator[Finding]:
    source, uri = platform.catalogue.sources[table], platform.lake_uri(table)
    subject = f"lake {source.name}"
    lake = platform.lake(table)
    files = lake.list()
    owned = [file for file in files if source.owns(file.key)]
    first, last = platform.partitions()
    dated = [(source.day_of(file.key), file) for file in owned]
    outside = [file for day, file in dated if day and not first <= day <= last]
    days = sorted({day for day, _ in dated if day and first <= day <= last})
    usable = len(owned) - len(outside)
    if usable:
        _read_smallest(lake, owned)
        covered = f" of {counted(len(days), 'day')} from {days[0]} to {days[-1]}" if days else ""
        held = size(sum(file.size for file in owned))
        said = f"{uri}: {counted(usable, files_are(source))}{covered}, {held}, readable"
        yield Finding(Mark.OK, subject, said)
    else:
        advice = "Put files there, or make a sample: sparkify run --sample"
        yield Finding(Mark.WARN, subject, f"{uri}: no {files_are(source)}", advice)
    if outside:
        told = f"{counted(len(outside), 'file')} outside the days {first} to {last}"
        advice = "Not read: set [PARTITIONS] FIRST_DAY and LAST_DAY."
        yield Finding(Mark.WARN, subject, f"{told}, such as {outside[0].key}", advice)
    if strange := [file.key for file in files if not source.owns(file.key)]:
        expected = "YYYY-MM-DD….json" if source.dated else "….json"
        told = f"{counted(len(strange), 'file')} with another name than {expected}"
        advice = "Not read: rename or remove them."
        yield Finding(Mark.WARN, subject, f"{told}, such as {strange[0]}", advice)


def _read_smallest(lake: Lake, files: list[LakeFile]) -> None:
    """Who may list may not always read."""
    with closing(lake.read([min(files, key=lambda file: file.size)])) as chunks:
        for _ in chunks:
            pass


def _json_paths(platform: Platform) -> Iterator[Finding]:
    """Redshift's COPY fills the columns in the order of this file, without looking at names."""
    subject, uri = "JSONPaths", platform.settings.s3.log_jsonpath
    needed = platform.settings.warehouse.engine is Engine.REDSHIFT
    if uri is None:
        if needed:
            yield Finding(Mark.FAIL, subject, "none is configured", "Set [S3] LOG_JSONPATH.")
        return
    if uri.startswith("s3://"):
        return
    path = Path(uri)
    if not path.exists():
        mark = Mark.FAIL if needed else Mark.OK
        yield Finding(mark, subject, f"{path} does not exist; only the engine redshift reads it")
        return
    table = next(n for n, s in platform.catalogue.sources.items() if s.setting == "LOG_DATA")
    expected = [key for _, key in platform.catalogue.tables[table].json_columns]
    try:
        paths = json.loads(path.read_text(encoding="utf-8"))["jsonpaths"]
        given = [match[1] or match[2] for text in paths if (match := _JSON_PATH.fullmatch(text))]
        same = given == expected and len(paths) == len(expected)
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Finding(
            Mark.FAIL,
            subject,
            f"{path} is not a JSONPaths file ({type(error).__name__}: {error})",
            "Mend it, or leave [S3] LOG_JSONPATH empty.",
        )
        return
    if same:
        yield Finding(Mark.OK, subject, f"{path} agrees with {table}")
    else:
        advice = f"The paths of {table}, in this order, are: {', '.join(expected)}."
        yield Finding(Mark.FAIL, subject, f"{path} does not agree with {table}", advice)


def _warehouse(platform: Platform, *, compare: bool) -> Iterator[Finding]:
    warehouse, path = platform.warehouse, platform.settings.duckdb.path
    if not warehouse.exists():
        yield Finding(Mark.OK, "warehouse", f"{path} does not exist yet; the first run makes it")
        return
    with warehouse.read(lambda _: None) as session:
        found = {
            str(name)
            for (name,) in session.fetch(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = :schema",
                {"schema": warehouse.schema},
            )
        }
    missing = [name for name in platform.catalogue.tables if name not in found]
    there = len(platform.catalogue.tables) - len(missing)
    yield Finding(
        Mark.WARN if missing else Mark.OK,
        "warehouse",
        f"{path}: {there} of {len(platform.catalogue.tables)} tables, {size(path.stat().st_size)}"
        + (f"; missing: {', '.join(missing)}" if missing else ""),
        "Run `sparkify run` to make them." if missing else "",
    )
    if compare:
        yield from _behind(platform)


def _behind(platform: Platform) -> Iterator[Finding]:
    status = platform.status()
    sources = platform.catalogue.sources
    parts = [
        counted(count, f"{kind} {files_are(sources[name])}")
        for kind, counts in (("new", status.new_files), ("changed", status.changed_files))
        for name, count in counts.items()
        if count
    ]
    if status.pending_tables:
        parts.append(f"tables to refresh: {', '.join(status.pending_tables)}")
    if parts:
        yield Finding(Mark.WARN, "tables", f"behind the lake: {listed(parts)}", "sparkify run")
    else:
        yield Finding(Mark.OK, "tables", "up to date with the lake")
    for name, count in status.gone_files.items():
        if count:
            said = f"{counted(count, files_are(sources[name]))} gone from {platform.lake_uri(name)}"
            yield Finding(Mark.WARN, "lake", said, "Their rows stay in the tables.")


def _disks(*places: Path) -> Iterator[Finding]:
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


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next(place for place in (path, *path.parents) if place.exists())
