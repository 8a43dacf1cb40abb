"""The stand-in's COPY: which files it reads, by which names, and what becomes of bad ones."""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import psycopg2
import pytest
from psycopg2 import errors
from psycopg2.extensions import cursor as Cursor

from sparkify_dagster_tests.fixtures.lake import S3Endpoint
from sparkify_dagster_tests.fixtures.standin import ROLE, Connect
from sparkify_dagster_tests.standin import StandIn

BUCKET = "copies"
FAILED = r"Load into table 't' failed.  Check 'sys_load_error_detail' system table for details."
DETAIL = "SELECT TRIM(file_name), line_number, TRIM(column_name), error_code, TRIM(error_message)"


class Lake:
    """A bucket, a table `t (a INTEGER, b VARCHAR(20))`, and COPYs from one to the other."""

    def __init__(self, endpoint: S3Endpoint, cursor: Cursor, prefix: str) -> None:
        self.endpoint = endpoint
        self.cursor = cursor
        self.prefix = prefix

    def put(self, name: str, *objects: object, raw: bytes | None = None) -> str:
        data = raw if raw is not None else "\n".join(map(json.dumps, objects)).encode()
        self.endpoint.put(BUCKET, f"{self.prefix}/{name}", data)
        return self.url(name)

    def url(self, name: str) -> str:
        return f"s3://{BUCKET}/{self.prefix}/{name}"

    def manifest(self, *entries: object) -> str:
        return self.put("manifest", {"entries": list(entries)})

    def copy(self, url: str, options: str = "JSON 'auto'", columns: str = " (a, b)") -> None:
        self.cursor.execute(f"COPY t{columns} FROM '{url}' IAM_ROLE default {options}")

    @property
    def rows(self) -> list[tuple[object, ...]]:
        self.cursor.execute("SELECT * FROM t ORDER BY a, b")
        return list(self.cursor.fetchall())

    @property
    def errors(self) -> list[tuple[object, ...]]:
        self.cursor.execute(f"{DETAIL} FROM sys_load_error_detail ORDER BY line_number")
        return list(self.cursor.fetchall())

    @property
    def notices(self) -> Sequence[str]:
        return [notice.strip() for notice in self.cursor.connection.notices]


@pytest.fixture
def lake(
    connect: Connect, s3_endpoint: S3Endpoint, request: pytest.FixtureRequest
) -> Iterator[Lake]:
    connection = connect()
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a INTEGER, b VARCHAR(20))")
        yield Lake(s3_endpoint, cursor, request.node.name.replace("[", "/").rstrip("]"))


def test_one_object_is_loaded_by_the_names_of_the_columns(lake: Lake) -> None:
    lake.copy(lake.put("x.json", {"b": "two", "a": 1, "c": "ignored"}))
    assert lake.rows == [(1, "two")]
    assert lake.notices == [
        "INFO:  Load into table 't' completed, 1 record(s) loaded successfully."
    ]


def test_auto_minds_the_case_of_names_and_ignorecase_does_not(lake: Lake) -> None:
    url = lake.put("x.json", {"A": 1, "b": "x"})
    lake.copy(url)
    lake.copy(url, "FORMAT AS JSON 'auto ignorecase'")
    assert lake.rows == [(1, "x"), (None, "x")]


def test_root_objects_are_a_stream_not_lines(lake: Lake) -> None:
    url = lake.put("x.json", raw=b' {"a":\n 1}{"a": 2} \r\n\t{"a": 3, \n"b": "x"}\n\n')
    lake.copy(url)
    assert lake.rows == [(1, None), (2, None), (3, "x")]


def test_an_empty_file_loads_nothing(lake: Lake) -> None:
    lake.copy(lake.put("x.json", raw=b""))
    assert lake.rows == []


def test_a_prefix_is_text(lake: Lake) -> None:
    for name in ("log/1.json", "log_json_path.json", "lo.json"):
        lake.put(name, {"a": 1, "b": name})
    lake.copy(lake.url("log"))
    assert {b for _, b in lake.rows} == {"log/1.json", "log_json_path.json"}


def test_a_prefix_without_files_fails(lake: Lake) -> None:
    with pytest.raises(psycopg2.InternalError, match=r"The specified S3 prefix .* does not exist"):
        lake.copy(lake.url("nothing"))


def test_a_manifest_names_what_is_loaded(lake: Lake) -> None:
    one, _ = lake.put("1.json", {"a": 1}), lake.put("1.json2", {"a": 2})
    lake.copy(lake.manifest({"url": one, "mandatory": True}), "MANIFEST JSON 'auto'")
    assert lake.rows == [(1, None)]


def test_a_key_that_a_manifest_lists_twice_loads_twice(lake: Lake) -> None:
    entry = {"url": lake.put("1.json", {"a": 1}), "mandatory": True}
    lake.copy(lake.manifest(entry, entry), "MANIFEST JSON 'auto'")
    assert lake.rows == [(1, None), (1, None)]


def test_an_entry_is_not_mandatory_unless_it_says_so(lake: Lake) -> None:
    one, gone = lake.put("1.json", {"a": 1}), lake.url("gone.json")
    lake.copy(lake.manifest({"url": gone}, {"url": one}), "MANIFEST JSON 'auto'")
    assert lake.rows == [(1, None)]
    with pytest.raises(psycopg2.InternalError, match="Mandatory url is not present"):
        lake.copy(
            lake.manifest({"url": gone, "mandatory": True}, {"url": one}), "MANIFEST JSON 'auto'"
        )
    with pytest.raises(psycopg2.InternalError, match="No files found"):
        lake.copy(lake.manifest({"url": gone}), "MANIFEST JSON 'auto'")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no json", "not in correct json format"),
        (b'{"entries": [{"key": "x"}]}', "not in correct json format"),
        (b'{"entries": []}', "any entries"),
    ],
    ids=["text", "key", "empty"],
)
def test_a_manifest_that_is_none_fails(lake: Lake, content: bytes, message: str) -> None:
    with pytest.raises(psycopg2.InternalError, match=message):
        lake.copy(lake.put("manifest", raw=content), "MANIFEST JSON 'auto'")


def test_a_manifest_is_named_in_full(lake: Lake) -> None:
    lake.manifest({"url": lake.put("1.json", {"a": 1})})
    with pytest.raises(psycopg2.InternalError, match="Problem reading manifest"):
        lake.copy(lake.url("mani"), "MANIFEST JSON 'auto'")


def test_gzip_is_unpacked_only_when_asked(lake: Lake) -> None:
    packed = gzip.compress(b'{"a": 1}\n') + gzip.compress(b'{"a": 2}\n')
    url = lake.put("x.json.gz", raw=packed)
    lake.copy(url, "JSON 'auto' GZIP")
    assert lake.rows == [(1, None), (2, None)]
    with pytest.raises(psycopg2.InternalError, match="failed"):
        lake.copy(url)
    plain = lake.put("plain.json", {"a": 1})
    with pytest.raises(psycopg2.InternalError, match="decompression"):
        lake.copy(plain, "JSON 'auto' GZIP")


def test_jsonpaths_follow_the_column_list(lake: Lake) -> None:
    paths = lake.put("paths", {"jsonpaths": ["$['x']['y']", "$.list[1]"]})
    url = lake.put("x.json", {"x": {"y": "first"}, "list": [1, 2]}, {"x": 5})
    lake.copy(url, f"JSON '{paths}'", " (b, a)")
    assert lake.rows == [(2, "first"), (None, None)]


def test_jsonpaths_read_root_arrays(lake: Lake) -> None:
    paths = lake.put("paths", {"jsonpaths": ["$[0]", "$[1]"]})
    lake.copy(lake.put("x.json", [1, "x"], [2]), f"JSON '{paths}'")
    assert lake.rows == [(1, "x"), (2, None)]


def test_jsonpaths_under_another_key_silently_mean_auto(lake: Lake) -> None:
    paths = lake.put("paths", {"jsonPaths": ["$['x']", "$['y']"]})
    lake.copy(lake.put("x.json", {"x": 1, "y": "no", "b": "yes"}), f"JSON '{paths}'")
    assert lake.rows == [(None, "yes")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"jsonpaths": ["$['a']"]},
            "JSONPath size: 1, Number of columns in table or column list: 2",
        ),
        ({"jsonpaths": ["$['a']", "$..b"]}, "Invalid JSONPath format"),
        ({"jsonpaths": ["$['a']", "$[*]"]}, "Invalid JSONPath format"),
        ({"jsonpaths": ["$['a']", "b"]}, "Invalid JSONPath format"),
        ({"jsonpaths": "$['a']"}, "not an array"),
        (["$['a']"], "not an object"),
    ],
    ids=["count", "recursion", "wildcard", "root", "text", "array"],
)
def test_jsonpaths_that_do_not_fit_fail(lake: Lake, content: object, message: str) -> None:
    paths = lake.put("paths", content)
    with pytest.raises(psycopg2.InternalError, match=message):
        lake.copy(lake.put("x.json", {"a": 1}), f"JSON '{paths}'")


def test_a_jsonpaths_file_that_is_gone_fails(lake: Lake) -> None:
    with pytest.raises(psycopg2.InternalError, match="NoSuchKey"):
        lake.copy(lake.put("x.json", {"a": 1}), f"JSON '{lake.url('paths')}'")


def test_the_region_has_to_be_the_buckets(standin: StandIn, lake: Lake) -> None:
    url = lake.put("x.json", {"a": 1})
    lake.copy(url, f"REGION '{lake.endpoint.region}' JSON 'auto'")
    with pytest.raises(psycopg2.InternalError, match="PermanentRedirect"):
        lake.copy(url, "REGION 'eu-west-1' JSON 'auto'")
    standin.use_access(replace(standin.copying.access, bucket_regions={BUCKET: "eu-west-1"}))
    lake.copy(url, "REGION AS 'eu-west-1' JSON 'auto'")
    with pytest.raises(psycopg2.InternalError, match="PermanentRedirect"):
        lake.copy(url)
    assert lake.rows == [(1, None)] * 2


def test_only_attached_roles_may_be_assumed(standin: StandIn, lake: Lake) -> None:
    url = lake.put("x.json", {"a": 1})
    lake.cursor.execute(f"COPY t FROM '{url}' IAM_ROLE '{ROLE}' JSON 'auto'")
    with pytest.raises(psycopg2.InternalError, match="not authorized to assume IAM Role") as caught:
        lake.cursor.execute(f"COPY t FROM '{url}' IAM_ROLE '{ROLE}-other' JSON 'auto'")
    assert "code: 8001" in str(caught.value)
    standin.use_access(replace(standin.copying.access, roles={ROLE: ("s3://",)}))
    with pytest.raises(psycopg2.InternalError, match="IAM Role default"):
        lake.copy(url)


def test_a_role_reads_only_what_it_may(standin: StandIn, lake: Lake) -> None:
    allowed, other = lake.put("in/x.json", {"a": 1}), lake.put("out/x.json", {"a": 2})
    roles = {"default": (lake.url("in/"),)}
    standin.use_access(replace(standin.copying.access, roles=roles))
    lake.copy(allowed)
    with pytest.raises(psycopg2.InternalError, match="Access Denied,Status 403,Error AccessDenied"):
        lake.copy(other)
    assert lake.rows == [(1, None)]


def test_columns_that_are_not_listed_get_their_default(lake: Lake) -> None:
    lake.cursor.execute("CREATE TABLE d (a INTEGER, b VARCHAR(9) DEFAULT 'given', c INTEGER)")
    url = lake.put("x.json", {"a": 1, "b": "sent", "c": 2})
    lake.cursor.execute(f"COPY d (a) FROM '{url}' IAM_ROLE default JSON 'auto'")
    lake.cursor.execute("SELECT a, b, c FROM d")
    assert lake.cursor.fetchall() == [(1, "given", None)]


def test_a_listed_column_that_is_absent_is_null_and_not_its_default(lake: Lake) -> None:
    lake.cursor.execute("CREATE TABLE d (a INTEGER, b VARCHAR(9) DEFAULT 'given')")
    url = lake.put("x.json", {"a": 1})
    lake.cursor.execute(f"COPY d (a, b) FROM '{url}' IAM_ROLE default JSON 'auto'")
    lake.cursor.execute("SELECT a, b FROM d")
    assert lake.cursor.fetchall() == [(1, None)]


def test_a_not_null_column_has_to_be_listed(lake: Lake) -> None:
    lake.cursor.execute("CREATE TABLE d (a INTEGER, b INTEGER NOT NULL)")
    with pytest.raises(psycopg2.InternalError, match="must be included in column list"):
        lake.cursor.execute(
            f"COPY d (a) FROM '{lake.put('x', {'a': 1})}' IAM_ROLE default JSON 'auto'"
        )


def test_table_and_columns_have_to_exist(lake: Lake) -> None:
    url = lake.put("x.json", {"a": 1})
    with pytest.raises(psycopg2.InternalError, match="Cannot COPY into nonexistent table nowhere"):
        lake.cursor.execute(f"COPY nowhere FROM '{url}' IAM_ROLE default JSON 'auto'")
    with pytest.raises(errors.UndefinedColumn, match='column "z"'):
        lake.copy(url, columns=" (a, z)")


def test_the_first_error_fails_the_copy_and_nothing_is_loaded(lake: Lake) -> None:
    lake.put("1.json", {"a": 1})
    bad = lake.put("2.json", {"a": 2}, {"a": "x"}, {"a": "y"})
    with pytest.raises(psycopg2.InternalError, match=FAILED) as caught:
        lake.copy(lake.url(""))
    assert caught.value.pgcode == "XX000"
    assert lake.rows == []
    assert lake.errors == [(bad, 2, "a", 1207, "Invalid digit, Value 'x', Pos 0, Type: Integer")]


@pytest.mark.parametrize(("tolerated", "loads"), [(0, False), (1, False), (2, False), (3, True)])
def test_maxerror_is_the_number_of_errors_that_fails(
    lake: Lake, tolerated: int, loads: bool
) -> None:
    url = lake.put("x.json", {"a": "x"}, {"a": 1}, {"a": "y"})
    if not loads:
        with pytest.raises(psycopg2.InternalError, match="failed"):
            lake.copy(url, f"JSON 'auto' MAXERROR {tolerated}")
        assert lake.rows == []
        return
    lake.copy(url, f"JSON 'auto' MAXERROR {tolerated}")
    assert lake.rows == [(1, None)]
    assert lake.notices == [
        "INFO:  Load into table 't' completed, 2 record(s) could not be loaded.  "
        "Check 'sys_load_error_detail' system table for details.",
        "INFO:  Load into table 't' completed, 1 record(s) loaded successfully.",
    ]
    assert [row[1:4] for row in lake.errors] == [(1, "a", 1207), (3, "a", 1207)]


def test_the_line_of_an_error_is_the_last_of_its_object(lake: Lake) -> None:
    url = lake.put("x.json", raw=b'{"a": 1}\n\n{"a":\n"x",\n"b": "y"\n}\n')
    with pytest.raises(psycopg2.InternalError):
        lake.copy(url)
    assert [row[1] for row in lake.errors] == [6]


MALFORMED = (
    b'{"a": 1}\n{"a": 2,\n{"a": 3}\n{"a": tru}\n5\n{"a": NaN}\n{"a": 4} {"a": 5} x\n{"a": 6}'
)


def test_what_is_malformed_is_an_error_of_its_line(lake: Lake) -> None:
    lake.copy(lake.put("x.json", raw=MALFORMED), "JSON 'auto' MAXERROR 10")
    assert [a for a, _ in lake.rows] == [1, 3, 4, 5, 6]
    assert [row[1:4] for row in lake.errors] == [(n, "", 1216) for n in (2, 4, 5, 6, 7)]


def test_or_it_costs_the_rest_of_its_file(standin: StandIn, lake: Lake) -> None:
    standin.copying = replace(standin.copying, resumes_after_malformed=False)
    lake.copy(lake.put("x.json", raw=MALFORMED), "JSON 'auto' MAXERROR 10")
    assert [a for a, _ in lake.rows] == [1]
    assert [row[1:4] for row in lake.errors] == [(2, "", 1216)]


def test_an_object_of_more_than_4_mb_is_an_error(lake: Lake) -> None:
    def sized(size: int) -> bytes:
        return b'{"a": 1, "c": "' + b"x" * (size - 17) + b'"}'

    limit = 4 * 1024 * 1024
    lake.copy(lake.put("x.json", raw=sized(limit) + sized(limit + 1)), "JSON 'auto' MAXERROR 2")
    assert lake.rows == [(1, None)]
    assert [row[3] for row in lake.errors] == [1216]


def test_a_failed_copy_aborts_its_transaction_and_its_errors_stay(
    connect: Connect, lake: Lake
) -> None:
    url = lake.put("x.json", {"a": "x"})
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (1, 'x')")
        with pytest.raises(psycopg2.InternalError):
            cursor.execute(f"COPY t FROM '{url}' IAM_ROLE default JSON 'auto'")
        with pytest.raises(errors.InFailedSqlTransaction):
            cursor.execute("SELECT 1")
        assert [row[0] for row in lake.errors] == [url]
        connection.rollback()
        cursor.execute(f"{DETAIL} FROM sys_load_error_detail")
        assert len(cursor.fetchall()) == 1
    assert lake.rows == []


def test_a_copy_belongs_to_its_transaction(connect: Connect, lake: Lake) -> None:
    connection = connect()
    url = lake.put("x.json", {"a": 1})
    with connection.cursor() as cursor:
        cursor.execute(f"COPY t FROM '{url}' IAM_ROLE default JSON 'auto'")
        assert lake.rows == []
        connection.rollback()
        cursor.execute(f"COPY t FROM '{url}' IAM_ROLE default JSON 'auto'")
        connection.commit()
    assert lake.rows == [(1, None)]


def test_a_copy_into_a_temporary_table_is_the_sessions_own(connect: Connect, lake: Lake) -> None:
    url = lake.put("x.json", {"a": 1})
    with connect().cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE landing (a INTEGER)")
        cursor.execute(f"COPY landing (a) FROM '{url}' IAM_ROLE default JSON 'auto'")
        cursor.execute("INSERT INTO t (a) SELECT a FROM landing")
        cursor.execute("DROP TABLE landing")
        cursor.connection.commit()
    assert lake.rows == [(1, None)]


def test_the_last_copy_is_known_by_its_number_and_its_rows(lake: Lake) -> None:
    def last() -> tuple[int, int]:
        lake.cursor.execute("SELECT pg_last_copy_id()")
        (number,) = lake.cursor.fetchone() or (0,)
        lake.cursor.execute("SELECT pg_last_copy_count()")
        (count,) = lake.cursor.fetchone() or (0,)
        return number, count

    assert last() == (-1, 0)
    lake.copy(lake.put("x.json", {"a": 1}, {"a": "x"}, {"a": 2}), "JSON 'auto' MAXERROR 2")
    number, count = last()
    assert count == 2
    lake.cursor.execute("SELECT query_id FROM sys_load_error_detail")
    assert lake.cursor.fetchall() == [(number,)]
    with pytest.raises(psycopg2.InternalError):  # fails before it begins: nothing is noted
        lake.cursor.execute("COPY nowhere FROM 's3://b/k' IAM_ROLE default JSON 'auto'")
    assert last() == (number, 2)
    with pytest.raises(psycopg2.InternalError):
        lake.copy(lake.put("y.json", {"a": "x"}))
    assert last() == (number + 1, 0)


@pytest.mark.parametrize("survives", [True, False])
def test_whether_the_number_outlives_a_rollback_can_be_chosen(
    standin: StandIn, connect: Connect, lake: Lake, survives: bool
) -> None:
    standin.copying = replace(standin.copying, id_survives_rollback=survives)
    connection = connect()
    with connection.cursor() as cursor:
        with pytest.raises(psycopg2.InternalError, match="failed"):
            cursor.execute(
                f"COPY t FROM '{lake.put('x', {'a': 'x'})}' IAM_ROLE default JSON 'auto'"
            )
        connection.rollback()
        cursor.execute("SELECT pg_last_copy_id()")
        (number,) = cursor.fetchone() or (0,)
    assert (number > 0) is survives


def test_users_see_the_load_errors_of_their_own_copies(connect: Connect, lake: Lake) -> None:
    lake.cursor.execute("CREATE USER loader PASSWORD 'Loader-12'")
    with pytest.raises(psycopg2.InternalError):
        lake.copy(lake.put("x.json", {"a": "x"}))
    with connect(user="loader", password="Loader-12").cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM sys_load_error_detail")
        assert cursor.fetchall() == [(0,)]
    assert len(lake.errors) == 1


def test_a_copy_needs_the_right_to_insert_and_statistics_the_owner(
    connect: Connect, lake: Lake
) -> None:
    url = lake.put("x.json", {"a": 1})
    lake.cursor.execute("CREATE USER loader PASSWORD 'Loader-12'")
    connection = connect(user="loader", password="Loader-12")
    connection.autocommit = True
    with connection.cursor() as cursor:
        copy = f"COPY t FROM '{url}' IAM_ROLE default JSON 'auto'"
        with pytest.raises(errors.InsufficientPrivilege):
            cursor.execute(copy)
        lake.cursor.execute("GRANT INSERT ON t TO loader")
        cursor.execute(f"{copy} STATUPDATE OFF")
        with pytest.raises(errors.InsufficientPrivilege, match="must be owner"):
            cursor.execute(f"{copy} STATUPDATE ON")
    assert lake.rows == [(1, None)]


def test_noload_checks_and_loads_nothing(lake: Lake) -> None:
    lake.copy(lake.put("x.json", {"a": 1}), "JSON 'auto' NOLOAD")
    assert lake.rows == []
    with pytest.raises(psycopg2.InternalError, match="failed"):
        lake.copy(lake.put("y.json", {"a": "x"}), "JSON 'auto' NOLOAD")
