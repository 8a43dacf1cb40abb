"""Lakes: one contract for a folder and for a real S3 endpoint, then what each alone must do."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa
import pytest

from sparkify_dagster.lake import (
    ChangedError,
    Chunk,
    FileError,
    Lake,
    LakeError,
    LakeFile,
    open_lake,
)
from sparkify_dagster.lake.base import CHUNK_BYTES
from sparkify_dagster.lake.local import FileFetcher, LocalLake
from sparkify_dagster.lake.s3 import S3Lake
from sparkify_dagster.lake.s3_fetch import Patience, S3Fetcher
from sparkify_dagster.settings.sources import SOURCES
from sparkify_dagster_tests.fixtures.lake import REGION, SECRET_KEY, S3Endpoint
from sparkify_dagster_tests.lake.fake_s3 import (
    ACCESS_KEY,
    FakeS3,
    Handler,
    breaks_off,
    fails,
    stalls,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from sparkify_dagster.lake.prefetch import Block

    Env = pytest.MonkeyPatch

MIB = 1 << 20
F = TypeVar("F")
LOGS, SONGS = SOURCES


@dataclass(frozen=True)
class Place:
    """A lake and the folder that holds its files."""

    lake: Lake
    folder: Path

    def put(self, key: str, data: bytes) -> Path:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def settle(self) -> None:
        """Wait until the lake's server sees what was changed: rclone does after 10 ms."""
        time.sleep(0.05)


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty lake of each kind."""
    if request.param == "local":
        folder = tmp_path / "log_data"
        folder.mkdir()
        return Place(LocalLake(folder, budget=16 * MIB), folder)
    request.getfixturevalue("aws_environment")
    endpoint: S3Endpoint = request.getfixturevalue("s3_endpoint")
    bucket = "b" + hashlib.md5(str(tmp_path).encode(), usedforsecurity=False).hexdigest()
    folder = endpoint.root / bucket / "log_data"
    folder.mkdir(parents=True)
    lake = S3Lake(
        f"s3://{bucket}/log_data",
        region=REGION,
        endpoint_url=endpoint.endpoint_url,
        budget=16 * MIB,
    )
    return Place(lake, folder)


@dataclass
class Meter:
    """How many bytes are asked for and not yet consumed."""

    held: int = 0
    peak: int = 0

    def around(
        self, submit: Callable[[F, Block], Future[list[bytes]]]
    ) -> Callable[[F, Block], Future[list[bytes]]]:
        def metered(fetcher: F, block: Block) -> Future[list[bytes]]:
            self.held += sum(part.length for part in block)
            self.peak = max(self.peak, self.held)
            return submit(fetcher, block)

        return metered


def contents(lake: Lake, files: Iterable[LakeFile] | None = None) -> dict[str, bytes]:
    """Every file's decoded content, read in one go; the first error, if a file has one."""
    found: dict[str, bytes] = {}
    with contextlib.closing(lake.read(list(lake.list() if files is None else files))) as chunks:
        for chunk in whole(chunks):
            found[chunk.file.key] = found.get(chunk.file.key, b"") + chunk.data
    return found


def whole(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    for chunk in chunks:
        if chunk.error:
            raise chunk.error
        yield chunk


# The contract


def test_a_listing_has_every_file_sorted_by_key(place: Place) -> None:
    place.put("b.json", b"22")
    place.put("a/z.json", b"1")
    place.put("a/b/c.json", b"")
    place.put("a.json", b"4444")
    files = place.lake.list()
    assert [(file.key, file.size) for file in files] == [
        ("a.json", 4),
        ("a/b/c.json", 0),
        ("a/z.json", 1),
        ("b.json", 2),
    ]
    now = datetime.now(UTC)
    assert all(abs(now - file.last_modified) < timedelta(minutes=5) for file in files)
    assert all(file.etag for file in files)


def test_hidden_and_unfinished_files_are_not_data(place: Place) -> None:
    for key in (".hidden", "_SUCCESS", "x.tmp", "x.part", "_temporary/0/x.json", ".git/x.json"):
        place.put(key, b"{}")
    place.put("with_underscore/x.tmp.json", b"{}")
    assert [file.key for file in place.lake.list()] == ["with_underscore/x.tmp.json"]


def test_a_prefix_is_a_folder_and_not_the_start_of_a_name(place: Place) -> None:
    place.put("../log_data_old/a.json", b"old")
    place.put("../log_data.json", b"beside")
    place.put("a.json", b"new")
    assert contents(place.lake) == {"a.json": b"new"}


def test_a_prefix_without_files_is_an_empty_listing(place: Place) -> None:
    assert place.lake.list() == []
    assert list(place.lake.read([])) == []


def test_names_may_have_spaces_accents_and_signs(place: Place) -> None:
    names = [
        *("a b.json", "é ü 日本 🎵.json", "100%.json", "a%20b.json", "x+y&z=1.json", "q?#h.json"),
        *('it\'s "q".json', "[x]{y}~^|`.json", "ø/ñ/ß.json"),
    ]
    for name in names:
        place.put(name, name.encode())
    assert contents(place.lake) == {name: name.encode() for name in names}


def test_a_url_names_the_lake_and_the_file(place: Place) -> None:
    assert place.lake.url("a/b.json").endswith("/log_data/a/b.json")
    assert place.lake.uri.endswith("/log_data")


def test_an_empty_file_is_one_empty_last_chunk(place: Place) -> None:
    place.put("empty.json", b"")
    assert [(c.data, c.last) for c in place.lake.read(place.lake.list())] == [(b"", True)]


def test_files_come_in_the_order_asked_for_and_never_interleaved(place: Place) -> None:
    chance = random.Random(1)
    for number in range(300):
        place.put(f"{number:03}.json", b"x" * chance.randrange(200))
    place.put("large.json", b"y" * (2 * CHUNK_BYTES + 1))
    files = place.lake.list()
    chance.shuffle(files)
    seen = list(place.lake.read(files))
    assert [chunk.file for chunk in seen if chunk.last] == files
    order = {file.key: number for number, file in enumerate(files)}
    positions = [order[chunk.file.key] for chunk in seen]
    assert positions == sorted(positions)


def test_a_huge_file_comes_in_pieces(place: Place) -> None:
    data = random.Random(2).randbytes(40 * MIB + 3)
    place.put("huge.json", data)
    chunks = list(place.lake.read(place.lake.list()))
    assert max(len(chunk.data) for chunk in chunks) <= CHUNK_BYTES
    assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert b"".join(chunk.data for chunk in chunks) == data


def test_gzip_is_recognised_by_its_content_and_not_by_its_name(place: Place) -> None:
    place.put("named.json", gzip.compress(b"content"))
    place.put("plain.json.gz", b"content")
    place.put("empty.json.gz", gzip.compress(b""))
    assert contents(place.lake) == {
        "named.json": b"content",
        "plain.json.gz": b"content",
        "empty.json.gz": b"",
    }


def test_gzip_may_have_several_members_and_padding(place: Place) -> None:
    members = gzip.compress(b"one\n") + gzip.compress(b"") + gzip.compress(b"two\n")
    place.put("members.gz", members)
    place.put("padded.gz", members + b"\0" * 1000)
    assert contents(place.lake) == {"members.gz": b"one\ntwo\n", "padded.gz": b"one\ntwo\n"}


def test_gzip_larger_than_a_chunk_is_decoded_piece_by_piece(place: Place) -> None:
    noise = random.Random(3).randbytes(9 * MIB)  # does not shrink: several raw parts
    place.put("noise.gz", gzip.compress(noise, 1) + gzip.compress(noise, 1))
    assert contents(place.lake)["noise.gz"] == noise + noise


@pytest.mark.parametrize("size", [CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES])
def test_gzip_that_expands_hugely_is_held_a_chunk_at_a_time(place: Place, size: int) -> None:
    place.put("zeros.gz", gzip.compress(b"0" * size, 1))
    sizes = [len(chunk.data) for chunk in place.lake.read(place.lake.list())]
    assert max(sizes) <= CHUNK_BYTES
    assert sum(sizes) == size


@pytest.mark.parametrize("keep", [2, 9, 15, 40, -1, -8])
def test_gzip_that_ends_early_is_an_error_naming_the_file(place: Place, keep: int) -> None:
    whole = gzip.compress(random.Random(4).randbytes(100))
    place.put("2018/cut.json.gz", whole[:keep])
    with pytest.raises(LakeError, match=r"2018/cut\.json\.gz.* ends early; upload"):
        contents(place.lake)


@pytest.mark.parametrize("damage", ["byte", "checksum", "tail"])
def test_damaged_gzip_is_an_error_naming_the_file(place: Place, damage: str) -> None:
    data = bytearray(gzip.compress(random.Random(5).randbytes(1000)))
    if damage == "tail":
        data += b"rubbish after the last member"
    else:
        data[500 if damage == "byte" else -6] ^= 0xFF
    place.put("bad.json.gz", bytes(data))
    with pytest.raises(LakeError, match=r"bad\.json\.gz.* is damaged; upload"):
        contents(place.lake)


def test_zstd_is_read_by_its_name_and_content(place: Place) -> None:
    noise = random.Random(7).randbytes(9 * MIB)
    place.put("a.json.zst", zstd(b"one\n") + zstd(b"two\n"))
    place.put("plain.json.zst", b"content")
    place.put("empty.jsonl.zst", zstd(b""))
    place.put("noise.ndjson.zst", zstd(noise) + zstd(noise))
    place.put("zeros.json.zst", zstd(b"0" * (5 * CHUNK_BYTES)))
    assert contents(place.lake) == {
        "a.json.zst": b"one\ntwo\n",
        "plain.json.zst": b"content",
        "empty.jsonl.zst": b"",
        "noise.ndjson.zst": noise + noise,
        "zeros.json.zst": b"0" * (5 * CHUNK_BYTES),
    }
    assert max(len(chunk.data) for chunk in place.lake.read(place.lake.list())) <= CHUNK_BYTES


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (lambda data: data[:-9], r"bad\.json\.zst: the zstd data ends early; upload"),
        (lambda data: data[:40] + b"\xff" * 99 + data[99:], r"zst: the zstd data is damaged; upl"),
        (lambda data: data + b"rubbish after", r"zst: the zstd data is damaged; upload"),
    ],
)
def test_spoilt_zstd_is_an_error_naming_the_file(
    place: Place, spoilt: Callable[[bytes], bytes], message: str
) -> None:
    place.put("bad.json.zst", spoilt(zstd(random.Random(8).randbytes(1000))))
    with pytest.raises(LakeError, match=message):
        contents(place.lake)


def zstd(data: bytes) -> bytes:
    packed: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    return packed


@pytest.mark.parametrize("new", [b"changed!", b"longer than before", b"short", b""])
def test_a_file_that_changed_since_the_listing_is_an_error(place: Place, new: bytes) -> None:
    path = place.put("day.json", b"original")
    files = place.lake.list()
    kept = path.stat()
    path.write_bytes(new)
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    place.settle()
    with pytest.raises(ChangedError, match=r"day\.json: changed while .* read; run again"):
        contents(place.lake, files)
    assert place.lake.list()[0].etag != files[0].etag


@pytest.mark.slow
def test_a_large_file_that_changes_between_its_parts_is_an_error(place: Place) -> None:
    path = place.put("large.json", b"x" * (10 * CHUNK_BYTES))
    reader = place.lake.read(place.lake.list())
    next(reader)
    path.write_bytes(b"y" * (10 * CHUNK_BYTES))
    place.settle()
    with pytest.raises(ChangedError, match=r"large\.json: changed while"):
        list(whole(reader))


def test_a_file_that_vanished_since_the_listing_is_an_error(place: Place) -> None:
    path = place.put("gone.json", b"here")
    files = place.lake.list()
    path.unlink()
    place.settle()
    with pytest.raises(ChangedError, match=r"gone\.json: vanished .*; run again"):
        contents(place.lake, files)


def test_no_more_is_fetched_ahead_than_the_budget(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        place.put(f"large{number}.json", b"x" * (5 * MIB))
    for number in range(60):
        place.put(f"medium{number}.json", b"x" * (600 << 10))
    meter = Meter()
    monkeypatch.setattr(FileFetcher, "submit", meter.around(FileFetcher.submit))
    monkeypatch.setattr(S3Fetcher, "submit", meter.around(S3Fetcher.submit))
    for chunk in place.lake.read(place.lake.list()):
        meter.held -= len(chunk.data)
    assert meter.held == 0
    assert 8 * MIB < meter.peak <= 16 * MIB


def test_closing_early_leaves_no_thread_behind(place: Place) -> None:
    for number in range(500):
        place.put(f"{number}.json", b"x" * 10_000)
    before = set(threading.enumerate())
    reader = place.lake.read(place.lake.list())
    next(reader)
    assert set(threading.enumerate()) > before
    reader.close()
    assert set(threading.enumerate()) == before
    place.lake.read(place.lake.list()).close()
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("size", [20, 2 * CHUNK_BYTES + 1])
def test_a_file_that_cannot_be_read_keeps_no_other_from_being_read(place: Place, size: int) -> None:
    for name in ("a", "b", "d"):
        place.put(f"{name}.json", name.encode() * size)
    path = place.put("c.json", b"c" * size)
    place.put("e.json.gz", gzip.compress(random.Random(5).randbytes(size))[:-9])
    place.put("f.json", b"f")
    files = place.lake.list()
    path.write_bytes(b"x" * size)
    place.settle()
    found: dict[str, bytes] = {}
    ends = []
    for chunk in place.lake.read(files):
        found[chunk.file.key] = found.get(chunk.file.key, b"") + chunk.data
        ends += [(chunk.file.key, type(chunk.error))] if chunk.last else []
    none = type(None)
    assert ends == [
        ("a.json", none), ("b.json", none), ("c.json", ChangedError), ("d.json", none),
        ("e.json.gz", FileError), ("f.json", none),
    ]  # fmt: skip
    assert {key: found[key] for key in ("a.json", "b.json", "d.json", "f.json")} == {
        "a.json": b"a" * size, "b.json": b"b" * size, "d.json": b"d" * size, "f.json": b"f",
    }  # fmt: skip


def test_an_error_leaves_no_thread_behind(place: Place) -> None:
    for number in range(200):
        place.put(f"{number}.json", b"x")
    files = place.lake.list()
    place.put("50.json", b"y")
    place.settle()
    before = set(threading.enumerate())
    with pytest.raises(LakeError, match=r"/50\.json: changed"):
        contents(place.lake, files)
    assert set(threading.enumerate()) == before


# A folder


@pytest.mark.slow
def test_fifteen_thousand_small_files_are_read(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    for number in range(15_000):
        if number % 500 == 0:
            folder = tmp_path / f"{number // 500:02}"
            folder.mkdir()
        (folder / f"{number:05}.json").write_bytes(b"%0250d" % number)
    start = time.perf_counter()
    found = contents(LocalLake(tmp_path))
    record_property("seconds", round(time.perf_counter() - start, 3))
    assert len(found) == 15_000
    assert all(int(data) == int(key[3:8]) for key, data in found.items())


def test_a_missing_lake_folder_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"nowhere does not exist: create it"):
        LocalLake(tmp_path / "nowhere").list()


def test_a_file_is_not_a_lake_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LakeError, match=r"file is not a folder"):
        LocalLake(tmp_path / "file").list()


def test_a_name_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.json")).write_bytes(b"")
    with pytest.raises(LakeError, match=r"caf.*json.*not valid UTF-8; rename"):
        LocalLake(tmp_path).list()


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.json").write_bytes(b"a")
    (tmp_path / "lake/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "lake")
    assert contents(LocalLake(tmp_path / "lake")) == {"link/a.json": b"a"}


def test_a_link_to_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "day.json").symlink_to(tmp_path / "absent")
    with pytest.raises(LakeError, match=r"day\.json is a link to a file that is not there"):
        LocalLake(tmp_path).list()


def test_a_folder_may_be_given_as_a_file_address(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    (folder / "a.json").write_bytes(b"a")
    lake = open_lake(folder.as_uri(), region=REGION, endpoint_url=None)
    assert contents(lake) == {"a.json": b"a"}
    assert lake.url("a.json") == f"{folder.as_uri()}/a.json"


@pytest.mark.parametrize("uri", ["gs://bucket/x", "https://host/x", "s3:///x", "s3://b/x//y"])
def test_an_address_of_another_kind_is_refused(uri: str) -> None:
    with pytest.raises(LakeError, match=r"s3://bucket/prefix"):
        open_lake(uri, region=REGION, endpoint_url=None)


# S3, a real endpoint


@pytest.mark.s3
@pytest.mark.parametrize("prefix", ["log_data", "log_data/", "/log_data//", "a b/é+c%20"])
def test_a_prefix_is_read_however_it_is_written(
    s3_endpoint: S3Endpoint, aws_environment: Env, prefix: str
) -> None:
    s3_endpoint.put("prefixes", f"{prefix.strip('/')}/2018/a.json", b"a")
    lake = real(s3_endpoint, f"s3://prefixes/{prefix}")
    assert contents(lake) == {"2018/a.json": b"a"}
    assert lake.url("2018/a.json") == f"s3://prefixes/{prefix.strip('/')}/2018/a.json"


@pytest.mark.s3
def test_a_whole_bucket_is_a_lake(s3_endpoint: S3Endpoint, aws_environment: Env) -> None:
    s3_endpoint.put("whole", "x/a.json", b"a")
    lake = real(s3_endpoint, "s3://whole")
    assert contents(lake) == {"x/a.json": b"a"}
    assert lake.url("x/a.json") == "s3://whole/x/a.json"


@pytest.mark.slow
@pytest.mark.s3
def test_a_listing_of_many_pages_and_its_files_are_read(
    s3_endpoint: S3Endpoint, aws_environment: Env
) -> None:
    for number in range(2_500):
        s3_endpoint.put("many", f"song_data/{number % 7}/{number}.json", b"%d" % number)
    found = contents(real(s3_endpoint, "s3://many/song_data"))
    assert found == {f"{n % 7}/{n}.json": b"%d" % n for n in range(2_500)}


@pytest.mark.s3
def test_a_bucket_that_does_not_exist_is_named(
    s3_endpoint: S3Endpoint, aws_environment: Env
) -> None:
    with pytest.raises(LakeError, match=r"The bucket nowhere does not exist at http://127"):
        real(s3_endpoint, "s3://nowhere/log_data").list()


@pytest.mark.s3
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("AWS_ACCESS_KEY_ID", "does not know the access key"),
        ("AWS_SECRET_ACCESS_KEY", "secret key does not fit"),
    ],
)
def test_wrong_credentials_are_reported_without_showing_them(
    s3_endpoint: S3Endpoint, aws_environment: Env, name: str, message: str
) -> None:
    aws_environment.setenv(name, "SOMETHINGWRONG")
    with pytest.raises(LakeError, match=message) as caught:
        real(s3_endpoint, "s3://bucket/log_data").list()
    says_nothing_secret(caught.value)


def test_no_credentials_at_all_is_reported_with_what_to_set(
    aws_environment: Env,
) -> None:
    aws_environment.delenv("AWS_ACCESS_KEY_ID")
    aws_environment.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(LakeError, match=r"no usable AWS credentials: set AWS_ACCESS_KEY_ID and"):
        S3Lake("s3://bucket/log_data", region=REGION, endpoint_url="http://127.0.0.1:1").list()


def test_a_profile_that_does_not_exist_is_reported(aws_environment: Env) -> None:
    aws_environment.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(LakeError, match=r"no usable AWS credentials \(ProfileNotFound\)"):
        S3Lake("s3://bucket/log_data", region=REGION, endpoint_url="http://127.0.0.1:1").list()


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1 cannot be reached: it refuses the connection"),
        ("http://nowhere.invalid", "cannot be reached: its host name is unknown"),
        ("http://user:hidden@127.0.0.1:1", "http://127.0.0.1:1 cannot be reached"),
    ],
)
def test_an_endpoint_that_is_not_there_is_reported(
    aws_environment: Env, endpoint: str, message: str
) -> None:
    lake = S3Lake("s3://b/x", region=REGION, endpoint_url=endpoint, patience=IMPATIENT)
    with pytest.raises(LakeError, match=message) as caught:
        lake.list()
    says_nothing_secret(caught.value)


def test_an_endpoint_without_a_scheme_is_refused() -> None:
    with pytest.raises(LakeError, match="must start with http:// or https://"):
        S3Lake("s3://b/x", region=REGION, endpoint_url="minio:9000")


# S3, faults

IMPATIENT = Patience(connect=1, silence=0.3, whole=2, retries=2, backoff=0.01)


def real(endpoint: S3Endpoint, uri: str) -> Lake:
    return open_lake(uri, region=REGION, endpoint_url=endpoint.endpoint_url)


def faulty(s3: FakeS3, patience: Patience = IMPATIENT) -> Lake:
    return S3Lake(
        "s3://bucket/log_data", region=REGION, endpoint_url=s3.endpoint_url, patience=patience
    )


def says_nothing_secret(error: BaseException) -> None:
    """Neither the message nor a cause that a log would print beside it."""
    assert error.__cause__ is None
    assert error.__context__ is None
    for secret in (ACCESS_KEY, SECRET_KEY, "SOMETHINGWRONG", "hidden"):
        assert secret not in str(error)


def test_the_endpoint_may_come_from_the_environment(fake_s3: FakeS3, aws_environment: Env) -> None:
    fake_s3.objects["log_data/a.json"] = b"data"
    aws_environment.setenv("AWS_ENDPOINT_URL", fake_s3.endpoint_url)
    lake = open_lake("s3://bucket/log_data", region=REGION, endpoint_url=None)
    assert contents(lake) == {"a.json": b"data"}


def test_a_configured_endpoint_is_stronger_than_the_environment(
    fake_s3: FakeS3, aws_environment: Env
) -> None:
    fake_s3.objects["log_data/a.json"] = b"data"
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        aws_environment.setenv(name, "http://127.0.0.1:1")
    assert contents(faulty(fake_s3)) == {"a.json": b"data"}


def test_a_public_bucket_is_read_without_credentials(fake_s3: FakeS3, aws_environment: Env) -> None:
    fake_s3.objects["log_data/a.json"] = b"data"
    aws_environment.delenv("AWS_ACCESS_KEY_ID")
    aws_environment.delenv("AWS_SECRET_ACCESS_KEY")
    aws_environment.setenv("AWS_SKIP_SIGNATURE", "true")
    assert contents(faulty(fake_s3)) == {"a.json": b"data"}
    assert fake_s3.signed == 0


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_a_server_error_is_tried_again(fake_s3: FakeS3, status: int) -> None:
    fake_s3.objects["log_data/a.json"] = b"data"
    fake_s3.list_faults.append(fails(status, "SlowDown"))
    fake_s3.get_faults.extend([fails(status, "SlowDown"), fails(status, "SlowDown")])
    assert contents(faulty(fake_s3)) == {"a.json": b"data"}
    assert len(fake_s3.requests) == 5


def test_a_server_that_only_fails_is_reported_with_the_tries(fake_s3: FakeS3) -> None:
    fake_s3.list_faults.extend([fails(503, "SlowDown")] * 9)
    with pytest.raises(LakeError, match=r"answered 503 SlowDown \(3 tries\); run again later"):
        faulty(fake_s3).list()


def test_an_answer_that_does_not_come_is_asked_for_again(fake_s3: FakeS3) -> None:
    fake_s3.objects["log_data/a.json"] = b"data"
    fake_s3.list_faults.append(stalls(1))
    fake_s3.get_faults.append(stalls(1))
    assert contents(faulty(fake_s3)) == {"a.json": b"data"}


def test_a_server_that_never_answers_is_reported(fake_s3: FakeS3) -> None:
    fake_s3.list_faults.extend([stalls(1)] * 9)
    with pytest.raises(LakeError, match=r"did not answer in time \(3 tries\)"):
        faulty(fake_s3).list()


def test_a_body_that_breaks_off_is_fetched_again(fake_s3: FakeS3) -> None:
    data = b"0123456789" * 1000
    fake_s3.objects["log_data/a.json"] = data
    faults = [breaks_off(data[:5000], len(data), of=data), breaks_off(b"", len(data), of=data)]
    fake_s3.get_faults.extend(faults)
    assert contents(faulty(fake_s3)) == {"a.json": data}


@pytest.mark.slow
@pytest.mark.parametrize("ranges", [206, 200])
def test_a_large_body_that_breaks_off_goes_on_where_it_was(fake_s3: FakeS3, ranges: int) -> None:
    data = random.Random(6).randbytes(3 * CHUNK_BYTES + 5)
    fake_s3.ranges = ranges
    fake_s3.objects["log_data/large.json"] = data
    fake_s3.objects["log_data/larger.json"] = data + data
    lake = faulty(fake_s3, Patience(backoff=0.01, retries=3))
    files = lake.list()

    def breaks(handler: Handler) -> None:  # whichever of the two is asked for first
        body = fake_s3.objects[handler.path.removeprefix("/bucket/")]
        breaks_off(body[: CHUNK_BYTES + 9], len(body), of=body)(handler)

    fake_s3.get_faults.append(breaks)
    assert contents(lake, files) == {"large.json": data, "larger.json": data + data}


@pytest.mark.parametrize("announced", [10_000, 5_000])
def test_a_body_shorter_than_announced_is_an_error_and_never_data(
    fake_s3: FakeS3, announced: int
) -> None:
    data = b"0123456789" * 1000
    fake_s3.objects["log_data/a.json"] = data
    lake = faulty(fake_s3)
    files = lake.list()
    fake_s3.get_faults.extend([breaks_off(data[:5000], announced, of=data)] * 99)
    reader = lake.read(files)
    with pytest.raises(FileError, match=r"a\.json: .* sent fewer bytes than announced"):
        list(whole(reader))


def test_a_listing_that_breaks_off_is_asked_for_again(fake_s3: FakeS3) -> None:
    fake_s3.objects["log_data/a.json"] = b"data"
    fake_s3.list_faults.append(breaks_off(b"<ListBucketResult><Contents>", 500))
    assert contents(faulty(fake_s3)) == {"a.json": b"data"}


def test_a_listing_has_all_its_pages(fake_s3: FakeS3) -> None:
    fake_s3.objects.update({f"log_data/{n}.json": b"%d" % n for n in range(10)})
    fake_s3.objects["log_data_old/x.json"] = b"not asked for"
    assert contents(faulty(fake_s3)) == {f"{n}.json": b"%d" % n for n in range(10)}
    assert sum("list-type" in request for request in fake_s3.requests) == 4


def test_an_object_replaced_since_the_listing_is_an_error(fake_s3: FakeS3) -> None:
    fake_s3.objects["log_data/a.json"] = b"old"
    lake = faulty(fake_s3)
    files = lake.list()
    fake_s3.objects["log_data/a.json"] = b"new"
    with pytest.raises(ChangedError, match=r"a\.json: changed while it was being read; run again"):
        contents(lake, files)


def test_closing_does_not_wait_for_a_server_that_does_not_answer(fake_s3: FakeS3) -> None:
    fake_s3.objects.update({f"log_data/{n}.json": b"x" for n in range(3)})
    lake = faulty(fake_s3, Patience())
    files = lake.list()
    before = set(threading.enumerate())

    def only_the_first_answers(handler: Handler) -> None:
        if handler.path.endswith("/0.json"):
            handler.get("log_data/0.json")
        else:
            stalls(10)(handler)

    fake_s3.get_faults.extend([only_the_first_answers] * 3)
    start = time.monotonic()
    with contextlib.closing(lake.read(files)) as reader:
        next(reader)
    assert time.monotonic() - start < 5
    assert not [t for t in set(threading.enumerate()) - before if t.name.startswith("lake")]


def test_folder_markers_of_a_console_are_not_files(fake_s3: FakeS3) -> None:
    keys = ("", "2018/", "2018/11/", "2018/11/a.json", "lone/")
    fake_s3.objects.update({f"log_data/{key}": b"{}" if "json" in key else b"" for key in keys})
    fake_s3.objects["log_data/empty"] = b""
    assert [file.key for file in faulty(fake_s3).list()] == ["2018/11/a.json", "empty"]


def test_a_store_without_etags_is_read(fake_s3: FakeS3) -> None:
    fake_s3.etags = False
    fake_s3.objects["log_data/a.json"] = b"data"
    lake = faulty(fake_s3)
    files = lake.list()
    assert contents(lake, files) == {"a.json": b"data"}
    fake_s3.objects["log_data/a.json"] = b"longer than before"
    with pytest.raises(LakeError, match=r"a\.json: changed"):
        contents(lake, files)


def test_a_key_that_no_client_can_ask_for_is_listed_and_breaks_nothing(fake_s3: FakeS3) -> None:
    keys = ["/x.json", "a.json", "x/./y.json", "x//y.json", "x\ty.json"]
    fake_s3.objects.update({f"log_data/{key}": b"data" for key in keys})
    assert [file.key for file in faulty(fake_s3).list()] == sorted(keys)
    assert [key for key in keys if SONGS.owns(key)] == ["a.json"]


@pytest.mark.parametrize("token", ["", "<NextContinuationToken>0</NextContinuationToken>"])
def test_a_listing_that_goes_on_nowhere_is_an_error_and_not_an_end(
    fake_s3: FakeS3, token: str
) -> None:
    page = f"<ListBucketResult><IsTruncated>true</IsTruncated>{token}</ListBucketResult>".encode()
    fake_s3.list_faults.extend([lambda handler: handler.answer(200, page)] * 2)
    with pytest.raises(LakeError, match=r"says that its listing goes on, and not where"):
        faulty(fake_s3).list()


@pytest.mark.parametrize("page", [b"", b"{}", b"<html/>", b"<ListBucketResult><Contents/>"])
def test_a_later_page_that_is_not_s3s_is_an_error_and_not_an_end(
    fake_s3: FakeS3, page: bytes
) -> None:
    fake_s3.objects.update({f"log_data/{n}.json": b"%d" % n for n in range(4)})

    def first_then_nonsense(handler: Handler) -> None:
        fake_s3.list_faults.append(lambda handler: handler.answer(200, page))
        handler.list({"prefix": ["log_data/"]})

    fake_s3.list_faults.append(first_then_nonsense)
    with pytest.raises(LakeError, match="does not answer like S3: check the endpoint"):
        faulty(fake_s3).list()


def test_a_web_page_is_not_an_empty_lake(fake_s3: FakeS3) -> None:
    page = b"<html><body>MinIO Console</body></html>"
    fake_s3.list_faults.append(lambda handler: handler.answer(200, page))
    fake_s3.get_faults.append(lambda handler: handler.answer(200, page))
    with pytest.raises(LakeError, match="does not answer like S3: check the endpoint"):
        faulty(fake_s3).list()


MALFORMED = "The authorization header is malformed; the region is wrong; expecting 'eu-west-1'"


@pytest.mark.parametrize(
    ("status", "code", "text", "message"),
    [
        (403, "AccessDenied", "", r"s3:ListBucket on arn:aws:s3:::bucket for log_data/\*"),
        (400, "ExpiredToken", "", "credentials have expired: sign in again"),
        (403, "RequestTimeTooSkewed", "", "clock"),
        (301, "PermanentRedirect", "", "bucket is not in us-east-1: set the region of"),
        (400, "AuthorizationHeaderMalformed", MALFORMED, "is in eu-west-1, not in us-east-1"),
        (400, "Odd", "for AKIAIOSFODNN7EXAMPLE", r"unexpected answer .* 400 Odd for \[access key"),
    ],
)
def test_a_refused_listing_says_what_to_do(
    fake_s3: FakeS3, status: int, code: str, text: str, message: str
) -> None:
    fake_s3.list_faults.append(fails(status, code, text))
    with pytest.raises(LakeError, match=message) as caught:
        faulty(fake_s3).list()
    says_nothing_secret(caught.value)


def test_a_refused_object_says_which_permission_is_missing(fake_s3: FakeS3) -> None:
    fake_s3.objects["log_data/a.json"] = b"data"
    fake_s3.get_faults.append(fails(403, "AccessDenied"))
    need = r"a\.json: access refused .*s3:GetObject on arn:aws:s3:::bucket/log_data/\*"
    with pytest.raises(LakeError, match=need) as caught:
        contents(faulty(fake_s3))
    says_nothing_secret(caught.value)


KEY = "arn:aws:kms:us-east-1:123456789012:key/0f9a-1b"
DENIED = f"User: u is not authorized to perform: kms:Decrypt on resource: {KEY} because no policy"


@pytest.mark.parametrize(
    ("code", "message", "more", "said"),
    [
        ("InvalidObjectState", "", "<StorageClass>DEEP_ARCHIVE</StorageClass>",
         r"a\.json: is archived \(storage class DEEP_ARCHIVE\); restore it"),
        ("InvalidObjectState", "",
         "<StorageClass>INTELLIGENT_TIERING</StorageClass><AccessTier>ARCHIVE_ACCESS</AccessTier>",
         r"archived \(storage class INTELLIGENT_TIERING, ARCHIVE_ACCESS\); restore it"),
        ("AccessDenied", DENIED, "", rf"a\.json: access refused.* kms:Decrypt on {KEY}$"),
        ("KMS.DisabledException", "", "", r"key in AWS KMS cannot be used .*; enable the key"),
        ("AllAccessDisabled", "", "", r"a\.json: all access to this .* is disabled; ask its owner"),
    ],
)  # fmt: skip
def test_what_keeps_readers_out_is_named_truly(
    fake_s3: FakeS3, code: str, message: str, more: str, said: str
) -> None:
    fake_s3.objects["log_data/a.json"] = b"data"
    body = f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>".encode()
    fake_s3.get_faults.append(lambda handler: handler.answer(403, body))
    with pytest.raises(LakeError, match=said) as caught:
        contents(faulty(fake_s3))
    says_nothing_secret(caught.value)


@pytest.mark.parametrize(
    "profile",
    [
        "endpoint_url = {here}",
        "endpoint_url = http://127.0.0.1:1\nservices = own\n"
        "[services own]\ns3 =\n  endpoint_url = {here}",
    ],
)
def test_the_endpoint_may_come_from_the_profile(
    fake_s3: FakeS3, aws_environment: Env, tmp_path: Path, profile: str
) -> None:
    fake_s3.objects["log_data/a.json"] = b"data"
    config = tmp_path / "config"
    config.write_text(f"[profile own]\n{profile.format(here=fake_s3.endpoint_url)}\n")
    aws_environment.setenv("AWS_CONFIG_FILE", str(config))
    aws_environment.setenv("AWS_PROFILE", "own")
    lake = open_lake("s3://bucket/log_data", region=REGION, endpoint_url=None)
    assert contents(lake) == {"a.json": b"data"}
    aws_environment.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with pytest.raises(LakeError, match=r"127\.0\.0\.1:1 cannot be reached"):
        open_lake("s3://bucket/log_data", region=REGION, endpoint_url=None).list()
    for name in ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_ENDPOINT_URL_S3"):
        aws_environment.setenv(name, "true")
    lake = S3Lake("s3://bucket/log_data", region=REGION, endpoint_url=None)
    assert f"Amazon S3 in {REGION}" in lake.explain(OSError("status code: 503"), "x")
