"""Reads one partition ahead of its writer: threads that read, regroup, conform and fingerprint.

Between a thread and the writer stands a channel of a few batches, each under a lease of the memory tracker.
Where there are several threads each reads every so many-th slice of the partition, ahead of its turn.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from arrowsync.core.contracts import Source
from arrowsync.core.events import Event, Paused
from arrowsync.core.plan import Snapshot, TablePlan
from arrowsync.core.receipts import Fingerprint, Partition
from arrowsync.engine import batches, fingerprint
from arrowsync.engine.cancellation import Cancellation
from arrowsync.engine.deadline import Deadline
from arrowsync.engine.memory import Lease, MemoryTracker
from arrowsync.engine.sizing import AdaptiveSizer
from arrowsync.errors import ConnectionRefused, MemoryLimitError

AHEAD = 2  # batches ready for the writer: with one, reader and driver take turns; more only cost memory


@dataclass(frozen=True, slots=True)
class Ready:
    """A conformed batch, its size as it was read, and the lease that holds its memory."""

    batch: pa.RecordBatch
    nbytes: int
    lease: Lease


Prepare = Callable[[pa.RecordBatch, TablePlan], tuple[pa.RecordBatch, Fingerprint]]


def conformed(batch: pa.RecordBatch, plan: TablePlan) -> tuple[pa.RecordBatch, Fingerprint]:
    """The batch as the target's driver takes it, and its fingerprint. Raises Refused, DataError."""
    arrays = batches.decode(batch, plan.columns)
    of_rows = fingerprint.of_rows(arrays, plan)
    return batches.encode(arrays, plan.columns, batch.num_rows), of_rows


def as_read(batch: pa.RecordBatch, plan: TablePlan) -> tuple[pa.RecordBatch, Fingerprint]:
    """The batch as it came: reject_copy.py conforms and fingerprints what turns out to be good."""
    return batch, Fingerprint()


class Channel:
    """A bounded queue of one producer and one consumer; closing it wakes both.

    It is full with `size` items that together have `nbytes`.
    """

    def __init__(self, size: int, nbytes: int = 0) -> None:
        self._size = size
        self._nbytes = nbytes
        self._items: deque[Ready | None] = deque()
        self._queued = 0  # bytes
        self._changed = threading.Condition()
        self._hungry = False
        self._finished = False
        self._closed = False
        self._error: BaseException | None = None

    def put(self, item: Ready) -> bool:
        """Wait for room; False when the channel was closed instead."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or len(self._items) < self._size or self._queued < self._nbytes
            )
            if not self._closed:
                self._items.append(item)
                self._queued += item.nbytes
                self._changed.notify_all()
            return not self._closed

    def mark(self) -> None:
        """The consumer gets None here: what follows has to wait for its turn."""
        with self._changed:
            self._items.append(None)
            self._changed.notify_all()

    def drain(self) -> None:
        """Wait until the consumer has come back from the last item for another one."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._hungry and not self._items))

    def finish(self, error: BaseException | None = None) -> None:
        """No more items; the consumer gets `error` after the last one."""
        with self._changed:
            self._finished, self._error = True, error
            self._changed.notify_all()

    def get(self) -> Ready | None:
        """Wait for the next item; None at a mark and at the end. Raises the producer's error."""
        with self._changed:
            self._hungry = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._items or self._finished or self._closed)
            self._hungry = False
            if self._items and not self._closed:
                item = self._items.popleft()
                self._queued -= item.nbytes if item else 0
                self._changed.notify_all()
                return item
            if self._error is not None:
                raise self._error
            return None

    def close(self) -> None:
        """Let go of what waits inside, and of whoever waits outside."""
        with self._changed:
            self._closed = True
            items, self._items = self._items, deque()
            self._changed.notify_all()
        for item in items:
            if item:
                item.lease.release()


class _Ahead:
    """What one thread reads, and what has come of it; the owner of its leases, so that each gets one."""

    def __init__(self, slices: Sequence[Partition], channel: Channel) -> None:
        self.slices = slices
        self.channel = channel
        self.fingerprint = Fingerprint()
        self.bytes = 0
        self.query_seconds = 0.0


class Prefetch:
    """One partition's batches in order, read ahead. A context manager: no thread outlives it.

    `slices` are the partition's, read by at most `readers` at once, each `ahead_bytes` ahead of its turn.
    `done` is called, from a thread, when everything is read and the source's connections are closed.
    """

    def __init__(
        self,
        source: Source,
        plan: TablePlan,
        partition: Partition,
        snapshot: Snapshot,
        *,
        batch_bytes: int,
        sizer: AdaptiveSizer,
        tracker: MemoryTracker,
        cancellation: Cancellation,
        observe: Callable[[Event], None],
        prepare: Prepare = conformed,
        slices: Sequence[Partition] = (),
        readers: int = 1,
        ahead_bytes: int = 0,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        self._source = source
        self._plan = plan
        self._partition = partition
        self._snapshot = snapshot
        self._batch_bytes = batch_bytes
        self._sizer = sizer
        self._tracker = tracker
        self._cancellation = Cancellation(parent=cancellation)
        self._observe = observe
        self._prepare = prepare
        slices = slices if readers > 1 and slices else (partition,)
        readers = min(readers, len(slices))
        self._readers = [_Ahead(slices[n::readers], Channel(AHEAD, ahead_bytes)) for n in range(readers)]
        self._threads = [
            threading.Thread(target=self._run, args=(ahead,), name="arrowsync-read", daemon=True)
            for ahead in self._readers
        ]
        self._slots = deque(self._readers[n % readers] for n in range(len(slices)))
        self._done = done
        self._others = threading.Semaphore(readers - 1)  # who does not find one is the last thread to end
        self._taken = 0  # rows

    @property
    def fingerprint(self) -> Fingerprint:
        return sum((ahead.fingerprint for ahead in self._readers), Fingerprint())

    @property
    def bytes(self) -> int:
        return sum(ahead.bytes for ahead in self._readers)

    @property
    def query_seconds(self) -> float:
        """The longest of the source's queries."""
        return max(ahead.query_seconds for ahead in self._readers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End what is still being read; nothing is taken after it. A second time does nothing."""
        self._cancellation.set()
        for ahead in self._readers:
            ahead.channel.close()
        self._tracker.wake()
        for thread in self._threads:
            if thread.ident is not None:  # started
                thread.join()
        self._cancellation.__exit__()

    def start(self) -> None:
        """Read ahead; from the first `take` at the latest."""
        if self._threads[0].ident is None:
            for thread in self._threads:
                thread.start()

    def take(self) -> Ready | None:
        """The next batch, None after the last; the taker releases its lease. Raises what stopped the reader.

        No iterator: a generator's frame would keep the batch alive while the next one waits for its memory.
        """
        self.start()
        while self._slots:
            try:
                ready = self._slots[0].channel.get()
            except MemoryLimitError as error:  # of the row behind those that were taken
                error.at(row=f"number {self._taken + 1:,}")
                raise
            if ready is not None:
                self._taken += ready.batch.num_rows
                return ready
            self._cancellation.check()
            self._slots.popleft()
        return None

    def _run(self, ahead: _Ahead) -> None:
        failure: BaseException | None = None
        try:
            self._read(ahead)
        except BaseException as error:  # the top of a thread: the writer must learn of everything
            failure = error
        if not self._others.acquire(blocking=False):
            self._done()
        # The writer need not come to the slices of a reader without a connection to know that it is one less.
        for each in self._readers if isinstance(failure, ConnectionRefused) else [ahead]:
            each.channel.finish(failure)

    def _read(self, ahead: _Ahead) -> None:
        with (
            self._source.open_reader(
                self._plan, self._partition, self._snapshot, batch_bytes=self._batch_bytes
            ) as reader,
            Deadline(self._plan.transfer.limits.batch_seconds, reader.cancel) as deadline,
            self._cancellation.calling(reader.cancel),
        ):
            self._tracker.rebase()  # drivers are loaded, connections open: from here on growth is rows
            for number, part in enumerate(ahead.slices):
                if number:
                    ahead.channel.mark()
                stream = iter(reader) if part is self._partition else reader.slice(part)
                if not self._pass_on(deadline.timing(stream, first=number > 0), ahead):
                    return

    def _pass_on(self, stream: Iterator[pa.RecordBatch], ahead: _Ahead) -> bool:
        """Whether all of the stream went into the channel; no when that was closed."""
        started = time.monotonic()
        for batch in batches.regroup(stream, lambda: self._sizer.rows, lambda: self._sizer.ceiling_bytes):
            wide = batches.nbytes(batch) > self._sizer.ceiling_bytes
            if not self._offer(batch, ahead):
                return False
            del batch  # or it would stay in memory while the next one is read
            if wide:
                ahead.channel.drain()  # a row that goes alone: the next is not read while it is written
        ahead.query_seconds = max(ahead.query_seconds, time.monotonic() - started)
        return True

    def _offer(self, batch: pa.RecordBatch, ahead: _Ahead) -> bool:
        nbytes = batches.nbytes(batch)
        if batch.num_rows == 1:
            self._tracker.check_row(
                batches.row_bytes(batch), None
            )  # where nobody could tell before; `take` knows its number
        lease = self._tracker.acquire(nbytes, self._cancellation, owner=ahead)
        if lease.waited_seconds:
            self._tell_pause(lease.waited_seconds)
        try:
            prepared, of_rows = self._prepare(batch, self._plan)
            ahead.fingerprint += of_rows
            ahead.bytes += nbytes
            ready = Ready(prepared, nbytes, lease)
        except BaseException:
            lease.release()
            raise
        if ahead.channel.put(ready):
            return True
        lease.release()
        return False

    def _tell_pause(self, seconds: float) -> None:
        self._observe(
            Paused(
                table=str(self._plan.source.name),
                partition=self._partition.number,
                seconds=seconds,
                memory=self._tracker.used,
            )
        )
