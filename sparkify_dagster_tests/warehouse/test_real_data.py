"""The real days of Sparkify give exactly the results that were computed independently of us."""

import csv
import json
import random
import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from sparkify_dagster.settings import load_settings
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse import Platform, open_platform
from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.lake import S3Endpoint
from sparkify_dagster_tests.fixtures.warehouse import all_rows, assert_same_rows

DATA = Path(__file__).parents[3] / "shared" / "data"
LAKE, EXPECTED = DATA / "sparkify", DATA / "expected"
DAYS = [date(2018, 11, 11) + timedelta(n) for n in range(20)]

pytestmark = pytest.mark.skipif(
    not LAKE.is_dir(), reason="absent here: the real data, ../shared/data"
)

RESULTS = {
    "users": "SELECT user_id, first_name, last_name, gender, level FROM users ORDER BY user_id",
    "songs": "SELECT song_id, title, artist_id, year, duration FROM songs ORDER BY song_id",
    "artists": "SELECT artist_id, name FROM artists ORDER BY artist_id",
    "songplays_per_day": (
        "SELECT log_date, COUNT(*), COUNT(DISTINCT user_id) FROM songplays GROUP BY 1 ORDER BY 1"
    ),
    "plays_per_hour": (
        "SELECT t.hour, COUNT(*) FROM songplays INNER JOIN time AS t USING (start_time)"
        " GROUP BY 1 ORDER BY 1"
    ),
    "plays_per_week": (
        "SELECT t.week, COUNT(*) FROM songplays INNER JOIN time AS t USING (start_time)"
        " GROUP BY 1 ORDER BY 1"
    ),
    "plays_per_weekday": (
        "SELECT t.weekday, COUNT(*) FROM songplays INNER JOIN time AS t USING (start_time)"
        " GROUP BY 1 ORDER BY 1"
    ),
    "plays_per_level": (
        "SELECT level, COUNT(*), COUNT(DISTINCT user_id) FROM songplays GROUP BY 1 ORDER BY 1"
    ),
    "matched_songplays": (
        "SELECT start_time, user_id, level, song_id, artist_id, session_id, item_in_session"
        " FROM songplays WHERE song_id IS NOT NULL ORDER BY 1"
    ),
    "level_changes": (
        "SELECT b.user_id, b.valid_from, a.level, b.level FROM user_levels AS a"
        " INNER JOIN user_levels AS b ON b.user_id = a.user_id AND b.valid_from = a.valid_to"
        " ORDER BY 2"
    ),
    "top_songs": (
        "SELECT song, artist, COUNT(*) FROM staging_events WHERE page = 'NextSong'"
        " AND user_id IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 10"
    ),
    "top_artists": (
        "SELECT artist, COUNT(*) FROM staging_events WHERE page = 'NextSong'"
        " AND user_id IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10"
    ),
    "top_locations": (
        "SELECT location, COUNT(*) FROM songplays GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10"
    ),
}


def platform_of(folder: Path, **environment: str) -> Platform:
    config = folder / "dwh.cfg"
    config.write_text(
        f"[S3]\nLOG_DATA = {LAKE}/log_data\nSONG_DATA = {LAKE}/song_data\n"
        "[PARTITIONS]\nFIRST_DAY = 2018-11-01\nLAST_DAY = 2018-11-30\n"
    )
    return open_platform(load_settings(config, environment))


def bring_up_to_date(platform: Platform, *days: date) -> None:
    """Load the given days by name, or everything that is new, and refresh the star."""
    with platform.warehouse.stay_open():
        if days:
            span = DayRange(days[0], days[-1])
            platform.load("staging_events", days=span, reload=True, run_id="test")
        else:
            platform.load("staging_events", days=None, reload=False, run_id="test")
        platform.load("staging_songs", days=None, reload=False, run_id="test")
        for table in platform.catalogue.transforms:
            platform.refresh(table)


def as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    return "" if value is None else str(value)


def disagreements(platform: Platform) -> list[str]:
    """Every expected result that the warehouse does not give exactly."""
    wrong = []
    with platform.warehouse.read(print) as session:
        for name, sql in RESULTS.items():
            with (EXPECTED / f"{name}.csv").open(newline="", encoding="utf-8") as file:
                expected = list(csv.reader(file))[1:]
            found = [[as_text(value) for value in row] for row in session.fetch(sql)]
            if found != expected:
                wrong.append(f"{name}: {found[:3]} where {expected[:3]} is expected")
        counts = json.loads((EXPECTED / "counts.json").read_text())
        matched = "SELECT COUNT(*) FROM songplays WHERE song_id IS NOT NULL"
        for name, count in counts.items():
            sql = matched if name == "songplays_with_song" else f"SELECT COUNT(*) FROM {name}"
            if session.count(sql) != count:
                wrong.append(f"{name}: {session.count(sql)} rows where {count} are expected")
    return wrong


def test_every_expected_result_is_compared() -> None:
    assert {path.stem for path in EXPECTED.glob("*.csv")} == set(RESULTS)


@pytest.mark.every_engine
def test_a_folder_gives_the_expected_results(engine: EngineUnderTest, tmp_path: Path) -> None:
    platform = engine.platform(tmp_path, LAKE)
    bring_up_to_date(platform)
    assert disagreements(platform) == []


def test_a_changed_row_is_a_disagreement(tmp_path: Path) -> None:
    platform = platform_of(tmp_path)
    bring_up_to_date(platform)
    with platform.warehouse.write(print) as session:
        session.execute("UPDATE users SET level = 'paid' WHERE user_id = 2")
    assert [problem.split(":")[0] for problem in disagreements(platform)] == ["users"]


@pytest.mark.slow
def test_a_real_s3_endpoint_gives_the_same_rows_as_the_folder(
    engine: EngineUnderTest,
    tmp_path: Path,
    s3_endpoint: S3Endpoint,
    aws_environment: pytest.MonkeyPatch,
) -> None:
    s3_endpoint.put_folder("sparkify-real", LAKE)
    served = engine.platform(
        tmp_path,
        LAKE,
        S3_LOG_DATA="s3://sparkify-real/log_data",
        S3_SONG_DATA="s3://sparkify-real/song_data",
        S3_ENDPOINT_URL=s3_endpoint.endpoint_url,
        S3_REGION=s3_endpoint.region,
    )
    bring_up_to_date(served)
    assert disagreements(served) == []
    (tmp_path / "folder").mkdir()
    folder = platform_of(tmp_path / "folder")
    bring_up_to_date(folder)
    assert_same_rows(all_rows(served), all_rows(folder))


@pytest.mark.slow(20)
def test_days_one_at_a_time_in_any_order_with_repeats_give_the_expected_results(
    tmp_path: Path,
) -> None:
    chance = random.Random(1)
    order = [*DAYS, *chance.sample(DAYS, 5)]
    chance.shuffle(order)
    platform = platform_of(tmp_path)
    for day in order:
        bring_up_to_date(platform, day)
    assert disagreements(platform) == []


@pytest.mark.slow
def test_songs_that_come_after_all_plays_match_them_all_the_same(tmp_path: Path) -> None:
    late = tmp_path / "songs"
    late.mkdir()
    platform = platform_of(tmp_path, SPARKIFY_S3_SONG_DATA=str(late))
    bring_up_to_date(platform)
    with platform.warehouse.read(print) as session:
        assert session.count("SELECT COUNT(*) FROM songplays WHERE song_id IS NOT NULL") == 0
    for path in sorted((LAKE / "song_data").rglob("*.json")):
        target = late / path.relative_to(LAKE / "song_data")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    bring_up_to_date(platform)
    assert disagreements(platform) == []
