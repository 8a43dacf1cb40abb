"""The music: the catalogue that becomes song files, and the songs that are only ever played.

A song's index is its rank of popularity. The troubles sit at fixed steps of the index, so that a
small catalogue has them too. Nothing here depends on days, users or events.
"""

from dataclasses import dataclass, replace

import numpy as np

from sparkify_dagster.simulate.sessions import Music
from sparkify_dagster.simulate.streams import CATALOGUE, OTHER_SONGS, cumulative, uniform
from sparkify_dagster.simulate.vocabulary import (
    ADJECTIVES,
    FIRST_NAMES,
    LAST_NAMES,
    NOUNS,
    PLACES,
    TITLE_ENDINGS,
    TROUBLED_ARTISTS,
    TROUBLED_TITLES,
)

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Most plays are of songs without a file; so many are of songs with one.
PLAYS_IN_CATALOGUE = 0.3
OTHER_SONGS_PER_SONG = 3


@dataclass(frozen=True)
class Artist:
    artist_id: str
    name: str
    location: str
    latitude: float | None
    longitude: float | None


@dataclass(frozen=True)
class Song:
    track_id: str
    song_id: str
    artist: Artist
    title: str
    duration: float
    year: int


@dataclass(frozen=True)
class Tune:
    """What a log line says about a song."""

    artist: str
    title: str
    duration: float


def identifier(prefix: str, kind: str, number: int, chance: float) -> str:
    """18 characters like SOMZWCG12A8C13C480; the last eight are never the same twice."""
    scattered = int(chance * 26**5)
    letters = "".join(LETTERS[scattered // 26**i % 26] for i in range(5))
    # An odd factor makes this a permutation of the 32-bit numbers.
    return f"{prefix}{letters}{kind}{(number + 1) * 2654435761 % 2**32:08X}"


def catalogue(seed: int, songs: int) -> list[Song]:
    """The songs that have a file, the most popular first."""
    rows = uniform(songs * 10, seed, CATALOGUE, 0).reshape(songs, 10).tolist()
    artists = _artists(seed, max(1, songs * 2 // 3))
    made: list[Song] = []
    for i, row in enumerate(rows):
        song = Song(
            track_id=_track_id(i, row[0]),
            song_id=identifier("SO", "12A", i, row[1]),
            # Squared: the first artists have many songs, most have one.
            artist=artists[int(row[2] * row[2] * len(artists))],
            title=_title(i, row[3:7]),
            duration=_duration(row[7]),
            year=0 if row[8] < 0.55 else 1960 + int(row[9] * 51),
        )
        if i % 25 == 5:
            song = replace(song, artist=_other_spelling(made[i - 2].artist, i, row[2]))
        elif i % 40 == 7:
            song = _tie(song, made[i - 1], i)
        made.append(song)
    return made


def other_tunes(seed: int, songs: list[Song]) -> list[Tune]:
    """The tunes that are played and have no song file."""
    count = OTHER_SONGS_PER_SONG * len(songs) + 50
    rows = uniform(count * 8, seed, OTHER_SONGS, 0).reshape(count, 8).tolist()
    names = _artists(seed, len(songs) + 20, OTHER_SONGS)
    tunes = []
    for i, row in enumerate(rows):
        name = names[int(row[0] * row[0] * len(names))].name
        tune = Tune(name, _title(i, row[1:5]), _duration(row[5]))
        if i % 10 == 3:
            tune = _near_miss(songs[int(row[6] * len(songs))], tune)
        tunes.append(tune)
    return tunes


def _near_miss(song: Song, tune: Tune) -> Tune:
    """A catalogue song in another length, or with the doubly encoded accents of the real log."""
    artist, title = song.artist.name, song.title
    garbled = [text.encode().decode("latin-1") for text in (artist, title)]
    if garbled != [artist, title]:
        return Tune(garbled[0], garbled[1], song.duration)
    return Tune(artist, title, tune.duration)


def _artists(seed: int, count: int, kind: int = CATALOGUE) -> list[Artist]:
    rows = uniform(count * 8, seed, kind, 1).reshape(count, 8).tolist()
    artists = []
    for i, row in enumerate(rows):
        location, latitude, longitude = PLACES[int(row[5] * len(PLACES))]
        known = row[6] < 0.4
        artists.append(
            Artist(
                artist_id=identifier("AR", "118", i, row[0]),
                name=_artist_name(i, row[1:5]),
                location=location if row[7] < 0.55 else "",
                latitude=latitude if known else None,
                longitude=longitude if known else None,
            )
        )
    return artists


def _artist_name(number: int, chance: list[float]) -> str:
    if number % 11 == 0 and number < 11 * len(TROUBLED_ARTISTS):
        return TROUBLED_ARTISTS[number // 11]
    pattern, *words = chance
    first = FIRST_NAMES[int(words[0] * len(FIRST_NAMES))][0]
    last = LAST_NAMES[int(words[1] * len(LAST_NAMES))]
    adjective = ADJECTIVES[int(words[0] * len(ADJECTIVES))]
    noun = NOUNS[int(words[1] * len(NOUNS))]
    other = NOUNS[int(words[2] * len(NOUNS))]
    if pattern < 0.45:
        return f"{first} {last}"
    if pattern < 0.75:
        return f"The {adjective} {noun}s"
    if pattern < 0.9:
        return f"{last} & the {other}"
    return f"{adjective} {noun} {other}"


def _title(number: int, chance: list[float]) -> str:
    if number % 8 == 4 and number < 8 * len(TROUBLED_TITLES):
        return TROUBLED_TITLES[number // 8]
    adjective = ADJECTIVES[int(chance[0] * len(ADJECTIVES))]
    noun = NOUNS[int(chance[1] * len(NOUNS))]
    other = NOUNS[int(chance[2] * len(NOUNS))]
    ending = TITLE_ENDINGS[int(chance[3] * len(TITLE_ENDINGS))]
    if chance[0] < 0.3:
        return f"{adjective} {noun}{ending}"
    if chance[0] < 0.6:
        return f"{noun} of the {adjective} {other}{ending}"
    return f"My {adjective} {noun} and the {other}{ending}"


def _duration(chance: float) -> float:
    # Half of the songs last 180 to 300 s, the rest 20 to 640 s; five decimals as in the real ones.
    seconds = 180 + 240 * chance if chance < 0.5 else 20 + 1240 * (chance - 0.5)
    return int(seconds * 100_000) / 100_000


def _track_id(number: int, chance: float) -> str:
    # The third to fifth character are the folders: 24 files to a folder, as in A/A/A, A/A/B, ...
    folder = number // 24
    letters = "".join(LETTERS[folder // 26**i % 26] for i in (2, 1, 0))
    return f"TR{letters}{identifier('', '128', number, chance)[3:]}"


def _other_spelling(artist: Artist, number: int, chance: float) -> Artist:
    """The same artist as another song file writes it: name, place and coordinates differ."""
    spellings = (
        f"{artist.name} featuring {FIRST_NAMES[int(chance * len(FIRST_NAMES))][0]}",
        artist.name.upper() if artist.name.upper() != artist.name else f"{artist.name} Band",
        f"{artist.name};{LAST_NAMES[int(chance * len(LAST_NAMES))]}",
    )
    location = "Earth" if artist.location == "" else f"{artist.location} (USA)"
    spelling = spellings[number // 25 % len(spellings)]
    return Artist(artist.artist_id, spelling, location, None, None)


def _tie(song: Song, before: Song, number: int) -> Song:
    """A second song_id for the song before; every other time under a namesake's artist_id."""
    artist = before.artist
    if number % 80 == 47:
        namesake = identifier("AR", "122", number, 0.5)
        artist = replace(artist, artist_id=namesake, location="", latitude=None, longitude=None)
    return replace(song, artist=artist, title=before.title, duration=before.duration)


def tunes(seed: int, songs: list[Song]) -> list[Tune]:
    """All that is played: the catalogue in its order, then the songs outside it."""
    known = [Tune(song.artist.name, song.title, song.duration) for song in songs]
    return known + other_tunes(seed, songs)


def music(songs: int, played: list[Tune]) -> Music:
    """Lengths, and shares by Zipf's law in each part: plays fall as 1 / (rank + 2).

    Mandelbrot's shift keeps the first song of a large catalogue at some 2 % of all plays.
    """
    shares = []
    for count, share in (
        (songs, PLAYS_IN_CATALOGUE),
        (len(played) - songs, 1 - PLAYS_IN_CATALOGUE),
    ):
        weights = 1.0 / np.arange(3, count + 3)
        shares.append(weights * (share / np.cumsum(weights)[-1]))
    seconds = np.array([0.0, *(tune.duration for tune in played)])
    return Music(cumulative(np.concatenate(shares)), seconds)
