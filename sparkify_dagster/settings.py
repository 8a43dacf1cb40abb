"""dwh.cfg and the environment become one frozen, typed Settings object, or one SettingsError.

A key is described once, at the field of the dataclass of its section; reading, defaults, overrides
and messages follow from that description. Nothing here creates, opens or contacts anything except
dwh.cfg itself, and nothing downstream looks at dwh.cfg or at SPARKIFY_* variables again.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

from sparkify_dagster.config import (
    PREFIX,
    Key,
    absolute,
    choice,
    day,
    key,
    keys_of,
    lake_file,
    lake_folder,
    local_file,
    number,
    optional,
    parse_section,
    read_given,
    shown,
    text,
)
from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.sources import SOURCES

CONFIG_FILE_NAME = "dwh.cfg"


class SettingsError(SparkifyError):
    """A configuration that cannot be used; ``problems`` has one line for each thing to mend."""

    def __init__(self, summary: str, problems: Sequence[str] = ()) -> None:
        super().__init__("\n  ".join((summary, *problems)))
        self.problems = tuple(problems) or (summary,)


class Engine(StrEnum):
    DUCKDB = "duckdb"
    POSTGRES = "postgres"
    REDSHIFT = "redshift"


_DEFAULT_SCHEMAS = {Engine.DUCKDB: "main", Engine.POSTGRES: "public", Engine.REDSHIFT: "public"}
_DEFAULT_PORTS = {Engine.DUCKDB: 5439, Engine.POSTGRES: 5432, Engine.REDSHIFT: 5439}

_LAKE = "a folder of this machine or s3://bucket/prefix"
_URL = r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^\s?#@]*)?"
_HOST = r"|[A-Za-z0-9._-]+|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*|/[^\s@?]+"
_ROLE = r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+"
_DAY = "a day as YYYY-MM-DD, from 1970-01-01 to 2199-12-31"


@dataclass(frozen=True)
class WarehouseSettings:
    engine: Engine = field(metadata=key(choice(Engine), "duckdb, postgres or redshift", "duckdb"))
    schema: str = field(  # 57: with `_state` behind it, it is still a name for PostgreSQL
        metadata=key(
            text("|(?!pg_)[a-z_][a-z0-9_]{0,56}"),
            "nothing, or a name of at most 57 small letters, digits and _, not beginning with pg_",
        )
    )


@dataclass(frozen=True)
class DuckDBSettings:
    path: Path = field(
        metadata=key(local_file, "a file of this machine", "warehouse/sparkify.duckdb")
    )
    memory_limit: str = field(
        metadata=key(
            text(r"(?i:(?=.*[1-9])[0-9]{1,9}(\.[0-9]{1,3})? ?[KMGT]i?B)"),
            "an amount of memory such as 1GB or 800MB",
            "1GB",
        )
    )
    threads: int | None = field(
        metadata=key(optional(number(int, 1, 1024)), "nothing, or a whole number from 1 to 1024")
    )
    lock_timeout: float = field(
        metadata=key(number(float, 0, 86400), "seconds, from 0 to 86400", "600")
    )


@dataclass(frozen=True)
class ClusterSettings:
    """The server of the engines postgres and redshift; empty texts where DuckDB needs none."""

    host: str = field(metadata=key(text(_HOST), "a host name, without port and database"))
    db_name: str = field(metadata=key(text(r"|[^\s=/:@?]+"), "the name of a database"))
    db_user: str = field(metadata=key(text(r"|(IAMR?:)?[^\s=/:?]+"), "the name of a user"))
    db_password: str = field(repr=False, metadata=key(text(".*"), "a password"))
    db_port: int = field(
        metadata=key(optional(number(int, 1, 65535)), "nothing, or a whole number from 1 to 65535")
    )


@dataclass(frozen=True)
class _IamRoleSettings:
    arn: str | None = field(
        metadata=key(optional(text(f"{_ROLE}(,{_ROLE})*")), "arn:aws:iam::<account>:role/<name>")
    )


@dataclass(frozen=True)
class S3Settings:
    """Where the lake is: every place is an absolute local path or an s3:// URI.

    ``prefixes`` holds the place of each declared source by its key, such as LOG_DATA.
    """

    prefixes: Mapping[str, str]
    log_jsonpath: str | None = field(
        metadata=key(optional(lake_file), "a file of this machine or s3://bucket/key")
    )
    region: str = field(
        metadata=key(text("[a-z0-9][a-z0-9-]*"), "the name of a region", "us-west-2")
    )
    endpoint_url: str | None = field(
        metadata=key(optional(text(_URL)), "http(s)://host[:port] without user and password")
    )

    @property
    def log_data(self) -> str:
        return self.prefixes["LOG_DATA"]

    @property
    def song_data(self) -> str:
        return self.prefixes["SONG_DATA"]


@dataclass(frozen=True)
class PartitionSettings:
    first_day: date = field(metadata=key(day, _DAY, required=True))
    last_day: date | None = field(metadata=key(optional(day), f"nothing, or {_DAY}"))


@dataclass(frozen=True)
class LoadSettings:
    max_reject_ratio: float = field(
        metadata=key(number(float, 0, 1), "a number from 0 to 1 (0.01 is one percent)", "0.01")
    )


@dataclass(frozen=True)
class Settings:
    """Everything that a user decides. ``home`` is Dagster's instance folder, existing or not."""

    config_file: Path
    home: Path
    warehouse: WarehouseSettings
    duckdb: DuckDBSettings
    cluster: ClusterSettings
    iam_role_arn: str | None
    s3: S3Settings
    partitions: PartitionSettings
    load: LoadSettings


KEYS = {
    "WAREHOUSE": keys_of(WarehouseSettings),
    "DUCKDB": keys_of(DuckDBSettings),
    "CLUSTER": keys_of(ClusterSettings),
    "IAM_ROLE": keys_of(_IamRoleSettings),
    "S3": {
        **{s.setting: Key(lake_folder, _LAKE, "", required=True) for s in SOURCES},
        **keys_of(S3Settings),
    },
    "PARTITIONS": keys_of(PartitionSettings),
    "LOAD": keys_of(LoadSettings),
}
FREE_SECTION = "DWH"  # its keys belong to the commands that create a cluster


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read ``path``, else SPARKIFY_CONFIG, else the nearest dwh.cfg at or above this folder."""
    environ = os.environ if environ is None else environ
    here = _working_directory()
    file = _find_file(path, environ, here)
    given, problems = read_given(file, _content(file), environ, here, KEYS, FREE_SECTION)
    values: dict[str, dict[str, Any]] = {}
    for section, keys in KEYS.items():
        values[section], wrong = parse_section(section, keys, given, file)
        problems += wrong
    problems += _contradictions(values)
    home, wrong = _home(file, environ)
    problems += wrong
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise SettingsError(f"The configuration {file} cannot be used, {count}:", problems)
    engine = values["WAREHOUSE"]["engine"]
    values["WAREHOUSE"]["schema"] = values["WAREHOUSE"]["schema"] or _DEFAULT_SCHEMAS[engine]
    values["CLUSTER"]["db_port"] = values["CLUSTER"]["db_port"] or _DEFAULT_PORTS[engine]
    prefixes = {s.setting: values["S3"].pop(s.setting.lower()) for s in SOURCES}
    return Settings(
        config_file=file,
        home=home,
        warehouse=WarehouseSettings(**values["WAREHOUSE"]),
        duckdb=DuckDBSettings(**values["DUCKDB"]),
        cluster=ClusterSettings(**values["CLUSTER"]),
        iam_role_arn=_IamRoleSettings(**values["IAM_ROLE"]).arn,
        s3=S3Settings(prefixes=prefixes, **values["S3"]),
        partitions=PartitionSettings(**values["PARTITIONS"]),
        load=LoadSettings(**values["LOAD"]),
    )


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError:
        raise SettingsError("The working directory no longer exists: change to another.") from None


def _find_file(path: Path | None, environ: Mapping[str, str], here: Path) -> Path:
    named = str(path) if path is not None else environ.get(f"{PREFIX}CONFIG", "")
    if named:
        file = absolute(named, here)
        if os.path.isfile(file):
            return file
        by = "" if path is not None else f", which {PREFIX}CONFIG names"
        raise SettingsError(f"There is no configuration file {file}{by}: correct the path.")
    for folder in (here, *here.parents):
        if os.path.isfile(folder / CONFIG_FILE_NAME):
            return folder / CONFIG_FILE_NAME
    raise SettingsError(
        f"There is no {CONFIG_FILE_NAME} in {here} or in a folder above it: change to the folder"
        f" of the project, or set {PREFIX}CONFIG to the path of a configuration file."
    )


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        why = error.strerror
    except UnicodeDecodeError as error:
        why = f"byte {error.start} is not UTF-8 text"
    raise SettingsError(f"The configuration {file} cannot be read: {why}.")


def _home(file: Path, environ: Mapping[str, str]) -> tuple[Path, list[str]]:
    given = environ.get("DAGSTER_HOME", "")  # Dagster, too, takes an empty one for none
    home = Path(os.path.expanduser(given)) if given else file.parent / ".dagster"
    if home.is_absolute() and (os.path.isdir(home) or not os.path.lexists(home)):
        return home, []
    if not given:
        return home, [f"{home} is not a folder: move it away, or set DAGSTER_HOME to a folder"]
    expected = "expected the absolute path of a folder, existing or not"
    return home, [f"DAGSTER_HOME = {shown(given)} (environment): {expected}"]


def _contradictions(values: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What single keys cannot tell. A key with a problem of its own is not in ``values``."""
    problems = []
    engine = values["WAREHOUSE"].get("engine", Engine.DUCKDB)
    if engine is not Engine.DUCKDB:
        problems = [
            f"[CLUSTER] {name.upper()} is missing or empty: [WAREHOUSE] ENGINE = {engine} needs it"
            for name in ("host", "db_name", "db_user")
            if values["CLUSTER"].get(name) == ""
        ]
    first, last = (values["PARTITIONS"].get(name) for name in ("first_day", "last_day"))
    if first and last and first > last:
        problems.append(
            f"[PARTITIONS] FIRST_DAY = {first} is after LAST_DAY = {last}:"
            " expected a first day that is not after the last"
        )
    return problems
