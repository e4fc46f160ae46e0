"""Whose turn it is where only so many pipes may do a thing at once, such as read or write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from arrowsync.engine.stop import Stop


class Turns:
    """At most `at_once` pipes have their turn, the others wait.

    Waiting needs no waking: who has a turn is stopped by the same signal, and gives it back.
    """

    def __init__(self, at_once: int) -> None:
        self._free = threading.Semaphore(at_once)

    def is_free(self) -> bool:
        """Whether nobody would have to wait, at this moment."""
        free = self._free.acquire(blocking=False)
        if free:
            self._free.release()
        return free

    @contextmanager
    def take(self, stop: Stop) -> Iterator[Callable[[], None]]:
        """Wait for a turn; inside, what is given passes it on early, from any thread. Raises Stopped."""
        self._free.acquire()
        mine = threading.Lock()

        def pass_on() -> None:
            if mine.acquire(blocking=False):
                self._free.release()

        try:
            stop.check()
            yield pass_on
        finally:
            pass_on()
