"""The star in plain Python, written from DESIGN.md and the headers of the transforms alone.

It knows no SQL and no increments: rows of the staging tables in, rows of the derived tables out.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, TypeVar

Row = tuple[object, ...]
K = TypeVar("K")
V = TypeVar("V")


class Event(NamedTuple):
    log_date: date
    artist: str | None
    auth: str
    first_name: str | None
    gender: str | None
    item_in_session: int
    last_name: str | None
    length: float | None
    level: str
    location: str | None
    method: str
    page: str
    registration: int | None
    session_id: int
    song: str | None
    status: int
    ts: int
    user_agent: str | None
    user_id: int | None
    event_time: datetime
    source_file: str


class Song(NamedTuple):
    num_songs: int | None
    artist_id: str
    artist_latitude: float | None
    artist_longitude: float | None
    artist_location: str | None
    artist_name: str
    song_id: str
    title: str
    duration: float
    year: int | None
    source_file: str


def nulls_last(*values: object) -> tuple[tuple[bool, object], ...]:
    """A sort key: NULL after everything, texts in the order of their bytes."""
    return tuple(
        (value is None, value.encode() if isinstance(value, str) else value or 0)
        for value in values
    )


def reference_star(events: Iterable[Event], songs: Sequence[Song]) -> dict[str, list[Row]]:
    plays = [e for e in events if e.page == "NextSong" and e.user_id is not None]
    tables = {
        "users": users(plays),
        "user_levels": user_levels(plays),
        "time": times(plays),
        "artists": artists(songs),
        "songs": catalogue(songs),
        "songplays": songplays(plays, songs),
    }
    return {name: sorted(rows, key=repr) for name, rows in tables.items()}


def grouped(items: Iterable[V], key: Callable[[V], K]) -> dict[K, list[V]]:
    groups: dict[K, list[V]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def users(plays: Iterable[Event]) -> list[Row]:
    rows: list[Row] = []
    for user, own in grouped(plays, lambda e: e.user_id).items():
        last = max(e.ts for e in own)
        latest = min(
            (e for e in own if e.ts == last),
            key=lambda e: (
                greatest_first(e.level),
                -e.session_id,
                -e.item_in_session,
                nulls_last(e.first_name, e.last_name, e.gender),
            ),
        )
        rows.append((user, latest.first_name, latest.last_name, latest.gender, latest.level))
    return rows


def greatest_first(text: str) -> tuple[int, ...]:
    """Sorts texts from the greatest to the smallest, by code point: 'paid' before 'free'."""
    return (*(-ord(character) for character in text), 1)


def user_levels(plays: Iterable[Event]) -> list[Row]:
    rows: list[Row] = []
    for user, own in grouped(plays, lambda e: e.user_id).items():
        periods: list[tuple[str, datetime]] = []
        for instant, together in sorted(grouped(own, lambda e: e.event_time).items()):
            level = max(e.level for e in together)
            if not periods or periods[-1][0] != level:
                periods.append((level, instant))
        ends = [start for _, start in periods[1:]] + [None]
        rows += [
            (user, level, start, end, end is None)
            for (level, start), end in zip(periods, ends, strict=True)
        ]
    return rows


def times(plays: Iterable[Event]) -> list[Row]:
    return [
        (t, t.hour, t.day, t.isocalendar().week, t.month, t.year, t.isoweekday() % 7)
        for t in {e.event_time for e in plays}
    ]


def artists(songs: Iterable[Song]) -> list[Row]:
    rows: list[Row] = []
    for artist, own in grouped(songs, lambda s: s.artist_id).items():
        spellings = Counter(s.artist_name.rstrip(" ") for s in own)
        name = min(spellings, key=lambda n: (-spellings[n], n.encode()))
        places = (
            ((s.artist_location or "").rstrip(" ") or None, s.artist_latitude, s.artist_longitude)
            for s in own
            if s.artist_name.rstrip(" ") == name
        )
        rows.append((artist, name, *min(places, key=lambda place: nulls_last(*place))))
    return rows


def catalogue(songs: Iterable[Song]) -> list[Row]:
    rows: list[Row] = []
    for song, own in grouped(songs, lambda s: s.song_id).items():
        chosen = min(
            own,
            key=lambda s: (
                -(s.year or 0),
                nulls_last(s.year, s.title, s.artist_id, s.duration),
            ),
        )
        rows.append((song, chosen.title, chosen.artist_id, chosen.year, chosen.duration))
    return rows


def songplays(plays: Iterable[Event], songs: Iterable[Song]) -> list[Row]:
    known: dict[tuple[str, str, float], tuple[str, str]] = {}
    for s in songs:
        key = (s.title.rstrip(" "), s.artist_name.rstrip(" "), s.duration)
        known[key] = min(known.get(key, (s.song_id, s.artist_id)), (s.song_id, s.artist_id))
    rows: list[Row] = []
    events = grouped(plays, lambda e: (e.user_id, e.session_id, e.item_in_session, e.ts))
    for natural_key, deliveries in events.items():
        e = min(
            deliveries,
            key=lambda e: nulls_last(
                e.log_date.toordinal(), greatest_first(e.level), e.song, e.artist, e.length,
                e.location, e.user_agent,
            ),
        )  # fmt: skip
        match: tuple[str | None, str | None] = (None, None)
        if e.song is not None and e.artist is not None and e.length is not None:
            key = (e.song.rstrip(" "), e.artist.rstrip(" "), e.length)
            match = known.get(key, (None, None))
        identity = hashlib.md5("/".join(map(str, natural_key)).encode()).hexdigest()
        rows.append(
            (
                identity, e.log_date, e.event_time, e.user_id, e.level, *match,
                e.session_id, e.item_in_session, e.location, e.user_agent,
            )
        )  # fmt: skip
    return rows


def instant(ts: int) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ts)).replace(tzinfo=None)
