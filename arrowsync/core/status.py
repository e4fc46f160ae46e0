"""What a journal tells of a transfer into a table: while it runs, when it was interrupted or is done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

RUNNING = "running"
INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class TransferStatus:
    """A transfer into one table.

    `status` is "running" while a run of it holds the table's lock, "interrupted" when none does and the same
    command goes on, and what the report said, "complete" or "partial", when it is done. Times are the
    target's, as its text; `age_seconds` is since it began.
    """

    transfer: str
    source: str
    table: str
    mode: str
    status: str
    partitions: int
    partitions_done: int
    rows: int
    quarantined: int
    started_at: str
    finished_at: str | None
    age_seconds: float

    def to_dict(self) -> dict[str, Any]:  # Any: JSON
        return asdict(self)
