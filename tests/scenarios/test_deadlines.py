"""Drivers that do not answer in time, and work that rightly takes longer."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import pytest

from arrowsync import BatchTimeout, DataError, Limits, Retry, TransferError
from arrowsync.core.events import PartitionStarted
from tests.fix_postgresql import Database
from tests.scenarios.copies import content, copy, make_rows, newest_server
from tests.threads import threads_left

pytestmark = newest_server
ROWS = 6_000


@pytest.fixture
def pair(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    source, target = new_database(), new_database()
    make_rows(source, ROWS)
    make_rows(target, 0)
    return source, target


def slow_trigger(target: Database, condition: str, seconds: float, kind: str = "trigger") -> None:
    """Rows that meet the condition take long to check, when their statement ends or, deferred, in COMMIT."""
    deferred = "deferrable initially deferred" if kind == "constraint trigger" else ""
    target.execute(
        f"create function wait() returns trigger language plpgsql as "
        f"$$ begin perform pg_sleep({seconds}); return null; end $$;"
        f"create {kind} slow after insert on t {deferred} for each row when ({condition}) "
        "execute function wait()"
    )


def test_a_lock_on_the_target_is_waited_for_again_and_again(pair: tuple[Database, Database]) -> None:
    source, target = pair
    with psycopg.connect(target.uri) as blocker:
        blocker.execute("lock table t in share mode")
        free = threading.Timer(3, blocker.rollback)
        report = copy(
            source.uri,
            target.uri,
            mode="append",
            observer=lambda event: free.start() if isinstance(event, PartitionStarted) else None,
            limits=Limits(batch_seconds=0.5),
            retry=Retry(attempts=20, first_seconds=0.1, longest_seconds=0.2),
        )
        free.join()
    assert report.timeouts >= 1
    assert content(target) == content(source)


def test_a_lock_that_stays_fails_the_table_and_the_same_command_goes_on(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    with psycopg.connect(target.uri) as blocker:
        blocker.execute("lock table t in share mode")
        with pytest.raises(TransferError, match=r"did not answer within 0\.5 s") as failed:
            copy(
                source.uri,
                target.uri,
                mode="append",
                limits=Limits(batch_seconds=0.5),
                retry=Retry(attempts=2, first_seconds=0.1, longest_seconds=0.1),
            )
    assert isinstance(failed.value.__cause__, BatchTimeout)
    assert failed.value.report.timeouts == 1
    copy(source.uri, target.uri, mode="append")
    assert content(target) == content(source)


def test_checks_that_take_longer_than_the_deadline_pass_batch_by_batch(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    slow_trigger(target, "new.id % 500 = 0", 0.2)  # 2.4 s for all rows, 0.2 s for a batch
    report = copy(
        source.uri, target.uri, mode="append", limits=Limits(batch_seconds=1.5, batch_rows=500), workers=1
    )
    assert report.timeouts == 1
    assert content(target) == content(source)


def test_checks_in_commit_are_not_under_the_clock(pair: tuple[Database, Database]) -> None:
    source, target = pair
    slow_trigger(target, "new.id = 5", 2.5, kind="constraint trigger")
    report = copy(source.uri, target.uri, mode="append", limits=Limits(batch_seconds=1))
    assert report.timeouts == 0
    assert content(target) == content(source)


def test_a_query_that_takes_long_to_its_first_row_is_not_under_the_clock(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    report = copy(
        source.uri,
        target.uri,
        table=None,
        query="select t.* from t, (select pg_sleep(2.5) offset 0) as late order by id desc",
        target_table="sorted",
        limits=Limits(batch_seconds=1),
    )
    assert report.timeouts == 0
    assert content(target, "sorted") == content(source)


def test_a_partition_that_keeps_failing_is_left_out_and_the_others_finish(
    new_database: Callable[..., Database],
) -> None:
    source, target = new_database(), new_database()
    make_rows(source, 60_000)
    make_rows(target, 0)
    slow_trigger(target, "new.id = 5", 30)
    told = {"mode": "append", "workers": 2}
    with pytest.raises(TransferError) as failed:
        copy(
            source.uri,
            target.uri,
            limits=Limits(batch_seconds=1, partition_bytes="512 KiB"),
            retry=Retry(attempts=2, first_seconds=0.1, longest_seconds=0.1),
            **told,
        )
    report = failed.value.report
    assert [(error.type, error.partition) for error in report.errors] == [("BatchTimeout", 0)]
    assert target.execute("select count(*) from arrowsync.receipts") == [(report.partitions,)]
    assert report.partitions > 4
    target.execute("drop trigger slow on t")
    again = copy(source.uri, target.uri, **told)
    assert again.partitions - again.partitions_resumed == 1
    assert content(target) == content(source)


def test_a_failing_writer_ends_a_reader_whose_queue_is_full(pair: tuple[Database, Database]) -> None:
    source, target = pair
    target.execute("alter table t add check (id <> 4)")
    with pytest.raises(TransferError) as failed:
        copy(source.uri, target.uri, mode="append", on_bad_rows="stop", limits=Limits(batch_rows=1))
    assert isinstance(failed.value.__cause__, DataError)
    assert threads_left() == []
    assert target.execute("select count(*) from t") == [(0,)]
