"""Takes locks that keep others out in short tries: who comes meanwhile waits for seconds, not for minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import chain, repeat
from typing import TypeVar

from arrowsync.errors import ArrowsyncError, LockHeld

T = TypeVar("T")

PATIENCE_SECONDS = 300.0
# Who queues behind our try gets through in the pause after it; the longer it takes, the more room they get.
FIRST_PAUSES_SECONDS, PAUSE_SECONDS = (1.0, 2.0, 3.0), 5.0


def in_short_tries(
    work: Callable[[], T],
    *,
    hint: str,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """`work()`, again while it raises LockHeld, for five minutes; then an error that ends the table.

    `work` limits its own wait for a lock, and leaves none behind when it raises.
    """
    until = clock() + PATIENCE_SECONDS
    for pause in chain(FIRST_PAUSES_SECONDS, repeat(PAUSE_SECONDS)):
        try:
            return work()
        except LockHeld as held:
            if clock() + pause > until:
                said = ". ".join(filter(None, [hint, held.hint]))
                failure = f"waited for {PATIENCE_SECONDS:.0f} s: {held.message}"
                raise ArrowsyncError(failure, hint=said) from held
        sleep(pause)
    raise AssertionError("the pauses do not end")
