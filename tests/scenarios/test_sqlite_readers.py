"""A SQLite file is read by several connections at once, and all see the same moment, whoever writes to it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

import arrowsync
from arrowsync import ArrowsyncError, Database, Limits, TransferError
from arrowsync.core.plan import TablePlan
from arrowsync.dialects.sqlite import SQLite
from arrowsync.endpoints.reader import DatabaseReader
from arrowsync.endpoints.snapshot import same_snapshot
from tests.scenarios.copies import copy, interrupted

ROWS = 40_000
LIMITS = Limits(partition_bytes="128 KiB", batch_rows=1_000)
MANY = (
    "create table t (id integer primary key, moment integer, balance integer, name text);"
    f"with recursive n(i) as (values (1) union all select i + 1 from n where i < {ROWS}) "
    "insert into t select i, 0, 0, 'row number ' || i from n;"
)
JOURNALS = pytest.mark.parametrize("journal", ["delete", "wal"])

# One commit after the other, until its stdin is closed: `moment` is the same in each thousandth row, balances
# add up to nothing, as many rows go as come. Checkpoints come between.
WRITE = f"""
import select, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("pragma synchronous = off")
moment = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    moment += 1
    connection.execute("begin immediate")
    connection.execute("update t set moment = ? where id in (select value * 1000 from generated)", [moment])
    connection.execute("update t set balance = balance + 7 where id = ?", [1 + moment % 900])
    connection.execute("update t set balance = balance - 7 where id = ?", [{ROWS} - 1 - moment % 900])
    connection.execute("delete from t where id = ?", [{ROWS // 2} + moment % 900 + 50])
    connection.execute("insert into t values (null, -1, 0, 'late')")
    connection.execute("insert or ignore into t values (?, -1, 0, 'back')", [{ROWS // 2} + moment % 900 + 50])
    connection.execute("delete from t where id = (select max(id) from t)")
    connection.execute("commit")
    if moment % 50 == 0:
        connection.execute("pragma wal_checkpoint(passive)")
    if moment == 1:
        print("written", flush=True)
print(moment)
""".replace("(select value * 1000 from generated)", f"({', '.join(str(i) for i in range(1000, ROWS, 1000))})")


class Torn(SQLite):
    """Its rows cannot be read to the end."""

    def unwrap(self, batches: Iterator[pa.RecordBatch], plan: TablePlan) -> Iterator[pa.RecordBatch]:
        yield next(super().unwrap(batches, plan))
        raise ArrowsyncError("torn")


def telling(commits: str | None) -> SQLite:
    """A dialect that asks for commits in another way; None: it does not ask."""
    return SQLite(capabilities=replace(SQLite().capabilities, commits=commits))


class Replaced(SQLite):
    """Another file has the name whenever one looks."""

    def file(self, uri: str) -> object:
        return object()


@pytest.fixture
def source(sqlite_file: Callable[..., Path], journal: str) -> Path:
    return sqlite_file(f"pragma journal_mode = {journal}; {MANY}")


@contextmanager
def written_to(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another program commits to it, thousands of times a second."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    try:
        assert writer.stdout.readline() == "written\n"
        yield writer
        assert writer.poll() is None
        assert int(writer.communicate("enough\n", timeout=90)[0]) > 1
    finally:
        writer.kill()
        writer.wait()
        writer.stdin.close()
        writer.stdout.close()


def of_one_moment(folder: Path) -> bool:
    """Whether the copy is what a single commit had left."""
    table = ds.dataset(folder, format="parquet").to_table()
    rows = {row["id"]: row for row in table.select(["id", "moment", "balance"]).to_pylist()}
    moments = {rows[at]["moment"] for at in range(1000, ROWS, 1000)}
    return (
        len(rows) == table.num_rows == ROWS
        and len(moments) == 1
        and sum(row["balance"] for row in rows.values()) == 0
        and sum(row["balance"] > 0 for row in rows.values()) <= 900
    )


def open_files(path: Path) -> int:
    """How many descriptors of the file, its log and its journal this process has."""
    return sum(os.path.realpath(each.path).startswith(str(path)) for each in psutil.Process().open_files())


@contextmanager
def meeting(monkeypatch: pytest.MonkeyPatch, readers: int) -> Iterator[threading.Event]:
    """No reader begins to read before so many of them are open at once."""
    count, lock, met = 0, threading.Lock(), threading.Event()
    enter, leave = DatabaseReader.__enter__, DatabaseReader.__exit__

    def entering(reader: DatabaseReader) -> DatabaseReader:
        nonlocal count
        enter(reader)
        with lock:
            count += 1
            if count == readers:
                met.set()
        met.wait(30)
        return reader

    def leaving(reader: DatabaseReader, *exc: object) -> None:
        nonlocal count
        with lock:
            count -= 1
        leave(reader, *exc)

    with monkeypatch.context() as patch:
        patch.setattr(DatabaseReader, "__enter__", entering)
        patch.setattr(DatabaseReader, "__exit__", leaving)
        yield met


@JOURNALS
def test_several_connections_read_one_file_at_once(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with meeting(monkeypatch, 3) as met:
        report = copy(str(source), f"{tmp_path}/out/", limits=LIMITS, workers=3, verify="hash")
    assert met.is_set()
    assert report.partitions > 3
    assert (report.rows_written, report.verified) == (ROWS, "hash")
    assert of_one_moment(tmp_path / "out")


@pytest.mark.parametrize("journal", ["wal"])
@pytest.mark.parametrize(
    "dialect",
    [
        pytest.param(telling("select random()"), id="somebody commits between any two looks"),
        pytest.param(Replaced(), id="another file whenever one looks"),
        pytest.param(telling(None), id="nobody tells of commits"),
    ],
)
def test_readers_that_cannot_be_proved_to_see_the_same_take_turns(
    source: Path, tmp_path: Path, dialect: SQLite
) -> None:
    database = Database(str(source), dialect=dialect)
    with same_snapshot(database.address, 4) as connections:
        assert len(connections) == 1
    report = copy(database, f"{tmp_path}/out/", limits=LIMITS, workers=4, verify="hash")
    assert (report.rows_written, report.verified) == (ROWS, "hash")


@JOURNALS
def test_connections_of_one_view_see_the_same_while_others_commit(source: Path) -> None:
    address = Database(str(source)).address
    seen, several = set(), 0
    with written_to(source):
        for _ in range(100):
            with same_snapshot(address, 4) as connections:
                time.sleep(0.002)
                query = f"select sum(moment), sum(balance), count(*) from t where id <= {2 * ROWS}"
                views = {connection.rows(query)[0] for connection in connections}
                assert len(views) == 1
                seen |= views
                several += len(connections) > 1
    assert several
    assert len(seen) > 1  # something was written meanwhile
    assert {(balance, count) for _, balance, count in seen} == {(0, ROWS)}


@JOURNALS
def test_a_copy_holds_one_moment_of_a_file_that_is_written_to(source: Path, tmp_path: Path) -> None:
    with written_to(source):
        for number in range(4):
            folder = tmp_path / f"out{number}"
            report = copy(str(source), f"{folder}/", limits=LIMITS, workers=3)
            assert report.partitions > 3
            assert of_one_moment(folder)


@pytest.mark.parametrize("journal", ["delete"])
def test_a_writer_without_a_log_is_kept_out_while_the_view_is_held(
    source: Path, sqlite_file: Callable[..., Path]
) -> None:
    with same_snapshot(Database(str(source)).address, 2) as connections:
        assert len(connections) == 2
        with pytest.raises(RuntimeError, match="database is locked"):
            sqlite_file("pragma busy_timeout = 0; update t set moment = 9")
    sqlite_file("pragma busy_timeout = 0; update t set moment = 9")


@JOURNALS
def test_a_copy_closes_every_connection_however_it_ends(source: Path, tmp_path: Path) -> None:
    arrowsync.inspect(str(source))  # its header's descriptor stays
    before = open_files(source)
    copy(str(source), f"{tmp_path}/whole/", limits=LIMITS, workers=3)
    assert open_files(source) == before
    interrupted(str(source), f"{tmp_path}/interrupted/", rows=ROWS // 4, limits=LIMITS, workers=3)
    assert open_files(source) == before
    with pytest.raises(TransferError, match="torn"):
        copy(Database(str(source), dialect=Torn()), f"{tmp_path}/failed/", limits=LIMITS, workers=3)
    assert open_files(source) == before
    with pytest.raises(ZeroDivisionError), same_snapshot(Database(str(source)).address, 3):
        raise ZeroDivisionError
    assert open_files(source) == before
    report = copy(str(source), f"{tmp_path}/interrupted/", limits=LIMITS, workers=3)
    assert report.partitions_resumed > 0


@pytest.mark.parametrize("journal", ["wal"])
def test_a_snapshot_of_several_readers_is_sent_by_its_token_alone(source: Path) -> None:
    database = Database(str(source))
    plan = arrowsync.plan(str(source), f"{source.parent}/out/", table="t", limits=LIMITS)
    with database.snapshot(2) as snapshot, ExitStack() as stack:
        sent = pickle.loads(pickle.dumps(snapshot))
        assert sent.shared is None
        # Three at once: two of the snapshot's own connections, and one that joins as another process does.
        readers = [
            stack.enter_context(
                database.open_reader(plan.tables[0], plan.tables[0].partitions[at], each, batch_bytes=1 << 16)
            )
            for at, each in enumerate((snapshot, snapshot, sent))
        ]
        assert all(sum(batch.num_rows for batch in reader) > 0 for reader in readers)


@pytest.mark.parametrize("journal", ["wal"])
def test_a_snapshot_does_not_wait_for_others_to_stop_writing(source: Path) -> None:
    with written_to(source):
        began = time.monotonic()
        with Database(str(source)).snapshot(), Database(str(source)).snapshot():
            assert time.monotonic() - began < 5  # of 0.2 s; it was as long as they wrote


@pytest.mark.parametrize("journal", ["wal"])
def test_a_file_of_the_future_has_a_state_too(source: Path) -> None:
    tomorrow = time.time() + 86_400
    os.utime(source, (tomorrow, tomorrow))
    with Database(str(source)).snapshot() as one, Database(str(source)).snapshot() as other:
        assert one.token == other.token
