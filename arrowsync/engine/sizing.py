"""Chooses how many rows a batch holds. Pure: no clock, no I/O, nothing allocated in Arrow's pool."""

from __future__ import annotations

import threading

from arrowsync.core.units import KiB, MiB

AIM_SECONDS = 0.2  # of the driver's time: short enough for deadlines, progress and backing out
AIM_BYTES = 4 * MiB  # 8 k and 64 k rows cost the same per row: beyond this only memory grows (LARGEST_READ)
FIRST_BYTES = 256 * KiB  # small enough to learn the rows' real width from before it matters
SMALLEST_BYTES = 64 * KiB  # shrinking stops here: with less, memory that others hold would cost us speed only
UNKNOWN_ROW_BYTES = 256  # a guess that the first batch corrects

SLOWER = 0.8  # of the usual rows/s: a real fall
TOGETHER = (
    16  # batches that are judged as one: where the cores are busy a single one may take three times as long
)
CALM = 8  # batches without growth after a step back, in which the usual rows/s is learnt anew


class AdaptiveSizer:
    """The rows of the next batch, learnt from those before: one for all pipes of a table, from any thread.

    It starts small and doubles while rows/s does not fall, up to about 0.2 s or 4 MiB a batch, never more
    than half of what memory allows at the width seen; rows/s that falls takes it one step back.
    `fixed_rows` switches learning off; memory and `shrink` still rule.
    """

    def __init__(
        self,
        *,
        row_bytes: int | None,
        ceiling_bytes: int,
        table_rows: int | None,
        fixed_rows: int | None = None,
        first_bytes: int = FIRST_BYTES,
    ) -> None:
        self.ceiling_bytes = ceiling_bytes
        self._fixed = fixed_rows is not None
        self._lock = threading.Lock()
        self._row_bytes = float(row_bytes or UNKNOWN_ROW_BYTES)
        self._usual = 0.0  # rows/s, smoothed; 0: not learnt yet
        self._judged: list[tuple[int, float]] = []  # rows and seconds of the batches since the last judgement
        self._calm = 0
        self._rows = fixed_rows or self._first(first_bytes, table_rows)
        self._bound()

    @property
    def rows(self) -> int:
        """How many rows the next batch should hold; at least one."""
        return self._rows

    def observe(self, rows: int, nbytes: int, seconds: float) -> None:
        """Learn from a batch that the driver has taken, `seconds` of its time."""
        if rows < 1:
            return
        with self._lock:
            width = nbytes / rows
            # Wider rows count at once, narrower ones by and by: the ceiling must hold for the next batch.
            self._row_bytes = max(1.0, width, (self._row_bytes + width) / 2)
            # Batches that were cut before the last step, and a partition's tail, say nothing about this size.
            if not self._fixed and seconds > 0 and 0.75 <= rows / self._rows <= 1.5:
                self._step(rows, seconds)
            self._bound()

    def shrink(self) -> None:
        """Halve: memory is short, or a batch took too long."""
        with self._lock:
            smallest = min(self._rows, max(1, int(SMALLEST_BYTES / self._row_bytes)))
            self._rows = max(smallest, self._rows // 2)
            self._calm = CALM

    def _first(self, first_bytes: int, table_rows: int | None) -> int:
        if table_rows and table_rows * self._row_bytes <= self._aim_bytes:
            return table_rows  # a table smaller than one batch is one batch
        return int(first_bytes / self._row_bytes)

    @property
    def _aim_bytes(self) -> int:
        return min(AIM_BYTES, self.ceiling_bytes // 2)

    def _step(self, rows: int, seconds: float) -> None:
        """One step towards the aim, or back: at most ×2 or ÷2."""
        rate = rows / seconds
        aim = int(min(self._aim_bytes / self._row_bytes, AIM_SECONDS * rate))
        if self._fell(rows, seconds) and not self._calm:
            self._calm, self._usual = CALM, 0.0
            aim = self._rows // 2
        else:
            self._usual += (rate - self._usual) / (TOGETHER if self._usual else 1)
            if self._calm:
                self._calm -= 1
                aim = min(aim, self._rows)
        self._rows = max(self._rows // 2, min(aim, self._rows * 2))

    def _fell(self, rows: int, seconds: float) -> bool:
        """Whether this batch is the last of those judged together, and they were slower than usual."""
        self._judged.append((rows, seconds))
        if len(self._judged) < TOGETHER:
            return False
        rate = sum(rows for rows, _ in self._judged) / sum(seconds for _, seconds in self._judged)
        self._judged.clear()
        return rate < SLOWER * self._usual

    def _bound(self) -> None:
        self._rows = max(1, min(self._rows, int(self.ceiling_bytes / self._row_bytes)))
