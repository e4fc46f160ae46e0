"""Cancels a driver call that has control for too long. Waiting for anybody else stops the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

from arrowsync.errors import BatchTimeout

T = TypeVar("T")


class Deadline:
    """A clock for one thread's driver calls, watched by a thread of its own, which calls `cancel` once.

    `cancel` makes the call return with an error; `running` then raises BatchTimeout instead.
    """

    def __init__(
        self, seconds: float, cancel: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = seconds
        self._cancel = cancel
        self._clock = clock
        self._changed = threading.Condition()
        self._due: float | None = None
        self._over = False
        self.late = False
        self._watch = threading.Thread(target=self._watching, name="arrowsync-deadline", daemon=True)

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with self._changed:
            self._over = True
            self._changed.notify()
        self._watch.join()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The driver has control. Raises BatchTimeout when it had it for too long."""
        self.start()
        try:
            yield
        except Exception as error:
            self.stop()
            if self.late:
                raise self.error() from error
            raise
        finally:
            self.stop()

    def error(self) -> BatchTimeout:
        return BatchTimeout(
            f"the driver did not answer within {self.seconds:g} s",
            hint="A lock, a slow statement or a stalled network; batch_seconds allows more",
        )

    def start(self) -> None:
        with self._changed:
            first, self._due = self._due is None, self._clock() + self.seconds
            if first:  # else the watch is waiting already, for an earlier time, and will look again
                self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._due = None

    def timing(self, items: Iterator[T], *, first: bool = False) -> Iterator[T]:
        """The items, each `next` under the clock; the first if asked: a sorted query may take its time."""
        for item in () if first else items:
            yield item
            del item  # or it would stay in memory while the next one is read
            break
        while True:
            with self.running():
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item
            del item

    def _watching(self) -> None:
        with self._changed:
            while not self._over:
                if self._due is None:
                    self._changed.wait()
                elif (left := self._due - self._clock()) > 0:
                    self._changed.wait(left)
                else:
                    self.late, self._due = True, None
                    self._changed.release()
                    try:
                        self._cancel()
                    finally:
                        self._changed.acquire()
