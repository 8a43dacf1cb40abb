"""The sections [ALERTS] and [FRESHNESS] of dwh.cfg: who gets which alerts, and what is overdue.

Declarations, and what several of their keys mean together. Alerts are sent by `defs.sensors`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sparkify_dagster.settings.values import (
    PREFIX,
    Given,
    Parser,
    RefusedError,
    certificates,
    choice,
    key,
    number,
    optional,
    text,
    yes_or_no,
)


class Channel(StrEnum):
    LOG = "log"
    EMAIL = "email"
    WEBHOOK = "webhook"


@dataclass(frozen=True)
class ServiceUrl:
    """Where apprise is to send alerts. The URL is a secret; its scheme, as in `slack`, is not."""

    scheme: str
    url: str = field(repr=False)


class SmtpTls(StrEnum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


SMTP_PORTS = {SmtpTls.STARTTLS: 587, SmtpTls.TLS: 465, SmtpTls.NONE: 25}
"""The port of each way to secure SMTP, where none is given."""

_HOST = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}"


def several(parse: Parser) -> Parser:
    """Values between commas; each once."""

    def parse_all(given: Given) -> tuple[object, ...]:
        parts = [part.strip() for part in given.text.split(",")] if given.text else []
        values = [parse(replace(given, text=part)) for part in parts]
        if len(set(values)) < len(values):
            raise ValueError
        return tuple(values)

    return parse_all


def receivers(given: Given) -> tuple[Channel | ServiceUrl, ...]:
    """Names and, from the environment only, URLs, each once.

    Whether apprise can use a URL is said by `sparkify doctor` and the alert sensors: to ask it
    costs 0.3 s, which no other command should pay.
    """
    parts = re.split(r" *, *| +", given.text) if given.text else []
    found = [_receiver(part, given) for part in parts]
    if len(set(found)) < len(found):
        raise RefusedError("has something twice")
    return tuple(found)


def _receiver(part: str, given: Given) -> Channel | ServiceUrl:
    if url := re.fullmatch(r"([A-Za-z0-9]{1,32})://\S*", part):
        scheme = url[1].lower()
        if not given.source.startswith(PREFIX):
            raise RefusedError(f"has a {scheme}:// URL (not shown)")
        return ServiceUrl(scheme, part)
    if part.lower() not in set(Channel) and re.fullmatch("[A-Za-z, ]{1,80}", given.text):
        raise RefusedError(f"= {given.text!r}")  # words only; else a part may be a piece of a URL
    return Channel(part.lower())


def of_environment(given: Given) -> str:
    """A secret that is refused in a file, where it would be kept for ever."""
    if given.text and not given.source.startswith(PREFIX):
        raise ValueError
    return given.text


@dataclass(frozen=True)
class AlertSettings:
    """Nobody gets an alert while `notify` is empty. ``smtp_port`` follows ``smtp_tls``."""

    notify: tuple[Channel | ServiceUrl, ...] = field(
        metadata=key(
            receivers,
            "nothing, or some of log, email and webhook, and only in the variable"
            f" {PREFIX}ALERTS_NOTIFY also URLs of services that apprise knows",
        )
    )
    warnings: bool = field(metadata=key(yes_or_no, "yes or no", "no"))
    ui_url: str = field(
        metadata=key(
            text(rf"https?://{_HOST}(/[^\s?#@]*)?"),
            "http(s)://host[:port] without user and password",
            "http://127.0.0.1:3000",
        )
    )
    email_to: tuple[str, ...] = field(
        metadata=key(several(text(_ADDRESS)), "e-mail addresses with commas between them")
    )
    email_from: str = field(metadata=key(text(f"|{_ADDRESS}"), "an e-mail address"))
    smtp_host: str = field(
        metadata=key(text(r"|[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+"), "a host name, without port")
    )
    smtp_port: int = field(
        metadata=key(optional(number(int, 1, 65535)), "nothing, or a whole number from 1 to 65535")
    )
    smtp_tls: SmtpTls = field(metadata=key(choice(SmtpTls), "starttls, tls or none", "starttls"))
    smtp_user: str = field(metadata=key(text("[!-~]*"), "the name of a user"))
    smtp_password: str = field(
        repr=False,
        metadata=key(
            of_environment, f"nothing in a file: the variable {PREFIX}ALERTS_SMTP_PASSWORD holds it"
        ),
    )
    webhook_url: str = field(
        repr=False,
        metadata=key(
            text(rf'|https?://{_HOST}([/?][!"$-~]*)?'),
            "http(s)://host[:port][/path] without user and password",
        ),
    )
    sslrootcert: str = field(
        metadata=key(certificates, "system, or a file of certificates", "system")
    )


@dataclass(frozen=True)
class FreshnessSettings:
    """When a table that nothing was written for is overdue. ``enabled`` is None where not said."""

    enabled: bool | None = field(metadata=key(optional(yes_or_no), "nothing, yes or no"))
    warn_hours: int = field(metadata=key(number(int, 1, 8784), "whole hours, from 1 to 8784", "26"))
    fail_hours: int = field(metadata=key(number(int, 1, 8784), "whole hours, from 1 to 8784", "50"))


def alert_problems(alerts: Mapping[str, Any], freshness: Mapping[str, Any]) -> list[str]:
    """What single keys cannot tell. A key with a problem of its own is in neither mapping.

    Secrets may be missing: who queries or loads need not know them. Alerts say it if they do.
    """
    problems = [
        f"[ALERTS] {name.upper()} is missing or empty: NOTIFY = email needs it"
        for name in ("email_to", "email_from", "smtp_host")
        if Channel.EMAIL in alerts.get("notify", ()) and not alerts.get(name, "has a problem")
    ]
    if alerts.get("smtp_user") and alerts.get("smtp_tls") is SmtpTls.NONE:
        problems.append(
            "[ALERTS] SMTP_USER with SMTP_TLS = none sends the password as clear text:"
            " expected starttls or tls"
        )
    warn, fail = (freshness.get(name) for name in ("warn_hours", "fail_hours"))
    if warn and fail and warn >= fail:
        problems.append(
            f"[FRESHNESS] WARN_HOURS = {warn} is not before FAIL_HOURS = {fail}:"
            " expected to warn first"
        )
    return problems
