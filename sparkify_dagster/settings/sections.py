"""The sections of dwh.cfg: each key with its type, what it accepts and its default.

Only declarations live here. Reading them, and what several keys mean together, is in `read`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

from sparkify_dagster.settings.values import (
    certificates,
    choice,
    day,
    key,
    lake_file,
    local_file,
    local_path,
    network,
    number,
    optional,
    scratch_folder,
    text,
    yes_or_no,
)


class Engine(StrEnum):
    DUCKDB = "duckdb"
    POSTGRES = "postgres"
    REDSHIFT = "redshift"


REDSHIFT_PORT = 5439
LAKE = "a folder of this machine or s3://bucket/prefix"
_URL = r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^\s?#@]*)?"
_HOST = r"|[A-Za-z0-9._-]+|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*|/[^\s@?]+"
_CLUSTER = "(?=.{1,63}$)[a-z](-?[a-z0-9])*"
_WORKGROUP = "[a-z0-9-]{3,64}"
_ROLE = r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+"
_DAY = "a day as YYYY-MM-DD, from 1970-01-01 to 2199-12-31"


@dataclass(frozen=True)
class WarehouseSettings:
    engine: Engine = field(metadata=key(choice(Engine), "duckdb, postgres or redshift", "duckdb"))
    schema: str = field(  # 57: with `_state` behind it, it is still a name for PostgreSQL
        metadata=key(
            text("|(?!pg_|information_schema$)[a-z_][a-z0-9_]{0,56}"),
            "nothing, or a name of at most 57 small letters, digits and _, not beginning with pg_"
            " and not information_schema",
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


class Login(StrEnum):
    PASSWORD = "password"
    SECRET = "secret"
    IAM = "iam"


class SslMode(StrEnum):
    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


@dataclass(frozen=True)
class ClusterSettings:
    """The server of the engines postgres and redshift; empty texts where DuckDB needs none.

    Times are in seconds. ``sslmode`` and ``db_port`` are those of the engine where none is given.
    """

    host: str = field(metadata=key(text(_HOST), "a host name, without port and database"))
    db_name: str = field(metadata=key(text(r"|[^\s=/:@?]+"), "the name of a database"))
    db_user: str = field(metadata=key(text(r"|(IAMR?:)?[^\s=/:?]+"), "the name of a user"))
    db_password: str = field(repr=False, metadata=key(text(".*"), "a password"))
    db_port: int = field(
        metadata=key(optional(number(int, 1, 65535)), "nothing, or a whole number from 1 to 65535")
    )
    login: Login = field(metadata=key(choice(Login), "password, secret or iam", "password"))
    secret_id: str = field(
        # `!`: the secrets that Redshift manages are named redshift!<warehouse>-<user>
        metadata=key(text(r"|[\w/+=.@:!-]+"), "the name or ARN of a secret in AWS Secrets Manager")
    )
    cluster_identifier: str = field(
        metadata=key(text(f"|{_CLUSTER}"), "the identifier of a provisioned cluster")
    )
    workgroup: str = field(
        metadata=key(text(f"|{_WORKGROUP}"), "the name of a serverless workgroup")
    )
    sslmode: SslMode = field(
        metadata=key(
            optional(choice(SslMode)),
            "nothing, or one of disable, prefer, require, verify-ca and verify-full",
        )
    )
    sslrootcert: str = field(
        metadata=key(certificates, "system, or a file of certificates", "system")
    )
    connect_timeout: int = field(
        metadata=key(number(int, 1, 3600), "whole seconds, from 1 to 3600", "60")
    )
    statement_timeout: int = field(
        metadata=key(number(int, 0, 604800), "whole seconds, from 0 (none) to 604800", "3600")
    )
    lock_timeout: int = field(
        metadata=key(number(int, 1, 86400), "whole seconds, from 1 to 86400", "600")
    )


@dataclass(frozen=True)
class IamRoleSettings:
    arn: str | None = field(
        metadata=key(
            optional(text(f"default|{_ROLE}(,{_ROLE})*")),
            "default or arn:aws:iam::<account>:role/<name>",
        )
    )


class WarehouseKind(StrEnum):
    PROVISIONED = "provisioned"
    SERVERLESS = "serverless"


@dataclass(frozen=True)
class DwhSettings:
    """What a Redshift warehouse that `sparkify cluster create` makes is like.

    ``base_capacity`` is in Redshift Processing Units and only for a serverless one; node type and
    number only for a provisioned one. Database and administrator are those of `[CLUSTER]`.
    """

    kind: WarehouseKind = field(
        metadata=key(choice(WarehouseKind), "provisioned or serverless", "serverless")
    )
    identifier: str = field(
        metadata=key(
            text(f"(?=.{{3,}}){_CLUSTER}"),  # a name for a cluster and for a workgroup
            "3 to 63 small letters, digits and hyphens, beginning with a letter",
            "sparkify",
        )
    )
    node_type: str = field(
        metadata=key(text(r"[a-z0-9]+\.[a-z0-9]+"), "a node type such as ra3.large", "ra3.large")
    )
    num_nodes: int = field(metadata=key(number(int, 1, 128), "a whole number from 1 to 128", "2"))
    base_capacity: int = field(
        metadata=key(number(int, 4, 1024), "a whole number from 4 to 1024", "8")
    )
    iam_role_name: str = field(
        metadata=key(
            text(r"[\w+=,.@-]{1,64}"), "the name of an IAM role", "sparkify-redshift-reads-lake"
        )
    )
    allowed_cidr: str | None = field(
        metadata=key(optional(network), "nothing, or a range of IPv4 addresses as 203.0.113.0/24")
    )
    allow_any_address: bool = field(metadata=key(yes_or_no, "yes or no", "no"))


@dataclass(frozen=True)
class S3Options:
    """How S3 is asked beyond region and endpoint; dwh.cfg leaves it to what AWS tools do.

    ``max_attempts`` counts the first try. Without ``access_key_id`` credentials come from the
    ordinary AWS chain, that of ``profile`` if there is one.
    """

    unsigned: bool = False
    max_attempts: int = 6
    profile: str | None = None
    use_ssl: bool = True
    verify: bool = True
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)


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
    scratch: str | None = field(
        metadata=key(optional(scratch_folder), "nothing, or s3://bucket/prefix")
    )
    options: S3Options = S3Options()

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
    max_hours_ahead: int = field(metadata=key(number(int, 0, 8760), "hours from 0 to 8760", "24"))
    max_days_late: int = field(metadata=key(number(int, 0, 36_500), "days from 0 to 36500", "366"))
    redshift_reads_logs: bool = field(metadata=key(yes_or_no, "yes or no", "yes"))


@dataclass(frozen=True)
class SensorSettings:
    """How new files are noticed. Times are in seconds."""

    enabled: bool = field(metadata=key(yes_or_no, "yes or no", "yes"))
    minimum_interval: int = field(
        metadata=key(number(int, 1, 86400), "whole seconds, from 1 to 86400", "30")
    )
    max_attempts: int = field(metadata=key(number(int, 1, 20), "a whole number from 1 to 20", "5"))
    retry_delay: int = field(
        metadata=key(number(int, 0, 86400), "whole seconds, from 0 to 86400", "60")
    )


@dataclass(frozen=True)
class ScheduleSettings:
    """When loads start by the clock; the hours are UTC."""

    enabled: bool = field(metadata=key(yes_or_no, "yes or no", "yes"))
    daily_load_hour: int = field(metadata=key(number(int, 0, 23), "a whole hour from 0 to 23", "2"))
    reconciliation_hour: int = field(
        metadata=key(number(int, 0, 23), "a whole hour from 0 to 23", "4")
    )


@dataclass(frozen=True)
class AnalyticsSettings:
    """``expected`` is the folder of expected results that tables are held against; None: none."""

    expected: Path | None = field(
        metadata=key(optional(local_path), "nothing, or a folder of this machine")
    )
