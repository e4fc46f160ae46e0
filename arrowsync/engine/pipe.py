"""Copies one partition: read ahead, write, commit. partition_attempt.py retries, table_run.py resumes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pyarrow as pa

from arrowsync.core.contracts import Sink, Source, Writer
from arrowsync.core.events import BatchWritten, Event, LockAwaited, PartitionCommitted
from arrowsync.core.plan import Snapshot, TablePlan
from arrowsync.core.receipts import Partition, Receipt
from arrowsync.core.waits import told
from arrowsync.engine import quarantine
from arrowsync.engine.cancellation import Cancellation
from arrowsync.engine.deadline import Deadline
from arrowsync.engine.fingerprint import ALGORITHM
from arrowsync.engine.memory import MemoryTracker, trim
from arrowsync.engine.prefetch import Prefetch, Ready
from arrowsync.engine.replacing import commit
from arrowsync.engine.sizing import AdaptiveSizer
from arrowsync.engine.slots import Slots


@dataclass(frozen=True, slots=True)
class Task:
    """One partition to copy: values only, so that it can be sent to another process."""

    plan: TablePlan
    partition: Partition
    snapshot: Snapshot
    source: Source
    sink: Sink
    batch_bytes: int  # the largest batch that memory allows this pipe
    slices: tuple[Partition, ...] = ()  # of the partition, where several may read it
    readers: int = 1
    ahead_bytes: int = 0  # what each of several readers holds until its turn
    alone: bool = False  # no other partition is under way that could leave it a connection: it has to wait
    batch_by_batch: bool = False  # an ingest for each, so that the target's answer covers one batch


def table_sizer(plan: TablePlan, ceiling_bytes: int) -> AdaptiveSizer:
    """A sizer that knows of the table what the plan does."""
    return AdaptiveSizer(
        row_bytes=plan.row_bytes,
        ceiling_bytes=ceiling_bytes,
        table_rows=plan.source.rows,
        fixed_rows=plan.transfer.limits.batch_rows,
    )


UNLIMITED = Slots(1_000)  # more than there are ever partitions under way in one process


@dataclass(frozen=True, slots=True)
class CopyContext:
    """What the pipes of one process share."""

    tracker: MemoryTracker
    cancellation: Cancellation
    observe: Callable[[Event], None]
    # One pipe more than may read or write at once: it reads ahead while another one commits.
    reading: Slots = UNLIMITED
    writing: Slots = UNLIMITED

    def reporting_locks(self, table: str) -> AbstractContextManager[None]:
        """Who observes is told when a connection that is opened inside waits for somebody's lock."""
        return told(lambda wait: self.observe(LockAwaited(table=table, wait=wait)))


# Batches of a partition's first ingests; all further ones are one. PostgreSQL tells of a bad row when the
# stream ends, and where many are bad the first one comes early.
PROBES = (1, 8)


def copy_partition(task: Task, sizer: AdaptiveSizer, context: CopyContext) -> Receipt:
    """Read the partition ahead, ingest its batches in one transaction of the target, commit with a receipt.

    Raises what the reader or the target raised, Refused when a column's form cannot carry its values; nothing
    of the partition is in the target then.
    """
    with _reading_ahead(task, sizer, context) as feed, context.writing.take(context.cancellation):
        started = time.monotonic()
        writer = task.sink.open_writer(task.plan, task.partition)
        # From here to the commit's answer: a claim may wait for another run's, a network may stall in COMMIT.
        with context.cancellation.calling(writer.cancel), writer:
            if writer.done is not None:
                return found(writer.done, task, context)
            rows = _write(writer, feed, task, sizer, context)
            feed.close()
            receipt = _receipt(task, rows, feed)
            # What an attempt left that refused rows and was not committed.
            quarantine.remove(task.plan, task.partition)
            commit(writer, receipt, task.plan, task.sink)
        # The next partition's threads use what they find: without this 8 partitions took 33 MiB more than 2
        # in a process with a heap for each thread, 3 more in one with one heap.
        trim()
        _tell_committed(receipt, task, context, time.monotonic() - started, feed.query_seconds)
        return receipt


@contextmanager
def _reading_ahead(task: Task, sizer: AdaptiveSizer, context: CopyContext) -> Iterator[Prefetch]:
    """The partition's batches; they are read while another partition still writes."""
    with (
        context.reading.take(context.cancellation) as all_read,
        _prefetch(task, sizer, context, all_read) as feed,
    ):
        if not context.writing.is_free():
            feed.start()  # but not before somebody is there to take the rows: a stream is read once
        yield feed


def _receipt(task: Task, rows: int, feed: Prefetch) -> Receipt:
    return Receipt(
        task.partition.number,
        rows,
        feed.fingerprint,
        feed.bytes,
        fell_back=task.plan.fell_back,
        algorithm=ALGORITHM,
    )


def found(receipt: Receipt, task: Task, context: CopyContext) -> Receipt:
    """Tell of a partition that turned out to be in: the connection was lost after its commit."""
    _tell_committed(receipt, task, context, seconds=0.0, query_seconds=0.0)
    return receipt


def _tell_committed(
    receipt: Receipt, task: Task, context: CopyContext, seconds: float, query_seconds: float
) -> None:
    table = str(task.plan.source.name)
    context.observe(
        PartitionCommitted(table=table, receipt=receipt, seconds=seconds, query_seconds=query_seconds)
    )


def _prefetch(
    task: Task, sizer: AdaptiveSizer, context: CopyContext, all_read: Callable[[], None]
) -> Prefetch:
    return Prefetch(
        task.source,
        task.plan,
        task.partition,
        task.snapshot,
        batch_bytes=task.batch_bytes,
        sizer=sizer,
        tracker=context.tracker,
        cancellation=context.cancellation,
        observe=context.observe,
        slices=task.slices,
        readers=task.readers,
        ahead_bytes=task.ahead_bytes,
        done=all_read,
    )


def _write(writer: Writer, feed: Prefetch, task: Task, sizer: AdaptiveSizer, context: CopyContext) -> int:
    """One ingest of all batches after the probes, or one for each; the rows they took.

    The clock runs only while the driver has control; it may wait for a lock before it pulls the first batch.
    """
    with Deadline(task.plan.transfer.limits.batch_seconds, writer.cancel) as deadline:

        def pulled(most: float) -> Iterator[pa.RecordBatch]:
            deadline.stop()
            while most and (ready := feed.take()) is not None:
                most -= 1
                with ready.lease:
                    deadline.start()
                    started = time.monotonic()
                    yield ready.batch
                    # The driver comes back for more: it has let go of the batch before.
                    seconds = time.monotonic() - started
                    deadline.stop()
                _written(ready, seconds, task, sizer, context)
                del ready  # or its memory would wait with us for the next one
            deadline.start()

        def each() -> Iterator[int]:
            while (ready := feed.take()) is not None:
                started = time.monotonic()
                with ready.lease, deadline.running():
                    rows = writer.write(iter([ready.batch]))
                _written(ready, time.monotonic() - started, task, sizer, context)
                del ready  # as above
                yield rows

        if task.batch_by_batch:
            return sum(each())
        rows = 0
        for most in (math.inf,) if task.plan.refers_to_itself else (*PROBES, math.inf):
            with deadline.running():
                rows += writer.write(pulled(most))
        return rows


def _written(ready: Ready, seconds: float, task: Task, sizer: AdaptiveSizer, context: CopyContext) -> None:
    rows = ready.batch.num_rows
    if context.tracker.pressure:
        sizer.shrink()
    else:
        sizer.observe(rows, ready.nbytes, seconds)
    context.observe(
        BatchWritten(
            table=str(task.plan.source.name),
            partition=task.partition.number,
            rows=rows,
            bytes=ready.nbytes,
            seconds=seconds,
            next_rows=sizer.rows,
            memory=context.tracker.used,
        )
    )
