"""What a write mode does to the target table: decided here, once for each table, and asked nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace

from arrowsync.core.transfer import WriteMode


@dataclass(frozen=True, slots=True)
class Write:
    """How the rows of one table get into the target.

    Its statements, in order: `before` run in the transaction that also writes the journal. When all rows are
    in, `builds` are committed one by one, and `last` together.
    """

    exists: bool = False  # whether the target table is there before
    adds: bool = False  # rows that are there stay
    replaces: bool = False  # rows that are there go when the new ones are in
    aside: bool = False  # rows become the target only when they are published, as a file does by its rename
    before: tuple[str, ...] = ()
    builds: tuple[str, ...] = ()
    last: tuple[str, ...] = ()

    @property
    def after(self) -> tuple[str, ...]:
        """All statements that run when the rows are in."""
        return (*self.builds, *self.last)

    @property
    def swaps(self) -> bool:
        """Whether publishing puts a new table in the place of one that is there."""
        return self.replaces and self.exists

    @property
    def is_beside(self) -> bool:
        """Whether rows go into a table beside the target, which takes its place when it is published."""
        return self.aside or self.swaps

    @property
    def makes_table(self) -> bool:
        """Whether the table that rows go into is of the transfer's making."""
        return self.is_beside or not self.exists

    @property
    def needs_empty(self) -> bool:
        """Whether rows that are there are in the way."""
        return not (self.adds or self.replaces)

    @property
    def swapped(self) -> Write:
        """The same once the table is swapped."""
        return replace(self, replaces=False)


def decide(mode: str, *, exists: bool) -> Write:
    """How rows get into a target table that is there or not."""
    return Write(exists, adds=mode == WriteMode.APPEND, replaces=mode == WriteMode.REPLACE)
