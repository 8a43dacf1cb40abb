"""The Dagster resources `redshift` and `s3`, for assets and ops that people add of their own.

Their fields are those of dagster-aws's RedshiftClientResource and S3Resource, with a client that
keeps its promises (see redshift_client.py). The platform itself does not use them. psycopg2 and
boto3 are imported when a client is asked for, and dagster-aws, which takes seconds, never.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

import dagster as dg
from pydantic import Field

from sparkify_dagster.defs.redshift_client import RedshiftClient
from sparkify_dagster.engines.server.connections import open_connection
from sparkify_dagster.engines.server.login import mint_credentials
from sparkify_dagster.settings import Settings, load_settings

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from psycopg2.extensions import connection as Connection

REDSHIFT, S3 = "redshift", "s3"
"""The names under which ops ask for them."""


class RedshiftClientResource(dg.ConfigurableResource["RedshiftClientResource"]):
    """A Redshift database. `get_client()` gives what executes queries.

    Without a password, user and password are minted for each connection as [CLUSTER] LOGIN of
    `config_file` says. Give a password as `dg.EnvVar("…")`, never as text: Dagster shows text.
    """

    host: str = Field(description="Redshift host")
    port: int = Field(default=5439, description="Redshift port")
    user: str | None = Field(default=None, description="Who logs in")
    password: str | None = Field(
        default=None, repr=False, description="Their password, as an EnvVar"
    )
    database: str | None = Field(default=None, description="Name of the database")
    autocommit: bool | None = Field(
        default=None,
        description="Whether every statement commits by itself; else a call does, at its end",
    )
    connect_timeout: int = Field(
        default=60,
        description="Seconds for a connection; a paused serverless workgroup needs a while",
    )
    sslmode: str = Field(
        default="verify-full",
        description="SSL mode; verify-full alone proves that the server is the one that is meant",
    )
    sslrootcert: str = Field(
        default="system",
        description="The certificates to verify with: system, or a file such as Amazon's bundle",
    )
    config_file: str | None = Field(
        default=None, description="The dwh.cfg that says how to log in where no password is given"
    )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The server of [CLUSTER]; nothing secret is in the resource."""
        cluster = settings.cluster
        return cls(
            host=cluster.host,
            port=cluster.db_port,
            user=cluster.db_user or None,
            database=cluster.db_name,
            connect_timeout=cluster.connect_timeout,
            sslmode=cluster.sslmode.value,
            sslrootcert=cluster.sslrootcert,
            config_file=str(settings.config_file),
        )

    def get_client(self) -> RedshiftClient:
        """What executes queries; it connects when it is first used."""
        return RedshiftClient(self._connect, self.autocommit, dg.get_dagster_logger())

    def _connect(self) -> "Connection":
        user, password = self._login()
        return open_connection(
            sslmode=self.sslmode,
            sslrootcert=self.sslrootcert,
            host=self.host,
            port=self.port,
            dbname=self.database,
            user=user,
            password=password,
            connect_timeout=self.connect_timeout,
            application_name="sparkify",
        )

    def _login(self) -> tuple[str | None, str | None]:
        """User and password; without either, libpq looks where it does (PGPASSWORD, ~/.pgpass)."""
        if self.password is not None or self.config_file is None:
            return self.user, self.password
        settings = load_settings(Path(self.config_file))
        minted = mint_credentials(settings.cluster, settings.s3.region)
        return minted.user, minted.password


class S3Resource(dg.ConfigurableResource["S3Resource"], dg.IAttachDifferentObjectToOpContext):
    """S3, or what speaks its language. `get_client()` gives boto3's client.

    Credentials come from where AWS tools look for them, unless they are given, as `dg.EnvVar("…")`.
    """

    use_unsigned_session: bool = Field(default=False, description="Whether to sign no request")
    region_name: str | None = Field(default=None, description="Region of the session")
    endpoint_url: str | None = Field(
        default=None, description="Storage that is not Amazon's; its buckets are found by path"
    )
    max_attempts: int = Field(
        default=5, description="How often a request is tried, the first time included"
    )
    profile_name: str | None = Field(default=None, description="Profile of the session")
    use_ssl: bool = Field(default=True, description="Whether to use TLS")
    verify: bool | None = Field(default=None, description="Whether to verify certificates")
    aws_access_key_id: str | None = Field(
        default=None, repr=False, description="Access key, as an EnvVar"
    )
    aws_secret_access_key: str | None = Field(
        default=None, repr=False, description="Its secret, as an EnvVar"
    )
    aws_session_token: str | None = Field(
        default=None, repr=False, description="Token of a temporary key, as an EnvVar"
    )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The storage of [S3]."""
        return cls(region_name=settings.s3.region, endpoint_url=settings.s3.endpoint_url)

    def get_client(self) -> "BaseClient":
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config

        config = Config(
            retries={"mode": "standard", "total_max_attempts": self.max_attempts},
            # Under another host than Amazon's, a bucket's own host name is rarely known.
            s3={"addressing_style": "path"} if self.endpoint_url else {},
            signature_version=UNSIGNED if self.use_unsigned_session else None,
        )
        # A session of its own: boto3's shared one must not be used by several threads.
        client: BaseClient = boto3.Session(profile_name=self.profile_name).client(
            "s3",
            region_name=self.region_name,
            endpoint_url=self.endpoint_url,
            use_ssl=self.use_ssl,
            verify=self.verify,
            aws_access_key_id=self.aws_access_key_id,
            aws_secret_access_key=self.aws_secret_access_key,
            aws_session_token=self.aws_session_token,
            config=config,
        )
        return client

    def get_object_to_set_on_execution_context(self) -> "BaseClient":
        """What `context.resources.s3` is."""
        return self.get_client()


def aws_resources(settings: Settings) -> Mapping[str, RedshiftClientResource | S3Resource]:
    """The resources of these settings by name; `redshift` only where a server is configured."""
    s3 = S3Resource.from_settings(settings)
    if not settings.cluster.host:
        return {S3: s3}
    return {S3: s3, REDSHIFT: RedshiftClientResource.from_settings(settings)}
