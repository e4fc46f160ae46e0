"""What a journal tells of a transfer: while it runs, when it was interrupted or is done, table by table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

RUNNING = "running"
INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One table of a transfer.

    `status` is what the report said of it when it was finished, before that "waiting", "running" or
    "interrupted", and "given up" where another transfer has taken its target over.
    """

    table: str
    status: str
    partitions: int
    partitions_done: int
    rows: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class TransferStatus:
    """A transfer with its tables.

    `status` is "running" while a run of it holds its lock, "interrupted" when none does and the same command
    goes on, and what the report said, "complete" or "partial", when it is over. Times are the target's, as
    its text; `age_seconds` is since it began.
    """

    transfer: str
    source: str
    mode: str
    status: str
    started_at: str
    finished_at: str | None
    age_seconds: float
    tables: tuple[TableStatus, ...] = ()

    @property
    def tables_done(self) -> int:
        """How many are finished, whether or not the transfer is over."""
        return sum(table.status in ("complete", "partial") for table in self.tables)

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def quarantined(self) -> int:
        return sum(table.quarantined for table in self.tables)

    @property
    def partitions(self) -> int:
        """Of the tables that have begun: one that waits is not cut yet."""
        return sum(table.partitions for table in self.tables)

    @property
    def partitions_done(self) -> int:
        return sum(table.partitions_done for table in self.tables)

    def to_dict(self) -> dict[str, Any]:  # Any: JSON
        totals = ("tables_done", "partitions", "partitions_done", "rows", "quarantined")
        return {**asdict(self), **{name: getattr(self, name) for name in totals}}
