"""The text of a COPY on Redshift: manifests, JSONPaths, and the statements.

Nothing is sent or written here. Facts are those of the AWS developer guide, "COPY", "COPY from
JSON format" and "Using a manifest to specify data files".
"""

import json
from collections.abc import Iterable, Sequence
from datetime import date

from sparkify_dagster.catalogue.line_rules import (
    FIRST_INSTANT,
    LAST_INSTANT,
    LineRules,
    integer_range,
)
from sparkify_dagster.catalogue.tables import Column
from sparkify_dagster.engines.base import WarehouseError

LANDING = "landing"
DROP_LANDING = f"DROP TABLE {LANDING}"
# A whole number may be sent as 1540919166796.0, which COPY refuses for whole numbers and takes for
# a DECIMAL. Three places show whether there was a fraction; more would be cut without a word.
_LANDING_INTEGER = "DECIMAL(22,3)"
# The largest number of bad lines that COPY can pass over.
MOST_ERRORS = 100_000


def manifest(urls: Sequence[str]) -> str:
    """The files of one COPY, each once and none optional.

    A file that is missing is skipped without a word unless it is mandatory, and one that is
    listed twice is loaded twice.
    """
    if len(set(urls)) < len(urls):
        twice = next(url for url in urls if urls.count(url) > 1)
        raise ValueError(f"{twice} stands twice in a manifest")
    return json.dumps({"entries": [{"url": url, "mandatory": True} for url in urls]})


def jsonpaths(rules: LineRules) -> str:
    """The JSONPaths file of a staging table: its JSON keys in the order of the columns."""
    return json.dumps({"jsonpaths": [f"$['{key}']" for _, key in rules.columns]})


def check_jsonpaths(text: bytes, rules: LineRules, place: str) -> None:
    """See that a JSONPaths file means these columns in this order.

    With another key than `jsonpaths` COPY silently matches by name, with another order it puts
    values into the wrong columns.
    """
    expected = [key for _, key in rules.columns]
    shape = f'expected {{"jsonpaths": [{", ".join(expected[:2])}, ...]}} with {len(expected)} paths'
    try:
        document = json.loads(text)
    except ValueError:
        raise WarehouseError(f"{place}: not a JSON file: {shape}.") from None
    if not isinstance(document, dict) or list(document) != ["jsonpaths"]:
        raise WarehouseError(f"{place}: not an object with the one key jsonpaths: {shape}.")
    paths = document["jsonpaths"]
    if not isinstance(paths, list) or len(paths) != len(expected):
        raise WarehouseError(f"{place}: {shape}.")
    for number, (path, key) in enumerate(zip(paths, expected, strict=True), 1):
        if path not in (f"$.{key}", f"$['{key}']", f'$["{key}"]'):
            raise WarehouseError(
                f"{place}: path {number} is {str(path)[:80]!r} where $['{key}'] belongs: the paths "
                f"stand in the order of the columns of {rules.table.name}."
            )


def compression(key: str) -> str:
    """COPY's word for how a file of this name is compressed; empty if it is not."""
    return {"gz": "GZIP", "zst": "ZSTD"}.get(key.rpartition(".")[2], "")


def copy_statement(
    table: str, columns: Iterable[str], *, json_as: str, packed: str, role: str
) -> str:
    """A COPY with the parameters :manifest, :region, :max_errors, and :role, :jsonpaths if any.

    `json_as` is `auto` or a parameter; `role` is `default` or a parameter; `packed` is how the
    files are compressed, as `compression` says.
    """
    return "\n".join(
        (
            f"COPY {table} ({', '.join(columns)})",
            "FROM :manifest",
            f"IAM_ROLE {role}",
            "REGION :region",
            "MANIFEST",
            f"FORMAT JSON {json_as}",
            *([packed] if packed else []),
            "TIMEFORMAT 'auto'",
            # Encodings are declared, and statistics are asked for when a load was large.
            "COMPUPDATE OFF",
            "STATUPDATE OFF",
            "MAXERROR :max_errors",
        )
    )


def landing_table(rules: LineRules) -> str:
    """The temporary table that takes what the lines of one log file hold."""
    columns = ",\n    ".join(
        f"{column.name} {_landing_type(column)}{'' if column.nullable else ' NOT NULL'}"
        for column, _ in rules.columns
    )
    return f"CREATE TEMP TABLE {LANDING} (\n    {columns}\n)"


def count_of_misfits(rules: LineRules, day: date | None) -> str:
    """How many rows COPY took that the line rules refuse, as far as their values still show it.

    `day` is that of the file.
    """
    conditions = []
    for column, _ in rules.columns:
        if column.is_integer:
            low, high = integer_range(column)
            conditions += [
                f"{column.name} <> FLOOR({column.name})",
                f"{column.name} NOT BETWEEN {low} AND {high}",
            ]
        if column.accepted and not column.nullable:
            conditions.append(f"OCTET_LENGTH({column.name}) = 0")
        if column.only_accepted:
            listed = ", ".join("'" + value.replace("'", "''") + "'" for value in column.accepted)
            conditions.append(
                f"(OCTET_LENGTH({column.name}) > 0 AND {column.name} NOT IN ({listed}))"
            )
    for source in rules.epoch_times.values():
        first, last = FIRST_INSTANT, LAST_INSTANT
        if day is not None and rules.window is not None:
            first, last = rules.window.of(day)
        conditions.append(f"{source} NOT BETWEEN {first} AND {last}")
    found = "\n   OR ".join(conditions) or "1 = 0"
    return f"SELECT COUNT(*) FROM {LANDING}\nWHERE {found}"


def take_over(rules: LineRules) -> str:
    """From the landing table into the staging table, with the day :day and the file :key.

    The exact sum of a whole number of milliseconds: the interval has three places.
    """
    table = rules.table
    filled = {column.name for column, _ in rules.columns}
    values = []
    for column in table.columns:
        if column.name in rules.epoch_times:
            source = rules.epoch_times[column.name]
            moment = f"TIMESTAMP 'epoch' + CAST({source} AS BIGINT) * INTERVAL '0.001 second'"
            values.append(moment)
        elif column.name == "log_date":
            values.append("CAST(:day AS DATE)")
        elif column.name == "source_file":
            values.append(":key")
        elif column.name in filled and column.is_integer:
            values.append(f"CAST({column.name} AS {column.base_type})")
        elif column.name in filled and column.accepted:
            # An empty text is none. One of blanks is a text, and on Redshift equal to an empty one.
            values.append(f"CASE WHEN OCTET_LENGTH({column.name}) > 0 THEN {column.name} END")
        else:
            values.append(column.name)
    return (
        f"INSERT INTO {table.name} ({', '.join(table.column_names)})\n"
        f"SELECT {', '.join(values)}\nFROM {LANDING}"
    )


def _landing_type(column: Column) -> str:
    return _LANDING_INTEGER if column.is_integer else column.type
