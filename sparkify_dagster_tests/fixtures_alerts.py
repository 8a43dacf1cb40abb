"""Fixtures for alerts: a real mail server and a real web server on loopback, keeping what they get.

The mail server is aiosmtpd, with STARTTLS, TLS or neither, and a login where a test wants one.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from sparkify_dagster.present.alerts.alert_message import FAILED_RUNS, Alert, Failure
from sparkify_dagster_tests.planted import SMTP_PASSWORD
from sparkify_dagster_tests.standin.certificates import make_certificate

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

SMTP_USER = "alerts@example.org"


@dataclass
class MailServer:
    """What was delivered, and which recipients are not known here."""

    port: int
    messages: list[EmailMessage] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    logins: int = 0
    refuse: str = ""
    """What every message is answered with, if anything."""

    async def handle_RCPT(  # aiosmtpd finds its hooks by these names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.unknown:
            return "550 nobody here has that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.refuse:
            return self.refuse
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 OK"

    def authenticate(self, *call: object) -> AuthResult:
        given = call[-1]
        assert isinstance(given, LoginPassword)
        right = (given.login, given.password) == (SMTP_USER.encode(), SMTP_PASSWORD.encode())
        self.logins += right
        return AuthResult(success=right, handled=right)


MakeMailServer = Callable[..., MailServer]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed one: it is trusted by who names it as SSLROOTCERT."""
    return make_certificate(tmp_path)


@pytest.fixture
def mail_server(certificate: Path) -> Iterator[MakeMailServer]:
    """Starts servers: `mail_server(tls="starttls", login=True)`."""
    with ExitStack() as running:

        def start(*, tls: str = "none", login: bool = False) -> MailServer:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            mails = MailServer(free_port())
            controller = Controller(
                mails,
                hostname="127.0.0.1",
                port=mails.port,
                ssl_context=context if tls == "tls" else None,
                tls_context=context if tls == "starttls" else None,
                require_starttls=tls == "starttls",
                authenticator=mails.authenticate if login else None,
                auth_required=login,
                auth_require_tls=tls != "tls",
            )
            controller.start()
            running.callback(controller.stop)
            return mails

        yield start


@dataclass
class WebServer:
    """What was posted to it, and with which status it answers."""

    url: str = ""
    posts: list[dict[str, object]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    status: int = 204
    location: str = ""


@pytest.fixture
def web_server() -> Iterator[WebServer]:
    with serving() as web:
        yield web


@pytest.fixture
def tls_web_server(certificate: Path) -> Iterator[WebServer]:
    with serving(certificate) as web:
        yield web


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[WebServer]:
    web = WebServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            web.paths.append(self.path)
            assert self.headers["Content-Type"] == "application/json"
            length = int(self.headers["Content-Length"])
            web.posts.append(json.loads(self.rfile.read(length)))
            self.send_response(web.status)
            if web.location:
                self.send_header("Location", web.location)
            self.end_headers()

        def do_GET(self) -> None:
            web.paths.append(f"GET {self.path}")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    web.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def an_alert(event: int = 1, *, failures: int = 1, reason: str = "The lake is gone.") -> Alert:
    """A message about some failed runs, the first of which ended with `event`."""
    ui = "http://ui"
    found = [
        Failure("songplays", "2018-11-02", reason, f"run{n}", f"{ui}/runs/run{n}", f"{ui}/assets/s")
        for n in range(failures)
    ]
    return Alert.of(FAILED_RUNS, range(event, event + failures), found, ui)
