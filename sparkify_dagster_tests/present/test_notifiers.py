"""Messages on their way: what real mail and web servers get, and what is said if they refuse."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkify_dagster.present.alerts.notifier import NotifyError
from sparkify_dagster.present.alerts.notifiers import (
    NOTIFIERS,
    EmailNotifier,
    LogNotifier,
    WebhookNotifier,
    notifiers_of,
)
from sparkify_dagster.settings import load_settings
from sparkify_dagster.settings.alert_sections import AlertSettings, Channel
from sparkify_dagster_tests.fixtures.alerts import (
    SMTP_USER,
    MailServer,
    MakeMailServer,
    WebServer,
    an_alert,
    free_port,
)
from sparkify_dagster_tests.planted import SECRETS, SERVICE_TOKEN, SMTP_PASSWORD, WEBHOOK_TOKEN

SHIPPED = Path(__file__).parents[2] / "dwh.cfg"


def alerts(**keys: object) -> AlertSettings:
    """The section [ALERTS] as it is shipped, with some keys changed."""
    variables = {f"SPARKIFY_ALERTS_{name}": str(value) for name, value in keys.items()}
    return load_settings(SHIPPED, variables).alerts


def mail(server: MailServer, tls: str = "none", **keys: object) -> AlertSettings:
    return alerts(
        SMTP_HOST="127.0.0.1",
        SMTP_PORT=server.port,
        SMTP_TLS=tls,
        EMAIL_TO="ann@example.org, bob@example.org",
        EMAIL_FROM=SMTP_USER,
        **keys,
    )


def problem_of(notifier: EmailNotifier | WebhookNotifier) -> str:
    with pytest.raises(NotifyError) as caught:
        notifier.send(an_alert())
    for secret in SECRETS:
        assert secret not in f"{caught.value!r} {caught.value}"
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_every_name_that_the_configuration_accepts_is_a_notifier() -> None:
    assert set(NOTIFIERS) == set(Channel)


def test_everybody_of_notify_has_a_name_of_their_own_that_is_no_secret() -> None:
    urls = f"slack://{SERVICE_TOKEN}/1, json://h/{SERVICE_TOKEN} slack://{SERVICE_TOKEN}/2"
    names = list(notifiers_of(alerts(NOTIFY=f"log {urls},email", EMAIL_TO="a@b", EMAIL_FROM="a@b",
                                     SMTP_HOST="h")))  # fmt: skip
    assert names == ["log", "slack://", "json://", "slack:// (2)", "email"]


def test_the_log_says_everything_in_one_record(caplog: pytest.LogCaptureFixture) -> None:
    LogNotifier().send(an_alert())
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    for part in ("songplays failed (2018-11-02)", "The lake is gone.", "http://ui/runs/run0"):
        assert part in record.getMessage()


# E-mail


def test_a_mail_says_asset_day_reason_and_links_to_everybody(mail_server: MakeMailServer) -> None:
    server = mail_server()
    EmailNotifier(mail(server)).send(an_alert(reason="Größe fehlt: alles weg"))
    (message,) = server.messages
    assert message["Subject"] == "Sparkify: songplays failed (2018-11-02)"
    assert (message["From"], message["To"]) == (SMTP_USER, "ann@example.org, bob@example.org")
    assert message["Auto-Submitted"] == "auto-generated"
    body = message.get_content()
    for part in ("Größe fehlt: alles weg", "http://ui/assets/s", "http://ui/runs/run0"):
        assert part in body


def test_a_mail_that_is_sent_again_is_known_by_its_id(mail_server: MakeMailServer) -> None:
    server = mail_server()
    for event in (1, 1, 2):
        EmailNotifier(mail(server)).send(an_alert(event))
    first, again, other = (message["Message-ID"] for message in server.messages)
    assert first == again != other


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_mail_goes_over_tls_with_a_login(
    mail_server: MakeMailServer, certificate: Path, tls: str
) -> None:
    server = mail_server(tls=tls, login=True)
    login = {"SMTP_USER": SMTP_USER, "SMTP_PASSWORD": SMTP_PASSWORD, "SSLROOTCERT": certificate}
    EmailNotifier(mail(server, tls, **login)).send(an_alert())
    assert (len(server.messages), server.logins) == (1, 1)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_server_that_nobody_vouches_for_gets_nothing(
    mail_server: MakeMailServer, tls: str
) -> None:
    server = mail_server(tls=tls)
    assert "CERTIFICATE_VERIFY_FAILED" in problem_of(EmailNotifier(mail(server, tls))).upper()
    assert server.messages == []


def test_a_server_without_starttls_gets_nothing(mail_server: MakeMailServer) -> None:
    server = mail_server()
    assert "STARTTLS" in problem_of(EmailNotifier(mail(server, "starttls")))
    assert server.messages == []


def test_a_wrong_password_is_reported_without_it(
    mail_server: MakeMailServer, certificate: Path
) -> None:
    server = mail_server(tls="starttls", login=True)
    login = {"SMTP_USER": "bob", "SMTP_PASSWORD": SMTP_PASSWORD, "SSLROOTCERT": certificate}
    problem = problem_of(EmailNotifier(mail(server, "starttls", **login)))
    assert "refuses the login of SMTP_USER (code 535)" in problem


def test_a_missing_password_is_reported_with_where_it_belongs(mail_server: MakeMailServer) -> None:
    settings = mail(mail_server(tls="starttls"), "starttls", SMTP_USER="bob")
    assert "SPARKIFY_ALERTS_SMTP_PASSWORD" in problem_of(EmailNotifier(settings))


def test_a_password_that_smtp_cannot_send_is_reported_without_it(
    mail_server: MakeMailServer, certificate: Path
) -> None:
    server = mail_server(tls="starttls", login=True)
    login = {"SMTP_USER": "b", "SMTP_PASSWORD": f"{SMTP_PASSWORD}é", "SSLROOTCERT": certificate}
    assert "could not be used" in problem_of(EmailNotifier(mail(server, "starttls", **login)))


def test_a_server_that_refuses_the_message_is_quoted(mail_server: MakeMailServer) -> None:
    server = mail_server()
    server.refuse = "552 the mailbox is full"
    problem = problem_of(EmailNotifier(mail(server)))
    assert f"port {server.port}, refuses the message (552: the mailbox is full)." in problem


def test_an_unknown_recipient_is_reported_and_the_others_get_it_once(
    mail_server: MakeMailServer,
) -> None:
    server = mail_server()
    server.unknown = {"bob@example.org"}
    with pytest.raises(NotifyError, match=r"not for bob@example\.org: 550 nobody") as caught:
        EmailNotifier(mail(server)).send(an_alert())
    assert not caught.value.again
    assert len(server.messages) == 1
    server.unknown.add("ann@example.org")
    assert "refuses every address of EMAIL_TO" in problem_of(EmailNotifier(mail(server)))


def test_a_server_that_is_not_there_is_named() -> None:
    port = free_port()
    problem = problem_of(EmailNotifier(mail(MailServer(port))))
    assert (
        problem == f"The mail server 127.0.0.1, port {port}, could not be used: Connection refused."
    )


def test_certificates_that_cannot_be_read_are_named(
    mail_server: MakeMailServer, tmp_path: Path
) -> None:
    server = mail_server(tls="starttls")
    settings = mail(server, "starttls", SSLROOTCERT=tmp_path / "gone.pem")
    assert "SSLROOTCERT" in problem_of(EmailNotifier(settings))
    assert "gone.pem" in problem_of(EmailNotifier(settings))


# Webhooks


def hook(web: WebServer, **keys: object) -> WebhookNotifier:
    return WebhookNotifier(alerts(WEBHOOK_URL=f"{web.url}/{WEBHOOK_TOKEN}?a=b", **keys))


def test_a_webhook_gets_the_message_as_json(web_server: WebServer) -> None:
    hook(web_server).send(an_alert())
    assert web_server.paths == [f"/{WEBHOOK_TOKEN}?a=b"]
    (post,) = web_server.posts
    assert post["id"] == "failed_runs-1-1"
    assert str(post["text"]).startswith("Sparkify: songplays failed (2018-11-02)\n\n")
    assert post["failures"] == [
        {
            "subject": "songplays",
            "days": "2018-11-02",
            "reason": "The lake is gone.",
            "run_id": "run0",
            "run_url": "http://ui/runs/run0",
            "url": "http://ui/assets/s",
            "check": "",
            "severity": "error",
        }
    ]


def test_a_webhook_over_tls_is_verified(tls_web_server: WebServer, certificate: Path) -> None:
    hook(tls_web_server, SSLROOTCERT=certificate).send(an_alert())
    assert len(tls_web_server.posts) == 1
    assert "certificate verify failed" in problem_of(hook(tls_web_server)).lower()
    assert len(tls_web_server.posts) == 1


def test_a_webhook_that_does_not_accept_is_reported_by_its_status(web_server: WebServer) -> None:
    web_server.status = 503
    assert problem_of(hook(web_server)) == "The webhook answers with status 503."


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_webhook_is_not_followed_elsewhere(web_server: WebServer, status: int) -> None:
    web_server.status, web_server.location = status, f"{web_server.url}/elsewhere"
    assert problem_of(hook(web_server)) == f"The webhook answers with status {status}."
    assert len(web_server.paths) == 1


def test_a_webhook_that_is_not_there_is_reported_without_its_address() -> None:
    problem = problem_of(hook(WebServer(f"http://127.0.0.1:{free_port()}")))
    assert problem == "The webhook cannot be reached: Connection refused."


def test_a_missing_address_is_reported_with_where_it_belongs() -> None:
    assert "SPARKIFY_ALERTS_WEBHOOK_URL" in problem_of(WebhookNotifier(alerts()))


def test_an_address_with_an_impossible_port_is_one_message() -> None:
    settings = alerts(WEBHOOK_URL=f"http://127.0.0.1:99999/{WEBHOOK_TOKEN}")
    assert problem_of(WebhookNotifier(settings)).startswith("The webhook cannot be ")


@pytest.fixture
def babbler() -> Iterator[str]:
    """A server that answers with something that is not HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        import threading

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"what?\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_server_that_speaks_no_http_is_one_message(babbler: str) -> None:
    problem = problem_of(hook(WebServer(babbler)))
    assert problem == "The webhook cannot be used: BadStatusLine."
