"""Copies one partition as often as it makes sense: the next form, batch by batch, with care, after a wait."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from arrowsync.core.events import PartitionFailed, PartitionRefused, PartitionStarted, Retried
from arrowsync.core.plan import Receipt, TablePlan
from arrowsync.engine.careful import copy_carefully
from arrowsync.engine.pipe import Surroundings, Task, copy_partition
from arrowsync.engine.quarantine import Tally
from arrowsync.engine.retry import with_next_forms, with_retries
from arrowsync.engine.sizing import AdaptiveSizer
from arrowsync.engine.stop import Stopped
from arrowsync.errors import (
    ArrowsyncError,
    BatchTimeout,
    ConnectionRefused,
    DataError,
    Refused,
    SnapshotLost,
    TransientError,
)


def attempt(task: Task, sizer: AdaptiveSizer, around: Surroundings, tally: Tally) -> Receipt:
    """Copy one partition, trying again as long as it makes sense, and tell the observer.

    Raises Refused where a presumed plan turns out wrong: the whole table needs another one; and at once
    ConnectionRefused where fewer partitions would do with fewer connections.
    """
    place: dict[str, Any] = {  # Any: fields of an event, and of an error
        "table": str(task.plan.source.name),
        "partition": task.partition.number,
    }

    batch_by_batch = careful = False

    def copy(plan: TablePlan) -> Receipt:
        nonlocal careful
        here = replace(task, plan=plan, batch_by_batch=batch_by_batch)
        if not careful:
            try:
                receipt = copy_partition(here, sizer, around)
                tally.settle(receipt)
                return receipt
            except (DataError, Refused) as error:
                if isinstance(error, Refused) and plan.can_do_without(error):
                    raise
                careful = True
        return copy_carefully(here, sizer, around, tally)

    def retried(attempt: int, wait_seconds: float, error: BaseException) -> None:
        nonlocal batch_by_batch
        timeout = isinstance(error, BatchTimeout)
        if timeout:
            batch_by_batch = True
            sizer.shrink()
        around.observe(
            Retried(**place, attempt=attempt, wait_seconds=wait_seconds, error=str(error), timeout=timeout)
        )

    def refused(error: ArrowsyncError) -> None:
        around.observe(PartitionRefused(**place, column=error.column or "", reason=error.message))

    def by_forms() -> Receipt:
        if task.plan.presumed:
            return copy(task.plan)
        return with_next_forms(copy, task.plan, refused)

    around.stop.check()
    around.observe(PartitionStarted(**place))
    try:
        besides = () if task.alone else (ConnectionRefused,)
        with _hearing_of_locks(task, around):
            return with_retries(by_forms, task.plan.transfer.retry, around.stop, retried, besides=besides)
    except Stopped:
        raise
    except SnapshotLost as lost:
        lost.at(**place)
        raise
    except Refused as error:
        refused(error)
        raise
    except ArrowsyncError as error:
        if isinstance(error, TransientError):
            around.stop.check()  # cancelled rather than failed
        if isinstance(error, ConnectionRefused) and not task.alone:
            raise error.at(**place) from error.__cause__
        around.observe(PartitionFailed(**place, error=str(error)))
        if task.partition.is_all:
            place.pop("partition")
        raise error.at(**place) from error.__cause__


def _hearing_of_locks(task: Task, around: Surroundings) -> AbstractContextManager[None]:
    """Not where connections are counted: who holds a lock is asked on one more."""
    if task.plan.transfer.limits.max_connections is not None:
        return nullcontext()
    return around.hearing_of_locks(str(task.plan.source.name))
