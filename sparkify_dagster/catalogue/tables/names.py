"""Names that need no quotes on any engine, and the error of everything that reads table files.

SQL is composed by formatting identifiers, never values: an identifier that passed
``check_identifier`` is safe to format as it is.
"""

import re

from sparkify_dagster.errors import SparkifyError

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")  # 63 bytes is PostgreSQL's limit, the lowest

# As documented by Redshift.
_REDSHIFT_WORDS = """
    aes128 aes256 all allowoverwrite analyse analyze and any array as asc authorization az64
    backup between binary blanksasnull both bytedict bzip2 case cast check collate column
    constraint create credentials cross current_date current_time current_timestamp current_user
    current_user_id default deferrable deflate defrag delta delta32k desc disable distinct do
    else emptyasnull enable encode encrypt encryption end except explicit false for foreign
    freeze from full globaldict256 globaldict64k grant group gzip having identity ignore ilike
    in initially inner intersect interval into is isnull join leading left like limit localtime
    localtimestamp lun luns lzo lzop minus mostly16 mostly32 mostly8 natural new not notnull
    null nulls off offline offset oid old on only open or order outer overlaps parallel
    partition percent permissions pivot placing primary raw readratio recover references
    rejectlog resort respect restore right select session_user similar snapshot some sysdate
    system table tag tdes text255 text32k then timestamp to top trailing true truncatecolumns
    union unique unnest unpivot user using verbose wallet when where with without
"""
# What PostgreSQL and DuckDB refuse as the name of a table or column, besides.
_OTHER_WORDS = """
    anti asof asymmetric at by collation columns concurrently current_catalog current_role
    current_schema describe fetch generated glob lambda lateral map pivot_longer pivot_wider
    positional qualify returning semi show struct summarize symmetric system_user tablesample
    try_cast tuple unpack variadic window
"""
RESERVED = frozenset(_REDSHIFT_WORDS.split() + _OTHER_WORDS.split())


class TableError(SparkifyError):
    """A table file, or a set of them, that cannot be used; the text names the file."""


def check_identifier(name: str, what: str) -> str:
    """Return ``name`` if every engine takes it without quotes."""
    if not _IDENTIFIER.fullmatch(name):
        raise TableError(
            f"{what} {name!r} is not a valid name: use lower-case letters, digits and _, "
            "starting with a letter or _, at most 63 characters, without quotes"
        )
    if name in RESERVED:
        raise TableError(
            f"{what} {name!r} is a reserved word on Redshift, PostgreSQL or DuckDB: "
            "choose another name"
        )
    return name
