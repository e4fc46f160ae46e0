"""Runs a transfer's plans: locks and notes it, copies its tables one after another, and marks it as over."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import replace
from uuid import uuid4

from arrowsync.core.contracts import Lock, Sink, Source
from arrowsync.core.plan import TablePlan, TransferPlan
from arrowsync.core.receipts import Unfinished
from arrowsync.engine.cancellation import Cancelled
from arrowsync.engine.pipe import CopyContext
from arrowsync.engine.retry import patiently
from arrowsync.engine.snapshot import SourceSnapshot
from arrowsync.engine.table_run import Copied, TableRun
from arrowsync.engine.workers import Workers
from arrowsync.errors import ArrowsyncError, ResumeError


def run(
    planned: TransferPlan,
    source: Source,
    sink: Sink,
    context: CopyContext,
    executor: Executor | None = None,
) -> list[Copied]:
    """Copy every table, one after another, over one snapshot of the source; on the executor, if there is one.

    A table that fails does not keep the others from being copied. When interrupted, the partitions under way
    are rolled back, and nothing is left but what is committed. The transfer is over when no table has failed.
    """
    if not planned.tables:
        return []
    noted = {each.run for each in planned.found}
    # A plan may run twice: what it begins has another name each time.
    plans = [plan if plan.run in noted else replace(plan, run=uuid4().hex) for plan in planned.tables]
    # Polars' handler of SIGINT makes the kernel restart what it interrupts: waiting for the pipes, the main
    # thread would never learn of Ctrl-C. This is how Python itself sets it.
    signal.siginterrupt(signal.SIGINT, True)
    with ExitStack() as stack:
        try:
            lock = _begin(stack, plans, planned.found, sink, context) if plans[0].transfer.journal else None
        except Cancelled:
            raise
        except ArrowsyncError as error:
            return [Copied(plan, errors=(error,)) for plan in plans[:1]]
        tables = _copy_all(plans, Workers(source, sink, context, executor), lock)
        tables = [_enforced(table, sink, context) for table in tables]
        return _finished(tables, sink, context) if lock else tables


def _begin(
    stack: ExitStack,
    plans: Sequence[TablePlan],
    found: Sequence[Unfinished],
    sink: Sink,
    context: CopyContext,
) -> Lock:
    """The transfer's lock, taken until the stack is closed, with its tables noted in the journal."""
    transfer = plans[0].transfer
    lock = patiently(lambda: stack.enter_context(sink.lock(plans)), transfer.retry, context.cancellation)
    if lock.waited and not any(each.transfer == transfer.id for each in found):
        raise ResumeError(
            "another run was copying these tables when this one was planned",
            hint="Run the same command again if it is still to be done",
        )
    patiently(lambda: sink.begin(plans, found), transfer.retry, context.cancellation)
    return lock


def _copy_all(plans: Sequence[TablePlan], workers: Workers, lock: Lock | None) -> list[Copied]:
    source, sink = workers.source, workers.sink
    left = [plan for plan in plans if not plan.is_finished]
    readers = max(map(workers.concurrency, left), default=1)
    # Workers elsewhere could not get past DDL that waits for our locks. In one database the swap of a target
    # may need a source table for itself.
    swaps = any(plan.write.is_beside for plan in left)
    locks = workers.executor is None and not (swaps and sink.is_source(source))
    with SourceSnapshot(left, source, readers, workers.context.cancellation, locks=locks) as source_snapshot:
        return [TableRun(plan, workers, source_snapshot, lock).outcome() for plan in plans]


def _finished(tables: list[Copied], sink: Sink, context: CopyContext) -> list[Copied]:
    """Mark the transfer as over, unless a table has failed: then the same command goes on with it."""
    if any(table.errors for table in tables):
        return tables
    plans = [table.plan for table in tables]
    partial = [table.plan.target.name for table in tables if table.status == "partial"]
    try:
        patiently(lambda: sink.finish(plans, partial), plans[0].transfer.retry, context.cancellation)
    except ArrowsyncError as error:
        return [*tables[:-1], replace(tables[-1], errors=(error,))]
    return tables


def _enforced(table: Copied, sink: Sink, context: CopyContext) -> Copied:
    """The foreign keys that had to wait for the other tables."""
    if table.errors:
        return table
    try:
        with context.reporting_locks(str(table.plan.source.name)):
            added = patiently(
                lambda: sink.enforce(table.plan), table.plan.transfer.retry, context.cancellation
            )
    except ArrowsyncError as error:
        return replace(table, errors=(error.at(table=str(table.plan.source.name)),))
    return replace(
        table,
        warnings=(*table.warnings, *added.warnings),
        unenforced=(*table.unenforced, *added.unenforced),
    )
