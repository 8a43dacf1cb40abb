"""What is said when the memory that DuckDB may use does not do."""

from pathlib import Path

import pytest

from sparkify_dagster.warehouse import Platform, WarehouseError
from sparkify_dagster_tests.fixtures.warehouse import FolderLake, make_platform

TOO_MUCH = "SELECT LIST(a.i + b.i) FROM RANGE(20000) AS a(i), RANGE(10000) AS b(i)"


def test_memory_that_is_full_names_the_setting(folder_lake: FolderLake, tmp_path: Path) -> None:
    platform: Platform = make_platform(tmp_path, folder_lake.root, DUCKDB_MEMORY_LIMIT="30MB")
    with (
        pytest.raises(WarehouseError, match=r"raise \[DUCKDB\] MEMORY_LIMIT = 30MB"),
        platform.warehouse.write(print) as session,
    ):
        session.fetch(TOO_MUCH)
