"""When the suite ends, nothing that it left in its temporary folders holds a planted secret.

Logs, event logs, compute logs, warehouses, lakes, reports: every file is searched, whatever it is.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sparkify_dagster_tests.planted import SECRETS

_BLOCK = 1 << 24


def files_with_secrets(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file below a folder that holds a planted secret, with the secret."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            # Where the suite was interrupted, processes that it started may go on removing files.
            with suppress(FileNotFoundError):
                yield from [(path, secret) for secret in SECRETS if _holds(path, secret.encode())]


def _holds(path: Path, secret: bytes) -> bool:
    end = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if secret in end + block:
                return True
            end = block[-len(secret) :]
    return False


_found = pytest.StashKey[list[str]]()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        return  # the folders of all workers are inside that of the process that started them
    factory = session.config._tmp_path_factory  # no public way to the folder from here
    found = [f"{path} holds {secret}" for path, secret in files_with_secrets(factory.getbasetemp())]
    session.config.stash[_found] = found
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in terminalreporter.config.stash.get(_found, []):
        terminalreporter.write_line(f"SECRET LEFT: {line}", red=True)
