"""What the stand-in adds to the database behind it: SYS_LOAD_ERROR_DETAIL, keys, functions.

It all lies in pg_catalog, where every session sees it whatever its search path, and load errors are
written on a connection of their own, so that a rollback leaves them.
"""

import threading
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from sparkify_dagster_tests.standin.backend import Backend, BackendError, Postgres

# Column types are those of the guide: the CHARACTER ones come padded with blanks.
_SETUP = """
CREATE TABLE pg_catalog.standin_load_errors (
    user_name TEXT, user_id INTEGER, query_id BIGINT, transaction_id BIGINT, session_id INTEGER,
    database_name CHAR(64), table_id INTEGER, start_time TIMESTAMP, file_name CHAR(256),
    line_number BIGINT, column_name CHAR(127), column_type CHAR(10), column_length CHAR(10),
    position INTEGER, error_code INTEGER, error_message CHAR(512)
);
CREATE VIEW pg_catalog.sys_load_error_detail AS
SELECT user_id, query_id, transaction_id, session_id, database_name, table_id, start_time,
    file_name, line_number, column_name, column_type, column_length, position, error_code,
    error_message
FROM pg_catalog.standin_load_errors
WHERE user_name = CURRENT_USER OR (SELECT rolsuper FROM pg_roles WHERE rolname = CURRENT_USER);
GRANT SELECT ON pg_catalog.sys_load_error_detail TO PUBLIC;
CREATE TABLE pg_catalog.standin_keys (relation OID, columns TEXT[], parent OID);
GRANT SELECT, INSERT ON pg_catalog.standin_keys TO PUBLIC;
CREATE VIEW pg_catalog.svv_roles AS
SELECT oid AS role_id, rolname::TEXT AS role_name, 'awsuser'::TEXT AS role_owner,
    NULL::TEXT AS external_id
FROM pg_roles WHERE NOT rolcanlogin AND NOT rolsuper AND rolname NOT LIKE 'pg\\_%';
GRANT SELECT ON pg_catalog.svv_roles TO PUBLIC;
CREATE FUNCTION pg_catalog.sysdate() RETURNS TIMESTAMP STABLE
    RETURN transaction_timestamp() AT TIME ZONE current_setting('timezone');
CREATE FUNCTION pg_catalog.getdate() RETURNS TIMESTAMP STABLE
    RETURN date_trunc('second', statement_timestamp() AT TIME ZONE current_setting('timezone'));
CREATE FUNCTION pg_catalog.pg_last_copy_id() RETURNS BIGINT STABLE
    RETURN COALESCE(NULLIF(current_setting('standin.last_copy_id', true), ''), '-1')::BIGINT;
CREATE FUNCTION pg_catalog.pg_last_copy_count() RETURNS BIGINT STABLE
    RETURN COALESCE(NULLIF(current_setting('standin.last_copy_count', true), ''), '0')::BIGINT;
"""


@dataclass(frozen=True)
class LoadErrorDetail:
    """One row of SYS_LOAD_ERROR_DETAIL, in the order of its table."""

    user_name: str
    user_id: int
    query_id: int
    transaction_id: int
    session_id: int
    database_name: str
    table_id: int
    start_time: str
    file_name: str
    line_number: int
    column_name: str
    column_type: str
    column_length: str
    position: int
    error_code: int
    error_message: str


class Administration:
    """The stand-in's own connection to the database; threads take turns."""

    def __init__(self, postgres: Postgres) -> None:
        self._backend = Backend(postgres, "-c allow_system_table_mods=on")
        self._lock = threading.Lock()

    def set_up(self) -> None:
        """Once a database."""
        self.run(_SETUP)

    def run(self, sql: str) -> list[list[str | None]]:
        with self._lock:
            return self._backend.run(sql)

    def note_errors(self, details: Sequence[LoadErrorDetail]) -> None:
        for start in range(0, len(details), 1000):
            rows = ", ".join(
                f"({', '.join(map(literal, astuple(detail)))})"
                for detail in details[start : start + 1000]
            )
            self.run(f"INSERT INTO pg_catalog.standin_load_errors VALUES {rows}")

    def create_login(self, name: str) -> None:
        """A superuser, as the one that a cluster is made with."""
        known = self.run(f"SELECT 1 FROM pg_roles WHERE rolname = {literal(name)}")
        if not known:
            self.run(f"CREATE ROLE {identifier(name)} SUPERUSER")

    def drop_role(self, name: str) -> None:
        try:
            self.run(f"DROP OWNED BY {identifier(name)} CASCADE")
            self.run(f"DROP ROLE {identifier(name)}")
        except BackendError as error:
            if error.code != "42704":  # a test dropped it itself
                raise

    def drop_everything(self) -> None:
        """The tables of earlier tests, and what they left in the stand-in's own."""
        schemas = self.run(
            "SELECT nspname FROM pg_namespace "
            "WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'"
        )
        for (schema,) in schemas:
            self.run(f"DROP SCHEMA {identifier(schema or '')} CASCADE")
        self.run("CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO PUBLIC")
        self.run("DELETE FROM pg_catalog.standin_load_errors")
        self.run("DELETE FROM pg_catalog.standin_keys")

    def close(self) -> None:
        self._backend.close()


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """For this connection, where a backslash is a character as any other."""
    if isinstance(value, int):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"
