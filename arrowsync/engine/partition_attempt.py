"""Copies one partition as often as it makes sense: the next form, batch by batch, with care, after a wait."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from arrowsync.core.events import PartitionFailed, PartitionRefused, PartitionStarted, Retried
from arrowsync.core.plan import TablePlan
from arrowsync.core.receipts import Receipt
from arrowsync.engine.cancellation import Cancelled
from arrowsync.engine.pipe import CopyContext, Task, copy_partition
from arrowsync.engine.quarantine import Tally
from arrowsync.engine.reject_copy import copy_rejecting
from arrowsync.engine.retry import with_next_forms, with_retries
from arrowsync.engine.sizing import AdaptiveSizer
from arrowsync.errors import (
    ArrowsyncError,
    BatchTimeout,
    ConnectionRefused,
    DataError,
    Refused,
    SnapshotLost,
    TransientError,
)


def attempt_partition(task: Task, sizer: AdaptiveSizer, context: CopyContext, tally: Tally) -> Receipt:
    """Copy one partition, trying again as long as it makes sense, and tell the observer.

    Raises Refused where a sampled plan turns out wrong: the whole table needs another one; and at once
    ConnectionRefused where fewer partitions would do with fewer connections.
    """
    context.cancellation.check()
    context.observe(PartitionStarted(**_place(task)))
    return _Attempts(task, sizer, context, tally).outcome()


class _Attempts:
    """What one partition's attempts have taught: to send single batches, to copy with care."""

    def __init__(self, task: Task, sizer: AdaptiveSizer, context: CopyContext, tally: Tally) -> None:
        self._task = task
        self._sizer = sizer
        self._context = context
        self._tally = tally
        self._batch_by_batch = False
        self._rejects_rows = False

    def outcome(self) -> Receipt:
        task, context = self._task, self._context
        besides = () if task.alone else (ConnectionRefused,)
        try:
            with _reporting_locks(task, context):
                retry = task.plan.transfer.retry
                return with_retries(
                    self._by_forms, retry, context.cancellation, self._tell_retried, besides=besides
                )
        except Cancelled:
            raise
        except SnapshotLost as lost:
            lost.at(**_place(task))
            raise
        except Refused as error:
            self._tell_refused(error)
            raise
        except ArrowsyncError as error:
            raise self._failed(error) from error.__cause__

    def _by_forms(self) -> Receipt:
        plan = self._task.plan
        return self._copy(plan) if plan.sampled else with_next_forms(self._copy, plan, self._tell_refused)

    def _copy(self, plan: TablePlan) -> Receipt:
        task = replace(self._task, plan=plan, batch_by_batch=self._batch_by_batch)
        if not self._rejects_rows:
            try:
                receipt = copy_partition(task, self._sizer, self._context)
                self._tally.settle(receipt)
                return receipt
            except (DataError, Refused) as error:
                if isinstance(error, Refused) and plan.can_do_without(error):
                    raise
                if not task.sink.capabilities.isolates_rows:
                    raise _stopping(error) from error
                self._rejects_rows = True
        return copy_rejecting(task, self._sizer, self._context, self._tally)

    def _failed(self, error: ArrowsyncError) -> ArrowsyncError:
        """The error with its place, when it was told."""
        task, place = self._task, _place(self._task)
        if isinstance(error, TransientError):
            self._context.cancellation.check()  # cancelled rather than failed
        if isinstance(error, ConnectionRefused) and not task.alone:
            return error.at(**place)  # not a failure yet: it waits for fewer partitions
        self._context.observe(PartitionFailed(**place, error=str(error)))
        if task.partition.is_all:
            del place["partition"]
        return error.at(**place)

    def _tell_retried(self, attempt: int, wait_seconds: float, error: BaseException) -> None:
        timeout = isinstance(error, BatchTimeout)
        if timeout:
            self._batch_by_batch = True
            self._sizer.shrink()
        self._context.observe(
            Retried(
                **_place(self._task),
                attempt=attempt,
                wait_seconds=wait_seconds,
                error=str(error),
                timeout=timeout,
            )
        )

    def _tell_refused(self, error: ArrowsyncError) -> None:
        self._context.observe(
            PartitionRefused(**_place(self._task), column=error.column or "", reason=error.message)
        )


def _stopping(error: ArrowsyncError) -> DataError:
    return DataError(
        error.message,
        column=error.column,
        row=error.row,
        sqlstate=error.sqlstate,
        constraint=error.constraint,
        hint="Nothing of the table was written: this target cannot tell a refused row from the others. "
        "Leave such rows out with where, or give the column another type with cast",
    )


def _place(task: Task) -> dict[str, Any]:  # Any: fields of an event, and of an error
    return {"table": str(task.plan.source.name), "partition": task.partition.number}


def _reporting_locks(task: Task, context: CopyContext) -> AbstractContextManager[None]:
    """Not where connections are counted: who holds a lock is asked on one more."""
    if task.plan.transfer.limits.max_connections is not None:
        return nullcontext()
    return context.reporting_locks(str(task.plan.source.name))
