"""Whether Redshift can copy from S3: we write to the scratch prefix, and its role reads there.

A probe is a COPY into a temporary table, rolled back. What Redshift says when one fails are texts
without codes of their own.
"""

import re
from collections.abc import Iterator
from contextlib import closing

from sparkify_dagster.console import Mark, one_line
from sparkify_dagster.doctor.finding import Finding, guarded
from sparkify_dagster.engines.redshift.copy_sql import (
    MOST_ERRORS,
    compression,
    copy_statement,
    manifest,
)
from sparkify_dagster.engines.redshift.warehouse import RedshiftWarehouse
from sparkify_dagster.engines.rows import Value
from sparkify_dagster.lake.scratch import Scratch
from sparkify_dagster.warehouse import Platform, WarehouseError

_PROBE = "sparkify_probe"
_ATTACH = (
    "Attach the role of [IAM_ROLE] ARN to the warehouse, and let redshift.amazonaws.com assume it"
    " (its trust policy); `sparkify cluster create` does both. `default` needs a default role."
)
_REFUSALS = (
    (
        r"not authorized to assume|not authorized to get credentials|not associated|not attached"
        r"|default iam role|role .*(invalid|does not exist)",
        "Redshift cannot take the role {role}",
        _ATTACH,
    ),
    (
        r"assumerole",
        "this user may not use the role {role} in a COPY",
        "A superuser grants it: GRANT ASSUMEROLE ON … TO … FOR COPY.",
    ),
    (
        r"PermanentRedirect|Status 301|AuthorizationHeaderMalformed|different region|wrong region"
        r"|addressed using the specified endpoint",
        "the bucket is not in {region}",
        "Set [S3] REGION to the region of the bucket.",
    ),
    (
        r"InvalidObjectState|storage class",
        "an object of {place} is archived",
        "Restore it (aws s3api restore-object), and run again when that is done.",
    ),
    (
        r"kms:Decrypt|KMS\.",
        "the role {role} may not use the key that {place} is encrypted with",
        "Give it kms:Decrypt on that key of AWS KMS, and see that the key is enabled.",
    ),
    (
        r"Access ?Denied|Status 403|Forbidden",
        "the role {role} may not read {place}",
        "Give it s3:GetObject on the objects and s3:ListBucket on the bucket, and kms:Decrypt"
        " where they are encrypted with a key of yours.",
    ),
    (
        r"NoSuchBucket|NoSuchKey|Status 404|does not exist",
        "Redshift does not find {place}",
        "Check [S3] SCRATCH and ENDPOINT_URL: Redshift reads Amazon's S3 alone.",
    ),
    (
        r"timed out|timeout|could not connect|unable to connect",
        "Redshift does not reach S3",
        "With enhanced VPC routing its network needs an endpoint for S3.",
    ),
)


def s3_access(platform: Platform, *, reachable: bool) -> Iterator[Finding]:
    """Scratch first, then what the warehouse itself can read, if it can be asked."""
    if isinstance(platform.warehouse, RedshiftWarehouse):
        found = _examined(platform, platform.warehouse, reachable=reachable)
        yield from guarded("scratch", found)


def _examined(
    platform: Platform, warehouse: RedshiftWarehouse, *, reachable: bool
) -> Iterator[Finding]:
    with warehouse.scratch() as scratch:
        own = scratch.put("probe.json", b'{"found": "1"}\n')
        yield Finding(Mark.OK, "scratch", f"{platform.settings.s3.scratch} can be written to")
        if not reachable:
            return
        urls = [own]
        if warehouse.reads_logs:
            urls += filter(None, (_smallest(platform, name) for name in platform.catalogue.sources))
        for url in urls:
            finding = _probed(warehouse, scratch, url)
            yield finding
            if finding.mark is Mark.FAIL:
                return


def _smallest(platform: Platform, table: str) -> str | None:
    """A file of the lake that Redshift is to read itself."""
    source, lake = platform.catalogue.sources[table], platform.lake(table)
    if not (source.copied and lake.uri.startswith("s3://")):
        return None
    files = [file for file in lake.list() if source.owns(file.key)]
    return lake.url(min(files, key=lambda file: file.size).key) if files else None


def _probed(warehouse: RedshiftWarehouse, scratch: Scratch, url: str) -> Finding:
    role = warehouse.role
    values: dict[str, Value] = {
        "manifest": scratch.put("probe.manifest", manifest([url]).encode()),
        "region": warehouse.region,
        "max_errors": MOST_ERRORS,
        "role": role,
    }
    statement = copy_statement(
        _PROBE,
        ["found"],
        json_as="'auto'",
        packed=compression(url),
        role="default" if role == "default" else ":role",
    )
    place = url.rpartition("/")[0]
    with closing(warehouse.connect("doctor")) as connection:  # closed without a commit
        session = warehouse.session(connection)
        session.execute(f"CREATE TEMP TABLE {_PROBE} (found VARCHAR(1))")
        try:
            session.execute(statement, values)
        except WarehouseError as error:
            return _refused(warehouse, str(error.__cause__), place)
    return Finding(Mark.OK, "S3 access", f"Redshift reads {place} with the role {role}")


def _refused(warehouse: RedshiftWarehouse, text: str, place: str) -> Finding:
    first = one_line(" ".join(text.split()))[:300]
    words = {"role": warehouse.role, "region": warehouse.region, "place": place}
    for pattern, said, advice in _REFUSALS:
        if re.search(pattern, text, re.IGNORECASE):
            return Finding(Mark.FAIL, "S3 access", f"{said.format(**words)}: {first}", advice)
    return Finding(
        Mark.FAIL, "S3 access", f"a COPY from {place} fails: {first}", "Check [IAM_ROLE] and [S3]."
    )
