"""Which threads of arrowsync are still there."""

from __future__ import annotations

import threading
import time


def threads_left(seconds: float = 10.0) -> list[str]:
    """Their names when none is left, or after so many seconds: one that a driver holds ends a little later."""
    until = time.monotonic() + seconds
    while names := [each.name for each in threading.enumerate() if each.name.startswith("arrowsync")]:
        if time.monotonic() > until:
            break
        time.sleep(0.02)
    return names
