"""What an unfinished transfer meets when the same command, or another one, comes by."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import arrowsync
from arrowsync import ConfigError, Limits, ResumeError, TransferError
from arrowsync.errors import ArrowsyncError
from tests.fix_postgresql import Database
from tests.scenarios.copies import (
    add_rows,
    content,
    copy,
    interrupted,
    killed_child,
    make_rows,
    newest_server,
)

ROWS = 60_000
SMALL: dict[str, Any] = {"partition_bytes": "512 KiB", "batch_rows": 2_000}


def kill(source: str, target: str, **told: Any) -> None:
    """Leave a transfer unfinished, with some of its partitions committed."""
    interrupted(source, target, rows=ROWS // 2, limits=Limits(**SMALL), workers=1, **told)


@pytest.fixture
def pair(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    source, target = new_database(), new_database()
    make_rows(source, ROWS)
    return source, target


def committed(target: Database) -> int:
    return int(target.execute("select count(*) from arrowsync.receipts")[0][0])


# -- the source ----------------------------------------------------------------------------------------------


def test_rows_that_came_after_what_was_copied_do_not_matter(pair: tuple[Database, Database]) -> None:
    source, target = pair
    kill(source.uri, target.uri)
    add_rows(source, ROWS + 1, ROWS + 100)
    report = copy(source.uri, target.uri)
    assert content(target) == content(source)
    assert report.partitions_resumed > 0
    assert report.warnings == ()


@newest_server
def test_fingerprints_of_another_release_are_taken_anew_never_compared(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    kill(source.uri, target.uri)
    target.execute(
        "update arrowsync.receipts set receipt = jsonb_set(jsonb_set(receipt::jsonb, '{algorithm}', '\"other\"'), "
        "'{fingerprint}', to_jsonb((receipt::jsonb ->> 'rows') || ':00000000deadbeef'))::text"
    )
    report = copy(source.uri, target.uri, verify="hash")
    assert report.verified == "hash"
    assert report.fingerprint is None
    assert content(target) == content(source)


@pytest.mark.parametrize(
    "change",
    [
        "update t set amount = -1 where id = 5",
        "delete from t where id = 5",
        "delete from t where id = 5; insert into t values (5, 5, 'another')",
        "insert into t values (-5, 5, 'early')",
    ],
)
def test_a_table_whose_copied_rows_changed_is_started_over(
    pair: tuple[Database, Database], change: str
) -> None:
    source, target = pair
    kill(source.uri, target.uri)
    source.execute(change)
    report = copy(source.uri, target.uri)
    assert content(target) == content(source)
    assert report.partitions_resumed == 0
    assert "may have changed since the first run" in report.warnings[0]


SHAPES = {
    "a column is dropped": "alter table t drop amount",
    "a column comes": "alter table t add more int",
    "names are swapped": "alter table t rename a to x; alter table t rename b to a; alter table t rename x to b",
    "a column is made anew": "alter table t drop name; alter table t add name text",
    "a column takes longer texts": "alter table t alter a type varchar(9)",
    "a label has another name": "alter type mood rename value 'glad' to 'happy'",
    "the key is dropped": "alter table t drop id",
    "it becomes a view": "alter table t rename to t0; create view t as select * from t0",
}


@pytest.fixture
def shaped(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    source, target = new_database(), new_database()
    source.execute("create type mood as enum ('sad', 'glad')")
    make_rows(source, ROWS)
    source.execute(
        "alter table t add a varchar(8) default 'a', add b varchar(8) default 'b', add m mood default 'glad'"
    )
    return source, target


@pytest.mark.parametrize("change", SHAPES.values(), ids=SHAPES)
def test_a_table_whose_shape_changed_is_started_over(shaped: tuple[Database, Database], change: str) -> None:
    source, target = shaped
    kill(source.uri, target.uri)
    source.execute(change)
    if "type mood" in change:
        target.execute("drop table t; drop type mood")
    report = copy(source.uri, target.uri)
    assert content(target) == content(source)
    assert report.partitions_resumed == 0
    assert "started over" in report.warnings[0]


@newest_server
@pytest.mark.parametrize("change", [SHAPES["names are swapped"], SHAPES["it becomes a view"]])
def test_an_append_whose_source_changed_its_shape_stops_and_says_why(
    shaped: tuple[Database, Database], change: str
) -> None:
    source, target = shaped
    target.execute(
        "create type mood as enum ('sad', 'glad'); "
        "create table t (id bigint, amount int, name text, a varchar(8), b varchar(8), m mood)"
    )
    kill(source.uri, target.uri, mode="append")
    source.execute(change)
    with pytest.raises(TransferError, match="source may have changed"):
        copy(source.uri, target.uri, mode="append", not_consistent=True)


@newest_server
def test_a_table_of_which_nothing_was_in_is_made_in_its_new_shape(shaped: tuple[Database, Database]) -> None:
    source, target = shaped
    interrupted(source.uri, target.uri, rows=1, limits=Limits(**SMALL), workers=1)
    assert committed(target) == 0
    source.execute(SHAPES["a column comes"])
    copy(source.uri, target.uri)
    assert content(target) == content(source)


def test_a_generated_column_with_another_expression_starts_the_table_over(
    pair: tuple[Database, Database], tmp_path: Path
) -> None:
    source, _ = pair
    if source.server.version < 18:
        pytest.skip("a generated column is stored: another expression writes the table anew")
    source.execute("alter table t add twice int generated always as (amount * 2) virtual")
    kill(source.uri, f"{tmp_path}/out/")
    source.execute("alter table t alter twice set expression as (amount * 3)")
    assert copy(source.uri, f"{tmp_path}/out/").partitions_resumed == 0


@newest_server
def test_a_table_that_another_table_chooses_the_rows_of_is_started_over(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    source.execute(f"create table chosen as select id from generate_series(1, {ROWS}) id where id <> 6")
    chosen = {"table": "t", "where": "id in (select id from chosen)"}
    kill(source.uri, target.uri, **chosen)
    source.execute("update chosen set id = 6 where id = 5")
    report = copy(source.uri, target.uri, **chosen)
    assert target.execute("select count(*) from t where id = 5") == [(0,)]
    assert report.partitions_resumed == 0


@newest_server
def test_an_append_whose_source_changed_stops_and_says_why(pair: tuple[Database, Database]) -> None:
    source, target = pair
    make_rows(target, 0)
    kill(source.uri, target.uri, mode="append")
    source.execute("update t set amount = -1 where id = 5")
    with pytest.raises(TransferError, match="source may have changed") as failed:
        copy(source.uri, target.uri, mode="append")
    assert isinstance(failed.value.__cause__, ResumeError)
    assert "--not-consistent" in str(failed.value)


def test_a_keyed_table_goes_on_inconsistently_when_that_is_asked_for(pair: tuple[Database, Database]) -> None:
    source, target = pair
    kill(source.uri, target.uri)
    source.execute("update t set amount = -1")
    report = copy(source.uri, target.uri, not_consistent=True, verify="off")
    assert report.partitions_resumed > 0
    assert "of different moments" in report.warnings[0]
    assert target.execute("select count(distinct id) from t") == [(ROWS,)]


def test_a_table_without_key_is_started_over_after_vacuum_full(
    new_database: Callable[..., Database],
) -> None:
    source, target = new_database(), new_database()
    make_rows(source, ROWS, keyed=False)
    kill(source.uri, target.uri)
    source.execute("delete from t where id % 2 = 0 and id > 50000")
    source.execute("vacuum full t")
    report = copy(source.uri, target.uri, not_consistent=True)
    assert content(target) == content(source)
    assert "started over" in report.warnings[0]


@newest_server
def test_a_sqlite_source_resumes_until_its_file_is_written_to(
    sqlite_file: Callable[..., Path], postgresql: Database
) -> None:
    path = sqlite_file(
        "create table t (id integer primary key, name text); with recursive n(i) as (values (1) union all "
        f"select i + 1 from n where i < {ROWS}) insert into t select i, 'row number ' || i from n"
    )
    kill(str(path), postgresql.uri)
    assert committed(postgresql) > 0
    report = copy(str(path), postgresql.uri)
    assert report.partitions_resumed > 0
    postgresql.execute("drop table t")
    kill(str(path), postgresql.uri)
    sqlite_file("update t set name = 'changed' where id = 1")
    report = copy(str(path), postgresql.uri)
    assert report.partitions_resumed == 0
    assert "may have changed" in report.warnings[0]
    assert postgresql.execute("select count(*), min(name) from t") == [(ROWS, "changed")]


@newest_server
def test_a_sqlite_file_that_was_written_to_behind_its_time_is_not_mixed_in(
    sqlite_file: Callable[..., Path], postgresql: Database
) -> None:
    path = sqlite_file(
        "create table t (id integer primary key, name text); with recursive n(i) as (values (1) union all "
        f"select i + 1 from n where i < {ROWS}) insert into t select i, 'row number ' || i from n"
    )
    kill(str(path), postgresql.uri)
    before = path.stat()
    sqlite_file("update t set name = replace(name, 'row', 'ROW')")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (
        before.st_size,
        before.st_mtime_ns,
        before.st_ino,
    )
    assert copy(str(path), postgresql.uri).partitions_resumed == 0
    assert postgresql.execute("select distinct left(name, 3) from t") == [("ROW",)]


# -- the target ----------------------------------------------------------------------------------------------


@newest_server
def test_a_target_table_that_was_emptied_is_copied_again(pair: tuple[Database, Database]) -> None:
    source, target = pair
    kill(source.uri, target.uri)
    target.execute("truncate t")
    report = copy(source.uri, target.uri)
    assert content(target) == content(source)
    assert "the target table is not what an unfinished run left" in report.warnings[0]


@newest_server
def test_a_table_that_somebody_made_in_place_of_ours_is_left_alone(pair: tuple[Database, Database]) -> None:
    source, target = pair
    kill(source.uri, target.uri)
    target.execute("drop table t; create table t (id bigint); insert into t values (1)")
    with pytest.raises(ConfigError, match="holds rows"):
        copy(source.uri, target.uri)
    with pytest.raises(ConfigError, match="holds rows"):
        copy(source.uri, target.uri, restart=True)
    assert target.execute("select * from t") == [(1,)]


@newest_server
def test_a_sqlite_target_that_lost_rows_is_copied_again(
    postgresql: Database,
    sqlite_file: Callable[..., Path],
    sqlite_rows: Callable[[Path, str], list[tuple[Any, ...]]],
) -> None:
    make_rows(postgresql, ROWS)
    target = sqlite_file("", "target.db")
    kill(postgresql.uri, str(target))
    sqlite_file("delete from t where id = 7", "target.db")
    report = copy(postgresql.uri, str(target))
    assert sqlite_rows(target, "select count(*), count(distinct id) from t") == [(ROWS, ROWS)]
    assert "the target table is not what" in report.warnings[0]


# -- the same and other commands -----------------------------------------------------------------------------


@newest_server
def test_restart_begins_anew(pair: tuple[Database, Database]) -> None:
    source, target = pair
    kill(source.uri, target.uri)
    report = copy(source.uri, target.uri, restart=True)
    assert content(target) == content(source)
    assert report.partitions_resumed == 0
    assert "are copied again" in report.warnings[0]


@newest_server
def test_another_transfer_into_the_table_is_refused_until_it_is_told_to_restart(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    make_rows(target, 0, name="other")
    kill(source.uri, target.uri, mode="replace", target_table="other")
    with pytest.raises(ResumeError, match=r"differs in where \(None, now 'id > 10'\).*--restart"):
        copy(source.uri, target.uri, mode="replace", target_table="other", where="id > 10")
    report = copy(source.uri, target.uri, mode="replace", target_table="other", where="id > 10", restart=True)
    assert report.rows_written == ROWS - 10
    assert target.execute("select relname from pg_class where relname like 'arrowsync%'") == []


@newest_server
def test_a_transfer_that_wrote_nothing_is_in_nobodys_way(pair: tuple[Database, Database]) -> None:
    source, target = pair
    target.execute("create table other (id bigint, amount int, name varchar(3))")
    with pytest.raises(ArrowsyncError):
        copy(source.uri, target.uri, target_table="other", on_bad_rows="stop", max_bad_rows=0)
    target.execute("alter table other alter column name type text")
    assert copy(source.uri, target.uri, target_table="other", mode="append").rows_written == ROWS


@newest_server
def test_yesterdays_finished_append_adds_again(pair: tuple[Database, Database]) -> None:
    source, target = pair
    make_rows(target, 0, keyed=False)
    for times in (1, 2):
        report = copy(source.uri, target.uri, mode="append")
        assert (report.rows_written, report.rows_resumed) == (ROWS, 0)
        assert target.execute("select count(*) from t") == [(times * ROWS,)]


@newest_server
def test_bounds_come_from_the_journal_whatever_the_limits_say_now(pair: tuple[Database, Database]) -> None:
    source, target = pair
    kill(source.uri, target.uri)
    done = committed(target)
    report = copy(source.uri, target.uri, limits=Limits(partition_bytes="64 KiB"))
    assert report.partitions_resumed == done
    assert report.partitions < 20
    assert content(target) == content(source)


@newest_server
@pytest.mark.parametrize("mode", ["append", "replace"])
def test_append_and_replace_resume_too(pair: tuple[Database, Database], mode: str) -> None:
    source, target = pair
    make_rows(target, 0)
    kill(source.uri, target.uri, mode=mode)
    report = copy(source.uri, target.uri, mode=mode)
    assert report.partitions_resumed > 0
    assert content(target) == content(source)


@newest_server
def test_what_publishing_has_built_is_not_built_again(pair: tuple[Database, Database]) -> None:
    source, target = pair
    function = "create or replace function halved(n int) returns int immutable language sql return n / "
    for database in pair:
        database.execute(function + "2")
    source.execute("create index halves on t (halved(amount))")
    target.execute(function + "0")
    with pytest.raises(TransferError, match="division by zero"):
        copy(source.uri, target.uri)
    assert target.execute("select count(*) from pg_index where indrelid = 't'::regclass") == [(1,)]
    target.execute(function + "2")
    report = copy(source.uri, target.uri)
    assert report.partitions_resumed == report.partitions
    assert target.execute("select count(*) from pg_index where indrelid = 't'::regclass") == [(2,)]
    assert content(target) == content(source)


# -- without a journal of our own ----------------------------------------------------------------------------


@newest_server
def test_without_a_journal_a_killed_copy_leaves_nothing(pair: tuple[Database, Database]) -> None:
    source, target = pair
    killed_child(source.uri, target.uri, table="t", kill_at=ROWS // 2, limits=SMALL, journal=None)
    assert target.execute("select to_regclass('t')::text, to_regnamespace('arrowsync')::text") == [
        (None, None)
    ]
    source.execute("create index named on t (name)")
    report = copy(source.uri, target.uri, journal=None)
    assert (report.partitions, report.status) == (1, "complete")
    assert content(target) == content(source)
    assert target.execute("select to_regclass('named')::text") == [("named",)]


def test_without_the_right_to_a_schema_the_journal_stands_beside_the_table(
    pair: tuple[Database, Database], new_role: Callable[[str], str]
) -> None:
    source, target = pair
    role = new_role("trustno1")
    target.execute(f"create schema theirs authorization {role}")
    uri = target.server.uri(target.name, user=role, password="trustno1")
    copy(source.uri, uri, target_table="theirs.t")
    assert target.execute("select tablename from pg_tables where schemaname = 'theirs' order by 1") == [
        ("arrowsync_receipts",),
        ("arrowsync_transfers",),
        ("t",),
    ]
    [entry] = arrowsync.status(uri)
    assert [(table.table, table.status) for table in entry.tables] == [("theirs.t", "complete")]


def test_without_any_right_to_a_journal_the_error_names_the_flag(
    pair: tuple[Database, Database], new_role: Callable[[str], str]
) -> None:
    source, target = pair
    role = new_role("trustno1")
    make_rows(target, 0)
    target.execute("revoke create on schema public from public")
    target.execute(f"grant select, insert on t to {role}")
    uri = target.server.uri(target.name, user=role, password="trustno1")
    with pytest.raises(ConfigError, match="--no-journal"):
        copy(source.uri, uri, mode="append")
    assert copy(source.uri, uri, mode="append", journal=None).rows_written == ROWS


# -- status --------------------------------------------------------------------------------------------------


@newest_server
def test_status_tells_of_unfinished_and_finished_transfers(pair: tuple[Database, Database]) -> None:
    source, target = pair
    assert list(arrowsync.status(target.uri)) == []
    copy(source.uri, target.uri, target_table="done")
    kill(source.uri, target.uri)
    unfinished, done = arrowsync.status(target.uri)
    assert (unfinished.status, unfinished.mode) == ("interrupted", "create")
    assert [(table.table, table.status) for table in unfinished.tables] == [("public.t", "interrupted")]
    assert 0 < unfinished.partitions_done == committed(target) < unfinished.partitions
    assert unfinished.rows > 0
    assert 0 <= unfinished.age_seconds < 100
    assert ([table.table for table in done.tables], done.status, done.rows) == (
        ["public.done"],
        "complete",
        ROWS,
    )
    assert done.partitions_done == done.partitions > 1
    shown = str(arrowsync.status(target.uri))
    assert "public.done" in shown
    assert "the same command goes on" in shown
    assert target.server.password not in shown
