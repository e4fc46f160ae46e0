"""Counts a transfer's events into its report. What is no event, its caller hands in at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from arrowsync.core.events import (
    BatchWritten,
    Event,
    FewerConnections,
    PartitionCommitted,
    PartitionStarted,
    Paused,
    Retried,
    TableFinished,
    TableStarted,
)
from arrowsync.core.plan import Skipped, TablePlan
from arrowsync.core.receipts import Fingerprint, Receipt
from arrowsync.core.transfer import Transfer
from arrowsync.report.values import Failure, Report, Status, TableReport, Tick, overall, worst

LONGEST_TIMELINE = 1024  # ticks a table; more than a plot can show, and 60 M rows have 10,000 batches


@dataclass(slots=True)
class _Counts:
    """One table's numbers so far."""

    table: str
    begun: float
    plan: TablePlan | None = None
    receipts: list[Receipt] = field(default_factory=list)
    resumed: tuple[Receipt, ...] = ()
    batches: int = 0
    batch_seconds: float = 0.0
    largest: int = 0
    smallest: int | None = None
    last: dict[int, int] = field(default_factory=dict)  # partition -> rows of its latest batch
    rows: int = 0
    peak_memory: int = 0
    pauses: int = 0
    timeouts: int = 0
    retries: int = 0
    refused: str | None = None  # why there were fewer connections than wanted
    query_seconds: float = 0.0
    seconds: float | None = None
    status: Status = "failed"  # until TableFinished says better
    timeline: list[Tick] = field(default_factory=list)
    every: int = 1  # batches between two ticks
    verified: str | None = None
    warnings: tuple[str, ...] = ()
    unenforced: tuple[str, ...] = ()  # of the warnings those that make a table partial
    errors: tuple[Failure, ...] = ()

    def take(self, event: Event, now: float) -> None:
        match event:
            case TableStarted(plan=plan, resumed=resumed):
                self.plan, self.resumed, self.receipts = plan, resumed, []  # it may have been started over
            case PartitionStarted(partition=partition):
                self.last.pop(partition, None)
            case BatchWritten():
                self._count_batch(event, now)
            case PartitionCommitted(receipt=receipt, query_seconds=query_seconds):
                self.receipts.append(receipt)
                self.query_seconds = max(self.query_seconds, query_seconds)
            case Paused(memory=memory):
                self.pauses += 1
                self.peak_memory = max(self.peak_memory, memory)
            case FewerConnections(error=error):
                self.refused = error
            case Retried(timeout=timeout):
                self.retries += 1
                self.timeouts += timeout
            case TableFinished(status=status, seconds=seconds):
                self.seconds = seconds
                self.status = status  # type: ignore[assignment]  # the runner's words are these three

    def _count_batch(self, event: BatchWritten, now: float) -> None:
        # A batch that another one follows was cut by the sizer; the last of a partition is what was left.
        if (full := self.last.get(event.partition)) is not None:
            self.smallest = min(full, self.smallest or full)
        self.last[event.partition] = event.rows
        self.batches += 1
        self.batch_seconds += event.seconds
        self.largest = max(self.largest, event.rows)
        self.rows += event.rows
        self.peak_memory = max(self.peak_memory, event.memory)
        if self.batches % self.every == 0:
            self.timeline.append(Tick(now - self.begun, self.rows, event.rows, event.memory))
            if len(self.timeline) == LONGEST_TIMELINE:
                self.timeline = self.timeline[1::2]
                self.every *= 2


class Collector:
    """An Observer that turns what it is told into a report. Safe to call from any thread.

    `finish_table` and `finish` take what no event says: the check that was passed, warnings, errors, and the
    tracker's peak of memory. A table without TableFinished, or with errors, has failed. `skipped` are tables
    that the plan had to leave out.
    """

    def __init__(
        self,
        transfer: Transfer,
        skipped: Sequence[Skipped] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.transfer = transfer
        self._skipped = skipped
        self._clock = clock
        self._begun = clock()
        self._started_at = now()
        self._tables: dict[str, _Counts] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event, /) -> None:
        with self._lock:
            self._of(event.table).take(event, self._clock())

    def finish_table(
        self,
        table: str,
        *,
        verified: str | None = None,
        warnings: Iterable[str] = (),
        unenforced: Iterable[str] = (),
        errors: Iterable[BaseException] = (),
    ) -> None:
        with self._lock:
            counts = self._of(table)
            counts.verified = verified
            counts.unenforced = tuple(unenforced)
            counts.warnings = (*warnings, *counts.unenforced)
            counts.errors = tuple(Failure.of(error, table=table) for error in errors)

    def finish(
        self,
        *,
        peak_memory: int = 0,
        warnings: Iterable[str] = (),
        errors: Iterable[BaseException] = (),
    ) -> Report:
        """The whole transfer's report; `warnings` and `errors` are those that belong to no table."""
        with self._lock:
            counts = list(self._tables.values())
            now = self._clock()
            copied = (self._table_report(each, now) for each in counts)
            tables = (*copied, *map(self._skipped_report, self._skipped))
            failures = tuple(map(Failure.of, errors))
            # A view, or a table made without its rows, has no partition: there is nothing to verify.
            checks = {each.verified for each in counts if each.plan is None or each.plan.partitions}
            common = _numbers(counts, now - self._begun)
            common["peak_memory"] = max(peak_memory, common["peak_memory"])
            return Report(
                **self._identity(),
                **common,
                status="failed" if failures else overall(*(table.status for table in tables)),
                verified="hash" if checks == {"hash"} else "count" if checks and None not in checks else None,
                warnings=(*warnings, *(f"{t.table}: {text}" for t in tables for text in t.warnings)),
                errors=(*failures, *(error for table in tables for error in table.errors)),
                tables=tables,
            )

    def _of(self, table: str) -> _Counts:
        if table not in self._tables:
            self._tables[table] = _Counts(table, self._clock())
        return self._tables[table]

    def _table_report(self, counts: _Counts, now: float) -> TableReport:
        seconds = now - counts.begun if counts.seconds is None else counts.seconds
        common = _numbers([counts], seconds)
        return TableReport(
            **self._identity(),
            **common,
            table=counts.table,
            target_table=str(counts.plan.target.name) if counts.plan else "",
            status=worst(
                counts.status,
                "failed" if counts.errors else "complete",
                "partial" if common["rows_quarantined"] or counts.unenforced else "complete",
            ),
            verified=counts.verified,
            warnings=(*counts.warnings, *_fewer(counts.refused)),
            errors=counts.errors,
            timeline=tuple(counts.timeline),
        )

    def _skipped_report(self, skipped: Skipped) -> TableReport:
        return TableReport(
            **self._identity(),
            table=str(skipped.table),
            target_table="",
            status="skipped",
            warnings=(f"skipped: {skipped.sentence}",),
        )

    def _identity(self) -> dict[str, Any]:  # Any: fields of Outcome
        return {
            "transfer": self.transfer.id,
            "mode": str(self.transfer.mode),
            "source": self.transfer.source,
            "target": self.transfer.target,
            "started_at": self._started_at,
        }


def _fewer(refused: str | None) -> tuple[str, ...]:
    return (f"copied with fewer connections at once than wanted: {refused}",) if refused else ()


def _total(receipts: Sequence[Receipt]) -> Fingerprint | None:
    """The shown fingerprint of all rows; None where nothing was copied, or two releases have hashed them."""
    if len({receipt.algorithm for receipt in receipts}) != 1:
        return None
    return sum((receipt.fingerprint for receipt in receipts), Fingerprint()).shown


def _numbers(counts: Sequence[_Counts], seconds: float) -> dict[str, Any]:  # Any: fields of Outcome
    """The numbers of one table, or of several together."""
    resumed = [receipt for each in counts for receipt in each.resumed]
    written = [receipt for each in counts for receipt in each.receipts]
    receipts = resumed + written
    batches = sum(each.batches for each in counts)
    quarantined = sum(receipt.quarantined for receipt in receipts)
    rows_written = sum(receipt.rows for receipt in receipts)
    smallest = [each.smallest for each in counts if each.smallest] or [
        rows for each in counts for rows in each.last.values()
    ]
    return {
        "rows_read": rows_written + quarantined,
        "rows_written": rows_written,
        "rows_quarantined": quarantined,
        "rows_resumed": sum(receipt.rows for receipt in resumed),
        "partitions": len(receipts),
        "partitions_resumed": len(resumed),
        "batches": batches,
        "batch_rows_min": min(smallest, default=None),
        "batch_rows_max": max((each.largest for each in counts if each.batches), default=None),
        "batch_seconds_mean": sum(each.batch_seconds for each in counts) / batches if batches else None,
        "seconds": seconds,
        "rows_per_second": sum(receipt.rows for receipt in written) / seconds if seconds else 0.0,
        "bytes_per_second": sum(receipt.bytes for receipt in written) / seconds if seconds else 0.0,
        "peak_memory": max((each.peak_memory for each in counts), default=0),
        "pauses": sum(each.pauses for each in counts),
        "timeouts": sum(each.timeouts for each in counts),
        "retries": sum(each.retries for each in counts),
        "longest_source_query_seconds": max((each.query_seconds for each in counts), default=0.0),
        "fingerprint": _total(receipts),
        "quarantine": tuple(sorted({r.quarantine for r in receipts if r.quarantine})),
    }
