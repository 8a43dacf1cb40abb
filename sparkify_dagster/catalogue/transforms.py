"""Transforms: SQL files that make a derived table from other tables, whole or only what changed.

A transform file (`sql/transforms/<table>.sql`) holds statements by name:

    pending                 CREATE TABLE of `pending_<table>`, the keys to be rebuilt
    changed by <source>     notes keys there; run on a source's rows before and after they change
                            (those are of `loading`, or `pending_<source>`'s of a derived source)
    delete, insert, …       what makes the rows, in the order of the file

A file of nothing but an `insert` is rebuilt in full every time one of its sources changed. One of
`sql/analytics` declares its table as well, above its statements.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sparkify_dagster.catalogue.derived_checks import Scope
from sparkify_dagster.catalogue.sql_files import Script, ScriptError, read_script
from sparkify_dagster.catalogue.tables import Table

_PENDING_COLUMN = re.compile(r"CREATE TABLE IF NOT EXISTS pending_\w+\s*\(\s*(\w+)", re.IGNORECASE)
_ALIAS = r"(?:\s+(?:AS\s+)?(?!JOIN\b)\w+)?"
_READ = re.compile(rf"\b(?:FROM|JOIN)\s+([^\s(),;]+){_ALIAS}\s*(,?)", re.IGNORECASE)
_CREATE = re.compile(r"CREATE TABLE\b", re.IGNORECASE)
_NOT_A_READ = re.compile(r"EXTRACT\s*\([^)]*\)|--[^\n]*|'[^']*'", re.IGNORECASE)
_LOCAL_NAME = re.compile(r"(?:\bWITH|,)\s+([a-z_][a-z0-9_]*)\s+AS\s*\(", re.IGNORECASE)
VERBS = ("INSERT", "DELETE", "UPDATE")
_CHANGED_BY = "changed by "


@dataclass(frozen=True)
class Transform:
    """How one derived table is made; see the module's docstring."""

    table: Table
    script: Script
    reads: tuple[str, ...]
    """The other tables that its statements read, in the order of their names."""

    @property
    def key(self) -> str | None:
        """The first column of the pending table; None if the table is always rebuilt in full."""
        pending = self.script.statements.get("pending")
        match = _PENDING_COLUMN.match(pending) if pending else None
        return match[1] if match else None

    @property
    def pending(self) -> str:
        return f"pending_{self.table.name}"

    @property
    def statements(self) -> tuple[str, ...]:
        """What makes the rows: all statements but those that only note what changed."""
        return tuple(
            statement
            for name, statement in self.script.statements.items()
            if name != "pending" and not name.startswith(_CHANGED_BY)
        )

    def changed_by(self, source: str) -> str | None:
        return self.script.statements.get(_CHANGED_BY + source)

    def scope(self) -> Scope | None:
        return Scope(self.key, f"SELECT {self.key} FROM {self.pending}") if self.key else None


def find_transforms(tables: Mapping[str, Table], *folders: Path) -> dict[str, Transform]:
    """All transforms by table, each after the tables that it reads or refers to.

    Raises:
        ScriptError: if a file belongs to no table, has no insert, or tables need each other.
    """
    files = [path for folder in folders for path in sorted(folder.glob("*.sql"))]
    found = {path.stem: _read(path, tables) for path in files}
    ordered: dict[str, Transform] = {}
    while len(ordered) < len(found):
        ready = [
            name
            for name, transform in found.items()
            if name not in ordered
            and not (set(needed(transform)) & found.keys()) - ordered.keys() - {name}
        ]
        if not ready:
            rest = ", ".join(sorted(found.keys() - ordered.keys()))
            place = found[min(found.keys() - ordered.keys())].script.path.parent
            raise ScriptError(f"{place}: these tables need each other: {rest}. Break the circle.")
        ordered |= {name: found[name] for name in ready}
    return ordered


def needed(transform: Transform) -> tuple[str, ...]:
    """The tables that have to be up to date before this one: those it reads or refers to."""
    references = (reference.table for reference in transform.table.references)
    return tuple(dict.fromkeys([*transform.reads, *references]))


def _read(path: Path, tables: Mapping[str, Table]) -> Transform:
    if path.stem not in tables:
        raise ScriptError(
            f"{path}: there is no table '{path.stem}'. Add sql/tables/{path.name}, or rename."
        )
    script = _statements_named(read_script(path))
    if "insert" not in script.statements:
        raise ScriptError(
            f"{path}: there is no '-- name: insert'. Name the statement that inserts."
        )
    read = {
        name
        for title, text in script.statements.items()
        for name in _names_read(path, title, text, tables)
    }
    reads = tuple(name for name in tables if name in read and name != path.stem)
    transform = Transform(tables[path.stem], script, reads)
    for statement in transform.statements:
        if statement.split(maxsplit=1)[0].upper() not in VERBS:
            raise ScriptError(f"{path}: a statement begins with none of {', '.join(VERBS)}.")
    if "pending" in script.statements:
        _check_pending(path, transform)
    return transform


def _statements_named(script: Script) -> Script:
    """Without the table that a file may begin with; what stands alone is the insert."""
    statements = dict(script.statements)
    first = statements.pop("", None)
    if first is not None and not _CREATE.match(first):
        statements = {"insert": first, **statements}
    return Script(script.path, script.description, script.properties, statements)


def _names_read(path: Path, title: str, statement: str, tables: Mapping[str, Table]) -> set[str]:
    """The tables in FROM and JOIN; every other name there must be the platform's or local."""
    text = _NOT_A_READ.sub("", statement)
    known = {*tables, *_LOCAL_NAME.findall(text), "loading", f"pending_{path.stem}"}
    if title.startswith(_CHANGED_BY):  # where the source is derived, its keys are noted like that
        known.add(f"pending_{title.removeprefix(_CHANGED_BY)}")
    names = set()
    for name, comma in _READ.findall(text):
        if name not in known or comma:
            raise ScriptError(
                f"{path}: '{name}{comma}' stands after FROM or JOIN and cannot be followed. Name "
                "tables in small letters without a schema, and join them with JOIN."
            )
        names.add(name)
    return names & tables.keys()


def _check_pending(path: Path, transform: Transform) -> None:
    if transform.key is None:
        raise ScriptError(
            f"{path}: 'pending' must be CREATE TABLE IF NOT EXISTS {transform.pending} (…)."
        )
    for source in transform.reads:
        if transform.changed_by(source) is None:
            raise ScriptError(
                f"{path}: it reads {source} but does not say what a change there means. "
                f"Add '-- name: changed by {source}'."
            )
    if "delete" not in transform.script.statements:
        raise ScriptError(f"{path}: there is no '-- name: delete' for the pending keys. Add it.")
