"""What DDL in the source does to a copy under way: a snapshot covers rows, neither files nor catalogues.

A task on an executor has nothing but the guard; in this process locks come on top.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

import arrowsync
from arrowsync import Limits, ResumeError, SchemaError, TransferError
from arrowsync.core.events import BatchWritten, Event, TableStarted
from tests.fix_postgresql import Database, LocalServer, Server, twin_of
from tests.scenarios.copies import QUICK, content, copy, make_rows, newest_server

RELOAD = "begin; truncate s; insert into s select g, 'new' from generate_series(1, 1000) g; commit"
ROWS = 30_000
SMALL = Limits(partition_bytes="256 KiB", batch_rows=2_000)


@pytest.fixture
def pair(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    """A table `a`, during whose copy things happen to `s`."""
    source, target = new_database(), new_database()
    source.execute("create table a (id int primary key); insert into a values (1)")
    source.execute(
        "create table s (id int primary key, v text); "
        "insert into s select g, 'old' from generate_series(1, 1000) g; analyze"
    )
    return source, target


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


class Once:
    """An observer that does something at the first event of a kind; the copy waits for it."""

    def __init__(self, make: Callable[[], object], kind: type[Event], table: str) -> None:
        self._make, self._kind, self._table = make, kind, table
        self._done = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, self._kind) and getattr(event, "table", "") == self._table and not self._done:
            self._done = True
            self._make()


@contextmanager
def waiting(database: Database, statement: str) -> Iterator[Callable[[], None]]:
    """Begins a statement in another thread when it is called, and returns when that waits for a lock."""
    threads: list[threading.Thread] = []

    def begin() -> None:
        threads.append(threading.Thread(target=database.execute, args=(statement,)))
        threads[0].start()
        query = "select 1 from pg_locks where not granted and locktype = 'relation'"
        while not database.execute(query):
            assert threads[0].is_alive(), "it did not wait"

    yield begin
    for thread in threads:
        thread.join()


def both(source: Database, target: Database, at: Once, **told: Any) -> arrowsync.Report:
    return copy(source.uri, target.uri, table=["a", "s"], observer=at, workers=1, verify="hash", **told)


def values(database: Database, table: str = "s") -> list[tuple[Any, ...]]:
    return database.execute(f"select count(*), min(v), max(v) from {table}")


# -- the guard alone -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reload", [RELOAD, RELOAD.replace("truncate", "drop table s; create table s as table")]
)
def test_a_table_that_was_emptied_and_filled_again_before_it_is_read_arrives_whole(
    pair: tuple[Database, Database], executor: ThreadPoolExecutor, reload: str
) -> None:
    source, target = pair
    if "drop" in reload:
        reload = (
            "begin; drop table s; create table s (id int primary key, v text); "
            "insert into s select g, 'new' from generate_series(1, 1000) g; commit"
        )
    report = both(
        source, target, Once(lambda: source.execute(reload), TableStarted, "public.a"), executor=executor
    )
    assert values(target) == [(1_000, "new", "new")]
    assert report.retries == 1
    assert "of a later moment" in report.warnings[0]


def test_a_table_that_was_rewritten_half_way_is_started_over(
    new_database: Callable[..., Database], executor: ThreadPoolExecutor
) -> None:
    source, target = new_database(), new_database()
    make_rows(source, ROWS)
    rewrite = (
        f"begin; truncate t; insert into t select g, 7, 'anew' from generate_series(1, {ROWS}) g; commit"
    )
    at = Once(lambda: source.execute(rewrite), BatchWritten, "public.t")
    report = copy(source.uri, target.uri, observer=at, executor=executor, limits=SMALL)
    assert content(target) == content(source)
    assert target.execute("select distinct name from t") == [("anew",)]
    assert "started over: the source changed while it was copied" in report.warnings[0]


def test_an_append_half_of_whose_source_was_rewritten_fails(
    new_database: Callable[..., Database], executor: ThreadPoolExecutor
) -> None:
    source, target = new_database(), new_database()
    make_rows(source, ROWS)
    make_rows(target, 0)
    at = Once(lambda: source.execute("truncate t"), BatchWritten, "public.t")
    with pytest.raises(TransferError, match="emptied, rewritten or altered") as failed:
        copy(source.uri, target.uri, mode="append", observer=at, executor=executor, limits=SMALL)
    assert isinstance(failed.value.__cause__, ResumeError)


@pytest.mark.parametrize(
    "change",
    [
        "alter table s rename v to x; alter table s rename w to v; alter table s rename x to w",
        "alter table s drop v; alter table s add v text",
        "alter table s alter v type varchar",
    ],
)
def test_columns_that_change_after_the_snapshot_are_never_mixed(
    pair: tuple[Database, Database], executor: ThreadPoolExecutor, change: str
) -> None:
    source, target = pair
    source.execute("alter table s add w text; update s set w = 'other'")
    at = Once(lambda: source.execute(change), TableStarted, "public.a")
    with pytest.raises(TransferError, match="columns have changed while it was copied"):
        both(source, target, at, executor=executor)
    copy(source.uri, target.uri, table=["a", "s"])
    assert content(target, "s") == content(source, "s")


@pytest.mark.parametrize(
    "change",
    [
        "alter table s detach partition s2",
        "alter table s attach partition s3 for values from (2000) to (3000)",
    ],
)
def test_a_partition_that_comes_or_goes_after_the_snapshot_is_noticed(
    new_database: Callable[..., Database], executor: ThreadPoolExecutor, change: str
) -> None:
    source, target = new_database(), new_database()
    source.execute(
        "create table a (id int); insert into a values (1); "
        "create table s (id int primary key, v text) partition by range (id); "
        "create table s1 partition of s for values from (0) to (1000); "
        "create table s2 partition of s for values from (1000) to (2000); "
        "create table s3 (id int primary key, v text); "
        "insert into s select g, 'v' from generate_series(1, 1999) g; "
        "insert into s3 select g, 'v' from generate_series(2000, 2500) g"
    )
    report = both(
        source, target, Once(lambda: source.execute(change), TableStarted, "public.a"), executor=executor
    )
    assert report.retries == 1
    assert values(target) == values(source)


@pytest.mark.parametrize("named", [{"table": ["a", "v"]}, {"table": ["a", "m"]}])
def test_what_a_view_reads_is_guarded_and_a_materialized_view(
    pair: tuple[Database, Database], executor: ThreadPoolExecutor, named: dict[str, Any]
) -> None:
    source, target = pair
    source.execute("create view v as select * from s; create materialized view m as select * from s")
    at = Once(lambda: source.execute(f"{RELOAD}; refresh materialized view m"), TableStarted, "public.a")
    report = copy(source.uri, target.uri, observer=at, executor=executor, workers=1, **named)
    assert values(target, named["table"][1]) == [(1_000, "new", "new")]
    assert report.retries == 1


@pytest.mark.parametrize(
    "told",
    [
        {"table": None, "query": "select * from s", "target_table": "s"},
        {"table": "s", "where": "id in (select id from b)"},
    ],
)
def test_the_tables_of_a_query_and_of_a_condition_are_guarded(
    pair: tuple[Database, Database], executor: ThreadPoolExecutor, told: dict[str, Any]
) -> None:
    source, target = pair
    source.execute("create table b as select id from s")
    reload = "begin; truncate b; insert into b select id from s; commit"
    if "query" in told:
        reload = RELOAD
    at = Once(lambda: source.execute(reload), TableStarted, "public.s" if "where" in told else "s")
    report = copy(source.uri, target.uri, observer=at, executor=executor, **told)
    assert values(target) == values(source)
    assert report.retries == 1


@newest_server
def test_a_stream_of_a_table_that_was_emptied_before_it_is_read_raises(
    pair: tuple[Database, Database],
) -> None:
    source, _ = pair
    read = arrowsync.Database(source.uri)
    plan = arrowsync.plan(source.uri, "unused.parquet", table="s")
    [state] = read.states(plan.tables)
    with read.snapshot() as snapshot:
        source.execute("truncate s")
        noted = type(snapshot)(snapshot.token, state=state)
        reader = read.open_reader(plan.tables[0], plan.tables[0].partitions[0], noted, batch_bytes=1 << 20)
        with pytest.raises(arrowsync.ArrowsyncError, match="emptied"), reader:
            pass


def test_a_hot_standby_is_guarded(
    pair: tuple[Database, Database], executor: ThreadPoolExecutor, postgresql_server: Server
) -> None:
    source, target = pair
    if not isinstance(postgresql_server, LocalServer):
        pytest.skip("a server that is not ours cannot be doubled")
    with twin_of(postgresql_server, follows=True) as standby:

        def reload() -> None:
            source.execute(RELOAD)
            [(written,)] = source.execute("select pg_current_wal_lsn()::text")
            caught_up = f"select pg_last_wal_replay_lsn() >= '{written}'"
            while standby.execute(caught_up) != [(True,)]:
                pass

        at = Once(reload, TableStarted, "public.a")
        report = copy(standby.uri(source.name), target.uri, table=["a", "s"], observer=at, executor=executor)
    assert values(target) == [(1_000, "new", "new")]
    assert report.retries == 1


def test_a_table_that_is_not_what_was_planned_fails(pair: tuple[Database, Database]) -> None:
    source, target = pair
    plan = arrowsync.plan(source.uri, target.uri, table=["a", "s"])
    source.execute("alter table s alter v type varchar(10)")
    with pytest.raises(TransferError, match="not what it was when the copy was planned") as failed:
        plan.run(progress=False)
    assert isinstance(failed.value.__cause__, SchemaError)
    assert target.execute("select count(*) from a") == [(1,)]


# -- locks on top --------------------------------------------------------------------------------------------


def test_ddl_waits_until_the_copy_has_read_the_table(pair: tuple[Database, Database]) -> None:
    source, target = pair
    with waiting(source, RELOAD) as begin:
        report = both(source, target, Once(begin, TableStarted, "public.a"))
    assert values(target) == [(1_000, "old", "old")]
    assert values(source) == [(1_000, "new", "new")]
    assert report.retries == 0


def test_readers_pass_ddl_that_waits_for_the_copy(new_database: Callable[..., Database]) -> None:
    source, target = new_database(), new_database()
    make_rows(source, ROWS)
    before = content(source)
    with waiting(source, "truncate t") as begin:
        report = copy(
            source.uri, target.uri, observer=Once(begin, BatchWritten, "public.t"), limits=SMALL, workers=2
        )
    assert report.partitions > 2
    assert content(target) == before
    assert source.execute("select count(*) from t") == [(0,)]


def test_a_user_with_rights_to_some_columns_has_the_lock_too(
    pair: tuple[Database, Database], new_role: Callable[[str], str]
) -> None:
    source, target = pair
    role = new_role("trustno1")
    source.execute(f"grant select on a to {role}; grant select (id) on s to {role}")
    uri = source.server.uri(source.name, user=role, password="trustno1")
    with waiting(source, "truncate s") as begin:
        at = Once(begin, TableStarted, "public.a")
        copy(uri, target.uri, table=["a", "s"], columns=["id"], observer=at, workers=1)
    assert target.execute("select count(*) from s") == [(1_000,)]


@newest_server
def test_a_table_that_another_session_has_locked_is_copied_without_a_lock_and_the_report_names_it(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    plan = arrowsync.plan(source.uri, target.uri, table=["a", "s"], retry=QUICK)
    with psycopg.connect(source.uri) as other:
        other.execute("lock table s in access exclusive mode")
        report = plan.run(observer=Once(other.rollback, TableStarted, "public.a"), progress=False)
        pid = other.info.backend_pid
    [warning] = [each for each in report.warnings if "not locked" in each]
    assert f"pid {pid}, idle in transaction for" in warning
    assert values(target) == [(1_000, "old", "old")]


def test_a_swap_is_not_kept_waiting_by_the_locks_of_its_own_copy(postgresql: Database) -> None:
    postgresql.execute(
        "create table s (id int primary key); insert into s values (1); "
        "create table t (id int references s); insert into t values (1)"
    )
    report = copy(postgresql.uri, postgresql.uri, table="s", target_table="t", mode="replace")
    assert report.status == "complete"


def test_rows_of_a_lost_snapshot_go_together_with_a_new_one_only_where_the_guard_held(
    new_database: Callable[..., Database],
) -> None:
    source, target = new_database(), new_database()
    make_rows(source, ROWS)

    def lose() -> None:
        ended = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
        source.execute(f"{ended} and pid <> pg_backend_pid()")
        source.execute("vacuum full t")

    with pytest.raises(TransferError, match="may have changed"):
        copy(source.uri, target.uri, observer=Once(lose, BatchWritten, "public.t"), limits=SMALL, workers=1)
    assert copy(source.uri, target.uri).partitions_resumed == 0
    assert content(target) == content(source)
