"""The whole path on a live Redshift, for whoever has one; and the same on the stand-in, always.

SPARKIFY_LIVE_CONFIG names a dwh.cfg with ENGINE = redshift whose SCRATCH and role may be used;
secrets come from the environment as usual. Everything is made in a schema and below a scratch
folder of its own, and removed at the end. Costs: a few minutes of the smallest warehouse.
"""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from sparkify_dagster.engines.base import Session
from sparkify_dagster.lake.s3 import S3Lake
from sparkify_dagster.settings import Settings, load_settings
from sparkify_dagster.settings.sections import Engine, WarehouseSettings
from sparkify_dagster.warehouse import Platform, open_platform
from sparkify_dagster.warehouse.admin.drop_tables import plan_removal, remove
from sparkify_dagster.warehouse.checks.run_checks import run_check
from sparkify_dagster_tests.fixtures.engines import standin_environ
from sparkify_dagster_tests.fixtures.lake import S3Endpoint, use_credentials
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    all_rows,
    assert_same_rows,
    bring_up_to_date,
    event,
    lines,
    make_platform,
    rows_of,
    song,
)
from sparkify_dagster_tests.standin import StandIn

pytestmark = [pytest.mark.s3, pytest.mark.slow]

LIVE = os.environ.get("SPARKIFY_LIVE_CONFIG", "")


class LiveLake:
    """A small lake below the scratch folder."""

    def __init__(self, settings: Settings) -> None:
        s3 = settings.s3
        self.uri = f"{s3.scratch}-live-{uuid.uuid4().hex[:12]}"
        self.bucket = S3Lake(self.uri, region=s3.region, endpoint_url=s3.endpoint_url)

    def put(self, key: str, content: bytes) -> None:
        import obstore

        obstore.put(self.bucket.store, key, content)

    def delete(self) -> None:
        import obstore

        keys = [meta["path"] for page in obstore.list(self.bucket.store) for meta in page]
        obstore.delete(self.bucket.store, keys)


@pytest.fixture(params=["stand-in", "live"])
def live_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    if request.param == "live":
        if not LIVE:
            pytest.skip("absent here: a live Redshift (SPARKIFY_LIVE_CONFIG names its dwh.cfg)")
        settings = load_settings(Path(LIVE))
        assert settings.warehouse.engine is Engine.REDSHIFT
        yield settings
        return
    endpoint: S3Endpoint = request.getfixturevalue("s3_endpoint")
    standin: StandIn = request.getfixturevalue("standin")
    config = tmp_path / "dwh.cfg"
    config.write_text("[S3]\nLOG_DATA = a\nSONG_DATA = b\n[PARTITIONS]\nFIRST_DAY = 2018-11-01\n")
    with pytest.MonkeyPatch.context() as patch:
        use_credentials(patch)
        yield load_settings(config, standin_environ(standin, endpoint))


@pytest.fixture
def lake(live_settings: Settings) -> Iterator[LiveLake]:
    made = LiveLake(live_settings)
    yield made
    made.delete()


@pytest.fixture
def live(live_settings: Settings, lake: LiveLake) -> Iterator[Platform]:
    schema = f"sparkify_live_{uuid.uuid4().hex[:12]}"
    places = {"LOG_DATA": f"{lake.uri}/log_data", "SONG_DATA": f"{lake.uri}/song_data"}
    platform = open_platform(
        replace(
            live_settings,
            warehouse=WarehouseSettings(Engine.REDSHIFT, schema),
            s3=replace(live_settings.s3, prefixes=places, log_jsonpath=None),
        )
    )
    yield platform

    def drop(session: Session) -> None:
        remove(session, plan_removal(session, platform.warehouse, platform.catalogue))
        session.execute(f"DROP SCHEMA {schema}")

    platform.warehouse.transact(drop, print)


def fill(lake: LiveLake) -> None:
    for day in range(1, 4):
        date = FIRST.replace(day=day)
        plays = [event(date, itemInSession=n, userId=str(n % 3 or "")) for n in range(300)]
        if day == 2:
            plays += [event(date, level="paid", song="Hystéria 'x' \\ \"y\"", length=199.87654)]
        lake.put(f"log_data/{date}-events.json", lines(plays))
    for number in range(30):
        name = f"Artist {number} ' \\"
        one = song(song_id=f"S{number}", artist_id=f"A{number}", artist_name=name)
        lake.put(f"song_data/A/{number}.json", json.dumps(one).encode())
    lake.put("song_data/A/match.json", json.dumps(song(duration=200.5)).encode())


def on_duckdb(live: Platform, folder: Path) -> Platform:
    s3 = live.settings.s3
    place = {"S3_LOG_DATA": s3.log_data, "S3_SONG_DATA": s3.song_data, "S3_REGION": s3.region}
    place |= {"S3_ENDPOINT_URL": s3.endpoint_url or ""}
    return make_platform(folder / "duckdb", Path(), **place)


def test_a_lake_gives_the_rows_that_duckdb_gives_also_after_a_change(
    live: Platform, lake: LiveLake, tmp_path: Path
) -> None:
    fill(lake)
    here = on_duckdb(live, tmp_path)
    for _ in range(2):
        for platform in (live, here):
            bring_up_to_date(platform)
        assert_same_rows(all_rows(live), all_rows(here))
        lake.put("log_data/2018-11-02-events.json", lines([event(FIRST.replace(day=2))]))
        lake.put("song_data/A/1.json", json.dumps(song(song_id="S1", title="Other")).encode())


def test_copy_reports_the_lines_that_it_passed_over(live: Platform, lake: LiveLake) -> None:
    content = lines([event(itemInSession=n) for n in range(500)])
    lake.put("log_data/2018-11-01.json", b'{"page": "Home"}\n' + content + b"[not JSON\n")
    report = live.load("staging_events", days=None, reload=False, run_id="live")
    assert (report.rows_added, report.rejects) == (500, 2)
    reported = rows_of(live, "SELECT line, reason FROM load_rejects ORDER BY line")
    assert [line for line, _ in reported] == [1, 502]
    assert all(reason for _, reason in reported)


class UndoneError(Exception):
    """Ends a transaction without a commit."""


@pytest.mark.parametrize(
    ("spoil", "table", "check"),
    [
        ("INSERT INTO songs SELECT * FROM songs WHERE song_id = 'S1'", "songs", "unique_key"),
        ("INSERT INTO time SELECT * FROM time", "time", "unique_key"),
        ("UPDATE songplays SET user_id = 99", "songplays", "references_users"),
        ("UPDATE songplays SET song_id = 'S?'", "songplays", "references_songs"),
    ],
)
def test_the_audits_see_what_the_planner_takes_for_impossible(
    spoil: str, table: str, check: str, live: Platform, lake: LiveLake
) -> None:
    """Redshift's planner trusts declared keys; a check that it answers from them proves nothing."""
    fill(lake)
    bring_up_to_date(live)
    (found,) = (c for c in live.catalogue.checks if (c.table, c.name) == (table, check))

    def spoiled(session: Session) -> None:
        assert run_check(session, found).passed
        session.execute(spoil)
        assert not run_check(session, found).passed
        raise UndoneError

    with suppress(UndoneError):
        live.warehouse.transact(spoiled, print)
