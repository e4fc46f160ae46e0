"""Two runs of one transfer, or a run and what is left of a killed one: each row once, whoever comes first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

import arrowsync
from arrowsync import ArrowsyncError, ConfigError, Limits, Report, ResumeError, TransferError
from arrowsync.core.events import BatchWritten, Event, PartitionCommitted
from arrowsync.endpoints import lock
from tests.fix_postgresql import Database
from tests.scenarios.copies import child, content, copy, interrupted, killed_child, make_rows, newest_server

pytestmark = newest_server
ROWS = 60_000
LIMITS = Limits(partition_bytes="512 KiB", batch_rows=2_000)


@pytest.fixture
def pair(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    source, target = new_database(), new_database()
    make_rows(source, ROWS)
    return source, target


class Gate:
    """An observer that lets a copy go no further than its first batch until it is opened."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, event: Event) -> None:
        if isinstance(event, BatchWritten):
            self.reached.set()
            assert self.open.wait(60)


def race(
    source: str, target: str, until: Callable[[], bool] | None = None, **told: Any
) -> tuple[Report, ArrowsyncError]:
    """Start a second run while the first is in the middle; the first goes on when the second is so far.

    None: when the second has ended. The first one's report and the second one's error.
    """
    gate = Gate()
    with ThreadPoolExecutor(2) as pool:
        first: Future[Report] = pool.submit(
            copy, source, target, observer=gate, limits=LIMITS, workers=1, **told
        )
        assert gate.reached.wait(60)
        second: Future[Report] = pool.submit(copy, source, target, limits=LIMITS, **told)
        try:
            if until:
                wait_until(until)
            else:
                second.exception(60)
        finally:
            gate.open.set()
        error = second.exception(60)
        assert isinstance(error, TransferError)
        assert isinstance(error.__cause__, ResumeError)
        return first.result(60), error


@pytest.mark.parametrize("mode", ["create", "append", "replace"])
def test_a_second_run_is_refused_while_the_first_goes_on(
    pair: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    source, target = pair
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 1.0)
    if mode != "create":
        make_rows(target, 0)
    report, error = race(source.uri, target.uri, mode=mode)
    assert "another run is copying into these tables" in str(error)
    assert report.rows_written == ROWS
    assert content(target) == content(source)


def test_a_run_that_was_planned_while_another_went_on_does_not_append_again(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    make_rows(target, 0)
    _, error = race(source.uri, target.uri, lambda: locked_out(target) > 0, mode="append")
    assert "another run" in str(error)
    assert content(target) == content(source)


def test_sqlite_targets_have_one_run_at_a_time_too(
    pair: tuple[Database, Database],
    sqlite_file: Callable[..., Path],
    sqlite_rows: Callable[[Path, str], list[tuple[Any, ...]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 1.0)
    target = sqlite_file("create table t (id integer primary key, amount int, name text)", "target.db")
    race(pair[0].uri, str(target), mode="append")
    assert sqlite_rows(target, "select count(*), count(distinct id) from t") == [(ROWS, ROWS)]
    assert [each.name for each in target.parent.iterdir()] == ["target.db"]


@pytest.mark.parametrize(
    ("mode", "before"), [("create", None), ("create", 0), ("append", 9), ("replace", None), ("replace", 9)]
)
def test_folders_have_one_run_at_a_time_too(
    pair: tuple[Database, Database],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    before: int | None,
) -> None:
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 1.0)
    folder, where = tmp_path / "parts", None
    if before is not None:
        copy(pair[0].uri, f"{folder}/", where=f"id <= {before}")
    if mode == "append":
        where = f"id > {before}"
    _, error = race(pair[0].uri, f"{folder}/", mode=mode, where=where)
    assert "another run is copying" in str(error)
    assert arrowsync.verify(pair[0].uri, f"{folder}/", table="t").equal
    assert [each.name for each in tmp_path.iterdir()] == ["parts"]
    assert {each.suffix for each in folder.iterdir()} == {".parquet"}


def test_two_processes_that_start_at_once_copy_each_row_once(pair: tuple[Database, Database]) -> None:
    source, target = pair
    told: dict[str, Any] = {"table": "t", "limits": {"partition_bytes": "512 KiB"}}
    with child(source.uri, target.uri, **told) as one, child(source.uri, target.uri, **told) as two:
        one.communicate(timeout=60), two.communicate(timeout=60)
        assert 0 in (one.returncode, two.returncode)
    with suppress(ConfigError):  # the table holds rows: one of them has finished
        copy(source.uri, target.uri)
    assert content(target) == content(source)


@pytest.mark.parametrize("claims_last_seconds", [0.5, 3.0])
def test_an_orphaned_backend_that_is_still_busy_adds_no_row(
    pair: tuple[Database, Database], claims_last_seconds: float
) -> None:
    source, target = pair
    make_rows(target, 0)
    interrupted(source.uri, target.uri, mode="append", rows=ROWS // 2, limits=LIMITS, workers=1)
    with psycopg.connect(target.uri) as blocker:
        blocker.execute("lock table t in share mode")
        with child(source.uri, target.uri, table="t", mode="append") as process:
            wait_until(lambda: orphans(target) > 0)
            process.kill()
            process.wait()
        assert orphans(target) > 0
        free = threading.Timer(claims_last_seconds, blocker.rollback)
        free.start()
        report = copy(source.uri, target.uri, mode="append")
        free.join()
    assert report.partitions_resumed > 0
    assert report.rows_written == ROWS
    assert content(target) == content(source)


def locked_out(target: Database) -> int:
    """Runs that have been planned and wait for another to end."""
    query = (
        "select count(*) from pg_stat_activity where wait_event = 'advisory' and datname = current_database()"
    )
    return int(target.execute(query)[0][0])


@pytest.mark.parametrize("mode", ["create", "replace"])
@pytest.mark.parametrize("place", ["postgresql", "copy.db", "parts/"])
def test_status_tells_a_copy_that_goes_on_from_one_that_was_interrupted(
    pair: tuple[Database, Database], tmp_path: Path, place: str, mode: str
) -> None:
    source = pair[0].uri
    target = pair[1].uri if place == "postgresql" else f"{tmp_path}/{place}"
    if mode == "replace":
        copy(source, target, where="id < 9")
    meanwhile = set[str]()

    def observe(event: Event) -> None:
        if isinstance(event, PartitionCommitted):
            meanwhile.add(latest(target))
            if event.receipt.partition > 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(source, target, mode=mode, limits=LIMITS, workers=1, observer=observe)
    assert (meanwhile, latest(target)) == ({"running"}, "interrupted")
    assert latest(target) == "interrupted", "asking took nothing away"
    assert copy(source, target, mode=mode, limits=LIMITS).partitions_resumed > 1


def latest(target: str) -> str:
    """The status of the transfer that is shown first."""
    return arrowsync.status(target)[0].status


def test_status_knows_a_killed_copy_for_one_that_goes_on(
    pair: tuple[Database, Database], tmp_path: Path
) -> None:
    for target in (pair[1].uri, f"{tmp_path}/copy.db", f"{tmp_path}/parts/"):
        killed_child(pair[0].uri, target, table="t", kill_at=ROWS // 2, limits={"partition_bytes": "512 KiB"})
        wait_until(lambda target=target: latest(target) == "interrupted")  # the server needs a second


def orphans(target: Database) -> int:
    """Backends in the middle of a partition, waiting for the table."""
    query = (
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like 'COPY%' "
        "and datname = current_database()"
    )
    return int(target.execute(query)[0][0])


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_run_that_lost_its_transfer_to_a_restart_cannot_add_rows(pair: tuple[Database, Database]) -> None:
    source, target = pair
    make_rows(target, 0)
    gate = Gate()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(
            copy, source.uri, target.uri, mode="append", observer=gate, limits=LIMITS, workers=1
        )
        assert gate.reached.wait(60)
        # As if a network had parted it from its server: the lock and the partition's transaction are gone.
        target.server.execute(
            f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{target.name}'"
        )
        copy(source.uri, target.uri, mode="append", restart=True)
        gate.open.set()
        error = first.exception(60)
    assert isinstance(error, TransferError)
    assert "another run has finished this transfer" in str(error)
    assert content(target) == content(source)
