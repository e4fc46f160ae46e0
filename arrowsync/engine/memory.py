"""Keeps the process inside its memory limit: what is in use, and who may go on. Moving rows is the pipe's."""

from __future__ import annotations

import ctypes
import gc
import math
import os
import resource
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Protocol, Self

import psutil
import pyarrow as pa

from arrowsync import allocators
from arrowsync.core.plan import TablePlan
from arrowsync.core.table import Widths
from arrowsync.core.units import MiB, format_bytes
from arrowsync.engine.cancellation import Cancelled
from arrowsync.errors import MemoryLimitError

PAUSE_AT = 0.80  # of the limit; drivers allocate outside our count, 20 % is their room
RESUME_AT = 0.60  # well below, so that readers do not stop and start with every batch

PIPE_BYTES = 25 * MiB  # what a pipe costs beside its batches, measured on SQLite → PostgreSQL
BATCH_COPIES = 12  # and how often it costs a batch: read, cast, queued, encoded, sent, not yet given back
SMALLEST_BATCH = 1 * MiB  # below that calls outweigh rows: use fewer pipes
# A reader's, with what it holds ahead of its turn, and what the one writer gathers: PostgreSQL → Parquet took
# 124 MiB of 128 with two readers, 239 of 256 with four.
READER_BYTES = 96 * MiB
# Ahead of its turn a reader holds a slice: as long as the others' slices are written, it need not wait.
# PostgreSQL → Parquet took 8.4 – 9.1 s with 8, 16 and 32 MiB alike, two readers on two cores.
LARGEST_SLICE = 8 * MiB
ROW_COPIES = 7  # one row of 64 MiB cost 205 – 220 MiB; one after another 412, PostgreSQL → PostgreSQL
NARROW = Widths(())  # nothing known that matters

RESAMPLE_SECONDS = 0.05  # RSS falls without anybody telling us, so a waiting reader looks now and then
RELIEF_SECONDS = 1.0  # between two reliefs; gc.collect() takes 8 ms in a bare process, seconds in a notebook


class Readings(Protocol):
    """What the process uses, in bytes."""

    def pool(self) -> int:
        """Arrow's memory pool."""
        ...

    def rss(self) -> int: ...

    def peak(self) -> int:
        """The largest RSS since the process began."""
        ...


class Signal(Protocol):
    """What `acquire` asks of a stop event."""

    def is_set(self) -> bool: ...


class ProcessReadings:
    """This process's memory: 6 µs a reading."""

    def __init__(self) -> None:
        # pyarrow imports pandas, where it is installed, when it first converts a Python value: 50 MiB
        # that belong to no transfer.
        pa.scalar(0)
        self._process = psutil.Process()

    def pool(self) -> int:
        return int(pa.total_allocated_bytes())

    def rss(self) -> int:
        return self._process.memory_info().rss

    def peak(self) -> int:
        # The kernel's own maximum: it sees what comes and goes inside a driver call. macOS counts bytes.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def relieve() -> None:
    """Give memory back to the system: Python's cycles, Arrow's pool, glibc's free lists."""
    gc.collect()
    trim()


def trim() -> None:
    """Give the free lists back to the system, Arrow's and glibc's: a few ms."""
    pa.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError):  # macOS and musl have no malloc_trim
        ctypes.CDLL(None).malloc_trim(0)


def widths_of(plan: TablePlan) -> Widths:
    """The rows' widths, as far as they are known, with what reader and writer hold besides."""
    widths = plan.source.widths or NARROW
    return replace(widths, held=widths.held + plan.held)


def concurrency_for(limit: int, wanted: int, widths: Widths = NARROW) -> int:
    """How many pipes fit the limit without batches below 1 MiB, each with the widest row; at least one."""
    smallest = PIPE_BYTES + widths.held + max(BATCH_COPIES * SMALLEST_BATCH, ROW_COPIES * widths.widest)
    return max(1, min(wanted, limit // smallest))


def readers_for(limit: int, wanted: int, widths: Widths = NARROW) -> int:
    """How many readers of one partition fit the limit; at least one."""
    return max(1, min(wanted, limit // READER_BYTES, concurrency_for(limit, wanted, widths)))


def slice_bytes(limit: int) -> int:
    """What each of several readers reads in its turn, and holds until then."""
    return min(LARGEST_SLICE, limit // 64)


def batch_ceiling(limit: int, pipes: int, widths: Widths = NARROW) -> int:
    """The largest batch, in bytes, that each of so many pipes may move beside the widest row."""
    # A third less than the copies allow: SQLite → PostgreSQL at 64 MiB took 67 MiB without, 47 – 50 with.
    room = limit // pipes - PIPE_BYTES - widths.held - ROW_COPIES * widths.widest
    return max(SMALLEST_BATCH, room * 2 // (3 * BATCH_COPIES))


class Lease:
    """Bytes in flight, which count until it is released, and for whom they are. A context manager."""

    def __init__(self, tracker: MemoryTracker, nbytes: int, owner: object, waited_seconds: float) -> None:
        self.nbytes = nbytes
        self.owner = owner
        self.waited_seconds = waited_seconds
        self._tracker = tracker
        self._released = False

    def release(self) -> None:
        """Let go, from any thread; a second time does nothing."""
        with self._tracker._changed:
            if not self._released:
                self._released = True
                self._tracker._give_back(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


class MemoryTracker:
    """What is in use against the limit, and the leases of what is in flight. For any number of threads.

    RSS is the truth, since drivers allocate outside Arrow's pool; leases act before it is too late. One lease
    of each owner is always admitted, so growth that is not ours slows a pipe to one batch at a time and never
    stops it; nor do the leases of another, which may be a stream whose consumer is this very pipe. The rule
    that keeps it so: lease what goes to a writer. A reader that waits while it holds a lease that no writer
    will release waits for itself.
    """

    def __init__(
        self,
        limit: int,
        *,
        readings: Readings | None = None,
        relieve: Callable[[], None] = relieve,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pauses = 0
        self.paused_seconds = 0.0
        self._limits = [limit]
        self._readings = readings or ProcessReadings()
        self._relieve = relieve
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._paused = False
        self._leases: Counter[object] = Counter()  # of each owner
        self._leased = 0
        self._relief_due = clock()
        self._start = self._largest = self._rss = self._readings.rss()
        self._pool = self._readings.pool()
        self._highest_before = self._readings.peak()
        self._rebased = False

    # -- readings ----------------------------------------------------------------------------------------

    @property
    def limit(self) -> int:
        """The smallest limit of the transfers that run now."""
        return min(self._limits)

    @property
    def leased(self) -> int:
        return self._leased

    @property
    def used(self) -> int:
        """Bytes in use: the largest of Arrow's pool, RSS (both as growth since `rebase`) and leases."""
        with self._changed:
            rss = self._readings.rss()
            self._largest = max(self._largest, rss)
            return max(rss - self._rss, self._readings.pool() - self._pool, self._leased)

    @property
    def peak(self) -> int:
        """The largest growth of RSS over the start, in bytes, drivers and connections included."""
        with self._changed:
            self._largest = max(self._largest, self._readings.rss())
            highest = self._readings.peak()
            # Older peaks are not ours: only a record that was broken since the start counts.
            return max(self._largest, highest if highest > self._highest_before else 0) - self._start

    @property
    def pressure(self) -> bool:
        """Whether more than 80 % of the limit is in use: time for smaller batches."""
        return self.used > PAUSE_AT * self.limit

    def rebase(self) -> None:
        """Drivers are loaded, connections open: from here on growth is rows. Only the first call counts."""
        with self._changed:
            if not self._rebased:
                self._rss, self._pool, self._rebased = self._readings.rss(), self._readings.pool(), True

    def check(self, widths: Widths) -> None:
        """Raises MemoryLimitError when such a table cannot pass a single pipe inside the limit."""
        self.check_row(widths.widest, widths.row)
        needed = PIPE_BYTES + widths.held + ROW_COPIES * widths.widest
        what = f"holding {format_bytes(widths.held)} of dictionaries, pages and footers"
        # Advised is a limit at which it does not pause all the time: 68 MiB of dictionaries took 109.
        self._check(needed, what, advised=int(needed / PAUSE_AT), column=widths.holder)

    def check_row(self, nbytes: int, row: str | None) -> None:
        """Raises MemoryLimitError when a single row of so many bytes cannot pass a pipe inside the limit."""
        needed = PIPE_BYTES + ROW_COPIES * nbytes
        self._check(needed, f"a row of {format_bytes(nbytes)}", advised=needed, row=row)

    def _check(self, needed: int, what: str, *, advised: int, **where: str | None) -> None:
        if needed > self.limit:
            wanted = format_bytes(math.ceil(advised / MiB) * MiB)
            raise MemoryLimitError(
                f"{what} does not fit a memory limit of {format_bytes(self.limit)}",
                hint=f"Give it {wanted}: --memory, or Limits(memory=…)",
            ).at(**where)

    # -- leases ------------------------------------------------------------------------------------------

    def acquire(self, nbytes: int, cancellation: Signal, *, owner: object = None) -> Lease:
        """Lease bytes, waiting while memory is short, first come first served. Raises Cancelled.

        `owner` is the pipe that they are for: it does not wait while it has no other lease.
        """
        ticket = object()
        with self._changed:
            if self.pressure:
                self._relieve_when_due()
            self._waiting.append(ticket)
            try:
                seconds = self._wait(lambda: self._admits(ticket, nbytes, owner), cancellation)
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
            self._leases[owner] += 1
            self._leased += nbytes
        return Lease(self, nbytes, owner, seconds)

    def wake(self) -> None:
        """Make waiting readers look at their stop events: for whoever has set one."""
        with self._changed:
            self._changed.notify_all()

    def _admits(self, ticket: object, nbytes: int, owner: object) -> bool:
        if owner not in self._leases:
            return True
        if self._waiting[0] is not ticket:
            return False
        used = max(self.used, self._leased + nbytes)
        self._paused = used > (RESUME_AT if self._paused else PAUSE_AT) * self.limit
        return not self._paused

    def _wait(self, admitted: Callable[[], bool], cancellation: Signal) -> float:
        """Wait, holding the lock in between, until admitted; the seconds it took, 0 when it did not wait."""
        began: float | None = None
        try:
            while not cancellation.is_set():
                if admitted():
                    return 0.0 if began is None else self._clock() - began
                began = self._clock() if began is None else began
                self._relieve_when_due()
                self._changed.wait(RESAMPLE_SECONDS)
            raise Cancelled("cancelled while waiting for memory")
        finally:
            if began is not None:
                self.pauses += 1
                self.paused_seconds += self._clock() - began

    def _relieve_when_due(self) -> None:
        began = self._clock()
        if began < self._relief_due:
            return
        self._relief_due = math.inf
        self._changed.release()  # nobody's release may wait for a collection
        try:
            self._relieve()
        finally:
            self._changed.acquire()
            now = self._clock()
            self._relief_due = now + max(RELIEF_SECONDS, 10 * (now - began))

    def _give_back(self, lease: Lease) -> None:
        self._leases[lease.owner] -= 1
        if not self._leases[lease.owner]:
            del self._leases[lease.owner]
        self._leased -= lease.nbytes
        self._changed.notify_all()


# Where pyarrow was loaded before arrowsync could choose its allocators: its Python part at least can use
# another pool. None, or the one that was there before.
_usual_pools: list[pa.MemoryPool] = []


def _use_lean_pool() -> None:
    """Arrow's memory from malloc while the transfer runs, unless the user has chosen a pool."""
    if allocators.POOL not in os.environ:
        _usual_pools.append(pa.default_memory_pool())
        pa.set_memory_pool(pa.system_memory_pool())


_lock = threading.Lock()
_trackers: list[MemoryTracker] = []  # none, or the process's one


@contextmanager
def process_tracker(limit: int) -> Iterator[MemoryTracker]:
    """The process's tracker, for the length of a transfer.

    Transfers that run at the same time share it, because RSS cannot be told apart: the smallest of their
    limits counts for all, and start, peak and pauses are those of the first.
    """
    with _lock:
        if _trackers:
            _trackers[0]._limits.append(limit)
        else:
            allocators.one_heap()
            _use_lean_pool()
            _trackers.append(MemoryTracker(limit))
        tracker = _trackers[0]
    try:
        yield tracker
    finally:
        with _lock:
            if len(tracker._limits) > 1:
                tracker._limits.remove(limit)  # and the limit stays readable after the last
            else:
                _trackers.clear()
                while _usual_pools:
                    pa.set_memory_pool(_usual_pools.pop())
