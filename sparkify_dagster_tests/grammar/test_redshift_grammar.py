"""Every statement of the platform is Redshift SQL, as far as text can tell; and the gate is strict.

Nothing here ran on Redshift. What the gate is for is said in gate.py.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sparkify_dagster.catalogue.catalogue import read_catalogue
from sparkify_dagster.catalogue.lake_checks import lake_checks
from sparkify_dagster.catalogue.line_rules import DayWindow
from sparkify_dagster.catalogue.sql_files import SQL_FOLDER, incremental, read_script, whole
from sparkify_dagster.engines.ddl import create_table
from sparkify_dagster.engines.duckdb.warehouse import DuckDBSession
from sparkify_dagster.engines.redshift import copy_sql
from sparkify_dagster.engines.redshift.warehouse import RedshiftWarehouse
from sparkify_dagster.settings import load_settings
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.settings.sources import SOURCES
from sparkify_dagster.warehouse.admin.roles import Roles, role_statements
from sparkify_dagster.warehouse.privacy.forget_user import forget_user
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    FolderLake,
    bring_up_to_date,
    event,
    make_platform,
    song,
)
from sparkify_dagster_tests.grammar import sqlfluff as grammar_sqlfluff
from sparkify_dagster_tests.grammar.examples import ACCEPTED, COPY, DENIED
from sparkify_dagster_tests.grammar.gate import (
    RULES,
    problems_of,
    problems_of_session,
    refusals,
)
from sparkify_dagster_tests.grammar.sqlfluff import FALSE_REJECTIONS, Passes, parse
from sparkify_dagster_tests.grammar.statement import Statement

CATALOGUE = read_catalogue()
LEDGER = SQL_FOLDER / "ledger.sql"
REPORT_SQL = SQL_FOLDER / "report.sql"
OF_LAKE = {check for source in SOURCES for check in lake_checks(source)}
# Checks of every source are judged as the catalogue reads them, with a table for `<table>`.
CHECKS = [check for check in CATALOGUE.checks if check not in OF_LAKE]


def _shipped() -> Iterator[tuple[str, str]]:
    """Every statement of sql/, in both of its forms, by a name that a failure shows."""
    for table in CATALOGUE.tables.values():
        yield f"tables/{table.name}", create_table(table, RedshiftWarehouse.dialect, "sparkify")
    for transform in CATALOGUE.transforms.values():
        for name, statement in transform.script.statements.items():
            yield from _forms(f"transforms/{transform.table.name}/{name}", statement)
    for check in CHECKS:
        yield from _forms(f"checks/{check.table}/{check.name}", check.sql)
    for name, statement in read_script(LEDGER).statements.items():
        yield f"ledger/{name}", statement
    for name, statement in read_script(REPORT_SQL).statements.items():
        yield f"report/{name}", statement
    for path in sorted((SQL_FOLDER / "analytics").glob("**/*.sql")):
        for name, statement in read_script(path).statements.items():
            yield from _forms(f"analytics/{path.stem}/{name}", statement)


def _copied() -> Iterator[tuple[str, str]]:
    """What loading by COPY sends, for every source."""
    for source in SOURCES:
        rules = replace(CATALOGUE.rules_of(source.table), window=DayWindow(24, 366))
        columns = [column.name for column, _ in rules.columns]
        yield f"{source.table}, landing table", copy_sql.landing_table(rules)
        yield f"{source.table}, misfits", copy_sql.count_of_misfits(rules, FIRST)
        yield f"{source.table}, take over", copy_sql.take_over(rules)
        for json_as, role in (("'auto'", "default"), (":jsonpaths", ":role")):
            for packed in ("", *map(copy_sql.compression, ("x.json.gz", "x.jsonl.zst"))):
                text = copy_sql.copy_statement(
                    source.table, columns, json_as=json_as, packed=packed, role=role
                )
                yield f"{source.table}, COPY, {json_as}, {packed}", text
    yield "drop the landing table", copy_sql.DROP_LANDING


def _forms(name: str, statement: str) -> Iterator[tuple[str, str]]:
    forms = {"incremental": incremental(statement), "whole": whole(statement)}
    yield from ((f"{name}, {form}", sql) for form, sql in forms.items() if sql)


STATEMENTS = dict([*_shipped(), *_copied()])


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_shipped_statement_is_redshift_sql(name: str) -> None:
    assert problems_of(STATEMENTS[name]) == []


def test_every_file_of_the_sql_folder_is_judged() -> None:
    read_here = {
        *(SQL_FOLDER / "tables" / f"{name}.sql" for name in CATALOGUE.tables),
        *(transform.script.path for transform in CATALOGUE.transforms.values()),
        *(SQL_FOLDER / "checks" / c.table / f"{c.name}.sql" for c in CHECKS),
        *(SQL_FOLDER / "checks" / "every_source" / f"{c.name}.sql" for c in CHECKS),
        *(SQL_FOLDER / "analytics").glob("**/*.sql"),
        LEDGER,
        REPORT_SQL,
    }
    assert set(SQL_FOLDER.glob("**/*.sql")) <= read_here


@pytest.mark.slow(20)
def test_what_the_platform_composes_is_redshift_sql(
    tmp_path: Path, folder_lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, sent = make_platform(tmp_path, folder_lake.root), _record(monkeypatch)
    folder_lake.put_songs("one", song())
    folder_lake.put_events(FIRST, event(), event(itemInSession=1, new="key"))
    bring_up_to_date(platform)
    next_day = FIRST + timedelta(1)
    folder_lake.put_events(next_day, event(next_day), event(next_day, level="odd"), name="more")
    platform.load("staging_events", days=None, reload=True, run_id="test")
    platform.load("staging_events", days=DayRange(FIRST, next_day), reload=False, run_id="test")
    folder_lake.put_events(next_day, event(next_day), name="more")
    bring_up_to_date(platform)
    platform.refresh("songplays", days=DayRange(FIRST, FIRST), recompute=True)
    forget_user(platform, 1, run_id="test")
    platform.load("staging_events", days=None, reload=True, run_id="test")
    for check in platform.catalogue.checks:
        platform.run_check(check)
        platform.run_check(check, DayRange(FIRST, next_day))
    platform.status()
    # What is DuckDB's own way in for rows, and its own DDL, has its counterpart among COPY and
    # `Table.ddl` above.
    own = ("FROM parsed", "CREATE TABLE IF NOT EXISTS main.")
    shared = [sql for sql in sent if not any(mark in sql for mark in own)]
    assert len(set(shared)) > 100
    assert problems_of_session(shared) == []


def test_what_is_sent_for_roles_and_connections_is_redshift_sql(tmp_path: Path) -> None:
    (tmp_path / "dwh.cfg").write_text(
        "[WAREHOUSE]\nENGINE = redshift\n[CLUSTER]\nHOST = h\nDB_NAME = dev\nDB_USER = u\n"
        "[IAM_ROLE]\nARN = default\n[S3]\nLOG_DATA = s3://b/log\nSONG_DATA = s3://b/song\n"
        "LOG_JSONPATH = s3://b/paths.json\nSCRATCH = s3://b/scratch\n"
        "[PARTITIONS]\nFIRST_DAY = 2018-11-01\n"
    )
    settings = load_settings(tmp_path / "dwh.cfg", {"SPARKIFY_CLUSTER_DB_PASSWORD": "x"})
    warehouse = RedshiftWarehouse(settings)
    tables = [(warehouse.schema, name) for name in CATALOGUE.tables]
    tables.append((warehouse.state_schema, "loading"))
    granted = role_statements(warehouse, CATALOGUE, Roles(), tables, "dev")
    assert len(granted) > 10
    connecting = warehouse.settings_of_a_connection("run-1")
    assert problems_of_session([*connecting, *granted]) == []


def _record(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    sent: list[str] = []
    for method in ("execute", "rows"):
        original = getattr(DuckDBSession, method)

        def recording(
            self: DuckDBSession, sql: str, *args: object, original=original, **options: object
        ) -> object:
            sent.append(sql)
            return original(self, sql, *args, **options)

        monkeypatch.setattr(DuckDBSession, method, recording)
    return sent


@pytest.mark.parametrize(("rule", "statement", "problem"), DENIED)
def test_what_redshift_means_differently_is_caught(rule: str, statement: str, problem: str) -> None:
    by_name = {function.__name__: function for function in RULES}
    assert any(problem in found for found in by_name[rule](Statement(statement)))
    assert any(problem in found for found in refusals(statement))


def test_every_rule_has_something_that_it_catches() -> None:
    assert {rule for rule, _, _ in DENIED} == {rule.__name__ for rule in RULES}


@pytest.mark.parametrize(
    "refused", ["DELETE FROM t WHERE a = 1 RETURNING a", "SELECT a FROM t WHERE b < NOW()"]
)
def test_what_the_stand_in_refuses_is_caught(refused: str) -> None:
    """Which statements those are is shown in test_standin_grammar.py."""
    assert problems_of(refused)[0].startswith("refused: ")


@pytest.mark.parametrize("statement", [statement for _, statement, _ in DENIED])
def test_the_same_text_in_a_comment_or_a_literal_passes(statement: str) -> None:
    quoted = statement.replace("'", "''")
    assert not refusals(f"SELECT 1 AS a -- {statement}\nFROM t")
    assert not refusals(f"SELECT 1 AS a /* {statement} */ FROM t")
    assert not refusals(f"SELECT '{quoted}' AS a FROM t")
    assert not refusals(f"INSERT INTO t (a) VALUES ('{quoted}')")


@pytest.mark.parametrize("statement", ACCEPTED)
def test_what_redshift_takes_passes(statement: str) -> None:
    assert problems_of(statement) == []


@pytest.mark.parametrize(
    "statement", ["SELEC 1", "SELECT a FROM WHERE b", "INSERT INTO t (a) VALUES (1", "SELECT (1))"]
)
def test_what_does_not_parse_is_caught(statement: str) -> None:
    assert problems_of(statement) != []


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("SELECT 1; DELETE FROM t", "multiple commands"),
        ("", "no statement"),
        ("--", "no statement"),
    ],
)
def test_a_text_holds_one_statement(statement: str, problem: str) -> None:
    assert any(problem in found for found in problems_of(statement))


def test_each_exception_is_still_needed() -> None:
    refused = ("ANALYZE t PREDICATE COLUMNS",)
    for statement, (pattern, _) in zip(refused, FALSE_REJECTIONS, strict=True):
        assert pattern.search(statement)
        assert parse(statement)


def test_only_a_pass_of_the_same_text_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grammar_sqlfluff, "in_use", Passes(tmp_path))
    good, bad = "SELECT 17 AS kept_here", "SELECT kept_here FROM WHERE b"
    assert problems_of(good) == []
    assert problems_of(bad) != []
    later = Passes(tmp_path)
    assert later.has("SELECT 0 AS kept_here"), "a number is one as another"
    assert not later.has("SELECT 0 AS kept_there")
    assert not later.has(bad)
    (judge,) = tmp_path.iterdir()
    judge.rename(tmp_path / "another version")
    assert not Passes(tmp_path).has("SELECT 0 AS kept_here")


def test_a_long_row_list_is_judged_by_its_ends() -> None:
    rows = ", ".join(f"({n}, 'a ({n}), b')" for n in range(5000))
    assert problems_of(f"INSERT INTO t (a, b) VALUES {rows}") == []
    assert problems_of(f"INSERT INTO t (a, b) VALUES {rows}, (NOW(), '')") != []
    assert problems_of(f"INSERT INTO t (a, b) VALUES {rows} ON CONFLICT DO NOTHING") != []


def test_a_copy_belongs_in_a_transaction() -> None:
    assert problems_of_session(["BEGIN", COPY, "COMMIT"]) == []
    assert problems_of_session(["BEGIN", "COMMIT", COPY])[0].startswith("COPY outside")
