"""Several readers of one partition: its order, what stops them, and memory that is short."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Self

import pyarrow as pa
import pytest

from arrowsync.core.contracts import Source
from arrowsync.core.events import Event, Paused
from arrowsync.core.plan import Snapshot, TablePlan
from arrowsync.core.receipts import Partition
from arrowsync.core.units import KiB, MiB
from arrowsync.engine import batches
from arrowsync.engine.cancellation import Cancellation, Cancelled
from arrowsync.engine.memory import MemoryTracker
from arrowsync.engine.prefetch import Prefetch
from arrowsync.engine.sizing import AdaptiveSizer
from arrowsync.errors import BatchTimeout, MemoryLimitError, TransientError
from tests.fakes import FakeReadings
from tests.unit.builders import a_plan, a_table

WHOLE = Partition(0)


class Numbers:
    """A source of 100 numbers, cut into slices; `spoil` may do something before a number is read."""

    def __init__(self, slices: int = 10, spoil: Callable[[int], object] = lambda number: None) -> None:
        self.parts = [
            Partition(0, "ctid", lower=str(first), upper=str(first + 100 // slices))
            for first in range(0, 100, 100 // slices)
        ]
        self.spoil = spoil
        self.opened = 0
        self.closed = 0
        self.read: set[int] = set()
        self.cancelled = threading.Event()

    def open_reader(
        self, plan: TablePlan, partition: Partition, snapshot: Snapshot, *, batch_bytes: int
    ) -> Self:
        self.opened += 1
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.closed += 1

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.slice(Partition(0, "ctid", lower="0", upper="100"))

    def slice(self, part: Partition) -> Iterator[pa.RecordBatch]:
        for number in range(int(part.lower or 0), int(part.upper or 0)):
            self.spoil(number)
            self.read.add(number)
            yield pa.record_batch({"id": pa.array([number], pa.int64())})

    def cancel(self) -> None:
        self.cancelled.set()


def feed(
    source: Numbers,
    readers: int,
    *,
    tracker: MemoryTracker | None = None,
    cancellation: Cancellation | None = None,
    observe: Callable[[Event], None] = lambda event: None,
    ahead_bytes: int = 80,
    batch_rows: int = 1,
    done: Callable[[], None] = lambda: None,
) -> Prefetch:
    reads: Source = source  # type: ignore[assignment]  # it is asked for readers and nothing else
    return Prefetch(
        reads,
        a_plan(a_table(), secret=7),
        WHOLE,
        Snapshot(),
        batch_bytes=1 * MiB,
        sizer=AdaptiveSizer(row_bytes=8, ceiling_bytes=1 * MiB, table_rows=None, fixed_rows=batch_rows),
        tracker=tracker or a_tracker(),
        cancellation=cancellation or Cancellation(),
        observe=observe,
        slices=source.parts,
        readers=readers,
        ahead_bytes=ahead_bytes,
        done=done,
    )


def a_tracker(limit: int = 64 * MiB) -> MemoryTracker:
    return MemoryTracker(limit, readings=FakeReadings())


def numbers(prefetch: Prefetch) -> Iterator[int]:
    while (ready := prefetch.take()) is not None:
        with ready.lease:
            yield from ready.batch.column(0).to_pylist()


def until(true: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")


def readers_left() -> Sequence[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("arrowsync")]


@pytest.mark.parametrize("slices", [1, 2, 10, 50])
@pytest.mark.parametrize("readers", [1, 2, 3, 8])
def test_rows_come_in_order_however_many_read_them(readers: int, slices: int) -> None:
    source, tracker = Numbers(slices), a_tracker()
    alone, together = feed(Numbers(), 1), feed(source, readers, tracker=tracker)
    with alone, together:
        assert list(numbers(together)) == list(numbers(alone)) == list(range(100))
        assert together.fingerprint == alone.fingerprint
        assert together.bytes == alone.bytes == 800
        assert together.take() is None
    assert source.opened == source.closed == min(readers, slices)
    assert tracker.leased == 0


def test_readers_whose_turn_is_not_yet_read_a_slice_ahead_and_no_further() -> None:
    source = Numbers()
    with feed(source, 3) as prefetch:
        prefetch.start()
        ahead = {*range(10), *range(10, 20), *range(20, 30)}  # 80 bytes each are queued, the next ones wait
        until(lambda: len(source.read) >= 30)
        time.sleep(0.05)
        assert ahead <= source.read <= ahead | {30, 31, 40, 41, 50, 51}
    assert readers_left() == []


@pytest.mark.parametrize("bad", [0, 13, 29, 99])
def test_an_error_of_any_slice_comes_once_behind_the_rows_before_it_and_ends_all_readers(bad: int) -> None:
    def spoil(number: int) -> None:
        if number == bad:
            raise TransientError("gone")

    tracker, seen = a_tracker(), []
    with feed(Numbers(10, spoil), 3, tracker=tracker) as prefetch:
        rows = numbers(prefetch)
        with pytest.raises(TransientError, match="gone"):
            seen.extend(rows)
    assert seen == list(range(bad))
    assert readers_left() == []
    assert tracker.leased == 0


def test_nothing_is_read_before_the_first_row_is_asked_for() -> None:
    source = Numbers()
    with feed(source, 3) as prefetch:
        time.sleep(0.05)
        assert source.opened == 0
        assert len(list(numbers(prefetch))) == 100
    with feed(source, 3):
        pass  # what was never begun ends, too
    assert source.opened == source.closed == 3


@pytest.mark.parametrize("readers", [1, 3])
@pytest.mark.parametrize("bad", [None, 50])
def test_it_tells_once_when_all_is_read_before_the_last_rows_are_taken(readers: int, bad: int | None) -> None:
    def spoil(number: int) -> None:
        if number == bad:
            raise TransientError("gone")

    closed: list[int] = []
    source = Numbers(readers, spoil)
    with feed(source, readers, ahead_bytes=1 * KiB, done=lambda: closed.append(source.closed)) as prefetch:
        prefetch.start()
        until(lambda: bool(closed))
        with contextlib.suppress(TransientError):
            list(numbers(prefetch))
    assert closed == [readers]


def test_a_taker_that_leaves_ends_readers_that_wait_for_their_turn() -> None:
    tracker, source = a_tracker(), Numbers()
    with feed(source, 3, tracker=tracker) as prefetch:
        prefetch.start()
        until(lambda: len(source.read) >= 30)
    assert readers_left() == []
    assert tracker.leased == 0


def test_a_stop_ends_readers_that_wait_for_memory_or_for_their_turn() -> None:
    tracker, cancellation, source = (
        a_tracker(100),
        Cancellation(),
        Numbers(),
    )  # bytes: each reader has a batch, and waits
    with feed(source, 4, tracker=tracker, cancellation=cancellation, batch_rows=2) as prefetch:
        prefetch.start()
        until(lambda: tracker.leased > 60)
        cancellation.set()
        with pytest.raises(Cancelled):
            list(numbers(prefetch))
    assert source.cancelled.is_set()
    assert readers_left() == []
    assert tracker.leased == 0


def test_memory_that_readers_ahead_hold_never_keeps_the_one_whose_turn_it_is_from_reading() -> None:
    first_may_go = threading.Event()

    def spoil(number: int) -> None:
        if number == 0:
            assert first_may_go.wait(10)

    tracker, source, pauses = a_tracker(100), Numbers(5, spoil), []
    most = 0
    with feed(
        source, 3, tracker=tracker, observe=pauses.append, ahead_bytes=1 * KiB, batch_rows=2
    ) as prefetch:
        prefetch.start()
        until(lambda: tracker.leased > 60)  # the others have filled it
        first_may_go.set()
        for number, found in enumerate(numbers(prefetch)):
            assert found == number
            most = max(most, tracker.leased)
    assert most <= 80 + 2 * 16  # what makes the first wait, and a batch of each that had no lease yet
    assert {type(each) for each in pauses} == {Paused}
    assert tracker.leased == 0


def test_a_row_that_does_not_fit_is_named_by_its_number_in_the_partition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = batches.nbytes

    def wide(batch: pa.RecordBatch) -> int:
        return 60 * MiB if batch.column(0).to_pylist() == [41] else measured(batch)

    monkeypatch.setattr(batches, "nbytes", wide)
    with pytest.raises(MemoryLimitError) as caught, feed(Numbers(), 3) as prefetch:
        list(numbers(prefetch))
    assert caught.value.row == "number 42"


def test_a_slice_that_does_not_begin_in_time_is_cancelled() -> None:
    source = Numbers()

    def stall(number: int) -> None:
        if number == 20:  # the first of the first reader's second slice
            assert source.cancelled.wait(10)
            raise TransientError("cancelled")

    source.spoil = stall
    prefetch = feed(source, 2)
    plan = prefetch._plan
    object.__setattr__(plan.transfer.limits, "batch_seconds", 0.1)
    try:
        with pytest.raises(BatchTimeout), prefetch:
            list(numbers(prefetch))
    finally:
        object.__setattr__(plan.transfer.limits, "batch_seconds", 30.0)
