"""A table that cannot be copied does not stop the others, unless it was asked for by name."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import arrowsync
from arrowsync import ConfigError, SchemaError, TransferError
from tests import command_line
from tests.command_line import Done
from tests.fix_postgresql import INSTALLATIONS, Database, free_port, server_of
from tests.scenarios.copies import newest_server

Rows = Callable[[Path, str], list[tuple[Any, ...]]]
TWO_ODD = """
create table good (id int primary key); insert into good values (1), (2);
create table zero (); create table secret (id int);
"""
MISSING_MODULE = """
pragma writable_schema = on;
insert into sqlite_master values
    ('table', 'places', 'places', 0, 'CREATE VIRTUAL TABLE places USING VirtualSpatialIndex()');
pragma writable_schema = off;
"""


@pytest.fixture
def reader(postgresql: Database, new_role: Callable[[str], str]) -> str:
    """The URI of a database of one good and two odd tables, for a user without the right to read `secret`."""
    role = new_role("pw")
    postgresql.execute(f"{TWO_ODD} grant select on good, zero to {role}")
    return postgresql.server.uri(postgresql.name, user=role, password="pw")


def command(*arguments: object) -> Done:
    return command_line.arrowsync(*arguments, COLUMNS="200")


def statuses(report: dict[str, Any]) -> dict[str, str]:
    return {table["table"]: table["status"] for table in report["tables"]}


# -- PostgreSQL ----------------------------------------------------------------------------------------------


@newest_server
@pytest.mark.parametrize("chosen", [(), ("--tables", "public.*")], ids=["all", "by pattern"])
def test_odd_tables_are_skipped_with_their_reason_and_the_others_are_copied(
    reader: str, tmp_path: Path, sqlite_rows: Rows, chosen: tuple[str, ...]
) -> None:
    done = command("copy", reader, tmp_path / "t.db", *chosen, "--json")
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    assert report["status"] == "partial"
    assert statuses(report) == {
        "public.good": "complete",
        "public.zero": "skipped",
        "public.secret": "skipped",
    }
    assert any("zero: skipped: it has no columns" in text for text in report["warnings"])
    assert any("secret: skipped: permission denied" in text for text in report["warnings"])
    assert sqlite_rows(tmp_path / "t.db", "select id from good") == [(1,), (2,)]
    tables = "select name from sqlite_master where type = 'table' and name in ('zero', 'secret')"
    assert sqlite_rows(tmp_path / "t.db", tables) == []


@newest_server
def test_the_command_that_leaves_odd_tables_out_is_shown_ready_to_run(reader: str, tmp_path: Path) -> None:
    done = command("copy", reader, tmp_path / "a b.db", "--mode", "replace")
    assert done.returncode == 3
    assert "partial: 2 rows in" in done.stdout
    assert "2 tables skipped" in done.stdout
    shown = done.stderr.splitlines()[-1]
    assert ":***@" in shown  # the password
    words = shlex.split(shown)
    assert words[:2] == ["arrowsync", "copy"]
    assert words[3:] == [str(tmp_path / "a b.db"), "--mode", "replace", *words[6:]]
    assert sorted(words[6:]) == ["!public.secret", "!public.zero", "--tables", "--tables"]
    again = command("copy", reader, *words[3:])
    assert again.returncode == 0, again.stderr
    assert "skipped" not in again.stdout + again.stderr


@newest_server
def test_odd_tables_that_were_named_are_one_error_that_lists_them_all(reader: str, tmp_path: Path) -> None:
    done = command("copy", reader, tmp_path / "t.db", "-t", "good", "-t", "secret", "-t", "zero")
    assert (done.returncode, done.stdout) == (2, "")
    assert "public.zero: it has no columns" in done.stderr
    assert "public.secret: permission denied" in done.stderr
    assert "grant select on" in done.stderr
    assert not (tmp_path / "t.db").exists()


@newest_server
def test_an_odd_table_beside_a_named_one_is_an_error_only_if_it_was_named(
    reader: str, tmp_path: Path
) -> None:
    report = arrowsync.copy(reader, tmp_path / "t.db", table="good", tables="*")
    assert [table.table for table in report.skipped] == ["public.zero", "public.secret"]
    with pytest.raises(ConfigError, match="it has no columns"):
        arrowsync.copy(reader, tmp_path / "u.db", table="zero", tables="good")


@newest_server
def test_raise_for_status_raises_for_a_skipped_table(reader: str, tmp_path: Path) -> None:
    report = arrowsync.copy(reader, tmp_path / "t.db", tables=["*", "!zero"])
    assert (report.status, report.rows_written, report.errors) == ("partial", 2, ())
    with pytest.raises(TransferError, match="secret: skipped: permission denied"):
        report.raise_for_status()
    assert "skipped" in report.to_polars()["status"].to_list()


@newest_server
def test_a_plan_shows_what_it_skips_and_exits_with_0(reader: str, tmp_path: Path) -> None:
    done = command("plan", reader, tmp_path / "t.db")
    assert done.returncode == 0, done.stderr
    assert "plan: 1 table and 2 skipped" in done.stdout
    assert "zero: skipped: it has no columns" in done.stdout
    shown = json.loads(command("plan", reader, tmp_path / "t.db", "--json").stdout)
    assert {each["table"] for each in shown["skipped"]} == {"public.zero", "public.secret"}
    assert not (tmp_path / "t.db").exists()


@newest_server
def test_a_copy_whose_every_table_is_skipped_fails_with_1(reader: str, tmp_path: Path) -> None:
    arguments = (reader, tmp_path / "t.db", "--tables", "zero", "--tables", "secret")
    done = command("copy", *arguments, "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["status"] == "failed"
    assert set(statuses(report).values()) == {"skipped"}
    assert "no table can be copied" in report["errors"][0]["message"]
    assert "it has no columns" in command("copy", *arguments).stderr
    assert command("plan", *arguments).returncode == 0


def test_inspection_shows_the_tables_beside_one_that_cannot_be_described(
    sqlite_file: Callable[..., Path],
) -> None:
    path = sqlite_file("create table good (id integer primary key);" + MISSING_MODULE)
    tables = arrowsync.inspect(path)
    assert [table.name.name for table in tables] == ["good"]
    assert "places: skipped: no such module" in str(tables)
    with pytest.raises(SchemaError, match="no such module"):
        arrowsync.inspect(path, table="places")


@newest_server
def test_a_foreign_key_to_a_table_that_is_skipped_later_is_left_out(
    postgresql: Database, new_role: Callable[[str], str], tmp_path: Path, sqlite_rows: Rows
) -> None:
    role = new_role("pw")
    postgresql.execute(
        "create table a (id int primary key, b int); create table b (id int primary key, a int references a);"
        f"alter table a add foreign key (b) references b; insert into a values (1, null); grant select on a to {role}"
    )
    uri = postgresql.server.uri(postgresql.name, user=role, password="pw")
    report = arrowsync.copy(uri, tmp_path / "t.db")
    assert report.status == "partial"
    assert any("there is no table b" in text for text in report.warnings)
    assert sqlite_rows(tmp_path / "t.db", "select * from a") == [(1, None)]


@newest_server
def test_a_view_that_reads_a_skipped_table_is_skipped_too(
    new_database: Callable[..., Database], new_role: Callable[[str], str]
) -> None:
    source, target, role = new_database(), new_database(), new_role("pw")
    source.execute(
        f"{TWO_ODD} create view seen as select * from secret; create view more as select * from seen;"
        f"create view fine as select * from good; grant select on good, seen, more, fine to {role}"
    )
    uri = source.server.uri(source.name, user=role, password="pw")
    report = arrowsync.copy(uri, target.uri, views=True)
    assert {table.table: table.status for table in report.tables} == {
        "public.good": "complete",
        "public.fine": "complete",
        "public.zero": "skipped",
        "public.secret": "skipped",
        "public.seen": "skipped",
        "public.more": "skipped",
    }
    assert any("more: skipped: it reads public.seen, which" in text for text in report.warnings)
    assert target.execute("select viewname from pg_views where schemaname = 'public'") == [("fine",)]


@pytest.mark.skipif(not INSTALLATIONS, reason="the server of ARROWSYNC_TEST_POSTGRESQL is not ours to stop")
def test_an_unlogged_table_on_a_standby_is_skipped(tmp_path: Path, sqlite_rows: Rows) -> None:
    with server_of(INSTALLATIONS[0]) as server:
        server.execute("create table good (id int); insert into good values (1)")
        server.execute("create unlogged table fast (id int); insert into fast values (2)")
        server.stop()
        (server.folder / "data" / "standby.signal").touch()
        server.start()
        report = arrowsync.copy(server.uri(), tmp_path / "t.db")
    assert [table.table for table in report.skipped] == ["public.fast"]
    assert "unlogged relations during recovery" in report.warnings[0]
    assert sqlite_rows(tmp_path / "t.db", "select id from good") == [(1,)]


def test_a_foreign_table_whose_server_is_gone_is_skipped(postgresql: Database, tmp_path: Path) -> None:
    postgresql.execute(
        f"{TWO_ODD} create extension postgres_fdw;"
        f"create server gone foreign data wrapper postgres_fdw options (host '127.0.0.1', port '{free_port()}');"
        "create user mapping for public server gone; create foreign table far (id int) server gone"
    )
    report = arrowsync.copy(postgresql.uri, tmp_path / "t.db", views=True)
    assert {table.table for table in report.skipped} == {"public.far", "public.zero"}
    assert any('could not connect to server "gone"' in text for text in report.warnings)


def test_a_table_in_a_closed_schema_and_one_whose_policy_hides_rows_are_skipped(
    postgresql: Database, new_role: Callable[[str], str], tmp_path: Path
) -> None:
    role = new_role("pw")
    postgresql.execute(
        "create table good (id int); create table hidden (id int); create schema closed; create table closed.t (id int);"
        f"alter table hidden enable row level security; grant select on good, hidden, closed.t to {role}"
    )
    uri = postgresql.server.uri(postgresql.name, user=role, password="pw")
    report = arrowsync.copy(uri, tmp_path / "t.db")
    assert [table.table for table in report.skipped] == ["closed.t", "public.hidden"]
    assert "permission denied for schema closed" in report.warnings[0]
    assert "row-level security hides rows" in report.warnings[1]


def test_a_table_that_needs_an_extension_which_the_target_lacks_is_skipped(
    new_database: Callable[..., Database],
) -> None:
    source, target = new_database(), new_database()
    source.execute(
        "create table good (id int); create type mood as enum ('fine'); create table feelings (felt mood);"
        # As if an extension had come from another server: this one has no files of that name.
        "alter extension plpgsql add type mood; update pg_extension set extname = 'arrowsync_gone' where extname = 'plpgsql'"
    )
    report = arrowsync.copy(source.uri, target.uri)
    assert [table.table for table in report.skipped] == ["public.feelings"]
    assert "the extension 'arrowsync_gone', which the target's server does not have" in report.warnings[0]


@newest_server
def test_a_name_that_sqlite_keeps_for_itself_is_skipped(postgresql: Database, tmp_path: Path) -> None:
    postgresql.execute('create table good (id int); create table "SQLite_stuff" (id int)')
    report = arrowsync.copy(postgresql.uri, tmp_path / "t.db")
    assert [table.table for table in report.skipped] == ['public."SQLite_stuff"']


# -- SQLite --------------------------------------------------------------------------------------------------


@newest_server
def test_a_virtual_table_whose_module_is_missing_is_skipped(
    sqlite_file: Callable[..., Path], postgresql: Database
) -> None:
    path = sqlite_file(
        "create table good (id integer primary key); insert into good values (7);" + MISSING_MODULE
    )
    report = arrowsync.copy(path, postgresql.uri)
    assert (report.status, [table.table for table in report.skipped]) == ("partial", ["places"])
    assert "VirtualSpatialIndex" in report.warnings[0]
    assert postgresql.execute("select id from good") == [(7,)]
    with pytest.raises(SchemaError, match="VirtualSpatialIndex"):
        arrowsync.copy(path, postgresql.uri, table="places")


def test_a_foreign_key_to_a_skipped_table_is_left_out(
    sqlite_file: Callable[..., Path], tmp_path: Path, sqlite_rows: Rows
) -> None:
    path = sqlite_file(
        "create table good (id integer primary key, place integer references places);"
        "insert into good values (1, 5);" + MISSING_MODULE
    )
    report = arrowsync.copy(path, tmp_path / "t.db")
    assert report.status == "partial"
    assert any("there is no table places" in text for text in report.warnings)
    assert sqlite_rows(tmp_path / "t.db", "select * from good") == [(1, 5)]


@newest_server
@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("create table odd (id int, ctid text)", "system column 'ctid'"),
        ("create table odd (xmin int)", "system column 'xmin'"),
        (f"create table odd ({'n' * 64} int)", "1 to 63 bytes"),
        ('create table odd ("" int)', "1 to 63 bytes"),
        (f"create table odd ({', '.join(f'c{n}' for n in range(1601))})", "1601 columns"),
        ("create view odd as select missing(id) from good", "no such function: missing"),
        ("create view odd as select * from gone", "no such table"),
    ],
    ids=[
        "ctid",
        "xmin",
        "a long name",
        "an empty name",
        "1601 columns",
        "a missing function",
        "a missing table",
    ],
)
def test_what_postgresql_cannot_hold_or_nobody_can_read_is_skipped(
    sqlite_file: Callable[..., Path], postgresql: Database, table: str, words: str
) -> None:
    path = sqlite_file(f"create table good (id integer primary key); {table}")
    report = arrowsync.copy(path, postgresql.uri, views=True)
    assert {each.table: each.status for each in report.tables} == {"good": "complete", "odd": "skipped"}
    assert words in report.warnings[0]
    with pytest.raises(SchemaError, match=words):
        arrowsync.plan(path, postgresql.uri, table="odd")


@newest_server
def test_a_system_column_is_copied_under_another_name(
    sqlite_file: Callable[..., Path], postgresql: Database
) -> None:
    path = sqlite_file("create table t (ctid text, oid int); insert into t values ('x', 1)")
    arrowsync.copy(path, postgresql.uri, rename={"ctid": "ctid_"})
    assert postgresql.execute("select ctid_, oid from t") == [("x", 1)]


def test_a_damaged_table_is_skipped(
    sqlite_file: Callable[..., Path], tmp_path: Path, sqlite_rows: Rows
) -> None:
    path = sqlite_file("create table good (id int); insert into good values (1); create table torn (id int)")
    ((page, size),) = sqlite_rows(
        path, "select rootpage, page_size from sqlite_master, pragma_page_size where name = 'torn'"
    )
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"w" * size)
    report = arrowsync.copy(path, tmp_path / "t.db")
    assert {each.table: each.status for each in report.tables} == {"good": "complete", "torn": "skipped"}
    assert "malformed" in report.warnings[0]


@pytest.mark.parametrize("mode", ["create", "replace"])
def test_tables_that_need_an_application_s_functions_or_collations_are_found_before_any_row_is_copied(
    sqlite_file: Callable[..., Path], tmp_path: Path, sqlite_rows: Rows, mode: str
) -> None:
    def make(connection: Any) -> None:
        connection.create_function("f", 1, abs, deterministic=True)
        connection.create_collation("unicase", lambda a, b: (a > b) - (a < b))
        connection.executescript(
            """
            create table good (id integer primary key autoincrement, up int references good); insert into good values (1, 1);
            create table computed (a int, b int as (f(a)) virtual); insert into computed (a) values (1);
            create table stored (a int, b int as (f(a)) stored); insert into stored (a) values (1);
            create table checked (a int check (f(a) > 0)); insert into checked values (1);
            create table indexed (a int); create index i on indexed (f(a)); insert into indexed values (1);
            create table sorted (a text primary key collate unicase); insert into sorted values ('x');
            """
        )

    path, target = sqlite_file(make), tmp_path / "t.db"
    if mode == "replace":
        arrowsync.copy(path, target, table="good")
        sqlite_file("create table indexed (a int); insert into indexed values (7)", target.name)
    report = arrowsync.copy(path, target, mode=mode)
    assert sorted(each.table for each in report.skipped) == [
        "checked",
        "computed",
        "indexed",
        "sorted",
        "stored",
    ]
    assert report.errors == ()
    assert sqlite_rows(target, "select * from good") == [(1, 1)]
    if mode == "replace":
        assert sqlite_rows(target, "select * from indexed") == [(7,)]


def test_a_table_whose_columns_the_target_computes_all_is_skipped(
    new_database: Callable[..., Database],
) -> None:
    source, target = new_database(), new_database()
    source.execute("create table t (id int); create table computed (one int generated always as (1) stored)")
    source.execute("insert into computed values (default)")
    report = arrowsync.copy(source.uri, target.uri, progress=False)
    (skipped,) = report.skipped
    assert skipped.table == "public.computed"
    assert "the target computes all its columns: there is nothing to copy" in str(report)
    assert target.execute("select * from t") == []
