"""What a verification found: values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from arrowsync.core.receipts import Fingerprint


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that one side lacks, or that differs: its key as text, and for "different" the columns."""

    kind: Literal["missing", "extra", "different"]
    key: Mapping[str, str]
    columns: tuple[str, ...] = ()


# "missing": the target has no such table. "not comparable": neither equal nor different can be said.
Status = Literal["equal", "different", "missing", "not comparable"]


@dataclass(frozen=True, slots=True)
class TableCheck:
    """One table compared with its copy; `reason` says why, where no rows were compared.

    `missing` rows are not in the target, `extra` ones not in the source, `different` ones are in both under
    the same key; without a key a changed row counts as missing and as extra. `examples` names the first few.
    """

    table: str
    target_table: str
    status: Status
    reason: str = ""
    source: Fingerprint | None = None  # as they are shown: those of different rows may be the same
    target: Fingerprint | None = None
    missing: int = 0
    extra: int = 0
    different: int = 0
    key: tuple[str, ...] = ()
    examples: tuple[Difference, ...] = ()

    @property
    def equal(self) -> bool:
        return self.status == "equal"
