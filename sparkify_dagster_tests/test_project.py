"""The project's own files: what lint forbids, and what must say the same in two places."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PURE = (
    "settings.py",
    "sections.py",
    "alert_sections.py",
    "aws.py",
    "cluster/anything.py",
    "sources.py",
    "tables/anything.py",
    "lake/anything.py",
    "warehouse/anything.py",
    "simulate/anything.py",
)


def complaints(file: str, code: str) -> str:
    """What ruff says of code that would stand in this file."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ruff", "check", "--output-format", "concise"),
            *("--stdin-filename", str(ROOT / file), "-"),
        ],
        cwd=ROOT,
        input=code,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize("file", PURE)
@pytest.mark.parametrize("code", ["import dagster\n", "from dagster import asset\n"])
def test_lint_forbids_importing_dagster_in_the_pure_core(file: str, code: str) -> None:
    assert "TID251" in complaints(f"sparkify_dagster/{file}", code)


@pytest.mark.parametrize("file", ["definitions.py", "assets/anything.py", "runs.py"])
def test_lint_lets_the_dagster_layer_import_dagster(file: str) -> None:
    assert "TID251" not in complaints(f"sparkify_dagster/{file}", "import dagster\n")


def test_the_pure_core_really_imports_no_dagster() -> None:
    modules = "settings, sources, tables, lake, warehouse, simulate"
    code = f"from sparkify_dagster import {modules}; import sys; print('dagster' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_definitions_load_no_storage_of_dagster() -> None:
    """It takes as long as Dagster itself, and a code server has no need of it."""
    code = "import sys, sparkify_dagster.definitions; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "sparkify_dagster.dagster_private" in loaded
    assert [name for name in loaded if name.startswith("dagster._core.storage.event_log")] == []


def test_workspace_and_pyproject_name_the_same_code_location() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        dg = tomllib.load(file)["tool"]["dg"]["project"]
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))
    (entry,) = workspace["load_from"]
    location = dg.get("code_location_target_module", f"{dg['root_module']}.definitions")
    assert entry["python_module"]["module_name"] == location == "sparkify_dagster.definitions"


def test_the_lock_file_holds_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert re.findall(r"\w+://|--(?:extra-)?index|--find-links", lock) == []
    assert lock.count("--hash=sha256:") > lock.count("==") > 50


def test_no_sql_trims_without_saying_what() -> None:
    """With one argument DuckDB strips white space that PostgreSQL and Redshift keep."""
    for path in (ROOT / "sparkify_dagster" / "sql").rglob("*.sql"):
        assert not re.search(r"\bL?R?TRIM\([^,()]*\)", path.read_text(encoding="utf-8"), re.I), path


def test_sql_lives_in_sql_files_that_all_belong_to_something() -> None:
    sql = ROOT / "sparkify_dagster" / "sql"
    folders = {path.relative_to(sql).parts[0] for path in sql.rglob("*.sql")}
    known = {"tables", "transforms", "checks", "analytics", "ledger.sql", "report.sql"}
    assert folders == known
