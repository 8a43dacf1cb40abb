"""dwh.cfg and the environment become one frozen, typed Settings object, or one SettingsError.

A key is described once, at the field of the dataclass of its section; reading, defaults, overrides
and messages follow from that description. Nothing here creates, opens or contacts anything except
dwh.cfg itself, and nothing downstream looks at dwh.cfg or at SPARKIFY_* variables again.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings.alert_sections import (
    SMTP_PORTS,
    AlertSettings,
    FreshnessSettings,
    alert_problems,
)
from sparkify_dagster.settings.sections import (
    LAKE,
    REDSHIFT_PORT,
    AnalyticsSettings,
    ClusterSettings,
    DuckDBSettings,
    DwhSettings,
    Engine,
    IamRoleSettings,
    LoadSettings,
    Login,
    PartitionSettings,
    S3Settings,
    ScheduleSettings,
    SensorSettings,
    SslMode,
    WarehouseSettings,
)
from sparkify_dagster.settings.sources import SOURCES
from sparkify_dagster.settings.values import (
    PREFIX,
    Given,
    Key,
    absolute,
    keys_of,
    lake_folder,
    parse_section,
    read_given,
    shown,
)

CONFIG_FILE_NAME = "dwh.cfg"
Overrides = Mapping[tuple[str, str], str | float | bool | None]
"""Values by section and key, both in capitals; None leaves it to the file and the environment."""


class SettingsError(SparkifyError):
    """A configuration that cannot be used; ``problems`` has one line for each thing to mend."""

    def __init__(self, summary: str, problems: Sequence[str] = ()) -> None:
        super().__init__("\n  ".join((summary, *problems)))
        self.problems = tuple(problems) or (summary,)


_DEFAULT_SCHEMAS = {Engine.DUCKDB: "main", Engine.POSTGRES: "public", Engine.REDSHIFT: "public"}
# On DuckDB the only server there can be is the one that `sparkify cluster create` makes.
_DEFAULT_PORTS = {
    Engine.DUCKDB: REDSHIFT_PORT,
    Engine.POSTGRES: 5432,
    Engine.REDSHIFT: REDSHIFT_PORT,
}
# A PostgreSQL server often has no certificate; a Redshift warehouse always has one.
_DEFAULT_SSLMODES = {
    Engine.DUCKDB: SslMode.PREFER,
    Engine.POSTGRES: SslMode.PREFER,
    Engine.REDSHIFT: SslMode.VERIFY_FULL,
}


@dataclass(frozen=True)
class Settings:
    """Everything that a user decides. ``home`` is Dagster's instance folder, existing or not."""

    config_file: Path
    home: Path
    warehouse: WarehouseSettings
    duckdb: DuckDBSettings
    cluster: ClusterSettings
    iam_role_arn: str | None
    dwh: DwhSettings
    s3: S3Settings
    partitions: PartitionSettings
    load: LoadSettings
    sensors: SensorSettings
    schedules: ScheduleSettings
    alerts: AlertSettings
    freshness: FreshnessSettings
    analytics: AnalyticsSettings

    @property
    def redshift_port(self) -> int:
        """The port of the warehouse that [DWH] makes.

        That of a PostgreSQL server which is in use says nothing about it.
        """
        postgres = self.warehouse.engine is Engine.POSTGRES
        return REDSHIFT_PORT if postgres else self.cluster.db_port


KEYS = {
    "WAREHOUSE": keys_of(WarehouseSettings),
    "DUCKDB": keys_of(DuckDBSettings),
    "CLUSTER": keys_of(ClusterSettings),
    "IAM_ROLE": keys_of(IamRoleSettings),
    "S3": {
        **{s.setting: Key(lake_folder, LAKE, "", required=True) for s in SOURCES},
        **keys_of(S3Settings),
    },
    "PARTITIONS": keys_of(PartitionSettings),
    "LOAD": keys_of(LoadSettings),
    "SENSORS": keys_of(SensorSettings),
    "SCHEDULES": keys_of(ScheduleSettings),
    "ALERTS": keys_of(AlertSettings),
    "FRESHNESS": keys_of(FreshnessSettings),
    "ANALYTICS": keys_of(AnalyticsSettings),
    "DWH": keys_of(DwhSettings),
}


def load_settings(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    server_exists: bool = True,
    overrides: Overrides | None = None,
) -> Settings:
    """Read ``path``, else SPARKIFY_CONFIG, else the nearest dwh.cfg at or above this folder.

    ``overrides`` win over the file and the environment.

    Who is about to create the server says that it does not exist: then the keys that only it can
    tell (host, role, ...) may be missing.
    """
    environ = os.environ if environ is None else environ
    here = _working_directory()
    file = _find_file(path, environ, here)
    given, problems = read_given(file, _content(file), environ, here, KEYS)
    for place, value in (overrides or {}).items():
        if value is not None:
            given[place] = Given(_as_written(value), "run configuration", here)
    values: dict[str, dict[str, Any]] = {}
    for section, keys in KEYS.items():
        values[section], wrong = parse_section(section, keys, given, file)
        problems += wrong
    problems += _contradictions(values, server_exists=server_exists)
    home, wrong = _home(file, environ)
    problems += wrong
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise SettingsError(f"The configuration {file} cannot be used, {count}:", problems)
    engine = values["WAREHOUSE"]["engine"]
    values["WAREHOUSE"]["schema"] = values["WAREHOUSE"]["schema"] or _DEFAULT_SCHEMAS[engine]
    values["CLUSTER"]["db_port"] = values["CLUSTER"]["db_port"] or _DEFAULT_PORTS[engine]
    values["CLUSTER"]["sslmode"] = values["CLUSTER"]["sslmode"] or _DEFAULT_SSLMODES[engine]
    alerts = values["ALERTS"]
    alerts["smtp_port"] = alerts["smtp_port"] or SMTP_PORTS[alerts["smtp_tls"]]
    prefixes = {s.setting: values["S3"].pop(s.setting.lower()) for s in SOURCES}
    return Settings(
        config_file=file,
        home=home,
        warehouse=WarehouseSettings(**values["WAREHOUSE"]),
        duckdb=DuckDBSettings(**values["DUCKDB"]),
        cluster=ClusterSettings(**values["CLUSTER"]),
        iam_role_arn=IamRoleSettings(**values["IAM_ROLE"]).arn,
        s3=S3Settings(prefixes=prefixes, **values["S3"]),
        dwh=DwhSettings(**values["DWH"]),
        partitions=PartitionSettings(**values["PARTITIONS"]),
        load=LoadSettings(**values["LOAD"]),
        sensors=SensorSettings(**values["SENSORS"]),
        schedules=ScheduleSettings(**values["SCHEDULES"]),
        alerts=AlertSettings(**values["ALERTS"]),
        freshness=FreshnessSettings(**values["FRESHNESS"]),
        analytics=AnalyticsSettings(**values["ANALYTICS"]),
    )


def _as_written(value: str | float | bool) -> str:
    """A value as dwh.cfg would say it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


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


def _contradictions(values: Mapping[str, Mapping[str, Any]], *, server_exists: bool) -> list[str]:
    """What single keys cannot tell. A key with a problem of its own is not in ``values``."""
    engine = values["WAREHOUSE"].get("engine", Engine.DUCKDB) if server_exists else Engine.DUCKDB
    problems = [
        f"[{section}] {name.upper()} is missing or empty: {why} needs it"
        for section, name, why in _needed(engine, values["CLUSTER"])
        if not values[section].get(name, "has a problem of its own")
    ]
    first, last = (values["PARTITIONS"].get(name) for name in ("first_day", "last_day"))
    if first and last and first > last:
        problems.append(
            f"[PARTITIONS] FIRST_DAY = {first} is after LAST_DAY = {last}:"
            " expected a first day that is not after the last"
        )
    problems += _wide_open(values["DWH"])
    problems += _scratch_in_lake(values["S3"]) + _song_files_in_logs(values["S3"])
    problems += _schema_taken(values["WAREHOUSE"], values["DUCKDB"])
    problems += alert_problems(values["ALERTS"], values["FRESHNESS"])
    return problems + (_login_of_another(engine, values["CLUSTER"]) if server_exists else [])


def _wide_open(dwh: Mapping[str, Any]) -> list[str]:
    """0.0.0.0/0, and what is nearly that: nobody's own network is larger than a /8."""
    cidr = dwh.get("allowed_cidr")
    if not cidr or int(cidr.partition("/")[2]) >= 8 or dwh.get("allow_any_address", True):
        return []
    return [
        f"[DWH] ALLOWED_CIDR = {cidr} opens the warehouse to everybody: name the addresses"
        " that need it, or say ALLOW_ANY_ADDRESS = yes"
    ]


def _scratch_in_lake(s3: Mapping[str, Any]) -> list[str]:
    """Scratch is emptied, and what is below a prefix of the lake is loaded: they must not meet."""
    scratch = s3.get("scratch")
    if not scratch:
        return []
    lake = {s.setting: s3.get(s.setting.lower()) for s in SOURCES}
    lake["LOG_JSONPATH"] = s3.get("log_jsonpath")
    return [
        f"[S3] SCRATCH = {scratch} and {name} = {place} overlap: expected a prefix of its own,"
        " because it is emptied"
        for name, place in lake.items()
        if place and _meet(scratch, place)
    ]


def _song_files_in_logs(s3: Mapping[str, Any]) -> list[str]:
    """Files without a day are told by nothing but their place: logs below it would be read so."""
    places = {s.setting: s3.get(s.setting.lower()) for s in SOURCES}
    undated = [s.setting for s in SOURCES if not s.dated]
    return [
        f"[S3] {name} = {places[name]} holds {other} = {place}, whose files would be read as"
        f" those of {name}: expected a place of its own"
        for name in undated
        for other, place in places.items()
        if other != name and place and places[name] and _is_within(place, str(places[name]))
    ]


def _schema_taken(warehouse: Mapping[str, Any], duckdb: Mapping[str, Any]) -> list[str]:
    """DuckDB names a database after its file, and then cannot tell it from a schema."""
    schema, path = warehouse.get("schema"), duckdb.get("path")
    if warehouse.get("engine") is not Engine.DUCKDB or not schema or not path:
        return []
    file = path.name.partition(".")[0].lower()
    if file in (schema, f"{schema}_state") or schema in ("temp", "system"):
        by = f"the file {path.name}" if file.startswith(schema) else "DuckDB itself"
        return [f"[WAREHOUSE] SCHEMA = {schema} is taken by {by}: expected another name"]
    return []


def _meet(one: str, other: str) -> bool:
    return _is_within(one, other) or _is_within(other, one)


def _is_within(place: str, other: str) -> bool:
    """Whether a place is the other or below it."""
    place, other = (f"{text.rstrip('/')}/" for text in (place, other))
    return place.startswith(other)


def _login_of_another(engine: Engine, cluster: Mapping[str, Any]) -> list[str]:
    if cluster.get("login") is not Login.IAM:
        return []
    if engine is Engine.POSTGRES:
        return ["[CLUSTER] LOGIN = iam is for redshift: expected password or secret on postgres"]
    if cluster.get("workgroup") and cluster.get("cluster_identifier"):
        return [
            "[CLUSTER] WORKGROUP and CLUSTER_IDENTIFIER are both set: expected only the one that"
            " LOGIN = iam is for"
        ]
    return []


def _needed(engine: Engine, cluster: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The keys that an engine and a way to log in cannot do without: section, name and why."""
    if engine is Engine.DUCKDB:
        return []
    why = f"[WAREHOUSE] ENGINE = {engine}"
    needed = [("CLUSTER", name, why) for name in ("host", "db_name")]
    if engine is Engine.REDSHIFT:
        needed += [("IAM_ROLE", "arn", why), ("S3", "scratch", why)]
    login = cluster.get("login")
    by = f"[CLUSTER] LOGIN = {login}"
    if login is Login.SECRET:
        needed.append(("CLUSTER", "secret_id", by))
    elif login is Login.PASSWORD:
        needed.append(("CLUSTER", "db_user", why))
    elif login is Login.IAM and engine is Engine.REDSHIFT and not cluster.get("workgroup", ""):
        needed.append(("CLUSTER", "cluster_identifier", f"{by} without WORKGROUP"))
        needed.append(("CLUSTER", "db_user", by))
    return needed
