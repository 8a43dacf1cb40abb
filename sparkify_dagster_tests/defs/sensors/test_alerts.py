"""Looks of the alert sensors on a real instance, after real runs that failed or warned."""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TypeAlias
from unittest.mock import ANY

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from sparkify_dagster.catalogue.catalogue import read_catalogue
from sparkify_dagster.definitions import build_definitions
from sparkify_dagster.defs import runs
from sparkify_dagster.defs.partitions import range_tags
from sparkify_dagster.defs.sensors import alerts, delivery
from sparkify_dagster.defs.sensors.alerts import alert_sensors
from sparkify_dagster.present.alerts.alert_message import Alert
from sparkify_dagster.present.alerts.notifier import NotifyError
from sparkify_dagster.settings import Settings, load_settings
from sparkify_dagster.warehouse import Platform, open_platform
from sparkify_dagster_tests.fixtures.alerts import MakeMailServer, WebServer
from sparkify_dagster_tests.fixtures.dagster import THREE_DAYS, SmallLake
from sparkify_dagster_tests.fixtures.warehouse import few_questions_sql
from sparkify_dagster_tests.planted import SERVICE_TOKEN, WEBHOOK_TOKEN

SECOND = date(2018, 11, 2)
UI = "http://127.0.0.1:3000"
SONGPLAYS = ("staging_events", "staging_songs", "songplays")
"""What a run needs for a play: the tables that plays refer to come along."""


class Watch:
    """Both sensors as the daemon evaluates them, look after look; keeps what was told."""

    def __init__(self, instance: dg.DagsterInstance, sensors: list[dg.SensorDefinition]) -> None:
        self.instance = instance
        self.sensors = sensors
        self.cursors: dict[str, str | None] = {}
        self.look()

    def look(self) -> dict[str, str]:
        """What each sensor says of its look; a look that fails raises."""
        said = {}
        for sensor in self.sensors:
            context = dg.build_sensor_context(self.instance, cursor=self.cursors.get(sensor.name))
            tick = sensor.evaluate_tick(context)
            assert tick.run_requests == []
            assert tick.cursor
            self.cursors[sensor.name] = tick.cursor
            said[sensor.name] = tick.skip_message or ""
        return said


class Recorder(Watch):
    """A watch with a notifier that keeps messages, or fails while `problem` is set."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings, platform: Platform):
        self.alerts: list[Alert] = []
        self.problem: NotifyError | None = None
        super().__init__(instance, alert_sensors(settings, platform.catalogue, {"test": self}))

    def check(self) -> None:
        """It lacks nothing."""

    def send(self, alert: Alert) -> None:
        if self.problem:
            raise self.problem
        self.alerts.append(alert)


@pytest.fixture
def recorder(
    small_instance: dg.DagsterInstance, small_settings: Settings, small_platform: Platform
) -> Recorder:
    return Recorder(small_instance, small_settings, small_platform)


Run: TypeAlias = Callable[..., runs.RunResult]


@pytest.fixture
def run(small_instance: dg.DagsterInstance, small_platform: Platform) -> Run:
    """A run over all days; of another platform, or of some tables, if they are given."""

    def materialize(
        platform: Platform = small_platform, tables: Sequence[str] | None = None
    ) -> runs.RunResult:
        return runs.materialize(platform, small_instance, days=THREE_DAYS, tables=tables)

    return materialize


def with_check(settings: Settings, tmp_path: Path, severity: str) -> Platform:
    """The platform with one more check of songplays, which a paid play fails."""
    folder = tmp_path / f"sql_{severity}"
    few_questions_sql(folder)
    (folder / "checks" / "songplays" / "nobody_pays.sql").write_text(
        f"-- Nobody pays.\n-- severity: {severity}\n"
        "SELECT log_date, songplay_id, level FROM songplays WHERE level = 'paid'\n"
    )
    return open_platform(settings, read_catalogue(folder))


def check_alone(settings: Settings, platform: Platform) -> dg.JobDefinition:
    """A job of that check: the job `checks` runs all of them the same way."""
    key = dg.AssetCheckKey(dg.AssetKey("songplays"), "nobody_pays")
    job = dg.define_asset_job("one", selection=dg.AssetSelection.checks(key))
    ours = build_definitions(settings, platform)
    return dg.Definitions.merge(ours, dg.Definitions(jobs=[job])).resolve_job_def("one")


def with_warnings(settings: Settings) -> Settings:
    return replace(settings, alerts=replace(settings.alerts, warnings=True))


# Who is told at all


def test_nobody_is_alerted_unless_the_configuration_says_whom(
    small_settings: Settings, small_platform: Platform
) -> None:
    assert alert_sensors(small_settings, small_platform.catalogue) == []
    names = {sensor.name for sensor in build_definitions(small_settings).sensors or ()}
    assert names.isdisjoint({"failed_runs", "failed_checks"})


def test_the_sensors_explain_themselves_and_run_once_they_are_configured(
    small_settings: Settings,
) -> None:
    config = small_settings.config_file
    settings = load_settings(config, {"SPARKIFY_ALERTS_NOTIFY": "log, webhook"})
    repository = build_definitions(settings).get_repository_def()
    for name in ("failed_runs", "failed_checks"):
        sensor = repository.get_sensor_def(name)
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
        assert "log, webhook" in (sensor.description or "")
        assert sensor.owners


# Failed runs


def test_what_failed_before_the_first_look_is_history(
    small_instance: dg.DagsterInstance, small_settings: Settings, small_platform: Platform
) -> None:
    failed_run(small_instance)
    recorder = Recorder(small_instance, small_settings, small_platform)
    recorder.look()
    assert recorder.alerts == []


def test_a_run_that_succeeds_is_not_reported(recorder: Recorder, run: Run) -> None:
    assert run(tables=["staging_songs"]).ok
    said = recorder.look()
    assert said["failed_runs"] == "0 runs failed since the last look."
    assert said["failed_checks"] == "1 run ended since the last look."
    assert recorder.alerts == []


def test_a_missing_lake_is_reported_once_with_assets_days_reason_and_links(
    recorder: Recorder, run: Run, small_lake: SmallLake
) -> None:
    shutil.rmtree(small_lake.root)
    done = run()
    recorder.look()
    recorder.look()
    (alert,) = recorder.alerts
    assert alert.title == "Sparkify: 2 failures: staging_events, staging_songs"
    for failure in alert.failures:
        assert failure.days == "2018-11-01 to 2018-11-03"
        assert failure.reason == str(done.failures[failure.subject])
        assert failure.run_url == f"{UI}/runs/{done.run_id}"
        assert failure.url == f"{UI}/assets/{failure.subject}"


def test_a_failed_audit_is_reported_as_the_failure_of_its_run_and_not_again_as_a_check(
    recorder: Recorder, run: Run, small_lake: SmallLake, small_settings: Settings, tmp_path: Path
) -> None:
    small_lake.put_day(SECOND, level="paid")
    run(with_check(small_settings, tmp_path, "error"))
    recorder.look()
    (alert,) = recorder.alerts
    (failure,) = alert.failures
    assert (failure.subject, failure.check) == ("songplays", "")
    assert failure.reason.startswith("songplays: nobody_pays (2 rows, such as ")
    assert "\n" not in failure.reason


def test_a_run_of_one_day_links_to_that_day(
    recorder: Recorder,
    small_lake: SmallLake,
    small_instance: dg.DagsterInstance,
    small_settings: Settings,
    small_platform: Platform,
) -> None:
    shutil.rmtree(small_lake.log_data)
    job = build_definitions(small_settings, small_platform).resolve_job_def("load_lake")
    day = SECOND.isoformat()
    job.execute_in_process(instance=small_instance, partition_key=day, raise_on_error=False)
    recorder.look()
    (failure,) = recorder.alerts[0].failures
    assert failure.days == day
    assert failure.url == f"{UI}/assets/staging_events?view=partitions&partition={day}"


def test_a_job_without_assets_is_reported_by_its_step(
    recorder: Recorder, small_instance: dg.DagsterInstance
) -> None:
    @dg.op
    def break_down() -> None:
        raise ZeroDivisionError("a defect\nin two lines")

    @dg.job
    def maintenance() -> None:
        break_down()

    done = maintenance.execute_in_process(instance=small_instance, raise_on_error=False)
    recorder.look()
    (failure,) = recorder.alerts[0].failures
    assert (failure.subject, failure.days) == ("break_down", "")
    assert failure.reason == "ZeroDivisionError: a defect in two lines"
    assert failure.url == failure.run_url == f"{UI}/runs/{done.run_id}"


def test_a_run_whose_process_died_is_reported_with_what_dagster_says(
    recorder: Recorder, small_instance: dg.DagsterInstance
) -> None:
    failed_run(small_instance, "Its process ended without saying so.")
    recorder.look()
    (failure,) = recorder.alerts[0].failures
    assert (failure.subject, failure.reason) == (
        "load_lake",
        "Its process ended without saying so.",
    )


def failed_run(
    instance: dg.DagsterInstance,
    message: str = "It failed.",
    *,
    location: str = "",
    tags: dict[str, str] | None = None,
) -> dg.DagsterRun:
    """A run that the instance knows as failed; launched by a code location if one is named."""
    origin = None
    if location:
        target = LoadableTargetOrigin(python_file="defs.py")
        place = ManagedGrpcPythonEnvCodeLocationOrigin(target, location)
        origin = RemoteJobOrigin(RemoteRepositoryOrigin(place, "__repository__"), "load_lake")
    run = dg.DagsterRun(
        job_name="load_lake",
        status=dg.DagsterRunStatus.STARTED,
        remote_job_origin=origin,
        tags=tags or {},
    )
    instance.add_run(run)
    instance.report_run_failed(run, message)
    return run


def test_a_burst_is_one_message(recorder: Recorder, small_instance: dg.DagsterInstance) -> None:
    made = [failed_run(small_instance, f"Failure {n}.").run_id for n in range(12)]
    said = recorder.look()
    (alert,) = recorder.alerts
    assert said["failed_runs"].startswith("12 runs failed since the last look. Told by test:")
    assert (alert.total, [f.run_id for f in alert.failures]) == (12, made[:10])
    assert f"and 2 more: {UI}/runs" in alert.text


def test_more_than_one_look_can_take_is_reported_in_several_and_nothing_twice(
    recorder: Recorder, small_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "_RUNS", 4)
    made = [failed_run(small_instance).run_id for _ in range(6)]
    for _ in range(3):
        recorder.look()
    assert [[f.run_id for f in alert.failures] for alert in recorder.alerts] == [made[:4], made[4:]]


def test_a_look_that_takes_long_stops_in_time_and_the_next_goes_on(
    recorder: Recorder, small_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "_SECONDS", 0)
    made = [failed_run(small_instance).run_id for _ in range(3)]
    for _ in range(4):
        recorder.look()
    assert [alert.failures[0].run_id for alert in recorder.alerts] == made


def test_what_failed_long_ago_is_not_reported(
    recorder: Recorder, small_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "_TOO_OLD", -1)
    failed_run(small_instance)
    assert recorder.look()["failed_runs"].startswith("1 run failed")
    assert recorder.alerts == []


def test_a_deleted_run_is_passed_over(
    recorder: Recorder, small_instance: dg.DagsterInstance
) -> None:
    small_instance.delete_run(failed_run(small_instance).run_id)
    kept = failed_run(small_instance)
    recorder.look()
    assert [f.run_id for f in recorder.alerts[0].failures] == [kept.run_id]


def test_a_crash_that_dagster_tries_again_is_reported_only_if_it_can(
    recorder: Recorder, small_instance: dg.DagsterInstance
) -> None:
    launched = failed_run(small_instance, location="ours")
    of_backfill = failed_run(small_instance, location="ours", tags={"dagster/backfill": "x"})
    on_the_command_line = failed_run(small_instance)
    for run in (launched, of_backfill, on_the_command_line):
        marked = small_instance.get_run_by_id(run.run_id)
        assert marked
        assert marked.tags["dagster/will_retry"] == "true"
    recorder.look()
    found = [f.run_id for f in recorder.alerts[0].failures]
    assert found == [of_backfill.run_id, on_the_command_line.run_id]


def test_runs_of_other_code_locations_are_not_ours_to_tell(
    recorder: Recorder, small_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(python_file="x.py"), "mine")
    monkeypatch.setattr(dg.SensorEvaluationContext, "code_location_origin", mine)
    reason = {"dagster/failure_reason": "STEP_FAILURE"}  # it is not tried again
    failed_run(small_instance, location="theirs", tags=reason)
    kept = [failed_run(small_instance, location="mine", tags=reason), failed_run(small_instance)]
    recorder.look()
    assert [f.run_id for f in recorder.alerts[0].failures] == [run.run_id for run in kept]


def test_a_secret_in_a_reason_is_not_reported(
    small_instance: dg.DagsterInstance, small_settings: Settings, small_platform: Platform
) -> None:
    url = "http://h/not-planted-because-the-event-log-keeps-it"
    environ = {"SPARKIFY_ALERTS_WEBHOOK_URL": url}
    settings = load_settings(small_settings.config_file, environ)
    recorder = Recorder(small_instance, settings, small_platform)
    failed_run(small_instance, f"It could not post to {url}.")
    recorder.look()
    (failure,) = recorder.alerts[0].failures
    assert failure.reason == "It could not post to (not shown)."


# Failed checks


def test_a_check_of_error_severity_that_failed_alone_is_reported_as_a_check_only(
    recorder: Recorder,
    run: Run,
    small_lake: SmallLake,
    small_instance: dg.DagsterInstance,
    small_settings: Settings,
    tmp_path: Path,
) -> None:
    small_lake.put_day(SECOND, level="paid")
    assert run(tables=SONGPLAYS).ok
    recorder.look()
    job = check_alone(small_settings, with_check(small_settings, tmp_path, "error"))
    done = job.execute_in_process(
        instance=small_instance, tags=range_tags(THREE_DAYS), raise_on_error=False
    )
    assert not done.success
    for _ in range(2):
        recorder.look()
    (alert,) = recorder.alerts
    (failure,) = alert.failures
    assert alert.title == "Sparkify: songplays: check nobody_pays failed (2018-11-02)"
    assert failure.reason == "Nobody pays. Offending rows: 2."
    assert failure.url == f"{UI}/assets/songplays?view=checks&checkDetail=nobody_pays"
    assert failure.run_url == f"{UI}/runs/{done.run_id}"


def test_a_warning_is_reported_only_where_that_is_wanted(
    run: Run,
    small_lake: SmallLake,
    small_instance: dg.DagsterInstance,
    small_settings: Settings,
    tmp_path: Path,
) -> None:
    platform = with_check(small_settings, tmp_path, "warn")
    errors_only = Recorder(small_instance, small_settings, platform)
    everything = Recorder(small_instance, with_warnings(small_settings), platform)
    small_lake.put_day(SECOND, level="paid")
    assert run(platform, SONGPLAYS).ok
    for recorder in (errors_only, everything):
        recorder.look()
    assert errors_only.alerts == []
    (alert,) = everything.alerts
    assert alert.title == "Sparkify: songplays: check nobody_pays warns (2018-11-02)"
    assert alert.failures[0].severity == "warning"


@pytest.mark.slow
def test_a_warning_that_stands_is_reported_again_only_when_it_changes(
    run: Run,
    small_lake: SmallLake,
    small_instance: dg.DagsterInstance,
    small_settings: Settings,
    tmp_path: Path,
) -> None:
    platform = with_check(small_settings, tmp_path, "warn")
    recorder = Recorder(small_instance, with_warnings(small_settings), platform)

    def days_reported(level: str, users: tuple[int, ...] = (1, 2)) -> list[str]:
        recorder.alerts.clear()
        small_lake.put_day(SECOND, level=level, users=users)
        assert run(platform, SONGPLAYS).ok
        recorder.look()
        return [failure.days for alert in recorder.alerts for failure in alert.failures]

    day = SECOND.isoformat()
    assert days_reported("paid") == [day]
    assert days_reported("paid") == []
    assert days_reported("paid", (1, 2, 3)) == [day]
    assert days_reported("free") == []
    assert days_reported("paid") == [day]


@pytest.mark.slow
def test_a_warning_that_every_nightly_look_finds_is_reported_once(
    run: Run,
    small_lake: SmallLake,
    small_instance: dg.DagsterInstance,
    small_settings: Settings,
    tmp_path: Path,
) -> None:
    platform = with_check(small_settings, tmp_path, "warn")
    small_lake.put_day(SECOND, level="paid")
    assert run(platform, SONGPLAYS).ok
    recorder = Recorder(small_instance, with_warnings(small_settings), platform)
    check = check_alone(small_settings, platform)
    for _ in range(2):
        assert check.execute_in_process(instance=small_instance).success
        first = THREE_DAYS._replace(last=THREE_DAYS.first)
        done = runs.materialize(platform, small_instance, days=first, tables=SONGPLAYS)
        assert done.ok
        recorder.look()
    (alert,) = recorder.alerts
    (failure,) = alert.failures
    assert (failure.check, failure.days) == ("nobody_pays", "")


def test_a_warning_of_a_run_that_failed_elsewhere_is_reported_as_well(
    run: Run,
    small_lake: SmallLake,
    small_instance: dg.DagsterInstance,
    small_settings: Settings,
    small_platform: Platform,
) -> None:
    settings = with_warnings(
        load_settings(
            small_settings.config_file,
            {"SPARKIFY_LOAD_MAX_REJECT_RATIO": "1", "DAGSTER_HOME": str(small_settings.home)},
        )
    )
    recorder = Recorder(small_instance, settings, small_platform)
    with small_lake.put_day(SECOND).open("a") as file:
        file.write("no JSON\n")
    shutil.rmtree(small_lake.song_data)
    assert set(run(open_platform(settings)).failures) == {"staging_songs"}
    recorder.look()
    found = [(f.subject, f.check) for alert in recorder.alerts for f in alert.failures]
    assert found == [("staging_songs", ""), ("staging_events", "no_rejects")]


# Notifiers that fail, and real ones


def test_a_notifier_that_fails_is_reported_in_the_tick_and_the_next_look_goes_on(
    recorder: Recorder, small_instance: dg.DagsterInstance
) -> None:
    recorder.problem = NotifyError("The mail server is away.")
    first = failed_run(small_instance)
    said = recorder.look()["failed_runs"]
    assert "test failed: The mail server is away. Next try in 1 min." in said
    assert "test is tried again in 1 min." in recorder.look()["failed_runs"]
    recorder.problem = None
    second = failed_run(small_instance)
    recorder.look()
    recorder.look()
    (alert,) = recorder.alerts
    assert [f.run_id for f in alert.failures] == [first.run_id, second.run_id]


def test_a_failed_run_reaches_log_mailbox_and_webhook_as_configured(
    run: Run,
    small_lake: SmallLake,
    small_instance: dg.DagsterInstance,
    small_settings: Settings,
    mail_server: MakeMailServer,
    web_server: WebServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mails = mail_server()
    environ = {
        "NOTIFY": "log, email, webhook",
        "UI_URL": "https://dagster.example.org/ui/",
        "EMAIL_TO": "ann@example.org",
        "EMAIL_FROM": "dagster@example.org",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mails.port),
        "SMTP_TLS": "none",
        "WEBHOOK_URL": f"{web_server.url}/{WEBHOOK_TOKEN}",
    }
    settings = load_settings(
        small_settings.config_file,
        {f"SPARKIFY_ALERTS_{name}": value for name, value in environ.items()},
    )
    repository = build_definitions(settings).get_repository_def()
    sensors = [repository.get_sensor_def(name) for name in ("failed_runs", "failed_checks")]
    watch = Watch(small_instance, sensors)
    shutil.rmtree(small_lake.log_data)
    done = run()
    said = [watch.look(), watch.look()]
    link = f"https://dagster.example.org/ui/runs/{done.run_id}"
    (mail,) = mails.messages
    (post,) = web_server.posts
    (record,) = [r for r in caplog.records if r.name == "sparkify_dagster.alerts"]
    assert record.levelno == logging.ERROR
    for text in (mail.get_content(), str(post["text"]), record.getMessage()):
        assert "staging_events failed (2018-11-01 to 2018-11-03)" in text
        assert link in text
    assert said[0] == {"failed_runs": ANY, "failed_checks": "1 run ended since the last look."}
    assert said[0]["failed_runs"].count("Told by") == 3
    assert WEBHOOK_TOKEN not in f"{said}{watch.cursors}{caplog.text}"


def test_a_service_that_fails_gets_one_message_once_it_is_well(
    small_instance: dg.DagsterInstance,
    small_settings: Settings,
    web_server: WebServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(delivery, "WAITS", (0,) * len(delivery.WAITS))
    watch = watch_of_service(small_instance, small_settings, web_server)
    web_server.status = 503
    failed_run(small_instance)
    said = [watch.look()["failed_runs"] for _ in delivery.WAITS]
    web_server.status = 204
    web_server.posts.clear()
    said += [watch.look()["failed_runs"] for _ in range(2)]
    assert [("failed:" in one, "Told by json://" in one) for one in said] == [
        *[(True, False)] * len(delivery.WAITS),
        (False, True),
        (False, False),
    ]
    (post,) = web_server.posts
    assert post["title"] == "Sparkify: load_lake failed"
    assert "error=503" in said[0]
    assert SERVICE_TOKEN not in f"{said}{watch.cursors}{caplog.text}"


def test_a_service_that_never_gets_well_is_given_up(
    small_instance: dg.DagsterInstance,
    small_settings: Settings,
    web_server: WebServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "WAITS", (0,) * len(delivery.WAITS))
    watch = watch_of_service(small_instance, small_settings, web_server)
    web_server.status = 400
    failed_run(small_instance)
    said = [watch.look()["failed_runs"] for _ in range(7)]
    assert len(web_server.posts) == 5
    assert "json:// failed and is not tried again: " in said[4]


def watch_of_service(
    instance: dg.DagsterInstance, settings: Settings, web_server: WebServer
) -> Watch:
    """The sensors of a configuration that tells a service by its URL."""
    host = web_server.url.partition("://")[2]
    environ = {"SPARKIFY_ALERTS_NOTIFY": f"json://u:{SERVICE_TOKEN}@{host}/{SERVICE_TOKEN}"}
    repository = build_definitions(
        load_settings(settings.config_file, environ)
    ).get_repository_def()
    sensors = [repository.get_sensor_def(name) for name in ("failed_runs", "failed_checks")]
    for sensor in sensors:
        assert "Tells by json:// of each" in (sensor.description or "")
    return Watch(instance, sensors)


def test_a_url_that_apprise_cannot_use_is_reported_in_every_look(
    small_instance: dg.DagsterInstance, small_settings: Settings
) -> None:
    environ = {"SPARKIFY_ALERTS_NOTIFY": f"log pager://{SERVICE_TOKEN}"}
    settings = load_settings(small_settings.config_file, environ)
    repository = build_definitions(settings).get_repository_def()
    watch = Watch(small_instance, [repository.get_sensor_def("failed_runs")])
    for _ in range(2):
        assert watch.look()["failed_runs"] == (
            "0 runs failed since the last look. pager:// cannot send alerts: A pager:// URL"
            " of [ALERTS] NOTIFY is of no service that apprise knows:"
            " https://appriseit.com/services/ lists them."
        )


def test_the_url_of_a_service_in_a_reason_is_not_reported(
    small_instance: dg.DagsterInstance, small_settings: Settings, small_platform: Platform
) -> None:
    url = "slack://not/planted/because-the-event-log-keeps-it"
    environ = {"SPARKIFY_ALERTS_NOTIFY": url}
    settings = load_settings(small_settings.config_file, environ)
    recorder = Recorder(small_instance, settings, small_platform)
    failed_run(small_instance, f"It could not use {url}.")
    recorder.look()
    (failure,) = recorder.alerts[0].failures
    assert failure.reason == "It could not use (not shown)."
