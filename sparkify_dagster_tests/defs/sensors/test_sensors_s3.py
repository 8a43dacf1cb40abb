"""The sensors over a real S3 endpoint, and over one that refuses or does not answer."""

import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from sparkify_dagster.defs.sensors.arrivals import TickError, within
from sparkify_dagster_tests.defs.sensors.conftest import Daemon, lake_versions, loaded_versions
from sparkify_dagster_tests.fixtures.lake import S3Endpoint
from sparkify_dagster_tests.fixtures.warehouse import FIRST, event, lines, make_platform, rows_of
from sparkify_dagster_tests.lake.fake_s3 import FakeS3, fails
from sparkify_dagster_tests.planted import SECRET_KEY

KEY = f"log_data/{FIRST:%Y/%m}/{FIRST}-events.json"


@pytest.fixture
def on_s3(
    tmp_path: Path,
    sensor_instance: dg.DagsterInstance,
    s3_endpoint: S3Endpoint,
    aws_environment: pytest.MonkeyPatch,
) -> Callable[[str], Daemon]:
    def daemon(bucket: str) -> Daemon:
        platform = make_platform(
            tmp_path / bucket,
            tmp_path,
            S3_LOG_DATA=f"s3://{bucket}/log_data",
            S3_SONG_DATA=f"s3://{bucket}/song_data",
            S3_ENDPOINT_URL=s3_endpoint.endpoint_url,
            S3_REGION=s3_endpoint.region,
        )
        return Daemon(platform, sensor_instance)

    return daemon


@pytest.mark.slow
def test_an_object_is_seen_changed_and_gone(
    on_s3: Callable[[str], Daemon], s3_endpoint: S3Endpoint
) -> None:
    path = s3_endpoint.put("sensor-objects", KEY, lines([event()]))
    s3_endpoint.put("sensor-objects", "song_data/A/x.json", b"")
    daemon = on_s3("sensor-objects")
    daemon.settle()
    assert rows_of(daemon.platform, "SELECT level FROM songplays") == [("free",)]
    s3_endpoint.put("sensor-objects", KEY, lines([event(level="paid")]))
    daemon.settle()
    assert rows_of(daemon.platform, "SELECT level FROM songplays") == [("paid",)]
    assert loaded_versions(daemon.platform) == lake_versions(daemon.platform)
    s3_endpoint.put("sensor-objects", KEY.replace("events", "more"), b"")
    path.unlink()
    daemon.settle()
    assert "1 file gone from the lake" in daemon.skipped()
    assert rows_of(daemon.platform, "SELECT level FROM songplays") == [("paid",)]


@pytest.mark.slow
def test_content_that_comes_back_is_loaded_again_with_a_key_of_its_own(
    on_s3: Callable[[str], Daemon], s3_endpoint: S3Endpoint
) -> None:
    """The same bytes have the same etag in S3: content that was loaded, replaced, and is back."""
    daemon = on_s3("sensor-back")
    s3_endpoint.put("sensor-back", "song_data/A/x.json", b"")
    for level in ("free", "paid", "free", "paid"):
        s3_endpoint.put("sensor-back", KEY, lines([event(level=level)]))
        daemon.settle()
        assert rows_of(daemon.platform, "SELECT level FROM songplays") == [(level,)]
    assert len({request.run_key for request in daemon.asked}) == 4


def test_a_lake_that_refuses_is_one_message_without_secrets(
    tmp_path: Path, sensor_instance: dg.DagsterInstance, fake_s3: FakeS3
) -> None:
    fake_s3.list_faults.append(fails(403, "AccessDenied", f"of {SECRET_KEY}"))
    platform = make_platform(
        tmp_path / "p",
        tmp_path,
        S3_LOG_DATA="s3://bucket/log_data",
        S3_ENDPOINT_URL=fake_s3.endpoint_url,
    )
    with pytest.raises(TickError, match="bucket") as caught:
        Daemon(platform, sensor_instance).look()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert SECRET_KEY not in str(caught.value)


def test_what_takes_too_long_is_said_before_dagster_cuts_it_off() -> None:
    started = time.monotonic()
    with pytest.raises(TickError, match="Listing x takes longer than"):
        within(0.1, lambda: time.sleep(1), "Listing x")
    assert time.monotonic() - started < 0.9


def test_what_fails_in_time_fails_as_it_is() -> None:
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        within(5, fail, "it")
    assert within(5, lambda: 1, "it") == 1
