"""The sessions that may start on one day, page by page. Nothing here knows of other days.

A session is a row of motifs: short runs of pages that belong together, such as Logout, Home,
Login, Home. Motifs name an account page without the level: Upgrade stands for Downgrade, and
Submit Upgrade for Submit Downgrade, while the listener pays.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparkify_dagster.simulate.listeners import Habits
from sparkify_dagster.simulate.streams import cumulative, draw

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# (page, method, status, logged in); the paid page of an account page is two further on.
PAGES = (
    ("NextSong", "PUT", 200, True),
    ("Home", "GET", 200, True),
    ("About", "GET", 200, True),
    ("Help", "GET", 200, True),
    ("Settings", "GET", 200, True),
    ("Save Settings", "PUT", 307, True),
    ("Error", "GET", 404, True),
    ("Logout", "PUT", 307, True),
    ("Home", "GET", 200, False),
    ("About", "GET", 200, False),
    ("Help", "GET", 200, False),
    ("Login", "PUT", 307, False),
    ("Upgrade", "GET", 200, True),
    ("Submit Upgrade", "PUT", 307, True),
    ("Downgrade", "GET", 200, True),
    ("Submit Downgrade", "PUT", 307, True),
)
PLAY, HOME, ABOUT, HELP, SETTINGS, SAVE, ERROR, LOGOUT = range(8)
OUT_HOME, OUT_ABOUT, OUT_HELP, LOGIN, ACCOUNT, SUBMIT = range(8, 14)

# (pages, weight anywhere, weight as the first motif of a session)
MOTIFS = (
    ((PLAY,), 0.910, 0.60),
    ((HOME,), 0.036, 0.30),
    ((ABOUT,), 0.004, 0.0),
    ((HELP,), 0.006, 0.0),
    ((SETTINGS,), 0.006, 0.01),
    ((SETTINGS, SAVE, HOME), 0.002, 0.0),
    ((ERROR,), 0.002, 0.01),
    ((ACCOUNT,), 0.014, 0.01),
    ((LOGOUT, OUT_HOME, LOGIN, HOME), 0.010, 0.0),
    ((LOGOUT, OUT_HOME, OUT_HOME, LOGIN, HOME), 0.006, 0.0),
    ((LOGOUT, OUT_HOME, OUT_ABOUT, LOGIN, HOME), 0.002, 0.0),
    ((LOGOUT, OUT_HOME, OUT_HELP, OUT_HOME, LOGIN, HOME), 0.002, 0.0),
    ((OUT_HOME, LOGIN, HOME), 0.0, 0.07),
    ((OUT_HOME, OUT_ABOUT, OUT_HOME), 0.0, 0.0),
    ((LOGOUT, OUT_HOME), 0.0, 0.0),
    ((ACCOUNT, SUBMIT, HOME), 0.0, 0.0),
)
VISIT, GOODBYE, CHANGE = 13, 14, 15

# Motifs of a session, by level: sixteen equally likely lengths, before some jitter.
LENGTHS = np.array(
    [
        [1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 8, 11],
        [1, 1, 2, 2, 3, 4, 5, 7, 9, 12, 15, 20, 27, 38, 55, 90],
    ],
    dtype=np.float64,
)
MEAN_LENGTH = (3.5, 20.0)
# Chance that a session changes the level; their ratio keeps PAID_SHARE of the listeners paying.
CHANGE_RATE = np.array([0.012, 0.018])

# Longest wait in seconds after a page that is no song.
LONGEST_WAIT = np.array(
    [0, 600, 300, 300, 120, 30, 60, 120, 900, 300, 300, 150, 240, 90], dtype=np.float64
)
HOUR_WEIGHTS = (
    1.0, 0.9, 0.8, 0.8, 0.9, 1.1, 1.2, 1.2, 1.4, 1.5, 1.7, 1.9,
    2.0, 2.3, 2.7, 3.1, 3.1, 2.9, 2.8, 2.3, 2.1, 1.8, 1.5, 1.2,
)  # fmt: skip
HOURS = cumulative(np.array(HOUR_WEIGHTS))

MOTIF_PAGES = np.array([page for pages, _, _ in MOTIFS for page in pages], dtype=np.int64)
MOTIF_LENGTH = np.array([len(pages) for pages, _, _ in MOTIFS], dtype=np.int64)
MOTIF_START = np.cumsum(MOTIF_LENGTH) - MOTIF_LENGTH
ANYWHERE = cumulative(np.array([anywhere for _, anywhere, _ in MOTIFS]))
OPENING = cumulative(np.array([opening for _, _, opening in MOTIFS]))


@dataclass(frozen=True)
class Music:
    """What sessions need to know of the songs: index 0 is no song."""

    shares: NDArray[np.float64]
    seconds: NDArray[np.float64]


@dataclass(frozen=True)
class Sessions:
    """Candidates by user and wished start, and their events; times in milliseconds.

    `order` is the order in which candidates were drawn: any first part of it is a fair sample.
    """

    order: Ints
    user: Ints
    start: Ints
    duration: Ints
    events: Ints
    item: Ints
    page: Ints
    song: Ints
    elapsed: Ints


def draw_sessions(
    chance: np.random.Generator, count: int, habits: Habits, paid: Bools, music: Music
) -> Sessions:
    user = draw(habits.sessions, chance.random(count))
    hour = draw(HOURS, chance.random(count))
    start = hour * 3_600_000 + (chance.random(count) * 3_600_000).astype(np.int64)
    order = np.lexsort((start, user))
    user, start = user[order], start[order]
    motif, motifs = _motifs(chance, paid[user].astype(np.int64))

    length = MOTIF_LENGTH[motif]
    inside = _count_up(length)
    page = MOTIF_PAGES[np.repeat(MOTIF_START[motif], length) + inside]
    first_motif = np.cumsum(motifs) - motifs
    events = np.add.reduceat(length, first_motif)

    song = np.zeros(len(page), dtype=np.int64)
    plays = np.flatnonzero(page == PLAY)
    song[plays] = 1 + draw(music.shares, chance.random(len(plays)))
    wait = _waits(chance, page, music.seconds[song])
    elapsed = np.cumsum(wait) - wait
    first = np.cumsum(events) - events
    return Sessions(
        order=order,
        user=user,
        start=start,
        duration=np.add.reduceat(wait, first),
        events=events,
        item=_count_up(events),
        page=page,
        song=song,
        elapsed=elapsed - np.repeat(elapsed[first], events),
    )


def _motifs(chance: np.random.Generator, level: Ints) -> tuple[Ints, Ints]:
    """The motifs of all sessions in a row, and how many each session has."""
    count = len(level)
    base = LENGTHS[level, (chance.random(count) * 16).astype(np.int64)]
    motifs = np.maximum(1, (base * (0.7 + 0.6 * chance.random(count))).astype(np.int64))
    motif = draw(ANYWHERE, chance.random(int(motifs.sum())))
    last = np.cumsum(motifs) - 1
    first = last - motifs + 1
    motif[first] = draw(OPENING, chance.random(count))
    ends = chance.random(count)
    motif[last[(motifs > 1) & (ends < 0.06)]] = GOODBYE
    motif[last[(motifs == 1) & (ends < 0.05)]] = VISIT
    changes = chance.random(count) < CHANGE_RATE[level]
    where = first + (chance.random(count) * motifs).astype(np.int64)
    motif[where[changes]] = CHANGE
    return motif, motifs


def _waits(chance: np.random.Generator, page: Ints, seconds: NDArray[np.float64]) -> Ints:
    """Milliseconds to the next event: whole seconds, at least one, a song's length mostly."""
    how_long = chance.random(len(page))
    other = 1 + LONGEST_WAIT[page] * how_long * how_long * how_long
    skipped = chance.random(len(page)) < 0.05
    heard = np.where(skipped, 1 + seconds * how_long, seconds)
    chosen: Ints = np.where(page == PLAY, heard, other).astype(np.int64) * 1000
    return chosen


def _count_up(lengths: Ints) -> Ints:
    """0, 1, 2, ... anew for each length: [2, 3] gives [0, 1, 0, 1, 2]."""
    total = int(lengths.sum())
    return np.arange(total) - np.repeat(np.cumsum(lengths) - lengths, lengths)
