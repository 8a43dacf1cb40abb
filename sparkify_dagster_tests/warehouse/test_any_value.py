"""Nothing that staging accepts stops the star: whatever the values, a run publishes them all."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.warehouse import (
    FIRST,
    TABLES,
    FolderLake,
    Json,
    all_rows,
    assert_same_rows,
    bring_up_to_date,
    event,
    moment,
    rows_of,
    song,
)
from sparkify_dagster_tests.warehouse.histories import event_row, song_row
from sparkify_dagster_tests.warehouse.reference_star import reference_star

EXACT = 2**53 - 1
SMALL = (-(2**31), -1, 0, 1, 2**31 - 1)
FRACTIONS = (-1e308, -1.5, -0.0, 0.0, 5e-324, 0.1, 200.5, 1e15, 1e308)
TIMES = (moment(FIRST), moment(FIRST), moment(FIRST, 23) + 999, moment(FIRST - timedelta(300)))


def texts(size: int) -> st.SearchStrategy[str]:
    """Texts of at most so many bytes, some of which collide."""
    odd = ["", " ", "Muse", "Muse ", "MUSE", "'", '"', "\\", "\\N", "NULL", "%s", ":day", "é", "\t"]
    fitting = [text for text in [*odd, "x" * size] if len(text.encode()) <= size]
    letters = st.characters(codec="utf-8", exclude_characters="\0")
    any_text = st.text(letters, max_size=size // 4)
    return st.sampled_from(fitting) | any_text


def maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | values


def records(
    fields: Mapping[str, st.SearchStrategy[object]], whole: Json
) -> st.SearchStrategy[Json]:
    """Objects with some of these values in the place of the usual ones."""
    return st.fixed_dictionaries({}, optional=dict(fields)).map(lambda changes: whole | changes)


EVENTS = records(
    {
        "artist": maybe(texts(512)), "auth": texts(32), "firstName": maybe(texts(128)),
        "gender": maybe(texts(1)), "itemInSession": st.sampled_from(SMALL),
        "lastName": maybe(texts(128)), "length": maybe(st.sampled_from(FRACTIONS)),
        "level": texts(16).filter(bool), "location": maybe(texts(256)), "method": texts(16),
        "page": st.just("NextSong") | texts(64),
        "registration": maybe(st.sampled_from((-EXACT, 0, EXACT))),
        "sessionId": st.sampled_from(SMALL), "song": maybe(texts(512)),
        "status": st.sampled_from(SMALL), "ts": st.sampled_from(TIMES),
        "userAgent": maybe(texts(1024)),
        "userId": st.sampled_from(["", "1", "2", 1, -1, str(2**31 - 1), -(2**31)]),
    },
    event(),
)  # fmt: skip
SONGS = records(
    {
        "artist_id": texts(32).filter(str.strip),
        "artist_latitude": maybe(st.sampled_from(FRACTIONS)),
        "artist_longitude": maybe(st.sampled_from(FRACTIONS)), "artist_location": maybe(texts(512)),
        "artist_name": texts(512), "song_id": texts(32).filter(str.strip), "title": texts(512),
        "duration": st.sampled_from(FRACTIONS), "year": maybe(st.sampled_from((*SMALL, 2001))),
    },
    song(),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.every_engine
def test_whatever_staging_accepts_is_published(engine: EngineUnderTest) -> None:
    @settings(
        max_examples=12 if engine.name == "duckdb" else 3,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # to shrink sixty events takes hours
    )
    @given(st.lists(EVENTS, min_size=20, max_size=60), st.lists(SONGS, min_size=5, max_size=20))
    def published(events: list[Json], songs: list[Json]) -> None:
        with TemporaryDirectory() as folder:
            lake = FolderLake(Path(folder) / "lake")
            text = [json.dumps(one, ensure_ascii=False).encode() for one in events]
            lake.put("log_data", f"2018/11/{FIRST}-events.json", b"\n".join(text))
            lake.put_songs("s", *songs)
            platform = engine.platform(Path(folder), lake.root, DUCKDB_THREADS=1)
            bring_up_to_date(platform)
            assert platform.status().held_back == ()
            assert rows_of(platform, "SELECT COUNT(*) FROM load_rejects") == [(0,)]
            key = f"2018/11/{FIRST}-events.json"
            kept = [event_row(key, f | {"gender": f["gender"] or None}) for f in events]
            listed = [song_row("A/s.json", f) for f in songs]
            star = reference_star(kept, listed)
            found = all_rows(platform, TABLES)
            assert_same_rows({name: found[name] for name in star}, star)
            (plays,) = rows_of(platform, "SELECT SUM(plays) FROM plays_per_level")[0]
            assert (plays or 0) == len(star["songplays"])

    published()
