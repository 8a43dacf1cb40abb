"""The sources: which files of the lake fill which staging table.

A new source is one declaration here, with a table file and a transform. Reading files is the
lake's work, parsing and writing them the warehouse's.
"""

import re
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DAY_LENGTH = 10
_JSON_SUFFIXES = (".json", ".json.gz")
_JSON = re.compile(r"[^/]+\.json(\.gz)?$")


@lru_cache(maxsize=10_000)
def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:  # no such day
        return None


@dataclass(frozen=True)
class Source:
    """One prefix of the lake and the staging table that its JSON lines fill.

    `setting` is the key of `[S3]` in dwh.cfg that names the prefix. The files of a `dated` source
    carry their day at the start of the file name; the day becomes `log_date`.
    `epoch_times` are timestamp columns made from a column of epoch milliseconds.
    Files that are large enough to be worth a request each (`copied`) may be read by the warehouse
    itself, where it can.
    """

    name: str
    table: str
    setting: str
    description: str
    dated: bool
    epoch_times: dict[str, str] = field(default_factory=dict)
    copied: bool = False

    @property
    def file_noun(self) -> str:
        """What one of its files is called: `log file`, `song file`."""
        return f"{self.name.removesuffix('_data').replace('_', ' ')} file"

    def day_of(self, key: str) -> date | None:
        """The day in a file's name; None for an undated source or a name without a day."""
        name = key[key.rfind("/") + 1 :]
        # Sensors ask for 100,000 files in a tick: of a thousand days, each is read once.
        return _day(name[:_DAY_LENGTH]) if self.dated and name.endswith(_JSON_SUFFIXES) else None

    def owns(self, key: str) -> bool:
        """Whether a file of the prefix is one of this source's."""
        if self.dated:
            return self.day_of(key) is not None
        return _JSON.fullmatch(key.rsplit("/", 1)[-1]) is not None


SOURCES: tuple[Source, ...] = (
    Source(
        name="log_data",
        table="staging_events",
        setting="LOG_DATA",
        description="User activity, one JSON object a line, one or more files a day.",
        dated=True,
        epoch_times={"event_time": "ts"},
        copied=True,
    ),
    Source(
        name="song_data",
        table="staging_songs",
        setting="SONG_DATA",
        description="Song metadata, usually one JSON object a file.",
        dated=False,
    ),
)
