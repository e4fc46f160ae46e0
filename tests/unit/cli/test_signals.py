"""Ctrl-C and SIGTERM, sent to processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

Start = Callable[[str], subprocess.Popen[str]]

# A command that is interrupted while it waits, and whose cleaning up hangs when asked to.
WAITS = """
import sys, time
from arrowsync.cli import signals
signals.watch()
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("cleaning", flush=True)
    {cleaning}
    sys.exit(130)
"""
# A verb whose reading never ends, as the program runs it.
READS = """
import sys, threading, typer
from arrowsync.cli import signals
from arrowsync.cli.command import verb_of
signals.watch()
app = typer.Typer(rich_markup_mode=None)
@verb_of(app)
def forever():
    "Read for ever."
    signals.reading(lambda: print("ready", flush=True) or threading.Event().wait())
sys.exit(app(["--json"], standalone_mode=False))
"""


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a script and waits until it says that it is ready."""
    with ExitStack() as running:

        def start(script: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            running.enter_context(process)
            running.callback(process.kill)
            assert process.stdout.readline() == "ready\n"
            return process

        yield start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_to_stop_and_says_so(start: Start, number: signal.Signals) -> None:
    process = start(WAITS.format(cleaning="pass"))
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (out, process.returncode) == ("cleaning\n", 130)
    assert "once more to exit at once" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_exits_at_once_whatever_still_runs(start: Start, number: signal.Signals) -> None:
    process = start(WAITS.format(cleaning="time.sleep(60)"))
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "cleaning\n"
    process.send_signal(number)
    assert process.wait(timeout=30) == 130


def test_an_ignored_signal_stays_ignored() -> None:
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from arrowsync.cli import signals; signals.watch()\n"
        "signal.raise_signal(signal.SIGINT); print('still here')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert done.stdout == "still here\n"


def test_reading_that_does_not_end_is_left_behind(start: Start) -> None:
    process = start(READS)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert '"type": "KeyboardInterrupt"' in out
