"""The simulator: the shape and the troubles of the real lake."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkify_dagster.simulate import write_lake
from sparkify_dagster_tests.simulate.conftest import (
    SMALL,
    Event,
    Lake,
    spellings,
    ties,
)

# --- the troubles ---------------------------------------------------------------------------------


def texts(lake: Lake) -> Iterator[str]:
    for song in lake.songs:
        yield from (song["title"], song["artist_name"])


def near_misses(lake: Lake) -> list[Event]:
    lengths = defaultdict(set)
    for title, artist, duration in lake.catalogue:
        lengths[title, artist].add(duration)
    return [
        play
        for play in lake.plays
        if play["length"] not in lengths.get((play["song"], play["artist"]), {play["length"]})
    ]


TROUBLES: dict[str, Callable[[Lake], object]] = {
    "accents in a song or artist": lambda lake: [t for t in texts(lake) if "é" in t],
    "quotes in a song or artist": lambda lake: [t for t in texts(lake) if '"' in t],
    "apostrophes in a song or artist": lambda lake: [t for t in texts(lake) if "'" in t],
    "backslashes in a song or artist": lambda lake: [t for t in texts(lake) if "\\" in t],
    "slashes in a song or artist": lambda lake: [t for t in texts(lake) if "/" in t],
    "emoji in a song or artist": lambda lake: [t for t in texts(lake) if "💔" in t],
    "Chinese characters in a song or artist": lambda lake: [t for t in texts(lake) if "夜" in t],
    "accents in a listener's name": lambda lake: [
        e for e in lake.events if e["firstName"] == "Zoë"
    ],
    "apostrophes in a listener's name": lambda lake: [
        e for e in lake.events if "'" in (e["lastName"] or "")
    ],
    "doubly encoded accents in the log": lambda lake: [p for p in lake.plays if "Ã" in p["artist"]],
    "ties in the catalogue": ties,
    "plays of a tie": lambda lake: (
        ties(lake) & {(p["song"], p["artist"], p["length"]) for p in lake.plays}
    ),
    "artists with several names": lambda lake: max(spellings(lake, "artist_name")) > 1,
    "artists with several places": lambda lake: max(spellings(lake, "artist_location")) > 1,
    "namesakes: a name of two artists": lambda lake: (
        len({(s["artist_id"], s["artist_name"]) for s in lake.songs})
        > len({s["artist_name"] for s in lake.songs})
    ),
    "a year that nobody knows": lambda lake: [s for s in lake.songs if s["year"] == 0],
    "no coordinates": lambda lake: [
        s for s in lake.songs if s["artist_latitude"] is s["artist_longitude"] is None
    ],
    "no place": lambda lake: [s for s in lake.songs if s["artist_location"] == ""],
    "a place without coordinates": lambda lake: [
        s for s in lake.songs if s["artist_location"] and s["artist_latitude"] is None
    ],
    "plays outside the catalogue by title": near_misses,
    "404": lambda lake: [e for e in lake.events if (e["page"], e["status"]) == ("Error", 404)],
    "redirects": lambda lake: [e for e in lake.events if e["status"] == 307],
    "logged out": lambda lake: [
        e
        for e in lake.events
        if (e["auth"], e["userId"], e["firstName"], e["userAgent"], e["registration"])
        == ("Logged Out", "", None, None, None)
    ],
    "sessions of nobody": lambda lake: [s for s in lake.sessions.values() if not lake.user_of(s)],
    "quoted browsers": lambda lake: [
        e for e in lake.events if (e["userAgent"] or "").startswith('"')
    ],
    "bare browsers": lambda lake: [
        e for e in lake.events if (e["userAgent"] or "").startswith("Mozilla")
    ],
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_trouble_occurs(simulated: Lake, trouble: str) -> None:
    assert TROUBLES[trouble](simulated)


def test_a_sample_of_twenty_users_has_every_page_but_the_rarest(tmp_path: Path) -> None:
    write_lake(tmp_path, replace(SMALL, days=7))
    lake = Lake(tmp_path)
    assert {"NextSong", "Home", "Logout", "Login", "Upgrade", "Submit Upgrade", "Downgrade"} <= {
        event["page"] for event in lake.events
    }
    assert ties(lake)
    assert max(spellings(lake, "artist_name")) > 1


# --- the shape of the real data -------------------------------------------------------------------


def kinds(rows: list[Event]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for key, value in row.items():
            found[key].add(type(value).__name__)
    return dict(found)


def combinations(lake: Lake) -> set[tuple[object, ...]]:
    return {
        (
            *(event[key] for key in ("auth", "page", "status", "method")),
            event["song"] is None,
            event["firstName"] is None,
            event["userId"] == "",
        )
        for event in lake.events
    }


def test_keys_their_order_and_their_types_are_those_of_the_real_data(
    simulated: Lake, real_lake: Lake
) -> None:
    for mine, theirs in ((simulated.events, real_lake.events), (simulated.songs, real_lake.songs)):
        assert {tuple(row) for row in mine} == {tuple(row) for row in theirs}
        assert kinds(mine) == kinds(theirs)


def test_pages_come_with_the_status_method_and_login_of_the_real_data(
    simulated: Lake, real_lake: Lake
) -> None:
    assert combinations(simulated) == combinations(real_lake)


@pytest.mark.parametrize("source", ["simulated", "real_lake"])
def test_the_text_is_compact_ascii_with_escaped_slashes(
    source: str, request: pytest.FixtureRequest
) -> None:
    lake: Lake = request.getfixturevalue(source)
    for file, events in zip(
        sorted(lake.root.glob("log_data/*/*/*-events.json")), lake.days.values(), strict=True
    ):
        lines = (json.dumps(event, separators=(",", ":")) for event in events)
        assert file.read_text("ascii") == "\n".join(lines).replace("/", "\\/")
    for file, song in zip(lake.song_files, lake.songs, strict=True):
        assert file.read_text("ascii") == json.dumps(song)
        assert file.parts[-4:-1] == tuple(file.name[2:5])
        assert len(file.stem) == len(song["song_id"]) == len(song["artist_id"]) == 18


def test_the_json_paths_are_the_real_ones(simulated: Lake, real_lake: Lake) -> None:
    name = "log_json_path.json"
    assert (simulated.root / name).read_bytes() == (real_lake.root / name).read_bytes()
