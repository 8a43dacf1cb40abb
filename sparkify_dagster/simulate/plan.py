"""What is asked for: the arguments of a simulation, their limits, and the events of each day.

Nothing here makes events or writes files.
"""

import datetime
from dataclasses import dataclass

from sparkify_dagster.errors import SparkifyError

# A listener who never stops plays some 360 songs a day; above 200 events the nights fill up.
MAX_EVENTS_PER_USER = 200
MAX_DAYS = 36_525
MAX_USERS = 200_000
# The folders A/A/A to Z/Z/Z hold 24 song files each.
MAX_SONGS = 400_000
MAX_EVENTS_PER_DAY = 5_000_000
MAX_SEED = 2**32 - 1
FIRST_START = datetime.date(2000, 1, 1)
LAST_DAY = datetime.date(2199, 12, 31)

# Monday to Sunday; the mean is 1.
WEEK_RHYTHM = (1.10, 1.12, 1.20, 1.14, 1.10, 0.72, 0.62)


class SimulationError(SparkifyError):
    """The simulation cannot be made as asked, or its lake cannot be written."""


@dataclass(frozen=True)
class Simulation:
    """A lake to simulate: `days` from `start`, whose mean day has `events_per_day` events.

    Every seven days from `start` hold exactly 7 * events_per_day events. Weekends are quieter, so
    a part of a week holds what its weekdays are worth: the files of a day depend on the days
    before it and never on how many follow.
    """

    start: datetime.date
    days: int
    users: int
    songs: int
    events_per_day: int
    seed: int

    def __post_init__(self) -> None:
        problems = [*self._out_of_range(), *self._impossible()]
        if problems:
            lines = "".join(f"\n  {problem}" for problem in problems)
            raise SimulationError(f"The simulation cannot be made as asked:{lines}")

    def _out_of_range(self) -> list[str]:
        limits = (
            ("days", self.days, 1, MAX_DAYS),
            ("users", self.users, 1, MAX_USERS),
            ("songs", self.songs, 1, MAX_SONGS),
            ("events_per_day", self.events_per_day, 1, MAX_EVENTS_PER_DAY),
            ("seed", self.seed, 0, MAX_SEED),
        )
        return [
            f"{name} = {value}: give a whole number from {low} to {high}"
            for name, value, low, high in limits
            if not low <= value <= high
        ]

    def _impossible(self) -> list[str]:
        problems = []
        if not FIRST_START <= self.start <= LAST_DAY:
            problems.append(f"start = {self.start}: give a day from {FIRST_START} to {LAST_DAY}")
        elif 1 <= self.days <= MAX_DAYS and (LAST_DAY - self.start).days + 1 < self.days:
            problems.append(
                f"days = {self.days}: from {self.start} on, the simulation would end after "
                f"{LAST_DAY}; give fewer days or an earlier start"
            )
        most = self.users * MAX_EVENTS_PER_USER
        if 1 <= self.users <= MAX_USERS and most < self.events_per_day <= MAX_EVENTS_PER_DAY:
            needed = -(-self.events_per_day // MAX_EVENTS_PER_USER)
            problems.append(
                f"events_per_day = {self.events_per_day}: more than {self.users} users can make "
                f"(at most {MAX_EVENTS_PER_USER} each, so {most}); give fewer events or at least "
                f"{needed} users"
            )
        return problems

    def day(self, number: int) -> datetime.date:
        """The calendar day of day `number`, counted from 0."""
        return self.start + datetime.timedelta(days=number)

    def events_on(self, number: int) -> int:
        """How many events day `number` holds: the rhythm of the week and some chance."""
        from sparkify_dagster.simulate.streams import WEEKS, uniform

        week, position = divmod(number, 7)
        chance = uniform(7, self.seed, WEEKS, week).tolist()
        first = self.start.weekday()
        weights = [WEEK_RHYTHM[(first + i) % 7] * (0.96 + 0.08 * chance[i]) for i in range(7)]
        # Rounding the running total, not each day, keeps the sum of the week exact.
        total = 7 * self.events_per_day / sum(weights)
        until = sum(weights[:position]) * total
        return int(until + weights[position] * total + 0.5) - int(until + 0.5)
