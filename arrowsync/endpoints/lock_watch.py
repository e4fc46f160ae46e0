"""Finds out who holds the lock that a connection's call waits for, and tells it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from arrowsync.core.waits import Listener, Wait
from arrowsync.errors import ArrowsyncError, LockHeld

TELL_AFTER_SECONDS = 3.0
SHORTEST_LOOK_SECONDS = 1.0  # into a call before it is asked what it waits for


class LockWatch:
    """Watches one connection's calls. `look` asks on another one; None: the call waits for no lock."""

    def __init__(self, look: Callable[[], Wait | None], tell: Listener) -> None:
        self._look = look
        self._tell = tell
        self._told: Wait | None = None
        self._since: float | None = None

    @contextmanager
    def over_tries(self) -> Iterator[None]:
        """Count the time from here on over several calls, which try for the same lock."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    @contextmanager
    def during_call(self) -> Iterator[None]:
        """Raises LockHeld with the holder's name where it is known."""
        now = time.monotonic()
        due = TELL_AFTER_SECONDS - (now - (self._since or now))
        timer = threading.Timer(max(due, min(SHORTEST_LOOK_SECONDS, TELL_AFTER_SECONDS)), self._look_now)
        timer.daemon = True
        timer.start()
        try:
            yield
        except LockHeld as held:
            raise self._named(held) from held.__cause__
        finally:
            timer.cancel()

    def _look_now(self) -> None:
        with suppress(ArrowsyncError):  # no connection to ask on: nobody is told
            wait = self._look()
            if wait is not None and wait != self._told:
                self._told = wait
                self._tell(wait)

    def _named(self, held: LockHeld) -> LockHeld:
        if self._told is None:
            return held
        holder = self._told
        return LockHeld(
            f"{holder.lock} is locked by pid {holder.pid}, {holder.activity}",
            hint=f"Wait until it has ended, or end it: select pg_terminate_backend({holder.pid})",
            sqlstate=held.sqlstate,
        )
