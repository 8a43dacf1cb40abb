"""The sources: which files of the lake fill which staging table.

A new source is one declaration here, with a table file and a transform. Reading files is the
lake's work, parsing and writing them the warehouse's.
"""

import re
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

_ENDINGS = tuple(
    f".{kind}{packed}" for kind in ("json", "jsonl", "ndjson") for packed in ("", ".gz", ".zst")
)
_DAY_LENGTH = 10
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_HOUR = re.compile(r"(?:.*/)?\d{4}/\d{2}/\d{2}/\d{2}", re.ASCII)
# What clients of S3 cannot ask for: a part of the key is empty, `.` or `..`, or has a control
# character.
_UNADDRESSABLE = re.compile(r"(^|/)\.{0,2}(/|$)|[\x00-\x1f\x7f]")
# The last day that folders name, whatever stands around it: the hour, say, or a region.
_FOLDERS = re.compile(
    r"(?:.*/)?(?:(\d{4})/(\d{2})/(\d{2})|year=(\d{4})/month=(\d{1,2})/day=(\d{1,2})"
    r"|(?:dt|date)=(\d{4})-(\d{2})-(\d{2}))(?:/.*)?",
    re.ASCII,
)


@lru_cache(maxsize=10_000)
def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:  # no such day
        return None


@lru_cache(maxsize=10_000)
def _day_of_folders(folders: str) -> date | None:
    found = _FOLDERS.fullmatch(folders)
    if not found:
        return None
    try:
        year, month, day = (int(part) for part in found.groups() if part)
        return date(year, month, day)
    except ValueError:  # no such day
        return None


@dataclass(frozen=True)
class Source:
    """One prefix of the lake and the staging table that its JSON lines fill.

    `setting` is the key of `[S3]` in dwh.cfg that names the prefix. The day of a file of a `dated`
    source is in its name, else in its folders, and becomes `log_date`.
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

    @property
    def names(self) -> str:
        """How its files are named, for messages."""
        kinds = "….json (.jsonl, .ndjson; .gz, .zst)"
        return f"YYYY-MM-DD{kinds} and no day in its folders" if self.dated else kinds

    def day_of(self, key: str) -> date | None:
        """The day in a file's name, else in its folders; None where there is none.

        Amazon Data Firehose puts files without an ending into folders down to the hour.
        """
        if not self.dated or _UNADDRESSABLE.search(key):
            return None
        folders, _, name = key.rpartition("/")
        if not name.endswith(_ENDINGS):
            bare = "." not in name.removesuffix(".gz")
            return _day_of_folders(folders) if bare and _HOUR.fullmatch(folders) else None
        # Sensors ask for 100,000 files in a tick: of a thousand days, each is read once.
        if _DAY.match(name):
            return None if name[_DAY_LENGTH].isdecimal() else _day(name[:_DAY_LENGTH])
        return _day_of_folders(folders)

    def owns(self, key: str) -> bool:
        """Whether a file of the prefix is one of this source's."""
        if self.dated:
            return self.day_of(key) is not None
        name = key.rpartition("/")[2]
        return name.endswith(_ENDINGS) and name not in _ENDINGS and not _UNADDRESSABLE.search(key)


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
