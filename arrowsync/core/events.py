"""What happened, as frozen values whose fields state their unit, and who listens."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # core.arguments names an Observer, and what these are made of begins with those arguments
    from arrowsync.core.plan import TablePlan
    from arrowsync.core.receipts import Receipt
    from arrowsync.core.waits import Wait

log = logging.getLogger("arrowsync")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened while the table of that name was copied."""

    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStarted(Event):
    """Once more where the table is started over with other types: what was committed before is gone."""

    plan: TablePlan
    resumed: tuple[Receipt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionStarted(Event):
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchWritten(Event):
    """The target's driver has taken a batch; `seconds` it had control, `memory` bytes in use after it."""

    partition: int
    rows: int
    bytes: int
    seconds: float
    next_rows: int
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionCommitted(Event):
    receipt: Receipt
    seconds: float
    query_seconds: float  # how long the source's query was open


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionRefused(Event):
    """A column's values did not fit its route; it is done again with the next one, or the table otherwise."""

    partition: int
    column: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionFailed(Event):
    partition: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(Event):
    """A reader waited for memory for `seconds`."""

    partition: int
    seconds: float
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried(Event):
    partition: int
    attempt: int
    wait_seconds: float
    error: str
    timeout: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FewerConnections(Event):
    """A server takes no more connections: the table goes on with fewer partitions, or readers, at once."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockAwaited(Event):
    """Another session holds a lock that we wait for; in planning `table` is what is locked."""

    wait: Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsQuarantined(Event):
    partition: int
    rows: int
    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing(Event):
    """All rows are in; a statement that finishes the table (index, key, swap, …) begins."""

    statement: str
    number: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFinished(Event):
    status: str
    rows: int
    seconds: float


class Observer(Protocol):
    """Told of every event. Called from the threads that do the work, one call at a time; must be quick."""

    def __call__(self, event: Event, /) -> None: ...


def tell_each(*observers: Observer) -> Observer:
    """Tells them one after another, one event at a time; a failing observer never fails a transfer."""
    lock = threading.Lock()

    def observe(event: Event, /) -> None:
        with lock:
            for observer in observers:
                try:
                    observer(event)
                except Exception:  # whatever a user's observer raises
                    log.exception("the observer %r failed on %r", observer, event)

    return observe
