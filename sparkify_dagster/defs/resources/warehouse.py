"""The resource `warehouse`: a class for each engine, whose fields say which database it is.

A field wins over dwh.cfg and the environment, and is checked as their values are. What no field
says, the password above all, is read from them when a run begins.
"""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field, PrivateAttr

from sparkify_dagster.defs.instance.process_identity import sign
from sparkify_dagster.defs.resources.defaults import with_defaults
from sparkify_dagster.defs.resources.lake import LakeResource
from sparkify_dagster.defs.resources.redshift_client import RedshiftClient
from sparkify_dagster.engines.base import Session, Warehouse
from sparkify_dagster.engines.open import open_warehouse
from sparkify_dagster.settings import Overrides, Settings, load_settings
from sparkify_dagster.settings.sections import ClusterSettings, DuckDBSettings, Engine
from sparkify_dagster.warehouse import Platform

if TYPE_CHECKING:
    import pandas as pd


class WarehouseResource(dg.ConfigurableResource["WarehouseResource"]):
    """A schema of a database, with everything that the platform keeps in it."""

    schema_: str | None = Field(default=None, alias="schema", description="Schema of the tables")
    config_file: str | None = Field(
        default=None,
        description="The dwh.cfg that says, with the environment, what no field says",
    )
    _settings: Settings | None = PrivateAttr(default=None)
    _warehouse: Warehouse | None = PrivateAttr(default=None)
    _platform: Platform | None = PrivateAttr(default=None)
    _lake: LakeResource | None = PrivateAttr(default=None)

    @abstractmethod
    def overrides(self) -> Overrides:
        """What the fields say, by section and key of dwh.cfg."""

    def settings(self) -> Settings:
        """The fields over dwh.cfg and the environment.

        Raises:
            SettingsError: if a value cannot be used.
        """
        if self._settings is None:
            file = Path(self.config_file) if self.config_file else None
            values = {("WAREHOUSE", "SCHEMA"): self.schema_, **self.overrides()}
            self._settings = load_settings(file, overrides=values)
        return self._settings

    def open(self) -> Warehouse:
        """The warehouse of these fields, the same one each time; no connection is opened yet."""
        if self._warehouse is None:
            self._warehouse = open_warehouse(self.settings())
        return self._warehouse

    def query(self, sql: str) -> "pd.DataFrame":
        """The result of a query, which cannot write."""
        with self.read() as session:
            return session.frame(sql)

    def read(self) -> AbstractContextManager[Session]:
        """A session that reads one state of the tables; statements take values as `:name`."""
        return self.open().read(dg.get_dagster_logger().info)

    def write(self, run_id: str = "") -> AbstractContextManager[Session]:
        """One transaction: committed at the end of the block, rolled back by any exception."""
        return self.open().write(dg.get_dagster_logger().info, run_id)

    @property
    def unused(self) -> bool:
        """Whether no step of the run has asked for the platform yet."""
        return self._platform is None

    def platform(self, declared: Platform, lake: LakeResource | None = None) -> Platform:
        """The declared platform over this warehouse, and over this lake where one is given.

        One object for all steps of a run: it remembers that it has seen the tables stand.
        """
        if self._platform is None or lake not in (None, self._lake):
            mine = self.settings()
            settings = replace(
                declared.settings,
                warehouse=mine.warehouse,
                duckdb=mine.duckdb,
                cluster=mine.cluster,
                iam_role_arn=mine.iam_role_arn,
            )
            if lake is not None:
                settings = replace(settings, s3=lake.over(settings.s3))
            self._lake = lake
            self._platform = Platform(settings, declared.catalogue, self.open())
        return self._platform

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["WarehouseResource"]:
        """For a run or a tick: what is slow to open may stay open between its transactions."""
        if context.run and context.instance:
            sign(context.run, context.instance)
        with self.open().stay_open():
            yield self


class DuckDBWarehouseResource(WarehouseResource):
    """A DuckDB file of this machine, which one process at a time can use."""

    database: str = Field(description="The file; it is created when it is first needed")
    memory_limit: str = Field(default="1GB", description="What DuckDB may use of the memory")
    threads: int | None = Field(
        default=None, description="How many threads it may use; by default one for each core"
    )
    lock_timeout: float = Field(
        default=600, description="Seconds to wait for another process that has the file open"
    )

    def overrides(self) -> Overrides:
        return {
            ("WAREHOUSE", "ENGINE"): Engine.DUCKDB,
            ("DUCKDB", "PATH"): self.database,
            ("DUCKDB", "MEMORY_LIMIT"): self.memory_limit,
            ("DUCKDB", "THREADS"): self.threads,
            ("DUCKDB", "LOCK_TIMEOUT"): self.lock_timeout,
        }


class ServerWarehouseResource(WarehouseResource):
    """A schema of a database on a server."""

    host: str = Field(description="Host name of the server")
    port: int = Field(default=5432, description="Its port")
    user: str | None = Field(default=None, description="Who logs in")
    password: str | None = Field(
        default=None,
        repr=False,
        description="Their password, as an environment variable; by default"
        " SPARKIFY_CLUSTER_DB_PASSWORD",
    )
    database: str | None = Field(default=None, description="Name of the database")
    connect_timeout: int = Field(
        default=60,
        description="Seconds for a connection; a paused serverless workgroup needs a while",
    )
    sslmode: str = Field(
        default="prefer",
        description="TLS: disable, prefer, require, verify-ca or verify-full. verify-full alone"
        " proves that the server is the one that is meant",
    )
    sslrootcert: str = Field(
        default="system",
        description="The certificates to verify with: system, or a file such as Amazon's bundle",
    )
    login: str = Field(
        default="password",
        description="password, secret (user and password of `secret_id` in AWS Secrets Manager) or,"
        " on Redshift, iam (a password of some minutes from AWS)",
    )
    secret_id: str | None = Field(
        default=None, description="Name or ARN of the secret, for `login: secret`"
    )
    statement_timeout: int = Field(
        default=3600, description="Seconds for one statement; 0 is as long as it takes"
    )
    lock_timeout: int = Field(
        default=600, description="Seconds to wait for another run that is writing"
    )

    def overrides(self) -> Overrides:
        return {
            ("CLUSTER", "HOST"): self.host,
            ("CLUSTER", "DB_PORT"): self.port,
            ("CLUSTER", "DB_USER"): self.user,
            ("CLUSTER", "DB_PASSWORD"): self.password,
            ("CLUSTER", "DB_NAME"): self.database,
            ("CLUSTER", "CONNECT_TIMEOUT"): self.connect_timeout,
            ("CLUSTER", "SSLMODE"): self.sslmode,
            ("CLUSTER", "SSLROOTCERT"): self.sslrootcert,
            ("CLUSTER", "LOGIN"): self.login,
            ("CLUSTER", "SECRET_ID"): self.secret_id,
            ("CLUSTER", "STATEMENT_TIMEOUT"): self.statement_timeout,
            ("CLUSTER", "LOCK_TIMEOUT"): self.lock_timeout,
        }


class PostgresWarehouseResource(ServerWarehouseResource):
    """A schema of a PostgreSQL database."""

    def overrides(self) -> Overrides:
        return {("WAREHOUSE", "ENGINE"): Engine.POSTGRES, **super().overrides()}


class RedshiftWarehouseResource(ServerWarehouseResource):
    """A schema of a Redshift database, with the fields of dagster-aws's RedshiftClientResource.

    What the platform writes is one transaction, whatever `autocommit` says.
    """

    port: int = Field(default=5439, description="Its port")
    autocommit: bool | None = Field(
        default=None,
        description="Whether each statement of `get_client()` commits by itself; else a call does,"
        " at its end",
    )
    sslmode: str = Field(
        default="verify-full",
        description=str(ServerWarehouseResource.model_fields["sslmode"].description),
    )
    cluster_identifier: str | None = Field(
        default=None, description="Identifier of a provisioned cluster, for `login: iam`"
    )
    workgroup: str | None = Field(
        default=None, description="Name of a serverless workgroup, for `login: iam`"
    )
    region_name: str | None = Field(
        default=None, description="AWS region of what Redshift copies, and of the login"
    )
    iam_role: str | None = Field(
        default=None, description="ARN of the role with which Redshift reads from S3, or default"
    )
    scratch: str | None = Field(
        default=None,
        description="Where Redshift is handed what it copies: s3://bucket/prefix, emptied after"
        " every load",
    )
    reads_logs: bool = Field(
        default=True, description="Whether Redshift copies log files from S3 itself, which is fast"
    )

    def overrides(self) -> Overrides:
        return {
            ("WAREHOUSE", "ENGINE"): Engine.REDSHIFT,
            ("CLUSTER", "CLUSTER_IDENTIFIER"): self.cluster_identifier,
            ("CLUSTER", "WORKGROUP"): self.workgroup,
            ("IAM_ROLE", "ARN"): self.iam_role,
            ("S3", "REGION"): self.region_name,
            ("S3", "SCRATCH"): self.scratch,
            ("LOAD", "REDSHIFT_READS_LOGS"): self.reads_logs,
            **super().overrides(),
        }

    def get_client(self) -> RedshiftClient:
        """What executes queries as dagster-aws's client does; it connects when it is first used."""
        from sparkify_dagster.engines.redshift.warehouse import RedshiftWarehouse

        warehouse = self.open()
        assert isinstance(warehouse, RedshiftWarehouse)
        return RedshiftClient(
            lambda: warehouse.prepared_connection(""), self.autocommit, dg.get_dagster_logger()
        )


def warehouse_resource(settings: Settings) -> WarehouseResource:
    """The warehouse of these settings; nothing secret is in the resource."""
    common = {"schema_": settings.warehouse.schema, "config_file": str(settings.config_file)}
    match settings.warehouse.engine:
        case Engine.DUCKDB:
            return with_defaults(DuckDBWarehouseResource, common | _file(settings.duckdb))
        case Engine.POSTGRES:
            return with_defaults(PostgresWarehouseResource, common | _server(settings.cluster))
        case Engine.REDSHIFT:
            values = common | _server(settings.cluster) | _redshift(settings)
            return with_defaults(RedshiftWarehouseResource, values)


def _file(duckdb: DuckDBSettings) -> dict[str, object]:
    return {
        "database": str(duckdb.path),
        "memory_limit": duckdb.memory_limit,
        "threads": duckdb.threads,
        "lock_timeout": duckdb.lock_timeout,
    }


def _server(cluster: ClusterSettings) -> dict[str, object]:
    return {
        "host": cluster.host,
        "port": cluster.db_port,
        "user": cluster.db_user or None,
        "database": cluster.db_name,
        "connect_timeout": cluster.connect_timeout,
        "sslmode": cluster.sslmode.value,
        "sslrootcert": cluster.sslrootcert,
        "login": cluster.login.value,
        "secret_id": cluster.secret_id or None,
        "statement_timeout": cluster.statement_timeout,
        "lock_timeout": cluster.lock_timeout,
    }


def _redshift(settings: Settings) -> dict[str, object]:
    return {
        "cluster_identifier": settings.cluster.cluster_identifier or None,
        "workgroup": settings.cluster.workgroup or None,
        "region_name": settings.s3.region,
        "iam_role": settings.iam_role_arn,
        "scratch": settings.s3.scratch,
        "reads_logs": settings.load.redshift_reads_logs,
    }
