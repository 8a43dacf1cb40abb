"""The simulator: the same bytes every time, arguments that make sense, days that are whole."""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkify_dagster.simulate import SimulatedLake, Simulation, SimulationError, write_lake
from sparkify_dagster_tests.simulate.conftest import (
    DAY,
    MEDIUM,
    SMALL,
    Lake,
    assert_days_are_whole,
    assert_sessions_are_whole,
    contents,
    digest,
)

# --- the same bytes -------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    write_lake(tmp_path / "one", SMALL)
    write_lake(tmp_path / "two", SMALL)
    write_lake(tmp_path / "other", replace(SMALL, seed=2))
    one, other = contents(tmp_path / "one"), contents(tmp_path / "other")
    assert one == contents(tmp_path / "two")
    # Only the JSONPaths are the same.
    assert {path for path in one if other.get(path) == one[path]} == {"log_json_path.json"}


def test_the_bytes_are_those_of_every_machine_and_version(tmp_path: Path) -> None:
    write_lake(tmp_path, SMALL)
    assert digest(tmp_path) == "38d814a086d751035b2000c0858f8cb7dff6662ed57064529447bc11800aa144", (
        "The simulator gives other bytes than before. If that is meant, write the new digest here."
    )


SIMULATE_SMALL = f"""
import datetime, sys
from pathlib import Path
from sparkify_dagster.simulate import Simulation, write_lake
write_lake(Path(sys.argv[1]), {SMALL!r})
"""


def test_processes_side_by_side_with_other_hash_seeds_write_one_whole_lake(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SIMULATE_SMALL, str(tmp_path / "lake")],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
        )
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    ]
    assert [process.wait(60) for process in processes] == [0, 0]
    write_lake(tmp_path / "expected", SMALL)
    assert contents(tmp_path / "lake") == contents(tmp_path / "expected")


def test_a_longer_simulation_begins_with_the_files_of_a_shorter_one(tmp_path: Path) -> None:
    write_lake(tmp_path / "short", SMALL)
    write_lake(tmp_path / "long", replace(SMALL, days=10))
    short, long = contents(tmp_path / "short"), contents(tmp_path / "long")
    assert short.items() <= long.items()
    assert len(long) == len(short) + 7


def test_the_catalogue_depends_on_neither_days_nor_users_nor_events(tmp_path: Path) -> None:
    write_lake(tmp_path / "one", SMALL)
    other = Simulation(date(2020, 1, 1), days=1, users=5, songs=50, events_per_day=10, seed=1)
    write_lake(tmp_path / "other", other)
    assert contents(tmp_path / "one" / "song_data") == contents(tmp_path / "other" / "song_data")


def test_a_second_run_touches_nothing_and_more_days_only_add_files(tmp_path: Path) -> None:
    def files() -> dict[Path, tuple[int, int]]:
        found = (path for path in tmp_path.rglob("*") if path.is_file())
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}

    first = write_lake(tmp_path, SMALL)
    before = files()
    assert write_lake(tmp_path, SMALL) == first
    assert files() == before
    write_lake(tmp_path, replace(SMALL, days=4))
    assert before.items() < files().items()


def test_a_file_with_other_bytes_is_made_right_again(tmp_path: Path) -> None:
    write_lake(tmp_path, SMALL)
    before = contents(tmp_path)
    damaged = tmp_path / "log_data/2018/11/2018-11-02-events.json"
    damaged.write_bytes(damaged.read_bytes()[:-7] + b"changed")
    write_lake(tmp_path, SMALL)
    assert contents(tmp_path) == before


def test_a_failed_write_is_one_message_and_leaves_no_half_file(tmp_path: Path) -> None:
    # The system refuses files above 5 kB: the songs are written, the first day is not.
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))"
    result = subprocess.run(
        [sys.executable, "-c", f"{limited}\n{SIMULATE_SMALL}", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert "SimulationError: The simulated lake cannot be written to" in result.stderr
    assert len(Lake(tmp_path).songs) == SMALL.songs
    assert [path for path in contents(tmp_path) if not path.startswith("song_data")] == [
        "log_json_path.json"
    ]


def test_a_folder_that_cannot_be_made_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SimulationError, match=r"written to .*file.*Not a directory; give a folder"):
        write_lake(tmp_path / "file" / "lake", SMALL)


# --- the arguments --------------------------------------------------------------------------------


def test_bad_arguments_are_listed_at_once() -> None:
    with pytest.raises(SimulationError) as error:
        Simulation(date(1999, 12, 31), days=0, users=-1, songs=0, events_per_day=0, seed=-1)
    lines = str(error.value).splitlines()
    assert lines[0] == "The simulation cannot be made as asked:"
    assert [line.split(" = ")[0].strip() for line in lines[1:]] == [
        "days", "users", "songs", "events_per_day", "seed", "start",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"events_per_day": 5000}, r"events_per_day = 5000: .* at least 25 users"),
        ({"start": date(2199, 12, 30)}, r"days = 3: .*give fewer days or an earlier start"),
        ({"seed": 2**32}, r"seed = 4294967296: give a whole number from 0 to 4294967295"),
    ],
)
def test_what_cannot_be_simulated_says_what_can(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        replace(SMALL, **bad)


# --- what it holds --------------------------------------------------------------------------------


def test_the_result_says_what_the_lake_holds_and_progress_ends_at_the_total(
    tmp_path: Path,
) -> None:
    steps: list[tuple[int, int]] = []
    result = write_lake(tmp_path, SMALL, progress=lambda *step: steps.append(step))
    lake = Lake(tmp_path)
    size = sum(map(len, contents(tmp_path).values()))
    assert result == SimulatedLake(3, 50, len(lake.events), size)
    assert [*lake.days] == [date(2018, 11, 1), date(2018, 11, 2), date(2018, 11, 3)]
    total = 50 + len(lake.events)
    assert {of for _, of in steps} == {total}
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1][0] == total


def test_every_week_holds_exactly_seven_times_the_mean_and_weekends_are_quieter(
    simulated: Lake,
) -> None:
    counts = [len(events) for events in simulated.days.values()]
    assert [sum(counts[:7]), sum(counts[7:])] == [7 * MEDIUM.events_per_day] * 2
    weekdays, weekend = counts[:5] + counts[7:12], counts[5:7] + counts[12:]
    assert max(weekend) < 0.8 * min(weekdays)


def test_nights_are_quieter_than_afternoons(simulated: Lake) -> None:
    hours = Counter(event["ts"] % DAY // 3_600_000 for event in simulated.events)
    assert sum(hours[hour] for hour in range(2, 6)) < 0.6 * sum(hours[h] for h in range(15, 19))


def test_a_few_songs_get_most_of_the_plays(simulated: Lake) -> None:
    songs = Counter((play["song"], play["artist"], play["length"]) for play in simulated.plays)
    everything = 4 * MEDIUM.songs
    top = sum(count for _, count in songs.most_common(everything // 100))
    assert top > 20 * len(simulated.plays) / 100


def test_three_plays_in_ten_are_in_the_catalogue(simulated: Lake) -> None:
    matched = [
        (p["song"], p["artist"], p["length"]) in simulated.catalogue for p in simulated.plays
    ]
    assert 0.27 < sum(matched) / len(matched) < 0.33


def test_levels_change_right_after_a_submitted_change_and_only_then(simulated: Lake) -> None:
    levels: dict[str, str] = {}
    submitted: set[str] = set()
    changes: Counter[str] = Counter()
    users = {number: simulated.user_of(session) for number, session in simulated.sessions.items()}
    for event in simulated.events:
        # A visitor who never logs in is nobody's.
        user = users[event["sessionId"]]
        if not user:
            continue
        changed = levels.get(user, event["level"]) != event["level"]
        assert changed == (user in submitted), event
        levels[user] = event["level"]
        submitted.discard(user)
        expected = {"Submit Upgrade": "free", "Submit Downgrade": "paid"}
        if event["page"] in expected:
            assert event["level"] == expected[event["page"]]
            submitted.add(user)
            changes[event["page"]] += 1
    assert min(changes["Submit Upgrade"], changes["Submit Downgrade"]) >= 5


def test_days_and_sessions_are_whole(simulated: Lake) -> None:
    assert_days_are_whole(simulated)
    assert_sessions_are_whole(simulated)


def test_sessions_cross_midnight(simulated: Lake) -> None:
    crossing = [s for s in simulated.sessions.values() if s[0]["ts"] // DAY != s[-1]["ts"] // DAY]
    assert len(crossing) > 20


def test_a_listener_logs_in_again_before_the_next_song(simulated: Lake) -> None:
    for session in simulated.sessions.values():
        for before, after in pairwise(session):
            if before["page"] == "Logout":
                assert after["auth"] == "Logged Out"
            elif after["auth"] != before["auth"]:
                assert before["page"] == "Login"


simulations = st.builds(
    lambda start, days, users, songs, share, seed: Simulation(
        start, days, users, songs, max(1, int(share * min(users * 200, 600))), seed
    ),
    start=st.dates(date(2000, 1, 1), date(2150, 1, 1)),
    days=st.integers(1, 9),
    users=st.integers(1, 40),
    songs=st.integers(1, 30),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)


@settings(max_examples=50, deadline=None)
@given(simulation=simulations, more=st.integers(1, 3))
def test_any_simulation_is_whole_and_grows_by_whole_days(simulation: Simulation, more: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        result = write_lake(root, simulation)
        before = contents(root)
        lake = Lake(root)
        assert_days_are_whole(lake)
        assert_sessions_are_whole(lake)
        assert len(lake.songs) == simulation.songs == len({s["song_id"] for s in lake.songs})
        assert len(lake.days) == simulation.days
        assert [len(events) for events in lake.days.values()] == [
            simulation.events_on(number) for number in range(simulation.days)
        ]
        assert result.events == len(lake.events)
        assert sum(map(simulation.events_on, range(7))) == 7 * simulation.events_per_day
        write_lake(root, replace(simulation, days=simulation.days + more))
        assert before.items() < contents(root).items()


# --- cost -----------------------------------------------------------------------------------------


def test_asking_for_a_simulation_does_not_load_numpy() -> None:
    code = f"import datetime, sys\nfrom sparkify_dagster.simulate import Simulation\n{SMALL!r}\n"
    check = "assert not {'numpy', 'pandas', 'dagster'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code + check], check=True, timeout=60)
