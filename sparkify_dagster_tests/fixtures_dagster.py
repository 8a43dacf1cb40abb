"""Fixtures for Dagster: a small lake of three days, its settings, platform and instance.

The lake is written here line by line, so that every expected number can be counted by eye. Runs
over it that several tests share are made in `fixtures_runs.py`.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from sparkify_dagster.defs.instance.home import open_instance
from sparkify_dagster.settings import Settings, load_settings
from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse import Platform, open_platform
from sparkify_dagster_tests.fixtures_warehouse import FolderLake, event, moment, song

FIRST, LAST = date(2018, 11, 1), date(2018, 11, 3)
THREE_DAYS = DayRange(FIRST, LAST)


class SmallLake(FolderLake):
    """A folder lake: two songs, and for each day one play of each of two listeners."""

    def __init__(self, root: Path, *, fill: bool = True) -> None:
        super().__init__(root)
        self.log_data, self.song_data = root / "log_data", root / "song_data"
        if fill:
            for n, title in enumerate(("Undo", "You Get Me")):
                self.put_song(f"S{n}", title)
            for day in THREE_DAYS.days():
                self.put_day(day)

    def put_song(self, song_id: str, title: str) -> Path:
        artist = {"artist_id": f"A{song_id}", "artist_name": f"Artist of {title}"}
        return self.put_songs(song_id, song(song_id=song_id, title=title, **artist))

    def put_day(self, day: date, *, users: Sequence[int] = (1, 2), level: str = "free") -> Path:
        played = {"artist": "Artist of Undo", "level": level}
        plays = [event(day, ts=moment(day, 12, user), userId=str(user), **played) for user in users]
        return self.put_events(day, *plays)


def link_files(original: Path, folder: Path) -> None:
    """The files of a lake as links: a copy would be a new version of each of them."""
    for path in original.rglob("*.json"):
        link = folder / path.relative_to(original)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)


@pytest.fixture(scope="session", autouse=True)
def _migrations_are_read_once() -> Iterator[None]:
    """Of Dagster's databases: otherwise alembic reads 89 files for each database that is opened.

    The files are of the installed package and do not change; what is done to a database by them
    is still done to each.
    """
    read = ScriptDirectory.from_config
    kept: dict[str | None, ScriptDirectory] = {}

    def read_once(config: Config) -> ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in kept:
            kept[place] = read(config)
        return kept[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", read_once)
        yield


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that one process of the suite makes, and that nobody opens: it is copied."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, done = base / name, base / f"{name}.done"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(folder)
            done.touch()
    return folder


def _open_home(folder: Path) -> None:
    folder.mkdir()
    open_instance(small_settings_in(folder)).dispose()


@pytest.fixture(scope="session")
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dagster's folder as its first opening leaves it, to be copied: making one takes longer."""
    return made_once(tmp_path_factory, "fresh", _open_home) / "home"


@pytest.fixture
def small_lake(tmp_path: Path) -> SmallLake:
    return SmallLake(tmp_path / "lake")


@pytest.fixture
def small_settings(tmp_path: Path, small_lake: SmallLake) -> Settings:
    return small_settings_in(tmp_path)


def small_settings_in(folder: Path) -> Settings:
    """The settings of a folder that has the small lake, the warehouse and Dagster's home."""
    config = folder / "dwh.cfg"
    config.write_text(
        "[S3]\nLOG_DATA = lake/log_data\nSONG_DATA = lake/song_data\n"
        f"[PARTITIONS]\nFIRST_DAY = {FIRST}\nLAST_DAY = {LAST}\n",
        encoding="utf-8",
    )
    return load_settings(config, {"DAGSTER_HOME": str(folder / "home")})


@pytest.fixture
def small_platform(small_settings: Settings) -> Platform:
    return open_platform(small_settings)


@pytest.fixture
def small_instance(small_settings: Settings, fresh_home: Path) -> Iterator[dg.DagsterInstance]:
    shutil.copytree(fresh_home, small_settings.home)
    with open_instance(small_settings) as instance:
        yield instance
