"""Reads one partition ahead of its writer: a thread that reads, regroups, conforms and fingerprints.

Between the thread and the writer stands a channel of a few batches, each under a lease of the memory tracker.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from arrowsync.core.contracts import Source
from arrowsync.core.events import Event, Paused
from arrowsync.core.plan import ColumnPlan, Fingerprint, Partition, Snapshot, TablePlan
from arrowsync.engine import batches, fingerprint
from arrowsync.engine.deadline import Deadline
from arrowsync.engine.memory import Lease, MemoryTracker
from arrowsync.engine.sizing import AdaptiveSizer
from arrowsync.engine.stop import Stop

AHEAD = 2  # batches ready for the writer: with one, reader and driver take turns; more only cost memory


@dataclass(frozen=True, slots=True)
class Ready:
    """A conformed batch, its size as it was read, and the lease that holds its memory."""

    batch: pa.RecordBatch
    nbytes: int
    lease: Lease


Prepare = Callable[[pa.RecordBatch, Sequence[ColumnPlan]], tuple[pa.RecordBatch, Fingerprint]]


def conformed(batch: pa.RecordBatch, columns: Sequence[ColumnPlan]) -> tuple[pa.RecordBatch, Fingerprint]:
    """The batch as the target's driver takes it, and its fingerprint. Raises Refused, DataError."""
    arrays = batches.decode(batch, columns)
    of_rows = fingerprint.of_columns(arrays, columns)
    return batches.encode(arrays, columns, batch.num_rows), of_rows


def as_read(batch: pa.RecordBatch, columns: Sequence[ColumnPlan]) -> tuple[pa.RecordBatch, Fingerprint]:
    """The batch as it came: the careful way conforms and fingerprints what turns out to be good."""
    return batch, Fingerprint()


class Channel:
    """A bounded queue of one producer and one consumer; closing it wakes both."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: deque[Ready] = deque()
        self._changed = threading.Condition()
        self._hungry = False
        self._finished = False
        self._closed = False
        self._error: BaseException | None = None

    def put(self, item: Ready) -> bool:
        """Wait for room; False when the channel was closed instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._size)
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()
            return not self._closed

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
        """Wait for the next item; None at the end. Raises the producer's error."""
        with self._changed:
            self._hungry = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._items or self._finished or self._closed)
            self._hungry = False
            if self._items and not self._closed:
                item = self._items.popleft()
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
            item.lease.release()


class Prefetch:
    """One partition's batches, read ahead. A context manager: no thread outlives it."""

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
        stop: Stop,
        observe: Callable[[Event], None],
        prepare: Prepare = conformed,
    ) -> None:
        self._source = source
        self._plan = plan
        self._partition = partition
        self._snapshot = snapshot
        self._batch_bytes = batch_bytes
        self._sizer = sizer
        self._tracker = tracker
        self._stop = Stop(parent=stop)
        self._observe = observe
        self._prepare = prepare
        self._channel = Channel(AHEAD)
        self._thread = threading.Thread(target=self._run, name="arrowsync-read", daemon=True)
        self.fingerprint = Fingerprint()
        self.rows = 0
        self.bytes = 0
        self.query_seconds = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._channel.close()
        self._tracker.wake()
        self._thread.join()
        self._stop.__exit__()

    def take(self) -> Ready | None:
        """The next batch, None after the last; the taker releases its lease. Raises what stopped the reader.

        No iterator: a generator's frame would keep the batch alive while the next one waits for its memory.
        """
        ready = self._channel.get()
        if ready is None:
            self._stop.check()
        return ready

    def _run(self) -> None:
        try:
            self._read()
        except BaseException as error:  # the top of a thread: the writer must learn of everything
            self._channel.finish(error)
        else:
            self._channel.finish()

    def _read(self) -> None:
        with (
            self._source.open_reader(
                self._plan, self._partition, self._snapshot, batch_bytes=self._batch_bytes
            ) as reader,
            Deadline(self._plan.transfer.limits.batch_seconds, reader.cancel) as deadline,
            self._stop.calling(reader.cancel),
        ):
            self._tracker.rebase()  # drivers are loaded, connections open: from here on growth is rows
            started = time.monotonic()
            regrouped = batches.regroup(
                deadline.timing(iter(reader)), lambda: self._sizer.rows, lambda: self._sizer.ceiling_bytes
            )
            for batch in regrouped:
                wide = batches.nbytes(batch) > self._sizer.ceiling_bytes
                if not self._offer(batch):
                    return
                del batch  # or it would stay in memory while the next one is read
                if wide:
                    self._channel.drain()  # a row that goes alone: the next is not read while it is written
            self.query_seconds = time.monotonic() - started

    def _offer(self, batch: pa.RecordBatch) -> bool:
        nbytes = batches.nbytes(batch)
        if batch.num_rows == 1:
            # Where nobody could tell before; rows are counted as they are read.
            self._tracker.check_row(nbytes, f"number {self.rows + 1:,}")
        self.rows += batch.num_rows
        lease = self._tracker.acquire(nbytes, self._stop, owner=self)
        if lease.waited_seconds:
            self._tell_pause(lease.waited_seconds)
        try:
            prepared, of_rows = self._prepare(batch, self._plan.columns)
            self.fingerprint += of_rows
            self.bytes += nbytes
            ready = Ready(prepared, nbytes, lease)
        except BaseException:
            lease.release()
            raise
        if self._channel.put(ready):
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
