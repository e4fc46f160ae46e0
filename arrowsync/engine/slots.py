"""Limits how many pipes may do a thing at once, such as read or write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from arrowsync.engine.cancellation import Cancellation


class Slots:
    """At most `at_once` pipes hold a slot, the others wait. Thread-safe.

    A waiter need not be woken on cancellation: every holder is cancelled too and releases its slot.
    """

    def __init__(self, at_once: int) -> None:
        self._free = threading.Semaphore(at_once)

    def is_free(self) -> bool:
        """Whether a slot is free at this moment."""
        free = self._free.acquire(blocking=False)
        if free:
            self._free.release()
        return free

    @contextmanager
    def take(self, cancellation: Cancellation) -> Iterator[Callable[[], None]]:
        """Wait for a slot. The function given releases it early, from any thread. Raises Cancelled."""
        self._free.acquire()
        held = threading.Lock()

        def release() -> None:
            if held.acquire(blocking=False):
                self._free.release()

        try:
            cancellation.check()
            yield release
        finally:
            release()
