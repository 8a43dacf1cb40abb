"""A simulated lake and the real one, read by plain json, and what holds for both.

The tests of the simulator use this; no test lives here.
"""

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sparkify_dagster.simulate import Simulation, write_lake

REAL = Path(__file__).parents[3] / "shared" / "data" / "sparkify"
SMALL = Simulation(date(2018, 11, 1), days=3, users=20, songs=50, events_per_day=300, seed=1)
MEDIUM = Simulation(date(2018, 11, 5), days=14, users=300, songs=1500, events_per_day=3000, seed=7)
DAY = 86_400_000

Event = dict[str, Any]


@dataclass(frozen=True)
class Lake:
    """The files of a lake, read by plain json."""

    root: Path

    @cached_property
    def days(self) -> dict[date, list[Event]]:
        files = sorted(self.root.glob("log_data/*/*/*-events.json"))
        return {
            date.fromisoformat(file.name[:10]): [
                json.loads(line) for line in file.read_text("ascii").split("\n") if line
            ]
            for file in files
        }

    @cached_property
    def events(self) -> list[Event]:
        return [event for events in self.days.values() for event in events]

    @cached_property
    def plays(self) -> list[Event]:
        return [event for event in self.events if event["page"] == "NextSong"]

    @cached_property
    def sessions(self) -> dict[int, list[Event]]:
        sessions = defaultdict(list)
        for event in self.events:
            sessions[event["sessionId"]].append(event)
        return dict(sessions)

    @cached_property
    def songs(self) -> list[Event]:
        return [json.loads(file.read_text("ascii")) for file in self.song_files]

    @property
    def song_files(self) -> list[Path]:
        return sorted(self.root.glob("song_data/*/*/*/*.json"))

    @cached_property
    def catalogue(self) -> Counter[tuple[str, str, float]]:
        return Counter((s["title"], s["artist_name"], s["duration"]) for s in self.songs)

    def user_of(self, session: list[Event]) -> str:
        """The one listener of a session; "" if nobody logs in."""
        (user,) = {str(event["userId"]) for event in session if event["userId"]} or {""}
        return user


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def digest(root: Path) -> str:
    return hashlib.sha256(repr(sorted(contents(root).items())).encode()).hexdigest()


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    root = tmp_path_factory.mktemp("medium")
    write_lake(root, MEDIUM)
    return Lake(root)


@pytest.fixture(scope="session")
def real_lake() -> Lake:
    if not REAL.is_dir():
        pytest.skip("absent here: the real Sparkify data")
    return Lake(REAL)


def spellings(lake: Lake, key: str) -> set[int]:
    found = defaultdict(set)
    for song in lake.songs:
        found[song["artist_id"]].add(song[key])
    return {len(values) for values in found.values()}


def ties(lake: Lake) -> set[tuple[str, str, float]]:
    return {song for song, count in lake.catalogue.items() if count > 1}


def assert_sessions_are_whole(lake: Lake) -> None:
    """Each session is one listener's, counts from 0 without a gap, and overlaps no other of his."""
    spans = defaultdict(list)
    for session in lake.sessions.values():
        user = lake.user_of(session)
        assert [event["itemInSession"] for event in session] == list(range(len(session)))
        spans[user].append((session[0]["ts"], session[-1]["ts"]))
    spans.pop("", None)
    for listener in spans.values():
        assert all(before[1] < after[0] for before, after in pairwise(sorted(listener)))


def assert_days_are_whole(lake: Lake) -> None:
    """Each file holds the events of its own UTC day, by time, and no event comes twice."""
    for day, events in lake.days.items():
        times = [event["ts"] for event in events]
        assert times == sorted(times)
        assert {datetime.fromtimestamp(ts / 1000, UTC).date() for ts in times} <= {day}
    keys = [(e["ts"], e["userId"], e["sessionId"], e["itemInSession"]) for e in lake.events]
    assert len(set(keys)) == len(keys)
