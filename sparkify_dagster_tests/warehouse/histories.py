"""Random histories of a small lake and its warehouse, and what both must come to.

Domains are tiny, so that everything collides: the same event in two files and on two days, ties
at one instant, songs that arrive after their plays, several spellings. A history is a list of
plain steps; `World` plays them and keeps, beside the warehouse, what was loaded.
"""

import json
import os
import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

from sparkify_dagster.settings.days import DayRange
from sparkify_dagster.warehouse import Platform
from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.warehouse import (
    FEW_QUESTIONS,
    FIRST,
    TABLES,
    FolderLake,
    Json,
    TableRows,
    all_rows,
    bring_up_to_date,
    event,
    moment,
    rows_of,
    song,
)
from sparkify_dagster_tests.warehouse.reference_star import Event, Song, instant, reference_star

DAYS = [FIRST + timedelta(n) for n in range(4)]
DERIVED = (*TABLES[2:], *FEW_QUESTIONS)
BAD = (b"null", b"{}", b"[", b'{"a": 1}{"b": 2}', b"caf\xe9")
CUT_OFF = b"\x1f\x8b and no more of the gzip data"
"""A file that cannot be read: it holds back its day, or of songs itself."""
Step = tuple[object, ...]


class Dice:
    """Small random objects."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)

    def event(self) -> Json:
        r = self.r
        # Mostly the file's neighbourhood, but the time decides nothing about the file.
        ts = moment(r.choice(DAYS), r.choice((0, 12, 23))) + r.choice((0, 0, 1))
        changes: Json = {
            "userId": r.choice(("1", "1", "2", "3", "")),
            "sessionId": r.choice((1, 2)),
            "itemInSession": r.choice((0, 0, 1)),
            "ts": ts,
            "level": r.choice(("free", "paid")),
            "page": r.choice(("NextSong", "NextSong", "NextSong", "Home")),
            "song": r.choice(("Undo", "Undo ", "Hystéria", None)),
            "artist": r.choice(("Muse", "Muse ", "MUSE", None)),
            "length": r.choice((200.5, 100, None)),
            "location": r.choice(("Here", "Här", None)),
            "firstName": r.choice(("Ada", "Éva", None)),
            "lastName": r.choice(("Smith", None)),
            "gender": r.choice(("F", "M", None)),
        }
        if r.random() < 0.1:
            changes["device"] = r.choice((1, None))
        return event(**changes)

    def song(self) -> Json:
        r = self.r
        return song(
            song_id=r.choice(("S1", "S2", "S3")),
            artist_id=r.choice(("A1", "A2")),
            artist_name=r.choice(("Muse", "MUSE", "Muse ")),
            artist_location=r.choice(("", "Lyon", "Århus", None)),
            artist_latitude=r.choice((None, 1.5)),
            artist_longitude=r.choice((None, -2.5)),
            title=r.choice(("Undo", "Undo ", "Hystéria")),
            duration=r.choice((200.5, 100)),
            year=r.choice((0, 2001, 2002, None)),
        )

    def content(self, kind: str) -> bytes:
        r = self.r
        if r.random() < 0.08:
            return CUT_OFF
        make = self.event if kind == "log_data" else self.song
        found = [json.dumps(make()).encode() for _ in range(r.choice((0, 1, 2, 3, 6)))]
        if found and r.random() < 0.2:
            found.append(r.choice(found))
        if r.random() < 0.2:
            found.insert(r.randint(0, len(found)), r.choice(BAD))
        return r.choice((b"\n", b"\r\n")).join(found) + r.choice((b"", b"\n"))

    def step(self) -> Step:
        r = self.r
        kind = r.choice(
            ("file",) * 8 + ("delete", "touch", "load", "load_day", "load_day", "refresh",
            "refresh", "recompute", "full", "up", "reload_songs", "grow"),
        )  # fmt: skip
        if kind in ("file", "delete", "touch", "grow"):
            prefix = r.choice(("log_data", "log_data", "song_data"))
            key = self.key(prefix)
            return (kind, prefix, key, self.content(prefix))
        if kind == "load_day":
            first = r.choice(DAYS)
            return (kind, first, first + timedelta(r.choice((0, 0, 1))), r.random() < 0.5)
        if kind in ("refresh", "full"):
            return (kind, r.choice(DERIVED))
        return (kind, r.choice(DAYS))

    def key(self, prefix: str) -> str:
        if prefix == "song_data":
            return f"A/{self.r.choice('abcd')}.json"
        day = self.r.choice(DAYS)
        return f"{day:%Y/%m}/{day}-{self.r.choice('ab')}.json"

    def history(self, length: int) -> list[Step]:
        return [self.step() for _ in range(length)]


class World:
    """A lake and its warehouse; `lake` and `loaded` are their contents by prefix and key.

    What cannot be loaded is not in `loaded`, nor what waits with it.
    """

    def __init__(self, engine: EngineUnderTest, folder: Path) -> None:
        self.engine = engine
        self.files = FolderLake(folder / "lake")
        self.platform = self._platform(folder, self.files.root)
        self.lake: dict[tuple[str, str], bytes] = {}
        self.loaded: dict[tuple[str, str], bytes] = {}

    def _platform(self, folder: Path, lake: Path) -> Platform:
        # An event may lie days after the file that it is in.
        limits = {"LOAD_MAX_REJECT_RATIO": 1, "LOAD_MAX_HOURS_AHEAD": 96}
        return self.engine.platform(folder, lake, DUCKDB_THREADS=1, **limits)

    def play(self, steps: Sequence[Step]) -> None:
        with self.platform.warehouse.stay_open():
            for step in steps:
                getattr(self, f"_{step[0]}")(*step[1:])

    def up(self) -> None:
        bring_up_to_date(self.platform)
        self.loaded |= self.loadable()

    def loadable(self) -> dict[tuple[str, str], bytes]:
        """What of the lake a load takes."""
        broken = {file for file, content in self.lake.items() if content.startswith(CUT_OFF)}
        held_back = {day_of(key) for prefix, key in broken if prefix == "log_data"}
        return {
            (prefix, key): content
            for (prefix, key), content in self.lake.items()
            if (prefix, key) not in broken
            and not (prefix == "log_data" and day_of(key) in held_back)
        }

    def _file(self, prefix: str, key: str, content: bytes) -> None:
        self.files.put(prefix, key, content)
        self.lake[prefix, key] = content

    def _grow(self, prefix: str, key: str, content: bytes) -> None:
        before = b"" if content == CUT_OFF else self.lake.get((prefix, key), b"") + b"\n"
        self._file(prefix, key, before + content)

    def _delete(self, prefix: str, key: str, _: bytes) -> None:
        if (prefix, key) in self.lake:
            (self.files.root / prefix / key).unlink()
            del self.lake[prefix, key]

    def _touch(self, prefix: str, key: str, _: bytes) -> None:
        if (prefix, key) in self.lake:
            os.utime(self.files.root / prefix / key)

    def _load(self, _: date) -> None:
        for table in self.platform.catalogue.sources:
            self.platform.load(table, days=None, reload=False, run_id="load")
        self.loaded |= self.loadable()

    def _reload_songs(self, _: date) -> None:
        self.platform.load("staging_songs", days=None, reload=True, run_id="songs")
        loadable = self.loadable()
        self.loaded |= {k: content for k, content in loadable.items() if k[0] == "song_data"}

    def _load_day(self, first: date, last: date, reload: bool) -> None:
        self.platform.load(
            "staging_events", days=DayRange(first, last), reload=reload, run_id="day"
        )
        self.loaded |= {
            (prefix, key): content
            for (prefix, key), content in self.loadable().items()
            if prefix == "log_data" and first <= day_of(key) <= last
        }

    def _refresh(self, table: str) -> None:
        self.platform.refresh(table)

    def _full(self, table: str) -> None:
        self.platform.refresh(table, full=True)

    def _recompute(self, day: date) -> None:
        self.platform.refresh("songplays", days=DayRange(day, day), recompute=True)

    def _up(self, _: date) -> None:
        self.up()

    def expected(self) -> TableRows:
        """What every table must hold, by the reference, for what was loaded."""
        events, songs = [], []
        for (prefix, key), content in self.loaded.items():
            for line in content.split(b"\n"):
                fields = good_fields(line)
                if fields is not None and prefix == "log_data":
                    events.append(event_row(key, fields))
                elif fields is not None:
                    songs.append(song_row(key, fields))
        staged: TableRows = {
            "staging_events": sorted((tuple(e) for e in events), key=repr),
            "staging_songs": sorted((tuple(s) for s in songs), key=repr),
        }
        return staged | reference_star(events, songs)

    def fresh(self, folder: Path) -> Platform:
        """A new warehouse over a lake that holds the newest version of every file loaded."""
        lake = FolderLake(folder / "lake")
        for (prefix, key), content in self.loaded.items():
            lake.put(prefix, key, content)
        platform = self._platform(folder, lake.root)
        bring_up_to_date(platform)
        return platform


def bookkeeping(platform: Platform) -> dict[str, list[tuple[object, ...]]]:
    """What does not depend on when something was loaded: the quarantine, and counts by file."""
    current = (
        "SELECT table_name, key, size, day, lines, rows, rejects FROM (SELECT *, ROW_NUMBER() OVER"
        " (PARTITION BY table_name, key ORDER BY loaded_at DESC) AS place FROM load_files) AS f"
        " WHERE place = 1"
    )
    return {
        "load_rejects": sorted(rows_of(platform, "SELECT * FROM load_rejects"), key=repr),
        "unknown_keys": sorted(rows_of(platform, "SELECT * FROM unknown_keys"), key=repr),
        "load_files": sorted(rows_of(platform, current), key=repr),
    }


def everything_derived(platform: Platform) -> TableRows:
    return all_rows(platform, (*TABLES, *FEW_QUESTIONS)) | bookkeeping(platform)


def day_of(key: str) -> date:
    return date.fromisoformat(key.rsplit("/", 1)[-1][:10])


def good_fields(line: bytes) -> Json | None:
    line = line.strip()
    if not line or line in BAD:
        return None
    fields: Json = json.loads(line)
    return fields


def event_row(key: str, f: Json) -> Event:
    time: datetime = instant(int(str(f["ts"])))
    user = int(str(f["userId"])) if f["userId"] else None
    registration = None if f["registration"] is None else int(f["registration"])
    return Event(
        day_of(key), f["artist"], f["auth"], f["firstName"], f["gender"], f["itemInSession"],
        f["lastName"], f["length"] and float(f["length"]), f["level"], f["location"], f["method"],
        f["page"], registration, f["sessionId"], f["song"], f["status"], f["ts"],
        f["userAgent"], user, time, key,
    )  # fmt: skip


def song_row(key: str, f: Json) -> Song:
    return Song(
        f["num_songs"], f["artist_id"], f["artist_latitude"], f["artist_longitude"],
        f["artist_location"], f["artist_name"], f["song_id"], f["title"], float(f["duration"]),
        f["year"], key,
    )  # fmt: skip
