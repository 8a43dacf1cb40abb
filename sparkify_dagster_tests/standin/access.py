"""Users, groups, roles and what they may do: Redshift's grammar, and the same for PostgreSQL."""

from sparkify_dagster_tests.standin.errors import not_served, syntax_error
from sparkify_dagster_tests.standin.plans import CreateRole, Forward, Plan
from sparkify_dagster_tests.standin.tokens import Kind, Reader
from sparkify_dagster_tests.standin.words import word_set

_ON_TABLES = word_set("SELECT INSERT UPDATE DELETE REFERENCES TRUNCATE DROP ALTER")
_ON_SCHEMAS = word_set("CREATE USAGE DROP ALTER")
_ON_DATABASES = word_set("CREATE TEMPORARY TEMP USAGE ALTER")
_PRIVILEGES = _ON_TABLES | _ON_SCHEMAS | _ON_DATABASES
_UNKNOWN_TO_POSTGRES = frozenset(("DROP", "ALTER"))


def create(reader: Reader, sql: str) -> Plan:
    """CREATE USER, GROUP or ROLE."""
    reader.expect("CREATE")
    kind = reader.next().word
    name = reader.identifier()
    if kind != "USER":
        reader.end()
        return CreateRole(f'CREATE ROLE "{name}"', name)
    reader.accept("WITH")
    reader.expect("PASSWORD")
    password = None if reader.accept("DISABLE") else reader.of_kind(Kind.STRING).value
    attributes = _user_attributes(reader)
    # The password is checked by the stand-in; PostgreSQL gets none.
    return CreateRole(f'CREATE USER "{name}"{attributes}', name, password)


def _user_attributes(reader: Reader) -> str:
    found = ""
    while not reader.at_end:
        if word := reader.one_of("CREATEDB", "NOCREATEDB"):
            found += f" {word}"
        elif word := reader.one_of("CREATEUSER", "NOCREATEUSER"):
            found += " SUPERUSER" if word == "CREATEUSER" else " NOSUPERUSER"
        elif reader.accept("IN", "GROUP"):
            found += f" IN ROLE {', '.join(reader.names())}"
        elif reader.accept("SYSLOG", "ACCESS"):
            reader.need_one_of("RESTRICTED", "UNRESTRICTED")
        elif reader.accept("CONNECTION", "LIMIT"):
            reader.next()
        elif reader.accept("SESSION", "TIMEOUT"):
            reader.of_kind(Kind.NUMBER)
        elif reader.accept("VALID", "UNTIL"):
            reader.of_kind(Kind.STRING)
        else:
            raise reader.error()
    return found


def alter(reader: Reader, sql: str) -> Plan:
    """ALTER SCHEMA, GROUP and DEFAULT PRIVILEGES; ALTER is read already."""
    if reader.accept("SCHEMA"):
        reader.identifier()
        reader.expect(reader.need_one_of("OWNER", "RENAME") and "TO")
        reader.identifier()
        reader.end()
        return Forward(sql)
    if reader.accept("GROUP"):
        group = reader.identifier()
        verb = reader.need_one_of("ADD", "DROP")
        reader.expect("USER")
        users = ", ".join(reader.names())
        reader.end()
        words = ("GRANT", "TO") if verb == "ADD" else ("REVOKE", "FROM")
        return Forward(f"{words[0]} {group} {words[1]} {users}")
    if reader.accept("DEFAULT", "PRIVILEGES"):
        start = reader.tokens[0].start
        if reader.accept("FOR", "USER"):
            reader.names()
        if reader.accept("IN", "SCHEMA"):
            reader.names()
        head = sql[start : reader.tokens[reader.place - 1].end]
        return Forward(f"{head} {_grant_text(reader, sql)}")
    raise not_served(f"ALTER {reader.word()}")


def grant(reader: Reader, sql: str) -> Plan:
    """GRANT and REVOKE, of privileges and of roles."""
    if reader.word(1) == "ROLE":
        verb = reader.next().word
        reader.next()
        roles = ", ".join(reader.names())
        reader.expect("TO" if verb == "GRANT" else "FROM")
        direction = "TO" if verb == "GRANT" else "FROM"
        receivers = ", ".join(_receivers(reader))
        reader.end()
        return Forward(f"{verb} {roles} {direction} {receivers}")
    return Forward(_grant_text(reader, sql))


def _grant_text(reader: Reader, sql: str) -> str:
    verb = reader.need_one_of("GRANT", "REVOKE")
    option = "GRANT OPTION FOR " if reader.accept("GRANT", "OPTION", "FOR") else ""
    privileges = _privileges(reader)
    reader.expect("ON")
    start = reader.place
    if reader.accept("ALL"):
        reader.need_one_of("TABLES", "FUNCTIONS")
        reader.expect("IN", "SCHEMA")
        reader.names()
    elif not reader.one_of("TABLES", "FUNCTIONS"):
        reader.one_of("SCHEMA", "DATABASE", "TABLE", "FUNCTION")
        reader.names()
    target = sql[reader.tokens[start].start : reader.tokens[reader.place - 1].end]
    direction = "TO" if verb == "GRANT" else "FROM"
    reader.expect(direction)
    receivers = ", ".join(_receivers(reader))
    cascade = reader.one_of("CASCADE", "RESTRICT") if verb == "REVOKE" else ""
    reader.end()
    return f"{verb} {option}{privileges} ON {target} {direction} {receivers} {cascade}".rstrip()


def _privileges(reader: Reader) -> str:
    if reader.accept("ALL"):
        reader.accept("PRIVILEGES")
        return "ALL"
    found = []
    while True:
        word = reader.next().word
        if word not in _PRIVILEGES:
            raise syntax_error(word.lower())
        columns = f" ({', '.join(reader.name_list())})" if reader.word() == "(" else ""
        if word not in _UNKNOWN_TO_POSTGRES:
            found.append(word + columns)
        if not reader.accept(","):
            break
    if not found:
        # DROP and ALTER alone belong to owners in PostgreSQL and cannot be granted.
        raise not_served("GRANT and REVOKE of DROP and ALTER alone")
    return ", ".join(found)


def _receivers(reader: Reader) -> list[str]:
    found = []
    while True:
        if reader.accept("PUBLIC"):
            found.append("PUBLIC")
        else:
            reader.one_of("GROUP", "ROLE")
            name = reader.identifier()
            found.append(f'"{name}"' + (" WITH GRANT OPTION" if _with_option(reader) else ""))
        if not reader.accept(","):
            return found


def _with_option(reader: Reader) -> bool:
    return reader.accept("WITH", "GRANT", "OPTION")
