"""The listeners: who they are, how often they come and what they pay at first.

What they do on a day is not here, nor is anything that depends on the number of days.
"""

import datetime
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparkify_dagster.simulate.streams import LISTENERS, cumulative, stream
from sparkify_dagster.simulate.vocabulary import AGENTS, FIRST_NAMES, LAST_NAMES, METROS, SYSTEMS

PAID_SHARE = 0.4


@dataclass(frozen=True)
class Listener:
    user_id: int
    first_name: str
    last_name: str
    gender: str
    location: str
    user_agent: str
    registered: int


@dataclass(frozen=True)
class Habits:
    """Of every listener: the running share of all sessions, and the level on the first day."""

    sessions: NDArray[np.float64]
    paid: NDArray[np.bool_]


def listeners(seed: int, count: int, start: datetime.date) -> list[Listener]:
    rows = stream(seed, LISTENERS, 0).random((count, 7)).tolist()
    midnight = int(datetime.datetime.combine(start, datetime.time(), datetime.UTC).timestamp())
    return [_listener(number, row, midnight) for number, row in enumerate(rows, start=1)]


def _listener(number: int, chance: list[float], midnight: int) -> Listener:
    first_name, gender = FIRST_NAMES[int(chance[0] * len(FIRST_NAMES))]
    system = SYSTEMS[int(chance[3] * len(SYSTEMS))]
    # Registered at some millisecond of the 90 days before the first one.
    registered = midnight * 1000 - 1 - int(chance[5] * 90 * 86_400_000)
    return Listener(
        user_id=number,
        first_name=first_name,
        last_name=LAST_NAMES[int(chance[1] * len(LAST_NAMES))],
        gender=gender,
        location=METROS[int(chance[2] * len(METROS))],
        user_agent=AGENTS[int(chance[4] * len(AGENTS))].format(system=system),
        registered=registered,
    )


def habits(seed: int, count: int) -> Habits:
    chance = stream(seed, LISTENERS, 1).random((2, count))
    rank = np.argsort(np.argsort(chance[0], kind="stable"), kind="stable")
    # The keenest listener comes some twenty times as often as the last.
    weights = 1.0 / (1.0 + 20.0 * rank / count)
    return Habits(cumulative(weights), chance[1] < PAID_SHARE)
