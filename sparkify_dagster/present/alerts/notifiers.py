"""Who is told of [ALERTS] NOTIFY: the log, e-mail and a webhook of our own, and apprise's services.

`notifiers_of` makes them all; how apprise is used is in `services`. A new service is a URL that
apprise knows, not a class here. When a message is sent is decided in `delivery`.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING

from sparkify_dagster.present.alerts.alert_message import Alert, one_line
from sparkify_dagster.present.alerts.notifier import Notifier, NotifyError
from sparkify_dagster.present.alerts.services import ServiceNotifier
from sparkify_dagster.settings.alert_sections import AlertSettings, Channel, SmtpTls

if TYPE_CHECKING:
    from smtplib import SMTP
    from ssl import SSLContext
    from urllib.request import HTTPRedirectHandler

_SECONDS = 10
"""For one answer of a server; `delivery` limits the whole."""


class LogNotifier:
    """Writes the message where the code location writes its log, which is stderr by default."""

    def check(self) -> None:
        """Nothing can be missing."""

    def send(self, alert: Alert) -> None:
        logging.getLogger("sparkify_dagster.alerts").error("%s\n%s", alert.title, alert.text)


class EmailNotifier:
    """Hands the message to an SMTP server, over TLS unless the settings say otherwise."""

    def __init__(self, settings: AlertSettings) -> None:
        self._settings = settings
        self._server = f"The mail server {settings.smtp_host}, port {settings.smtp_port},"

    def check(self) -> None:
        if self._settings.smtp_user and not self._settings.smtp_password:
            raise NotifyError(
                "[ALERTS] SMTP_USER is set, and SPARKIFY_ALERTS_SMTP_PASSWORD is not: set it where"
                " the sensors run."
            )

    def send(self, alert: Alert) -> None:
        import smtplib

        self.check()
        settings = self._settings
        try:
            with self._connected() as server:
                if settings.smtp_user:
                    server.login(settings.smtp_user, settings.smtp_password)
                refused = server.send_message(self.message(alert), to_addrs=settings.email_to)
        except smtplib.SMTPAuthenticationError as error:
            # what it answers may repeat what was sent to it
            problem = f"refuses the login of SMTP_USER (code {error.smtp_code})."
        except smtplib.SMTPResponseException as error:
            problem = f"refuses the message ({error.smtp_code}: {_answer(error.smtp_error)})."
        except smtplib.SMTPRecipientsRefused as error:
            problem = f"refuses every address of EMAIL_TO ({_refusals(error.recipients)})."
        except (OSError, UnicodeError) as error:
            problem = f"could not be used: {_reason(error)}."
        else:
            if refused:
                problem = f"took the message, but not for {_refusals(refused)}."
                raise NotifyError(f"{self._server} {problem}", again=False)
            return
        raise NotifyError(f"{self._server} {problem}") from None

    def message(self, alert: Alert) -> EmailMessage:
        from datetime import UTC, datetime

        settings = self._settings
        message = EmailMessage()
        message["Subject"] = alert.title
        message["From"] = settings.email_from
        message["To"] = ", ".join(settings.email_to)
        message["Date"] = format_datetime(datetime.now(UTC))
        domain = settings.email_from.partition("@")[2]
        message["Message-ID"] = f"<{alert.id}.{alert.failures[0].run_id}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"  # so that nobody's absence answers it
        message.set_content(f"{alert.text}\n")
        return message

    def _connected(self) -> "SMTP":
        import smtplib

        settings = self._settings
        place = (settings.smtp_host, settings.smtp_port)
        if settings.smtp_tls is SmtpTls.TLS:
            return smtplib.SMTP_SSL(*place, timeout=_SECONDS, context=_tls(settings))
        server = smtplib.SMTP(*place, timeout=_SECONDS)
        try:
            if settings.smtp_tls is SmtpTls.STARTTLS:
                server.starttls(context=_tls(settings))
        except BaseException:  # an interruption, too, must not leave the connection open
            server.close()
            raise
        return server


class WebhookNotifier:
    """Posts the message as JSON. The address may hold a token, so it is never shown."""

    def __init__(self, settings: AlertSettings) -> None:
        self._settings = settings

    def check(self) -> None:
        if not self._settings.webhook_url:
            raise NotifyError(
                "[ALERTS] NOTIFY = webhook, and WEBHOOK_URL is not set: set"
                " SPARKIFY_ALERTS_WEBHOOK_URL where the sensors run."
            )

    def send(self, alert: Alert) -> None:
        from http.client import HTTPException
        from urllib.error import HTTPError, URLError
        from urllib.request import HTTPSHandler, Request, build_opener

        self.check()
        try:
            opener = build_opener(HTTPSHandler(context=_tls(self._settings)), _stay_here())
            headers = {"Content-Type": "application/json", "User-Agent": "sparkify-dagster"}
            body = json.dumps(alert.payload).encode()
            request = Request(self._settings.webhook_url, body, headers)
            opener.open(request, timeout=_SECONDS).close()
        except HTTPError as error:
            error.close()
            problem = f"answers with status {error.code}"
        except URLError as error:
            problem = f"cannot be reached: {_reason(error.reason)}"
        except (OSError, HTTPException, ValueError, OverflowError) as error:
            # the texts of some of these repeat the address
            problem = f"cannot be used: {type(error).__name__}"
        else:
            return
        raise NotifyError(f"The webhook {problem}.") from None


NOTIFIERS: Mapping[Channel, Callable[[AlertSettings], Notifier]] = {
    Channel.LOG: lambda _: LogNotifier(),
    Channel.EMAIL: EmailNotifier,
    Channel.WEBHOOK: WebhookNotifier,
}


def notifiers_of(settings: AlertSettings) -> dict[str, Notifier]:
    """Everybody of NOTIFY, by a name that may be shown: `log`, `slack://`, `slack:// (2)`."""
    found: dict[str, Notifier] = {}
    schemes: Counter[str] = Counter()
    for receiver in settings.notify:
        if isinstance(receiver, Channel):
            found[receiver.value] = NOTIFIERS[receiver](settings)
            continue
        schemes[receiver.scheme] += 1
        number = schemes[receiver.scheme]
        name = f"{receiver.scheme}://" + (f" ({number})" if number > 1 else "")
        found[name] = ServiceNotifier(receiver)
    return found


def _tls(settings: AlertSettings) -> "SSLContext":
    import ssl

    file = None if settings.sslrootcert == "system" else settings.sslrootcert
    try:
        return ssl.create_default_context(cafile=file)
    except OSError as error:  # ssl.SSLError is one
        raise NotifyError(
            f"[ALERTS] SSLROOTCERT = {file} cannot be used: {_reason(error)}."
        ) from None


def _stay_here() -> "HTTPRedirectHandler":
    """No other address is followed to: it would get the token, and a GET without the message."""
    from urllib.request import HTTPRedirectHandler

    class NoRedirect(HTTPRedirectHandler):
        def redirect_request(self, *args: object, **kwargs: object) -> None:
            return None

    return NoRedirect()


def _reason(error: BaseException | str) -> str:
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return one_line(str(said)).rstrip(".")


def _answer(said: bytes | str) -> str:
    return one_line(said.decode(errors="replace") if isinstance(said, bytes) else said)


def _refusals(refused: Mapping[str, tuple[int, bytes]]) -> str:
    shown = (f"{who}: {code} {_answer(said)}" for who, (code, said) in refused.items())
    return one_line("; ".join(shown))
