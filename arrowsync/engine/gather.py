"""Submits partitions and gathers what becomes of them, wherever they are copied."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

from arrowsync.core.plan import Receipt
from arrowsync.engine.pipe import Task
from arrowsync.engine.quarantine import Tally
from arrowsync.engine.stop import Stop, Stopped
from arrowsync.errors import ArrowsyncError, SnapshotLost, TransientError

T = TypeVar("T")


def gather(
    tasks: Sequence[Task],
    submit: Callable[[Task], Future[T]],
    receive: Callable[[Future[T]], Receipt],
    tally: Tally,
    at_once: int,
    stop: Stop,
    withdraw: Callable[[Future[T]], object],
) -> tuple[list[Receipt], list[ArrowsyncError]]:
    """Receipts in partition order, and errors; at most `at_once` tasks are submitted and not done.

    What keeps failing is left out. Any other error, and an interrupt, sets `stop` and begins nothing more;
    what `withdraw` does not cancel is under way by then, and received all the same.
    """
    receipts: list[Receipt] = []
    errors: list[ArrowsyncError] = []
    waiting, running = deque(tasks), set[Future[T]]()
    done: SimpleQueue[Future[T]] = SimpleQueue()

    def fail(error: ArrowsyncError) -> None:
        if not isinstance(error, Stopped):  # told to, because of an error that is reported
            errors.append(error)
        if not isinstance(error, TransientError | SnapshotLost):
            end()

    def end() -> None:
        waiting.clear()
        stop.set()
        for future in tuple(running):
            withdraw(future)

    def submit_more() -> None:
        while waiting and len(running) < at_once:
            try:
                future = submit(waiting.popleft())
            except ArrowsyncError as error:
                fail(error)
                return
            running.add(future)
            future.add_done_callback(done.put)

    def take(future: Future[T]) -> None:
        try:
            receipts.append(receive(future))
            tally.settle(receipts[-1])
            tally.check()
        except ArrowsyncError as error:
            fail(error)

    try:
        submit_more()
        while running:
            future = done.get()
            running.discard(future)
            if not (future.cancelled() and stop.is_set()):
                take(future)
            submit_more()
    except BaseException:
        end()
        for future in running:  # what could not be cancelled ends by itself, and may have committed
            if not future.cancelled():
                take(future)
        raise
    return sorted(receipts, key=lambda receipt: receipt.partition), errors
