"""Opening a connection in a thread of its own."""

from __future__ import annotations

import _thread
import threading
import time
from typing import Any

import pytest

from arrowsync.endpoints.opening import open_within


class Connection:
    closed = False

    def close(self) -> None:
        self.closed = True


def opening_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "arrowsync-open"]


def test_an_interrupt_while_a_connection_opens_closes_it_and_leaves_no_thread() -> None:
    connection: Any = Connection()

    def connect() -> Any:
        _thread.interrupt_main()  # not a signal: polars may have put a handler of its own before Python's
        time.sleep(0.1)  # the interrupt is raised meanwhile, or as the wait for us ends
        return connection

    with pytest.raises(KeyboardInterrupt):
        open_within(30, connect)
    assert not opening_threads()
    assert connection.closed


def test_an_opened_connection_leaves_no_thread() -> None:
    for _ in range(200):
        open_within(30, Connection)  # type: ignore[arg-type]
        assert not opening_threads()
