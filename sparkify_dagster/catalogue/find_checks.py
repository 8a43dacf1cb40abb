"""Finds the checks of all tables: SQL that selects the rows which break a rule.

Key, reference, not-null and accepted-value checks are derived from the table files. Those in
`sql/checks/every_source/` hold for each staging table, `<table>` standing for its name and lines
that end in `-- dated` for sources by day; those in `sql/checks/<table>/` for one table, where a
file named like a derived check replaces it. Running them is not done here.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sparkify_dagster.catalogue.check import Check, Severity
from sparkify_dagster.catalogue.derived_checks import Scope, derived_checks, is_daily
from sparkify_dagster.catalogue.sql_files import ScriptError, read_script
from sparkify_dagster.catalogue.tables import Table
from sparkify_dagster.settings.sources import Source

_SEVERITIES = {severity.value: severity for severity in Severity}
_EVERY_SOURCE = "every_source"
_WORD = re.compile(r"\w+")
_DATED = re.compile(r"\s*-- dated\b")


def find_checks(
    tables: Mapping[str, Table],
    sources: Mapping[str, Source],
    scopes: Mapping[str, Scope],
    folder: Path,
) -> tuple[Check, ...]:
    """All checks of all tables, derived ones and files, in the order of the tables.

    `scopes` says, for a table that is written in parts, which rows a transaction changed.

    Raises:
        ScriptError: if a file does not say what it must, or belongs to no table.
    """
    found: dict[tuple[str, str], Check] = {}
    for table in tables.values():
        checks = list(derived_checks(table, scopes.get(table.name)))
        if source := sources.get(table.name):
            files = sorted((folder / _EVERY_SOURCE).glob("*.sql"))
            checks += [_of_source(_from_file(path, table), source) for path in files]
        checks += [_from_file(path, table) for path in sorted((folder / table.name).glob("*.sql"))]
        found |= {(check.table, check.name): check for check in checks}
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name not in {*tables, _EVERY_SOURCE}:
            raise ScriptError(
                f"{path}: there is no table '{path.name}'. Rename the folder after a table."
            )
    return tuple(_knowing_personal(check, tables) for check in found.values())


def _knowing_personal(check: Check, tables: Mapping[str, Table]) -> Check:
    """With the names of the personal columns of every table that it may read."""
    read = set(_WORD.findall(check.sql)) & tables.keys()
    return replace(check, personal=frozenset(c for name in read for c in tables[name].personal))


def _from_file(path: Path, table: Table) -> Check:
    script = read_script(path)
    severity = _SEVERITIES.get(script.properties.get("severity", ""))
    if severity is None or not script.description:
        raise ScriptError(
            f"{path}: the header must hold a description and '-- severity: error' (or warn)."
        )
    (sql,) = script.statements.values()
    shown = " ".join(script.description.split())
    return Check(script.name, table.name, shown, severity, is_daily(table), sql)


def _of_source(check: Check, source: Source) -> Check:
    lines = check.sql.replace("<table>", source.table).splitlines()
    kept = [_DATED.sub("", line) for line in lines if source.dated or not _DATED.search(line)]
    return replace(check, sql="\n".join(kept))
