"""Alerts by URLs that apprise knows: what real servers get, and that no part of a URL is shown."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkify_dagster.present.alerts.notifier import NotifyError
from sparkify_dagster.present.alerts.services import ServiceNotifier, without_url
from sparkify_dagster.settings.alert_sections import ServiceUrl
from sparkify_dagster_tests.fixtures.alerts import (
    MailServer,
    MakeMailServer,
    WebServer,
    an_alert,
    free_port,
)
from sparkify_dagster_tests.planted import SERVICE_TOKEN

ROOT = Path(__file__).parents[2]


def service(url: str) -> ServiceNotifier:
    return ServiceNotifier(ServiceUrl(url.partition("://")[0], url))


def json_service(web: WebServer, scheme: str = "json") -> ServiceNotifier:
    host = web.url.partition("://")[2]
    token = SERVICE_TOKEN
    return service(f"{scheme}://{token}:{token}-pw@{host}/{token}?-key={token}&+X-Key={token}")


def problem_of(notifier: ServiceNotifier) -> str:
    with pytest.raises(NotifyError) as caught:
        notifier.send(an_alert())
    assert SERVICE_TOKEN not in f"{caught.value!r} {caught.value}"
    assert caught.value.__cause__ is None
    assert caught.value.again
    return str(caught.value)


@pytest.fixture(autouse=True)
def nothing_logged(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """With every logger at its most talkative, neither a log nor the terminal hears of a token."""
    heard: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = heard.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    for name in ("", "apprise", "urllib3", "urllib3.connectionpool", "requests", "oauthlib"):
        caplog.set_level(1, name)
    yield
    logging.getLogger().removeHandler(handler)
    assert [record for record in heard if SERVICE_TOKEN in record.getMessage()] == []
    assert [record for record in heard if record.name == "apprise"] == []
    assert capfd.readouterr().err == ""


# What is sent


def test_a_service_gets_title_text_and_kind_once(web_server: WebServer) -> None:
    alert = an_alert(reason="Größe fehlt: 1 < 2 & *alles* weg")
    json_service(web_server).send(alert)
    (post,) = web_server.posts
    assert web_server.paths == [f"/{SERVICE_TOKEN}?key={SERVICE_TOKEN}"]
    assert (post["title"], post["message"]) == (alert.title, alert.text)
    assert post["type"] == "failure"


def test_a_warning_is_sent_as_one(web_server: WebServer) -> None:
    alert = an_alert()
    warning = replace(alert.failures[0], check="no_rejects", severity="warning")
    json_service(web_server).send(replace(alert, failures=(warning,)))
    assert web_server.posts[0]["type"] == "warning"


def test_a_message_that_is_too_long_for_a_service_is_cut_and_not_split(
    web_server: WebServer,
) -> None:
    web_server.status = 200  # which Mattermost insists on
    host = web_server.url.partition("://")[2]
    service(f"mmost://{host}/abcdefghijklmnop").send(an_alert(failures=10, reason="x" * 600))
    (post,) = web_server.posts
    text = str(post["text"])
    assert "songplays failed" in text
    assert len(text) == 4000  # all that Mattermost takes


def test_a_mail_can_be_sent_by_its_url(mail_server: MakeMailServer) -> None:
    server = mail_server()
    url = f"mailto://127.0.0.1:{server.port}/ann@example.org?from=bob@example.org&format=text"
    service(url).send(an_alert())
    (message,) = server.messages
    assert message["Subject"] == "Sparkify: songplays failed (2018-11-02)"
    assert (message["From"], message["To"]) == ("bob@example.org", "ann@example.org")
    assert "The lake is gone." in message.get_content()


def test_a_login_that_fails_is_reported_without_it(mail_server: MakeMailServer) -> None:
    server: MailServer = mail_server(tls="tls", login=True)
    url = f"mailtos://u:{SERVICE_TOKEN}@127.0.0.1:{server.port}/a@b.org?from=b@b.org&mode=ssl"
    assert problem_of(service(url)).startswith("E-Mail did not take it: Connection error")
    assert server.messages == []


def test_two_sensors_may_send_at_the_same_time(web_server: WebServer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    notifier = json_service(web_server)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(notifier.send, [an_alert(n) for n in range(24)]))
    assert len(web_server.posts) == 24


# What goes wrong


def test_a_service_that_does_not_accept_is_reported_by_its_status(web_server: WebServer) -> None:
    web_server.status = 503
    problem = problem_of(json_service(web_server))
    assert problem.startswith("JSON did not take it: Failed to send")
    assert "error=503" in problem
    assert len(web_server.posts) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_service_is_not_followed_elsewhere(web_server: WebServer, status: int) -> None:
    web_server.status, web_server.location = status, f"{web_server.url}/elsewhere"
    assert f"error={status}" in problem_of(json_service(web_server))
    assert len(web_server.paths) == 1


def test_a_service_that_is_not_there_is_reported_without_its_address() -> None:
    problem = problem_of(json_service(WebServer(f"http://127.0.0.1:{free_port()}")))
    assert "A Connection error occurred" in problem
    assert "127.0.0.1" not in problem


def test_a_service_that_nobody_vouches_for_gets_nothing(tls_web_server: WebServer) -> None:
    assert "Connection error" in problem_of(json_service(tls_web_server, "jsons"))
    assert tls_web_server.posts == []


def test_requests_ca_bundle_names_who_vouches_for_services(
    tls_web_server: WebServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    json_service(tls_web_server, "jsons").send(an_alert())
    assert len(tls_web_server.posts) == 1


def test_a_defect_of_apprise_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    from apprise.plugins.custom_json import NotifyJSON

    def send(*args: object, **kwargs: object) -> bool:
        raise ZeroDivisionError(SERVICE_TOKEN)

    monkeypatch.setattr(NotifyJSON, "send", send)
    problem = problem_of(service(f"json://h/{SERVICE_TOKEN}"))
    assert problem.endswith("'JSON' raised an exception.")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            f"pager://{SERVICE_TOKEN}",
            "A pager:// URL of [ALERTS] NOTIFY is of no service that apprise knows:"
            " https://appriseit.com/services/ lists them.",
        ),
        (
            f"slack://{SERVICE_TOKEN}",
            "A slack:// URL of [ALERTS] NOTIFY cannot be used:"
            " https://appriseit.com/services/slack/ says how it is written.",
        ),
        (f"https://example.org/{SERVICE_TOKEN}", "A https:// URL of [ALERTS] NOTIFY is of no"),
        (f"json://[::1/{SERVICE_TOKEN}", "A json:// URL of [ALERTS] NOTIFY cannot be used"),
        ("slack://", "A slack:// URL of [ALERTS] NOTIFY cannot be used"),
    ],
)
def test_a_url_that_cannot_be_used_is_reported_by_its_scheme(url: str, said: str) -> None:
    with pytest.raises(NotifyError) as caught:
        service(url).check()
    assert str(caught.value).startswith(said)
    assert SERVICE_TOKEN not in f"{caught.value!r}"
    assert problem_of(service(url)) == str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
        "SLACK://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "discord://123456789012345678/abcdefghijklmnopqrstuvwxyz",
    ],
)
def test_a_url_can_be_the_one_that_the_service_itself_shows(url: str) -> None:
    service(url).check()


# What is never shown


@pytest.mark.parametrize(
    ("url", "text", "shown"),
    [
        ("json://h/abcdef", "it was abcdef here", "it was (not shown) here"),
        ("json://user:p%40ss%2Fword@h", "p@ss/word, p%40ss%2Fword", "(not shown), (not shown)"),
        ("json://AbCdEf@h", "host abcdef.", "host (not shown)."),
        ("sms://+1-555-123-4567", "to 15551234567 and 1 555", "to (not shown) and 1 555"),
        ("json://h?-key=a+b%20c-token", "a b c-token failed", "a (not shown) failed"),
        ("json://h/abc", "error=401 of abc", "error=401 of abc"),
    ],
)
def test_no_part_of_a_url_is_shown_however_it_is_written(url: str, text: str, shown: str) -> None:
    assert without_url(url, text) == shown


def test_a_cut_message_shows_no_half_of_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """First the secrets are taken out, then the text is cut."""
    from apprise.plugins.custom_json import NotifyJSON

    def send(self: NotifyJSON, *args: object, **kwargs: object) -> bool:
        self.logger.warning(f"{'x ' * 296}{SERVICE_TOKEN}")
        return False

    monkeypatch.setattr(NotifyJSON, "send", send)
    problem = problem_of(service(f"json://h/{SERVICE_TOKEN}"))
    assert SERVICE_TOKEN[:5] not in problem


def subprocess_says(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_message_leaves_no_file_and_asks_nobody_else(
    web_server: WebServer, tmp_path: Path
) -> None:
    code = (
        "import socket, sys\n"
        "called = []\n"
        "sys.addaudithook(lambda name, args: called.append(args[1]) if name == 'socket.connect'\n"
        "    else called.append(args[0]) if name == 'socket.getaddrinfo' else None)\n"
        "from sparkify_dagster_tests.present.test_services import an_alert, service\n"
        f"service('json://{web_server.url.partition('://')[2]}/x').send(an_alert())\n"
        "print({str(place[0]) if isinstance(place, tuple) else place for place in called})\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    said = subprocess_says(
        code, HOME=str(home), TMPDIR=str(home), PYTHONDONTWRITEBYTECODE="1", PYTHONPATH=str(ROOT)
    )
    assert said == "{'127.0.0.1'}"
    assert list(home.rglob("*")) == []
    assert len(web_server.posts) == 1


def test_commands_settings_and_definitions_do_not_import_apprise(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "import sparkify_dagster.cli\n"
        "from pathlib import Path\n"
        "from sparkify_dagster.settings import load_settings\n"
        "from sparkify_dagster.definitions import build_definitions\n"
        "sensors = build_definitions(load_settings(Path('dwh.cfg'))).sensors\n"
        "print('failed_runs' in {one.name for one in sensors}, 'apprise' in sys.modules)\n"
    )
    environ = {"DAGSTER_HOME": str(tmp_path), "SPARKIFY_ALERTS_NOTIFY": "slack://a/b/c"}
    assert subprocess_says(code, **environ) == "True False"
