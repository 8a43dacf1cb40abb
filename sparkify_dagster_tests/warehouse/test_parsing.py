"""Parsing in bulk gives exactly what the rules give line by line, whatever the lines hold."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkify_dagster.catalogue.catalogue import read_catalogue
from sparkify_dagster.catalogue.line_rules import DayWindow, LineError, LineRules
from sparkify_dagster.warehouse.load.lines import LineBatch
from sparkify_dagster.warehouse.load.parsing import parse
from sparkify_dagster_tests.fixtures.warehouse import event, song

CATALOGUE = read_catalogue()
EVENTS = replace(CATALOGUE.rules_of("staging_events"), window=DayWindow(24, 366))
SONGS = CATALOGUE.rules_of("staging_songs")
DAYS = (None, date(2018, 11, 1))
"""Of the two files that lines come from in turn."""
MANY = 400
"""More good lines than are read one at a time, so that parsing in bulk is what is tested."""


def batch_of(lines: list[bytes]) -> LineBatch:
    ends = np.cumsum([len(line) + 1 for line in lines], dtype=np.int64)
    starts = np.concatenate((np.zeros(1, dtype=np.int64), ends))[:-1]
    file = (np.arange(len(lines)) % 2).astype(np.int32)
    return LineBatch(
        b"".join(line + b"\n" for line in lines), starts, ends, file,
        np.arange(1, len(lines) + 1), {}, (), {},
    )  # fmt: skip


def by_the_rules(rules: LineRules, lines: list[bytes]):
    rows, rejected, unknown = [], [], Counter()
    for index, text in enumerate(lines):
        file = index % 2
        try:
            values, keys = rules.row(text.rstrip(b"\r\n"), DAYS[file])
        except LineError as error:
            rejected.append((file, index + 1, str(error)))
            continue
        times = {
            name: values[[c.name for c, _ in rules.columns].index(source)]
            for name, source in rules.epoch_times.items()
        }
        rows.append((*values, *times.values(), file))
        unknown.update((file, key) for key in keys)
    return sorted(rows, key=repr), sorted(rejected), unknown


def in_bulk(rules: LineRules, lines: list[bytes]):
    parsed = parse(rules, batch_of(lines), DAYS)
    rows = []
    for row in zip(*(column.to_pylist() for column in parsed.rows.columns), strict=True):
        rows.append(tuple(epoch_ms(v) if isinstance(v, datetime) else v for v in row))
    rejected = sorted((r.file, r.line, r.reason) for r in parsed.rejected)
    return sorted(rows, key=repr), rejected, Counter(parsed.unknown_keys)


def epoch_ms(value: datetime) -> int:
    return (value.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        milliseconds=1
    )


def assert_bulk_follows_the_rules(rules: LineRules, lines: list[bytes]) -> None:
    found, expected = in_bulk(rules, lines), by_the_rules(rules, lines)
    for what, expectation in zip(found, expected, strict=True):
        assert what == expectation
    kinds = [type(value) for row in found[0] for value in row]
    assert kinds == [type(value) for row in expected[0] for value in row]


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


GOOD = dumped(event())
GOOD_SONG = dumped(song())
BAD_LINES = {
    "not JSON": b"hello",
    "an array": b"[1, 2]",
    "a number": b"5",
    "a text": b'"text"',
    "null": b"null",
    "true": b"true",
    "two objects": GOOD + GOOD,
    "two objects with a blank": GOOD + b" " + GOOD,
    "two empty objects": b"{}{}",
    "null between objects": b"{} null {}",
    "null between good objects": GOOD + b"null" + GOOD,
    "a number between objects": b"{} 5 {}",
    "an array between objects": b"{}[]{}",
    "first half of an object": GOOD[:50],
    "second half of an object": GOOD[50:],
    "half an object that ends like one": GOOD[:50] + b"}",
    "a comma at the end": GOOD[:-1] + b",}",
    "NaN": dumped(event(length=float("nan"))),
    "Infinity": dumped(event(length=float("inf"))),
    "Inf": GOOD.replace(b"200.5", b"Inf"),
    "NaN under an unknown key": dumped(event(other=float("nan"))),
    "Inf under an unknown key": GOOD[:-1] + b', "other": Inf}',
    "NaN in a list under an unknown key": GOOD[:-1] + b', "other": [[1], [2.5, NaN]]}',
    "a key twice": GOOD[:-1] + b', "page": "Home"}',
    "an unknown key twice": GOOD[:-1] + b', "other": 1, "other": 2}',
    "an unknown nested key twice": GOOD[:-1] + b', "other": {"a": 1, "a": 2}}',
    "5.5 for a whole number": dumped(event(status=5.5)),
    "a text for a number": dumped(event(status="many")),
    "a blank text for a number": dumped(event(status=" ")),
    "a number with a blank": dumped(event(userId="5 ")),
    "a number with a line end": dumped(event(userId="5\n")),
    "a number with digits of another script": dumped(event(userId="\u0665")),
    "an empty text for a required number": dumped(event(status="")),
    "true for a number": dumped(event(status=True)),
    "true for a text": dumped(event(song=True)),
    "a number for a text": dumped(event(song=7)),
    "an object for a text": dumped(event(song={"a": 1})),
    "an array for a text": dumped(event(song=["a"])),
    "an object for a number": dumped(event(length={"a": 1})),
    "a text too long in bytes": dumped(event(gender="é")),
    "a text too long": dumped(event(song="x" * 513)),
    "a NUL in a text": dumped(event(song="a\0b")),
    "a raw NUL": GOOD.replace(b"Undo", b"Un\0do"),
    "a raw NUL after the object": GOOD + b"\0}",
    "a raw NUL and another object": GOOD + b"\0" + GOOD,
    "a control character": GOOD.replace(b"Undo", b"Un\x01do"),
    "half a high surrogate": GOOD.replace(b"Undo", b"\\ud800"),
    "half a low surrogate": GOOD.replace(b"Undo", b"\\udc00"),
    "not UTF-8": GOOD.replace(b"Undo", b"caf\xe9"),
    "a surrogate in UTF-8": GOOD.replace(b"Undo", b"\xed\xa0\x80"),
    "too large for INTEGER": dumped(event(sessionId=2**31)),
    "too small for INTEGER": dumped(event(sessionId=-(2**31) - 1)),
    "too large to be read exactly": dumped(event(registration=2**53 + 1)),
    "huge": GOOD.replace(b"200.5", b"1e999"),
    "huge in a text": dumped(event(userId="1e999")),
    "thousands of digits": GOOD.replace(b"200.5", b"9" * 5000),
    "thousands of digits under an unknown key": GOOD[:-1] + b', "other": ' + b"9" * 5000 + b"}",
    "a time beyond the year 9999": dumped(event(ts=2**50)),
    "a required key missing": dumped({k: v for k, v in event().items() if k != "page"}),
    "a required key null": dumped(event(page=None)),
    "an empty object": b"{}",
    "arrays nested very deeply": GOOD[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "objects nested very deeply": GOOD[:-1] + b', "x": ' + b'{"x":' * 50_000 + b"1" + b"}" * 50_001,
    "a zero before the digits": GOOD.replace(b"200.5", b"0200.5"),
    "a point without digits": GOOD.replace(b"200.5", b"200."),
    "a plus before the digits": GOOD.replace(b"200.5", b"+200.5"),
    "a comment": GOOD[:-1] + b"/* no */}",
    "a byte order mark in the middle": b"\xef\xbb\xbf" + GOOD,
    "a vertical tab": b"\x0b" + GOOD,
    "single quotes": GOOD.replace(b'"', b"'"),
}  # fmt: skip
STRANGE_GOOD_LINES = {
    "white space around": b" \t" + GOOD + b"  ",
    "CRLF": GOOD + b"\r",
    "white space inside": json.dumps(event(), indent=None, separators=(" ,\t", " : ")).encode(),
    "a carriage return inside": GOOD.replace(b', "', b',\r"'),
    "whole numbers as fractions": dumped(event(status=200.0, sessionId=7e0)),
    "numbers as texts": dumped(event(status="200", ts=str(event()["ts"]), length="1.5e2")),
    "userId as a number": dumped(event(userId=5)),
    "no userId": dumped(event(userId="")),
    "userId null": dumped(event(userId=None)),
    "texts with braces": dumped(event(song="{[}]", artist="}{", location="[[[[")),
    "many brackets": dumped(event(song="[" * 200)),
    "an unknown key": dumped(event(other=1, more="x", third=None)),
    "an unknown object": dumped(event(other={"a": {"b": None}})),
    "an unknown list": dumped(event(other=[1, 2.5, [None]])),
    "a mixed unknown list": dumped(event(other=[1, "a", {}])),
    "an empty unknown key": dumped(event() | {"": 1}),
    "a long unknown key": dumped(event() | {"k" * 3000: 1}),
    "half a character in an unknown key": dumped(event() | {"\ud800": 1}),
    "a NUL in an unknown key": dumped(event() | {"a\0b": 1}),
    "half a character under an unknown key": dumped(event(other="\ud800")),
    "a huge number under an unknown key": GOOD[:-1] + b', "other": 1e999}',
    "escaped keys": GOOD.replace(b'"page"', b'"\\u0070age"'),
    "characters of four bytes": json.dumps(event(song="😀"), ensure_ascii=False).encode(),
    "surrogate pairs": dumped(event(song="😀")),
    "line separators of Unicode": GOOD.replace(b"Undo", "a\u2028b\x85c".encode()),
    "the largest exact number": dumped(event(registration=2**53 - 1)),
    "the first and the last time": dumped(event(ts=-62_135_596_800_000)),
    "a negative zero": dumped(event(length=-0.0)),
    "a tiny number": dumped(event(length=5e-324)),
    "many digits": GOOD.replace(b"200.5", b"200.50000000000000000000000000000001"),
}  # fmt: skip


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_is_rejected_alone_and_among_many(line: bytes) -> None:
    with pytest.raises(LineError):
        EVENTS.row(line)
    for lines in ([GOOD] * MANY + [line], [line] + [GOOD] * MANY, [GOOD] * 200 + [line] * 200):
        assert_bulk_follows_the_rules(EVENTS, lines)


@pytest.mark.parametrize("line", STRANGE_GOOD_LINES.values(), ids=STRANGE_GOOD_LINES)
def test_a_strange_but_good_line_is_a_row_alone_and_among_many(line: bytes) -> None:
    EVENTS.row(line)
    for lines in ([GOOD] * MANY + [line], [line] + [GOOD] * MANY, [line] * MANY):
        assert_bulk_follows_the_rules(EVENTS, lines)


def test_an_object_over_two_lines_is_two_rejected_lines() -> None:
    for cut in range(1, len(GOOD), 29):
        lines = [GOOD] * MANY + [GOOD[:cut], GOOD[cut:]] + [GOOD] * 5
        assert_bulk_follows_the_rules(EVENTS, lines)
        assert [r[1] for r in in_bulk(EVENTS, lines)[1]] == [MANY + 1, MANY + 2]


def test_a_whole_number_is_never_changed_silently() -> None:
    for number in (2**53 - 1, 2**53, 2**53 + 1, 2**62, -(2**53), -(2**53) - 1):
        try:
            values, _ = EVENTS.row(dumped(event(registration=number)))
        except LineError:
            continue
        assert number in values


def test_a_reason_quotes_nothing_of_the_line() -> None:
    for line in BAD_LINES.values():
        with pytest.raises(LineError) as caught:
            EVENTS.row(line)
        assert len(str(caught.value)) < 120
        assert "Smith" not in str(caught.value)


def test_a_long_raw_line_is_kept_as_far_as_it_fits_in_whole_characters() -> None:
    line = json.dumps(event(page=None, song="é" * 70_000), ensure_ascii=False).encode()
    (rejected,) = parse(EVENTS, batch_of([line]), DAYS).rejected
    assert len(rejected.raw.encode()) in (65_534, 65_535)
    assert line.decode().startswith(rejected.raw)


values = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.integers(), st.floats(),
    st.sampled_from(["", "5", "5.5", "-1", " 5", "1e3", "1e400", "NaN", "x" * 17, "é" * 70, "{",
                     "}", "[", "\0", "\ud800", "paid"]),
    st.text(max_size=5), st.lists(st.integers() | st.floats() | st.text(max_size=2), max_size=3),
    st.dictionaries(st.text(max_size=2), st.none() | st.integers(), max_size=2),
)  # fmt: skip


@st.composite
def json_lines(draw: st.DrawFn, good: dict[str, object]) -> bytes:
    """A good object with a few keys changed, added or left out, and perhaps spoilt as text."""
    fields = dict(good)
    keys = st.sampled_from([*good, "other", "more", ""]) | st.text(max_size=2)
    fields |= draw(st.dictionaries(keys, values, max_size=2))
    for key in draw(st.lists(st.sampled_from(list(good)), max_size=1)):
        fields.pop(key, None)
    line = json.dumps(fields, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    kind = draw(st.integers(0, 9))
    if kind == 0:  # something in the place of a part of the text
        start = draw(st.integers(0, len(line)))
        end = draw(st.integers(start, min(start + 3, len(line))))
        line = line[:start] + draw(st.binary(max_size=3)) + line[end:]
    elif kind == 1:
        line += draw(
            st.sampled_from([b"{}", b"null{}", b" ", b"\r", b"\0}", b",{}", b"5 {}", b"}"])
        )
    elif kind == 2:
        line = draw(st.binary(max_size=12))
    return line.replace(b"\n", b" ")


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(json_lines(event()), max_size=6), st.integers(0, MANY), st.integers(0, MANY))
def test_events_in_bulk_follow_the_rules(strange: list[bytes], before: int, after: int) -> None:
    strange = [line for line in strange if line.strip()]
    if strange or before + after:
        assert_bulk_follows_the_rules(EVENTS, [GOOD] * before + strange + [GOOD] * after)


@pytest.mark.slow
@settings(max_examples=75, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(json_lines(song()), max_size=6), st.integers(0, MANY), st.integers(0, MANY))
def test_songs_in_bulk_follow_the_rules(strange: list[bytes], before: int, after: int) -> None:
    strange = [line for line in strange if line.strip()]
    if strange or before + after:
        assert_bulk_follows_the_rules(SONGS, [GOOD_SONG] * before + strange + [GOOD_SONG] * after)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(json_lines(event()), min_size=1, max_size=3))
def test_the_same_strange_lines_many_times_follow_the_rules(strange: list[bytes]) -> None:
    strange = [line for line in strange if line.strip()]
    if strange:
        assert_bulk_follows_the_rules(EVENTS, strange * (300 // len(strange)))


def test_a_number_too_large_says_which_limit_it_broke() -> None:
    for number, said in (
        (2**53, "registration: beyond 9007199254740991"),
        (2**64, "registration: out of the range of BIGINT"),
    ):
        with pytest.raises(LineError, match=said):
            EVENTS.row(dumped(event(registration=number)))
    with pytest.raises(LineError, match="status: out of the range of INTEGER"):
        EVENTS.row(dumped(event(status=2**40)))


def test_a_list_of_accepted_values_makes_an_empty_text_nothing_and_only_one_refuses_others() -> (
    None
):
    levels = ("free", "gold", "", "paid", None)
    sent = [dumped(event(level=levels[n % 5], gender=("", "X")[n % 2])) for n in range(MANY)]
    columns = tuple(replace(c, only_accepted=c.name == "level") for c in EVENTS.table.columns)
    only = replace(EVENTS, table=replace(EVENTS.table, columns=columns))
    for rules, refused in ((EVENTS, {"", None}), (only, {"gold", "", None})):
        assert_bulk_follows_the_rules(rules, sent)
        rows, rejected, _ = by_the_rules(rules, sent)
        assert len(rejected) == MANY * len(refused) // 5
        gender = [column.name for column, _ in rules.columns].index("gender")
        assert {row[gender] for row in rows} == {None, "X"}
        reasons = {reason for *_, reason in rejected}
        assert ("level: none of free, paid" in reasons) == ("gold" in refused)
        assert "level: missing, and required" in reasons
