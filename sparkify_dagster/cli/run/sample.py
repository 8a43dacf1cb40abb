"""A sample lake for a newcomer: the simulator's files where the configured lake holds none.

A lake with files is never touched, and a sample appears whole or not at all. Beside it lie the
results that its tables must give, where they are those that were reviewed.
"""

import os
import shutil
from datetime import date
from pathlib import Path

from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.lake import is_data_key
from sparkify_dagster.simulate import SimulatedLake, Simulation, write_lake
from sparkify_dagster.warehouse import Platform
from sparkify_dagster.warehouse.expected.expected_files import BESIDE_THE_LAKE

DAYS, USERS, SONGS, EVENTS_PER_DAY, SEED = 7, 20, 120, 400, 7
REVIEWED = Path(__file__).parents[2] / "sample_expected"
"""The expected results of the sample of `REVIEWED_FIRST_DAY`; other days are another sample."""
REVIEWED_FIRST_DAY = date(2018, 11, 1)


class SampleError(SparkifyError):
    """A sample lake cannot be made here."""


def sample_of(first: date, last: date) -> Simulation:
    """A week from the first day: few listeners who up- and downgrade, and a small catalogue."""
    days = min(DAYS, (last - first).days + 1)
    return Simulation(first, days, USERS, SONGS, EVENTS_PER_DAY, SEED)


def fill_if_empty(platform: Platform) -> tuple[Path, SimulatedLake] | None:
    """Fill a lake that holds no file with a sample; None if there was nothing to fill.

    Raises:
        SampleError: if the lake is empty, and not a folder that a sample fits into.
    """
    if any(_has_files(platform, table) for table in platform.catalogue.sources):
        return None
    folder = _folder(platform)
    simulation = sample_of(*platform.partitions())
    draft = folder / f".sample-{os.getpid()}"
    try:
        written = write_lake(draft, simulation)
        beside = ["log_json_path.json"]
        if simulation == sample_of(REVIEWED_FIRST_DAY, date.max):
            shutil.copytree(REVIEWED, draft / BESIDE_THE_LAKE)
            beside.append(BESIDE_THE_LAKE)
        # The log files come last: a lake that has some has all of its sample.
        for name in (*beside, "song_data", "log_data"):
            if name not in beside or not (folder / name).exists():
                os.replace(draft / name, folder / name)
    except OSError as error:
        raise SampleError(
            f"The sample lake cannot be put into {folder} ({error.strerror}). Free the place, or"
            " set [S3] LOG_DATA and SONG_DATA to another."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder, written


def _has_files(platform: Platform, table: str) -> bool:
    uri = platform.lake_uri(table)
    if uri.startswith("s3://"):
        return bool(platform.lake(table).list())
    return any(
        is_data_key(name) for _, _, names in os.walk(uri, followlinks=True) for name in names
    )


def _folder(platform: Platform) -> Path:
    s3 = platform.settings.s3
    for uri in (s3.log_data, s3.song_data):
        if uri.startswith("s3://"):
            raise SampleError(
                f"The lake {uri} is empty, and a sample is made in a folder of this machine only."
                " Upload files, or make a lake with `sparkify simulate --out FOLDER` and copy it."
            )
    log, song = Path(s3.log_data), Path(s3.song_data)
    if (log.name, song.name) != ("log_data", "song_data") or log.parent != song.parent:
        raise SampleError(
            "A sample is FOLDER/log_data and FOLDER/song_data, but [S3] LOG_DATA and SONG_DATA are"
            f" {log} and {song}. Change them, or use `sparkify simulate --out FOLDER`."
        )
    return log.parent
