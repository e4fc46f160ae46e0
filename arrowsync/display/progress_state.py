"""What is going on, from events: how far each table is, how fast, what comes next. Shows nothing itself."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from arrowsync.core.events import (
    BatchWritten,
    Event,
    FewerConnections,
    LockAwaited,
    PartitionCommitted,
    PartitionFailed,
    PartitionStarted,
    Publishing,
    Retried,
    RowsQuarantined,
    TableFinished,
    TableStarted,
)
from arrowsync.core.plan import TablePlan
from arrowsync.core.units import format_bytes
from arrowsync.display.formatting import bytes_rate, count, duration, noun, rows_rate

WINDOW_SECONDS = 10.0  # that speeds are taken over: long enough to be calm, short enough to be true
MARK_SECONDS = 0.25  # between two points of that window
_BUILDS = re.compile(r"create (unique )?index|alter table .+ add ", re.IGNORECASE)  # they read every row


@dataclass(slots=True)
class Running:
    """One table under way."""

    name: str
    begun: float
    plan: TablePlan | None = None
    committed: int = 0  # rows of partitions that are in, those of an earlier run included
    pending: dict[int, int] = field(default_factory=dict)  # partition -> rows of its open transaction
    sent_bytes: int = 0
    sent_rows: int = 0
    batch_rows: int = 0
    memory: int = 0
    step: str = ""
    marks: deque[tuple[float, int, int]] = field(default_factory=deque)  # (time, rows, bytes sent)

    def __post_init__(self) -> None:
        self.marks.append((self.begun, 0, 0))

    @property
    def rows(self) -> int:
        return self.committed + sum(self.pending.values())

    @property
    def expected_rows(self) -> int | None:
        return self.plan.source.rows if self.plan and self.plan.partitions else None

    @property
    def share(self) -> float | None:
        """How much of it is done, from the source's estimate: 1 only when it is finished."""
        return min(0.99, self.rows / self.expected_rows) if self.expected_rows else None

    @property
    def memory_limit(self) -> int | None:
        return self.plan.transfer.limits.memory_bytes if self.plan else None

    def rates(self, now: float) -> tuple[float, float]:
        """Rows and bytes a second of late."""
        since, rows, size = self.marks[0]
        seconds = now - since or float("inf")
        return (self.sent_rows - rows) / seconds, (self.sent_bytes - size) / seconds

    def seconds_left(self, now: float) -> float | None:
        rows_per_second, _ = self.rates(now)
        if not self.expected_rows or not rows_per_second:
            return None
        return max(0.0, self.expected_rows - self.rows) / rows_per_second

    def count(self, event: BatchWritten, now: float) -> None:
        self.pending[event.partition] = self.pending.get(event.partition, 0) + event.rows
        self.sent_rows += event.rows
        self.sent_bytes += event.bytes
        self.batch_rows, self.memory = event.rows, event.memory
        if now - self.marks[-1][0] >= MARK_SECONDS:
            self.marks.append((now, self.sent_rows, self.sent_bytes))
        while now - self.marks[0][0] > WINDOW_SECONDS and len(self.marks) > 1:
            self.marks.popleft()

    def words(self, now: float) -> list[str]:
        """What is worth knowing, the most important first: a narrow terminal cuts the rest off."""
        rows_per_second, bytes_per_second = self.rates(now)
        left = self.seconds_left(now)
        words = [
            f"{self.share:.0%}" if self.share is not None else "",
            noun(self.rows, "row"),
            rows_rate(rows_per_second),
            f"{duration(round(left))} left" if left is not None else "",
            bytes_rate(bytes_per_second),
            f"memory {format_bytes(self.memory)} of {format_bytes(self.memory_limit or 0)}",
            f"batches of {count(self.batch_rows)}",
        ]
        return [self.step] if self.step else [word for word in words if word]


@dataclass(slots=True)
class ProgressState:
    """All tables under way, and a line of news where an event is one."""

    running: dict[str, Running] = field(default_factory=dict)

    def take(self, event: Event, now: float) -> str | None:
        """Note the event. The line that tells people of it, when it is worth one."""
        if event.table not in self.running:
            self.running[event.table] = Running(event.table, now)
        table = self.running[event.table]
        match event:
            case TableStarted(plan=plan, resumed=resumed):
                before, table.plan = table.plan, plan
                table.committed = sum(receipt.rows for receipt in resumed)
                table.pending.clear()
                if before is not None:
                    return f"{table.name}: started over, with other types"
                if plan.is_finished:
                    return f"{table.name}: kept, {noun(table.committed, 'row')} of an earlier run"
                if resumed:
                    return f"{table.name}: going on after {noun(table.committed, 'row')} of an earlier run"
            case PartitionStarted(partition=partition):
                table.pending.pop(partition, None)
            case BatchWritten():
                table.count(event, now)
            case PartitionCommitted(receipt=receipt):
                table.pending.pop(receipt.partition, None)
                table.committed += receipt.rows
            case Retried(partition=partition, wait_seconds=wait, error=error):
                table.pending.pop(partition, None)
                return f"{table.name}: partition {partition} again in {duration(wait)}: {error}"
            case PartitionFailed(partition=partition, error=error):
                return f"{table.name}: partition {partition} failed: {error}"
            case FewerConnections(error=error):
                return f"{table.name}: going on with fewer connections: {error}"
            case LockAwaited(wait=wait):
                return f"{table.name}: {wait}"
            case RowsQuarantined(rows=rows, reason=reason):
                return f"{table.name}: {noun(rows, 'row')} to quarantine: {reason}"
            case Publishing(statement=statement, number=number, total=total):
                table.step = f"{number} of {total}: {' '.join(statement.split())}"
                if _BUILDS.match(statement):
                    return f"{table.name}: {table.step}"
            case TableFinished(status=status, rows=rows, seconds=seconds):
                del self.running[event.table]
                if table.plan is not None and table.plan.is_finished:
                    return None
                return f"{table.name}: {status}, {noun(rows, 'row')} in {duration(seconds)}"
        return None
