"""What the stand-in's COPY makes of each JSON value, column type by column type."""

from datetime import date, datetime
from decimal import Decimal

import psycopg2
import pytest

from sparkify_dagster_tests.fixtures.lake import S3Endpoint
from sparkify_dagster_tests.fixtures.standin import Connect

FITS = [
    ("INTEGER", "1", 1),
    ("INTEGER", "-2147483648", -2147483648),
    ("INTEGER", '"53"', 53),
    ("INTEGER", '""', None),
    ("INTEGER", "null", None),
    ("SMALLINT", "32767", 32767),
    ("BIGINT", "1541990217796", 1541990217796),
    ("DECIMAL(18,0)", "1540919166796.0", Decimal(1540919166796)),
    ("DECIMAL(18,0)", "1.5409E+12", Decimal(1540900000000)),
    ("DECIMAL(5,2)", "1.999", Decimal("1.99")),
    ("DECIMAL(5,2)", "-1.999", Decimal("-1.99")),
    ("DECIMAL(5,2)", '"7"', Decimal(7)),
    ("DECIMAL(5,2)", '""', None),
    ("DOUBLE PRECISION", "200.5", 200.5),
    ("DOUBLE PRECISION", "2e2", 200.0),
    ("DOUBLE PRECISION", '"-0.5"', -0.5),
    ("DOUBLE PRECISION", '""', None),
    ("VARCHAR(9)", '""', ""),
    ("VARCHAR(9)", "null", None),
    ("VARCHAR(9)", '"a b "', "a b "),
    ("VARCHAR(9)", "1.50", "1.50"),
    ("VARCHAR(9)", "true", "true"),
    ("VARCHAR(30)", '{"x":[1.0,"ä",null]}', '{"x":[1.0,"ä",null]}'),
    ("VARCHAR(9)", "[1, 2]", "[1,2]"),
    ("VARCHAR(9)", r'"a\tb\n\\\""', 'a\tb\n\\"'),
    ("VARCHAR(9)", r'"\\N"', "\\N"),
    ("VARCHAR(4)", '"äö"', "äö"),
    ("VARCHAR(4)", r'"\ud83c\udfb5"', "🎵"),
    ("CHAR(4)", '"ab"', "ab  "),
    ("BOOLEAN", "true", True),
    ("BOOLEAN", '"f"', False),
    ("BOOLEAN", "1", True),
    ("BOOLEAN", '""', None),
    ("DATE", '"2018-11-12"', date(2018, 11, 12)),
    ("DATE", '""', None),
    ("TIMESTAMP", '"2018-11-12 02:36:57.796"', datetime.fromisoformat("2018-11-12T02:36:57.796")),
    ("TIMESTAMP", '"2018-11-12T02:36:57Z"', datetime.fromisoformat("2018-11-12T02:36:57")),
    ("TIMESTAMP", '""', None),
]  # fmt: skip
FAILS = [
    ("INTEGER", "5.0", 1207, "Invalid digit, Value '.', Pos 1, Type: Integer"),
    ("INTEGER", "1e3", 1207, "Invalid digit, Value 'e', Pos 1, Type: Integer"),
    ("INTEGER", '"x1"', 1207, "Invalid digit, Value 'x', Pos 0, Type: Integer"),
    ("INTEGER", "true", 1207, "Invalid digit, Value 't', Pos 0, Type: Integer"),
    ("INTEGER", "[1]", 1207, "Invalid digit, Value '[', Pos 0, Type: Integer"),
    ("INTEGER", "2147483648", 1222, "Overflow"),
    ("SMALLINT", "32768", 1222, "Overflow"),
    ("BIGINT", "9223372036854775808", 1222, "Overflow"),
    ("DECIMAL(5,2)", "1000", 1204, "Numeric data overflow"),
    ("DECIMAL(5,2)", "1e999999", 1204, "Numeric data overflow"),
    ("DECIMAL(5,2)", '"a"', 1207, "Invalid digit, Value 'a', Pos 0, Type: Decimal"),
    ("DOUBLE PRECISION", '"1,5"', 1207, "Invalid digit, Value ',', Pos 1, Type: Double"),
    ("DOUBLE PRECISION", "1e999", 1222, "Overflow"),
    ("VARCHAR(4)", '"abcde"', 1204, "String length exceeds DDL length"),
    ("VARCHAR(4)", '"äöü"', 1204, "String length exceeds DDL length"),
    ("VARCHAR(4)", '"\xff"', 1220, "Bad UTF-8 hex sequence: ff (error 3)"),
    ("VARCHAR(9)", r'"\ud83c"', 1220, "invalid or unsupported UTF-8"),
    ("VARCHAR(9)", r'"\u0000"', 1220, "invalid or unsupported UTF-8"),
    ("CHAR(4)", '"ä"', 1215, "Multibyte character not supported for CHAR"),
    ("BOOLEAN", '"maybe"', 1210, "Unknown boolean format"),
    ("DATE", '"12.11.2018"', 1205, "Invalid Date Format"),
    ("DATE", "20181112345", 1205, "Invalid Date Format"),
    ("TIMESTAMP", '"yesterday"', 1206, "Invalid timestamp format"),
    ("TIMESTAMP", "1541990217796", 1206, "Invalid timestamp format"),
    ("INTEGER NOT NULL", "null", 1213, "Missing data for not-null field"),
    ("INTEGER NOT NULL", '""', 1213, "Missing data for not-null field"),
    ("VARCHAR(9) NOT NULL", "null", 1213, "Missing data for not-null field"),
]


class Loader:
    """Loads one value into a column of a type."""

    def __init__(self, connect: Connect, endpoint: S3Endpoint) -> None:
        connection = connect()
        connection.autocommit = True
        self.cursor = connection.cursor()
        self.endpoint = endpoint

    def load(self, kind: str, value: str, options: str = "") -> object:
        # One byte a character, so that a test can say bytes that are no UTF-8.
        data = value.encode("latin-1" if "\xff" in value else "utf-8")
        self.endpoint.put("values", "x.json", b'{"v": ' + data + b"}")
        self.cursor.execute(f"CREATE TABLE t (v {kind})")
        self.cursor.execute(
            f"COPY t (v) FROM 's3://values/x.json' IAM_ROLE default JSON 'auto' {options}"
        )
        self.cursor.execute("SELECT v FROM t")
        (found,) = self.cursor.fetchone() or ("no row",)
        return found


@pytest.fixture
def loader(connect: Connect, s3_endpoint: S3Endpoint) -> Loader:
    return Loader(connect, s3_endpoint)


@pytest.mark.parametrize(("kind", "value", "expected"), FITS)
def test_a_value_that_fits_is_loaded(
    loader: Loader, kind: str, value: str, expected: object
) -> None:
    assert loader.load(kind, value) == expected


@pytest.mark.parametrize(("kind", "value", "code", "message"), FAILS)
def test_a_value_that_does_not_fit_is_a_load_error(
    loader: Loader, kind: str, value: str, code: int, message: str
) -> None:
    with pytest.raises(psycopg2.InternalError, match="Load into table 't' failed"):
        loader.load(kind, value)
    loader.cursor.execute(
        "SELECT error_code, error_message, TRIM(column_name) FROM sys_load_error_detail"
    )
    ((found_code, found_message, column),) = loader.cursor.fetchall()
    assert (found_code, column) == (code, "v")
    assert message in found_message


@pytest.mark.parametrize(
    ("time_format", "value"),
    [
        ("epochmillisecs", "1541990217796"),
        ("epochsecs", "1541990217.796"),
        ("epochmillisecs", '"1541990217796"'),
    ],
)
def test_epochs_are_times_when_the_format_says_so(
    loader: Loader, time_format: str, value: str
) -> None:
    found = loader.load("TIMESTAMP", value, f"TIMEFORMAT '{time_format}'")
    assert found == datetime.fromisoformat("2018-11-12T02:36:57.796")


def test_an_epoch_format_holds_for_every_timestamp(loader: Loader) -> None:
    with pytest.raises(psycopg2.InternalError, match="failed"):
        loader.load("TIMESTAMP", '"2018-11-12 02:36:57"', "TIMEFORMAT 'epochmillisecs'")


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [("EMPTYASNULL", '""', None), ("EMPTYASNULL", '" "', " "), ("BLANKSASNULL", '"  "', None)],
)
def test_empty_and_blank_texts_are_null_when_asked(
    loader: Loader, option: str, value: str, expected: object
) -> None:
    assert loader.load("VARCHAR(9)", value, option) == expected


def test_a_byte_order_mark_is_passed_over(loader: Loader) -> None:
    loader.endpoint.put("values", "bom.json", b'\xef\xbb\xbf{"v": 1}')
    loader.cursor.execute("CREATE TABLE t (v INTEGER)")
    loader.cursor.execute("COPY t FROM 's3://values/bom.json' IAM_ROLE default JSON 'auto'")
    loader.cursor.execute("SELECT v FROM t")
    assert loader.cursor.fetchall() == [(1,)]
