"""What a journal tells of a transfer into a table: while it runs, when it was interrupted or is done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TransferStatus:
    """A transfer into one table. `status` is "running" until it is done, also while nobody is running it.

    Times are the target's, as its text; `age_seconds` is since it began.
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
