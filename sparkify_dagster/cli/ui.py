"""`sparkify ui`: Dagster's web server and daemon with our definitions and our instance.

The services are Dagster's own `dagster dev`; here is only how they start, from any folder, and
that they end with this process.
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from sparkify_dagster.console import note
from sparkify_dagster.errors import SparkifyError

if TYPE_CHECKING:
    from sparkify_dagster.settings import Settings

# `dagster dev` gives its own services a minute to end.
_SECONDS_TO_STOP = 75
_STDERR = 2  # what the services say is not what this command says
_STOPPING = (signal.SIGINT, signal.SIGTERM)


class UiError(SparkifyError):
    """The user interface cannot be started, or did not last."""


@click.command(short_help="The Dagster UI with its daemon.")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, metavar="N")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on. There is no login: whoever reaches it can launch runs.",
)
def ui(port: int, host: str) -> None:
    """Start the Dagster UI, and the daemon that runs schedules, sensors and backfills.

    It shows the same assets and runs as `sparkify run`, and ends with Ctrl-C.

    \b
    Examples:
      sparkify ui
      sparkify ui --port 3001
    """
    from sparkify_dagster.defs.instance.home import open_instance
    from sparkify_dagster.defs.instance.process_identity import close_dead_runs
    from sparkify_dagster.settings import load_settings
    from sparkify_dagster.warehouse import open_platform

    settings = load_settings()
    open_platform(settings)
    _require_free(host, port)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    with open_instance(settings) as instance:
        close_dead_runs(instance)
    with _only_ui(settings.home, url):
        click.echo(f"{url} (starting, some ten seconds; Ctrl-C stops it)")
        _serve(_command(host, port), environment(settings), url)


def environment(settings: "Settings") -> Mapping[str, str]:
    """What the services inherit: they find the same configuration, wherever they look for it."""
    return os.environ | {
        "DAGSTER_HOME": str(settings.home),
        "SPARKIFY_CONFIG": str(settings.config_file),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        # `dagster dev` praises its successor, which needs a project layout that we do not have.
        "PYTHONWARNINGS": "ignore:Function `dev_command` is superseded",
    }


def _command(host: str, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "dagster", "dev", "-m", "sparkify_dagster.definitions"),
        *("-h", host, "-p", str(port), "--log-level", "error"),
    ]


def _require_free(host: str, port: int) -> None:
    """Find out before ten seconds of starting whether the port can be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise UiError(
            f"{host}, port {port} cannot be listened on ({error.strerror}). End what uses it, or"
            f" choose another: sparkify ui --port {port + 1 if port < 65535 else 3000}"
        ) from error


@contextmanager
def _only_ui(home: Path, url: str) -> Iterator[None]:
    """Two daemons would launch everything twice. The lock goes with this process."""
    with open(home / ".ui", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UiError(
                f"The UI of this instance is running already: {file.read().strip()}. Open that, or"
                " end it first."
            ) from None
        file.truncate(0)
        file.write(url)
        file.flush()
        yield


def _serve(command: list[str], environ: Mapping[str, str], url: str) -> None:
    """Run the services until a signal, or until they end by themselves."""
    stopping: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        stopping.append(number)

    before = {number: signal.signal(number, stop) for number in _STOPPING}
    # A session of its own: Ctrl-C reaches it once, from here, and not once more from the terminal.
    services = subprocess.Popen(command, env=environ, start_new_session=True, stdout=_STDERR)
    try:
        shown = False
        while not stopping and services.poll() is None:
            if not shown and (shown := _answers(url)):
                click.echo(f"{url} is ready.")
            time.sleep(0.2)
    finally:
        _end(services)
        for number, handler in before.items():
            signal.signal(number, handler)
    if not stopping:
        raise UiError(f"The services ended by themselves (status {services.returncode}).")
    note("Stopped.")


def _answers(url: str) -> bool:
    from urllib.request import ProxyHandler, build_opener

    # Straight to this machine, whatever proxy the environment names.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"{url}/server_info", timeout=1):
            return True
    except OSError:
        return False


def _end(services: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C would; whatever has not ended after its time is killed with all it started."""
    if services.poll() is None:
        services.send_signal(signal.SIGINT)
    try:
        services.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        os.killpg(services.pid, signal.SIGKILL)
        services.wait()
