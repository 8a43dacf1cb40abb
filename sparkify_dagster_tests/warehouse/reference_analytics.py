"""The analytics in plain Python, written from the headers of their files alone.

It knows no SQL and no increments: rows of the staging tables in, rows of the tables out. What a
songplay or a level is, it takes from `reference_star`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from sparkify_dagster_tests.warehouse.reference_star import (
    Event,
    Row,
    Song,
    grouped,
    nulls_last,
    reference_star,
)

DAY = timedelta(1)
NOT_IN_SESSION = "(another session)"


class Play(NamedTuple):
    songplay_id: str
    log_date: date
    start_time: datetime
    user_id: int
    level: str
    song_id: str | None
    artist_id: str | None
    session_id: int
    item_in_session: int
    location: str | None
    user_agent: str | None


class Change(NamedTuple):
    user_id: int
    changed_at: datetime
    from_level: str
    to_level: str
    days_before: float


def reference_analytics(events: Sequence[Event], songs: Sequence[Song]) -> dict[str, list[Row]]:
    star = reference_star(events, songs)
    plays = [Play(*row) for row in star["songplays"]]  # type: ignore[arg-type]  # columns in the order of the fields
    changes = level_changes(star["user_levels"])
    of_songs = plays_per_song(events)
    of_locations = plays_per_location(plays)
    tables: dict[str, Iterable[Row]] = {
        "active_listeners": active_listeners(plays),
        "before_level_changes": before_level_changes(changes, plays, events),
        "level_changes": changes,
        "levels_per_day": levels_per_day(plays),
        "new_and_returning_listeners": new_and_returning(plays),
        "plays_per_artist_location": plays_per_artist_location(plays, star["artists"]),
        "plays_per_hour": Counter(p.start_time.hour for p in plays).items(),
        "plays_per_level": plays_per_level(plays),
        "plays_per_location": of_locations,
        "plays_per_song": [(*names, n) for names, n in of_songs.items()],
        "plays_per_week": plays_per_week(plays),
        "plays_per_weekday": Counter(p.start_time.isoweekday() % 7 for p in plays).items(),
        "plays_per_weekday_hour": [
            (*place, n)
            for place, n in Counter(
                (p.start_time.isoweekday() % 7, p.start_time.hour) for p in plays
            ).items()
        ],
        "sessions_per_day": sessions_per_day(plays),
        "songplays_per_day": songplays_per_day(plays),
        "top_artists": top_artists(of_songs),
        "top_locations": top({(str(name),): int(str(n)) for name, n, *_ in of_locations}),
        "top_songs": top({names: n for names, n in of_songs.items() if all(names)}),
        "weekly_retention": weekly_retention(plays),
    }
    return {name: sorted((tuple(row) for row in rows), key=repr) for name, rows in tables.items()}


def listeners(plays: Iterable[Play]) -> int:
    return len({play.user_id for play in plays})


def days_of_listeners(plays: Iterable[Play]) -> dict[int, set[date]]:
    own = grouped(plays, lambda p: p.user_id)
    return {user: {play.log_date for play in theirs} for user, theirs in own.items()}


def active_listeners(plays: Sequence[Play]) -> list[Row]:
    if not plays:
        return []
    first, last = min(p.log_date for p in plays), max(p.log_date for p in plays)
    days = [first + n * DAY for n in range((last - first).days + 1)]

    def active(day: date, width: int) -> int:
        return listeners(p for p in plays if day - width * DAY < p.log_date <= day)

    return [(day, active(day, 1), active(day, 7), active(day, 30)) for day in days]


def level_changes(user_levels: Iterable[Row]) -> list[Change]:
    found = []
    for user, own in grouped(user_levels, lambda row: int(str(row[0]))).items():
        periods = sorted((row[2], str(row[1])) for row in own)
        for (since, old), (at, new) in pairwise(periods):
            assert isinstance(since, datetime)
            assert isinstance(at, datetime)
            whole = at.replace(microsecond=0) - since.replace(microsecond=0)
            found.append(Change(user, at, old, new, whole.total_seconds() / 86400))
    return found


def before_level_changes(
    changes: Iterable[Change], plays: Iterable[Play], events: Iterable[Event]
) -> list[Row]:
    counted: Counter[tuple[str, str, str]] = Counter()
    plays, events = list(plays), list(events)
    for change in changes:
        pages = NOT_IN_SESSION
        shows = [
            (p.session_id, p.item_in_session)
            for p in plays
            if (p.user_id, p.start_time, p.level) == (change[0], change[1], change.to_level)
        ]
        if shows:
            session, item = min(shows)
            seen = [
                e
                for e in events
                if (e.user_id, e.session_id) == (change.user_id, session)
                and e.item_in_session < item
            ]
            old = [e.item_in_session for e in seen if e.level == change.from_level]
            if old:
                last = max(old)
                steps = {
                    (-e.item_in_session, -e.ts, e.page, old_item)
                    for e in seen
                    if e.item_in_session <= last
                    for old_item in [e.level == change.from_level]
                }
                pages = " > ".join(step[2] for step in reversed(sorted(steps)[:3]))
        counted[change.from_level, change.to_level, pages] += 1
    totals = Counter[tuple[str, str]]()
    for (old_level, new_level, _), n in counted.items():
        totals[old_level, new_level] += n
    return [(a, b, pages, n, n / totals[a, b]) for (a, b, pages), n in counted.items()]


def levels_per_day(plays: Sequence[Play]) -> list[Row]:
    days = Counter(p.log_date for p in plays)
    return [
        (day, level, len(own), listeners(own), len(own) / days[day])
        for (day, level), own in grouped(plays, lambda p: (p.log_date, p.level)).items()
    ]


def new_and_returning(plays: Sequence[Play]) -> list[Row]:
    counts: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    for days in days_of_listeners(plays).values():
        for day in days:
            counts[day][day > min(days)] += 1
    return [(day, new, returning) for day, (new, returning) in counts.items()]


def plays_per_artist_location(plays: Iterable[Play], artists: Iterable[Row]) -> list[Row]:
    places = {artist: place for artist, _, place, *_ in artists if place is not None}
    known = [p for p in plays if p.artist_id in places]
    return [
        (place, len(own), len({p.artist_id for p in own}))
        for place, own in grouped(known, lambda p: places[p.artist_id]).items()
    ]


def plays_per_level(plays: Sequence[Play]) -> list[Row]:
    return [
        (level, len(own), listeners(own), len(own) / len(plays))
        for level, own in grouped(plays, lambda p: p.level).items()
    ]


def plays_per_location(plays: Iterable[Play]) -> list[Row]:
    known = [p for p in plays if (p.location or "").rstrip(" ")]
    return [
        (location, len(own), listeners(own), len(own) / len(known))
        for location, own in grouped(known, lambda p: str(p.location).rstrip(" ")).items()
    ]


def plays_per_song(events: Iterable[Event]) -> Counter[tuple[str, str]]:
    played = [e for e in events if e.page == "NextSong" and e.user_id is not None]
    chosen = (
        min(
            deliveries,
            key=lambda e: nulls_last(e.log_date.toordinal(), e.level != "paid", e.song, e.artist),
        )
        for deliveries in grouped(played, natural_key).values()
    )
    return Counter(((e.song or "").rstrip(" "), (e.artist or "").rstrip(" ")) for e in chosen)


def natural_key(event: Event) -> tuple[object, ...]:
    return event.user_id, event.session_id, event.item_in_session, event.ts


def plays_per_week(plays: Iterable[Play]) -> list[Row]:
    days = Counter(p.start_time.date() for p in plays)
    weeks: Counter[tuple[date, int, int]] = Counter()
    for day, n in days.items():
        year, week, weekday = day.isocalendar()
        weeks[day - (weekday - 1) * DAY, year, week] += n
    return [(*week, n) for week, n in weeks.items()]


def sessions_per_day(plays: Iterable[Play]) -> list[Row]:
    sessions = grouped(plays, lambda p: (p.user_id, p.session_id))
    rows: list[Row] = []
    for day, own in grouped(sessions.values(), lambda s: min(p.log_date for p in s)).items():
        songs = sum(len(session) for session in own)
        seconds = [_seconds(p.start_time for p in session) for session in own]
        rows.append(
            (
                day, len(own), listeners(session[0] for session in own), songs, songs / len(own),
                sum(seconds) / (60 * len(own)), max(seconds) / 60,
            )
        )  # fmt: skip
    return rows


def _seconds(times: Iterable[datetime]) -> int:
    whole = [time.replace(microsecond=0) for time in times]
    return int((max(whole) - min(whole)).total_seconds())


def songplays_per_day(plays: Iterable[Play]) -> list[Row]:
    rows: list[Row] = []
    for day, own in grouped(plays, lambda p: p.log_date).items():
        matched = sum(p.song_id is not None for p in own)
        rows.append((day, len(own), listeners(own), matched, matched / len(own)))
    return rows


def top_artists(of_songs: Counter[tuple[str, str]]) -> list[Row]:
    artists: Counter[tuple[str]] = Counter()
    for (_, artist), n in of_songs.items():
        if artist:
            artists[artist,] += n
    return top(artists)


def top(counts: dict[tuple[str, ...], int]) -> list[Row]:
    ordered = sorted(counts, key=lambda names: (-counts[names], [n.encode() for n in names]))
    return [(place, *names, counts[names]) for place, names in enumerate(ordered[:10], 1)]


def weekly_retention(plays: Iterable[Play]) -> list[Row]:
    weeks_of = {
        user: {day - day.weekday() * DAY for day in days}
        for user, days in days_of_listeners(plays).items()
    }
    all_weeks = set[date]().union(*weeks_of.values())
    rows: list[Row] = []
    for cohort, members in grouped(weeks_of.values(), min).items():
        for week in all_weeks:
            if week >= cohort:
                n = sum(week in weeks for weeks in members)
                since = (week - cohort).days // 7
                rows.append((cohort, since, n, len(members), n / len(members)))
    return rows
