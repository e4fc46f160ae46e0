"""A pipe gives every byte back however it ends, and refuses a row that nobody knew to be too wide."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import pyarrow as pa
import pytest

from arrowsync.core.contracts import Sink, Source
from arrowsync.core.plan import ColumnPlan, Form, Route, Snapshot, Storage, TablePlan
from arrowsync.core.receipts import Partition, Receipt, Refusal
from arrowsync.core.units import MiB
from arrowsync.engine.cancellation import Cancellation, Cancelled
from arrowsync.engine.memory import MemoryTracker
from arrowsync.engine.pipe import UNLIMITED, CopyContext, Task, copy_partition
from arrowsync.engine.prefetch import Channel, Ready
from arrowsync.engine.sizing import AdaptiveSizer
from arrowsync.engine.slots import Slots
from arrowsync.errors import DataError, MemoryLimitError, TransientError
from tests.fakes import FakeReadings
from tests.unit.builders import a_plan, a_table


class Rows:
    """A source of batches that are there already; counts how many were asked for."""

    def __init__(self, batches: Sequence[pa.RecordBatch]) -> None:
        self.batches = batches
        self.read = 0

    def open_reader(
        self, plan: TablePlan, partition: Partition, snapshot: Snapshot, *, batch_bytes: int
    ) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self.batches:
            self.read += 1
            yield batch

    def cancel(self) -> None: ...


class Table:
    """A sink that takes `taking` batches, waits until the reader is as far ahead as it may be, then ends."""

    def __init__(self, source: Rows, *, taking: int = 10**9, then: Any = None) -> None:  # Any: what to do
        self._source = source
        self._taking = taking
        self._then = then
        self.done: Receipt | None = None
        self.committed = 0
        self.read_while_written: list[int] = []

    def open_writer(self, plan: TablePlan, partition: Partition) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def write(self, batches: Iterator[pa.RecordBatch]) -> int:
        rows = 0
        for number, batch in enumerate(batches, 1):
            rows += batch.num_rows
            self.read_while_written.append(self._source.read)
            if number == self._taking:
                self._wait_for_a_full_queue()
                self._then()
        return rows

    def _wait_for_a_full_queue(self) -> None:
        full = min(len(self._source.batches), self._taking + 3)  # two are queued, one waits for its place
        for _ in range(1_000):
            if self._source.read >= full:
                return
            threading.Event().wait(0.01)
        raise AssertionError("the reader did not read ahead")

    def find_rejects(self, batch: pa.RecordBatch) -> Iterator[Refusal]:
        raise NotImplementedError

    def commit(self, receipt: Receipt) -> None:
        self.committed = receipt.rows

    def cancel(self) -> None: ...


def a_text_plan() -> TablePlan:
    plan = a_plan(a_table())
    (column,) = plan.columns
    route = Route(Form("text", pa.string(), pa.string()), Storage(pa.string()))
    return TablePlan(
        plan.transfer, plan.source, plan.target, (ColumnPlan(column.source, column.target, (route,)),)
    )


def texts(*lengths: int) -> list[pa.RecordBatch]:
    return [pa.record_batch({"id": pa.array(["x" * length])}) for length in lengths]


def copy(
    source: Rows,
    sink: Table,
    tracker: MemoryTracker,
    cancellation: Cancellation | None = None,
    *,
    reading: Slots = UNLIMITED,
    writing: Slots = UNLIMITED,
) -> Receipt:
    sizer = AdaptiveSizer(row_bytes=1 * MiB, ceiling_bytes=1 * MiB, table_rows=None, fixed_rows=1)
    reads: Source = source  # type: ignore[assignment]  # a pipe asks a source for readers and nothing else
    writes: Sink = sink  # type: ignore[assignment]  # and a sink for writers
    task = Task(a_text_plan(), Partition(0), Snapshot(), reads, writes, 1 * MiB)
    context = CopyContext(tracker, cancellation or Cancellation(), lambda event: None, reading, writing)
    return copy_partition(task, sizer, context)


@pytest.fixture
def tracker() -> MemoryTracker:
    return MemoryTracker(64 * MiB, readings=FakeReadings())


def test_a_copy_that_ends_gives_every_byte_back(tracker: MemoryTracker) -> None:
    source = Rows(texts(*[100_000] * 10))
    sink = Table(source)
    assert copy(source, sink, tracker).rows == sink.committed == 10
    assert tracker.leased == 0


def test_a_writer_that_fails_while_the_queue_is_full_gives_every_byte_back(tracker: MemoryTracker) -> None:
    source = Rows(texts(*[100_000] * 10))

    def fail() -> None:
        assert tracker.leased >= 300_000
        raise DataError("no")

    with pytest.raises(DataError, match="no"):
        copy(source, Table(source, taking=2, then=fail), tracker)
    assert tracker.leased == 0
    assert source.read < 10


def test_a_copy_that_is_stopped_gives_every_byte_back(tracker: MemoryTracker) -> None:
    source, cancellation = Rows(texts(*[100_000] * 10)), Cancellation()
    with pytest.raises(Cancelled):
        copy(source, Table(source, taking=2, then=cancellation.set), tracker, cancellation)
    assert tracker.leased == 0


def test_a_row_that_nobody_measured_is_refused_by_its_number_and_gives_every_byte_back(
    tracker: MemoryTracker,
) -> None:
    source = Rows(texts(1_000, 1_000, 6 * MiB, 1_000))
    sink = Table(source)
    with pytest.raises(MemoryLimitError, match=r"row of 6 MiB .* limit of 64 MiB .*row number 3") as caught:
        copy(source, sink, tracker)
    assert caught.value.row == "number 3"
    assert (sink.committed, tracker.leased) == (0, 0)


def test_a_row_wider_than_a_batch_goes_alone(tracker: MemoryTracker) -> None:
    source = Rows(texts(1_000, 3 * MiB, 3 * MiB, 3 * MiB))
    sink = Table(source)
    assert copy(source, sink, tracker).rows == 4
    assert sink.read_while_written[1:] == [2, 3, 4]


def test_a_channel_that_is_closed_lets_go_of_who_waits_for_it_to_drain(tracker: MemoryTracker) -> None:
    channel = Channel(2)
    (batch,) = texts(10)
    channel.put(Ready(batch, 10, tracker.acquire(10, Cancellation())))
    waiting = threading.Thread(target=channel.drain)
    waiting.start()
    channel.close()
    waiting.join(10)
    assert not waiting.is_alive()
    assert tracker.leased == 0


# -- turns -------------------------------------------------------------------------------------------------


class SlowCommit(Table):
    """A sink whose commit waits until it may go on."""

    def __init__(self, source: Rows) -> None:
        super().__init__(source)
        self.opened, self.committing, self.may_go_on = False, threading.Event(), threading.Event()

    def __enter__(self) -> Self:
        self.opened = True
        return self

    def commit(self, receipt: Receipt) -> None:
        self.committing.set()
        assert self.may_go_on.wait(10)
        super().commit(receipt)


def test_the_next_partition_is_read_ahead_while_the_one_writer_commits(tracker: MemoryTracker) -> None:
    first, second = Rows(texts(*[1_000] * 10)), Rows(texts(*[1_000] * 10))
    slow, next_one = SlowCommit(first), SlowCommit(second)
    next_one.may_go_on.set()
    one, other = Slots(1), Slots(1)
    with ThreadPoolExecutor(2) as pool:
        begun = pool.submit(copy, first, slow, tracker, reading=one, writing=other)
        assert slow.committing.wait(10)
        ahead = pool.submit(copy, second, next_one, tracker, reading=one, writing=other)
        for _ in range(1_000):
            if second.read >= 3:
                break
            time.sleep(0.01)
        assert (second.read, next_one.opened) == (3, False)  # two are queued, one waits for its place
        slow.may_go_on.set()
        assert begun.result(10).rows == ahead.result(10).rows == next_one.committed == 10
    assert tracker.leased == 0


def test_nothing_is_read_before_somebody_is_there_to_take_it(tracker: MemoryTracker) -> None:
    class Absent(Table):
        def __enter__(self) -> Self:
            raise TransientError("starting up")

    source = Rows(texts(1_000))
    with pytest.raises(TransientError):
        copy(source, Absent(source), tracker)
    assert source.read == 0  # a stream could not be read a second time


def test_a_pipe_that_is_stopped_while_it_waits_for_its_turn_gives_every_byte_back(
    tracker: MemoryTracker,
) -> None:
    source, cancellation, writing = Rows(texts(*[1_000] * 10)), Cancellation(), Slots(1)
    with ThreadPoolExecutor(1) as pool, writing.take(Cancellation()) as mine:
        waiting = pool.submit(copy, source, Table(source), tracker, cancellation, writing=writing)
        for _ in range(1_000):
            if source.read:
                break
            time.sleep(0.01)
        cancellation.set()
        mine()
        with pytest.raises(Cancelled):
            waiting.result(10)
    assert tracker.leased == 0
