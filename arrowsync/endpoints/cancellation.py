"""The driver calls of one connection, and how other threads end them. Which calls is connections.py's."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from arrowsync.errors import TransientError

ASK_AGAIN_SECONDS = 0.2  # a server forgets a cancel that comes between two statements
PATIENCE_SECONDS = 2.0  # on a stalled network the driver's cancel itself hung for more than 12 s
ANSWER_SECONDS = 6.0  # asked again and again, a server that can be reached has ended its statement by then


class DriverCalls:
    """Counts the calls, cancels them, and releases the connection when nobody uses it any more.

    `ask` asks the server to cancel, `cut` shuts the socket, `release` frees the connection. The calls and
    `close` are of one thread, `cancel` of any. The driver frees what `ask` needs together with the connection
    (PQfreeCancel under a running PQcancel crashed the process): whoever is last, `close` or the asking
    thread, releases.
    """

    def __init__(
        self, *, ask: Callable[[], None], cut: Callable[[], None], release: Callable[[], None]
    ) -> None:
        self._ask = ask
        self._cut = cut
        self._release = release
        self._changed = threading.Condition()
        self._under_way = 0
        self._asking = False
        self._asked = False  # the driver's cancel has returned
        self._closing = False
        self.cancelled = False

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """A driver has control. Raises TransientError instead when the connection was cancelled before."""
        with self._changed:
            if self.cancelled:
                raise TransientError("cancelled")
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def cancel(self) -> None:
        """End the call under way with an error, and let no further one begin.

        Waits until it has ended: asks the server, and when that does not help cuts the socket.
        """
        with self._changed:
            self.cancelled = True
            if self._closing or self._asking or not self._under_way:
                return
            self._asking = True
        threading.Thread(target=self._asking_on, name="arrowsync-cancel", daemon=True).start()
        with self._changed:
            reached = self._changed.wait_for(lambda: not self._under_way or self._asked, PATIENCE_SECONDS)
            if reached and self._changed.wait_for(lambda: not self._under_way, ANSWER_SECONDS):
                return
        self._cut()

    def _asking_on(self) -> None:
        while True:
            with contextlib.suppress(Exception):  # there may be no server any more
                self._ask()
            with self._changed:
                self._asked = True
                self._changed.notify_all()
                if self._changed.wait_for(lambda: not self._under_way, ASK_AGAIN_SECONDS):
                    self._asking = False
                    self._changed.notify_all()
                    last = self._closing
                    break
        if last:
            self._release()

    def close(self) -> None:
        """Release the connection, or leave that to a cancel that hangs on a stalled network."""
        with self._changed:
            if self._closing:
                return
            self._changed.wait_for(lambda: not self._asking, PATIENCE_SECONDS)
            self._closing = True
            if self._asking:
                return
        self._release()
