"""Copies partitions on an executor: tasks go out as small values, outcomes come back with all that happened.

An executor's worker may be a thread, a process or another machine. What makes that safe is the claim in each
partition's transaction: a task that is run twice finds the work done.
"""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from uuid import uuid4

from arrowsync import fork_safety
from arrowsync.core.contracts import Sink, Source
from arrowsync.core.events import Event
from arrowsync.core.receipts import Receipt
from arrowsync.core.transfer import Transfer
from arrowsync.engine.cancellation import Cancellation
from arrowsync.engine.memory import process_tracker
from arrowsync.engine.partition_attempt import attempt_partition
from arrowsync.engine.pipe import CopyContext, Task, table_sizer
from arrowsync.engine.quarantine import Tally
from arrowsync.engine.scheduler import Scheduler
from arrowsync.errors import ArrowsyncError, ConfigError, ResumeError, TransientError

# More than a cluster has workers. The 80,000 tasks of 10 TB, submitted at once, would take 0.5 GB there.
MOST_SUBMITTED = 1024
AGAIN = "The same command goes on with what is not in yet"


def check_executor(transfer: Transfer, source: Source, sink: Sink) -> None:
    """Raises ConfigError where workers cannot reach what is copied, or could copy a partition twice."""
    if not source.capabilities.shareable:
        raise ConfigError(
            f"executor: {source} can be read by this process only",
            hint="Leave executor out, or write it to Parquet files and copy those",
        )
    if sink.capabilities.writers is not None:
        raise ConfigError(
            f"executor: {sink} takes one writer", hint="Leave executor out: its one writer is in this process"
        )
    if transfer.journal is None:
        raise ConfigError(
            "executor: without a journal a partition whose worker is lost could be copied twice",
            hint="Leave journal=None out",
        )


@dataclass(frozen=True, slots=True)
class ExecutorTask:
    """A partition for a worker, which copies at most `concurrency` of them at once in one process.

    `read` and `refused` are the table's rows so far. No two are equal: Dask would take one's outcome for the
    other's.
    """

    task: Task
    concurrency: int
    read: int
    refused: int
    submission: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a partition, and what happened on the way, in order. The error is one of ours."""

    events: tuple[Event, ...]
    result: Receipt | ArrowsyncError


def copy_on(
    executor: Executor,
    tasks: Sequence[Task],
    concurrency: int,
    at_once: int | None,
    context: CopyContext,
    tally: Tally,
) -> tuple[list[Receipt], list[ArrowsyncError]]:
    """Copy the tasks on the executor, at most `at_once` of them, `concurrency` in one process; see Scheduler.

    Partitions that run in other processes when this one is told to stop are waited for: each ends with a
    commit or a rollback of its own, and those that have not begun find that they come too late. What
    `max_bad_rows` allows is judged with each partition that comes back.
    """
    # Other executors may call a future cancelled whose task runs on, as Dask does.
    tells_what_runs = isinstance(executor, ProcessPoolExecutor | ThreadPoolExecutor)

    def submit(task: Task) -> Future[Outcome]:
        alone = replace(task, plan=task.plan.alone(task.partition))
        try:
            return executor.submit(copy_partition_here, ExecutorTask(alone, concurrency, *tally.counts))
        except Exception as error:  # whatever an executor raises that has broken or was shut down
            raise ArrowsyncError(f"the executor takes no more partitions: {error!r}", hint=AGAIN) from error

    def receive(future: Future[Outcome]) -> Receipt:
        return _result(future, context)

    def withdraw(future: Future[Outcome]) -> None:
        if tells_what_runs:
            future.cancel()

    most = min(at_once or MOST_SUBMITTED, MOST_SUBMITTED)
    with _stoppable(tasks, context.cancellation), context.cancellation.calling(lambda: _revoke_token(tasks)):
        return Scheduler(tasks, submit, receive, tally, most, context, withdraw).outcome()


def _revoke_token(tasks: Sequence[Task]) -> None:
    """Let no further partition begin, wherever it waits."""
    for task in tasks[:1]:
        with suppress(ArrowsyncError):  # the target is gone: nothing begins there, or is waited for
            task.sink.prepare(task.plan, {"turn": ""})


def _result(future: Future[Outcome], context: CopyContext) -> Receipt:
    """The receipt that a worker brought back, when its events have been told. Raises its error."""
    try:
        outcome = future.result()
    except Exception as error:  # a worker that died, or what an executor makes of it
        raise TransientError(f"a partition was lost with its worker: {error!r}", hint=AGAIN) from error
    if isinstance(outcome.result, ResumeError):
        context.cancellation.check()  # it came too late
    for event in outcome.events:
        context.observe(event)
    if isinstance(outcome.result, ArrowsyncError):
        raise outcome.result
    return outcome.result


# -- on the worker -------------------------------------------------------------------------------------------


def copy_partition_here(submitted: ExecutorTask) -> Outcome:
    """Copy a partition in this process, inside its own memory limit; for a forked one in a fresh process."""
    task = submitted.task
    if fork_safety.is_forked() and task.plan.run not in _cancellations:
        try:
            outcome: Outcome = fork_safety.in_fresh_process(copy_partition_here, submitted)
        except pickle.UnpicklingError as error:
            unknown = ConfigError(
                f"executor: the fresh process of a forked worker cannot unpickle its partition: {error}",
                hint="Define your own classes in a module that it can import, not in the script or notebook",
            )
            return Outcome((), unknown)
        return outcome
    events: list[Event] = []
    with (
        Cancellation(parent=_cancellations.get(task.plan.run)) as cancellation,
        _places.one_of(submitted.concurrency, cancellation),
        process_tracker(task.plan.transfer.limits.memory_bytes) as tracker,
    ):
        sizer = table_sizer(task.plan, task.batch_bytes)
        context = CopyContext(tracker, cancellation, events.append)
        tally = Tally(task.plan.transfer, read=submitted.read, refused=submitted.refused)
        result: Receipt | ArrowsyncError
        try:
            result = attempt_partition(task, sizer, context, tally)
        except ArrowsyncError as error:
            result = error
        return Outcome(tuple(events), result)


class Places:
    """Where partitions wait that an executor begins in this process although memory is for fewer."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = 0

    @contextmanager
    def one_of(self, most: int, cancellation: Cancellation) -> Iterator[None]:
        """Wait for a place, or until there is nothing more to do there."""
        with cancellation.calling(self._wake), self._changed:
            self._changed.wait_for(lambda: self._taken < most or cancellation.is_set())
            self._taken += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


_places = Places()
# By run: how a cancellation reaches tasks that an executor runs in this very process.
_cancellations: dict[str, Cancellation] = {}
os.register_at_fork(after_in_child=_cancellations.clear)


@contextmanager
def _stoppable(tasks: Sequence[Task], cancellation: Cancellation) -> Iterator[None]:
    runs = {task.plan.run for task in tasks}
    _cancellations.update(dict.fromkeys(runs, cancellation))
    try:
        yield
    finally:
        for run in runs:
            _cancellations.pop(run, None)
