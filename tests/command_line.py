"""Runs the command line in the test's own process: 0.05 s instead of the 1.2 s that a new one takes to import.

What only a process of its own can show (signals, its exit code, streams that are closed, a terminal) is proven
in test_cli.py and unit/cli.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from arrowsync.cli import app


@contextmanager
def _handlers_restored() -> Iterator[None]:
    """The command takes the signals of its process; a later one would end the tests' own."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class Done:
    """How a command has ended; the names are those of subprocess.CompletedProcess."""

    returncode: int
    stdout: str
    stderr: str


def arrowsync(*arguments: object, **environment: str) -> Done:
    """Run the command as a user does."""
    words = [str(argument) for argument in arguments]
    out, err = io.StringIO(), io.StringIO()
    with (
        _handlers_restored(),
        patch.object(sys, "argv", ["arrowsync", *words]),  # the command repeats them
        patch.dict(os.environ, environment),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = app(words, prog_name="arrowsync", standalone_mode=False)
    assert isinstance(code, int)
    assert "Traceback" not in err.getvalue()
    return Done(code, out.getvalue(), err.getvalue())
