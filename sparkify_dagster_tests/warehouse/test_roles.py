"""Roles: what each may do and may not, shown by people who log in to a real PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import sql

from sparkify_dagster.catalogue.catalogue import Catalogue, read_catalogue
from sparkify_dagster.engines.base import Warehouse
from sparkify_dagster.warehouse import Platform, WarehouseError
from sparkify_dagster.warehouse.admin.create_tables import creations
from sparkify_dagster.warehouse.admin.roles import Roles, RolesError, role_statements, table_grants
from sparkify_dagster_tests.engines.postgres_server import Database, PostgresServer
from sparkify_dagster_tests.fixtures.cli import Done, Project
from sparkify_dagster_tests.fixtures.engines import standin_environ
from sparkify_dagster_tests.fixtures.lake import S3Endpoint
from sparkify_dagster_tests.fixtures.standin import Connect
from sparkify_dagster_tests.fixtures.warehouse import (
    FEW_QUESTIONS,
    FIRST,
    FolderLake,
    all_rows,
    assert_same_rows,
    bring_up_to_date,
    event,
    few_questions_sql,
    make_platform,
    song,
)
from sparkify_dagster_tests.grammar.gate import problems_of
from sparkify_dagster_tests.standin import StandIn

STAR = {"songplays", "users", "user_levels", "songs", "artists", "time"}
PASSWORD = "a-person's password, not shown"


@dataclass(frozen=True)
class Site:
    """A database with the platform's tables, and people who log in to it."""

    database: Database
    folder: Path
    lake: FolderLake

    @property
    def roles(self) -> Roles:
        name = self.database.name
        return Roles(f"loader_{name}", f"analyst_{name}", f"owner_{name}")

    @property
    def role_options(self) -> list[str]:
        return [part for what, name in self.roles.named() for part in (f"--{what}", name)]

    def person(self, name: str, *roles: str | None) -> str:
        """A user who may log in, as one of these roles and nothing besides."""
        user = f"{name}_{self.database.name}"
        made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        self.run(made.format(sql.Identifier(user), sql.Literal(PASSWORD)))
        for role in roles:
            self.run(f"GRANT {role} TO {user}")
        return user

    def run(
        self, statement: str | sql.Composed, user: str | None = None
    ) -> list[tuple[object, ...]]:
        login = {"user": user, "password": PASSWORD} if user else {}
        with closing(self.database.connect(**login)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            connection.commit()
            return cursor.fetchall() if cursor.description else []

    def refused(self, statement: str, user: str) -> None:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            self.run(statement, user)

    def platform(
        self, user: str | None = None, catalogue: Catalogue | None = None, **overrides: object
    ) -> Platform:
        environ = self.database.environ()
        if user:
            environ |= {"SPARKIFY_CLUSTER_DB_USER": user, "SPARKIFY_CLUSTER_DB_PASSWORD": PASSWORD}
        given = {name.removeprefix("SPARKIFY_"): value for name, value in environ.items()}
        return make_platform(self.folder, self.lake.root, catalogue, **(given | overrides))

    def sparkify(self, *arguments: str, user: str | None = None) -> Done:
        self.platform()  # writes dwh.cfg
        environ = self.database.environ()
        if user:
            environ |= {"SPARKIFY_CLUSTER_DB_USER": user, "SPARKIFY_CLUSTER_DB_PASSWORD": PASSWORD}
        return Project(self.folder).sparkify(*arguments, **environ)

    def tables(self) -> list[tuple[str, str]]:
        found = self.run(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname IN ('public', 'public_state') ORDER BY 1, 2"
        )
        return [(str(schema), str(name)) for schema, name in found]

    def privileges(self) -> list[tuple[object, ...]]:
        """All there is to see of owners and grants."""
        return self.run(
            "SELECT nspname, relname, pg_get_userbyid(relowner), relacl::text, nspacl::text"
            " FROM pg_class INNER JOIN pg_namespace ON pg_namespace.oid = relnamespace"
            " WHERE nspname IN ('public', 'public_state') ORDER BY 1, 2"
        )


@pytest.fixture
def site(
    postgres_database: Database, postgres_server: PostgresServer, tmp_path: Path
) -> Iterator[Site]:
    lake = FolderLake(tmp_path / "lake")
    lake.put_events(FIRST, event(), event(userId="2", itemInSession=1, level="paid"))
    lake.put_songs("S1", song())
    site = Site(postgres_database, tmp_path / "site", lake)
    yield site
    made = site.run(
        f"SELECT rolname FROM pg_roles WHERE rolname LIKE '%\\_{postgres_database.name}'"
    )
    for (role,) in made:
        for statement in ("REASSIGN OWNED BY {} TO postgres", "DROP OWNED BY {}", "DROP ROLE {}"):
            site.run(sql.SQL(statement).format(sql.Identifier(str(role))))


@pytest.fixture
def granted(site: Site) -> Site:
    """Tables made and roles applied by the administrator."""
    for arguments in (["create"], ["grant", "--apply", *site.role_options]):
        done = site.sparkify("tables", *arguments)
        assert done.status == 0, done.err
    return site


# The analyst


@pytest.mark.slow
def test_the_analyst_reads_the_star_and_the_analytics_and_nothing_else(granted: Site) -> None:
    bring_up_to_date(granted.platform())
    analyst = granted.person("ada", granted.roles.analyst)
    readable = set()
    for schema, name in granted.tables():
        try:
            granted.run(f"SELECT * FROM {schema}.{name}", analyst)
            readable.add(name)
        except psycopg2.errors.InsufficientPrivilege:
            pass
    assert readable == STAR | set(FEW_QUESTIONS)
    assert len(granted.tables()) > len(readable)


def test_the_analyst_cannot_write_or_make_anything(granted: Site) -> None:
    analyst = granted.person("ada", granted.roles.analyst)
    for statement in (
        "DELETE FROM public.users",
        "INSERT INTO public.users (user_id, level) VALUES (1, 'free')",
        "UPDATE public.users SET level = 'paid'",
        "TRUNCATE public.users",
        "CREATE TABLE public.mine (i INTEGER)",
        "CREATE TABLE public_state.mine (i INTEGER)",
        "CREATE TEMPORARY TABLE mine (i INTEGER)",
        "CREATE SCHEMA mine",
        "DROP TABLE public.users",
        f"SET ROLE {granted.roles.loader}",
    ):
        granted.refused(statement, analyst)


def test_the_analyst_asks_through_the_command_line(granted: Site) -> None:
    bring_up_to_date(granted.platform())
    analyst = granted.person("ada", granted.roles.analyst)
    done = granted.sparkify(
        "query", "SELECT COUNT(*) AS n FROM songplays", "--format", "csv", user=analyst
    )
    assert (done.status, done.out) == (0, "n\n2\n")
    denied = granted.sparkify("query", "SELECT * FROM staging_events", user=analyst)
    assert "permission denied for table staging_events" in denied.error


def test_somebody_without_a_role_reads_nothing(granted: Site) -> None:
    stranger = granted.person("eve")
    for schema, name in granted.tables():
        granted.refused(f"SELECT 1 FROM {schema}.{name}", stranger)
    granted.refused("CREATE TEMPORARY TABLE mine (i INTEGER)", stranger)


# The loader


@pytest.mark.slow
def test_the_loader_loads_refreshes_and_loads_changes(granted: Site, tmp_path: Path) -> None:
    user = granted.person("lou", granted.roles.loader)
    loader = granted.platform(user, LOAD_MAX_REJECT_RATIO=0.5)
    bring_up_to_date(loader)
    granted.lake.put_events(FIRST, event(userId="2"), event(ts=1541110000000, level="paid"))
    granted.lake.put_events(FIRST, event(userId="3", sessionId=9), {"no": "event"}, name="more")
    granted.lake.put_songs("S2", song(song_id="S2", title="Other"))
    bring_up_to_date(loader)
    bring_up_to_date(loader, full=True)
    fresh = make_platform(tmp_path / "fresh", granted.lake.root, LOAD_MAX_REJECT_RATIO=0.5)
    bring_up_to_date(fresh)
    assert_same_rows(all_rows(loader), all_rows(fresh))


def test_the_loader_rebuilds_a_table_whose_transform_changed(granted: Site, tmp_path: Path) -> None:
    loader = granted.person("lou", granted.roles.loader)
    bring_up_to_date(granted.platform(loader))
    catalogue = changed_catalogue(tmp_path, "transforms/users.sql", "-- Listeners", "-- All people")
    assert catalogue.code_version("users") != read_catalogue().code_version("users")
    platform = granted.platform(loader, catalogue)
    assert platform.refresh("users").full
    assert len(all_rows(platform, ["users"])["users"]) == 2


def test_the_loader_lets_the_planner_know_of_a_large_load(granted: Site) -> None:
    loader = granted.platform(granted.person("lou", granted.roles.loader))
    bring_up_to_date(loader)
    for table in ("staging_events", "songplays"):
        loader.warehouse.transact(
            lambda session, table=table: session.analyze(table, 1_000_000), lambda _: None
        )
        counted = f"SELECT reltuples FROM pg_class WHERE oid = 'public.{table}'::regclass"
        assert granted.run(counted) == [(2.0,)]


def test_the_loader_cannot_make_change_or_drop_tables(granted: Site) -> None:
    loader = granted.person("lou", granted.roles.loader)
    for statement in (
        "DROP TABLE public.users",
        "DROP TABLE public_state.loading",
        "DROP SCHEMA public_state CASCADE",
        "ALTER TABLE public.users ADD COLUMN mine INTEGER",
        "TRUNCATE public.users",
        "CREATE TABLE public.mine (i INTEGER)",
        "CREATE TABLE public_state.mine (i INTEGER)",
        "CREATE TEMPORARY TABLE mine (i INTEGER)",
        # What is noted there decides whom the owner opens tables to.
        "INSERT INTO public_state.granted VALUES ('owner', 'lou')",
        "UPDATE public_state.made SET shape = ''",
        f"SET ROLE {granted.roles.owner}",
    ):
        granted.refused(statement, loader)
    before = granted.privileges()
    granted.run("GRANT SELECT ON public.users TO PUBLIC", loader)  # only a warning
    assert granted.privileges() == before


def test_what_the_loader_may_not_do_is_one_message(granted: Site, tmp_path: Path) -> None:
    loader = granted.person("lou", granted.roles.loader)
    bring_up_to_date(granted.platform(loader))
    granted.run("DROP TABLE public.users")
    with pytest.raises(WarehouseError, match="permission denied for schema public") as caught:
        granted.platform(loader).refresh("users")
    assert "sparkify tables grant" in str(caught.value)
    assert PASSWORD not in str(caught.value)


# The owner


def test_an_owner_who_did_not_make_the_tables_drops_and_makes_them(granted: Site) -> None:
    bring_up_to_date(granted.platform())
    owner = granted.person("olga", granted.roles.owner)
    dropped = granted.sparkify("tables", "drop", "--yes", user=owner)
    assert dropped.status == 0, dropped.err
    assert granted.tables() == []
    made = granted.sparkify("tables", "create", user=owner)
    assert made.status == 0, made.err


def test_rebuilt_tables_stay_open_to_the_roles(granted: Site, tmp_path: Path) -> None:
    bring_up_to_date(granted.platform())
    people = {
        role: granted.person(name, role)
        for name, role in zip(
            ("lou", "ada", "olga"), [name for _, name in granted.roles.named()], strict=True
        )
    }
    before = granted.privileges()
    catalogue = changed_catalogue(tmp_path, "tables/users.sql", "VARCHAR(128)", "VARCHAR(200)")
    owner, loader, analyst = (
        people[name]
        for name in (granted.roles.owner, granted.roles.loader, granted.roles.analyst)
        if name
    )
    with pytest.raises(WarehouseError, match="must be owner of table users"):
        granted.platform(loader, catalogue).refresh("users")
    granted.platform(owner, catalogue).refresh("users")
    assert granted.privileges() == before
    assert granted.run("SELECT COUNT(*) FROM users", analyst) == [(2,)]
    bring_up_to_date(granted.platform(loader, catalogue))


def test_a_table_that_is_added_later_is_opened_to_the_roles(granted: Site, tmp_path: Path) -> None:
    granted.run("DROP TABLE public.songplays")
    owner = granted.person("olga", granted.roles.owner)
    analyst = granted.person("ada", granted.roles.analyst)
    assert granted.sparkify("tables", "create", user=owner).status == 0
    assert granted.run("SELECT COUNT(*) FROM songplays", analyst) == [(0,)]


def test_who_owned_the_tables_before_goes_on_as_an_owner(site: Site) -> None:
    app = site.person("app")
    site.run(f"GRANT CREATE ON SCHEMA public TO {app}")
    site.run(f"GRANT CREATE ON DATABASE {site.database.name} TO {app}")
    bring_up_to_date(site.platform(app))
    assert site.sparkify("tables", "create", user=app).status == 0
    assert site.sparkify("tables", "grant", "--apply", *site.role_options).status == 0
    site.lake.put_events(FIRST, event(userId="5"), name="more")
    bring_up_to_date(site.platform(app), full=True)
    assert site.sparkify("tables", "drop", "--yes", user=app).status == 0


def test_a_role_that_was_dropped_since_stops_nobody(granted: Site) -> None:
    granted.run(f"DROP OWNED BY {granted.roles.analyst}")
    granted.run(f"DROP ROLE {granted.roles.analyst}")
    granted.run("DROP TABLE public.users")
    assert granted.sparkify("tables", "create").status == 0


# Granting


def test_granting_twice_changes_nothing(granted: Site) -> None:
    before = granted.privileges()
    again = granted.sparkify("tables", "grant", "--apply", *granted.role_options)
    assert again.status == 0, again.err
    assert granted.privileges() == before


def test_what_is_printed_runs_as_it_is(site: Site) -> None:
    assert site.sparkify("tables", "create").status == 0
    before = site.privileges()
    printed = site.sparkify("tables", "grant", *site.role_options)
    assert (printed.status, site.privileges()) == (0, before)
    assert "Nothing was changed" in printed.err
    site.run(printed.out)
    by_hand = site.privileges()
    assert site.sparkify("tables", "grant", "--apply", *site.role_options).status == 0
    assert site.privileges() == by_hand


def test_everybody_can_keep_what_the_server_gives_to_all(site: Site) -> None:
    site.sparkify("tables", "create")
    options = [*site.role_options, "--keep-public"]
    assert site.sparkify("tables", "grant", "--apply", *options).status == 0
    site.run("CREATE TEMPORARY TABLE mine (i INTEGER)", site.person("eve"))


def test_a_role_with_an_empty_name_is_left_out(site: Site) -> None:
    printed = site.sparkify("tables", "grant", "--owner", "", "--loader", "")
    assert "sparkify_analyst" in printed.out
    assert "loader" not in printed.out
    assert "OWNER" not in printed.out


def test_roles_are_for_tables_that_exist(site: Site) -> None:
    done = site.sparkify("tables", "grant", "--apply", *site.role_options)
    assert "is missing. Run `sparkify tables create` first." in done.error
    rolled_back = site.run(f"SELECT 1 FROM pg_roles WHERE rolname = '{site.roles.loader}'")
    assert rolled_back == []


@pytest.mark.parametrize(
    "roles",
    [
        {"loader": "Robert'; DROP TABLE users"},
        {"loader": "public"},
        {"analyst": "pg_monitor"},
        {"owner": "user"},
        {"loader": "same", "analyst": "same"},
    ],
)
def test_names_that_no_server_takes_are_refused(roles: dict[str, str]) -> None:
    with pytest.raises(RolesError):
        Roles(**roles)


def test_duckdb_says_that_it_has_no_roles(project: Project) -> None:
    done = project.sparkify("tables", "grant")
    assert "duckdb has no roles" in done.error
    assert done.out == ""


# Redshift: the text


@pytest.fixture
def on_redshift(tmp_path: Path) -> Warehouse:
    """The engine, which nothing is sent to."""
    given = {
        "WAREHOUSE_ENGINE": "redshift",
        "WAREHOUSE_SCHEMA": "dwh",
        "CLUSTER_HOST": "nowhere.invalid",
        "CLUSTER_DB_NAME": "dev",
        "CLUSTER_DB_USER": "admin",
        "IAM_ROLE_ARN": "default",
        "S3_SCRATCH": "s3://bucket/scratch",
    }
    return make_platform(tmp_path, tmp_path / "lake", **given).warehouse


def test_redshift_gets_each_privilege_by_role(on_redshift: Warehouse) -> None:
    catalogue = read_catalogue()
    tables = [("dwh", "staging_songs"), ("dwh", "users"), ("dwh_state", "made")]
    assert role_statements(on_redshift, catalogue, Roles(), tables, "dev") == [
        "CREATE ROLE sparkify_loader",
        "CREATE ROLE sparkify_analyst",
        "CREATE ROLE sparkify_owner",
        "REVOKE CREATE ON SCHEMA dwh FROM PUBLIC",
        "REVOKE ALL ON SCHEMA dwh_state FROM PUBLIC",
        'REVOKE TEMPORARY ON DATABASE "dev" FROM PUBLIC',
        "GRANT USAGE ON SCHEMA dwh, dwh_state TO ROLE sparkify_loader",
        'GRANT TEMPORARY ON DATABASE "dev" TO ROLE sparkify_loader',
        "GRANT USAGE ON SCHEMA dwh TO ROLE sparkify_analyst",
        'GRANT CREATE, TEMPORARY ON DATABASE "dev" TO ROLE sparkify_owner',
        "GRANT USAGE, CREATE ON SCHEMA dwh TO ROLE sparkify_owner",
        "GRANT USAGE, CREATE, ALTER, DROP ON SCHEMA dwh_state TO ROLE sparkify_owner",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE dwh.staging_songs, dwh.users"
        " TO ROLE sparkify_loader",
        "GRANT SELECT ON TABLE dwh.users TO ROLE sparkify_analyst",
        "GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES, ALTER, DROP"
        " ON TABLE dwh.staging_songs, dwh.users TO ROLE sparkify_owner",
        "GRANT SELECT ON TABLE dwh_state.made TO ROLE sparkify_loader",
        "GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES, ALTER, DROP"
        " ON TABLE dwh_state.made TO ROLE sparkify_owner",
    ]


def test_redshift_takes_every_statement_of_the_roles(on_redshift: Warehouse) -> None:
    catalogue = read_catalogue()
    tables = [(c.schema, c.name) for c in creations(on_redshift, catalogue)]
    for statement in role_statements(on_redshift, catalogue, Roles(), tables, "dev"):
        assert problems_of(statement) == [], statement


def test_without_roles_nothing_is_granted(on_redshift: Warehouse) -> None:
    assert table_grants(on_redshift, read_catalogue(), Roles(None, None, None), []) == []


def changed_catalogue(folder: Path, file: str, old: str, new: str) -> Catalogue:
    """The platform's own with one file changed."""
    few_questions_sql(folder / "sql")
    path = folder / "sql" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return read_catalogue(folder / "sql")


# Redshift: its stand-in, whose users and roles are PostgreSQL's


@pytest.mark.slow
@pytest.mark.s3
def test_the_loader_of_redshift_loads_and_the_analyst_reads_the_star(
    standin: StandIn,
    connect: Connect,
    s3_endpoint: S3Endpoint,
    aws_environment: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    lake = FolderLake(tmp_path / "lake")
    lake.put_events(FIRST, event(), event(userId="2", itemInSession=1, level="paid"))
    lake.put_songs("S1", song())
    environ = standin_environ(standin, s3_endpoint)

    def platform(user: str | None = None) -> Platform:
        login = {"CLUSTER_DB_USER": user, "CLUSTER_DB_PASSWORD": "Person1234"} if user else {}
        given = {name.removeprefix("SPARKIFY_"): value for name, value in environ.items()}
        return make_platform(tmp_path / "site", lake.root, **(given | login))

    platform()
    project = Project(tmp_path / "site")
    for arguments in (["create"], ["grant", "--apply"], ["grant", "--apply"]):
        done = project.sparkify("tables", *arguments, **environ)
        assert done.status == 0, done.err
    with closing(connect()) as connection, connection.cursor() as cursor:
        for user, role in (("lou", "sparkify_loader"), ("ada", "sparkify_analyst")):
            cursor.execute(f"CREATE USER {user} PASSWORD 'Person1234'")
            cursor.execute(f"GRANT ROLE {role} TO {user}")
        connection.commit()
    loader = platform("lou")
    bring_up_to_date(loader)
    lake.put_events(FIRST, event(userId="3"), name="more")
    bring_up_to_date(loader)
    assert len(all_rows(platform("ada"), STAR)["songplays"]) == 3
    with pytest.raises(WarehouseError, match="permission denied for table staging_events"):
        all_rows(platform("ada"), ["staging_events"])
