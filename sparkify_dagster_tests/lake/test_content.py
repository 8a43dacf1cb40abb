"""What a file is, where it is not JSON lines: one reason for the file, on every engine."""

import bz2
import gzip
import json
import lzma
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparkify_dagster.lake.content import not_json_lines
from sparkify_dagster_tests.fixtures.engines import EngineUnderTest
from sparkify_dagster_tests.fixtures.warehouse import FolderLake, event, lines
from sparkify_dagster_tests.lake.test_lake import zstd

EVENTS = [event(itemInSession=n) for n in range(20)]
GOOD = lines(EVENTS)
BOM = b"\xef\xbb\xbf"


def parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(EVENTS), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def marked(content: bytes) -> bytes:
    return b"".join(BOM + line for line in content.splitlines(keepends=True))


KINDS: dict[str, tuple[bytes, str]] = {
    "objects over several lines": (
        "\n".join(json.dumps(e, indent=2) for e in EVENTS).encode(),
        "of JSON objects that are spread over several lines: write each object on a line",
    ),
    "one object over several lines": (
        json.dumps(EVENTS[0] | {"other": [{"a": 1}, {"b": [2]}]}, indent=1).encode(),
        "of JSON objects that are spread over several lines",
    ),
    "an array on one line": (json.dumps(EVENTS).encode(), "one JSON array: write each object"),
    "an array, an object a line": (
        b"[\n" + GOOD.strip().replace(b"}\n", b"},\n") + b"\n]\n",
        "one JSON array",
    ),
    "an array over several lines": (json.dumps(EVENTS, indent=2).encode(), "one JSON array"),
    "an array of one": (b"[\n" + lines([event()]) + b"]", "one JSON array"),
    "a long array": (json.dumps(EVENTS * 500).encode(), "one JSON array"),
    "RS before each record": (
        b"".join(b"\x1e" + line for line in GOOD.splitlines(keepends=True)),
        "a JSON text sequence, whose records begin with the control character RS",
    ),
    "a mark before each line": (marked(GOOD), "text with byte order marks inside"),
    "two marks at the beginning of one line": (
        BOM + BOM + lines([event()]),
        "text with byte order marks",
    ),
    "UTF-16 with a mark": (GOOD.decode().encode("utf-16"), "text in UTF-16: save it as UTF-8"),
    "UTF-16, big end first": (GOOD.decode().encode("utf-16-be"), "text in UTF-16"),
    "UTF-16, little end first": (GOOD.decode().encode("utf-16-le"), "text in UTF-16"),
    "zstd": (zstd(GOOD), "compressed by zstd, which its name does not say: let it end in .zst"),
    "bzip2": (bz2.compress(GOOD), "compressed by bzip2: unpack it, or compress it with gzip"),
    "xz": (lzma.compress(GOOD), "compressed by xz: unpack it, or"),
    "gzip within gzip": (gzip.compress(gzip.compress(GOOD)), "compressed by gzip twice: unpack"),
    "Parquet": (parquet(), "a Parquet file: export it as JSON, one object a line"),
    "HTML": (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", r"a web page \(HTML\)"),
    "XML": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML document"),
}
"""Each with what is said of it."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_not_json_lines_is_named_once_on_every_engine(
    kind: str, engine: EngineUnderTest, tmp_path: Path
) -> None:
    content, said = KINDS[kind]
    lake = FolderLake(tmp_path / "lake")
    lake.put("log_data", "2018/11/02/part-0000.json", content)
    platform = engine.platform(tmp_path, lake.root)
    report = platform.load("staging_events", days=None, reload=False, run_id="r")
    (held,) = report.held_back
    assert re.match(said, f"{held.cause.removeprefix('is ')}: {held.cure}")
    assert (report.rows_total, report.rejects) == (0, 0)


ODD: dict[str, bytes] = {
    "good lines": GOOD,
    "nothing": b"",
    "blank lines": b"\n\r\n \n",
    "a mark at the beginning": BOM + GOOD,
    "an array as the first line": b'[{"a": 1}, {"b": 2}]\n' + GOOD,
    "an array as every line": b'["a", 1]\n["b", 2]\n',
    "an empty array as the first line": b"[]\n" + GOOD,
    "an object over two lines, then good ones": GOOD.replace(b", ", b",\n", 1),
    "half an object": GOOD[:100],
    "half an object, then good ones": GOOD[:100] + b"\n" + GOOD,
    "RS once": b"\x1e" + GOOD,
    "a file put behind another with its mark": GOOD + BOM + GOOD,
    "text": b"hello\nworld\n",
    "a broken array": b'[{"a": 1}\n' + GOOD,
    "deeply nested": b"[" * 100_000 + b"\n" + GOOD,
    "bytes of no meaning": bytes(range(128, 256)),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("cut", [bytes.lstrip, lambda content: content[:1500]])
def test_lines_that_are_merely_bad_are_left_to_their_rules(
    odd: str, cut: Callable[[bytes], bytes]
) -> None:
    assert not_json_lines(ODD[odd], whole=True) == ""
    assert not_json_lines(cut(ODD[odd]), whole=False) == ""
