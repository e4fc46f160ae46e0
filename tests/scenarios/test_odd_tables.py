"""A table that cannot be copied does not stop the others, unless it was asked for by name."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import arrowsync
from arrowsync import ConfigError, SchemaError, TransferError
from tests.fix_postgresql import Database
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


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "arrowsync", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        env=os.environ | {"COLUMNS": "200"},
    )


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


def test_an_odd_table_beside_a_named_one_is_an_error_only_if_it_was_named(
    reader: str, tmp_path: Path
) -> None:
    report = arrowsync.copy(reader, tmp_path / "t.db", table="good", tables="*")
    assert [table.table for table in report.skipped] == ["public.zero", "public.secret"]
    with pytest.raises(ConfigError, match="it has no columns"):
        arrowsync.copy(reader, tmp_path / "u.db", table="zero", tables="good")


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


# -- SQLite --------------------------------------------------------------------------------------------------


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
