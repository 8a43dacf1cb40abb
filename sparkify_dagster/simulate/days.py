"""The days: which sessions come about, when, at what level, and which events each day holds.

A day is made from the state that the day before left: each listener's level, until when each is
busy, and the events of sessions that crossed midnight. Nothing here looks ahead further than the
number of events of the next day, which does not depend on how many days are simulated.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from sparkify_dagster.simulate.listeners import Habits
from sparkify_dagster.simulate.plan import Simulation, SimulationError
from sparkify_dagster.simulate.sessions import (
    ACCOUNT,
    MEAN_LENGTH,
    SUBMIT,
    Bools,
    Ints,
    Music,
    Sessions,
    draw_sessions,
)
from sparkify_dagster.simulate.streams import DAYS, stream

DAY = 86_400_000
# The shortest pause between two sessions of a listener.
PAUSE = 60_000
# Wider than all the times of one listener, so that listeners stay apart in one running maximum.
APART = 1 << 42


@dataclass(frozen=True)
class Events:
    """Events by column; `ts` is in milliseconds from the midnight that starts the day."""

    ts: Ints
    user: Ints
    session: Ints
    item: Ints
    page: Ints
    paid: Ints
    song: Ints

    def __len__(self) -> int:
        return len(self.ts)

    def where(self, chosen: Bools | Ints) -> "Events":
        return Events(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def then(self, other: "Events") -> "Events":
        columns = (field.name for field in fields(self))
        return Events(*(np.concatenate([getattr(self, c), getattr(other, c)]) for c in columns))


@dataclass
class _State:
    """What a day leaves for the next one."""

    paid: Bools
    busy_until: Ints
    crossing: Events
    sessions: int


def simulate_days(simulation: Simulation, habits: Habits, music: Music) -> Iterator[Events]:
    """The events of one day after the other, by time."""
    nothing = np.zeros(0, dtype=np.int64)
    state = _State(
        paid=habits.paid.copy(),
        busy_until=np.zeros(simulation.users, dtype=np.int64),
        crossing=Events(*(nothing for _ in fields(Events))),
        sessions=0,
    )
    for number in range(simulation.days):
        yield _day(simulation, number, state, habits, music)


def _day(
    simulation: Simulation, number: int, state: _State, habits: Habits, music: Music
) -> Events:
    wanted = simulation.events_on(number) - len(state.crossing)
    # Half of tomorrow at most: small lakes would otherwise be all leftovers.
    tomorrow = simulation.events_on(number + 1) // 2
    sessions, start = _enough_sessions(simulation, number, wanted, state, habits, music)
    ts = np.repeat(start, sessions.events) + sessions.elapsed
    kept = _kept(sessions, ts, wanted, tomorrow)
    started = _events(sessions, ts, kept, _session_numbers(start, kept, state), state)

    took_place = kept > 0
    until = (start + sessions.duration + PAUSE)[took_place]
    np.maximum.at(state.busy_until, sessions.user[took_place], until)
    state.busy_until -= DAY

    today = state.crossing.then(started.where(started.ts < DAY))
    crossing = started.where(started.ts >= DAY)
    state.crossing = Events(crossing.ts - DAY, *_columns(crossing)[1:])
    return today.where(np.lexsort((today.item, today.session, today.ts)))


def _columns(events: Events) -> list[Ints]:
    return [getattr(events, field.name) for field in fields(events)]


def _enough_sessions(
    simulation: Simulation,
    number: int,
    wanted: int,
    state: _State,
    habits: Habits,
    music: Music,
) -> tuple[Sessions, Ints]:
    """Candidates whose events of this day are at least those wanted, and their starts."""
    share = np.diff(habits.sessions, prepend=0.0)
    paying = float(np.cumsum(np.where(state.paid, share, 0.0))[-1])
    length = MEAN_LENGTH[1] * paying + MEAN_LENGTH[0] * (1 - paying)
    count = 4 + int(1.2 * wanted / length)
    for attempt in range(16):
        chance = stream(simulation.seed, DAYS, number, attempt)
        sessions = draw_sessions(chance, count, habits, state.paid, music)
        start = _one_after_the_other(sessions, state.busy_until)
        ts = np.repeat(start, sessions.events) + sessions.elapsed
        if int((ts < DAY).sum()) >= wanted:
            return sessions, start
        count *= 2
    raise SimulationError(
        f"The {simulation.users} users cannot make {wanted} events on {simulation.day(number)}: "
        "give more users or fewer events_per_day"
    )


def _one_after_the_other(sessions: Sessions, busy_until: Ints) -> Ints:
    """The starts, delayed until the same listener's session before is over.

    A start is the latest of its own wish and each earlier wish plus all that lies between:
    wishes 0, 5, 20 of 10 long each give 0, 10, 20.
    """
    user = sessions.user
    is_first = _changes(user)
    group = np.cumsum(is_first) - 1
    firsts = np.flatnonzero(is_first)
    taken = sessions.duration + PAUSE
    before = np.cumsum(taken) - taken
    before -= before[firsts][group]
    wish = np.maximum(sessions.start, busy_until[user])
    # Listeners that follow lie higher by APART, so that one running maximum serves them all.
    latest: Ints = np.maximum.accumulate(wish - before + group * APART)
    start: Ints = latest - group * APART + before
    return start


def _changes(values: Ints) -> Bools:
    """True where a new run of equal values begins."""
    begins = np.ones(len(values), dtype=np.bool_)
    begins[1:] = values[1:] != values[:-1]
    return begins


def _kept(sessions: Sessions, ts: Ints, wanted: int, tomorrow: int) -> Ints:
    """How many events of each session take place, so that the day holds exactly those wanted.

    Candidates count in the order in which they were drawn; the last one ends early.
    """
    first = np.cumsum(sessions.events) - sessions.events
    drawn = np.argsort(sessions.order, kind="stable")
    today = np.add.reduceat((ts < DAY).astype(np.int64), first)[drawn]
    later = np.add.reduceat((ts < 2 * DAY).astype(np.int64), first)[drawn] - today
    kept = np.clip(wanted - (np.cumsum(today) - today), 0, today)
    later[(kept < today) | (today == 0)] = 0
    later[np.cumsum(later) > tomorrow] = 0
    result: Ints = np.zeros(len(kept), dtype=np.int64)
    result[drawn] = kept + later
    return result


def _session_numbers(start: Ints, kept: Ints, state: _State) -> Ints:
    """Numbers in the order in which the sessions start, on from those of the days before."""
    took_place = np.flatnonzero(kept)
    numbers = np.zeros(len(kept), dtype=np.int64)
    by_start = took_place[np.argsort(start[took_place], kind="stable")]
    numbers[by_start] = state.sessions + 1 + np.arange(len(by_start))
    state.sessions += len(by_start)
    return numbers


def _events(sessions: Sessions, ts: Ints, kept: Ints, numbers: Ints, state: _State) -> Events:
    """The events that take place, by listener and time, with levels that follow the changes."""
    chosen = sessions.item < np.repeat(kept, sessions.events)
    user = np.repeat(sessions.user, kept)
    page = sessions.page[chosen]
    submits = (page == SUBMIT).astype(np.int64)
    changes = np.cumsum(submits) - submits
    is_first = _changes(user)
    # Running counts only grow, so the latest first one is the largest.
    changes -= np.maximum.accumulate(np.where(is_first, changes, 0))
    paid = state.paid[user].astype(np.int64) ^ (changes & 1)
    changed = np.bincount(user[submits == 1], minlength=len(state.paid)) % 2 == 1
    state.paid ^= changed
    return Events(
        ts=ts[chosen],
        user=user,
        session=np.repeat(numbers, kept),
        item=sessions.item[chosen],
        page=np.where(page >= ACCOUNT, page + 2 * paid, page),
        paid=paid,
        song=sessions.song[chosen],
    )
