"""What `status` shows: the transfers that a target's journal knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from arrowsync.core.receipts import Phase
from arrowsync.core.status import INTERRUPTED, RUNNING, TableStatus, TransferStatus
from arrowsync.display import Shown
from arrowsync.display.document import Document, Heading, Notes, Section, Text, Tone, Toned, grid, parts
from arrowsync.display.formatting import count, duration, noun


@dataclass(frozen=True, slots=True, repr=False)
class Transfers(Sequence[TransferStatus], Shown):
    """Transfers into a place, unfinished ones first. Prints itself as text, and as a table in a notebook."""

    place: str
    transfers: tuple[TransferStatus, ...]
    by_table: bool = False  # what it shows of each

    def __len__(self) -> int:
        return len(self.transfers)

    @overload
    def __getitem__(self, at: int) -> TransferStatus: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[TransferStatus, ...]: ...
    def __getitem__(self, at: int | slice) -> TransferStatus | tuple[TransferStatus, ...]:
        return self.transfers[at]

    __repr__ = Shown.__repr__

    def __str__(self) -> str:
        return Shown.__str__(self)

    def to_dict(self) -> dict[str, Any]:  # Any: JSON
        return {"place": self.place, "transfers": [transfer.to_dict() for transfer in self]}

    def document(self) -> Document:
        """A line for each transfer; `by_table` shows each one's tables instead."""
        headings = (
            Heading("transfer"),
            Heading("status"),
            Heading("tables", right=True),
            Heading("rows", right=True),
            Heading("quarantine", right=True, optional=True),
            Heading("mode", optional=True),
            Heading("age", right=True),
            Heading("source", optional=True),
        )
        title = Toned(f"{self.place}: {noun(len(self), 'transfer')}")
        table = grid(headings, map(_row, self)) if self.transfers else None
        return Document(title, parts([table, *self._tables(), Notes(tuple(self._notes()))]))

    def _tables(self) -> Iterator[Section]:
        for transfer in self if self.by_table else ():
            yield Section(transfer.transfer, (grid(_TABLE, map(_table_row, transfer.tables)),), open=True)

    def _notes(self) -> Iterator[Toned]:
        if any(transfer.status == INTERRUPTED for transfer in self):
            yield Toned(
                "interrupted: nobody is copying now, and the same command goes on where it ended", "warn"
            )


_TONES: dict[str, Tone] = {"complete": "good", RUNNING: "plain", Phase.WAITING: "plain"}
_TABLE = (
    Heading("table"),
    Heading("status"),
    Heading("partitions", right=True),
    Heading("rows", right=True),
    Heading("quarantine", right=True, optional=True),
)


def _row(transfer: TransferStatus) -> tuple[Text, ...]:
    only = transfer.tables[0].table if len(transfer.tables) == 1 else None
    return (
        transfer.transfer,
        Toned(transfer.status, _TONES.get(transfer.status, "warn")),
        only or f"{count(transfer.tables_done)} of {count(len(transfer.tables))}",
        count(transfer.rows),
        count(transfer.quarantined) if transfer.quarantined else "",
        transfer.mode,
        duration(transfer.age_seconds),
        transfer.source,
    )


def _table_row(table: TableStatus) -> tuple[Text, ...]:
    return (
        table.table,
        Toned(table.status, _TONES.get(table.status, "warn")),
        f"{count(table.partitions_done)} of {count(table.partitions)}" if table.partitions else "",
        count(table.rows),
        count(table.quarantined) if table.quarantined else "",
    )
