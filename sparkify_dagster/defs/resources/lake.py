"""The resource `lake`: where the JSON files are, and how S3 is asked for them.

The fields of a lake in S3 are those of dagster-aws's S3Resource. boto3 is imported when something
is asked for, and dagster-aws, which takes seconds, never.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from sparkify_dagster.defs.resources.defaults import with_defaults
from sparkify_dagster.lake import Lake, LakeError, open_lake
from sparkify_dagster.settings import KEYS, Settings
from sparkify_dagster.settings.sections import LAKE, S3Options, S3Settings
from sparkify_dagster.settings.values import Given, lake_folder

if TYPE_CHECKING:
    from botocore.client import BaseClient


class LakeResource(dg.ConfigurableResource["LakeResource"]):
    """The JSON files that are loaded, in folders of this machine."""

    prefixes: dict[str, str] = Field(
        description="Where the files of each source are, by its key in [S3] of dwh.cfg: a folder of"
        " this machine or s3://bucket/prefix. One that is left out stays as dwh.cfg says",
    )

    def over(self, s3: S3Settings) -> S3Settings:
        """These settings with what the fields say.

        Raises:
            LakeError: if a prefix is no place for files.
        """
        return replace(s3, prefixes={**s3.prefixes, **self._places()})

    def open(self, source: str) -> Lake:
        """The files of a source, by its key such as LOG_DATA: `list()` and `read(files)`."""
        s3 = self.over(_NO_LAKE)
        if source not in s3.prefixes:
            raise LakeError(f"The lake has no {source}: it has {', '.join(s3.prefixes)}.")
        return open_lake(
            s3.prefixes[source], region=s3.region, endpoint_url=s3.endpoint_url, options=s3.options
        )

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        self._places()  # a place that is none fails the run before anything is done

    def _places(self) -> dict[str, str]:
        places = {}
        for source, prefix in self.prefixes.items():
            try:
                places[source] = lake_folder(Given(prefix, "run configuration", Path.cwd()))
            except ValueError:
                raise LakeError(f"lake: prefixes: {source}: expected {LAKE}") from None
        return places


class S3LakeResource(LakeResource):
    """The JSON files that are loaded, in S3 or in what speaks its language.

    The fields beside `prefixes` are those of dagster-aws's S3Resource. Credentials come from where
    AWS tools look for them, unless they are given, as environment variables.
    """

    use_unsigned_session: bool = Field(default=False, description="Whether to sign no request")
    region_name: str | None = Field(default=None, description="Region of the buckets")
    endpoint_url: str | None = Field(
        default=None, description="Storage that is not Amazon's; its buckets are found by path"
    )
    max_attempts: int = Field(
        default=5, description="How often a request is tried, the first time included"
    )
    profile_name: str | None = Field(
        default=None, description="Profile of the AWS configuration to take credentials from"
    )
    use_ssl: bool = Field(
        default=True, description="Whether to use TLS; where there is an endpoint, that says it"
    )
    verify: bool | None = Field(
        default=None, description="Whether to verify certificates, as is done by default"
    )
    aws_access_key_id: str | None = Field(
        default=None,
        repr=False,
        description="Access key, as an environment variable",
    )
    aws_secret_access_key: str | None = Field(
        default=None,
        repr=False,
        description="Its secret, as an environment variable",
    )
    aws_session_token: str | None = Field(
        default=None,
        repr=False,
        description="Token of a temporary key, as an environment variable",
    )

    def over(self, s3: S3Settings) -> S3Settings:
        return replace(
            super().over(s3),
            region=self.region_name or s3.region,
            endpoint_url=self.endpoint_url or s3.endpoint_url,
            options=S3Options(
                unsigned=self.use_unsigned_session,
                max_attempts=self.max_attempts,
                profile=self.profile_name,
                use_ssl=self.use_ssl,
                verify=self.verify is not False,
                access_key_id=self.aws_access_key_id,
                secret_access_key=self.aws_secret_access_key,
                session_token=self.aws_session_token,
            ),
        )

    def get_client(self) -> "BaseClient":
        """boto3's client, for what is not in the lake."""
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


_NO_LAKE = S3Settings(
    prefixes={},
    log_jsonpath=None,
    region=KEYS["S3"]["REGION"].otherwise,
    endpoint_url=None,
    scratch=None,
)


def lake_resource(settings: Settings) -> LakeResource:
    """The lake of these settings; credentials are no part of them."""
    s3 = settings.s3
    prefixes = dict(s3.prefixes)
    if not any(prefix.startswith("s3://") for prefix in prefixes.values()):
        return with_defaults(LakeResource, {"prefixes": prefixes})
    return with_defaults(
        S3LakeResource,
        {
            "prefixes": prefixes,
            "region_name": s3.region,
            "endpoint_url": s3.endpoint_url,
            "max_attempts": s3.options.max_attempts,
        },
    )
