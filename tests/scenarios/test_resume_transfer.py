"""A transfer of several tables is resumed as one: what it has finished is kept, the rest is gone on with."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import arrowsync
from arrowsync import ConfigError, Report, ResumeError, TransferError
from arrowsync.core.events import Event, PartitionCommitted, TableFinished, TableStarted
from arrowsync.endpoints import Database as Place
from arrowsync.endpoints import lock
from tests import command_line
from tests.fix_postgresql import Database
from tests.scenarios.copies import QUICK, content, make_rows, newest_server

pytestmark = newest_server
ROWS = 1_000
AB: dict[str, Any] = {"table": ["a", "b"]}


@pytest.fixture
def pair(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    source, target = new_database(), new_database()
    for name in ("a", "b"):
        make_rows(source, ROWS, name=name)
    return source, target


def copy(source: object, target: object, **told: Any) -> Report:
    return arrowsync.copy(str(source), str(target), progress=False, retry=QUICK, **told)


def stopped_at(last: str, source: object, target: object, **told: Any) -> None:
    """Copy, and interrupt when that table begins."""

    def observe(event: Event) -> None:
        if isinstance(event, TableStarted) and event.table.endswith(last):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(source, target, observer=observe, **told)


def stopped_before_the_mark(
    monkeypatch: pytest.MonkeyPatch, source: object, target: object, *, of: type = Place, **told: Any
) -> None:
    """Copy, and die when all tables are published, before the transfer is marked over."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(of, "finish", die)
        with pytest.raises(KeyboardInterrupt):
            copy(source, target, **told)


def told_of(mode: str, target: Database) -> dict[str, Any]:
    """What a copy of a and b in that mode needs."""
    if mode != "create":
        for name in ("a", "b"):
            make_rows(target, 0, name=name, keyed=False)
    return {**AB, "mode": mode}


def counts(target: Database, *names: str) -> list[tuple[int, int]]:
    return [
        target.execute(f"select count(*)::int, count(distinct id)::int from {name}")[0]
        for name in names or ("a", "b")
    ]


# -- finished tables are kept ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["create", "append", "replace"])
def test_a_finished_table_is_not_copied_again(pair: tuple[Database, Database], mode: str) -> None:
    source, target = pair
    told = told_of(mode, target)
    stopped_at("b", source.uri, target.uri, **told)
    oid = target.execute("select 'a'::regclass::oid")
    report = copy(source.uri, target.uri, **told)
    assert counts(target) == [(ROWS, ROWS)] * 2
    assert target.execute("select 'a'::regclass::oid") == oid
    finished, done = report.tables
    assert (finished.table, finished.rows_resumed, finished.batches) == ("public.a", ROWS, 0)
    assert (done.rows_resumed, done.rows_written, done.status) == (0, ROWS, "complete")
    assert (report.rows_written, report.rows_resumed, report.verified) == (2 * ROWS, ROWS, "count")


def test_a_copy_that_failed_goes_on_when_the_cause_is_mended(pair: tuple[Database, Database]) -> None:
    source, target = pair
    told = told_of("append", target)
    target.execute("alter table b add constraint odd check (id <> 500)")
    with pytest.raises(TransferError, match="odd"):
        copy(source.uri, target.uri, on_bad_rows="stop", **told)
    target.execute("alter table b drop constraint odd")
    assert copy(source.uri, target.uri, on_bad_rows="stop", **told).rows_resumed == ROWS
    assert counts(target) == [(ROWS, ROWS)] * 2


@pytest.mark.parametrize("mode", ["create", "append", "replace"])
def test_a_repeat_between_publishing_and_the_mark_returns_the_finished_report(
    pair: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    source, target = pair
    told = told_of(mode, target)
    stopped_before_the_mark(monkeypatch, source.uri, target.uri, **told)
    report = copy(source.uri, target.uri, **told)
    assert (report.status, report.rows_written, report.rows_resumed) == ("complete", 2 * ROWS, 2 * ROWS)
    assert "an earlier run had copied all tables" in report.warnings[0]
    assert report.fingerprint is not None
    assert counts(target) == [(ROWS, ROWS)] * 2
    [transfer] = arrowsync.status(target.uri)
    assert transfer.status == "complete"


GONE = {
    "dropped": "drop table a",
    "remade": "drop table a; create table a (id bigint, amount int, name text)",
    "truncated": "truncate a",
    "emptied": "delete from a",
}


@pytest.mark.parametrize("mode", ["create", "replace"])
@pytest.mark.parametrize("change", GONE)
def test_a_finished_table_that_is_gone_or_emptied_is_copied_again(
    pair: tuple[Database, Database], mode: str, change: str
) -> None:
    source, target = pair
    told = told_of(mode, target)
    stopped_at("b", source.uri, target.uri, **told)
    target.execute(GONE[change])
    report = copy(source.uri, target.uri, **told)
    assert counts(target) == [(ROWS, ROWS)] * 2
    assert (report.rows_resumed, report.rows_written) == (0, 2 * ROWS)


@pytest.mark.parametrize("change", GONE)
def test_an_append_says_that_a_finished_table_is_gone_or_emptied(
    pair: tuple[Database, Database], change: str
) -> None:
    source, target = pair
    told = told_of("append", target)
    stopped_at("b", source.uri, target.uri, **told)
    target.execute(GONE[change])
    with pytest.raises((ResumeError, ConfigError), match=r"was (dropped|emptied)|no table"):
        copy(source.uri, target.uri, **told)
    assert counts(target, "b") == [(0, 0)]


def test_a_finished_table_that_vacuum_rewrites_or_that_others_add_to_stays(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    stopped_at("b", source.uri, target.uri, **AB)
    target.execute("insert into a values (-1)")
    target.execute("vacuum full a")
    assert copy(source.uri, target.uri, **AB).rows_resumed == ROWS
    assert counts(target, "a") == [(ROWS + 1, ROWS + 1)]


def test_finished_tables_stay_when_their_source_changes_and_both_moments_are_told(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    stopped_at("b", source.uri, target.uri, **AB)
    source.execute("update a set amount = -1; update b set amount = -1")
    report = copy(source.uri, target.uri, **AB)
    assert target.execute("select count(*) from a where amount = -1") == [(0,)]
    assert target.execute("select count(*) from b where amount = -1") == [(ROWS,)]
    [warning] = [text for text in report.warnings if "--restart copies all anew" in text]
    assert "1 table (public.a)" in warning
    assert warning.count("T") >= 2, "two moments"


def test_foreign_keys_that_fail_since_the_source_changed_make_the_copy_partial(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    source.execute("alter table b add foreign key (id) references a")
    stopped_at("b", source.uri, target.uri, **AB)
    source.execute(f"insert into a values ({ROWS + 1}); insert into b values ({ROWS + 1})")
    report = copy(source.uri, target.uri, **AB)
    assert report.status == "partial"
    assert any("is broken by 1 row" in warning for warning in report.warnings)


def test_a_finished_table_gets_the_foreign_key_that_waited_for_a_later_one(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    source.execute("alter table a add constraint later foreign key (id) references b")
    source.execute("alter table b add constraint back foreign key (id) references a")
    stopped_at("b", source.uri, target.uri, **AB)
    assert target.execute("select conname from pg_constraint where contype = 'f'") == []
    copy(source.uri, target.uri, **AB)
    names = target.execute("select conname::text from pg_constraint where contype = 'f' order by 1")
    assert names == [("back",), ("later",)]


def test_a_view_that_an_earlier_run_has_made_is_in_nobodys_way(pair: tuple[Database, Database]) -> None:
    source, target = pair
    source.execute("create view v as select count(*) as n from a; create view w as select n from v")
    stopped_at("w", source.uri, target.uri, views=True)
    assert copy(source.uri, target.uri, views=True).status == "complete"
    assert target.execute("select n from w") == [(ROWS,)]


# -- which tables ----------------------------------------------------------------------------------------------


def test_a_table_that_came_after_the_transfer_began_is_listed_and_not_copied(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    stopped_at("b", source.uri, target.uri, tables="public.*")
    source.execute("create table aa (id int)")
    report = copy(source.uri, target.uri, tables="public.*")
    assert [table.table for table in report.tables] == ["public.a", "public.b"]
    assert any("public.aa" in warning and "not copied" in warning for warning in report.warnings)
    assert target.execute("select to_regclass('aa')") == [(None,)]


def test_a_table_that_vanished_before_it_was_copied_is_an_error(pair: tuple[Database, Database]) -> None:
    source, target = pair
    stopped_at("b", source.uri, target.uri, tables="public.*")
    source.execute("drop table b")
    with pytest.raises(ResumeError, match=r"public\.b .*no longer in the source.*--restart"):
        copy(source.uri, target.uri, tables="public.*")
    report = copy(source.uri, target.uri, tables="public.*", restart=True)
    assert [(table.table, table.rows_resumed) for table in report.tables] == [("public.a", 0)]
    assert target.execute("select to_regclass('b')") == [(None,)]


def test_a_finished_table_that_vanished_from_the_source_stays(pair: tuple[Database, Database]) -> None:
    source, target = pair
    stopped_at("b", source.uri, target.uri, tables="public.*")
    source.execute("drop table a")
    report = copy(source.uri, target.uri, tables="public.*")
    assert counts(target) == [(ROWS, ROWS)] * 2
    assert any("no longer in the source" in warning for warning in report.warnings)


def test_a_command_for_one_table_of_an_unfinished_transfer_is_refused(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    stopped_at("b", source.uri, target.uri, **AB)
    with pytest.raises(ResumeError, match=r"differs in tables .*arrowsync copy .* --table a --table b"):
        copy(source.uri, target.uri, table="b")


def test_restart_for_one_table_gives_up_that_tables_part_only(pair: tuple[Database, Database]) -> None:
    source, target = pair
    source.execute("create table c as select * from b")
    three = {"table": ["a", "b", "c"]}
    stopped_at("b", source.uri, target.uri, **three)
    assert copy(source.uri, target.uri, table="b", restart=True).rows_written == ROWS
    report = copy(source.uri, target.uri, **three)
    assert [(table.table, table.rows_resumed) for table in report.tables] == [
        ("public.a", ROWS),
        ("public.c", 0),
    ]
    assert any("another transfer has taken" in warning for warning in report.warnings)
    assert counts(target, "a", "b", "c") == [(ROWS, ROWS)] * 3
    assert [transfer.status for transfer in arrowsync.status(target.uri)] == ["complete", "complete"]


def test_a_transfer_whose_last_open_table_was_taken_over_is_over(pair: tuple[Database, Database]) -> None:
    source, target = pair
    stopped_at("b", source.uri, target.uri, **AB)
    copy(source.uri, target.uri, table="b", restart=True)
    assert [transfer.status for transfer in arrowsync.status(target.uri)] == ["complete", "complete"]


@pytest.mark.parametrize(
    "told", [{"nul": "strip", "allow_lossy": True}, {"views": True}, {"allow_lossy": True}]
)
def test_what_shapes_rows_tells_transfers_apart(
    pair: tuple[Database, Database], told: dict[str, Any]
) -> None:
    source, target = pair
    stopped_at("b", source.uri, target.uri, **AB)
    with pytest.raises(ResumeError, match=f"differs in .*{next(iter(told))}"):
        copy(source.uri, target.uri, **AB, **told)


def test_a_table_that_was_skipped_is_skipped_again_when_the_transfer_goes_on(
    pair: tuple[Database, Database], new_role: Callable[[str], str]
) -> None:
    source, target = pair
    role = new_role("pw")
    source.execute(f"create table secret (id int); grant select on a, b to {role}")
    reader = source.server.uri(source.name, user=role, password="pw")
    stopped_at("b", reader, target.uri)
    report = copy(reader, target.uri)
    assert [(table.table, table.status) for table in report.tables] == [
        ("public.a", "complete"),
        ("public.b", "complete"),
        ("public.secret", "skipped"),
    ]
    assert report.status == "partial"
    assert not any("after this transfer began" in warning for warning in report.warnings)


def test_tables_go_on_to_the_schema_that_they_began_in(
    sqlite_file: Callable[..., Path], new_database: Callable[..., Database]
) -> None:
    source = sqlite_file(
        "create table a (id integer); insert into a values (1); create table b (id integer); "
        "insert into b values (1); create table c (id integer); insert into c values (1)"
    )
    target = new_database()
    stopped_at("b", source, target.uri)
    target.execute(f"create schema other; alter database {target.name} set search_path = other")
    assert copy(source, target.uri).status == "complete"
    tables = target.execute(
        "select schemaname::text, tablename::text from pg_tables where tablename in ('a', 'b', 'c')"
    )
    assert sorted(tables) == [("public", "a"), ("public", "b"), ("public", "c")]


# -- restart ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["create", "replace"])
def test_restart_copies_all_tables_anew_though_they_refer_to_one_another(
    pair: tuple[Database, Database], mode: str
) -> None:
    source, target = pair
    source.execute("create table c (id bigint references a); insert into c select id from a")
    source.execute("create view v as select count(*) as n from a")
    if mode == "replace":
        copy(source.uri, target.uri)
    told = {"views": mode == "create", "mode": mode}
    stopped_at("b", source.uri, target.uri, **told)
    source.execute("update a set amount = -1")
    report = copy(source.uri, target.uri, restart=True, **told)
    assert (report.status, report.rows_resumed) == ("complete", 0)
    assert target.execute("select count(*) from a where amount = -1") == [(ROWS,)]
    assert counts(target, "a", "b", "c") == [(ROWS, ROWS)] * 3


def test_an_append_is_not_started_over_while_its_rows_are_in_a_database(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    told = told_of("append", target)
    stopped_at("b", source.uri, target.uri, **told)
    with pytest.raises(ResumeError, match=r"1,000 rows of an unfinished append are in public\.a") as refused:
        copy(source.uri, target.uri, restart=True, **told)
    assert "--mode append" in str(refused.value)
    assert "--restart" not in str(refused.value)
    assert counts(target) == [(ROWS, ROWS), (0, 0)]


@pytest.mark.parametrize(
    "change",
    ["truncate a", "delete from a", "drop table a; create table a (id bigint, amount int, name text)"],
)
def test_an_append_whose_rows_are_gone_is_started_over_when_that_is_asked_for(
    pair: tuple[Database, Database], change: str
) -> None:
    source, target = pair
    told = told_of("append", target)
    stopped_at("b", source.uri, target.uri, **told)
    target.execute(change)
    assert copy(source.uri, target.uri, restart=True, **told).rows_resumed == 0
    assert counts(target) == [(ROWS, ROWS)] * 2


def test_an_append_that_has_committed_nothing_is_started_over_when_that_is_asked_for(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    told = told_of("append", target)
    stopped_at("a", source.uri, target.uri, **told)
    copy(source.uri, target.uri, restart=True, **told)
    assert counts(target) == [(ROWS, ROWS)] * 2


# -- several runs ---------------------------------------------------------------------------------------------


def interrupting(table: str) -> Callable[[Event], None]:
    def observe(event: Event) -> None:
        if isinstance(event, PartitionCommitted) and event.table.endswith(table):
            raise KeyboardInterrupt

    return observe


@pytest.mark.parametrize("mode", ["create", "append", "replace"])
def test_a_plan_that_was_interrupted_is_not_run_again_and_the_same_call_goes_on(
    pair: tuple[Database, Database], mode: str
) -> None:
    source, target = pair
    told = {**told_of(mode, target), "verify": "hash"}
    plan = arrowsync.plan(source.uri, target.uri, progress=False, retry=QUICK, **told)
    with pytest.raises(KeyboardInterrupt):
        plan.run(observer=interrupting("b"))
    with pytest.raises(TransferError, match=r"since this was planned.*Run the same command again"):
        plan.run()
    assert copy(source.uri, target.uri, **told).verified == "hash"
    assert counts(target) == [(ROWS, ROWS)] * 2


def test_a_plan_that_has_finished_may_run_again_and_appends_again(
    pair: tuple[Database, Database], tmp_path: Path
) -> None:
    source, _ = pair
    folder = f"{tmp_path}/parts/"
    copy(source.uri, folder, table="a")
    plan = arrowsync.plan(source.uri, folder, table="a", mode="append", progress=False)
    assert [plan.run().rows_resumed for _ in range(2)] == [0, 0]
    [table] = arrowsync.inspect(folder)
    assert table.rows == 3 * ROWS


def cut_after(
    table: str, target: Database, then: Callable[[], object] = lambda: None
) -> Callable[[Event], None]:
    """An observer that cuts the connection that holds the locks when that table is finished."""

    def observe(event: Event) -> None:
        if isinstance(event, TableFinished) and event.table.endswith(table):
            target.execute(
                "select pg_terminate_backend(l.pid, 10000) from pg_locks l join pg_database d on d.oid = l.database "
                "where l.locktype = 'advisory' and d.datname = current_database()"
            )
            then()

    return observe


def test_a_cut_of_the_connection_that_holds_the_locks_does_not_fail_the_tables_that_follow(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    assert copy(source.uri, target.uri, observer=cut_after("a", target), **AB).status == "complete"
    assert counts(target) == [(ROWS, ROWS)] * 2


def test_a_run_whose_locks_were_cut_appends_nothing_that_another_run_has_appended(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    told = told_of("append", target)

    def another() -> None:
        assert copy(source.uri, target.uri, **told).rows_resumed == ROWS

    with pytest.raises(TransferError, match=r"another run .* public\.b since this was planned"):
        copy(source.uri, target.uri, observer=cut_after("a", target, another), **told)
    assert counts(target) == [(ROWS, ROWS)] * 2


@pytest.mark.parametrize("restart", [False, True])
def test_a_command_for_one_table_of_a_running_transfer_is_refused_with_restart_too(
    pair: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch, restart: bool
) -> None:
    source, target = pair
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.5)

    def another(event: Event) -> None:
        if isinstance(event, TableStarted) and event.table.endswith("a"):
            with pytest.raises(TransferError, match="another run is copying into these tables"):
                copy(source.uri, target.uri, table="b", restart=restart)

    assert copy(source.uri, target.uri, observer=another, **AB).status == "complete"
    assert counts(target) == [(ROWS, ROWS)] * 2


# -- what is said ----------------------------------------------------------------------------------------------


def test_without_a_journal_the_report_lists_what_is_done_and_the_command_for_the_rest(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    told = told_of("append", target)
    target.execute("alter table b add constraint odd check (id <> 500)")
    with pytest.raises(TransferError) as failed:
        copy(source.uri, target.uri, journal=None, on_bad_rows="stop", **told)
    [warning] = [text for text in failed.value.report.warnings if text.startswith("finished: ")]
    assert warning.startswith("finished: public.a. ")
    words = shlex.split(warning[warning.index("arrowsync copy") :])
    assert words[4:] == ["--table", "public.b", "--mode", "append", "--no-journal"]
    target.execute("alter table b drop constraint odd")
    rest = command_line.arrowsync("copy", source.uri, target.uri, *words[4:])
    assert rest.returncode == 0, rest.stderr
    assert counts(target) == [(ROWS, ROWS)] * 2


def test_a_transfer_stays_in_the_journal_where_it_was_noted_whatever_is_granted_since(
    pair: tuple[Database, Database], new_role: Callable[[str], str]
) -> None:
    source, target = pair
    role = new_role("pw")
    target.execute(f"grant create on schema public to {role}")
    uri = target.server.uri(target.name, user=role, password="pw")
    stopped_at("a", source.uri, uri, **AB)
    target.execute(f"grant create on database {target.name} to {role}")
    copy(source.uri, uri, **AB)
    assert target.execute("select to_regnamespace('arrowsync')") == [(None,)]
    assert [(each.status, each.tables_done) for each in arrowsync.status(uri)] == [("complete", 2)]


def test_status_forgets_the_tables_of_an_earlier_time_when_a_command_is_given_again(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    copy(source.uri, target.uri, mode="replace")
    source.execute("drop table a")
    copy(source.uri, target.uri, mode="replace")
    [transfer] = arrowsync.status(target.uri)
    assert [table.table for table in transfer.tables] == ["public.b"]


def test_status_shows_a_transfer_with_its_tables(pair: tuple[Database, Database]) -> None:
    source, target = pair
    stopped_at("b", source.uri, target.uri, **AB)
    [transfer] = arrowsync.status(target.uri, by_table=True)
    assert (transfer.status, transfer.tables_done, transfer.rows) == ("interrupted", 1, ROWS)
    assert [(table.table, table.status) for table in transfer.tables] == [
        ("public.a", "complete"),
        ("public.b", "interrupted"),
    ]
    assert "public.b" in str(arrowsync.status(target.uri, by_table=True))
    copy(source.uri, target.uri, **AB)
    assert content(target, "a") == content(source, "a")
    [transfer] = arrowsync.status(target.uri)
    assert (transfer.status, transfer.tables_done) == ("complete", 2)
