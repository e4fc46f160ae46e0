"""Bad input gets a clear error, exit code 1 or 2, no traceback, and changes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from arrowsync import ConfigError, copy
from arrowsync import Database as AnyDatabase
from tests import command_line
from tests.command_line import Done
from tests.fix_postgresql import SUPERUSER_PASSWORD, Database, free_port
from tests.scenarios.copies import newest_server

ORDERS = "create table orders (id integer primary key, note text); insert into orders values (1, 'x')"


@pytest.fixture
def source(sqlite_file: Callable[..., Path]) -> Path:
    return sqlite_file(ORDERS)


def arrowsync(*arguments: object) -> Done:
    done = command_line.arrowsync(*arguments)
    assert SUPERUSER_PASSWORD not in done.stdout + done.stderr
    return done


def refusal(done: Done, code: int) -> str:
    """The error's words, on one line."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    return " ".join(done.stderr.split())


def test_an_unknown_scheme(source: Path) -> None:
    assert "unknown scheme 'oracle'" in refusal(arrowsync("copy", source, "oracle://h/d"), 2)


def test_a_missing_source_file_is_not_created(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    assert "missing.db" in refusal(arrowsync("copy", missing, tmp_path / "target.db"), 2)
    assert list(tmp_path.iterdir()) == []


def test_a_target_in_a_folder_that_is_not_there(source: Path, tmp_path: Path) -> None:
    for command in ("plan", "copy"):
        words = refusal(arrowsync(command, source, tmp_path / "nodir" / "x.db"), 2)
        assert f"there is no folder '{tmp_path / 'nodir'}' Make it first" in words


def test_the_status_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "missing.db" in refusal(arrowsync("status", tmp_path / "missing.db"), 2)


def test_a_file_that_is_no_sqlite_database(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("name,price\nx,1\n")
    assert "no SQLite database" in refusal(arrowsync("copy", text, tmp_path / "target.db"), 2)
    assert list(tmp_path.iterdir()) == [text]


def test_an_unreachable_server(source: Path) -> None:
    uri = f"postgresql://u:s3cret@127.0.0.1:{free_port()}/d"
    words = refusal(arrowsync("copy", source, uri), 2)
    assert "refused" in words
    assert "s3cret" not in words


@newest_server
@pytest.mark.parametrize("password", ["wr0ng-pass", "p@ss/w%rd"])
def test_a_wrong_password_is_said_and_shown_nowhere(
    source: Path, postgresql: Database, new_role: Callable[[str], str], password: str
) -> None:
    role = new_role("right")
    uri = postgresql.server.uri(postgresql.name, user=role, password=quote(password, safe=""))
    words = refusal(arrowsync("copy", source, uri), 2)
    assert "password authentication failed" in words
    assert role in words
    for spelling in (password, quote(password, safe="")):
        assert spelling not in words


def test_a_missing_table_is_an_error_that_names_the_near_ones(source: Path, tmp_path: Path) -> None:
    words = refusal(arrowsync("copy", source, tmp_path / "target.db", "-t", "order"), 2)
    assert "no table 'order'" in words
    assert "orders" in words


def test_a_column_that_does_not_exist(source: Path, tmp_path: Path) -> None:
    words = refusal(arrowsync("copy", source, tmp_path / "t.db", "-t", "orders", "--columns", "id,nte"), 2)
    assert "'nte'" in words
    assert "note" in words
    assert not (tmp_path / "t.db").exists()


@newest_server
@pytest.mark.parametrize("where", ["id > 1) or (id < 2", "nte = 'x'"])
def test_a_where_that_is_no_condition_by_itself(
    source: Path, postgresql: Database, tmp_path: Path, where: str
) -> None:
    postgresql.execute(ORDERS)
    for place in (source, postgresql.uri):
        words = refusal(arrowsync("copy", place, tmp_path / "t.db", "-t", "orders", "--where", where), 2)
        assert f"where {where!r}: " in words
    assert not (tmp_path / "t.db").exists()


@pytest.mark.parametrize("size", ["-1", "much", "1 MiB"])
def test_a_memory_limit_that_cannot_be(source: Path, tmp_path: Path, size: str) -> None:
    assert "memory" in refusal(arrowsync("copy", source, tmp_path / "t.db", f"--memory={size}"), 2)


def test_a_variable_that_is_not_set(source: Path) -> None:
    words = refusal(arrowsync("copy", source, "postgresql://u:${ARROWSYNC_NO_SUCH}@h/d"), 2)
    assert "ARROWSYNC_NO_SUCH" in words


def test_a_file_that_would_be_read_and_written_at_once(source: Path) -> None:
    words = refusal(arrowsync("copy", source, source, "-t", "orders", "--target-table", "more"), 2)
    assert "read and written at once" in words


@newest_server
def test_source_and_target_are_the_same_table(source: Path, postgresql: Database) -> None:
    before = source.read_bytes()
    assert "same table" in refusal(arrowsync("copy", source, source, "-t", "orders", "-m", "append"), 2)
    assert source.read_bytes() == before
    postgresql.execute(ORDERS)
    words = refusal(arrowsync("copy", postgresql.uri, postgresql.uri, "-t", "orders", "-m", "append"), 2)
    assert "same table" in words


@newest_server
def test_a_table_that_may_not_be_read(
    postgresql: Database, new_role: Callable[[str], str], tmp_path: Path
) -> None:
    postgresql.execute(ORDERS)
    role = new_role("pw")
    uri = postgresql.server.uri(postgresql.name, user=role, password="pw")
    words = refusal(arrowsync("copy", uri, tmp_path / "t.db", "-t", "orders"), 2)
    assert "permission denied" in words
    assert "grant select on" in words
    assert not (tmp_path / "t.db").exists()


@newest_server
def test_a_target_that_may_not_be_written(
    source: Path, postgresql: Database, new_role: Callable[[str], str]
) -> None:
    role = new_role("pw")
    postgresql.execute("revoke create on schema public from public")
    postgresql.execute(f"grant create on database {postgresql.name} to {role}")
    uri = postgresql.server.uri(postgresql.name, user=role, password="pw")
    words = refusal(arrowsync("copy", source, uri, "-t", "orders"), 2)
    assert "permission denied for schema public" in words
    assert "grant create on schema" in words
    assert postgresql.execute("select count(*) from pg_tables where schemaname = 'public'") == [(0,)]


def test_a_read_only_target_file(source: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    target = tmp_path / "target.db"
    target.touch(mode=0o400)
    assert "target.db" in refusal(arrowsync("copy", source, target), 1)


def test_json_is_one_object_on_stdout_for_failures_too(source: Path, tmp_path: Path) -> None:
    done = arrowsync("copy", source, tmp_path / "t.db", "-t", "nope", "--json")
    assert done.returncode == 2
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["status"] == "failed"
    assert report["errors"][0]["type"] == "ConfigError"


@newest_server
def test_two_tables_that_sqlite_does_not_tell_apart(postgresql: Database, tmp_path: Path) -> None:
    postgresql.execute('create table foo (id int); create table "Foo" (id int)')
    words = refusal(arrowsync("plan", postgresql.uri, tmp_path / "t.db"), 2)
    assert "would both become" in words
    assert '"Foo"' in words
    postgresql.execute('drop table foo; create table "É" (id int); create table "é" (id int)')
    done = arrowsync("copy", postgresql.uri, tmp_path / "t.db")
    assert done.returncode == 0, done.stderr


@newest_server
def test_a_table_s_name_that_sqlite_keeps_for_itself(postgresql: Database, tmp_path: Path) -> None:
    postgresql.execute('create table "SQLite_stuff" (id int)')
    words = refusal(arrowsync("plan", postgresql.uri, tmp_path / "t.db", "-t", "SQLite_stuff"), 2)
    assert "'SQLite_stuff'" in words
    assert "--target-table" in words


@newest_server
def test_a_view_on_a_table_that_is_to_be_replaced(source: Path, postgresql: Database) -> None:
    postgresql.execute(f"{ORDERS}; create view seen as select * from orders; create schema s;")
    postgresql.execute('create materialized view s."Kept" as select id from orders')
    words = refusal(arrowsync("plan", source, postgresql.uri, "-m", "replace"), 2)
    assert 's."Kept", seen' in words
    assert "Drop" in words
    postgresql.execute('drop view seen; drop materialized view s."Kept"')
    assert arrowsync("plan", source, postgresql.uri, "-m", "replace").returncode == 0


@pytest.mark.parametrize(
    "name", ["x.csv", "X.TSV", "x.jsonl", "x.arrow", "x.feather", "x.duckdb", "x.xlsx", "file:x.json", "-"]
)
def test_a_format_that_is_not_there_yet_does_not_become_a_sqlite_file(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for places in ((source, name), (name, "target.db")):
        with pytest.raises(ConfigError, match=r"not supported yet.*Parquet"):
            copy(*places)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("place", ["", " "])
def test_an_empty_text_names_no_place(source: Path, place: str) -> None:
    with pytest.raises(ConfigError, match="empty"):
        copy(source, place)


def test_a_sqlite_database_is_taken_whatever_its_suffix(
    sqlite_file: Callable[..., Path], tmp_path: Path
) -> None:
    odd = sqlite_file(ORDERS, "odd.csv")
    assert copy(odd, f"sqlite:///{tmp_path}/new.csv").rows_written == 1


@pytest.mark.parametrize("arguments", [{"executor": 3}, {"observer": 3}], ids=str)
def test_what_cannot_be_called_is_an_error_that_names_the_argument(
    source: Path, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        copy(source, tmp_path / "target.db", **arguments)


@pytest.mark.parametrize("arguments", [{"dialect": "sqlite"}, {"driver": 3}], ids=str)
def test_a_database_with_an_argument_of_another_type_is_an_error(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        AnyDatabase("shop.db", **arguments)


def test_a_database_may_be_named_by_a_path(source: Path, tmp_path: Path) -> None:
    assert copy(AnyDatabase(source), tmp_path / "target.db").rows_written == 1  # type: ignore[arg-type]


@newest_server
def test_a_condition_that_the_source_does_not_understand(
    postgresql: Database, source: Path, tmp_path: Path
) -> None:
    postgresql.execute(ORDERS)
    for place, target in ((source, tmp_path / "t.db"), (postgresql.uri, tmp_path / "t.db")):
        words = refusal(arrowsync("plan", place, target, "-t", "orders", "--where", "nte > 'a'"), 2)
        assert "nte > 'a'" in words
        assert arrowsync("plan", place, target, "-t", "orders", "--where", "id > 0 -- all").returncode == 0


@newest_server
@pytest.mark.parametrize("cast", ["note=nonsense", "id=numeric(5000)"])
def test_a_cast_to_a_type_that_the_target_does_not_have(
    source: Path, postgresql: Database, cast: str
) -> None:
    words = refusal(arrowsync("plan", source, postgresql.uri, "-t", "orders", "--cast", cast), 2)
    assert f"'{cast.partition('=')[2]}'" in words
    postgresql.execute("create domain words as text not null")
    done = arrowsync("copy", source, postgresql.uri, "-t", "orders", "--cast", "note=words")
    assert done.returncode == 0, done.stderr
