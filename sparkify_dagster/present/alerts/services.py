"""Alerts to the services that apprise knows, by a URL of [ALERTS] NOTIFY.

apprise is imported when a message is sent or a URL is tried, and nowhere else: with all its
services that takes 0.3 s. Nothing that is said or logged here holds a URL or a part of one.
"""

import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from sparkify_dagster.present.alerts.alert_message import Alert, one_line
from sparkify_dagster.present.alerts.notifier import NotifyError
from sparkify_dagster.settings.alert_sections import ServiceUrl

if TYPE_CHECKING:
    from apprise import AppriseResult, NotifyBase

_SERVICES = "https://appriseit.com/services/"
_NOWHERE = logging.NullHandler()
_TALKATIVE = ("urllib3", "urllib3.connectionpool", "oauthlib", "requests_oauthlib")
"""Loggers of what apprise uses, which print addresses and tokens at DEBUG."""


class ServiceNotifier:
    """Hands the message to the service that the URL names."""

    def __init__(self, receiver: ServiceUrl) -> None:
        self._receiver = receiver

    def check(self) -> None:
        self._service()

    def send(self, alert: Alert) -> None:
        service = self._service()
        from apprise import Apprise, NotifyFormat, NotifyType

        failed = any(failure.severity == "error" for failure in alert.failures)
        result = Apprise(service, asset=service.asset).notify(
            body=alert.text,
            title=alert.title,
            notify_type=NotifyType.FAILURE if failed else NotifyType.WARNING,
            body_format=NotifyFormat.TEXT,
        )
        if not result:
            said = without_url(self._receiver.url, _said(result))
            raise NotifyError(f"{service.service_name} did not take it: {one_line(said)}")

    def _service(self) -> "NotifyBase":
        """One for each message: two sensors may send at the same time."""
        _hush()
        from apprise import Apprise, AppriseAsset, NotificationManager, OverflowMode

        asset = AppriseAsset(
            app_id="Sparkify",
            app_desc="Sparkify's data platform",
            app_url="",
            image_url_mask="",  # no icons from elsewhere
            image_url_logo="",
            http_redirects=False,  # another address would get the token
            storage_mode="memory",  # nothing in the home folder
            pgp_autogen=False,
            pem_autogen=False,
            async_mode=False,
            service_timeout=0,  # `delivery` limits the whole, in a thread that it can leave alone
        )
        scheme, url = self._receiver.scheme, self._receiver.url
        service = Apprise.instantiate(url, asset=asset)
        if service is not None:
            if "overflow=" not in url:
                service.overflow_mode = OverflowMode.TRUNCATE  # one message, however long it is
            return service
        known = NotificationManager()  # type: ignore[no-untyped-call]
        if scheme in known:
            why = f"cannot be used: {known[scheme].setup_url} says how it is written"
        else:
            why = f"is of no service that apprise knows: {_SERVICES} lists them"
        raise NotifyError(f"A {scheme}:// URL of [ALERTS] NOTIFY {why}.")


def without_url(url: str, text: str) -> str:
    """The text without any part of the URL, however the parts are quoted or punctuated there.

    Services put their secrets anywhere: as user, host, path or query.
    """
    rest = url.partition("://")[2]
    pieces = {rest} | set(re.split(r"[/?&=:@#+\s]", rest))
    for piece in sorted(pieces | {unquote(piece) for piece in pieces}, key=len, reverse=True):
        if len(piece) > 3:
            text = re.sub(re.escape(piece), "(not shown)", text, flags=re.IGNORECASE)
    letters = _letters(unquote(rest))

    def hide(word: re.Match[str]) -> str:
        found = _letters(word[0])
        return "(not shown)" if len(found) > 3 and found in letters else word[0]

    return re.sub(r"[\w+.-]+", hide, text)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()


def _said(result: "AppriseResult") -> str:
    """What apprise logged of it, which is all that it says."""
    said = [entry.message for service in result.results for entry in service.logs()]
    return " ".join(dict.fromkeys(said)) or "apprise does not say why."


def _hush() -> None:
    """At DEBUG apprise logs addresses with their tokens, and hosts may be tokens at any level."""
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.WARNING)  # what `_said` needs
    logger.propagate = False
    logger.addHandler(_NOWHERE)  # without any, warnings would go to stderr
    for name in _TALKATIVE:
        if logging.getLogger(name).isEnabledFor(logging.DEBUG):
            logging.getLogger(name).setLevel(logging.INFO)
