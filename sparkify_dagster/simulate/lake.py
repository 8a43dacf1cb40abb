"""The lake on disk: folders, files and what was written. What the files say is made elsewhere.

A file is written under another name and renamed, so that nobody ever reads half a file. A file
that already has the right bytes is not touched, so that its etag stays. Nothing is deleted.
"""

import datetime
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sparkify_dagster.simulate.plan import Simulation, SimulationError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SimulatedLake:
    """What the simulation holds: files, events (log lines), and bytes of all files."""

    log_files: int
    song_files: int
    events: int
    bytes: int


def write_lake(
    out: Path, simulation: Simulation, *, progress: Progress | None = None
) -> SimulatedLake:
    """Write the simulated lake under `out`: log_data, song_data and log_json_path.json.

    `progress` is told how many lines and songs are written, and of how many.
    """
    total = simulation.songs + sum(map(simulation.events_on, range(simulation.days)))
    done = size = 0
    try:
        for path, data, count in _files(simulation):
            _write(out / path, data)
            size += len(data)
            done += count
            if progress is not None:
                progress(done, total)
    except OSError as error:
        raise SimulationError(
            f"The simulated lake cannot be written to {error.filename or out}: {error.strerror}; "
            "give a folder that can be written, with room enough"
        ) from error
    return SimulatedLake(simulation.days, simulation.songs, done - simulation.songs, size)


def _files(simulation: Simulation) -> Iterator[tuple[str, bytes, int]]:
    """Path, bytes, and number of songs or events of every file."""
    from sparkify_dagster.simulate import catalogue, lines, listeners
    from sparkify_dagster.simulate.days import simulate_days

    yield "log_json_path.json", lines.json_paths().encode(), 0
    songs = catalogue.catalogue(simulation.seed, simulation.songs)
    for song in songs:
        folder = "/".join(song.track_id[2:5])
        path = f"song_data/{folder}/{song.track_id}.json"
        yield path, lines.song_file(song).encode(), 1

    tunes = catalogue.tunes(simulation.seed, songs)
    people = listeners.listeners(simulation.seed, simulation.users, simulation.start)
    text = lines.LogLines(people, tunes)
    habits = listeners.habits(simulation.seed, simulation.users)
    music = catalogue.music(len(songs), tunes)
    for number, events in enumerate(simulate_days(simulation, habits, music)):
        day = simulation.day(number)
        midnight = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
        data = text.text(events, int(midnight.timestamp()) * 1000).encode()
        yield f"log_data/{day:%Y/%m}/{day}-events.json", data, len(events)


def _write(path: Path, data: bytes) -> None:
    if _holds(path, data):
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            partial.write_bytes(data)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except FileNotFoundError:
        return False
