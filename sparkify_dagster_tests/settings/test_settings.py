"""dwh.cfg and the environment: what is accepted, what wins, and how everything wrong is told."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, is_dataclass
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.settings import KEYS, Settings, SettingsError, load_settings
from sparkify_dagster.settings.alert_sections import Channel, ServiceUrl
from sparkify_dagster.settings.sections import Engine

SHIPPED = Path(__file__).parents[2] / "dwh.cfg"
MINIMAL = {
    "S3": {"LOG_DATA": "logs", "SONG_DATA": "songs"},
    "PARTITIONS": {"FIRST_DAY": "2018-11-01"},
}
SECRET = "hunter2-never-shown"

same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without dwh.cfg, beside the folder `conf` for configuration files."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "shell").mkdir()
    monkeypatch.chdir(tmp_path / "shell")
    return tmp_path


def write(folder: Path, **changes: dict[str, str]) -> Path:
    """A correct conf/dwh.cfg with the keys of the given sections changed."""
    sections = {name: MINIMAL.get(name, {}) | changes.get(name, {}) for name in MINIMAL | changes}
    lines = [
        line
        for name, keys in sections.items()
        for line in (f"[{name}]", *(f"{key} = {value}" for key, value in keys.items()))
    ]
    return write_text(folder, "\n".join(lines) + "\n")


def write_text(folder: Path, content: str) -> Path:
    file = folder / "conf" / "dwh.cfg"
    file.write_text(content, encoding="utf-8", newline="")
    return file


def refused(file: Path, environ: dict[str, str] | None = None) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_settings(file, environ or {})
    return caught.value


def only_problem(file: Path, environ: dict[str, str] | None = None) -> str:
    (problem,) = refused(file, environ).problems
    return problem


# The shipped file


def test_the_shipped_file_loads_as_it_is() -> None:
    loaded = load_settings(SHIPPED, {})
    assert loaded.warehouse.engine is Engine.DUCKDB
    assert loaded.warehouse.schema == "main"
    assert loaded.duckdb.path == SHIPPED.parent / "warehouse" / "sparkify.duckdb"
    assert loaded.s3.log_data == str(SHIPPED.parent / "lake" / "log_data")
    assert loaded.s3.log_jsonpath == str(SHIPPED.parent / "lake" / "log_json_path.json")
    assert loaded.partitions.first_day == date(2018, 11, 1)
    assert loaded.partitions.last_day is None
    assert loaded.home == SHIPPED.parent / ".dagster"


def test_the_shipped_file_names_every_key_once() -> None:
    lines = [line for line in SHIPPED.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    names = [line.partition("=")[0].strip() for line in lines if "=" in line]
    assert names == [name for keys in KEYS.values() for name in keys]


def test_the_values_of_the_shipped_file_are_the_defaults(folder: Path) -> None:
    shipped = load_settings(SHIPPED, {})
    bare = load_settings(write(folder), {})
    assert bare.duckdb.path == folder / "conf" / "warehouse" / "sparkify.duckdb"
    for name in ("memory_limit", "threads", "lock_timeout"):
        assert getattr(bare.duckdb, name) == getattr(shipped.duckdb, name)
    assert bare.load == shipped.load
    assert bare.sensors == shipped.sensors
    assert bare.schedules == shipped.schedules
    assert bare.cluster == shipped.cluster
    assert bare.dwh == shipped.dwh
    assert (bare.alerts, bare.freshness) == (shipped.alerts, shipped.freshness)
    assert bare.analytics == shipped.analytics
    assert bare.s3.region == shipped.s3.region


def test_every_part_of_the_settings_is_frozen() -> None:
    loaded = load_settings(SHIPPED, {})
    parts = [getattr(loaded, item.name) for item in fields(loaded)]
    for frozen in (loaded, *(part for part in parts if is_dataclass(part))):
        with pytest.raises(FrozenInstanceError):
            setattr(frozen, fields(frozen)[0].name, None)


# Which file


def test_the_nearest_file_at_or_above_the_working_directory_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = folder / "conf" / "a" / "b"
    deep.mkdir(parents=True)
    file = write(folder)
    for place in (folder / "conf", deep):
        monkeypatch.chdir(place)
        assert load_settings(environ={}).config_file == file


def test_an_explicit_path_wins_over_the_variable_and_the_variable_over_the_search(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(folder)
    other = folder / "shell" / "other.cfg"
    other.write_bytes(file.read_bytes())
    monkeypatch.chdir(folder / "conf")
    variable = {"SPARKIFY_CONFIG": "../shell/other.cfg"}
    assert load_settings(environ=variable).config_file == other
    assert load_settings(file, variable).config_file == file


def test_no_file_anywhere_says_what_to_do(folder: Path) -> None:
    with pytest.raises(SparkifyError, match=r"There is no dwh\.cfg in .*set SPARKIFY_CONFIG"):
        load_settings(environ={})


def test_a_named_file_that_does_not_exist_is_reported_with_who_named_it(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.cfg, which SPARKIFY_CONFIG names"):
        load_settings(environ={"SPARKIFY_CONFIG": "gone.cfg"})
    assert "SPARKIFY_CONFIG" not in str(refused(folder / "gone.cfg"))


def test_a_file_that_is_not_text_is_one_clear_message(folder: Path) -> None:
    file = folder / "conf" / "dwh.cfg"
    file.write_bytes(b"[S3]\nLOG_DATA = \xff\xfe\n")
    assert "byte 16 is not UTF-8 text" in str(refused(file))


def test_a_byte_order_mark_and_crlf_are_accepted(folder: Path) -> None:
    file = write(folder)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert load_settings(file, {}).s3.log_data == str(folder / "conf" / "logs")


# Values


def test_the_classic_file_with_quotes_loads(folder: Path) -> None:
    uri = "s3://udacity-dend/log_json_path.json"
    file = write(
        folder,
        CLUSTER={"HOST": "''", "DB_PORT": '"5439"'},
        IAM_ROLE={"ARN": "'arn:aws:iam::123456789012:role/dwhRole'"},
        S3={"LOG_DATA": "'s3://udacity-dend/log_data'", "LOG_JSONPATH": f'"{uri}"'},
    )
    loaded = load_settings(file, {})
    assert loaded.s3.log_data == "s3://udacity-dend/log_data"
    assert loaded.s3.log_jsonpath == uri
    assert loaded.iam_role_arn == "arn:aws:iam::123456789012:role/dwhRole"
    assert (loaded.cluster.host, loaded.cluster.db_port) == ("", 5439)


def test_only_one_matching_pair_of_quotes_is_removed(folder: Path) -> None:
    for written, meant in {"\"'x'\"": "'x'", "'x\"": "'x\"", "'": "'", '"  x "': "  x "}.items():
        loaded = load_settings(write(folder, CLUSTER={"DB_PASSWORD": written}), {})
        assert loaded.cluster.db_password == meant


@same_folder
@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=30))
def test_any_printable_password_arrives_quoted_in_the_file(folder: Path, password: str) -> None:
    from_file = load_settings(write(folder, CLUSTER={"DB_PASSWORD": f"'{password}'"}), {})
    variable = {"SPARKIFY_CLUSTER_DB_PASSWORD": password}
    from_environment = load_settings(write(folder), variable)
    assert from_file.cluster.db_password == password
    assert from_environment.cluster.db_password == password


def test_keys_are_case_insensitive_and_percent_signs_are_plain(folder: Path) -> None:
    file = write_text(
        folder,
        "[S3]\nlog_data = a%20b\nSong_Data = %(x)s\n[PARTITIONS]\nfirst_day: 2018-11-01\n",
    )
    loaded = load_settings(file, {})
    assert loaded.s3.log_data == str(folder / "conf" / "a%20b")
    assert loaded.s3.song_data == str(folder / "conf" / "%(x)s")


def test_a_relative_path_of_the_file_starts_from_the_folder_of_the_file(folder: Path) -> None:
    loaded = load_settings(write(folder, DUCKDB={"PATH": "../w/x.duckdb"}), {})
    assert loaded.duckdb.path == folder / "w" / "x.duckdb"
    assert loaded.s3.song_data == str(folder / "conf" / "songs")


def test_a_relative_path_of_the_environment_starts_from_the_working_directory(folder: Path) -> None:
    variables = {"SPARKIFY_DUCKDB_PATH": "x.duckdb", "SPARKIFY_S3_LOG_DATA": "../lake"}
    loaded = load_settings(write(folder), variables)
    assert loaded.duckdb.path == folder / "shell" / "x.duckdb"
    assert loaded.s3.log_data == str(folder / "lake")


def test_absolute_paths_and_s3_uris_are_kept(folder: Path) -> None:
    file = write(folder, S3={"LOG_DATA": "s3://b/p/q", "SONG_DATA": str(folder)})
    loaded = load_settings(file, {})
    assert (loaded.s3.log_data, loaded.s3.song_data) == ("s3://b/p/q", str(folder))


def on_server(engine: str, **cluster: str) -> dict[str, dict[str, str]]:
    """Every section that an engine of a server needs, with the keys of [CLUSTER] changed."""
    server = {"HOST": "h", "DB_NAME": "d", "DB_USER": "u"} | cluster
    sections = {"WAREHOUSE": {"ENGINE": engine}, "CLUSTER": server}
    if engine.lower() == "redshift":
        sections |= {"IAM_ROLE": {"ARN": "default"}, "S3": {"SCRATCH": "s3://b/scratch"}}
    return {name: MINIMAL.get(name, {}) | keys for name, keys in sections.items()}


@pytest.mark.parametrize(
    ("engine", "schema", "port", "sslmode"),
    [
        ("duckdb", "main", 5439, "prefer"),
        ("postgres", "public", 5432, "prefer"),
        ("Redshift", "public", 5439, "verify-full"),
    ],
)
def test_defaults_follow_the_engine(
    folder: Path, engine: str, schema: str, port: int, sslmode: str
) -> None:
    loaded = load_settings(write(folder, **on_server(engine)), {})
    assert loaded.warehouse.schema == schema
    assert (loaded.cluster.db_port, loaded.cluster.sslmode) == (port, sslmode)
    changed = on_server(engine, DB_PORT="5440", SSLMODE="require")
    given_wins = load_settings(write(folder, **changed), {}).cluster
    assert (given_wins.db_port, given_wins.sslmode) == (5440, "require")


# What an engine and a way to log in cannot do without


def missing(folder: Path, engine: str, **cluster: str) -> set[str]:
    """The keys that are told to be missing where nothing but [CLUSTER] is given."""
    file = write(folder, WAREHOUSE={"ENGINE": engine}, CLUSTER=cluster)
    try:
        load_settings(file, {})
    except SettingsError as error:
        problems = error.problems
    else:
        return set()
    assert all("is missing or empty" in problem for problem in problems)
    return {problem.split(" is ")[0].split("] ")[1] for problem in problems}


REDSHIFT_ANYWAY = {"ARN", "SCRATCH"}
SERVER = {"HOST": "h", "DB_NAME": "d"}


def test_a_server_engine_needs_host_database_and_user(folder: Path) -> None:
    assert missing(folder, "duckdb") == set()
    assert missing(folder, "postgres", HOST="db") == {"DB_NAME", "DB_USER"}
    assert missing(folder, "postgres", **SERVER, DB_USER="u") == set()
    assert missing(folder, "redshift") == {"HOST", "DB_NAME", "DB_USER"} | REDSHIFT_ANYWAY


def test_a_key_that_is_missing_is_reported_with_what_needs_it(folder: Path) -> None:
    file = write(folder, WAREHOUSE={"ENGINE": "postgres"}, CLUSTER=SERVER)
    assert only_problem(file) == (
        "[CLUSTER] DB_USER is missing or empty: [WAREHOUSE] ENGINE = postgres needs it"
    )


@pytest.mark.parametrize("engine", ["postgres", "redshift"])
def test_a_login_by_secret_needs_the_secret_and_no_user(folder: Path, engine: str) -> None:
    anyway = REDSHIFT_ANYWAY if engine == "redshift" else set()
    assert missing(folder, engine, **SERVER, LOGIN="secret") == {"SECRET_ID"} | anyway
    assert missing(folder, engine, **SERVER, LOGIN="secret", SECRET_ID="s") == anyway


def test_a_login_by_iam_needs_cluster_and_user_or_a_workgroup(folder: Path) -> None:
    needed = missing(folder, "redshift", **SERVER, LOGIN="iam")
    assert needed == {"CLUSTER_IDENTIFIER", "DB_USER"} | REDSHIFT_ANYWAY
    serverless = missing(folder, "redshift", **SERVER, LOGIN="iam", WORKGROUP="abc")
    assert serverless == REDSHIFT_ANYWAY


def test_a_login_by_iam_is_for_one_redshift_warehouse(folder: Path) -> None:
    both = {"WORKGROUP": "abc", "CLUSTER_IDENTIFIER": "abc", "LOGIN": "iam"}
    assert "both set" in only_problem(write(folder, **on_server("redshift", **both)))
    for elsewhere in ({**both, "LOGIN": "secret", "SECRET_ID": "s"}, {**both, "LOGIN": "password"}):
        load_settings(write(folder, **on_server("redshift", **elsewhere)), {})
    on_postgres = write(folder, **on_server("postgres", LOGIN="iam", WORKGROUP="abc"))
    assert "LOGIN = iam is for redshift" in only_problem(on_postgres)


def test_a_wrong_way_to_log_in_is_reported_without_guessing_what_it_needs(folder: Path) -> None:
    file = write(folder, WAREHOUSE={"ENGINE": "postgres"}, CLUSTER=SERVER | {"LOGIN": "magic"})
    assert only_problem(file).startswith("[CLUSTER] LOGIN = 'magic'")


def test_who_creates_the_server_needs_nothing_that_only_the_server_can_tell(folder: Path) -> None:
    file = write(folder, WAREHOUSE={"ENGINE": "redshift"})
    assert load_settings(file, {}, server_exists=False).cluster.host == ""
    with pytest.raises(SettingsError):
        load_settings(file, {})


# What must not be


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "64.0.0.0/7"])
def test_the_warehouse_opens_to_everybody_only_if_configured(folder: Path, cidr: str) -> None:
    problem = only_problem(write(folder, DWH={"ALLOWED_CIDR": cidr}))
    assert problem.startswith(f"[DWH] ALLOWED_CIDR = {cidr} opens the warehouse to everybody")
    allowed = {"ALLOWED_CIDR": cidr, "ALLOW_ANY_ADDRESS": "yes"}
    assert load_settings(write(folder, DWH=allowed), {}).dwh.allowed_cidr == cidr


def test_alerts_by_email_need_addresses_and_a_server(folder: Path) -> None:
    alerts = {"NOTIFY": "log, email", "EMAIL_TO": "a@b"}
    assert [
        problem.split(" is ")[0] for problem in refused(write(folder, ALERTS=alerts)).problems
    ] == [
        "[ALERTS] EMAIL_FROM",
        "[ALERTS] SMTP_HOST",
    ]
    load_settings(write(folder, ALERTS={"NOTIFY": "log, webhook"}), {})


def test_the_port_of_smtp_follows_how_it_is_secured(folder: Path) -> None:
    for tls, port in {"": 587, "starttls": 587, "tls": 465, "none": 25}.items():
        assert load_settings(write(folder, ALERTS={"SMTP_TLS": tls}), {}).alerts.smtp_port == port
    given_wins = write(folder, ALERTS={"SMTP_TLS": "tls", "SMTP_PORT": "2525"})
    assert load_settings(given_wins, {}).alerts.smtp_port == 2525


def test_a_login_never_sends_its_password_as_clear_text(folder: Path) -> None:
    problem = only_problem(write(folder, ALERTS={"SMTP_USER": "me", "SMTP_TLS": "none"}))
    assert problem.startswith("[ALERTS] SMTP_USER with SMTP_TLS = none")


def test_the_password_of_smtp_belongs_in_the_environment(folder: Path) -> None:
    problem = only_problem(write(folder, ALERTS={"SMTP_PASSWORD": SECRET}))
    assert problem == (
        "[ALERTS] SMTP_PASSWORD = (not shown) (dwh.cfg): expected nothing in a file:"
        " the variable SPARKIFY_ALERTS_SMTP_PASSWORD holds it"
    )
    variable = {"SPARKIFY_ALERTS_SMTP_PASSWORD": SECRET}
    assert load_settings(write(folder), variable).alerts.smtp_password == SECRET


def test_services_that_apprise_knows_are_named_by_urls_between_commas_or_spaces(
    folder: Path,
) -> None:
    variable = {"SPARKIFY_ALERTS_NOTIFY": "log, slack://a/b/c JSON://u:p@h/x?to=a%2Cb,webhook"}
    assert load_settings(write(folder, ALERTS={"NOTIFY": "email"}), variable).alerts.notify == (
        Channel.LOG,
        ServiceUrl("slack", "slack://a/b/c"),
        ServiceUrl("json", "JSON://u:p@h/x?to=a%2Cb"),
        Channel.WEBHOOK,
    )


@pytest.mark.parametrize("url", [f"slack://{SECRET}/b", f"Slack://u:{SECRET}@h", f"slack:{SECRET}"])
def test_the_url_of_a_service_belongs_in_the_environment(folder: Path, url: str) -> None:
    problem = only_problem(write(folder, ALERTS={"NOTIFY": f"log, {url}"}))
    what = "has a slack:// URL (not shown)" if "//" in url else "= (not shown)"
    assert problem == (
        f"[ALERTS] NOTIFY {what} (dwh.cfg): expected nothing, or some of log, email and webhook,"
        " and only in the variable SPARKIFY_ALERTS_NOTIFY also URLs of services that apprise knows"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("log, pager", "= 'log, pager'"),
        ("log log", "has something twice"),
        (f"slack://{SECRET} slack://{SECRET}", "has something twice"),
        (f"slack://a,{SECRET}", "= (not shown)"),
        ("slack://a,onlyletters", "= (not shown)"),
        (f"pager-{SECRET}://x", "= (not shown)"),
        (f"slack://{SECRET}\nx", "has a line break"),
    ],
)
def test_of_a_notifier_that_cannot_be_read_only_words_are_shown(
    folder: Path, value: str, shown: str
) -> None:
    problem = only_problem(write(folder), {"SPARKIFY_ALERTS_NOTIFY": value})
    assert problem.startswith(f"[ALERTS] NOTIFY {shown}")
    assert SECRET not in problem
    assert "onlyletters" not in problem


def test_a_table_is_not_overdue_before_it_warns(folder: Path) -> None:
    for hours in ({"WARN_HOURS": "50"}, {"FAIL_HOURS": "26"}):
        problem = only_problem(write(folder, FRESHNESS=hours))
        assert problem.startswith("[FRESHNESS] WARN_HOURS = ")


def test_a_single_address_is_a_range(folder: Path) -> None:
    file = write(folder, DWH={"ALLOWED_CIDR": "203.0.113.7"})
    assert load_settings(file, {}).dwh.allowed_cidr == "203.0.113.7/32"


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("LOG_DATA", "s3://b/x"),
        ("LOG_DATA", "s3://b/x/"),
        ("LOG_DATA", "s3://b"),
        ("SONG_DATA", "s3://b/x/scratch/songs"),
        ("LOG_JSONPATH", "s3://b/x/scratch/paths.json"),
    ],
)
def test_scratch_and_lake_never_overlap(folder: Path, key: str, place: str) -> None:
    s3 = {"SCRATCH": "s3://b/x/scratch", key: place}
    problem = only_problem(write(folder, S3=s3))
    assert problem.startswith(f"[S3] SCRATCH = s3://b/x/scratch and {key} = {place} overlap")


def test_scratch_may_be_beside_the_lake_in_its_bucket(folder: Path) -> None:
    s3 = {"SCRATCH": "s3://b/log_data_scratch/", "LOG_DATA": "s3://b/log_data"}
    assert load_settings(write(folder, S3=s3), {}).s3.scratch == "s3://b/log_data_scratch"


def test_a_secret_of_redshifts_own_can_be_named(folder: Path) -> None:
    arn = "arn:aws:secretsmanager:us-west-2:123456789012:secret:redshift!sparkify-admin-AbCdEf"
    loaded = load_settings(write(folder, CLUSTER={"SECRET_ID": arn}), {})
    assert loaded.cluster.secret_id == arn


GOOD_AND_BAD = {
    ("WAREHOUSE", "ENGINE"): (["duckdb", "DuckDB"], ["sqlite", "duck db"]),
    ("WAREHOUSE", "SCHEMA"): (["", "a", "_x9"], ["9a", "a-b", 'a"; drop', "Upper", "pg_x", "é"]),
    ("DUCKDB", "PATH"): (["a.db", "/a/b"], ["folder/", ":memory:", "s3://b/x.duckdb", "md:/x"]),
    ("DUCKDB", "MEMORY_LIMIT"): (["1GB", "1.5 gib", "800mb"], ["1", "0GB", "80%", "-1GB", "GB"]),
    ("DUCKDB", "THREADS"): (["", "1", "64"], ["0", "-1", "1.5", "two", "1_0", "٣", "9999"]),
    ("DUCKDB", "LOCK_TIMEOUT"): (["0", "0.5", "600"], ["-1", "nan", "inf", "1_0", "1e9", "."]),
    ("CLUSTER", "HOST"): (["db.example.com", "::1", "/run/pg"], ["h:5439/dev", "a b"]),
    ("CLUSTER", "DB_NAME"): (["dwh"], ["host=x dbname=y", "a/b"]),
    ("CLUSTER", "DB_USER"): (["awsuser", "IAM:me", "me@corp.com"], ["a b", "a:b"]),
    ("CLUSTER", "DB_PORT"): (["", "1", "65535"], ["0", "65536", "x"]),
    ("CLUSTER", "LOGIN"): (["", "secret", "IAM"], ["token", "password, secret"]),
    ("CLUSTER", "SECRET_ID"): (["", "a/b", "redshift!x-y"], ["a b", "a?b"]),
    ("CLUSTER", "CLUSTER_IDENTIFIER"): (["", "a", "a-1"], ["Abc", "a--b", "abc-", "1ab", "a" * 64]),
    ("CLUSTER", "WORKGROUP"): (["", "abc", "1--b"], ["ab", "a_b", "Abc"]),
    ("CLUSTER", "SSLMODE"): (["", "disable", "Verify-CA"], ["yes", "verify_full"]),
    ("CLUSTER", "SSLROOTCERT"): (["", "system", "a.pem", "/a/b.crt"], ["folder/", "s3://b/c.pem"]),
    ("CLUSTER", "CONNECT_TIMEOUT"): (["", "1", "3600"], ["0", "1.5", "3601"]),
    ("CLUSTER", "STATEMENT_TIMEOUT"): (["", "0", "604800"], ["-1", "604801"]),
    ("CLUSTER", "LOCK_TIMEOUT"): (["", "1"], ["0", "86401"]),
    ("IAM_ROLE", "ARN"): (
        ["", "default", "arn:aws-cn:iam::123456789012:role/a/b"],
        ["role", "arn:aws:s3:::b", "DEFAULT"],
    ),
    ("S3", "SCRATCH"): (
        ["", "s3://b/x", "s3://b/x/y/"],
        ["s3://b", "s3://b/", "s3://b//", "folder", "s3:///x", "gs://b/x"],
    ),
    ("LOAD", "REDSHIFT_READS_LOGS"): (["", "no", "YES"], ["maybe", "0"]),
    ("SENSORS", "ENABLED"): (["", "no", "YES"], ["on", "1"]),
    ("SENSORS", "MINIMUM_INTERVAL"): (["", "1", "86400"], ["0", "0.5", "86401", "30s"]),
    ("SENSORS", "MAX_ATTEMPTS"): (["", "1", "20"], ["0", "21", "-1", "many"]),
    ("SENSORS", "RETRY_DELAY"): (["", "0", "86400"], ["-1", "86401", "1m"]),
    ("SCHEDULES", "ENABLED"): (["", "no", "Yes"], ["off", "0"]),
    ("SCHEDULES", "DAILY_LOAD_HOUR"): (["", "0", "23"], ["24", "-1", "2:00", "2.5"]),
    ("SCHEDULES", "RECONCILIATION_HOUR"): (["", "0", "23"], ["24", "-1", "noon"]),
    ("DWH", "KIND"): (["", "Serverless", "provisioned"], ["multi-node"]),
    ("DWH", "IDENTIFIER"): (
        ["", "abc", "sparkify-2"],
        ["ab", "Sparkify", "a--b", "x" * 64, "a" + "-a" * 32],
    ),
    ("DWH", "NODE_TYPE"): (["", "ra3.large", "dc2.8xlarge"], ["ra3", "ra3.large.x", "RA3.large"]),
    ("DWH", "NUM_NODES"): (["", "1", "128"], ["0", "129", "two"]),
    ("DWH", "BASE_CAPACITY"): (["", "4", "1024"], ["3", "1025"]),
    ("DWH", "IAM_ROLE_NAME"): (["", "a", "A_b+=,.@-"], ["a b", "a/b", "x" * 65]),
    ("DWH", "ALLOWED_CIDR"): (
        ["", "203.0.113.0/24", "10.0.0.0/8"],
        ["203.0.113.1/24", "example.com", "::1/128", "203.0.113.0/33"],
    ),
    ("DWH", "ALLOW_ANY_ADDRESS"): (["", "no", "Yes"], ["true", "1"]),
    ("S3", "LOG_DATA"): (["a", "s3://b", "s3://b/p"], ["", "s3://", "s3:///p", "s3:/b", "gs://b"]),
    ("S3", "SONG_DATA"): (["../a b", "s3://b/p/"], ["", "https://b.s3.amazonaws.com/p", "s3a://b"]),
    ("S3", "LOG_JSONPATH"): (["", "a.json", "s3://b/k"], ["s3://b", "s3://b/", "folder/"]),
    ("S3", "REGION"): (["eu-west-1", "auto"], ["EU West", "us_west"]),
    ("S3", "ENDPOINT_URL"): (
        ["", "http://localhost:9000", "https://[::1]:1/x"],
        ["localhost:9000", "ftp://h", "http://", "https://h?x=1", "https://h#f", "http://h:x"],
    ),
    ("PARTITIONS", "FIRST_DAY"): (
        ["1970-01-01"],
        ["", "2018-11-31", "20181101", "1969-12-31", "x"],
    ),
    ("PARTITIONS", "LAST_DAY"): (["", "2199-12-31"], ["2018-W44-4", "9999-12-31"]),
    ("LOAD", "MAX_HOURS_AHEAD"): (["0", "24", "8760"], ["-1", "8761", "1.5", "a day"]),
    ("LOAD", "MAX_DAYS_LATE"): (["0", "366", "36500"], ["-1", "36501", "1.5", "a year"]),
    ("LOAD", "MAX_REJECT_RATIO"): (["0", "1", ".5", "1e-3"], ["1%", "-0.1", "1.01", "nan"]),
    ("ANALYTICS", "EXPECTED"): (["", "a", "/a/b/", "../c d"], ["s3://b/x", ":memory:", "gs://b"]),
    ("ALERTS", "NOTIFY"): (
        ["", "log", "Log, webhook", "log webhook", "log ,  webhook"],
        ["pager", "log,log", "log log", "log,", ",log", "log,,webhook", "slack:/a", "log;webhook"],
    ),
    ("ALERTS", "WARNINGS"): (["", "no", "Yes"], ["true", "warn"]),
    ("ALERTS", "UI_URL"): (
        ["", "https://h", "http://[::1]:3000/dagster/"],
        ["h:3000", "https://h?x", "https://h#x", "ftp://h"],
    ),
    ("ALERTS", "EMAIL_TO"): (["", "a@b", "a.b+c@x.org, d@e"], ["a", "a@b;c@d", "A <a@b>", "a@b,"]),
    ("ALERTS", "EMAIL_FROM"): (["", "a@b.org"], ["a", "a@b, c@d", "A <a@b>"]),
    ("ALERTS", "SMTP_HOST"): (["", "mail.example.com", "::1"], ["h:25", "smtp://h", "a b"]),
    ("ALERTS", "SMTP_PORT"): (["", "1", "65535"], ["0", "65536", "smtp"]),
    ("ALERTS", "SMTP_TLS"): (["", "TLS", "starttls", "none"], ["no", "ssl"]),
    ("ALERTS", "SMTP_USER"): (["", "me@corp.com", "a:b"], ["a b", "é"]),
    ("ALERTS", "WEBHOOK_URL"): (
        ["", "http://h:1", "https://h/a/b?token=c"],
        ["h/a", "ftp://h", "https://", "https://u:p@h/", "https://h/#a", "https://h/é"],
    ),
    ("ALERTS", "SSLROOTCERT"): (["", "system", "a.pem"], ["folder/", "s3://b/c.pem"]),
    ("FRESHNESS", "ENABLED"): (["", "no", "Yes"], ["true", "auto"]),
    ("FRESHNESS", "WARN_HOURS"): (["", "1", "49"], ["0", "1.5", "8785"]),
    ("FRESHNESS", "FAIL_HOURS"): (["", "27", "8784"], ["0", "two", "8785"]),
}


@pytest.mark.parametrize(("section", "name"), GOOD_AND_BAD)
def test_each_key_accepts_what_it_says_and_refuses_the_rest(
    folder: Path, section: str, name: str
) -> None:
    good, bad = GOOD_AND_BAD[section, name]
    variable = f"SPARKIFY_{section}_{name}"
    for value in good:
        load_settings(write(folder, **{section: {name: value}}), {})
        load_settings(write(folder), {variable: value})
    for value in bad:
        in_file = only_problem(write(folder, **{section: {name: value}}))
        assert in_file.startswith(f"[{section}] {name} ")
        assert KEYS[section][name].expected in in_file
        assert "(dwh.cfg)" in in_file
        assert f"({variable})" in only_problem(write(folder), {variable: value})


def test_the_rules_above_speak_of_every_key_but_the_passwords() -> None:
    declared = {(section, name) for section, keys in KEYS.items() for name in keys}
    passwords = {("CLUSTER", "DB_PASSWORD"), ("ALERTS", "SMTP_PASSWORD")}
    assert declared - passwords == set(GOOD_AND_BAD)


# The environment


@pytest.mark.parametrize(
    ("variable", "value", "read"),
    [
        ("SPARKIFY_WAREHOUSE_SCHEMA", "dwh", lambda s: s.warehouse.schema),
        ("SPARKIFY_DUCKDB_THREADS", "3", lambda s: str(s.duckdb.threads)),
        ("SPARKIFY_CLUSTER_DB_PASSWORD", "pw", lambda s: s.cluster.db_password),
        ("SPARKIFY_IAM_ROLE_ARN", "arn:aws:iam::123456789012:role/r", lambda s: s.iam_role_arn),
        ("SPARKIFY_S3_LOG_DATA", "s3://b/p", lambda s: s.s3.log_data),
        ("SPARKIFY_PARTITIONS_FIRST_DAY", "2020-02-29", lambda s: str(s.partitions.first_day)),
        ("SPARKIFY_DWH_NODE_TYPE", "ra3.xlplus", lambda s: s.dwh.node_type),
        ("SPARKIFY_LOAD_MAX_REJECT_RATIO", "0.25", lambda s: str(s.load.max_reject_ratio)),
    ],
)
def test_a_variable_overrides_the_key_even_where_the_file_is_wrong(
    folder: Path, variable: str, value: str, read: Callable[[Settings], object]
) -> None:
    assert read(load_settings(SHIPPED, {variable: value})) == value
    broken = write(folder, DUCKDB={"THREADS": "many"})
    assert load_settings(broken, {"SPARKIFY_DUCKDB_THREADS": "2"}).duckdb.threads == 2


def test_an_empty_variable_means_the_default(folder: Path) -> None:
    file = write(folder, DUCKDB={"THREADS": "3", "MEMORY_LIMIT": "2GB"})
    empty = {"SPARKIFY_DUCKDB_THREADS": "", "SPARKIFY_DUCKDB_MEMORY_LIMIT": ""}
    loaded = load_settings(file, empty)
    assert (loaded.duckdb.threads, loaded.duckdb.memory_limit) == (None, "1GB")


def test_a_mistyped_variable_is_an_error_that_names_the_right_one(folder: Path) -> None:
    problem = only_problem(write(folder), {"SPARKIFY_S3_LOGDATA": "s3://b"})
    assert "SPARKIFY_S3_LOGDATA" in problem
    assert "did you mean SPARKIFY_S3_LOG_DATA?" in problem


def test_variables_of_other_tools_are_ignored(folder: Path) -> None:
    others = {"SPARKIFY": "x", "S3_LOG_DATA": "x"}
    named = {"SPARKIFY_CONFIG": "elsewhere.cfg"}
    assert load_settings(write(folder), others | named) == load_settings(write(folder), {})


def test_home_is_dagster_home_or_beside_the_file_and_nothing_is_created(folder: Path) -> None:
    file = write(folder)
    assert load_settings(file, {"DAGSTER_HOME": ""}).home == folder / "conf" / ".dagster"
    assert load_settings(file, {"DAGSTER_HOME": str(folder / "h")}).home == folder / "h"
    assert sorted(path.name for path in folder.iterdir()) == ["conf", "shell"]
    assert [path.name for path in file.parent.iterdir()] == ["dwh.cfg"]


def test_home_must_be_absolute_and_not_a_file(folder: Path) -> None:
    file = write(folder)
    for wrong in ("relative/home", str(file)):
        problem = only_problem(file, {"DAGSTER_HOME": wrong})
        assert problem.startswith(f"DAGSTER_HOME = {wrong[:20]!r}"[:-1])
        assert "expected the absolute path of a folder" in problem
    (folder / "conf" / ".dagster").touch()
    assert "is not a folder" in only_problem(file)


# Everything wrong at once


def test_every_problem_of_file_and_environment_is_listed_at_once(folder: Path) -> None:
    file = write_text(
        folder,
        "LOST = 1\n"
        "[WAREHOUSE]\nENGINE = oracle\nno delimiter\n"
        "[DUCKBD]\nPATH = x\n"
        "[DUCKDB]\nTHREADS = 0\nTHREADS = 1\nMEMRY_LIMIT = 1GB\n"
        "[S3]\nSONG_DATA = s3://\n"
        "[LOAD]\nMAX_REJECT_RATIO = 1%\n"
        "[PARTITIONS]\nFIRST_DAY = 2018-12-01\nLAST_DAY = 2018-11-01\n"
        "[S3]\nREGION = Mars 1\n",
    )
    error = refused(file, {"SPARKIFY_CLUSTER_DB_PORT": "0", "SPARKIFY_S3_REGIO": "x"})
    expected = [
        ("line 1", "[SECTION]"),
        ("line 4", "KEY = value"),
        ("line 9", "THREADS is repeated"),
        ("line 18", "[S3] is repeated"),
        ("[DUCKBD] is not a section", "did you mean DUCKDB?"),
        ("[DUCKDB] MEMRY_LIMIT is not a key", "did you mean MEMORY_LIMIT?"),
        ("[S3] REGIO is not a key", "did you mean SPARKIFY_S3_REGION?"),
        ("[WAREHOUSE] ENGINE = 'oracle'", "duckdb, postgres or redshift"),
        ("[DUCKDB] THREADS = '0'", "a whole number from 1 to 1024"),
        ("[CLUSTER] DB_PORT = '0'", "(SPARKIFY_CLUSTER_DB_PORT)"),
        ("[S3] LOG_DATA is missing or empty", "expected a folder"),
        ("[S3] SONG_DATA = 's3://'", "s3://bucket/prefix"),
        ("[S3] REGION = 'Mars 1'", "the name of a region"),
        ("[LOAD] MAX_REJECT_RATIO = '1%'", "from 0 to 1"),
        ("[PARTITIONS] FIRST_DAY = 2018-12-01", "after LAST_DAY = 2018-11-01"),
    ]
    unmatched = list(error.problems)
    for start, within in expected:
        (match,) = (line for line in unmatched if line.startswith(start) and within in line)
        unmatched.remove(match)
    assert unmatched == []
    assert str(error).splitlines()[1:] == [f"  {problem}" for problem in error.problems]
    assert f"{file} cannot be used, {len(expected)} problems:" in str(error)


broken_values = st.fixed_dictionaries(
    {}, optional={place: st.sampled_from(bad) for place, (_, bad) in GOOD_AND_BAD.items()}
)


@same_folder
@given(broken_values)
def test_any_combination_of_wrong_keys_is_listed_key_by_key(
    folder: Path, values: dict[tuple[str, str], str]
) -> None:
    changes: dict[str, dict[str, str]] = {}
    for (section, name), value in values.items():
        changes.setdefault(section, {})[name] = value
    file = write(folder, **changes)
    if not values:
        assert isinstance(load_settings(file, {}), Settings)
        return
    named = {tuple(problem.split(" ")[:2]) for problem in refused(file).problems}
    assert named == {(f"[{section}]", name) for section, name in values}


@same_folder
@given(st.text(max_size=300) | st.text("[]=:#; \n\tS3LOG_DATA'\"", max_size=120))
def test_whatever_the_file_holds_only_a_settings_error_comes_out(folder: Path, text: str) -> None:
    file = folder / "conf" / "dwh.cfg"
    file.write_text(text, encoding="utf-8", errors="replace", newline="")
    for problem in refused(file).problems:  # no text here can name a lake: it is never correct
        assert len(problem.splitlines()) == 1


def test_a_key_that_the_section_of_the_warehouse_does_not_have_is_refused(folder: Path) -> None:
    problem = only_problem(write(folder, DWH={"NODE_TYP": "ra3.large"}))
    assert problem == "[DWH] NODE_TYP is not a key (dwh.cfg): did you mean NODE_TYPE?"


def test_an_error_survives_a_process_boundary(folder: Path) -> None:
    error = refused(write(folder, LOAD={"MAX_REJECT_RATIO": "2"}))
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.problems) == (str(error), error.problems)


# Secrets


def test_a_password_is_in_no_repr() -> None:
    loaded = load_settings(SHIPPED, {"SPARKIFY_CLUSTER_DB_PASSWORD": SECRET})
    assert loaded.cluster.db_password == SECRET
    assert SECRET not in repr(loaded) + str(loaded) + repr(loaded.cluster)


@pytest.mark.parametrize(
    "variable",
    [
        "SPARKIFY_ALERTS_SMTP_PASSWORD",
        "SPARKIFY_ALERTS_WEBHOOK_URL",
        "SPARKIFY_ALERTS_NOTIFY",
    ],
)
def test_a_secret_of_alerts_is_in_no_repr_and_in_no_error(folder: Path, variable: str) -> None:
    value = f"https://h/{SECRET}"
    assert SECRET not in repr(load_settings(SHIPPED, {variable: value}))
    assert SECRET not in only_problem(write(folder), {variable: f"{value}\n#x"})
    wrong = {"SPARKIFY_ALERTS_WEBHOOK_URL": f"h/{SECRET}"}
    assert SECRET not in only_problem(write(folder), wrong)


@pytest.mark.parametrize(
    "content",
    [
        f"[CLUSTER]\nDB_PASSWORD {SECRET}\n",
        f"[CLUSTER]\nHOST = h\n  DB_PASSWORD = {SECRET}\n",
        f"[CLUSTER]\nDB_PASSWORD =\n  {SECRET}\n  x\n",
        f"[CLUSTER]\nDB_PASSWORD = a\nDB_PASSWORD = {SECRET}\n",
        f"DB_PASSWORD = {SECRET}\n",
        f"[CLUSTER]\nDB_PASSWORD = x\n\n{SECRET}/x\n",
        f"[CLUSTER]\nDB_PASWORD = {SECRET}\n",
        f"[AWS]\nKEY = k\nSECRET = {SECRET}\n",
        f"[https://u:{SECRET}@h]\n",
        f"[ALERTS]\nNOTIFY = log, slack://{SECRET}/x\n",
        f"[ALERTS]\nNOTIFY = slack://x, {SECRET}\n",
        f"[ALERTS]\nNOTIFI = slack://{SECRET}\n",
        f"[CLUSTER]\nHOST = postgresql://u:{SECRET}@h/db\n",
        f"[CLUSTER]\nHOST = h user=u password={SECRET}\n",
        f"[CLUSTER]\nDB_NAME = 'postgresql://u:{SECRET}@h/db'\n",
        f"[DUCKDB]\nPATH = postgres://u:{SECRET}@h/db\n",
        f"[S3]\nLOG_DATA = s3://AKIA:{SECRET}@bucket/logs\n",
        f"[S3]\nLOG_DATA = s3://AKIA:x/{SECRET}@bucket/logs\n",
        f"[S3]\nENDPOINT_URL = https://{SECRET}@h\n",
        f"[S3]\nENDPOINT_URL = https://u:{SECRET}@h:9000\n",
        f"[S3]\nENDPOINT_URL = https:/u:{SECRET}@h\n",
        f"[S3]\nENDPOINT_URL = https://h/?X-Amz-Signature={SECRET}\n",
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_and_never_shown(folder: Path, content: str) -> None:
    error = refused(write_text(folder, content))
    assert SECRET not in str(error)
    assert SECRET not in repr(error)
    assert error.__cause__ is None
    assert error.__context__ is None


def test_a_uri_with_a_password_in_a_variable_is_refused_and_never_shown(folder: Path) -> None:
    variable = {"SPARKIFY_S3_ENDPOINT_URL": f"https://u:{SECRET}@h"}
    problem = only_problem(write(folder), variable)
    assert "user or password inside a URI (not shown) (SPARKIFY_S3_ENDPOINT_URL)" in problem
    assert SECRET not in problem


def test_a_password_that_cannot_be_used_is_not_shown(folder: Path) -> None:
    problem = only_problem(write(folder), {"SPARKIFY_CLUSTER_DB_PASSWORD": f"{SECRET}\nx"})
    assert "[CLUSTER] DB_PASSWORD has a line break" in problem
    assert SECRET not in problem


# What the module costs


def test_the_module_imports_only_the_standard_library() -> None:
    program = "import sys, sparkify_dagster.settings; print(*sys.modules)"
    command = [sys.executable, "-S", "-c", program]
    root = str(SHIPPED.parent)
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": root}, check=True, capture_output=True, text=True
    )
    foreign = {name.partition(".")[0] for name in done.stdout.split()} - sys.stdlib_module_names
    assert foreign <= {"sparkify_dagster", "__main__", "__mp_main__"}


@pytest.mark.parametrize("songs", ["lake", "lake/logs", "lake/logs/"])
def test_song_files_are_not_sought_among_log_files(folder: Path, songs: str) -> None:
    file = write(folder, S3={"LOG_DATA": "lake/logs", "SONG_DATA": songs})
    (problem,) = refused(file).problems
    assert "holds LOG_DATA = " in problem
    assert "expected a place of its own" in problem
    assert load_settings(write(folder, S3={"LOG_DATA": "lake", "SONG_DATA": "lake/songs"}), {})
    assert load_settings(write(folder, S3={"LOG_DATA": "s3://b/logs", "SONG_DATA": "s3://b/l"}), {})


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("SPARKIFY_DUCKBD_PATH", "did you mean SPARKIFY_DUCKDB_PATH?"),
        ("SPARKIFY_S3LOG_DATA", "did you mean SPARKIFY_S3_LOG_DATA?"),
        ("SPARKIFY_QQQQQQQQQQQQQQQQ", "expected SPARKIFY_<SECTION>_<KEY>"),
    ],
)
def test_a_variable_of_no_section_is_refused_as_in_the_file(
    folder: Path, variable: str, said: str
) -> None:
    (problem,) = refused(write(folder), {variable: "x"}).problems
    assert problem == f"{variable} is not a key (environment): {said}"


@pytest.mark.parametrize("secret", [" a b ", "'quoted'", '"', "#x;y", " "])
def test_a_password_from_the_environment_is_taken_as_it_is(folder: Path, secret: str) -> None:
    environ = {"SPARKIFY_CLUSTER_DB_PASSWORD": secret}
    assert load_settings(write(folder), environ).cluster.db_password == secret


@pytest.mark.parametrize("schema", ["songs", "temp", "system", "information_schema"])
def test_a_schema_that_duckdb_could_not_tell_from_something_else_is_refused(
    folder: Path, schema: str
) -> None:
    file = write(folder, DUCKDB={"PATH": "w/Songs.v2.duckdb"}, WAREHOUSE={"SCHEMA": schema})
    (problem,) = refused(file).problems
    assert f"[WAREHOUSE] SCHEMA = {schema}" in problem.replace("'", "")
    assert load_settings(write(folder, WAREHOUSE={"SCHEMA": "songs"}), {}).warehouse.schema
