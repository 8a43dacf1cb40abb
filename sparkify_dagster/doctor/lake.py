"""What the lake is like: its days, its files, and the file that names their fields."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sparkify_dagster.console import Mark, counted, size
from sparkify_dagster.doctor.finding import Finding
from sparkify_dagster.engines.redshift.copy_sql import check_jsonpaths
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.lake import Lake, LakeFile
from sparkify_dagster.lake.single import read_file
from sparkify_dagster.settings.days import DayError
from sparkify_dagster.warehouse import Platform


def days(platform: Platform) -> Iterator[Finding]:
    try:
        platform.partitions()
    except DayError as error:
        yield Finding(Mark.FAIL, "days", str(error))


def lake(platform: Platform, table: str) -> Iterator[Finding]:
    source, uri = platform.catalogue.sources[table], platform.lake_uri(table)
    subject = f"lake {source.name}"
    place = platform.lake(table)
    files = place.list()
    owned = [file for file in files if source.owns(file.key)]
    first, last = platform.partitions()
    dated = [(source.day_of(file.key), file) for file in owned]
    outside = [file for day, file in dated if day and not first <= day <= last]
    covered_days = sorted({day for day, _ in dated if day and first <= day <= last})
    usable = len(owned) - len(outside)
    if usable:
        _read_smallest(place, owned)
        covered = (
            f" of {counted(len(covered_days), 'day')} from {covered_days[0]} to {covered_days[-1]}"
            if covered_days
            else ""
        )
        held = size(sum(file.size for file in owned))
        said = f"{uri}: {counted(usable, source.file_noun)}{covered}, {held}, readable"
        yield Finding(Mark.OK, subject, said)
    else:
        advice = "Put files there, or make a sample: sparkify run --sample"
        yield Finding(Mark.WARN, subject, f"{uri}: no {source.file_noun}", advice)
    if outside:
        shown = f"{counted(len(outside), 'file')} outside the days {first} to {last}"
        advice = "Not read: set [PARTITIONS] FIRST_DAY and LAST_DAY."
        yield Finding(Mark.WARN, subject, f"{shown}, such as {outside[0].key}", advice)
    if strange := [file.key for file in files if not source.owns(file.key)]:
        shown = f"{counted(len(strange), 'file')} with another name than {source.names}"
        advice = "Not read: rename or remove them."
        yield Finding(Mark.WARN, subject, f"{shown}, such as {strange[0]}", advice)


def _read_smallest(lake: Lake, files: list[LakeFile]) -> None:
    """Who may list may not always read."""
    with closing(lake.read([min(files, key=lambda file: file.size)])) as chunks:
        for chunk in chunks:
            if chunk.error:
                raise chunk.error


def json_paths(platform: Platform) -> Iterator[Finding]:
    """Redshift's COPY fills the columns in the order of this file, without looking at names."""
    subject, s3 = "JSONPaths", platform.settings.s3
    uri = s3.log_jsonpath
    needed = platform.warehouse.reads_s3
    if uri is None:
        if needed:
            yield Finding(Mark.OK, subject, "none is configured; each load writes its own")
        return
    if not needed and (uri.startswith("s3://") or not Path(uri).exists()):
        if not uri.startswith("s3://"):
            said = f"{uri} does not exist; only the engine redshift reads it"
            yield Finding(Mark.OK, subject, said)
        return
    advice = (
        "Mend the file or [S3] LOG_JSONPATH, or leave that empty: then each load writes its own."
    )
    table = next(n for n, s in platform.catalogue.sources.items() if s.setting == "LOG_DATA")
    try:
        content = read_file(uri, region=s3.region, endpoint_url=s3.endpoint_url)
        check_jsonpaths(content, platform.catalogue.rules_of(table), uri)
    except SparkifyError as error:
        yield Finding(Mark.FAIL, subject, str(error), advice)
    else:
        yield Finding(Mark.OK, subject, f"{uri} agrees with {table}")
