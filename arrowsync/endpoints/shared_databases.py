"""Lets the connections of this process to one place share one ADBC database, where drivers need that.

A DuckDB file that is opened a second time in a process is another database to it: what the second one writes
is gone when the first one is closed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable

from adbc_driver_manager import dbapi

_lock = threading.Lock()
_open: dict[tuple[int, Hashable], list[dbapi.Connection]] = {}  # by process, too: a forked one has none


def connect(place: Hashable, first: Callable[[], dbapi.Connection]) -> dbapi.Connection:
    """A connection beside those that are open to the place, or `first()`; in autocommit mode."""
    with _lock:
        there = _open.setdefault((os.getpid(), place), [])
        connection = there[0].adbc_clone() if there else first()
        connection.adbc_connection.set_autocommit(True)  # a clone has none
        there.append(connection)
        return connection


def close(connection: dbapi.Connection) -> None:
    """Close a connection, shared or not; the database goes with the last one."""
    with _lock:
        for place, there in list(_open.items()):
            if connection in there:
                there.remove(connection)
                if not there:
                    del _open[place]
                connection.close()  # before another one opens the place anew
                return
    connection.close()
