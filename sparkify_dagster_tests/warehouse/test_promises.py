"""Promise 1: the tables are a function of the lake, whatever the order of what happened.

Random histories (see `histories`) end in tables that equal, row for row, those of a plain Python
reference and those of one fresh load of the newest version of every file.
"""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.warehouse import (
    all_rows,
    assert_same_rows,
    bring_up_to_date,
)
from sparkify_dagster_tests.warehouse.histories import (
    DERIVED,
    Dice,
    Step,
    World,
    everything_derived,
)

pytestmark = pytest.mark.every_engine


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Steps that a failure can be shrunk to: each is drawn by its own number."""
    seeds = draw(st.lists(st.integers(0, 2**32), min_size=1, max_size=14))
    return [Dice(seed).step() for seed in seeds]


@pytest.mark.slow(25)
@pytest.mark.parametrize(
    ("engine", "examples"),
    [("duckdb", 10), ("postgres", 5), ("redshift", 5)],
    indirect=["engine"],
)
def test_any_history_ends_in_the_tables_of_a_fresh_load(
    engine: EngineUnderTest, examples: int
) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(histories())
    def live(steps: list[Step]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            world = World(engine, Path(folder, "lived"))
            world.play(steps)
            world.up()
            assert_same_rows(all_rows(world.platform), world.expected())
            fresh = world.fresh(Path(folder, "fresh"))
            assert_same_rows(everything_derived(world.platform), everything_derived(fresh))

    live()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "seed"),
    [("duckdb", 0), ("duckdb", 1), ("duckdb", 2), ("postgres", 0), ("redshift", 1)],
    indirect=["engine"],
)
def test_every_moment_of_a_long_history_agrees_with_the_reference(
    seed: int, engine: EngineUnderTest, tmp_path: Path
) -> None:
    world, dice = World(engine, tmp_path), Dice(seed)
    for _ in range(6):
        world.play(dice.history(dice.r.choice((1, 2, 4))))
        world.up()
        assert_same_rows(all_rows(world.platform), world.expected())


def test_a_full_refresh_of_any_table_changes_no_row(
    engine: EngineUnderTest, tmp_path: Path
) -> None:
    world = World(engine, tmp_path)
    world.play(Dice(7).history(12))
    world.up()
    before = everything_derived(world.platform)
    for table in DERIVED:
        assert world.platform.refresh(table, full=True).full
        assert_same_rows(everything_derived(world.platform), before)
    bring_up_to_date(world.platform)
    assert_same_rows(everything_derived(world.platform), before)


def test_a_run_with_nothing_new_makes_nothing(engine: EngineUnderTest, tmp_path: Path) -> None:
    world = World(engine, tmp_path)
    world.play(Dice(3).history(12))
    world.up()
    assert world.platform.status().up_to_date
    report = world.platform.load("staging_events", days=None, reload=False, run_id="again")
    assert (report.files, report.rows_added, report.rows_removed) == ((), 0, 0)
    for table in DERIVED:
        refreshed = world.platform.refresh(table)
        assert (refreshed.rows_added, refreshed.rows_removed) == (0, 0)
