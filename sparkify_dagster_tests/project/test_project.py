"""The project's own files: what lint forbids, and what must say the same in two places."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
# A folder, and what lint must not let it import.
FORBIDDEN = (
    ("ask", "dagster"),
    ("aws", "sparkify_dagster.warehouse"),
    ("catalogue", "sparkify_dagster.engines"),
    ("defs", "duckdb"),
    ("defs", "sparkify_dagster.cli"),
    ("doctor", "sparkify_dagster.defs"),
    ("engines", "dagster"),
    ("engines", "obstore"),
    ("engines", "sparkify_dagster.warehouse"),
    ("lake", "dagster_aws"),
    ("present", "psycopg2"),
    ("settings", "sparkify_dagster.catalogue"),
    ("simulate", "sparkify_dagster.lake"),
    ("warehouse", "boto3"),
    ("warehouse", "sparkify_dagster.ask"),
    ("warehouse", "sparkify_dagster.engines.redshift.copy_sql"),
)


def test_lint_forbids_what_a_folder_must_not_import(tmp_path: Path) -> None:
    package = tmp_path / "sparkify_dagster"
    shutil.copytree(ROOT / "sparkify_dagster", package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for number, (folder, module) in enumerate(FORBIDDEN):
        (package / folder / f"example_{number}.py").write_text(
            f"def later() -> None:\n    import {module}\n"
        )
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "500", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    for number, (folder, module) in enumerate(FORBIDDEN):
        assert f"sparkify_dagster.{folder}.example_{number} -> {module}" in done.stdout


def test_what_is_below_defs_really_imports_no_dagster() -> None:
    modules = "ask, aws, catalogue, doctor, engines, lake, settings, simulate, warehouse"
    code = f"from sparkify_dagster import {modules}; import sys; print('dagster' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
def test_the_definitions_load_no_storage_of_dagster() -> None:
    """It takes as long as Dagster itself, and a code server has no need of it."""
    code = "import sys, sparkify_dagster.definitions; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "sparkify_dagster.defs.dagster_private" in loaded
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
