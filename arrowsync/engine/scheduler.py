"""Submits a table's partitions, wherever they are copied, and collects their receipts and errors."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from arrowsync.core.events import FewerConnections
from arrowsync.core.receipts import Receipt
from arrowsync.engine.cancellation import Cancelled
from arrowsync.engine.pipe import CopyContext, Task
from arrowsync.engine.quarantine import Tally
from arrowsync.errors import ArrowsyncError, ConnectionRefused, SnapshotLost, TransientError

T = TypeVar("T")

LOOK_SECONDS = 0.5  # for a Ctrl-C that did not end the wait: it came just before, or to another thread


class Scheduler(Generic[T]):
    """Partitions under way: at most `at_once` tasks are submitted and not done. For one thread.

    A partition that keeps failing is left out; one that is refused a connection waits until another one is
    done. Any other error, and an interrupt, sets the cancellation and begins nothing more; what `withdraw`
    cannot cancel is under way by then, and is received all the same.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        submit: Callable[[Task], Future[T]],
        receive: Callable[[Future[T]], Receipt],
        tally: Tally,
        at_once: int,
        context: CopyContext,
        withdraw: Callable[[Future[T]], object],
    ) -> None:
        self._submit = submit
        self._receive = receive
        self._tally = tally
        self._at_once = at_once
        self._context = context
        self._withdraw = withdraw
        self._waiting = deque(tasks)
        self._running: dict[Future[T], Task] = {}
        self._done: SimpleQueue[Future[T]] = SimpleQueue()
        self._receipts: list[Receipt] = []
        self._errors: list[ArrowsyncError] = []
        self._fewer_told = False

    def outcome(self) -> tuple[list[Receipt], list[ArrowsyncError]]:
        """Submit all tasks and wait for them: receipts in partition order, and errors."""
        try:
            self._submit_more()
            while self._running:
                future = self._next_done()
                task = self._running.pop(future)
                if not (future.cancelled() and self._context.cancellation.is_set()):
                    self._take(future, task)
                self._submit_more()
        except BaseException:
            self._end()
            # What could not be cancelled ends by itself, and may have committed.
            for future, task in self._running.items():
                if not future.cancelled():
                    self._take(future, task)
            raise
        return sorted(self._receipts, key=lambda receipt: receipt.partition), self._errors

    def _next_done(self) -> Future[T]:
        while True:
            with suppress(Empty):
                return self._done.get(timeout=LOOK_SECONDS)

    def _submit_more(self) -> None:
        while self._waiting and len(self._running) < self._at_once:
            task = self._waiting.popleft()
            try:
                future = self._submit(task)
            except ArrowsyncError as error:
                self._fail(error)
                return
            self._running[future] = task
            future.add_done_callback(self._done.put)

    def _take(self, future: Future[T], task: Task) -> None:
        try:
            receipt = self._receive(future)
            self._receipts.append(receipt)
            self._tally.settle(receipt)
            self._tally.check()
        except ConnectionRefused as refused:
            self._give_way(task, refused)
        except ArrowsyncError as error:
            self._fail(error)

    def _fail(self, error: ArrowsyncError) -> None:
        if not isinstance(error, Cancelled):  # told to, because of an error that is reported
            self._errors.append(error)
        if not isinstance(error, TransientError | SnapshotLost):
            self._end()

    def _end(self) -> None:
        self._waiting.clear()
        self._context.cancellation.set()
        for future in tuple(self._running):
            self._withdraw(future)

    def _give_way(self, task: Task, refused: ConnectionRefused) -> None:
        """Go on with fewer at once: no more than have their connections now."""
        if task.alone or self._context.cancellation.is_set():
            self._fail(refused)
            self._end()  # the others would wait as long, one after the other
            return
        if task.readers > 1:
            again = [_with_readers(each, task.readers // 2) for each in (task, *self._waiting)]
            self._waiting = deque(again)
        else:
            self._at_once = max(1, len(self._running))
            self._waiting.appendleft(replace(task, alone=not self._running))
        if not self._fewer_told and (task.readers > 1 or self._running):
            self._fewer_told = True
            self._context.observe(FewerConnections(table=str(task.plan.source.name), error=refused.message))


def _with_readers(task: Task, most: int) -> Task:
    return replace(task, readers=min(task.readers, most))
