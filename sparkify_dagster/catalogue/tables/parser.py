"""Reads the text of one table file. The format is strict Redshift SQL, one column a line::

    -- What the table is for.
    -- grain: one listener
    -- json: camelCase                     (only where rows come from JSON lines)
    -- person: user_id                     (whose row it is, where columns are marked (personal))
    -- index: gender, level                (beside the sort key, where an engine has indexes)
    --
    -- Notes, any number of lines.
    CREATE TABLE IF NOT EXISTS users (
        user_id INTEGER NOT NULL ENCODE az64,   -- What it holds. One of: a, b.
        PRIMARY KEY (user_id)
    )
    SORTKEY (user_id);

A general SQL parser would cost 0.35 s of every start; the tests hold this one against sqlglot.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sparkify_dagster.catalogue.tables.model import Column, Reference, Table
from sparkify_dagster.catalogue.tables.names import TableError

_CREATE = re.compile(r"CREATE TABLE IF NOT EXISTS (\S+) \(", re.I)
_COLUMN = re.compile(
    r"(?P<name>\S+)\s+(?P<type>DOUBLE\s+PRECISION|[A-Z]\w*(?:\s*\([^)]*\))?)"
    r"(?P<required>\s+NOT\s+NULL)?(?:\s+ENCODE\s+(?P<encode>\w+))?",
    re.I,
)
_PRIMARY_KEY = re.compile(r"PRIMARY\s+KEY\s*\(([^)]*)\)", re.I)
_FOREIGN_KEY = re.compile(r"FOREIGN\s+KEY\s*\(([^)]*)\)\s*REFERENCES\s+(\S+)\s*\(([^)]*)\)", re.I)
_TAIL = re.compile(
    r"DISTSTYLE\s+(?P<style>\w+)|DISTKEY\s*\((?P<dist>[^)]*)\)"
    r"|(?:COMPOUND\s+)?SORTKEY\s*\((?P<sort>[^)]*)\)",
    re.I,
)
_ACCEPTED = re.compile(r"(One of|Only): (.+)\.")
_PLATFORM = re.compile(r"\s*\(platform\)")
_PERSONAL = re.compile(r"\s*\(personal\)")


@dataclass(slots=True)
class _Draft:
    """What has been read so far. ``comma``: the last column or key ended with one."""

    name: str = ""
    purpose: list[str] = field(default_factory=list)
    grain: str = ""
    json_style: str | None = None
    columns: list[Column] = field(default_factory=list)
    primary_key: tuple[str, ...] = ()
    references: list[Reference] = field(default_factory=list)
    dist_style: str = "AUTO"
    dist_key: str | None = None
    sort_key: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    person: str | None = None
    comma: bool = True
    complete: bool = False


@contextmanager
def located(place: object) -> Iterator[None]:
    """Puts the place before the message of a TableError."""
    try:
        yield
    except TableError as error:
        raise TableError(f"{place}: {error}") from error


def parse_table(text: str) -> Table:
    draft = _Draft()
    sections = [_read_header, _read_body, _read_tail]
    for number, line in enumerate(text.splitlines(), 1):
        with located(f"line {number}"):
            code, _, comment = (part.strip() for part in line.partition("--"))
            if sections[0](draft, code, comment):
                del sections[0]
    if not draft.complete:
        raise TableError("the CREATE TABLE statement is not complete: end it with `)` and `;`")
    return Table(
        name=draft.name,
        description=" ".join(draft.purpose),
        grain=draft.grain,
        columns=tuple(draft.columns),
        primary_key=draft.primary_key,
        references=tuple(draft.references),
        dist_style=draft.dist_style,
        dist_key=draft.dist_key,
        sort_key=draft.sort_key,
        indexes=draft.indexes,
        json_style=draft.json_style,
        source_text=text,
        person=draft.person,
    )


def _read_header(draft: _Draft, code: str, comment: str) -> bool:
    if code:
        match = _CREATE.fullmatch(code)
        if not match:
            raise TableError("expected `CREATE TABLE IF NOT EXISTS name (`, alone on its line")
        draft.name = match[1]
        return True
    word, colon, value = comment.partition(":")
    if colon and word == "grain":
        draft.grain = value.strip()
    elif colon and word == "json":
        draft.json_style = value.strip()
    elif colon and word == "index":
        draft.indexes = _names(value)
    elif colon and word == "person":
        draft.person = value.strip()
    elif comment and not draft.grain:
        draft.purpose.append(comment)
    return False


def _read_body(draft: _Draft, code: str, comment: str) -> bool:
    if not code:
        return False
    if code in (")", ");"):
        if draft.comma and draft.columns:
            raise TableError("nothing follows the comma before: remove it")
        draft.complete = code == ");"
        return True
    if not draft.comma:
        raise TableError("the column or key before needs a comma at its end")
    draft.comma = code.endswith(",")
    code = code.removesuffix(",").rstrip()
    if match := _PRIMARY_KEY.fullmatch(code):
        draft.primary_key = _names(match[1])
    elif match := _FOREIGN_KEY.fullmatch(code):
        draft.references.append(Reference(_names(match[1]), match[2], _names(match[3])))
    elif match := _COLUMN.fullmatch(code):
        draft.columns.append(_column(match, comment))
    else:
        raise TableError(
            f"cannot read `{code}`: expected `name TYPE [NOT NULL] [ENCODE x],  -- what it holds`, "
            "`PRIMARY KEY (…)` or `FOREIGN KEY (…) REFERENCES table (…)`, one a line"
        )
    return False


def _read_tail(draft: _Draft, code: str, _comment: str) -> bool:
    if not code:
        return False
    if draft.complete:
        raise TableError(f"`{code}` follows the end of the statement: a file is one CREATE TABLE")
    draft.complete = code.endswith(";")
    code = code.removesuffix(";").rstrip()
    match = _TAIL.fullmatch(code)
    if match and match["style"]:
        draft.dist_style = match["style"].upper()
    elif match and match["dist"]:
        draft.dist_key = match["dist"].strip()
    elif match and match["sort"]:
        draft.sort_key = _names(match["sort"])
    elif code:
        raise TableError(
            f"cannot read `{code}`: expected `DISTSTYLE …`, `DISTKEY (column)` or `SORTKEY (…)`, "
            "one a line"
        )
    return False


def _column(match: re.Match[str], comment: str) -> Column:
    accepted = _ACCEPTED.search(comment)
    if re.search(r"\b(One of|Only):", comment) and not (
        accepted and accepted.end() == len(comment)
    ):
        raise TableError(
            "`One of: a, b.` and `Only: a, b.` declare accepted values: end the comment with it"
        )
    return Column(
        name=match["name"],
        type=re.sub(r"\s*([(),])\s*|\s+", lambda gap: gap[1] or " ", match["type"].upper()),
        nullable=match["required"] is None,
        description=_PERSONAL.sub("", _PLATFORM.sub("", comment)),
        accepted=_names(accepted[2]) if accepted else (),
        only_accepted=bool(accepted and accepted[1] == "Only"),
        encode=match["encode"].lower() if match["encode"] else None,
        platform=_PLATFORM.search(comment) is not None,
        personal=_PERSONAL.search(comment) is not None,
    )


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(","))
