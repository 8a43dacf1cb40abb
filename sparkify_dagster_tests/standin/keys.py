"""Keys as Redshift has them: declared, not enforced, and still in the way of a DROP TABLE.

A table may only refer to a key that its parent declares, and a parent that is referred to is not
dropped without CASCADE. What is declared is kept in the database, in the transaction of its table.
"""

from sparkify_dagster_tests.standin.backend import Backend
from sparkify_dagster_tests.standin.create_table import ForeignKey, NewTable
from sparkify_dagster_tests.standin.errors import RefusedError
from sparkify_dagster_tests.standin.load_errors import identifier, literal


def quoted(name: str) -> str:
    """A name, possibly with its schema, for PostgreSQL."""
    return ".".join(identifier(part) for part in name.split("."))


def object_id(backend: Backend, name: str) -> int | None:
    rows = backend.run(f"SELECT to_regclass({literal(quoted(name))})::oid")
    found = rows[0][0]
    return int(found) if found else None


def check_references(backend: Backend, table: NewTable) -> dict[ForeignKey, int]:
    """The parents of a new table.

    Raises:
        RefusedError: if one does not exist, or declares no such key.
    """
    found = {}
    for reference in table.references:
        if reference.parent == table.name:
            continue
        parent = object_id(backend, reference.parent)
        if parent is None:
            raise RefusedError(f'relation "{reference.parent}" does not exist', "42P01")
        keys = backend.run(
            "SELECT columns FROM pg_catalog.standin_keys "
            f"WHERE relation = {parent} AND parent IS NULL"
        )
        wanted = "{" + ",".join(reference.columns) + "}"
        if not keys or (reference.columns and [wanted] not in keys):
            raise RefusedError(
                "there is no unique constraint matching given keys for referenced table "
                f'"{reference.parent}"',
                "42830",
            )
        found[reference] = parent
    return found


def note_keys(backend: Backend, table: NewTable, parents: dict[ForeignKey, int]) -> None:
    """Remember what a table that was just made declares; one that stood before declares nothing."""
    relation = object_id(backend, table.name)
    known = backend.run(f"SELECT 1 FROM pg_catalog.standin_keys WHERE relation = {relation}")
    rows = [f"({relation}, '{{{','.join(key)}}}'::text[], NULL::oid)" for key in table.keys]
    rows += [f"({relation}, NULL::text[], {parent})" for parent in parents.values()]
    if rows and not known:
        backend.run(f"INSERT INTO pg_catalog.standin_keys VALUES {', '.join(rows)}")


def check_drop(backend: Backend, names: tuple[str, ...]) -> None:
    """Refuse to drop a table that a table which stays refers to.

    Raises:
        RefusedError: in Redshift's words.
    """
    dropped = [found for name in names if (found := object_id(backend, name))]
    if not dropped:
        return
    these = ", ".join(map(str, dropped))
    children = backend.run(
        "SELECT p.oid::regclass, c.oid::regclass FROM pg_catalog.standin_keys k "
        "JOIN pg_class c ON c.oid = k.relation JOIN pg_class p ON p.oid = k.parent "
        f"WHERE k.parent IN ({these}) AND k.relation NOT IN ({these})"
    )
    for parent, child in children:
        raise RefusedError(
            f"cannot drop table {parent} because other objects depend on it",
            "2BP01",
            f"constraint on table {child} depends on table {parent}",
        )
