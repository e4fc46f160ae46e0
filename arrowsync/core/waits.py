"""Who is told that a session waits for a lock which another one holds. Finding out is connections.py's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wait:
    """What is waited for, and the session that stands in the way."""

    lock: str  # a table's name, or what else is locked
    pid: int
    activity: str  # "active", "idle in transaction"

    def __str__(self) -> str:
        return f"waiting for {self.lock}, held by pid {self.pid}, {self.activity}"


Listener = Callable[[Wait], None]
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def told(listener: Listener) -> Iterator[None]:
    """Connections that this thread opens meanwhile tell `listener`, from a thread of their own."""
    outer = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(outer)


def listening() -> Listener | None:
    return _listener.get()
