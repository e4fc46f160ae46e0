"""The signal to stop, which also wakes whoever waits and cancels whatever a driver is doing."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from arrowsync.errors import ArrowsyncError


class Cancelled(ArrowsyncError):
    """The work was told to stop; not a failure of its own."""


class Cancellation:
    """Set once, from any thread. A child is set with its parent, never the other way round."""

    def __init__(self, parent: Cancellation | None = None) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._leave_parent = parent._add(self.set) if parent is not None else lambda: None

    def __enter__(self) -> Cancellation:
        return self

    def __exit__(self, *exc: object) -> None:
        self._leave_parent()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake when set; whether it is set."""
        return self._event.wait(seconds)

    def check(self) -> None:
        """Raises Cancelled when set."""
        if self.is_set():
            raise Cancelled("cancelled")

    def set(self) -> None:
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        # At once: a cancel takes seconds where the network stalls.
        threads = [threading.Thread(target=callback, name="arrowsync-stop") for callback in callbacks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @contextlib.contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """While inside, `set` calls `callback` (from the thread that sets); at once when set already."""
        leave = self._add(callback)
        try:
            yield
        finally:
            leave()

    def _add(self, callback: Callable[[], None]) -> Callable[[], None]:
        with self._lock:
            late = self._event.is_set()
            if not late:
                self._callbacks.append(callback)
        if late:
            callback()
        return lambda: self._remove(callback)

    def _remove(self, callback: Callable[[], None]) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._callbacks.remove(callback)
