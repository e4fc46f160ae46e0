"""Partitions on an executor's workers: threads, processes, Dask; workers that die, and what they bring back."""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import distributed
import polars as pl
import pytest
from dask import config as dask_config

import arrowsync
from arrowsync import ConfigError, Limits, TransferError
from arrowsync.core.events import BatchWritten, Event, PartitionCommitted
from arrowsync.core.plan import Snapshot
from arrowsync.engine.cancellation import Cancellation
from arrowsync.engine.executor import ExecutorTask, Places
from arrowsync.engine.pipe import Task
from tests.fix_postgresql import SUPERUSER_PASSWORD, Database
from tests.scenarios.copies import QUICK, content, copy, interrupted, make_rows, newest_server
from tests.threads import threads_left

ROWS = 60_000
LIMITS = Limits(partition_bytes="512 KiB", batch_rows=2_000)


@pytest.fixture
def pair(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    source, target = new_database(), new_database()
    make_rows(source, ROWS)
    return source, target


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        yield executor


@pytest.fixture
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(3) as executor:
        yield executor


def test_processes_copy_over_one_snapshot_and_their_reports_add_up(
    pair: tuple[Database, Database], processes: Executor
) -> None:
    source, target = pair
    told: list[Event] = []

    def change_once(event: Event) -> None:
        if not told:
            source.execute("delete from t where id % 2 = 0")
        told.append(event)

    before = content(source)
    report = copy(
        source.uri, target.uri, executor=processes, limits=LIMITS, verify="hash", observer=change_once
    )
    assert content(target) == before
    assert (report.rows_written, report.verified, report.status) == (ROWS, "hash", "complete")
    receipts = [event.receipt for event in told if isinstance(event, PartitionCommitted)]
    assert report.partitions == len(receipts) > 4
    assert sum(receipt.rows for receipt in receipts) == ROWS
    assert report.batches == sum(isinstance(event, BatchWritten) for event in told) >= ROWS // 2_000
    assert report.batch_rows_max == 2_000
    assert report.peak_memory > 0
    assert report.longest_source_query_seconds > 0


@newest_server
def test_threads_of_an_executor_copy_too(pair: tuple[Database, Database], threads: Executor) -> None:
    source, target = pair
    report = copy(source.uri, target.uri, executor=threads, limits=LIMITS, mode="create", workers=2)
    assert content(target) == content(source)
    assert report.status == "complete"


@newest_server
def test_sqlite_files_are_read_by_many_processes(
    sqlite_file: Callable[..., Path], postgresql: Database, processes: Executor
) -> None:
    numbers = f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {ROWS})"
    path = sqlite_file(
        f"create table t (id integer primary key, name text); insert into t {numbers} select i, 'row ' || i from n"
    )
    report = copy(str(path), postgresql.uri, executor=processes, limits=LIMITS, verify="hash")
    assert (report.rows_written, report.verified) == (ROWS, "hash")
    assert report.partitions > 1


@newest_server
def test_parquet_is_read_and_written_by_many_processes(
    pair: tuple[Database, Database], tmp_path: Path, processes: Executor
) -> None:
    source, target = pair
    folder = f"{tmp_path}/t/"
    out = copy(source.uri, folder, executor=processes, limits=LIMITS, table="t", verify="hash")
    back = copy(folder, target.uri, executor=processes, limits=LIMITS, table="t", verify="hash")
    assert out.fingerprint == back.fingerprint
    assert content(target) == content(source)


# -- forked workers: what ProcessPoolExecutor(2) means on Linux before Python 3.14 ---------------------------


@pytest.fixture
def forks() -> Iterator[Executor]:
    executor = ProcessPoolExecutor(2, mp_context=get_context("fork"))
    yield executor
    for process in list(executor._processes.values()):
        process.kill()  # or a hanging one would be waited for
    executor.shutdown()


@newest_server
@pytest.mark.timeout(60)
def test_forked_workers_copy_although_polars_would_hang_in_them(
    pair: tuple[Database, Database], forks: Executor
) -> None:
    source, target = pair
    pl.DataFrame({"a": range(100)}).hash_rows()  # starts the threads that no child has
    report = copy(source.uri, target.uri, executor=forks, limits=LIMITS, verify="hash")
    assert (report.rows_written, report.verified) == (ROWS, "hash")
    assert report.partitions > 4


KILLED_COORDINATOR = """
import os, signal, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import arrowsync
from arrowsync.core.events import PartitionCommitted
def kill(event):
    if isinstance(event, PartitionCommitted):
        os.kill(os.getpid(), signal.SIGKILL)
source, target = sys.argv[1:]
executor = ProcessPoolExecutor(2, mp_context=get_context("fork"))  # and no guard of __main__
limits = arrowsync.Limits(partition_bytes="512 KiB", batch_rows=2_000)
arrowsync.copy(source, target, table="t", executor=executor, limits=limits, observer=kill, progress=False)
"""


@newest_server
@pytest.mark.timeout(60)
def test_forked_workers_hold_no_session_of_a_killed_coordinator(
    pair: tuple[Database, Database], tmp_path: Path
) -> None:
    source, target = pair
    script = tmp_path / "script.py"
    script.write_text(KILLED_COORDINATOR)
    command = [sys.executable, script, source.uri, target.uri]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        assert process.wait(50) == -signal.SIGKILL
        assert copy(source.uri, target.uri, table="t", limits=LIMITS, verify="hash").partitions_resumed > 0
        assert content(target) == content(source)
    finally:
        os.killpg(process.pid, signal.SIGKILL)


OWN_CLASS = """
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import adbc_driver_sqlite
import arrowsync
class Own(arrowsync.Dialect):
    pass
dialect = Own(capabilities=arrowsync.Capabilities(shareable=True))
source = arrowsync.Database(sys.argv[1], driver=adbc_driver_sqlite._driver_path(), dialect=dialect)
executor = ProcessPoolExecutor(2, mp_context=get_context("fork"))
arrowsync.copy(source, sys.argv[2], table="t", executor=executor, progress=False)
"""


def test_a_class_of_the_script_that_forked_workers_cannot_know_is_an_error(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "source.db") as connection:
        connection.execute("create table t (id integer)")
        connection.execute("insert into t values (1)")
    script = tmp_path / "script.py"
    script.write_text(OWN_CLASS)
    command = [sys.executable, script, str(tmp_path / "source.db"), f"{tmp_path}/out/"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert "Define your own classes in a module" in ended.stderr


# -- what goes out -------------------------------------------------------------------------------------------


def task_of(plan: arrowsync.Plan) -> ExecutorTask:
    table = plan.tables[0]
    partition = table.partitions[-1]
    alone = table.alone(partition)
    return ExecutorTask(Task(alone, partition, Snapshot("1"), plan.source, plan.sink, 1 << 20), 2, 0, 0)


@newest_server
def test_a_task_is_small_and_leaves_variables_unresolved_and_no_repr_shows_a_password(
    pair: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = pair
    monkeypatch.setenv("SECRET_PASSWORD", SUPERUSER_PASSWORD)
    uri = source.uri.replace(SUPERUSER_PASSWORD, "${SECRET_PASSWORD}")
    parts = Limits(partition_bytes="16 KiB")
    task = task_of(arrowsync.plan(uri, target.uri, table="t", limits=parts))
    sent = pickle.dumps(task)
    assert b"${SECRET_PASSWORD}" in sent
    assert SUPERUSER_PASSWORD not in repr(task)
    few = pickle.dumps(task_of(arrowsync.plan(uri, target.uri, table="t")))
    assert abs(len(sent) - len(few)) < 100
    assert len(sent) < 10_000
    assert repr(pickle.loads(sent)) == repr(task)


@newest_server
def test_workers_resolve_variables_themselves(
    pair: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    uris = [each.uri.replace(SUPERUSER_PASSWORD, "${SECRET_PASSWORD}") for each in pair]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as without:
        without.submit(os.getpid).result()  # the process is there, before the variable is
        monkeypatch.setenv("SECRET_PASSWORD", SUPERUSER_PASSWORD)
        with pytest.raises(TransferError, match="'SECRET_PASSWORD' is not set") as failed:
            copy(*uris, executor=without, limits=LIMITS)
    assert SUPERUSER_PASSWORD not in str(failed.value.report.to_dict())
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as knowing:
        assert copy(*uris, executor=knowing, limits=LIMITS).rows_written == ROWS


@newest_server
def test_what_workers_cannot_reach_or_could_write_twice_is_refused(
    pair: tuple[Database, Database], tmp_path: Path, threads: Executor
) -> None:
    source, target = pair
    for places, told, words in (
        ((pl.DataFrame({"a": [1]}), target.uri), {"table": "x"}, "read by this process only"),
        ((source.uri, str(tmp_path / "x.db")), {}, "takes one writer"),
        ((source.uri, target.uri), {"journal": None}, "without a journal"),
    ):
        with pytest.raises(ConfigError, match=words):
            arrowsync.plan(*places, executor=threads, **told)


@newest_server
def test_no_submission_equals_an_earlier_one(pair: tuple[Database, Database]) -> None:
    """Dask would hand out what became of that one."""
    task = task_of(arrowsync.plan(*(each.uri for each in pair), table="t"))
    assert ExecutorTask(task.task, 2, 0, 0) != ExecutorTask(task.task, 2, 0, 0)


@pytest.mark.timeout(30)
def test_a_stop_ends_waiting_for_a_place() -> None:
    places, ended = Places(), threading.Event()

    def wait(cancellation: Cancellation) -> None:
        with places.one_of(1, cancellation):
            ended.set()

    with Cancellation() as cancellation, places.one_of(1, cancellation):
        thread = threading.Thread(target=wait, args=[cancellation], daemon=True)
        thread.start()
        assert not ended.wait(0.2)
        cancellation.set()
        assert ended.wait(10)
        thread.join(10)


# -- what comes back -----------------------------------------------------------------------------------------


@newest_server
def test_bad_rows_of_every_worker_are_kept_and_counted(
    pair: tuple[Database, Database], tmp_path: Path, processes: Executor
) -> None:
    source, target = pair
    target.execute("create table t (id bigint primary key, amount int check (amount <> 7), name text)")
    report = copy(
        source.uri,
        target.uri,
        executor=processes,
        limits=LIMITS,
        mode="append",
        quarantine=str(tmp_path / "bad"),
    )
    assert (report.status, report.rows_quarantined, report.rows_written) == ("partial", 60, ROWS - 60)
    [folder] = report.quarantine
    kept = pl.read_parquet(f"{folder}/*.parquet")
    assert kept["amount"].to_list() == [7] * 60
    assert len(list(Path(folder).iterdir())) > 4


@newest_server
@pytest.mark.parametrize(("most", "stored"), [(5, 0), (30, 1)])
def test_too_many_bad_rows_end_the_table(
    pair: tuple[Database, Database], tmp_path: Path, processes: Executor, most: int, stored: int
) -> None:
    """Of one partition before its commit, of several when they have come back."""
    source, target = pair
    target.execute("create table t (id bigint primary key, amount int check (amount <> 7), name text)")
    with pytest.raises(TransferError, match="more than max_bad_rows") as failed:
        copy(
            source.uri,
            target.uri,
            executor=processes,
            limits=replace(LIMITS, max_connections=4),  # one at a time
            mode="append",
            max_bad_rows=most,
            quarantine=str(tmp_path),
        )
    assert failed.value.report.status == "failed"
    assert (target.execute("select count(*) from t")[0][0] > 0) == stored


@newest_server
def test_too_many_bad_rows_stay_too_many_when_the_command_is_run_again(
    pair: tuple[Database, Database], tmp_path: Path, threads: Executor
) -> None:
    source, target = pair
    target.execute("create table t (id bigint primary key, amount int check (amount <> 7), name text)")
    told = {"limits": LIMITS, "mode": "append", "quarantine": str(tmp_path)}
    stored, refused = [], r"refused (\d+) rows, more than max_bad_rows=59"
    for executor in (threads, threads, None):
        with pytest.raises(TransferError, match=refused) as failed:
            copy(source.uri, target.uri, executor=executor, max_bad_rows=59, **told)
        stored += target.execute("select count(*) from t")[0]
        assert failed.value.report.rows_written == stored[-1], "what was committed is told"
    assert stored == [ROWS - 60] * 3
    report = copy(source.uri, target.uri, max_bad_rows=60, **told)
    assert (report.status, report.rows_written, report.rows_quarantined) == ("partial", ROWS - 60, 60)


@newest_server
def test_an_error_comes_back_whole(pair: tuple[Database, Database], processes: Executor) -> None:
    source, target = pair
    target.execute("create table t (id bigint primary key, amount int, name varchar(3))")
    with pytest.raises(TransferError) as failed:
        copy(source.uri, target.uri, executor=processes, limits=LIMITS, mode="append", on_bad_rows="stop")
    [error, *_] = failed.value.report.errors
    assert (error.type, error.table, error.partition is not None) == ("DataError", "public.t", True)
    assert "value too long" in error.message


@newest_server
def test_a_broken_executor_fails_the_copy_and_the_same_command_resumes(
    pair: tuple[Database, Database], threads: Executor
) -> None:
    source, target = pair
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        pids = {executor.submit(os.getpid).result() for _ in range(2)}

        def kill(event: Event) -> None:
            if isinstance(event, PartitionCommitted):
                while pids:
                    os.kill(pids.pop(), signal.SIGKILL)

        with pytest.raises(TransferError, match=r"lost with its worker|takes no more"):
            copy(source.uri, target.uri, executor=executor, limits=LIMITS, observer=kill, retry=QUICK)
    report = copy(source.uri, target.uri, executor=threads, limits=LIMITS, verify="hash")
    assert report.partitions_resumed > 0
    assert content(target) == content(source)


@newest_server
def test_an_interrupt_stops_the_threads_of_an_executor(
    pair: tuple[Database, Database], threads: Executor
) -> None:
    source, target = pair
    report = interrupted(source.uri, target.uri, rows=ROWS // 3, executor=threads, limits=LIMITS)
    assert 0 < report.rows_written < ROWS
    assert threads_left() == []
    assert copy(source.uri, target.uri, limits=LIMITS).partitions_resumed > 0
    assert content(target) == content(source)


# -- Dask ----------------------------------------------------------------------------------------------------


@pytest.fixture
def dask() -> Iterator[Any]:
    with (
        # Python 3.11 may hang in what the profiler asks of it (gh-106883): once in some hundred runs a worker did.
        dask_config.set({"distributed.worker.profile.enabled": False}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", processes=True
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@newest_server
def test_a_dask_cluster_loses_a_worker_and_no_row(pair: tuple[Database, Database], dask: Any) -> None:
    source, target = pair
    workers = {info["pid"] for info in dask.run(lambda: {"pid": os.getpid()}).values()}
    assert len(workers) == 2
    killed: list[int] = []

    def kill(event: Event) -> None:
        if isinstance(event, PartitionCommitted) and not killed:
            killed.append(workers.pop())
            os.kill(killed[0], signal.SIGKILL)

    report = copy(
        source.uri,
        target.uri,
        executor=dask.get_executor(),
        limits=LIMITS,
        observer=kill,
        verify="hash",
    )
    assert killed
    assert (report.status, report.verified, report.rows_written) == ("complete", "hash", ROWS)
    assert content(target) == content(source)


@newest_server
@pytest.mark.timeout(100)
def test_nothing_is_committed_after_a_failed_copy_on_dask_has_returned(
    pair: tuple[Database, Database], dask: Any
) -> None:
    """Dask calls a future cancelled whose task runs on, and keeps no task from beginning that waits."""
    source, target = pair
    slow = "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.0005);"
    target.execute(
        "create table t (id bigint primary key, amount int, name text);"
        f"{slow} if new.id = 1 then raise check_violation; end if; return new; end $$;"
        "create trigger slow before insert on t for each row execute function slow()"
    )
    limits = Limits(partition_bytes="128 KiB", batch_rows=2_000)
    told = {"executor": dask.get_executor(), "limits": limits, "mode": "append"}
    with pytest.raises(TransferError) as failed:
        copy(source.uri, target.uri, on_bad_rows="stop", **told)
    stored = target.execute("select count(*) from t")[0][0]
    report = failed.value.report
    assert [error.type for error in report.errors] == ["DataError"]
    assert report.rows_written == stored < ROWS // 2
    time.sleep(3)
    assert target.execute("select count(*) from t")[0][0] == stored
    target.execute("drop trigger slow on t")
    report = copy(source.uri, target.uri, on_bad_rows="stop", **told)
    assert (report.rows_written, report.partitions_resumed > 0) == (ROWS, stored > 0)
    assert content(target) == content(source)
