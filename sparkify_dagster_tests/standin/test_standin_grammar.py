"""What the stand-in refuses because Redshift does, and what it lets through.

Each refused statement stands beside one that differs only in the point, so that a test fails if
everything is refused.
"""

import psycopg2
import pytest

from sparkify_dagster_tests.fixtures.standin import Connect
from sparkify_dagster_tests.standin.errors import RefusedError
from sparkify_dagster_tests.standin.statements import judge

COPY = "COPY t (a) FROM 's3://bucket/key' IAM_ROLE default "
WINDOW = "SELECT SUM(a) OVER (PARTITION BY b ORDER BY a {}) FROM t"

QUERIES = {
    "ON CONFLICT": (
        "INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING",
        "INSERT INTO t (a) VALUES (1)",
    ),
    "RETURNING": ("DELETE FROM t WHERE a = 1 RETURNING a", "DELETE FROM t WHERE a = 1"),
    "DISTINCT ON": ("SELECT DISTINCT ON (a) a FROM t", "SELECT DISTINCT a FROM t"),
    "FILTER": ("SELECT COUNT(*) FILTER (WHERE a > 1) FROM t", "SELECT COUNT(*) FROM t"),
    "IS DISTINCT FROM": (
        "SELECT a FROM t WHERE a IS DISTINCT FROM 1",
        "SELECT a FROM t WHERE a <> 1",
    ),
    "IS NOT DISTINCT FROM": (
        "SELECT a FROM t WHERE a IS NOT DISTINCT FROM 1",
        "SELECT a FROM t WHERE a IS NOT NULL",
    ),
    "GENERATE_SERIES": ("SELECT * FROM generate_series(1, 2)", "SELECT LENGTH('x')"),
    "array constructor": ("SELECT ARRAY[1, 2]", "SELECT 1, 2"),
    "ANY of an array": (
        "SELECT a FROM t WHERE a = ANY('{1}'::int[])",
        "SELECT a FROM t WHERE a IN (1)",
    ),
    "subscript": ("SELECT a[1] FROM t", "SELECT a FROM t"),
    "UNNEST": ("SELECT x FROM UNNEST(y) AS u (x)", "SELECT x FROM unnested AS u"),
    "an advisory lock": ("SELECT pg_advisory_xact_lock(1)", "SELECT PG_BACKEND_PID()"),
    "EXCEPT ALL": (
        "SELECT a FROM t EXCEPT ALL SELECT a FROM u",
        "SELECT a FROM t EXCEPT SELECT a FROM u",
    ),
    "INTERSECT ALL": (
        "SELECT a FROM t INTERSECT ALL SELECT a FROM u",
        "SELECT a FROM t UNION ALL SELECT a FROM u",
    ),
    "TABLESAMPLE": (
        "SELECT a FROM t TABLESAMPLE SYSTEM (1)",
        "SELECT tablesampled FROM t ORDER BY RANDOM() LIMIT 1",
    ),
    "STRING_AGG": ("SELECT STRING_AGG(a, ',') FROM t", "SELECT MAX(a) FROM t"),
    "ARRAY_AGG": ("SELECT ARRAY_AGG(a) FROM t", "SELECT MIN(a) FROM t"),
    "VALUES in FROM": ("SELECT * FROM (VALUES (1)) AS v (a)", "SELECT * FROM (SELECT 1) AS v (a)"),
    "VALUES in IN": ("SELECT 1 WHERE 1 IN (VALUES (1))", "SELECT 1 WHERE 1 IN (1)"),
    "VALUES alone": ("VALUES (1)", "SELECT 1"),
    "VALUES in WITH": ("WITH v AS (VALUES (1)) SELECT 1", "WITH v AS (SELECT 1) SELECT 1"),
    "VALUES in FROM of an insert": (
        "INSERT INTO t (a) SELECT a FROM (VALUES (1)) AS v (a)",
        "INSERT INTO t (a) VALUES (1), (2)",
    ),
    "AGE on a table": ("SELECT AGE(b) FROM t", "SELECT AGE(GETDATE())"),
    "NOW on a table": ("SELECT NOW() FROM t", "SELECT NOW()"),
    "NOW in an insert": ("INSERT INTO t (a) SELECT NOW()", "INSERT INTO t (a) SELECT GETDATE()"),
    "CURRENT_TIMESTAMP on a table": ("SELECT CURRENT_TIMESTAMP FROM t", "SELECT SYSDATE FROM t"),
    "a leader's function on a table": (
        "SELECT PG_LAST_COPY_ID() FROM t",
        "SELECT PG_LAST_COPY_ID()",
    ),
    "the catalogue with a table": (
        "INSERT INTO t (a) SELECT table_name FROM information_schema.tables",
        "SELECT table_name FROM information_schema.tables",
    ),
    "raw load errors": (
        "SELECT raw_line FROM stl_load_errors",
        "SELECT error_message FROM sys_load_error_detail",
    ),
    "aggregate window without frame": (
        WINDOW.format(""),
        WINDOW.format("ROWS UNBOUNDED PRECEDING"),
    ),
    "LAST_VALUE without frame": (
        "SELECT LAST_VALUE(a) OVER (ORDER BY c) FROM t",
        "SELECT LAST_VALUE(a) OVER (ORDER BY c ROWS UNBOUNDED PRECEDING) FROM t",
    ),
    "a default of LAG": (
        "SELECT LAG(a, 1, 0) OVER (ORDER BY c) FROM t",
        "SELECT COALESCE(LAG(a, 1) OVER (ORDER BY c), 0) FROM t",
    ),
    "RANGE frame": (
        WINDOW.format("RANGE UNBOUNDED PRECEDING"),
        WINDOW.format("ROWS BETWEEN 1 PRECEDING AND CURRENT ROW"),
    ),
    "frame of a ranking function": (
        "SELECT RANK() OVER (ORDER BY a ROWS UNBOUNDED PRECEDING) FROM t",
        "SELECT RANK() OVER (ORDER BY a) FROM t",
    ),
    "named window": (
        "SELECT RANK() OVER w FROM t WINDOW w AS (ORDER BY a)",
        "SELECT SUM(a) OVER (PARTITION BY b) FROM t",
    ),
    "alias of a DELETE target": (
        "DELETE FROM t AS x WHERE x.a = 1",
        "DELETE FROM t USING u WHERE t.a = u.a",
    ),
    "bare alias of a DELETE target": ("DELETE FROM t x WHERE x.a = 1", "DELETE FROM s.t"),
    "E string": ("SELECT E'\\n'", "SELECT '\\n'"),
    "a function of PostgreSQL's own": ("SELECT jsonb_typeof('1')", "SELECT MD5('1')"),
    "a schema before a function": ("SELECT pg_catalog.format('x')", "SELECT pg_catalog.upper('x')"),
    "a type of PostgreSQL's own": ("SELECT CAST('1' AS JSONB)", "SELECT CAST('1' AS BIGINT)"),
    "a cast to such a type": ("SELECT '1'::uuid", "SELECT '1'::varchar(10)"),
    "JSON operator": ("SELECT a->>'x' FROM t", "SELECT a || 'x' FROM t"),
    "half a type": ("SELECT CAST(a AS DOUBLE) FROM t", "SELECT CAST(a AS DOUBLE PRECISION) FROM t"),
    "LATERAL": ("SELECT 1 FROM t, LATERAL (SELECT 1) AS x", "SELECT 1 FROM t, (SELECT 1) AS x"),
    "JOIN LATERAL": (
        "SELECT 1 FROM t CROSS JOIN LATERAL (SELECT 1) AS x",
        "SELECT 1 FROM t CROSS JOIN (SELECT 1) AS x",
    ),
    "FOR SHARE": ("SELECT a FROM t FOR SHARE", "SELECT a AS share FROM t"),
    "FOR UPDATE": ("SELECT a FROM t FOR UPDATE", "SELECT a FROM t ORDER BY a LIMIT 1"),
    "FETCH FIRST": ("SELECT a FROM t FETCH FIRST 1 ROWS ONLY", "SELECT a FROM t LIMIT 1 OFFSET 1"),
    "MATERIALIZED": (
        "WITH x AS MATERIALIZED (SELECT 1) SELECT 1",
        "WITH x AS (SELECT 1) SELECT 1",
    ),
    "reserved word as a name": ("SELECT tag FROM t", 'SELECT "tag" FROM t'),
    "reserved word as an alias": ("SELECT 1 AS user", "SELECT 1 AS listener"),
    "MERGE with AND": (
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED AND u.b = 1 THEN UPDATE SET b = u.b "
        "WHEN NOT MATCHED THEN INSERT VALUES (u.a, u.b)",
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = u.b "
        "WHEN NOT MATCHED THEN INSERT VALUES (u.a, u.b)",
    ),
    "MERGE with one clause": (
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE "
        "WHEN NOT MATCHED THEN INSERT VALUES (u.a, u.b)",
    ),
    "MERGE with the other clause alone": (
        "MERGE INTO t USING u ON t.a = u.a WHEN NOT MATCHED THEN INSERT (a) VALUES (u.a)",
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = u.b "
        "WHEN NOT MATCHED THEN INSERT (a) VALUES (u.a)",
    ),
    "WITH before MERGE": (
        "WITH u AS (SELECT 1 AS a) MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE "
        "WHEN NOT MATCHED THEN INSERT (a) VALUES (u.a)",
        "WITH u AS (SELECT 1 AS a) SELECT a FROM u",
    ),
    "alias of a MERGE target": (
        "MERGE INTO t AS x USING u ON x.a = u.a WHEN MATCHED THEN DELETE "
        "WHEN NOT MATCHED THEN INSERT VALUES (u.a, u.b)",
        "MERGE INTO t USING u AS x ON t.a = x.a WHEN MATCHED THEN DELETE "
        "WHEN NOT MATCHED THEN INSERT VALUES (x.a, x.b)",
    ),
}  # fmt: skip

OTHERS = {
    "savepoint": ("SAVEPOINT x", "ROLLBACK"),
    "unique index": ("CREATE UNIQUE INDEX x ON t (a)", "CREATE TABLE t (a INTEGER UNIQUE)"),
    "back to a savepoint": ("ROLLBACK TO SAVEPOINT x", "ROLLBACK WORK"),
    "ON COMMIT": (
        "CREATE TEMP TABLE t (a INTEGER) ON COMMIT DROP",
        "CREATE TEMP TABLE IF NOT EXISTS t (a INTEGER)",
    ),
    "generated column": (
        "CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a) STORED)",
        "CREATE TABLE t (a INT, b INT DEFAULT 1)",
    ),
    "IF NOT EXISTS of a column": (
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS a INTEGER",
        "ALTER TABLE t ADD COLUMN a INTEGER",
    ),
    "index": ("CREATE INDEX x ON t (a)", "CREATE SCHEMA IF NOT EXISTS x"),
    "unlogged table": ("CREATE UNLOGGED TABLE t (a INTEGER)", "CREATE TEMP TABLE t (a INTEGER)"),
    "serial": ("CREATE TABLE t (a SERIAL)", "CREATE TABLE t (a INTEGER IDENTITY(1, 1))"),
    "json column": ("CREATE TABLE t (a JSONB)", "CREATE TABLE t (a VARCHAR(MAX))"),
    "array column": ("CREATE TABLE t (a INTEGER[])", "CREATE TABLE t (a INTEGER)"),
    "check constraint": (
        "CREATE TABLE t (a INTEGER CHECK (a > 0))",
        "CREATE TABLE t (a INTEGER NULL)",
    ),
    "reserved column name": ("CREATE TABLE t (raw INTEGER)", 'CREATE TABLE t ("raw" INTEGER)'),
    "encoding that does not fit": (
        "CREATE TABLE t (a VARCHAR(9) ENCODE az64)",
        "CREATE TABLE t (a DATE ENCODE az64)",
    ),
    "unknown encoding": (
        "CREATE TABLE t (a INTEGER ENCODE gzip)",
        "CREATE TABLE t (a INTEGER ENCODE zstd)",
    ),
    "too long a VARCHAR": (
        "CREATE TABLE t (a VARCHAR(65536))",
        "CREATE TABLE t (a VARCHAR(65535))",
    ),
    "DISTSTYLE KEY without key": (
        "CREATE TABLE t (a INTEGER) DISTSTYLE KEY",
        "CREATE TABLE t (a INTEGER) DISTSTYLE KEY DISTKEY (a)",
    ),
    "DISTKEY with EVEN": (
        "CREATE TABLE t (a INTEGER) DISTSTYLE EVEN DISTKEY (a)",
        "CREATE TABLE t (a INTEGER) DISTSTYLE EVEN",
    ),
    "DISTKEY of no column": (
        "CREATE TABLE t (a INTEGER) DISTKEY (b)",
        "CREATE TABLE t (a INTEGER DISTKEY)",
    ),
    "SORTKEY of no column": (
        "CREATE TABLE t (a INTEGER) SORTKEY (b)",
        "CREATE TABLE t (a INTEGER) COMPOUND SORTKEY (a)",
    ),
    "several columns in one ADD": (
        "ALTER TABLE t ADD COLUMN a INTEGER, ADD COLUMN b INTEGER",
        "ALTER TABLE t ADD COLUMN a DECIMAL(9, 2) DEFAULT 0",
    ),
    "ALTER TABLE APPEND": ("ALTER TABLE t APPEND FROM u", "ALTER TABLE t RENAME TO u"),
    "mode of a lock": ("LOCK TABLE t IN SHARE MODE", "LOCK TABLE t, u"),
    "NOWAIT": ("LOCK TABLE t NOWAIT", "LOCK t"),
    "lock_timeout": ("SET lock_timeout TO 5", "SET statement_timeout TO 5"),
    "several tables in one ANALYZE": ("ANALYZE t, u", "ANALYZE t (a, b) PREDICATE COLUMNS"),
    "options of PostgreSQL's VACUUM": ("VACUUM (ANALYZE) t", "VACUUM DELETE ONLY t TO 90 PERCENT"),
    "user without password": ("CREATE USER u", "CREATE USER u PASSWORD 'Aa345678' NOCREATEDB"),
    "unknown privilege": (
        "GRANT MAINTAIN ON t TO u",
        "GRANT SELECT, DROP ON ALL TABLES IN SCHEMA s TO ROLE r",
    ),
    "EXPLAIN ANALYZE": ("EXPLAIN ANALYZE SELECT 1", "EXPLAIN SELECT 1"),
    "several TRUNCATEs": ("TRUNCATE t, u", "TRUNCATE TABLE t"),
    "UNLOAD": ("UNLOAD ('SELECT 1') TO 's3://b/k' IAM_ROLE default", "SHOW search_path"),
    "COPY FROM STDIN": ("COPY t FROM STDIN", COPY + "JSON 'auto'"),
}  # fmt: skip

COPIES = {
    "no credentials": "COPY t FROM 's3://b/k' JSON 'auto'",
    "no format": COPY,
    "keys in the statement": COPY.replace("IAM_ROLE default", "ACCESS_KEY_ID 'x'") + "JSON 'auto'",
    "a role that is none": COPY.replace("default", "'arn:aws:iam::1:role/x'") + "JSON 'auto'",
    "MAXERROR too large": COPY + "JSON 'auto' MAXERROR 100001",
    "MAXERROR negative": COPY + "JSON 'auto' MAXERROR -1",
    "an option twice": COPY + "JSON 'auto' GZIP GZIP",
    "two compressions": COPY + "JSON 'auto' GZIP BZIP2",
    "an unknown option": COPY + "JSON 'auto' QUICKLY",
    "TRUNCATECOLUMNS": COPY + "JSON 'auto' TRUNCATECOLUMNS",
    "capitals in JSON's word": COPY + "JSON 'Auto'",
    "a job": COPY + "JOB CREATE j AUTO ON",
    "epoch in capitals": COPY + "JSON 'auto' TIMEFORMAT 'EPOCHMILLISECS'",
    "a column twice": COPY.replace("(a)", "(a, a)") + "JSON 'auto'",
    "a place that is not S3": COPY.replace("s3:", "dynamodb:") + "JSON 'auto'",
    "COMPUPDATE with nonsense": COPY + "JSON 'auto' COMPUPDATE MAYBE",
} | {
    f"JSON with {option.split()[0]}": f"{COPY}JSON 'auto' {option}"
    for option in (
        "CSV", "DELIMITER ','", "ESCAPE", "FILLRECORD", "FIXEDWIDTH 'a:1'", "IGNOREBLANKLINES",
        "NULL AS 'x'", "READRATIO 10", "REMOVEQUOTES",
    )
}  # fmt: skip


@pytest.mark.parametrize("name", [*QUERIES, *OTHERS])
def test_what_redshift_lacks_is_refused_and_its_neighbour_is_not(name: str) -> None:
    refused, accepted = (QUERIES | OTHERS)[name]
    judge(accepted)
    with pytest.raises(RefusedError):
        judge(refused)


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_that_redshift_refuses_is_refused(name: str) -> None:
    with pytest.raises(RefusedError):
        judge(COPIES[name])


@pytest.mark.parametrize(
    "options",
    [
        "FORMAT JSON 'auto'",
        "FORMAT AS JSON AS 'auto ignorecase'",
        "JSON 's3://bucket/paths.json'",
        "REGION 'us-west-2' MANIFEST FORMAT JSON 'auto' GZIP COMPUPDATE OFF STATUPDATE OFF "
        "MAXERROR 9",
        "MANIFEST JSON 'auto' REGION AS 'us-west-2' MAXERROR AS 100000 TIMEFORMAT 'epochmillisecs'",
    ],
)
def test_a_copy_of_the_documented_grammar_is_accepted(options: str) -> None:
    judge(COPY + options)
    judge(f"copy s.t from 's3://b/k' iam_role 'arn:aws:iam::123456789012:role/r' {options};")


def test_the_error_of_a_refused_statement_says_where(connect: Connect) -> None:
    with pytest.raises(psycopg2.errors.SyntaxError, match='syntax error at or near "RETURNING"'):
        connect().cursor().execute("DELETE FROM t WHERE a = 1 RETURNING a")


def test_words_in_literals_names_and_comments_do_not_count(connect: Connect) -> None:
    with connect().cursor() as cursor:
        cursor.execute(
            "SELECT 'RETURNING it''s \\' now() [1]' AS x, 1 AS \"filter\" -- ON CONFLICT; LATERAL\n"
            "/* VALUES (1); */"
        )
        assert cursor.fetchall() == [("RETURNING it's ' now() [1]", 1)]


def test_a_statement_of_more_than_16_mb_is_refused() -> None:
    judge(f"SELECT '{'x' * 1000}'")
    with pytest.raises(RefusedError, match="too large"):
        judge(f"SELECT '{'x' * 16 * 1024 * 1024}'")


def test_a_long_insert_is_judged_as_a_short_one() -> None:
    row = "(1, -2.5e3, NULL, true, 'it''s \\\\ ); x', '2018-11-01'::date)"
    many = ", ".join([row] * 1000)
    judge(f'INSERT INTO s."t" (a, b, c, d, e, f) VALUES {many}')
    for refused in (
        f"INSERT INTO t VALUES {many} RETURNING a",
        f"INSERT INTO t VALUES {many}, (ARRAY[1])",
        f"INSERT INTO t VALUES {many}; DELETE FROM t",
        f"INSERT INTO t (raw VALUES {many}",
    ):
        with pytest.raises(RefusedError):
            judge(refused)
