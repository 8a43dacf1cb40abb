"""Charts: the line of a table's file, the rows that are drawn, the picture and its words."""

import base64
import re
import xml.etree.ElementTree as ET
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sparkify_dagster.catalogue.catalogue import ANALYTICS, read_catalogue
from sparkify_dagster.catalogue.charts import parse_chart
from sparkify_dagster.catalogue.sql_files import ScriptError
from sparkify_dagster.catalogue.tables.parser import parse_table
from sparkify_dagster.engines.rows import Rows, Value
from sparkify_dagster.present.charts import Picture, draw, drawing, words
from sparkify_dagster.present.charts.colours import (
    DARK_GROUND,
    HEAT,
    HEAT_OPACITIES,
    INK,
    LIGHT_GROUND,
    PAIRS,
    SERIES,
    dark_rules,
)
from sparkify_dagster.warehouse.refresh.chart_rows import LARGEST, ChartRows, read_chart
from sparkify_dagster_tests.fixtures.warehouse import Platform

TABLE = parse_table(
    """-- A table.
-- grain: one answer
-- person: users
CREATE TABLE IF NOT EXISTS answers (
    song    VARCHAR(64),       -- A song.
    level   VARCHAR(8),        -- A level.
    place   VARCHAR(64),       -- A place (personal).
    hour    INTEGER,           -- An hour.
    weekday INTEGER,           -- A weekday.
    day     DATE,              -- A day.
    moment  TIMESTAMP,         -- A moment.
    plays   BIGINT,            -- Plays.
    users   BIGINT,            -- Listeners.
    length  DECIMAL(8,2),      -- A length.
    share   DOUBLE PRECISION   -- Part of all plays, 0 to 1.
)
DISTSTYLE ALL;
"""
)
PATH = Path("sql/analytics/answers.sql")
DAY = date(2018, 11, 1)
MOMENT = datetime.combine(DAY, time())
HOSTILE = '<script>alert(1)</script> & "x" \x00\x1b[1m \u202e ]( ` *'


def found(line: str, *rows: tuple[Value, ...], total: int | None = None) -> ChartRows:
    chart = parse_chart(PATH, line, TABLE)
    names = tuple(column.name for column in chart.columns)
    return ChartRows(chart, Rows(names, rows), len(rows) if total is None else total)


def texts(picture: Picture) -> list[str]:
    """The texts of a picture, which must be well-formed and hold nothing but shapes and text."""
    assert picture.svg is not None
    root = ET.fromstring(picture.svg)
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names <= {"svg", "g", "path", "text", "line", "rect"}
    assert root.get("role") == "img"
    assert root.get("aria-label") == picture.words
    return [element.text or "" for element in root.iter() if element.tag.endswith("}text")]


EVERY_KIND = [
    ("bar song plays", [("Undo", 9), ("You Get Me", 4)]),
    ("bar hour plays", [(hour, 10 * hour) for hour in range(24)]),
    ("bar weekday plays", [(0, 3), (6, 5)]),
    ("line day plays", [(DAY + timedelta(n), n % 7) for n in range(40)]),
    ("line day plays, users", [(DAY + timedelta(n), n, 2 * n) for n in range(5)]),
    ("line day plays by level", [(DAY, "free", 1), (DAY, "paid", 2), (DAY, None, 3)]),
    ("line moment share", [(MOMENT.replace(hour=n), n / 9) for n in range(9)]),
    ("line hour length", [(n, Decimal(n)) for n in range(9)]),
    ("line song plays", [("a", 1), ("b", 2)]),
    ("points moment length by level", [(MOMENT, "free", Decimal(2)), (MOMENT, "paid", Decimal(3))]),
    ("points day plays by level", [(DAY, "free", n) for n in range(30)]),
    ("heatmap hour weekday plays", [(h, d, h * d) for d in range(7) for h in range(24)]),
    (
        "heatmap hour day share",
        [(h, DAY + timedelta(d), h / 9) for d in range(3) for h in range(9)],
    ),
    ("heatmap level song plays", [("free", "Undo", 2), ("paid", "Undo", 1)]),
]


@pytest.mark.parametrize(("line", "rows"), EVERY_KIND, ids=[line for line, _ in EVERY_KIND])
def test_every_kind_is_drawn_with_words_whether_of_many_rows_of_one_or_with_nulls(
    line: str, rows: list[tuple[Value, ...]]
) -> None:
    width = len(rows[0])
    nulls: tuple[Value, ...] = (None,) * width
    for some in (rows, rows[:1], [*rows, nulls], [*rows, (*rows[0][:-1], None)]):
        picture = draw(found(line, *some))
        assert texts(picture)
        assert picture.words.startswith(
            ("Bar chart of ", "Line chart of ", "Points of ", "Heatmap of ")
        )
    for nothing in ([], [nulls], [(*rows[0][:-1], None)] if "," not in line else [nulls]):
        assert draw(found(line, *nothing)) == Picture(None, words.NOTHING)


def test_a_chart_shows_its_labels_and_figures() -> None:
    shown = texts(draw(found("bar song plays", ("Undo", 1200), ("You Get Me", 4))))
    assert {"Undo", "You Get Me", "1,200", "4"} <= set(shown)
    shown = texts(draw(found("line day plays, users", (DAY, 3, 1), (date(2018, 11, 2), 4, 1))))
    assert {"plays", "users", "1 Nov", "2 Nov", "day"} <= set(shown)
    shown = texts(draw(found("heatmap hour weekday share", (0, 0, 0.25), (1, 6, 0.5))))
    assert {"Sun", "Sat", "25 %", "50 %", "hour", "weekday", "share"} <= set(shown)


def test_days_stand_where_they_are_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    assert "1 Nov" in texts(draw(found("line day users", (DAY, 3), (date(2018, 11, 3), 5))))


def test_equal_labels_stay_two_bars() -> None:
    shown = texts(draw(found("bar song plays", ("Undo", 7), ("Undo", 5), (None, 3))))
    assert shown.count("Undo") == 2
    assert "unknown" in shown


def test_words_state_the_finding() -> None:
    bars = draw(found("bar hour plays", (3, 1), (16, 542), (20, 7))).words
    assert bars == "Bar chart of plays by hour: most at 16 (542), fewest at 3 (1)."
    top = draw(found("bar song plays", *((f"Song {n}", 9 - n) for n in range(6)), total=80)).words
    assert top == (
        "Bar chart of plays by song, largest first: Song 0 (9), Song 1 (8), Song 2 (7),"
        " Song 3 (6), and 76 more."
    )
    line = draw(found("line day share", (DAY, 0.5), (date(2018, 11, 2), 0.25), total=900)).words
    assert line == (
        "Line chart of share by day, from 2018-11-01 to 2018-11-02. share: most at 2018-11-01"
        " (50 %), fewest at 2018-11-02 (25 %), last 25 %. The newest 2 of 900 rows."
    )
    rows = [(MOMENT, "free", 0.5), (MOMENT, "paid", 7), (MOMENT.replace(hour=9), "free", 2.5)]
    points = draw(found("points moment length by level", *rows)).words
    assert points == (
        "Points of length by moment, a colour for each level, from 2018-11-01 00:00 to 2018-11-01"
        " 09:00. free: 2 points, most at 2018-11-01 09:00 (2.50), fewest at 2018-11-01 00:00"
        " (0.50). paid: 7 at 2018-11-01 00:00."
    )
    cells = draw(found("heatmap hour weekday plays", (5, 0, 3), (9, 6, 8))).words
    assert cells == (
        "Heatmap of plays by hour and weekday: most at weekday Sat, hour 9 (8),"
        " fewest at weekday Sun, hour 5 (3)."
    )
    equal = draw(found("bar hour plays", (3, 5), (4, 5))).words
    assert equal == "Bar chart of plays by hour: 5 at 3 and everywhere else."


def test_of_many_lines_the_largest_are_drawn_and_the_words_say_so() -> None:
    rows = [(DAY, f"song {n}", n) for n in range(9)]
    picture = draw(found("line day plays by song", *rows))
    assert [text for text in texts(picture) if text.startswith("song")] == [
        "song 4", "song 5", "song 6", "song 7", "song 8",
    ]  # fmt: skip
    assert " song 3" not in picture.words
    assert picture.words.endswith("song 8: 8 at 2018-11-01. The largest of 9 lines.")
    assert "largest of" not in draw(found("line day plays by song", *rows[4:])).words


def test_a_name_cannot_turn_the_figures_behind_it() -> None:
    said = draw(found("bar song plays", ("\u202eeno \u2067two", 12), ("Another", 3))).words
    assert "eno two (12), Another (3)" in said


@pytest.mark.parametrize(
    ("share", "reported"),
    [
        (0, "0 %"), (1, "100 %"), (1 / 3, "33 %"), (1 / 50, "2.0 %"), (1 / 500, "0.20 %"),
        (1e-12, "under 0.01 %"), (0.997, "99.7 %"), (0.999999, "over 99.9 %"),
        (sum([0.1] * 10), "100 %"), (-0.25, "-25 %"), (1.5, "150 %"),
    ],
)  # fmt: skip
def test_a_share_never_claims_all_or_nothing_wrongly(share: float, reported: str) -> None:
    assert words.percent(share) == reported


def test_text_of_the_lake_stays_text() -> None:
    for line, row in (
        ("bar song plays", (HOSTILE, 3)),
        ("line day plays by song", (DAY, HOSTILE, 3)),
        ("heatmap hour song plays", (1, HOSTILE, 3)),
    ):
        picture = draw(found(line, row))
        assert any(text.startswith("<script>alert(1)") for text in texts(picture)), line
        assert picture.svg is not None
        assert "<script" not in picture.svg
        (alt,) = re.findall(r"!\[(.*)\]\(data:image/svg\+xml;base64,[\w+/=]+\)", picture.markdown)
        assert not re.search(r"(?<!\\)[\[\]<>`*_&]", alt), alt
        assert not re.search(r"[\x00-\x1f]", alt)


def test_a_picture_for_the_event_log_is_small_and_complete() -> None:
    cells = [(h, d, (h * 7 + d * 13) % 90) for d in range(7) for h in range(24)]
    days = [(DAY + timedelta(n), n % 40, n % 9) for n in range(30)]
    for shown in (
        found("heatmap hour weekday plays", *cells),
        found("line day plays, users", *days),
    ):
        picture = draw(shown)
        assert len(picture.markdown) < 16_000
        svg = base64.b64decode(picture.data_uri.partition(",")[2]).decode()
        ground = ET.fromstring(svg)[0]
        assert (ground.tag.rpartition("}")[2], ground.get("fill")) == ("rect", LIGHT_GROUND)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_as_unknown_as_null(number: float) -> None:
    for line, first, second in (
        ("bar hour plays", (1, 2), (2,)),
        ("line hour length", (1, 2), (2,)),
        ("heatmap hour weekday share", (1, 1, 0.5), (2, 2)),
    ):
        unknown = draw(found(line, first, (*second, number)))
        assert texts(unknown)
        assert unknown == draw(found(line, first, (*second, None)))
    assert draw(found("bar hour plays", (1, number))) == Picture(None, words.NOTHING)


def test_a_chart_that_vega_refuses_says_so_and_fails_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drawing, "spec_of", lambda _: {"mark": "nonsense"})
    picture = draw(found("bar song plays", ("Refused", 1)))
    assert picture.svg is None
    assert picture.words.startswith("Bar chart of plays by song, largest first: Refused (1). Vega")


def test_figures_of_any_size_are_drawn() -> None:
    largest = 2**63 - 1
    shown = texts(draw(found("bar song plays", ("x" * 60, largest), ("Undo", 1))))
    assert f"{largest:,}" in shown
    for kind in ("line hour plays", "heatmap hour weekday plays"):
        rows: list[tuple[Value, ...]] = [(1, 1, largest), (2, 2, -largest)]
        assert texts(draw(found(kind, *(row[-2:] if "line" in kind else row for row in rows))))


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def blend(colour: str, ground: str, opacity: float) -> str:
    pairs = [(int(colour[n : n + 2], 16), int(ground[n : n + 2], 16)) for n in (1, 3, 5)]
    return "#" + "".join(f"{round(a * opacity + b * (1 - opacity)):02x}" for a, b in pairs)


def test_colours_are_readable_on_a_light_and_on_a_dark_ground() -> None:
    for light, dark in (SERIES | {INK: PAIRS[INK]}).items():
        assert contrast(light, LIGHT_GROUND) >= 4.5, light
        assert contrast(dark, DARK_GROUND) >= 4.5, dark
    for opacity in HEAT_OPACITIES:
        assert contrast(INK, blend(HEAT, LIGHT_GROUND, opacity)) >= 4.5
        assert contrast(PAIRS[INK], blend(PAIRS[HEAT], DARK_GROUND, opacity)) >= 4.5


def test_every_colour_of_a_chart_has_a_partner_on_a_dark_page() -> None:
    rules = dark_rules("svg")
    for line, rows in EVERY_KIND:
        svg = draw(found(line, *rows)).svg or ""
        used = set(re.findall(r' (fill|stroke)="(#\w+|[a-z]+)"', svg))
        for part, colour in used - {("fill", "none"), ("stroke", "none")}:
            assert f'svg [{part}="{colour}"]' in rules, line


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("pie song plays", "is no chart. Write one of: chart: bar <label> <value>; "),
        ("bar song", "is no chart"),
        ("bar song plays users", "is no chart"),
        ("line day plays,", "is no chart"),
        ("bar title plays", "names title, which answers does not have. Its columns are song,"),
        ("bar plays plays", "names a column twice"),
        ("bar plays song", "draws song, which is no number"),
        ("points hour plays", "is no chart"),
        ("bar place plays", "shows place, which is personal. Draw what names nobody"),
    ],
)
def test_a_wrong_line_is_one_message_with_the_file(line: str, problem: str) -> None:
    with pytest.raises(ScriptError) as raised:
        parse_chart(PATH, line, TABLE)
    assert str(raised.value).startswith(f"{PATH}: '-- chart: {line}' ")
    assert problem in str(raised.value)


def test_every_question_has_a_chart_that_can_be_drawn() -> None:
    catalogue = read_catalogue()
    questions = catalogue.tables_of(ANALYTICS)
    assert questions
    for table in questions:
        chart = catalogue.chart_of(table)
        assert chart is not None, table
        texts_and_numbers: dict[str, Value] = {"VARCHAR": "free", "DATE": DAY}
        row = tuple(
            MOMENT if c.base_type == "TIMESTAMP" else texts_and_numbers.get(c.base_type, 1)
            for c in chart.columns
        )
        names = tuple(column.name for column in chart.columns)
        assert draw(ChartRows(chart, Rows(names, (row,)), 1)).svg, table


@pytest.mark.every_engine
def test_bars_of_texts_are_the_largest_and_everything_else_is_the_newest(
    platform: Platform,
) -> None:
    with platform.warehouse.write(lambda _: None) as session:
        session.execute(
            f"CREATE TABLE {platform.warehouse.schema}.answers"
            " (song VARCHAR(64), hour INTEGER, day DATE, plays BIGINT)"
        )
        rows = [(f"s{n:03}", n % 24, DAY + timedelta(n), n if n else None) for n in range(100)]
        session.insert("answers", ["song", "hour", "day", "plays"], rows)
    with platform.warehouse.read(lambda _: None) as session:
        bars = read_chart(session, "answers", parse_chart(PATH, "bar song plays", TABLE))
        line = read_chart(session, "answers", parse_chart(PATH, "line day plays", TABLE))
        days = read_chart(session, "answers", parse_chart(PATH, "bar day plays", TABLE))
    assert bars.rows.rows == tuple((f"s{n:03}", n) for n in range(99, 99 - LARGEST, -1))
    assert bars.total == 100
    assert line.rows.rows[0] == (DAY, None)
    assert [row[0] for row in line.rows.rows] == [DAY + timedelta(n) for n in range(100)]
    assert [row[0] for row in days.rows.rows] == [DAY + timedelta(n) for n in range(40, 100)]
