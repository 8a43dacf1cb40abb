"""No secret in any output, log, event, process list or statement: planted ones are searched for.

Commands run against servers that need a password and a secret access key, going well and going
wrong; some as processes, whose arguments are looked at. What the whole suite leaves behind is
searched at its end by plugins/secrets.py.
"""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from sparkify_dagster_tests.engines.postgres_server import Database
from sparkify_dagster_tests.fixtures.cli import Project, project_in
from sparkify_dagster_tests.fixtures.engines import standin_environ
from sparkify_dagster_tests.fixtures.lake import CREDENTIALS, S3Endpoint
from sparkify_dagster_tests.fixtures.warehouse import FIRST, FolderLake, event, song
from sparkify_dagster_tests.planted import DATABASE_PASSWORD, SECRET_KEY, SECRETS, SERVICE_TOKEN
from sparkify_dagster_tests.plugins.secrets import files_with_secrets
from sparkify_dagster_tests.standin import StandIn

pytestmark = [pytest.mark.s3, pytest.mark.slow]

AS_PROCESSES = [
    (0, ["run", "--debug"], {}),
    (0, ["doctor"], {}),
    (1, ["run", "--debug"], {"SPARKIFY_CLUSTER_DB_PASSWORD": "wrong"}),
]
"""What is run, what it is given, and whether it succeeds."""
COMMANDS = [
    (0, ["run"], {}),
    (0, ["run", "--full", "--select", "songplays"], {}),
    (0, ["query", "SELECT * FROM users"], {}),
    (1, ["query", "SELECT nothing FROM users", "--debug"], {}),
    (0, ["tables", "show"], {}),
    (0, ["tables", "grant"], {}),
    (1, ["run", "--debug"], {"SPARKIFY_CLUSTER_DB_NAME": "no_such_database"}),
    (1, ["run", "--debug"], {"SPARKIFY_CLUSTER_SSLMODE": "verify-full"}),
    (1, ["run", "--debug"], {"SPARKIFY_S3_LOG_DATA": "s3://no-such-bucket/log_data"}),
    (1, ["doctor"], {"SPARKIFY_CLUSTER_DB_PORT": "1"}),
    (1, ["run", "--debug"], {"AWS_SECRET_ACCESS_KEY": "wrong"}),
]
"""The same, in the process of the test."""


@pytest.fixture(params=["postgres", "redshift"])
def project(request: pytest.FixtureRequest, tmp_path: Path, s3_endpoint: S3Endpoint) -> Project:
    bucket = f"secrets-{request.param}"
    lake = FolderLake(s3_endpoint.root / bucket)
    lake.put_events(FIRST, *[event()] * 200, event(status="x"))
    lake.put_songs("s", song())
    if request.param == "postgres":
        database: Database = request.getfixturevalue("postgres_database")
        environ = database.environ()
    else:
        standin: StandIn = request.getfixturevalue("standin")
        environ = standin_environ(standin, s3_endpoint)
    made = project_in(tmp_path / "project")
    made.environment.update(CREDENTIALS | environ)
    made.environment.update(
        SPARKIFY_S3_LOG_DATA=f"s3://{bucket}/log_data",
        SPARKIFY_S3_SONG_DATA=f"s3://{bucket}/song_data",
        SPARKIFY_S3_ENDPOINT_URL=s3_endpoint.endpoint_url,
        SPARKIFY_S3_REGION=s3_endpoint.region,
        SPARKIFY_ALERTS_NOTIFY=f"log json://u:{SERVICE_TOKEN}@127.0.0.1:9/{SERVICE_TOKEN}",
    )
    return made


@contextmanager
def watched_processes(seen: set[str]) -> Iterator[None]:
    """Collect what `ps` shows meanwhile; the S3 server of the tests is told its key that way."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            done = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
            seen.update(line for line in done.stdout.splitlines() if "serve s3" not in line)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.slow
def test_no_command_leaves_or_shows_a_secret(
    project: Project, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shown = tmp_path / "shown.txt"
    processes: set[str] = set()
    with watched_processes(processes), shown.open("w") as file:
        for status, command, environment in AS_PROCESSES:
            done = project.process(*command, **environment)
            assert done.status == status, (command, done.out, done.err)
            file.write(done.out + done.err)
    with shown.open("a") as file:
        for status, command, environment in COMMANDS:
            done = project.sparkify(*command, **environment)
            assert done.status == status, (command, done.out, done.err)
            file.write("".join((done.out, done.err, *capfd.readouterr())))
    assert any("sparkify" in line for line in processes)
    assert not [line for line in processes if any(secret in line for secret in SECRETS)]
    assert list(files_with_secrets(tmp_path)) == []
    kept = {path.suffix for path in project.folder.rglob("*") if path.is_file()}
    assert {".db", ".cfg"} <= kept  # Dagster's events are among what was searched


def test_what_is_sent_to_redshift_holds_no_secret(
    s3_endpoint: S3Endpoint, standin: StandIn, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    lake = FolderLake(s3_endpoint.root / "secrets-sent")
    lake.put_events(date(2018, 11, 2), event())
    project = project_in(tmp_path / "project")
    project.environment.update(CREDENTIALS | standin_environ(standin, s3_endpoint))
    for name in ("LOG", "SONG"):
        project.environment[f"SPARKIFY_S3_{name}_DATA"] = f"s3://secrets-sent/{name.lower()}_data"
    assert project.sparkify("run").status == 0
    texts = [statement.text for statement in standin.statements]
    assert any("COPY landing" in text for text in texts)
    assert not [text for text in texts if DATABASE_PASSWORD in text or SECRET_KEY in text]


def test_the_search_finds_a_secret_wherever_it_is(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "clean").write_bytes(b"\0" * 100)
    (tmp_path / "a" / "b" / "log").write_bytes(b"x" * ((1 << 24) - 5) + SECRETS[0].encode())
    found = list(files_with_secrets(tmp_path))
    assert found == [(tmp_path / "a" / "b" / "log", SECRETS[0])]
    (tmp_path / "a" / "b" / "log").unlink()  # the suite's own search is to find nothing
