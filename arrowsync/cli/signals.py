"""Ctrl-C and SIGTERM: the first asks the command to stop, the second ends the process at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import FrameType
from typing import NoReturn, TypeVar

SIGNALS = (signal.SIGINT, signal.SIGTERM)
NOTICE = b"\ninterrupted; once more to exit at once\n"
T = TypeVar("T")
SHOW_CURSOR = b"\x1b[?25h"  # the live display hides it


def watch() -> None:
    """Install the handlers; a signal that is ignored (nohup) stays ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


class LeftBehind(KeyboardInterrupt):
    """Interrupted while a thread of ours was reading, and still is."""


def reading(work: Callable[[], T]) -> T:
    """What `work` returns, which reads and writes nothing: on a thread that Ctrl-C leaves behind.

    A driver that works in the main thread keeps Ctrl-C to itself, SQLite's until its query has ended.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # the top of a thread
            future.set_exception(error)

    try:
        threading.Thread(target=run, daemon=True, name="arrowsync-reading").start()
        return future.result()
    except KeyboardInterrupt:
        raise LeftBehind from None


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    for each in SIGNALS:
        signal.signal(each, _exit_now)
    _tell(NOTICE)
    raise KeyboardInterrupt


def _exit_now(number: int, frame: FrameType | None) -> NoReturn:
    _tell(SHOW_CURSOR if os.isatty(2) else b"")
    os._exit(130)


def _tell(text: bytes) -> None:
    with contextlib.suppress(OSError):
        os.write(2, text)  # print() could be in the middle of a line of its own
