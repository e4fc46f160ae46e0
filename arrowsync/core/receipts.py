"""What is copied piece by piece: partitions, the receipts that they leave, and tables left unfinished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

from arrowsync.core.table import TableName
from arrowsync.core.write_modes import Write, decide


@dataclass(frozen=True, slots=True)
class Partition:
    """A slice of the source table: rows with lower <= column < upper, each bound None where it is open.

    `by` says what the bounds are: values of a key column (as text of the source's literal form), ctid blocks,
    rowids, row groups of files; "whole" is the whole table. The first partition also takes NULL keys.
    """

    number: int
    by: Literal["whole", "key", "ctid", "rowid", "file"] = "whole"
    column: str | None = None
    lower: str | None = None
    upper: str | None = None

    @property
    def is_all(self) -> bool:
        """Whether it is the whole table, whatever it is cut by."""
        return self.lower is None and self.upper is None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Row count and wrapping 64-bit sums of row hashes; fingerprints of disjoint rows add up in any order.

    `hash` is the sum under a fixed seed: it is shown and compares across transfers, and rows can be forged to
    have a wanted one. `second` is the sum under a secret seed, which prevents that within one transfer.
    """

    rows: int = 0
    hash: int = 0
    second: int = field(default=0, repr=False)

    def __add__(self, other: Fingerprint) -> Fingerprint:
        return Fingerprint(
            self.rows + other.rows, (self.hash + other.hash) % 2**64, (self.second + other.second) % 2**64
        )

    def __str__(self) -> str:
        return f"{self.rows}:{self.hash:016x}"

    @property
    def shown(self) -> Fingerprint:
        """What compares with the fingerprints of other transfers."""
        return replace(self, second=0)

    def to_text(self) -> str:
        """Both lanes, for a receipt."""
        return f"{self}:{self.second:016x}"

    @classmethod
    def parse(cls, text: str) -> Fingerprint:
        """The inverse of to_text; without the second lane where an earlier release wrote it."""
        rows, *lanes = text.split(":")
        return cls(int(rows), *(int(digits, 16) for digits in lanes))


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one partition committed: rows stored, the fingerprint of the rows accepted, source bytes."""

    partition: int
    rows: int
    fingerprint: Fingerprint
    bytes: int
    quarantined: int = 0
    quarantine: str | None = None  # absolute path of the folder
    host: str | None = None
    fell_back: tuple[str, ...] = ()  # columns that took another route than the plan's first
    algorithm: str = ""  # of the fingerprint; only those of one algorithm add up


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that the target does not take, by its place in the batch, and why."""

    place: int
    message: str
    sqlstate: str | None = None
    constraint: str | None = None
    column: str | None = None


# Columns that quarantined rows have beside their own; rows that are copied again leave them behind.
REASONS = tuple(f"_arrowsync_{name}" for name in ("error", "sqlstate", "constraint", "partition"))
REASONS_KEY = "arrowsync.quarantine.added"  # of a file's metadata: their names there, as JSON


class Phase(StrEnum):
    """How far an unfinished transfer is with one of its tables."""

    WAITING = "waiting"  # noted with its transfer; nothing is made yet
    RUNNING = "running"
    PUBLISHED = "published"  # finished, while its transfer is not over
    GIVEN_UP = "given up"  # another transfer has taken its target over


class Leftover(StrEnum):
    """What an unfinished run has left in the target, and what giving it up does to that."""

    NOTHING = "nothing"  # not begun; or its table has taken the place of the old one, and is the users' now
    TABLE = "table"  # a table of its making, which is dropped
    ALL_ROWS = "all rows"  # of a table that was there without rows, which is emptied
    ADDED_ROWS = "added rows"  # among others: only a sink that identifies rows takes them away


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """One table of a transfer that has begun and is not over, as the journal knows it.

    `request` is its Transfer.identity(), `run` names this beginning of the table. `state` is what
    `Sink.prepare` and `Sink.publish` were given to remember, with `exists`: whether the target table was
    there before. `write_table_state` is what became of the table that its rows went into: "kept" as it
    was, "changed" by others, or "other", not that table.
    `committed`: the transfer has rows in the target, in this table or in another one.
    """

    transfer: str
    target: str
    request: Mapping[str, Any]  # Any: JSON
    partitions: tuple[Partition, ...]
    receipts: tuple[Receipt, ...]
    state: Mapping[str, Any] = field(repr=False)  # Any: JSON; holds the secret seed
    phase: Phase = Phase.RUNNING
    run: str = ""
    journal: tuple[TableName, TableName] | None = None
    committed: bool = False
    write_table_state: Literal["kept", "changed", "other"] = "kept"

    @property
    def secret(self) -> int | None:
        """The seed of its receipts' second lanes; None where an earlier release began it."""
        seed = self.state.get("secret")
        return None if seed is None else int(seed, 16)

    @property
    def source(self) -> TableName | None:
        """The source's table; None where an older release has noted it."""
        return TableName(*self.state["table"]) if "table" in self.state else None

    @property
    def place(self) -> TableName:
        """The target's table."""
        return TableName(*self.state["place"]) if "place" in self.state else TableName.parse(self.target)

    @property
    def rows(self) -> int:
        """How many rows its receipts stand for."""
        return sum(receipt.rows for receipt in self.receipts)

    @property
    def write(self) -> Write:
        """What was decided for it."""
        return decide(self.request["mode"], exists=self.state.get("exists", False))

    @property
    def came_to_nothing(self) -> bool:
        """Whether it is a replace that read no row, and was refused: the source may hold some by now."""
        refused = self.phase is Phase.RUNNING and self.write.replaces
        return bool(refused and self.receipts and not self.rows)

    @property
    def leftover(self) -> Leftover:
        """What of it is in the target."""
        write, published = self.write, self.phase is Phase.PUBLISHED
        if not self.has_write_table or (write.replaces and published):
            return Leftover.NOTHING
        if write.adds:
            return Leftover.ADDED_ROWS
        return Leftover.TABLE if write.makes_table else Leftover.ALL_ROWS

    @property
    def has_write_table(self) -> bool:
        """Whether there is, or was, a table that its rows go into."""
        return self.phase in (Phase.RUNNING, Phase.PUBLISHED)

    @property
    def write_table_name(self) -> TableName:
        """What the table that its rows go into is called; only where it `has_write_table`."""
        return TableName(*self.state["landing"])
