"""Copying from a hot standby whose recovery ends what the copy reads: it goes on, or says which setting helps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from arrowsync import Limits, ResumeError, TransferError
from arrowsync.core.events import BatchWritten, Event, Retried
from tests.fix_postgresql import Database, LocalServer, twin_of
from tests.scenarios.copies import content, copy, make_rows, newest_server

pytestmark = newest_server
ROWS = 80_000  # several partitions more than the one that is read ahead
LIMITS = Limits(partition_bytes="512 KiB", batch_rows=2_000)
PATIENCE_SECONDS = 30.0


@pytest.fixture
def pair(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    source, target = new_database(), new_database()
    make_rows(source, ROWS)
    make_rows(source, 100, name="other")
    return source, target


@pytest.fixture
def standby(pair: tuple[Database, Database]) -> Iterator[Database]:
    """The source on a standby that waits for no reader."""
    primary = pair[0].server
    if not isinstance(primary, LocalServer):
        pytest.skip("a server that is not ours cannot be doubled")
    with twin_of(primary, follows=True) as twin:
        twin.execute("alter system set max_standby_streaming_delay = 0")
        twin.execute("select pg_reload_conf()")
        yield Database(twin, pair[0].name)


class Removing:
    """An observer that, in the middle, removes old rows on the primary, and waits until the standby has, too."""

    def __init__(self, primary: Database, standby: Database, *statements: str) -> None:
        self._primary = primary
        self._standby = standby
        self._statements = statements
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, BatchWritten) and sum(isinstance(e, BatchWritten) for e in self.events) == 3:
            for statement in self._statements:
                self._primary.execute(statement)
            self._wait_until_replayed()

    def _wait_until_replayed(self) -> None:
        [(written,)] = self._primary.execute("select pg_current_wal_lsn()::text")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._standby.execute(f"select pg_last_wal_replay_lsn() >= '{written}'")[0][0]:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_rows_removed_elsewhere_cost_the_snapshot_and_the_copy_goes_on(
    pair: tuple[Database, Database], standby: Database
) -> None:
    source, target = pair
    removing = Removing(source, standby, "delete from other", "vacuum other")
    report = copy(standby.uri, target.uri, limits=LIMITS, workers=1, observer=removing)
    assert report.status == "complete"
    assert content(target) == content(source)
    again = [event.error for event in removing.events if isinstance(event, Retried)]
    assert any("hot_standby_feedback" in error for error in again)


def test_a_table_that_changed_meanwhile_fails_and_the_hint_names_the_settings(
    pair: tuple[Database, Database], standby: Database
) -> None:
    source, target = pair
    removing = Removing(source, standby, "update t set amount = -1", "vacuum t")
    with pytest.raises(TransferError, match="snapshot was lost") as lost:
        copy(standby.uri, target.uri, limits=LIMITS, workers=1, observer=removing)
    assert isinstance(lost.value.__cause__, ResumeError)
    assert "hot_standby_feedback" in str(lost.value)
    assert "max_standby_streaming_delay" in str(lost.value)
