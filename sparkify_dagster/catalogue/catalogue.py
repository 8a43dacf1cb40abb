"""What the platform is made of: tables, sources, transforms and checks, read from their files.

Adding a table, a transform or a check is adding a SQL file; adding a source is that and one
declaration. Nothing here knows a lake or a connection.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sparkify_dagster.catalogue import transforms
from sparkify_dagster.catalogue.charts import Chart, parse_chart
from sparkify_dagster.catalogue.check import Check
from sparkify_dagster.catalogue.derived_checks import Scope, is_daily
from sparkify_dagster.catalogue.find_checks import find_checks
from sparkify_dagster.catalogue.lake_checks import lake_checks
from sparkify_dagster.catalogue.line_rules import LineRules
from sparkify_dagster.catalogue.lineage_cache import FILE_NAME, LineageCache
from sparkify_dagster.catalogue.sql_files import SQL_FOLDER, ScriptError
from sparkify_dagster.catalogue.tables import Table, load_tables
from sparkify_dagster.catalogue.transforms import Transform
from sparkify_dagster.settings.sources import SOURCES, Source

STAGING, STAR, ANALYTICS = "staging", "star", "analytics"
QUESTIONS = "questions"
"""The step that makes the questions without days."""
_TRANSFORMS = "transforms"


@dataclass(frozen=True)
class Catalogue:
    """Everything that is declared, consistent with itself."""

    tables: Mapping[str, Table]
    sources: Mapping[str, Source]
    """By the staging table that they fill."""
    transforms: Mapping[str, Transform]
    """By table, each after those that it reads or refers to."""
    checks: tuple[Check, ...]
    folder: Path = SQL_FOLDER
    """Where all of it was read from."""
    lineage: LineageCache = field(default_factory=LineageCache, compare=False, repr=False)

    def dependencies(self, table: str) -> tuple[str, ...]:
        """The tables that a derived table reads or refers to."""
        return transforms.needed(self.transforms[table]) if table in self.transforms else ()

    def references_of(self, table: str) -> tuple[str, ...]:
        """The derived tables that a table refers to, directly or not, in the order to make them."""
        wanted: set[str] = set()
        waiting = [table]
        while waiting:
            for reference in self.tables[waiting.pop()].references:
                if reference.table not in wanted:
                    wanted.add(reference.table)
                    waiting.append(reference.table)
        return tuple(name for name in self.transforms if name in wanted - {table})

    @property
    def ledger_tables(self) -> tuple[str, ...]:
        """The tables that every load writes beside its own."""
        return _ledger_tables(self.tables)

    def is_daily(self, table: str) -> bool:
        return is_daily(self.tables[table])

    @cached_property
    def steps(self) -> Mapping[str, tuple[str, ...]]:
        """The derived tables by the step of a run that makes them, in their order.

        Each has its own, but for the questions without days: they are small and many, and a step
        costs more than most of them. Only those share one that need the same other tables, for a
        step is left out where any of those fails.
        """
        needed: dict[str, frozenset[str]] = {}
        for name in self.transforms:
            direct = self.dependencies(name)
            needed[name] = frozenset(direct).union(*(needed.get(n, ()) for n in direct))
        by_days = [name for name in self.transforms if self.is_daily(name)]
        before_days = frozenset[str]().union(*(needed[name] for name in by_days))
        questions = [
            name
            for name in self.tables_of(ANALYTICS)
            if not self.is_daily(name) and name not in before_days
        ]
        others = {name: needed[name].difference(questions) for name in questions}
        shared = Counter(others.values()).most_common(1)
        together: list[str] = []
        for name in questions:
            first = needed[name].intersection(questions)
            if others[name] == shared[0][0] and first <= set(together):
                together.append(name)
        alone = {name: (name,) for name in self.transforms if name not in together}
        return alone | ({QUESTIONS: tuple(together)} if together else {})

    def step_of(self, table: str) -> str:
        """The name of the step that makes a table: its own, but where several share one."""
        return QUESTIONS if table in self.steps.get(QUESTIONS, ()) else table

    def checks_of(self, table: str) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.table == table)

    def compares_lake(self, check: Check) -> bool:
        """Whether a check compares the lake's listing with the ledger, rather than rows."""
        source = self.sources.get(check.table)
        return source is not None and check in lake_checks(source)

    def rules_of(self, table: str) -> LineRules:
        return LineRules(self.tables[table], self.sources[table].epoch_times)

    def sql_of(self, table: str) -> str:
        """The SQL that makes a table, for people."""
        if table in self.transforms:
            return self.transforms[table].script.text
        return self.tables[table].source_text

    def chart_of(self, table: str) -> Chart | None:
        """The chart that the file of a derived table asks for."""
        if table not in self.transforms:
            return None
        script = self.transforms[table].script
        said = script.properties.get("chart")
        return parse_chart(script.path, said, self.tables[table]) if said else None

    def layer_of(self, table: str) -> str:
        """Which part of the warehouse a table belongs to: staging, star or analytics."""
        if table not in self.transforms:
            return STAGING
        return STAR if self.transforms[table].script.path.parent.name == _TRANSFORMS else ANALYTICS

    def files_of(self, table: str) -> tuple[Path, ...]:
        """The SQL files that declare and make a table."""
        declared = self.folder / "tables" / f"{table}.sql"
        if table not in self.transforms:
            return (declared,)
        made = self.transforms[table].script.path
        return (declared, made) if self.layer_of(table) == STAR else (made,)

    def tables_of(self, layer: str) -> tuple[str, ...]:
        """The tables of a layer; derived ones in the order in which they are made."""
        names = (*(name for name in self.tables if name not in self.transforms), *self.transforms)
        return tuple(name for name in names if self.layer_of(name) == layer)

    def code_version(self, table: str) -> str:
        """Changes whenever the table, its transform or a check that must pass for it does."""
        return self._code_versions[table]

    @cached_property
    def _code_versions(self) -> Mapping[str, str]:
        """Every refresh asks for all of them."""
        return {table: self._code_version(table) for table in self.tables}

    def _code_version(self, table: str) -> str:
        texts = [self.tables[table].source_text]
        if table in self.transforms:
            texts.append(self.transforms[table].script.text)
            texts += [check.sql for check in self.checks_of(table) if check.blocking]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def read_catalogue(
    sql_folder: Path = SQL_FOLDER, sources: Sequence[Source] = SOURCES, home: Path | None = None
) -> Catalogue:
    """Read the SQL folder; what is derived of it slowly is kept in `home`, if that exists.

    Raises:
        SparkifyError: naming the file that is not as it must be, and what to do.
    """
    tables = load_tables(sql_folder / "tables", sql_folder / ANALYTICS)
    found = transforms.find_transforms(tables, sql_folder / _TRANSFORMS, sql_folder / ANALYTICS)
    scopes = {name: _staging_scope(source) for name, source in _by_table(sources).items()}
    scopes |= {name: scope for name, t in found.items() if (scope := t.scope())}
    scopes |= {name: Scope("key", "SELECT key FROM loading") for name in _ledger_tables(tables)}
    checks = find_checks(tables, _by_table(sources), scopes, sql_folder / "checks")
    of_lake = (check for source in sources for check in lake_checks(source))
    lineage = LineageCache(home / FILE_NAME if home else None)
    catalogue = Catalogue(
        tables, _by_table(sources), found, (*checks, *of_lake), sql_folder, lineage
    )
    if QUESTIONS in found:
        raise ScriptError(
            f"{found[QUESTIONS].script.path}: {QUESTIONS} is what the step is called that makes"
            " questions. Choose another name."
        )
    for table in found:
        catalogue.chart_of(table)  # a wrong line is reported now, not after the table was made
    return catalogue


def _by_table(sources: Sequence[Source]) -> dict[str, Source]:
    return {source.table: source for source in sources}


def _ledger_tables(tables: Mapping[str, Table]) -> tuple[str, ...]:
    return tuple(t.name for t in tables.values() if {"table_name", "key"} <= set(t.column_names))


def _staging_scope(source: Source) -> Scope:
    if source.dated:
        return Scope("log_date", "SELECT day FROM loading")
    return Scope("source_file", "SELECT key FROM loading")
