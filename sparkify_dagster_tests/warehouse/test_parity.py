"""The same lake gives equal tables, row for row, on DuckDB, PostgreSQL and Redshift's stand-in.

The lake is on a real S3 endpoint; DuckDB's tables are what the others are compared with. What
COPY loads by other rules than ours is listed in `LAX`, and is why a configuration can forgo it.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from sparkify_dagster.simulate import Simulation, write_lake
from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.lake import S3Endpoint
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    FolderLake,
    Platform,
    TableRows,
    all_rows,
    assert_same_rows,
    bring_up_to_date,
    event,
    lines,
    make_platform,
    rows_of,
    song,
)
from sparkify_dagster_tests.simulate.conftest import REAL
from sparkify_dagster_tests.standin import StandIn
from sparkify_dagster_tests.warehouse.histories import bookkeeping
from sparkify_dagster_tests.warehouse.test_parsing import BAD_LINES

LAX = {
    # A number, true or an object in a text column is its text.
    "true for a text", "a number for a text", "an object for a text", "an array for a text",
    # A stream of objects, not one a line.
    "two objects", "two objects with a blank",
    # Of a key that comes twice one counts; what no column takes is not looked at.
    "a key twice", "an unknown key twice", "an unknown nested key twice",
    "NaN under an unknown key", "Inf under an unknown key", "NaN in a list under an unknown key",
    "thousands of digits under an unknown key",
}  # fmt: skip
"""Bad lines that a COPY from JSON loads."""

UNLIKE = {
    # An object that does not end may swallow what follows.
    name
    for name, line in BAD_LINES.items()
    if b"{" not in line or line.count(b"{") != line.count(b"}")
} | {
    "two empty objects",
    "null between objects",
    "null between good objects",
    "a number between objects",
    "an array between objects",
    "a raw NUL and another object",
}
"""Bad lines of which it is not documented how many objects COPY makes of them."""


class World:
    """One lake on S3 and the platforms over it."""

    def __init__(self, endpoint: S3Endpoint, bucket: str) -> None:
        shutil.rmtree(endpoint.root / bucket, ignore_errors=True)
        self.lake = FolderLake(endpoint.root / bucket)
        self.environ: Mapping[str, object] = {
            "S3_LOG_DATA": f"s3://{bucket}/log_data",
            "S3_SONG_DATA": f"s3://{bucket}/song_data",
            "S3_ENDPOINT_URL": endpoint.endpoint_url,
            "S3_REGION": endpoint.region,
            "PARTITIONS_LAST_DAY": "2018-12-31",
        }

    def put(self, folder: Path) -> None:
        for prefix in ("log_data", "song_data"):
            shutil.copytree(folder / prefix, self.lake.root / prefix, dirs_exist_ok=True)

    def spoil(self) -> None:
        """Fewer events, changed songs, another file of a day, and one that vanishes."""
        first, second, third, *_ = sorted(self.lake.root.glob("log_data/**/*.json"))
        _replace(first, b"\n".join(first.read_bytes().splitlines()[::2]))
        _replace(third.with_name(third.name.replace("events", "late")), second.read_bytes())
        second.unlink()
        songs = sorted(self.lake.root.glob("song_data/**/*.json"))
        last = json.loads(songs[0].read_bytes().splitlines()[-1])
        _replace(songs[0], lines([song(**last | {"title": "Other"})]))


def _replace(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content)


@pytest.fixture
def world(
    request: pytest.FixtureRequest, s3_endpoint: S3Endpoint, aws_environment: pytest.MonkeyPatch
) -> World:
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())
    return World(s3_endpoint, f"parity-{name}"[:60].strip("-"))


def everything(platform: Platform) -> TableRows:
    return all_rows(platform) | bookkeeping(platform)


def assert_equal_after_each_step(world: World, one: Platform, another: Platform) -> None:
    for step in (lambda: None, world.spoil, lambda: None):
        step()
        for platform in (one, another):
            bring_up_to_date(platform)
        assert_same_rows(everything(another), everything(one))


@pytest.mark.slow
@pytest.mark.s3
@pytest.mark.parametrize("engine", ["postgres", "redshift"], indirect=True)
def test_the_real_days_and_a_reload(
    engine: EngineUnderTest, world: World, tmp_path: Path, standin_server: StandIn
) -> None:
    if not REAL.is_dir():
        pytest.skip("absent here: the real Sparkify data")
    world.put(REAL)
    one = make_platform(tmp_path / "duckdb", Path(), **world.environ)
    another = engine.platform(tmp_path / engine.name, Path(), **world.environ)
    sent = len(standin_server.statements)
    assert_equal_after_each_step(world, one, another)
    if engine.name == "redshift":  # its own COPY, with a manifest for each log file
        copies = [s.text for s in standin_server.statements[sent:] if "COPY landing" in s.text]
        assert len(copies) == 20 + 2


@pytest.mark.s3
@pytest.mark.slow(15)
@pytest.mark.parametrize("engine", ["postgres", "redshift"], indirect=True)
def test_simulated_days_and_a_reload(engine: EngineUnderTest, world: World, tmp_path: Path) -> None:
    """Enough rows that PostgreSQL looks at its statistics within the load."""
    write_lake(
        world.lake.root, Simulation(FIRST, 5, users=100, songs=300, events_per_day=2500, seed=7)
    )
    one = make_platform(tmp_path / "duckdb", Path(), **world.environ)
    another = engine.platform(tmp_path / engine.name, Path(), **world.environ)
    assert_equal_after_each_step(world, one, another)


@pytest.mark.slow
@pytest.mark.s3
@pytest.mark.parametrize("engine", ["postgres", "redshift"], indirect=True)
def test_bad_lines_of_every_kind_by_the_platforms_own_rules(
    engine: EngineUnderTest, world: World, tmp_path: Path
) -> None:
    for number, line in enumerate(BAD_LINES.values()):
        content = lines([event(itemInSession=number)]) + line + b"\n" + lines([event(userId="3")])
        world.lake.put("log_data", f"2018-11-01-{number:03d}.json", content)
    world.lake.put("song_data", "bad.json", b"null\n" + lines([song(year="x"), song()]))
    strict = {"LOAD_MAX_REJECT_RATIO": 1, "LOAD_REDSHIFT_READS_LOGS": "no"}
    one = make_platform(tmp_path / "duckdb", Path(), **(world.environ | strict))
    another = engine.platform(tmp_path / engine.name, Path(), **(world.environ | strict))
    assert_equal_after_each_step(world, one, another)


@pytest.mark.slow
@pytest.mark.s3
@pytest.mark.parametrize("engine", ["redshift"], indirect=True)
def test_copy_passes_over_bad_lines_and_reports_their_numbers(
    engine: EngineUnderTest, world: World, tmp_path: Path
) -> None:
    """Same rows, same lines in quarantine; the reason is Redshift's, the text it does not give."""
    reported = [line for name, line in BAD_LINES.items() if name not in LAX | UNLIKE]
    assert len(reported) > 25
    for number, line in enumerate(reported):
        content = lines([event(itemInSession=number)]) + line + b"\n" + lines([event(userId="3")])
        world.lake.put("log_data", f"2018-11-01-{number:03d}.json", content)
    lenient = world.environ | {"LOAD_MAX_REJECT_RATIO": 1}
    one = make_platform(tmp_path / "duckdb", Path(), **lenient)
    another = engine.platform(tmp_path / "redshift", Path(), **lenient)
    for platform in (one, another):
        bring_up_to_date(platform)
    assert_same_rows(all_rows(another), all_rows(one))
    where = "SELECT table_name, key, line FROM load_rejects ORDER BY key, line"
    assert rows_of(another, where) == rows_of(one, where)
    files = "SELECT key, lines, rows, rejects FROM load_files ORDER BY key"
    assert rows_of(another, files) == rows_of(one, files)
    reasons = rows_of(another, "SELECT reason, raw_line FROM load_rejects")
    assert all(reason for reason, _ in reasons)
    copied = [reason for reason, raw in reasons if raw is None]
    assert len(copied) > 25
    assert any("Missing data for not-null field" in str(reason) for reason in copied)


@pytest.mark.slow
@pytest.mark.s3
@pytest.mark.parametrize("engine", ["redshift"], indirect=True)
def test_lines_that_only_our_rules_can_judge_are_read_by_us(
    engine: EngineUnderTest, world: World, tmp_path: Path
) -> None:
    """COPY takes a fraction for DECIMAL, of which the landing table makes a whole number."""
    bad = [event(registration=1540000000000.5), event(ts=2**50), event(registration=2**53 + 1)]
    world.lake.put("log_data", "2018-11-01.json", lines([event(), *bad]))
    world.lake.put("log_data", "2018-11-02.json", lines([event()]))
    lenient = world.environ | {"LOAD_MAX_REJECT_RATIO": 1}
    one = make_platform(tmp_path / "duckdb", Path(), **lenient)
    another = engine.platform(tmp_path / "redshift", Path(), **lenient)
    for platform in (one, another):
        bring_up_to_date(platform)
    assert_same_rows(everything(another), everything(one))
    assert rows_of(another, "SELECT COUNT(*) FROM load_rejects") == [(3,)]


@pytest.mark.slow
@pytest.mark.s3
@pytest.mark.parametrize("engine", ["redshift"], indirect=True)
def test_compressed_log_files_are_copied_too(
    engine: EngineUnderTest, world: World, tmp_path: Path
) -> None:
    import gzip

    world.lake.put("log_data", "2018-11-01.json.gz", gzip.compress(lines([event()] * 50)))
    world.lake.put("log_data", "2018-11-01-b.json", lines([event(FIRST, userId="")]))
    one = make_platform(tmp_path / "duckdb", Path(), **world.environ)
    another = engine.platform(tmp_path / "redshift", Path(), **world.environ)
    for platform in (one, another):
        bring_up_to_date(platform)
    assert_same_rows(everything(another), everything(one))
