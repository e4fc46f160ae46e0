"""How PostgreSQL is reached: identities, the driver's URI, what a session sets, what its errors mean."""

import pickle
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from arrowsync.core.table import TableName
from arrowsync.dialects.postgresql import PostgreSQL
from arrowsync.dialects.postgresql.connection import driver_uri, identity, parameters
from arrowsync.errors import (
    ArrowsyncError,
    ConfigError,
    ConnectionRefused,
    DataError,
    SchemaError,
    TransientError,
)
from tests.fix_postgresql import Database, Server
from tests.unit.dialects.routes import connect

PG = PostgreSQL()
PASSWORD = "p@ss:w/rd?%#x"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("postgresql://ann:secret@db.example:6543/shop?sslmode=require", "postgresql://db.example:6543/shop"),
        ("postgres://db.example/shop", "postgresql://db.example:5432/shop"),
        ("postgresql+psycopg://Ann@DB.Example/Shop", "postgresql://db.example:5432/Shop"),
        ("postgresql://ann@/", "postgresql://localhost:5432/ann"),
        ("postgresql://127.0.0.1/shop", "postgresql://localhost:5432/shop"),
        ("postgresql://[::1]:6543/shop", "postgresql://localhost:6543/shop"),
        ("postgresql://[2001:db8::1]/shop", "postgresql://[2001:db8::1]:5432/shop"),
        ("postgresql:///shop?host=/var/run/postgresql", "postgresql://localhost:5432/shop"),
        ("postgresql://%2Fsrv%2Fpg/shop", "postgresql:///srv/pg:5432/shop"),
        ("postgresql://a:1,b:2/shop", "postgresql://a:1,b:2/shop"),
        ("postgresql://a,b/my%20shop", "postgresql://a:5432,b:5432/my shop"),
        ("postgresql://a/x?dbname=shop&port=7", "postgresql://a:7/shop"),
        (
            "host=db.example port=6543 dbname=shop user=ann password=secret",
            "postgresql://db.example:6543/shop",
        ),
        (r"dbname = 'my \'shop' host=a", "postgresql://a:5432/my 'shop"),
    ],
)
def test_an_identity_is_host_port_and_database(uri: str, expected: str) -> None:
    assert identity(uri, {}) == expected


def test_variables_fill_in_what_the_uri_leaves_out() -> None:
    variables = {"PGHOST": "db.example", "PGPORT": "6543", "PGDATABASE": "shop", "PGUSER": "ann"}
    assert identity("postgresql://", variables) == "postgresql://db.example:6543/shop"
    assert identity("postgresql://other/that", variables) == "postgresql://other:6543/that"
    assert identity("postgresql://other", {"PGUSER": "ann"}) == "postgresql://other:5432/ann"


def test_a_service_file_fills_in_what_the_uri_leaves_out(tmp_path: Path) -> None:
    file = tmp_path / "services"
    file.write_text("# ours\n[shop]\nhost=db.example\nport=6543\ndbname=shop\n")
    assert identity("service=shop", {"PGSERVICEFILE": str(file)}) == "postgresql://db.example:6543/shop"
    assert identity("postgresql:///that?service=shop", {"PGSERVICEFILE": str(file)}).endswith(":6543/that")
    assert identity("host=a dbname=b", {"PGSERVICEFILE": str(file), "PGSERVICE": "shop"}).endswith("a:6543/b")


def test_passwords_stay_out_of_identities() -> None:
    for uri in (f"postgresql://ann:{quote(PASSWORD, safe='')}@h/d", f"host=h dbname=d password='{PASSWORD}'"):
        assert parameters(uri).get("password", PASSWORD) == PASSWORD
        assert identity(uri, {}) == "postgresql://h:5432/d"


@pytest.mark.parametrize("uri", ["postgresql://h:1/d", "postgresql://h/d?sslmode=disable", "host=h dbname=d"])
def test_the_driver_is_asked_for_utf8(uri: str) -> None:
    assert driver_uri(uri).startswith(uri)
    assert "client_encoding=UTF8" in driver_uri(uri)


def test_the_driver_gets_libpqs_scheme() -> None:
    assert driver_uri("postgresql+psycopg://h/d").startswith("postgresql://h/d?")


def test_given_parameters_are_kept() -> None:
    uri = driver_uri("postgresql://h/d?connect_timeout=3&options=-c%20work_mem%3D8MB")
    assert uri.startswith("postgresql://h/d?connect_timeout=3&options=-c%20work_mem%3D8MB&")
    assert uri.count("connect_timeout") == 1


@pytest.mark.parametrize("uri", ["postgresql://a b:c@h:port/d?x", "host", "host=h port"])
def test_an_unreadable_uri_is_a_config_error(uri: str) -> None:
    with pytest.raises(ConfigError):
        identity(uri, {})


@pytest.mark.parametrize(
    ("login", "spelt"),
    [
        ("ann:a#b", "# as %23"),
        ("ann:a/b", "/ as %2F"),
        ("ann:a?b", "? as %3F"),
        ("ann:5432?b", "? as %3F"),  # without its end a host and a port
        ("ann:a@b", "@ as %40"),
        ("ann@corp:ab", "@ as %40"),
        ("ann:a?#b#@", "? as %3F, # as %23, @ as %40"),
    ],
)
def test_the_hint_for_an_unreadable_password_spells_the_letters_that_are_in_it(
    login: str, spelt: str
) -> None:
    with pytest.raises(ConfigError) as error:
        identity(f"postgresql://{login}@localhost/shop", {})
    assert error.value.hint is not None
    assert error.value.hint.endswith(f"and in a user or password {spelt}")


def test_an_unreadable_uri_without_a_password_gets_no_hint_about_one() -> None:
    with pytest.raises(ConfigError) as error:
        identity("postgresql://h:port/d", {})
    assert "password" not in str(error.value).replace("user:password@host", "")


def test_an_at_sign_in_a_parameter_is_none_of_the_login() -> None:
    for uri in ("postgresql://u:p@h?options=a@b", "postgresql://h/d?options=a@b"):
        assert parameters(uri)["options"] == "a@b"


# -- sessions on real servers ------------------------------------------------------------------------------


# What a role or database may set, for each setting that our statements and values would follow.
REVERSED = {
    "datestyle": "'SQL, DMY'",
    "intervalstyle": "'postgres_verbose'",
    "timezone": "'Asia/Kolkata'",
    "timezone_abbreviations": "'India'",
    "extra_float_digits": "-15",
    "bytea_output": "'escape'",
    "array_nulls": "off",
    "xmloption": "'document'",
    "xmlbinary": "'hex'",
    "lc_monetary": "'POSIX'",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "gin_fuzzy_search_limit": "1",
    "synchronize_seqscans": "on",
    "zero_damaged_pages": "on",
    "ignore_checksum_failure": "on",
    "default_transaction_isolation": "'serializable'",
    "default_transaction_deferrable": "on",
    "session_replication_role": "'replica'",
    "track_counts": "off",
    "exit_on_error": "on",
    "statement_timeout": "'1min'",
    "idle_in_transaction_session_timeout": "'1min'",
    "idle_session_timeout": "'1min'",
    "lock_timeout": "'1min'",
    "client_connection_check_interval": "'1min'",
}
# Settings of the kinds that could change a value or a statement, and why these do not.
HARMLESS = {
    "client_encoding": "the URI says UTF8",
    "search_path": "names are looked up by it, as the user expects; the catalogue is asked without one",
    "row_security": "set for sources alone",
    "default_transaction_read_only": "set for sources; a target that is read-only by default says so",
    "transaction_deferrable transaction_isolation transaction_read_only": "of one transaction",
    "transaction_timeout": "pinned; 15 does not know it",
    "lc_messages": "the language of errors",
    "lc_numeric lc_time": "to_char in people's views, which mean what they mean to everybody",
    "default_text_search_config": "triggers and queries of people",
    "default_tablespace temp_tablespaces default_table_access_method default_toast_compression": "places",
    "check_function_bodies createrole_self_grant event_triggers icu_validation_level": "no DDL of ours",
    "client_min_messages": "notices, which the driver drops",
    "gin_pending_list_limit": "speed",
    "restrict_nonsystem_relation_kind": "a guard, whose refusal is an error",
    "vacuum_failsafe_age vacuum_freeze_min_age vacuum_freeze_table_age": "vacuum",
    "vacuum_multixact_failsafe_age vacuum_multixact_freeze_min_age vacuum_multixact_freeze_table_age": "vacuum",
    "backslash_quote": "nobody here writes a quote as a backslash and one",
    "escape_string_warning": "a notice",
    "lo_compat_privileges": "rights to large objects",
    "dynamic_library_path extension_control_path": "where extensions lie",
}
_KINDS = """
select lower(name) from pg_settings where context in ('user', 'superuser') and (
  category like 'Client Connection Defaults / Locale%' or category like 'Client Connection Defaults / Statement%'
  or category like 'Client Connection Defaults / Other%' or category like 'Version and Platform%'
  or category like 'Error Handling%')
"""


def test_every_setting_that_a_value_or_statement_could_follow_is_pinned_or_known_to_do_no_harm(
    postgresql: Database,
) -> None:
    known = {*REVERSED, *" ".join(HARMLESS).split()}
    assert {name for (name,) in postgresql.execute(_KINDS)} - known == set()


def settings(uri: str, *, read_only: bool) -> dict[str, str]:
    with connect(PG, uri, read_only=read_only) as connection:
        found = connection.rows("select lower(name), setting from pg_settings")
    return {name: setting for name, setting in found if name in REVERSED}


@pytest.mark.parametrize("read_only", [True, False])
def test_no_setting_of_a_database_reaches_a_session(postgresql: Database, read_only: bool) -> None:
    before = settings(postgresql.uri, read_only=read_only)
    there = set(before)
    for name in there:
        postgresql.execute(f"alter database {postgresql.name} set {name} = {REVERSED[name]}")
    assert settings(postgresql.uri, read_only=read_only) == before


def test_texts_do_not_follow_the_databases_settings(postgresql: Database) -> None:
    postgresql.execute("create table t (a bytea, b text default 'p\\q')")
    for name in ("timezone", "datestyle", "extra_float_digits", "quote_all_identifiers"):
        postgresql.execute(f"alter database {postgresql.name} set {name} = {REVERSED[name]}")
    postgresql.execute(f"alter database {postgresql.name} set standard_conforming_strings = off")
    with connect(PG, postgresql.uri, read_only=True) as connection:
        rows = connection.rows(
            "select 0.30000000000000004::float8::text, '2024-02-03 04:05+00'::timestamptz::text, "
            "'1 day'::interval::text"
        )
        table = PG.describe(connection, [TableName("t")])[0]
    assert rows == [("0.30000000000000004", "2024-02-03 04:05:00+00", "P1D")]
    assert [column.type for column in table.columns] == ["bytea", "text"]
    assert table.column("b").default == "'p\\q'::text"


def test_a_setting_that_is_a_superusers_is_left_to_a_plain_user_as_it_is(
    postgresql: Database, new_role: Callable[[str], str]
) -> None:
    role = new_role("secret")
    postgresql.execute(f"alter role {role} set session_replication_role = 'replica'")
    uri = postgresql.server.uri(postgresql.name, user=role, password="secret")
    with connect(PG, uri, read_only=False) as connection:
        assert connection.rows("show session_replication_role") == [("replica",)]
        assert connection.rows("show quote_all_identifiers") == [("off",)]


def test_triggers_stay_off_where_the_uri_asks_for_it(postgresql: Database) -> None:
    uri = f"{postgresql.uri}?options=-c%20session_replication_role%3Dreplica"
    with connect(PG, uri, read_only=False) as connection:
        assert connection.rows("show session_replication_role") == [("replica",)]


def test_types_of_a_schema_never_stand_in_for_the_servers_own(postgresql: Database) -> None:
    postgresql.execute("create schema app; create domain app.text as varchar(2)")
    postgresql.execute(f"alter database {postgresql.name} set search_path = app, pg_catalog, public")
    with connect(PG, postgresql.uri, read_only=True) as connection:
        assert connection.rows("select 'abc'::text, current_schema(), to_regtype('text')::text") == [
            ("abc", "app", "text")
        ]


def test_a_condition_that_a_gin_index_answers_finds_all_rows(postgresql: Database) -> None:
    postgresql.execute(
        "create table t (tags int[]); insert into t select array[1] from generate_series(1, 20000); "
        "create index on t using gin (tags); analyze t"
    )
    for setting in ("gin_fuzzy_search_limit = 10", "enable_seqscan = off"):
        postgresql.execute(f"alter database {postgresql.name} set {setting}")
    assert postgresql.execute("select count(*) < 20000 from t where tags @> array[1]") == [(True,)]
    with connect(PG, postgresql.uri, read_only=True) as connection:
        assert connection.rows("select count(*) from t where tags @> array[1]") == [(20_000,)]


def test_a_copy_is_counted_where_the_server_keeps_no_statistics(
    postgresql: Database, new_role: Callable[[str], str]
) -> None:
    role = new_role("secret")
    postgresql.execute(f"create schema s authorization {role}; alter role {role} set track_counts = off")
    uri = postgresql.server.uri(postgresql.name, user=role, password="secret")
    postgresql.execute(f"create table s.t (a int); alter table s.t owner to {role}")
    with connect(PG, uri, read_only=False) as connection:
        for statement in ("begin", "insert into s.t values (1), (2)"):
            connection.run(statement)
        assert PG.stored(connection, TableName("t", "s")) == 2
        connection.run("rollback")


def test_a_source_session_writes_nothing(postgresql: Database) -> None:
    postgresql.execute("create table t (a int)")
    with connect(PG, postgresql.uri, read_only=True) as connection, pytest.raises(ArrowsyncError) as caught:
        connection.run("insert into t values (1)")
    assert caught.value.sqlstate == "25006"


def test_a_target_that_is_read_only_by_default_stays_so_and_says_why(postgresql: Database) -> None:
    postgresql.execute(f"alter database {postgresql.name} set default_transaction_read_only = on")
    with connect(PG, postgresql.uri, read_only=False) as connection, pytest.raises(ConfigError) as caught:
        connection.run("create table t (a int)")
    assert "default_transaction_read_only" in str(caught.value)


def test_a_policy_that_would_hide_rows_is_an_error(
    postgresql: Database, new_role: Callable[[str], str]
) -> None:
    role = new_role("secret")
    postgresql.execute(
        "create table t (a int); insert into t values (1), (2); alter table t enable row level security; "
        f"create policy p on t using (a = 1); grant select on t to {role}"
    )
    uri = postgresql.server.uri(postgresql.name, user=role, password="secret")
    with connect(PG, uri, read_only=True) as connection, pytest.raises(ConfigError) as caught:
        connection.rows("select * from t")
    assert "bypassrls" in str(caught.value)


def test_a_limit_of_the_role_does_not_end_a_session(postgresql: Database) -> None:
    postgresql.execute(f"alter database {postgresql.name} set statement_timeout = '50ms'")
    with connect(PG, postgresql.uri, read_only=True) as connection:
        assert connection.rows("select pg_sleep(0.2)::text") == [("",)]


def test_text_is_utf8_in_a_latin1_database(new_database: Callable[..., Database]) -> None:
    database = new_database(encoding="LATIN1")
    database.execute("create table t (a text); insert into t values (E'\\u00e9')")
    with connect(PG, database.uri, read_only=True) as connection:
        assert connection.rows("select a from t") == [("é",)]


# -- errors of real servers --------------------------------------------------------------------------------


def error_of(database: Database, statement: str, setup: str = "select 1") -> ArrowsyncError:
    database.execute(setup)
    with connect(PG, database.uri, read_only=False) as connection, pytest.raises(ArrowsyncError) as caught:
        connection.run(statement)
    return caught.value


@pytest.mark.parametrize(
    ("statement", "kind", "state"),
    [
        ("insert into t values ('x')", DataError, "22P02"),
        ("insert into t values (-1)", DataError, "23514"),
        ("insert into t values (1)", DataError, "23505"),
        ("insert into t values (null)", DataError, "23502"),
        ("do $$ begin raise 'no'; end $$", DataError, "P0001"),
        ("do $$ begin raise 'no' using errcode = '40001'; end $$", TransientError, "40001"),
        ("do $$ begin raise 'no' using errcode = '40P01'; end $$", TransientError, "40P01"),
        ("do $$ begin raise 'no' using errcode = '53300'; end $$", ConnectionRefused, "53300"),
        ("do $$ begin raise 'no' using errcode = '57P01'; end $$", TransientError, "57P01"),
        ("do $$ begin raise 'no' using errcode = '08006'; end $$", TransientError, "08006"),
        ("select * from nowhere", SchemaError, "42P01"),
        ("create table nowhere.t (a int)", ConfigError, "3F000"),
        ("create table u (a nothing)", SchemaError, "42704"),
    ],
)
def test_an_error_is_what_can_be_done_about_it(
    postgresql: Database, statement: str, kind: type[ArrowsyncError], state: str
) -> None:
    setup = "create table t (a int primary key constraint positive check (a > 0)); insert into t values (1)"
    error = error_of(postgresql, statement, setup)
    assert type(error) is kind
    assert error.sqlstate == state
    assert "\n" not in str(error)
    assert pickle.loads(pickle.dumps(error)).sqlstate == state


def test_a_full_disk_stops(postgresql: Database) -> None:
    error = error_of(postgresql, "do $$ begin raise 'no' using errcode = '53100'; end $$")
    assert type(error) is ArrowsyncError
    assert "make room" in str(error)


def test_a_refused_row_names_constraint_and_column(postgresql: Database) -> None:
    error = error_of(
        postgresql, "insert into t values (-1)", "create table t (a int constraint pos check (a > 0))"
    )
    assert error.constraint == "pos"
    error = error_of(postgresql, "insert into u values (null)", "create table u (a int not null)")
    assert error.column == "a"


@pytest.mark.parametrize(
    ("statement", "grant"),
    [
        ("select * from t", "grant select"),
        ("insert into t values (1)", "grant select (source) or insert (target) on t to"),
        ("create table u (a int)", "create (target) on schema public to"),
        ("create temporary table u (a int)", "temporary on database"),
        ("do $$ begin perform nextval('s'); end $$", "on sequence s to"),
        ("drop table t", "as the owner"),
    ],
)
def test_a_missing_right_says_what_to_grant(
    postgresql: Database, new_role: Callable[[str], str], statement: str, grant: str
) -> None:
    role = new_role("secret")
    postgresql.execute("create table t (a int); create sequence s; revoke all on schema public from public")
    postgresql.execute(f"revoke temporary on database {postgresql.name} from public")
    postgresql.execute(f"grant usage on schema public to {role}")
    uri = postgresql.server.uri(postgresql.name, user=role, password="secret")
    with connect(PG, uri, read_only=False) as connection, pytest.raises(ConfigError) as caught:
        connection.run(statement)
    assert grant in str(caught.value)


def test_a_wrong_password_is_said_but_not_shown(postgresql: Database) -> None:
    uri = postgresql.server.uri(postgresql.name, password=PASSWORD)
    with pytest.raises(ConfigError) as caught, closing(connect(PG, uri, read_only=True)):
        pass
    assert "password authentication failed" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"port": 1}, "Is the server running"),
        ({"user": "nobody at all"}, "Check"),
    ],
)
def test_an_unreachable_server_is_a_config_error(
    postgresql_server: Server, where: dict[str, object], words: str
) -> None:
    uri = postgresql_server.uri(**where)  # type: ignore[arg-type]  # parametrized
    with pytest.raises(ConfigError, match=words), closing(connect(PG, uri, read_only=True)):
        pass


def test_a_missing_database_is_a_config_error(postgresql_server: Server) -> None:
    uri = postgresql_server.uri("no such database")
    with pytest.raises(ConfigError, match="no such database"), closing(connect(PG, uri, read_only=True)):
        pass


def test_a_server_that_goes_away_is_transient(postgresql: Database) -> None:
    with connect(PG, postgresql.uri, read_only=True) as connection:
        pid = connection.rows("select pg_backend_pid()")[0][0]
        postgresql.execute("select pg_terminate_backend(%s)", (pid,))
        with pytest.raises(TransientError):
            connection.rows("select 1")
        with pytest.raises(TransientError):
            connection.rows("select 1")


def test_a_schema_that_does_not_exist_is_a_config_error(postgresql: Database) -> None:
    with connect(PG, postgresql.uri, read_only=True) as connection:
        assert PG.resolve_name(connection, TableName("T t")) == TableName("T t", "public")
        assert PG.resolve_name(connection, TableName("t", "pg_catalog")) == TableName("t", "pg_catalog")
        with pytest.raises(ConfigError, match="--target-table"):
            PG.resolve_name(connection, TableName("t", "nowhere"))
