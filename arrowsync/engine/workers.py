"""The workers that copy a table's partitions: threads of this process, or an executor's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from arrowsync.core.contracts import Sink, Source
from arrowsync.core.plan import Snapshot, TablePlan
from arrowsync.core.receipts import Partition, Receipt
from arrowsync.engine.cancellation import Cancellation
from arrowsync.engine.concurrency import concurrency_of_connections, wanted_concurrency, wanted_readers
from arrowsync.engine.executor import copy_on
from arrowsync.engine.memory import batch_ceiling, concurrency_for, readers_for, slice_bytes, widths_of
from arrowsync.engine.partition_attempt import attempt_partition
from arrowsync.engine.pipe import CopyContext, Task, table_sizer
from arrowsync.engine.quarantine import Tally
from arrowsync.engine.retry import patiently
from arrowsync.engine.scheduler import Scheduler
from arrowsync.engine.slots import Slots
from arrowsync.errors import ArrowsyncError, DataError


@dataclass(frozen=True, slots=True)
class Workers:
    """What copies from the source into the sink; the same for all tables of a run."""

    source: Source
    sink: Sink
    context: CopyContext
    executor: Executor | None = None

    def concurrency(self, plan: TablePlan) -> int:
        """How many partitions are under way at once in this process, or in each of an executor's."""
        here = self.executor is None
        wanted = wanted_concurrency(plan, self.source, self.sink) if here else plan.transfer.worker_count
        return concurrency_for(plan.transfer.limits.memory_bytes, wanted, widths_of(plan))

    def copy(
        self, plan: TablePlan, receipts: Sequence[Receipt], snapshot: Snapshot
    ) -> tuple[list[Receipt], list[ArrowsyncError]]:
        """Copy the partitions that have no receipt yet."""
        tally = Tally(plan.transfer, receipts)
        try:
            tally.check()  # an earlier run may have ended for it
        except DataError as error:
            return [], [error.at(table=str(plan.source.name))]
        tasks = self._tasks(plan, {receipt.partition for receipt in receipts}, snapshot)
        if not tasks:
            return [], []
        with Cancellation(parent=self.context.cancellation) as cancellation:
            context = replace(self.context, cancellation=cancellation)
            if self.executor is None:
                return self._copy_here(plan, tasks, context, tally)
            at_once = concurrency_of_connections(plan.transfer.limits.max_connections, self.source, self.sink)
            return copy_on(self.executor, tasks, self.concurrency(plan), at_once, context, tally)

    def _copy_here(
        self, plan: TablePlan, tasks: Sequence[Task], context: CopyContext, tally: Tally
    ) -> tuple[list[Receipt], list[ArrowsyncError]]:
        concurrency = self.concurrency(plan)
        context = replace(context, reading=Slots(concurrency), writing=Slots(concurrency))
        sizer = table_sizer(plan, tasks[0].batch_bytes)

        def submit(task: Task) -> Future[Receipt]:
            return pool.submit(attempt_partition, task, sizer, context, tally)

        # One more reads ahead while another one commits, if there is memory for it.
        at_once = concurrency_for(plan.transfer.limits.memory_bytes, concurrency + 1, widths_of(plan))
        with ThreadPoolExecutor(at_once, thread_name_prefix="arrowsync-copy") as pool:
            return Scheduler(tasks, submit, Future.result, tally, at_once, context, Future.cancel).outcome()

    def _tasks(self, plan: TablePlan, done: Collection[int], snapshot: Snapshot) -> list[Task]:
        memory = plan.transfer.limits.memory_bytes
        readers, slices = self._slices(plan)
        ceiling = batch_ceiling(memory, max(self.concurrency(plan), readers), widths_of(plan))
        return [
            Task(
                plan,
                partition,
                snapshot,
                self.source,
                self.sink,
                ceiling,
                slices=slices.get(partition.number, ()),
                readers=readers,
                ahead_bytes=slice_bytes(memory) if readers > 1 else 0,
            )
            for partition in plan.partitions
            if partition.number not in done
        ]

    def _slices(self, plan: TablePlan) -> tuple[int, dict[int, tuple[Partition, ...]]]:
        """How many readers the partition under way gets, and what they read, by its number."""
        memory = plan.transfer.limits.memory_bytes
        readers = readers_for(memory, wanted_readers(plan, self.source, self.sink), widths_of(plan))
        if self.executor is not None or readers == 1 or (plan.source.bytes or 0) <= slice_bytes(memory):
            return 1, {}
        cut = patiently(
            lambda: self.source.slices(plan, target_bytes=slice_bytes(memory)),
            plan.transfer.retry,
            self.context.cancellation,
        )
        by_number = {each.number: parts for each, parts in zip(plan.partitions, cut, strict=True)}
        return min(readers, max(map(len, cut), default=1)), by_number
