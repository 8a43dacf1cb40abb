"""The README is true: commands are run, output is compared, graph and tables are checked."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkify_dagster.catalogue.catalogue import ANALYTICS, Catalogue, read_catalogue
from sparkify_dagster_tests.engines.postgres_server import Database
from sparkify_dagster_tests.fixtures.lake import S3Endpoint

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Commands of the README that run elsewhere: these by .ci/run, and by whoever reads this.
MAKE = {"make run": "sparkify run --sample", "make test": None}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def console_commands() -> Iterator[tuple[str, str]]:
    """Each command of the console blocks with the output that the README shows."""
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the shipped configuration and nothing else."""
    shutil.copy(ROOT / "dwh.cfg", tmp_path)
    return tmp_path


def run(script: str, folder: Path, **environment: str) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SPARKIFY_", "DAGSTER_"))}
    clean["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def masked(output: str, folder: Path) -> str:
    """The output without what differs from run to run: seconds, paths, and spacing."""
    output = output.replace(str(folder), ".")
    return re.sub(r"[ -]+", " ", re.sub(r"\d+\.\d(?= s\)| +\d+ passed|\n)", "#", output)).strip()


@pytest.mark.slow
def test_the_shown_output_is_the_real_output(project: Path) -> None:
    for command, shown in console_commands():
        really = MAKE.get(command, command)
        if really is not None:
            assert masked(run(really, project), project) == masked(shown, project), command


@pytest.mark.slow(40)
def test_every_command_runs_one_after_the_other_also_on_s3(
    project: Path, s3_endpoint: S3Endpoint, aws_environment: pytest.MonkeyPatch
) -> None:
    lake = project / "simulated"
    run(f"sparkify simulate --out {lake} --days 3 --events-per-day 100 --songs 20", project)
    s3_endpoint.put_folder("my-bucket", lake)
    script = "\n".join(blocks("sh"))
    output = run(
        script,
        project,
        SPARKIFY_S3_ENDPOINT_URL=s3_endpoint.endpoint_url,
        SPARKIFY_S3_REGION=s3_endpoint.region,
    )
    assert "s3://my-bucket/log_data" in output


@pytest.mark.slow
def test_the_commands_for_a_server_run_on_postgres(
    project: Path, postgres_database: Database
) -> None:
    """As they stand, but for the address and the login of the server."""
    run("sparkify simulate --out lake --days 2 --events-per-day 100 --songs 20", project)
    real = postgres_database.environ()
    (script,) = blocks("bash")
    script = re.sub(r"(SPARKIFY_\w+)=(\S+)", lambda m: f"{m[1]}={real[m[1]]}", script)
    output = run(script, project)
    assert "songplays: " in output
    assert "CREATE TABLE IF NOT EXISTS public.songplays" in output
    assert "GRANT SELECT ON" in output


def test_the_commands_for_a_cluster_are_those_that_there_are() -> None:
    """What they do is run in test_cluster_commands.py, against Amazon's interfaces."""
    from sparkify_dagster.cli.cluster import cluster

    (script,) = blocks("text")
    for line in script.splitlines():
        _, group, name, *options = line.split()
        assert group == "cluster"
        known = {option for p in cluster.commands[name].params for option in p.opts}
        assert set(options) <= known, line


def test_every_make_target_that_is_shown_is_run_by_ci() -> None:
    shown = {command for command, _ in console_commands() if command.startswith("make ")}
    assert shown == set(MAKE)
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert all(f"make --no-print-directory {command.split()[1]}" in ci for command in shown)
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"{MAKE['make run']} $(ARGS)" in recipe


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


def test_the_picture_shows_exactly_the_graph(catalogue: Catalogue) -> None:
    """The analytics are one node: what they read of each other is not shown."""
    (picture,) = blocks("mermaid")
    node = dict.fromkeys(catalogue.tables_of(ANALYTICS), ANALYTICS)
    shown = set(re.findall(r"(\w+)(?:\[\(\w+\)\])? --> (\w+)", picture))
    graph = {(source.name, source.table) for source in catalogue.sources.values()}
    graph |= {
        (node.get(parent, parent), node.get(table, table))
        for table in catalogue.transforms
        for parent in catalogue.dependencies(table)
    }
    assert shown == graph - {(ANALYTICS, ANALYTICS)}


def test_the_list_of_tables_is_complete(catalogue: Catalogue) -> None:
    (rows,) = re.findall(r"\| table \| one row is \|\n(.*?)\n\n", README, re.DOTALL)
    listed = re.findall(r"`(\w+)`", rows) + [name for name, _ in questions()]
    assert sorted(listed) == sorted(catalogue.tables)


def questions() -> list[tuple[str, str]]:
    (rows,) = re.findall(r"\| table \| question \|\n(.*?)\n\n", README, re.DOTALL)
    return re.findall(r"\| `(\w+)` \| (.*) \|", rows)


def test_the_list_of_questions_is_that_of_the_files(catalogue: Catalogue) -> None:
    asked = {name: catalogue.tables[name].description for name in catalogue.tables_of(ANALYTICS)}
    assert dict(questions()) == asked


def test_every_page_that_is_linked_exists() -> None:
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert links
    files = [link.partition("#")[0] for link in links]
    assert [file for file in files if file and not (ROOT / file).is_file()] == []


def test_every_heading_that_is_linked_exists() -> None:
    anchors = re.findall(r"\]\((?!http)([^)#]*)#([^)]+)\)", README)
    assert anchors
    for file, anchor in anchors:
        text = (ROOT / (file or "README.md")).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
