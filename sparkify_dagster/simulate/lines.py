"""Text: song files and log lines, character by character as the real ones are written.

Whatever a line says about a listener, a song or a page is written once, into tables of
fragments; a line is fourteen of them joined.
"""

import json
from collections.abc import Iterable
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from sparkify_dagster.simulate.catalogue import Song, Tune
from sparkify_dagster.simulate.days import Events
from sparkify_dagster.simulate.listeners import Listener
from sparkify_dagster.simulate.sessions import PAGES, Ints

LOG_KEYS = (
    "artist", "auth", "firstName", "gender", "itemInSession", "lastName",
    "length", "level", "location", "method", "page", "registration",
    "sessionId", "song", "status", "ts", "userAgent", "userId",
)  # fmt: skip

Fragments = NDArray[np.object_]


def json_paths() -> str:
    """Redshift's JSONPaths of a log line, six to a row."""
    paths = [f"\"$['{key}']\"" for key in LOG_KEYS]
    rows = ",\n    ".join(", ".join(paths[i : i + 6]) for i in range(0, len(paths), 6))
    return f'{{\n  "jsonpaths": [\n    {rows}\n  ]\n}}\n'


def song_file(song: Song) -> str:
    return json.dumps(
        {
            "num_songs": 1,
            "artist_id": song.artist.artist_id,
            "artist_latitude": song.artist.latitude,
            "artist_longitude": song.artist.longitude,
            "artist_location": song.artist.location,
            "artist_name": song.artist.name,
            "song_id": song.song_id,
            "title": song.title,
            "duration": song.duration,
            "year": song.year,
        }
    )


class LogLines:
    """The log lines of the given listeners and tunes."""

    def __init__(self, listeners: Iterable[Listener], tunes: Iterable[Tune]) -> None:
        people = [*map(_person, listeners), _NOBODY]
        self._nobody = len(people) - 1
        self._people = [_table(column) for column in zip(*people, strict=True)]
        # Index 0 is no song.
        music = [_tune(None), *map(_tune, tunes)]
        self._music = [_table(column) for column in zip(*music, strict=True)]
        self._levels = _table([',"level":"free"', ',"level":"paid"'])
        pages = [
            (f'"{method}","page":{_text(page)}', f'{status},"ts":')
            for page, method, status, _ in PAGES
        ]
        self._pages = [_table(column) for column in zip(*pages, strict=True)]
        self._logged_in = np.array([logged_in for *_, logged_in in PAGES])

    def text(self, events: Events, midnight: int) -> str:
        """The lines of a file; like the real ones it ends without a newline."""
        person = np.where(self._logged_in[events.page], events.user, self._nobody)
        opened, last_name, place, registered, closed = self._people
        artist, length, title = self._music
        method, status = self._pages
        columns = (
            artist[events.song],
            opened[person],
            _numbers(events.item),
            last_name[person],
            length[events.song],
            self._levels[events.paid],
            place[person],
            method[events.page],
            registered[person],
            _numbers(events.session),
            title[events.song],
            status[events.page],
            _numbers(events.ts + midnight),
            closed[person],
        )
        return "".join(chain.from_iterable(zip(*columns, strict=True)))[:-1]


def _text(value: str) -> str:
    """A JSON string as in the real log: ASCII only, slashes escaped."""
    return json.dumps(value).replace("/", "\\/")


def _person(listener: Listener) -> tuple[str, str, str, str, str]:
    return (
        f',"auth":"Logged In","firstName":{_text(listener.first_name)}'
        f',"gender":"{listener.gender}","itemInSession":',
        f',"lastName":{_text(listener.last_name)},"length":',
        f',"location":{_text(listener.location)},"method":',
        f',"registration":{listener.registered}.0,"sessionId":',
        f',"userAgent":{_text(listener.user_agent)},"userId":"{listener.user_id}"}}\n',
    )


_NOBODY = (
    ',"auth":"Logged Out","firstName":null,"gender":null,"itemInSession":',
    ',"lastName":null,"length":',
    ',"location":null,"method":',
    ',"registration":null,"sessionId":',
    ',"userAgent":null,"userId":""}\n',
)


def _tune(tune: Tune | None) -> tuple[str, str, str]:
    if tune is None:
        return '{"artist":null', "null", ',"song":null,"status":'
    return (
        f'{{"artist":{_text(tune.artist)}',
        repr(tune.duration),
        f',"song":{_text(tune.title)},"status":',
    )


def _table(fragments: Iterable[str]) -> Fragments:
    return np.array(list(fragments), dtype=np.object_)


def _numbers(values: Ints) -> Iterable[str]:
    return map(str, values.tolist())
