"""Loading on Redshift when something goes wrong: nothing lost, nothing doubled, one clear message.

Everything runs on the stand-in, a surrogate, with the statements exactly as they would be sent.
"""

import gzip
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.lake import LakeError
from sparkify_dagster.warehouse import (
    Platform,
    WarehouseBusyError,
    WarehouseError,
)
from sparkify_dagster_tests.fixtures.engines import SCRATCH, EngineUnderTest, standin_environ
from sparkify_dagster_tests.fixtures.lake import S3Endpoint
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    FolderLake,
    all_rows,
    assert_same_rows,
    bring_up_to_date,
    event,
    everything,
    lines,
    load_all,
    make_platform,
    rows_of,
    song,
)
from sparkify_dagster_tests.grammar.gate import problems_of_session
from sparkify_dagster_tests.lake.test_lake import zstd
from sparkify_dagster_tests.standin import StandIn
from sparkify_dagster_tests.standin.server import _OPTIONS

pytestmark = pytest.mark.s3

DAYS = [FIRST + timedelta(n) for n in range(3)]


@pytest.fixture
def lake(
    s3_endpoint: S3Endpoint, aws_environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> FolderLake:
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:50].strip("-")
    made = FolderLake(s3_endpoint.root / f"redshift-{name}")
    for day in DAYS:
        made.put_events(day, event(day), event(day, userId="2", level="paid"))
    made.put_songs("s", song())
    return made


@pytest.fixture
def on_redshift(
    standin: StandIn, s3_endpoint: S3Endpoint, lake: FolderLake, tmp_path: Path
) -> Platform:
    return platform_on(standin, s3_endpoint, lake, tmp_path)


def platform_on(
    standin: StandIn, endpoint: S3Endpoint, lake: FolderLake, folder: Path, **overrides: object
) -> Platform:
    under_test = EngineUnderTest("redshift", standin_environ(standin, endpoint))
    return under_test.platform(folder, Path(), **(on_s3(endpoint, lake) | overrides))


def on_s3(endpoint: S3Endpoint, lake: FolderLake) -> dict[str, object]:
    return {
        "S3_LOG_DATA": f"s3://{lake.root.name}/log_data",
        "S3_SONG_DATA": f"s3://{lake.root.name}/song_data",
        "S3_ENDPOINT_URL": endpoint.endpoint_url,
        "S3_REGION": endpoint.region,
    }


def assert_equals_duckdb(
    found: Platform, endpoint: S3Endpoint, lake: FolderLake, folder: Path
) -> None:
    expected = make_platform(folder / "duckdb", Path(), **on_s3(endpoint, lake))
    bring_up_to_date(expected)
    assert_same_rows(all_rows(found), all_rows(expected))


def left_in_scratch(endpoint: S3Endpoint) -> list[Path]:
    return [path for path in (endpoint.root / SCRATCH).rglob("*") if path.is_file()]


def sent(standin: StandIn, text: str) -> list[str]:
    return [s.text for s in standin.statements if text in s.text]


TROUBLES = [
    ("COPY landing", 2, "before"),
    ("COPY landing", 2, "after"),
    ("COPY staging_songs", 1, "after"),
    ("INSERT INTO load_files", 1, "before"),
    ("LOCK TABLE", 1, "after"),
    ("^COMMIT", 6, "before"),
    ("^COMMIT", 6, "after"),
]


@pytest.mark.slow
@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
def test_a_connection_lost_anywhere_loses_and_doubles_nothing(
    trouble: tuple[str, int, str], on_redshift: Platform, standin: StandIn,
    s3_endpoint: S3Endpoint, lake: FolderLake, tmp_path: Path,
) -> None:  # fmt: skip
    at, nth, when = trouble
    fault = standin.drop_connection(at, nth, after=when == "after")
    reported: list[str] = []
    for table in on_redshift.catalogue.sources:
        on_redshift.load(table, days=None, reload=False, run_id="r", notify=reported.append)
    assert fault.done.is_set()
    assert len(reported) == 1
    assert "the transaction was lost" in reported[0]
    assert "Trying again (2 of 5)" in reported[0]
    # Whoever lost the answer to a COMMIT does not know.
    assert ("It may have been committed" in reported[0]) == (at == "^COMMIT")
    assert ("Nothing was changed" in reported[0]) == (at != "^COMMIT")
    bring_up_to_date(on_redshift)
    assert_equals_duckdb(on_redshift, s3_endpoint, lake, tmp_path)
    assert rows_of(on_redshift, "SELECT COUNT(*), SUM(rows) FROM load_files") == [(4, 7)]
    assert left_in_scratch(s3_endpoint) == []


@pytest.mark.slow
@pytest.mark.parametrize("at", ["COPY landing", "INSERT INTO songplays", "DELETE FROM loading"])
def test_error_1023_is_followed_by_the_whole_transaction_again(
    at: str, on_redshift: Platform, standin: StandIn, s3_endpoint: S3Endpoint,
    lake: FolderLake, tmp_path: Path,
) -> None:  # fmt: skip
    fault = standin.fail_with_1023(at)
    bring_up_to_date(on_redshift)
    assert fault.done.is_set()
    assert_equals_duckdb(on_redshift, s3_endpoint, lake, tmp_path)


def test_a_conflict_that_does_not_end_is_reported_in_the_end(
    on_redshift: Platform, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparkify_dagster.engines.server.warehouse._FIRST_PAUSE", 0.01)
    for _ in range(5):
        standin.fail_with_1023("COPY landing")
    reported: list[str] = []
    with pytest.raises(WarehouseError, match=r"1023.*Nothing was changed"):
        on_redshift.load(
            "staging_events", days=None, reload=False, run_id="r", notify=reported.append
        )
    assert len(reported) == 4


@pytest.mark.slow
def test_two_runs_at_once_take_turns(
    on_redshift: Platform, standin: StandIn, s3_endpoint: S3Endpoint, lake: FolderLake,
    tmp_path: Path,
) -> None:  # fmt: skip
    standin.slow_down(1.0)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(bring_up_to_date, on_redshift) for _ in range(2)]:
            done.result()
    assert_equals_duckdb(on_redshift, s3_endpoint, lake, tmp_path)
    assert rows_of(on_redshift, "SELECT COUNT(*) FROM load_files") == [(4,)]


def test_who_waits_for_too_long_gets_an_error(
    on_redshift: Platform, standin: StandIn, s3_endpoint: S3Endpoint, lake: FolderLake,
    tmp_path: Path,
) -> None:  # fmt: skip
    load_all(on_redshift)
    impatient = platform_on(standin, s3_endpoint, lake, tmp_path, CLUSTER_LOCK_TIMEOUT=1)
    reported: list[str] = []
    with (
        on_redshift.warehouse.write(print),
        pytest.raises(WarehouseBusyError, match="has been writing for 1 seconds"),
    ):
        impatient.load("staging_songs", days=None, reload=False, run_id="r", notify=reported.append)
    assert [line.partition(", ")[0] for line in reported] == ["waiting for another run"]


def test_many_log_files_are_compacted_rather_than_copied_one_by_one(
    on_redshift: Platform, standin: StandIn, lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparkify_dagster.engines.redshift.warehouse._MOST_COPIES", 2)
    load_all(on_redshift)
    assert [len(sent(standin, f"COPY {table}")) for table in ("landing", "staging_events")] == [
        0,
        1,
    ]
    lake.put_events(DAYS[0], event())
    load_all(on_redshift)
    assert len(sent(standin, "COPY landing")) == 1


def test_what_copy_refuses_is_read_by_the_platform_which_names_it_and_holds_back_its_day(
    standin: StandIn, s3_endpoint: S3Endpoint, lake: FolderLake, tmp_path: Path
) -> None:
    strict = platform_on(standin, s3_endpoint, lake, tmp_path, LOAD_MAX_REJECT_RATIO=0)
    bring_up_to_date(strict)
    before = everything(strict)
    lake.put_events(DAYS[1], event(DAYS[1]), event(DAYS[1], status="many"))
    (held,) = strict.load("staging_events", days=None, reload=False, run_id="r").held_back
    assert (held.key, held.day) == ("2018/11/2018-11-02-events.json", DAYS[1])
    assert held.cause.endswith(": line 2: status: text where a whole number is expected")
    after = everything(strict)
    assert len(after.pop(f"{strict.warehouse.state_schema}.held_back")) == 1
    before.pop(f"{strict.warehouse.state_schema}.held_back")
    assert after == before
    assert left_in_scratch(s3_endpoint) == []


def test_lines_that_copy_passes_over_count_against_the_limit_of_their_day(
    on_redshift: Platform, lake: FolderLake
) -> None:
    bring_up_to_date(on_redshift)
    before = everything(on_redshift)
    content = lines([event(DAYS[1], itemInSession=n) for n in range(50)])
    lake.put("log_data", "2018-11-02.json", content + b'{"page": "Home"}\n' * 2)
    held = on_redshift.load("staging_events", days=None, reload=False, run_id="r").held_back
    assert re.search(r"2 of 54 lines of 2018-11-02 .* line 51", held[0].cause)
    after = everything(on_redshift)
    for table in before.keys() - {f"{on_redshift.warehouse.state_schema}.held_back"}:
        assert after[table] == before[table], table
    lake.put("log_data", "2018-11-02.json", content * 5 + b'{"page": "Home"}\n' * 2)
    report = on_redshift.load("staging_events", days=None, reload=False, run_id="r")
    assert (report.rows_added, report.rejects) == (250, 2)
    (reported,) = (o for o in report.outcomes if o.check.name == "no_rejects")
    assert not reported.passed


def test_copy_that_reports_fewer_lines_than_it_passed_over_changes_nothing(
    on_redshift: Platform, lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may not read the system's view must not lose lines."""
    monkeypatch.setattr("sparkify_dagster.engines.redshift.copy_errors._PATIENCE", 0)
    monkeypatch.setattr(
        "sparkify_dagster.engines.redshift.copy_errors._FOUND",
        "SELECT line_number, column_name, error_code, error_message FROM sys_load_error_detail"
        " WHERE 1 = 0",
    )
    lake.put("log_data", "2018-11-02.json", lines([event()] * 500) + b"{}\n")
    with pytest.raises(WarehouseError, match=r"passed over 1 lines, and .* tells of 0"):
        on_redshift.load("staging_events", days=None, reload=False, run_id="r")


def test_a_file_that_changes_between_listing_and_copy_is_read_in_its_newest_version(
    on_redshift: Platform, standin: StandIn, lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_all(on_redshift)
    lake.put_events(DAYS[1], event(DAYS[1]))
    listed = on_redshift.lake("staging_events").list()
    lake.put_events(DAYS[1], event(DAYS[1]), event(DAYS[1]))
    opened = on_redshift.lake
    answers = iter([listed])

    def lake_with_an_old_listing(table: str) -> object:
        made = opened(table)
        newest = made.list
        monkeypatch.setattr(made, "list", lambda: next(answers, None) or newest())
        return made

    monkeypatch.setattr(on_redshift, "lake", lake_with_an_old_listing)
    report = on_redshift.load("staging_events", days=None, reload=False, run_id="r")
    assert (report.held_back, report.rows_added) == ((), 2)
    assert on_redshift.load("staging_events", days=None, reload=False, run_id="r").files == ()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "not a JSON file"),
        (b'{"jsonPaths": []}', "the one key jsonpaths"),
        (b'{"jsonpaths": ["$.artist"]}', "with 18 paths"),
        (None, "path 2 is '\\$.firstName' where"),
    ],
)
def test_jsonpaths_that_mean_something_else_are_refused_before_any_copy(
    content: bytes | None, problem: str, standin: StandIn, s3_endpoint: S3Endpoint,
    lake: FolderLake, tmp_path: Path,
) -> None:  # fmt: skip
    keys = [key for _, key in on_any(tmp_path).catalogue.rules_of("staging_events").columns]
    if content is None:
        keys[1], keys[2] = keys[2], keys[1]
        content = str({"jsonpaths": [f"$.{key}" for key in keys]}).replace("'", '"').encode()
    lake.put("", "paths.json", content)
    place = f"s3://{lake.root.name}/paths.json"
    platform = platform_on(standin, s3_endpoint, lake, tmp_path, S3_LOG_JSONPATH=place)
    with pytest.raises(WarehouseError, match=f"LOG_JSONPATH {place}: .*{problem}"):
        platform.load("staging_events", days=None, reload=False, run_id="r")
    assert sent(standin, "COPY landing") == []


def on_any(folder: Path) -> Platform:
    return make_platform(folder / "any", folder / "any")


@pytest.mark.slow
def test_the_lakes_own_jsonpaths_are_used(
    standin: StandIn, s3_endpoint: S3Endpoint, lake: FolderLake, tmp_path: Path
) -> None:
    keys = [key for _, key in on_any(tmp_path).catalogue.rules_of("staging_events").columns]
    paths = str({"jsonpaths": [f"$.{key}" for key in keys]}).replace("'", '"').encode()
    lake.put("", "paths.json", paths)
    place = f"s3://{lake.root.name}/paths.json"
    platform = platform_on(standin, s3_endpoint, lake, tmp_path, S3_LOG_JSONPATH=place)
    bring_up_to_date(platform)
    assert all(f"FORMAT JSON '{place}'" in copy for copy in sent(standin, "COPY landing"))
    assert_equals_duckdb(platform, s3_endpoint, lake, tmp_path)


def test_a_role_that_may_not_read_the_lake_is_reported(
    on_redshift: Platform, standin: StandIn
) -> None:
    standin.use_access(replace(standin.copying.access, roles={"default": ()}))
    with pytest.raises(SparkifyError, match=r"(?i)access ?denied|not authorized|permission"):
        on_redshift.load("staging_events", days=None, reload=False, run_id="r")


def test_scratch_that_cannot_be_written_is_reported(
    standin: StandIn, s3_endpoint: S3Endpoint, lake: FolderLake, tmp_path: Path
) -> None:
    nowhere = {"S3_SCRATCH": "s3://no-such-bucket/work"}
    platform = platform_on(standin, s3_endpoint, lake, tmp_path, **nowhere)
    with pytest.raises(LakeError, match=r"\[S3\] SCRATCH: .*no-such-bucket"):
        platform.load("staging_events", days=None, reload=False, run_id="r")


def test_what_killed_runs_left_in_scratch_is_swept_after_a_day(
    on_redshift: Platform, s3_endpoint: S3Endpoint
) -> None:
    scratch = s3_endpoint.root / SCRATCH
    names = (
        "20180101T000000-0123456789ab/a.json", "29990101T000000-0123456789ab/a.json", "mine/a",
        "20181399T000000-0123456789ab/a",
    )  # fmt: skip
    for name in names:
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).write_bytes(b"x")
    load_all(on_redshift)
    left = {str(path.relative_to(scratch)) for path in left_in_scratch(s3_endpoint)}
    assert left == set(names[1:])
    for name in names[1:]:
        (scratch / name).unlink()


def test_each_run_has_its_query_group_and_its_name_on_the_connection(
    on_redshift: Platform, standin: StandIn
) -> None:
    on_redshift.load("staging_songs", days=None, reload=False, run_id="4a1c-77")
    assert sent(standin, "SET query_group TO 'sparkify 4a1c-77'")
    assert sent(standin, "SET statement_timeout TO 3600000")


@pytest.mark.slow
def test_large_loads_are_analyzed_and_small_ones_are_not(
    on_redshift: Platform, standin: StandIn, lake: FolderLake
) -> None:
    load_all(on_redshift)
    assert sent(standin, "ANALYZE") == []
    lake.put_events(DAYS[2], *[event(DAYS[2], itemInSession=n) for n in range(10_000)])
    load_all(on_redshift)
    assert sent(standin, "ANALYZE") == ["ANALYZE staging_events"]


@pytest.mark.slow
def test_every_statement_of_a_complete_run_passes_the_grammar_gate(
    on_redshift: Platform, standin: StandIn, lake: FolderLake
) -> None:
    bring_up_to_date(on_redshift)
    lake.put_events(DAYS[0], event(level="paid"), event(userId="7"), {"page": "Home"})
    lake.put_events(DAYS[1], *[event(DAYS[1], itemInSession=n) for n in range(300)])
    lake.put_songs("s", song(title="Other"))
    bring_up_to_date(on_redshift)
    assert on_redshift.status().held_back
    lake.put_events(DAYS[0], event(level="paid"), event(userId="7"))
    bring_up_to_date(on_redshift)
    for check in on_redshift.catalogue.checks:
        on_redshift.run_check(check)
    on_redshift.status()
    on_redshift.refresh("songplays", full=True)
    sessions: dict[int, list[str]] = {}
    for statement in standin.statements:
        sessions.setdefault(statement.session, []).append(statement.text)
    assert sum(map(len, sessions.values())) > 1000
    found = {p for statements in sessions.values() for p in problems_of_session(statements)}
    assert found == set()


def test_rejects_of_a_file_with_a_long_key_are_found(
    on_redshift: Platform, lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYS_LOAD_ERROR_DETAIL cuts names at 256 bytes: these two look the same there."""
    monkeypatch.setattr("sparkify_dagster.engines.redshift.copy_errors._PATIENCE", 3)
    folder = "/".join(["d" * 100] * 3)
    good = [event(DAYS[1], itemInSession=n) for n in range(300)]
    lake.put("log_data", f"{folder}/2018-11-02-a.json", lines([event(status="many"), *good]))
    lake.put("log_data", f"{folder}/2018-11-02-b.json", lines([event(page=None), *good]))
    report = on_redshift.load("staging_events", days=None, reload=False, run_id="r")
    assert report.rejects == 2
    found = rows_of(on_redshift, "SELECT key, line, reason FROM load_rejects ORDER BY key")
    reported = [(str(key)[-6:], line, str(reason).partition(":")[0]) for key, line, reason in found]
    assert reported == [("a.json", 1, "status"), ("b.json", 1, "page")]


def test_rejects_are_found_in_any_time_zone_of_the_user(
    on_redshift: Platform, lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GETDATE() is in the session's zone, and what the system tells of a COPY in UTC."""
    monkeypatch.setattr("sparkify_dagster.engines.redshift.copy_errors._PATIENCE", 0)
    monkeypatch.setitem(_OPTIONS, "timezone", "Asia/Tokyo")
    lake.put("log_data", "2018-11-02.json", lines([event()] * 500) + b"{}\n")
    assert on_redshift.load("staging_events", days=None, reload=False, run_id="r").rejects == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{"status": 200.0}, {"sessionId": "7.0"}, {"itemInSession": 1.5}, {"userId": str(2**31)}],
    ids=str,
)
def test_whole_numbers_are_judged_as_on_the_other_engines(
    changes: dict[str, object], on_redshift: Platform, s3_endpoint: S3Endpoint, lake: FolderLake,
    tmp_path: Path,
) -> None:  # fmt: skip
    good = [event(DAYS[1], itemInSession=n) for n in range(200)]
    lake.put_events(DAYS[1], event(DAYS[1], **changes), *good)
    bring_up_to_date(on_redshift)
    assert_equals_duckdb(on_redshift, s3_endpoint, lake, tmp_path)


@pytest.mark.slow
def test_large_rejects_stay_below_the_size_of_a_statement(
    on_redshift: Platform, lake: FolderLake
) -> None:
    good = lines([song(song_id=f"S{n}") for n in range(35_000)])
    lake.put("song_data", "A/b.json", good + (b'{"song_id": "' + b"x" * 60_000 + b'"}\n') * 300)
    report = on_redshift.load("staging_songs", days=None, reload=False, run_id="r")
    assert report.rejects == 300


def test_only_the_own_table_is_analyzed(on_redshift: Platform, standin: StandIn) -> None:
    """A namesake of the user's in another schema does not make the table theirs."""
    with on_redshift.warehouse.write(print) as session:
        session.execute("CREATE SCHEMA dev")
        session.execute("CREATE TABLE dev.staging_events (a INTEGER)")
        session.analyze("staging_events", 20_000)
    assert sent(standin, "ANALYZE") == []


def test_scratch_is_empty_as_soon_as_a_load_has_failed(
    on_redshift: Platform, standin: StandIn, s3_endpoint: S3Endpoint, lake: FolderLake
) -> None:
    lake.put("log_data", "2018-11-02.json", lines([event()] * 500) + b"{}\n")
    standin.fail_with("no more room", "INSERT INTO load_rejects")
    with pytest.raises(WarehouseError, match="no more room") as caught:
        on_redshift.load("staging_events", days=None, reload=False, run_id="r")
    assert left_in_scratch(s3_endpoint) == [], f"while {caught.type} is still at hand"


def test_jsonpaths_that_are_not_there_are_reported(
    standin: StandIn, s3_endpoint: S3Endpoint, lake: FolderLake, tmp_path: Path
) -> None:
    place = tmp_path / "gone.json"
    platform = platform_on(standin, s3_endpoint, lake, tmp_path, S3_LOG_JSONPATH=place)
    with pytest.raises(LakeError, match=r"\[S3\] LOG_JSONPATH: .*gone\.json .*leave it empty"):
        platform.load("staging_events", days=None, reload=False, run_id="r")


def test_a_few_rows_of_a_large_result_are_all_that_is_fetched(
    on_redshift: Platform, standin: StandIn
) -> None:
    bring_up_to_date(on_redshift)
    with on_redshift.warehouse.read(print) as session:
        found = session.rows("SELECT log_date FROM staging_events", limit=2)
        ordered = session.rows("SELECT user_id FROM users ORDER BY user_id DESC", limit=1)
    assert (len(found.rows), ordered.rows) == (2, ((2,),))
    assert sent(standin, "SELECT log_date FROM staging_events\n) AS found LIMIT 2")
    # A subquery need not keep its order, so a sorted one is fetched as it is.
    assert sent(standin, "ORDER BY user_id DESC")[0].startswith("SELECT user_id")


def test_the_certificates_of_the_system_are_those_of_this_machine(
    tls_standin: tuple[StandIn, str], s3_endpoint: S3Endpoint, lake: FolderLake, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The OpenSSL in psycopg2's wheel looks for them where its builder had them."""
    server, certificate = tls_standin
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setattr("ssl.get_default_verify_paths", lambda: SimpleNamespace(cafile=certificate))
    given = {"CLUSTER_HOST": "localhost", "CLUSTER_SSLMODE": "verify-full"}
    platform = platform_on(server, s3_endpoint, lake, tmp_path, **given)
    assert platform.settings.cluster.sslrootcert == "system"
    assert not platform.warehouse.exists()


def test_copy_unpacks_what_the_name_says(
    on_redshift: Platform, lake: FolderLake, standin: StandIn
) -> None:
    for ending, packed in (("jsonl.zst", zstd), ("ndjson.gz", gzip.compress)):
        lake.put("log_data", f"2018/11/05/part.{ending}", packed(lines([event(DAYS[0])])))
    report = on_redshift.load("staging_events", days=None, reload=False, run_id="r")
    assert [file.key for file in report.files if "part" in file.key] == [
        "2018/11/05/part.jsonl.zst",
        "2018/11/05/part.ndjson.gz",
    ]
    copies = [s.text for s in standin.statements if "COPY landing" in s.text]
    assert sum("ZSTD" in text for text in copies) == 1
