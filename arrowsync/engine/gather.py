"""Submits partitions and gathers what becomes of them, wherever they are copied."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from queue import SimpleQueue
from typing import TypeVar

from arrowsync.core.events import FewerConnections
from arrowsync.core.plan import Receipt
from arrowsync.engine.pipe import Surroundings, Task
from arrowsync.engine.quarantine import Tally
from arrowsync.engine.stop import Stopped
from arrowsync.errors import ArrowsyncError, ConnectionRefused, SnapshotLost, TransientError

T = TypeVar("T")


def gather(
    tasks: Sequence[Task],
    submit: Callable[[Task], Future[T]],
    receive: Callable[[Future[T]], Receipt],
    tally: Tally,
    at_once: int,
    around: Surroundings,
    withdraw: Callable[[Future[T]], object],
) -> tuple[list[Receipt], list[ArrowsyncError]]:
    """Receipts in partition order, and errors; at most `at_once` tasks are submitted and not done.

    What keeps failing is left out; what is refused a connection waits until another one is done. Any other
    error, and an interrupt, sets `stop` and begins nothing more; what `withdraw` does not cancel is under way
    by then, and received all the same.
    """
    receipts: list[Receipt] = []
    errors: list[ArrowsyncError] = []
    waiting, running = deque(tasks), dict[Future[T], Task]()
    done: SimpleQueue[Future[T]] = SimpleQueue()
    stop, told = around.stop, False

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

    def give_way(task: Task, refused: ConnectionRefused) -> None:
        """Go on with fewer at once: no more than have their connections now."""
        nonlocal at_once, told
        if task.alone or stop.is_set():
            fail(refused)
            return end()  # the others would wait as long, one after the other
        if task.readers > 1:
            again = [_with_readers(each, task.readers // 2) for each in (task, *waiting)]
            waiting.clear()
            waiting.extend(again)
        else:
            at_once = max(1, len(running))
            waiting.appendleft(replace(task, alone=not running))
        if not told and (task.readers > 1 or running):
            told = True
            around.observe(FewerConnections(table=str(task.plan.source.name), error=refused.message))

    def submit_more() -> None:
        while waiting and len(running) < at_once:
            task = waiting.popleft()
            try:
                future = submit(task)
            except ArrowsyncError as error:
                fail(error)
                return
            running[future] = task
            future.add_done_callback(done.put)

    def take(future: Future[T], task: Task) -> None:
        try:
            receipts.append(receive(future))
            tally.settle(receipts[-1])
            tally.check()
        except ConnectionRefused as refused:
            give_way(task, refused)
        except ArrowsyncError as error:
            fail(error)

    try:
        submit_more()
        while running:
            future = done.get()
            task = running.pop(future)
            if not (future.cancelled() and stop.is_set()):
                take(future, task)
            submit_more()
    except BaseException:
        end()
        for (
            future,
            task,
        ) in running.items():  # what could not be cancelled ends by itself, and may have committed
            if not future.cancelled():
                take(future, task)
        raise
    return sorted(receipts, key=lambda receipt: receipt.partition), errors


def _with_readers(task: Task, most: int) -> Task:
    return replace(task, readers=min(task.readers, most))
