"""Stdout and stderr as a command finds them: closed, full, or without a reader."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


def open_missing() -> None:
    """Give closed standard streams a place to go.

    The next file or socket to be opened would otherwise get the number of one of them, and with it whatever
    any library writes to stderr.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


@contextmanager
def writing_to(stream: TextIO) -> Iterator[None]:
    """Write nothing where nobody reads any more (`arrowsync … | head`), and no errors where these cannot go.

    Raises OSError where stdout cannot be written: its disk may be full.
    """
    try:
        yield
    except BrokenPipeError:
        pass
    except OSError:
        if stream is sys.stdout:
            raise


def write(text: str, stream: TextIO) -> None:
    """A line, or many; see `writing_to`."""
    with writing_to(stream):
        print(text, file=stream, flush=True)


def drop_unwritten() -> None:
    """Let go of what could not be written: Python tries again as it exits, and makes 120 of the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
