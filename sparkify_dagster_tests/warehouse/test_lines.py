"""Splitting files into lines: the same lines and numbers however the files come in chunks."""

import gzip
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparkify_dagster.lake import Chunk, LakeFile
from sparkify_dagster.warehouse.load import lines as module
from sparkify_dagster.warehouse.load.lines import LONGEST_LINE, line_batches
from sparkify_dagster_tests.fixtures.warehouse import FolderLake, Platform, event, lines, rows_of

BOM = b"\xef\xbb\xbf"


def lake_files(contents: Sequence[bytes]) -> list[LakeFile]:
    now = datetime.now(UTC)
    return [LakeFile(f"{i:03}", len(c), "e", now) for i, c in enumerate(contents)]


def chunks(contents: Sequence[bytes], cuts: Iterable[int]) -> list[Chunk]:
    """Every file in pieces; `cuts` are positions, taken modulo the size of the file."""
    cuts = list(cuts)
    found = []
    for file, content in zip(lake_files(contents), contents, strict=True):
        places = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
        pieces = [content[a:b] for a, b in pairwise(places)]
        found += [Chunk(file, p, i == len(pieces) - 1) for i, p in enumerate(pieces)]
    return found


def split(contents: Sequence[bytes], cuts: Iterable[int] = (), batch_bytes: int = 16 << 20):
    """The lines, the too long ones and the counts, of all batches."""
    kept, long = [], []
    counts = dict.fromkeys(range(len(contents)), 0)
    for batch in line_batches(chunks(contents, cuts), lake_files(contents), batch_bytes):
        for i in range(len(batch.starts)):
            kept.append((int(batch.file[i]), int(batch.number[i]), batch.line(i)))
        long += [(line.file, line.number) for line in batch.too_long]
        for file, count in batch.counts.items():
            counts[file] += count
    return kept, long, counts


def expected(contents: Sequence[bytes], longest: int = LONGEST_LINE):
    kept, long = [], []
    counts = dict.fromkeys(range(len(contents)), 0)
    for file, content in enumerate(contents):
        for number, line in enumerate(content.removeprefix(BOM).split(b"\n"), 1):
            if len(line) >= longest:
                long.append((file, number))
            elif line.strip():
                kept.append((file, number, line.rstrip(b"\r")))
            else:
                continue
            counts[file] += 1
    return kept, long, counts


pieces = st.sampled_from([b"\n", b"\r\n", b"{}", b'{"a": 1}', b" ", b"\t", b"x", b"\xc3\xa9", b""])
contents = st.builds(
    lambda bom, parts: bom + b"".join(parts),
    st.sampled_from([b"", b"", BOM]),
    st.lists(pieces, max_size=12),
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(contents, max_size=4), st.lists(st.integers(0, 200), max_size=5), st.integers(1, 40)
)
@example([BOM + b"{}\n"], [1, 2], 1)
@example([b"", BOM, b"\n", b"{}"], [0], 1)
def test_lines_and_numbers_do_not_depend_on_chunks_or_batches(
    files: list[bytes], cuts: list[int], batch_bytes: int
) -> None:
    assert split(files, cuts, batch_bytes) == expected(files)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=6).map(
            lambda sizes: b"".join(b"x" * n + (b"\n" if end else b"") for n, end in sizes)
        ),
        max_size=3,
    ),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_a_line_too_long_is_one_line_and_the_numbers_after_it_are_right(
    files: list[bytes], cuts: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LONGEST_LINE", 16)
        found = split(files, cuts, 20)
    assert found == expected(files, 16)


def test_blank_lines_are_numbered_but_not_counted() -> None:
    kept, _, counts = split([b"\n \t\r\n{}\n\n\n{}"])
    assert kept == [(0, 3, b"{}"), (0, 6, b"{}")]
    assert counts == {0: 2}


@pytest.mark.every_engine
def test_a_line_of_more_than_four_mebibytes_is_quarantined_alone(
    platform: Platform, folder_lake: FolderLake
) -> None:
    good = lines([event(itemInSession=n) for n in range(300)])
    long = b'{"song": "' + b"x" * (5 << 20) + b'"}\n'
    day = "2018/11/2018-11-01-events.json"
    folder_lake.put("log_data", day, good + long + lines([event(page=None)]) + good)
    report = platform.load("staging_events", days=None, reload=False, run_id="r")
    assert (report.lines, report.rows_added, report.rejects) == (602, 600, 2)
    rejects = rows_of(platform, "SELECT line, reason, LEFT(raw_line, 4) FROM load_rejects")
    assert sorted(rejects) == [
        (301, "longer than 4 MiB", '{"so'),
        (302, "page: missing, and required", '{"ar'),
    ]


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"", 0),
        (BOM, 0),
        (b"\n\r\n\n", 0),
        (lines([event()]).rstrip(), 1),
        (BOM + lines([event(), event()]), 2),
        (lines([event(), event()]).replace(b"\n", b"\r\n"), 2),
        (b"\n\n" + lines([event()]) + b"\n\n", 1),
    ],
    ids=["empty", "bom only", "blank", "no final newline", "bom", "crlf", "blank lines around"],
)
def test_a_file_of_any_layout_loads(
    content: bytes, rows: int, compress: bool, platform: Platform, folder_lake: FolderLake
) -> None:
    content = gzip.compress(content) if compress else content
    name = "2018/11/2018-11-01-events.json" + (".gz" if compress else "")
    folder_lake.put("log_data", name, content)
    report = platform.load("staging_events", days=None, reload=False, run_id="r")
    (file,) = report.files
    assert (file.key, file.lines, file.rows, file.rejects) == (name, rows, rows, 0)
    assert rows_of(platform, "SELECT COUNT(*) FROM staging_events") == [(rows,)]
    assert rows_of(platform, "SELECT key, lines FROM load_files") == [(name, rows)]
