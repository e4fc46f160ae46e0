"""Keeps one connection to each database open while a transfer is planned, which asks it again and again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from arrowsync.endpoints.connections import AdbcConnection, Address

# Of this thread: a connection is for one at a time.
_idle: ContextVar[list[tuple[Address, AdbcConnection]] | None] = ContextVar("idle", default=None)


@contextmanager
def keep_open() -> Iterator[None]:
    """Within it `asking` opens a database once.

    Planning a table asks PostgreSQL six times. A session on the same machine takes 11 ms to open, most of it
    for the password; over a network it takes some ten round trips.
    """
    outer = _idle.set([])
    try:
        yield
    finally:
        idle = _idle.get() or []
        _idle.reset(outer)
        for _, connection in idle:
            connection.close()


@contextmanager
def asking(address: Address) -> Iterator[AdbcConnection]:
    """A read-only connection, closed at the end, or kept for the next who asks the same place."""
    idle = _idle.get()
    kept = next((each for each in idle or () if each[0] == address), None)
    if idle is not None and kept is not None:
        idle.remove(kept)
    connection = kept[1] if kept else AdbcConnection(address, read_only=True)
    try:
        yield connection
    except BaseException:
        connection.close()  # an error may have left anything behind
        raise
    if idle is None:
        connection.close()
    else:
        idle.append((address, connection))
