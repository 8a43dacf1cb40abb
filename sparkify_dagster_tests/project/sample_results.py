"""What the sample lake must give, computed from its JSON lines in plain Python, without any SQL.

The files in sparkify_dagster/sample_expected were written by this, and reviewed; the tests hold
them against it and against the tables. To write them anew, after a change of the simulator:

    python -m sparkify_dagster_tests.project.sample_results LAKE FOLDER
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

REMARK = "# The sample's expected rows, computed from its JSON lines, not from the table."
TOP = 10
Row = tuple[object, ...]


@dataclass(frozen=True)
class Play:
    """A song that an identified listener started. ``day`` is that of the log file."""

    day: date
    ts: int
    user: int
    names: tuple[str, str, str]  # first, last, gender
    level: str
    session: int
    item: int
    song: str
    artist: str
    length: float
    location: str

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.ts // 1000, UTC) + timedelta(milliseconds=self.ts % 1000)


def plays_of(lake: Path) -> list[Play]:
    """All plays in the order of time, each once however often it was delivered."""
    plays: dict[tuple[int, int, int, int], Play] = {}
    for path in sorted((lake / "log_data").rglob("*-events.json")):
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            if line["page"] != "NextSong" or line["userId"] == "":
                continue
            play = Play(
                date.fromisoformat(path.name[:10]),
                line["ts"],
                int(line["userId"]),
                (line["firstName"], line["lastName"], line["gender"]),
                line["level"],
                line["sessionId"],
                line["itemInSession"],
                line["song"],
                line["artist"],
                line["length"],
                line["location"],
            )
            plays.setdefault((play.user, play.session, play.item, play.ts), play)
    return sorted(plays.values(), key=lambda play: play.ts)


def known_songs(lake: Path) -> set[tuple[str, str, float]]:
    """Title, name of the artist and duration of the songs of the catalogue."""
    songs = [
        json.loads(p.read_text(encoding="utf-8")) for p in (lake / "song_data").rglob("*.json")
    ]
    return {(song["title"], song["artist_name"], song["duration"]) for song in songs}


def files(lake: Path) -> Iterator[tuple[str, str]]:
    """The name and the text of each file of expected results."""
    plays, songs = plays_of(lake), known_songs(lake)
    yield _file("users", "user_id,first_name,last_name,gender,level", _users(plays))
    yield _file("level_changes", "user_id,changed_at,from_level,to_level", _changes(plays))
    yield _file("plays_per_hour", "hour,plays", _counts(plays, lambda p: p.moment.hour))
    weekday = _counts(plays, lambda p: p.moment.isoweekday() % 7)
    yield _file("plays_per_weekday", "weekday,plays", weekday)
    week = _counts(plays, lambda p: p.moment.isocalendar().week)
    yield _file("plays_per_week", "week,plays", week)
    level = [
        (name, len(of), len({p.user for p in of}), f"{len(of) / len(plays):.4f}")
        for name, of in _by(plays, lambda p: p.level)
    ]
    columns = "level,plays,users,share_of_plays"
    yield _file("plays_per_level", columns, level, "# tolerance of share_of_plays: 0.0001")
    columns = "log_date,songplays,users,matched,match_rate"
    yield _file(
        "songplays_per_day", columns, _days(plays, songs), "# tolerance of match_rate: 0.0001"
    )
    columns = "day,sessions,users,plays,plays_per_session,minutes_per_session,longest_minutes"
    yield _file("sessions_per_day", columns, _sessions(plays), "# tolerance: 0.001")
    yield _file("top_songs", "song,artist,plays", _top(plays, lambda p: (p.song, p.artist)))
    yield _file("top_artists", "artist,plays", _top(plays, lambda p: (p.artist,)))
    yield _file("top_locations", "location,plays", _top(plays, lambda p: (p.location,)))


def _by(plays: Sequence[Play], key: Callable[[Play], object]) -> list[tuple[object, list[Play]]]:
    groups: dict[object, list[Play]] = defaultdict(list)
    for play in plays:
        groups[key(play)].append(play)
    return sorted(groups.items(), key=lambda group: group[0])  # type: ignore[arg-type,return-value]  # keys of one table are of one type


def _counts(plays: Sequence[Play], key: Callable[[Play], object]) -> list[Row]:
    return [(value, len(of)) for value, of in _by(plays, key)]


def _users(plays: Sequence[Play]) -> list[Row]:
    return [(user, *own[-1].names, own[-1].level) for user, own in _by(plays, lambda p: p.user)]


def _changes(plays: Sequence[Play]) -> list[Row]:
    changes = list[Row]()
    for user, own in _by(plays, lambda p: p.user):
        for before, after in pairwise(own):
            if before.level != after.level:
                when = after.moment.replace(tzinfo=None).isoformat(" ", "milliseconds")
                changes.append((user, when, before.level, after.level))
    return changes


def _days(plays: Sequence[Play], songs: set[tuple[str, str, float]]) -> list[Row]:
    rows = list[Row]()
    for day, own in _by(plays, lambda p: p.day):
        matched = sum((p.song, p.artist, p.length) in songs for p in own)
        rate = f"{matched / len(own):.4f}"
        rows.append((day, len(own), len({p.user for p in own}), matched, rate))
    return rows


def _sessions(plays: Sequence[Play]) -> list[Row]:
    """By the day of a session's first play; it lasts from its first song to its last one."""
    begun: dict[date, list[list[Play]]] = defaultdict(list)
    for _, own in _by(plays, lambda p: (p.user, p.session)):
        begun[min(p.day for p in own)].append(own)
    rows = list[Row]()
    for day, sessions in sorted(begun.items()):
        minutes = [(own[-1].ts // 1000 - own[0].ts // 1000) / 60 for own in sessions]
        count, total = len(sessions), sum(map(len, sessions))
        users = len({own[0].user for own in sessions})
        means = f"{total / count:.4f}", f"{sum(minutes) / count:.4f}", f"{max(minutes):.4f}"
        rows.append((day, count, users, total, *means))
    return rows


def _top(plays: Sequence[Play], key: Callable[[Play], tuple[str, ...]]) -> list[Row]:
    """Most plays first; of equally many, the smaller text in the order of bytes."""
    counts = Counter(map(key, plays))
    order = sorted(counts, key=lambda k: (-counts[k], [text.encode() for text in k]))
    return [(*k, counts[k]) for k in order[:TOP]]


def _file(table: str, columns: str, rows: Sequence[Row], *remarks: str) -> tuple[str, str]:
    lines = [",".join(map(_cell, row)) for row in rows]
    return f"{table}.csv", "\n".join([REMARK, *remarks, columns, *lines]) + "\n"


def _cell(value: object) -> str:
    text = str(value)
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if "," in text or '"' in text else text


if __name__ == "__main__":
    lake, folder = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(lake):
        (folder / name).write_text(text, encoding="utf-8", newline="")
