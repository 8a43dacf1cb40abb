"""Fixtures for the warehouse: folder lakes written line by line, and platforms over them.

No test lives here. Rows are compared as sorted tuples, which hold everything a table holds.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest

from sparkify_dagster.catalogue.catalogue import Catalogue, read_catalogue
from sparkify_dagster.catalogue.sql_files import SQL_FOLDER
from sparkify_dagster.settings import load_settings
from sparkify_dagster.warehouse import Platform, open_platform
from sparkify_dagster.warehouse import platform as platform_module

Json: TypeAlias = dict[str, object]
TableRows: TypeAlias = dict[str, list[tuple[object, ...]]]

FIRST, LAST = date(2018, 11, 1), date(2018, 11, 30)
TABLES = (
    "staging_events", "staging_songs", "users", "user_levels", "time", "artists", "songs",
    "songplays",
)  # fmt: skip
ANALYTICS = tuple(sorted(path.stem for path in (SQL_FOLDER / "analytics").glob("*.sql")))
DAILY_ANALYTICS = ("levels_per_day", "songplays_per_day")
FEW_QUESTIONS = ("plays_per_level", "songplays_per_day")
"""One that is made whole, and one by day: they stand for all where a test names no others."""
TABLE_COUNT = len((*TABLES, "load_files", "load_rejects", *FEW_QUESTIONS))


def moment(day: date, hour: int = 12, minute: int = 0) -> int:
    """Epoch milliseconds of a time of a day, UTC."""
    return int(datetime.combine(day, time(hour, minute), UTC).timestamp() * 1000)


def event(day: date = FIRST, **changes: object) -> Json:
    """A play as the lake sends it."""
    return {
        "artist": "Muse", "auth": "Logged In", "firstName": "Ada", "gender": "F",
        "itemInSession": 0, "lastName": "Smith", "length": 200.5, "level": "free",
        "location": "Nowhere, NW", "method": "PUT", "page": "NextSong",
        "registration": 1540000000000.0, "sessionId": 7, "song": "Undo", "status": 200,
        "ts": moment(day), "userAgent": "Mozilla/5.0 | test", "userId": "1",
    } | changes  # fmt: skip


def song(**changes: object) -> Json:
    """A song as the lake sends it; it is the one of `event`."""
    return {
        "num_songs": 1, "artist_id": "A1", "artist_latitude": None, "artist_longitude": None,
        "artist_location": "", "artist_name": "Muse", "song_id": "S1", "title": "Undo",
        "duration": 200.5, "year": 2001,
    } | changes  # fmt: skip


def lines(objects: Iterable[Json]) -> bytes:
    return b"".join(json.dumps(o, ensure_ascii=False).encode() + b"\n" for o in objects)


class FolderLake:
    """A lake in a folder, written by keys relative to the two prefixes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for prefix in ("log_data", "song_data"):
            (root / prefix).mkdir(parents=True, exist_ok=True)

    def put(self, prefix: str, key: str, content: bytes) -> Path:
        path = self.root / prefix / key
        path.parent.mkdir(parents=True, exist_ok=True)
        # A new inode: two versions of one size within a tick of the clock still differ.
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        return path

    def put_events(self, day: date, *events: Json, name: str = "events") -> Path:
        return self.put("log_data", f"{day:%Y/%m}/{day}-{name}.json", lines(events))

    def put_songs(self, name: str, *songs: Json) -> Path:
        return self.put("song_data", f"A/{name}.json", lines(songs))


@cache
def with_questions(*names: str) -> Catalogue:
    """The shipped catalogue with these questions alone."""
    whole = read_catalogue()
    left_out = set(ANALYTICS) - set(names)
    return replace(
        whole,
        tables={name: t for name, t in whole.tables.items() if name not in left_out},
        transforms={name: t for name, t in whole.transforms.items() if name not in left_out},
        checks=tuple(check for check in whole.checks if check.table not in left_out),
    )


def _with_few_questions(home: Path | None) -> Catalogue:
    return with_questions(*FEW_QUESTIONS)  # one for all, whatever their home


def few_questions_sql(folder: Path) -> Path:
    """A copy of the shipped SQL files, without those of the other questions."""
    copy = Path(shutil.copytree(SQL_FOLDER, folder))
    for name in set(ANALYTICS) - set(FEW_QUESTIONS):
        (copy / "analytics" / f"{name}.sql").unlink()
        shutil.rmtree(copy / "checks" / name, ignore_errors=True)
    return copy


@contextmanager
def _as_marked(node: pytest.Item | pytest.Collector) -> Iterator[None]:
    """Platforms and commands of this process answer few questions, unless a test is of all."""
    read = read_catalogue
    if not node.get_closest_marker("all_questions"):
        read = _with_few_questions
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platform_module, "read_catalogue", read)
        yield


@pytest.fixture(scope="module", autouse=True)
def _questions_of_module(request: pytest.FixtureRequest) -> Iterator[None]:
    with _as_marked(request.node):
        yield


@pytest.fixture(autouse=True)
def _questions_of_test(request: pytest.FixtureRequest) -> Iterator[None]:
    with _as_marked(request.node):
        yield


def make_platform(
    folder: Path, lake: Path, catalogue: Catalogue | None = None, **overrides: object
) -> Platform:
    """The platform of `folder/dwh.cfg`, made here; `DUCKDB_THREADS=1` overrides as a variable."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "dwh.cfg"
    config.write_text(
        f"[DUCKDB]\nPATH = warehouse.duckdb\n[S3]\nLOG_DATA = {lake}/log_data\n"
        f"SONG_DATA = {lake}/song_data\n[PARTITIONS]\nFIRST_DAY = {FIRST}\nLAST_DAY = {LAST}\n",
        encoding="utf-8",
    )
    environ = {f"SPARKIFY_{name}": str(value) for name, value in overrides.items()}
    return open_platform(load_settings(config, environ), catalogue)


def load_all(platform: Platform, *, reload: bool = False) -> None:
    with platform.warehouse.stay_open():
        _load_all(platform, reload=reload)


def bring_up_to_date(platform: Platform, *, full: bool = False) -> None:
    """What a run does: every source, then every derived table in order, in a file opened once."""
    with platform.warehouse.stay_open():
        _load_all(platform)
        for table in platform.catalogue.transforms:
            platform.refresh(table, full=full)


def _load_all(platform: Platform, *, reload: bool = False) -> None:
    for table in platform.catalogue.sources:
        platform.load(table, days=None, reload=reload, run_id="test")


def rows_of(platform: Platform, sql: str) -> list[tuple[object, ...]]:
    with platform.warehouse.read(lambda _: None) as session:
        return list(session.fetch(sql))


def all_rows(platform: Platform, tables: Iterable[str] = TABLES) -> TableRows:
    """Every row of every table, in an order of their own."""
    with platform.warehouse.read(lambda _: None) as session:
        return {
            table: sorted(session.fetch(f"SELECT * FROM {table}"), key=repr) for table in tables
        }


def everything(platform: Platform) -> TableRows:
    """Every row of every table of both schemas."""
    schemas = {"star": platform.warehouse.schema, "state": platform.warehouse.state_schema}
    with platform.warehouse.read(lambda _: None) as session:
        names = session.fetch(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables"
            " WHERE table_schema IN (:star, :state) ORDER BY 1",
            schemas,
        )
        return {
            str(name): sorted(session.fetch(f"SELECT * FROM {name}"), key=repr) for (name,) in names
        }


def assert_same_rows(found: Mapping[str, object], expected: Mapping[str, object]) -> None:
    """Table by table, so that a failure shows one table."""
    assert found.keys() == expected.keys()
    for table, rows in expected.items():
        assert found[table] == rows, table


@pytest.fixture
def folder_lake(tmp_path: Path) -> FolderLake:
    return FolderLake(tmp_path / "lake")
