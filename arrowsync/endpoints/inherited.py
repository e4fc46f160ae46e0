"""Descriptors that forked children let go of: sessions and locks would outlive this process in them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress

opening = threading.Lock()  # nobody forks between a descriptor's opening and its note
_noted: dict[int, int] = {}  # descriptor -> inode: what is closed meanwhile belongs to others


def note(descriptors: Iterable[tuple[int, int]]) -> None:
    """Let go in children of descriptors with these inodes."""
    _noted.update(descriptors)


def _let_go() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor, inode in _noted.items():
        with suppress(OSError):
            if os.fstat(descriptor).st_ino == inode:
                os.dup2(
                    nowhere, descriptor
                )  # not closed: a driver could say goodbye on what gets the number next
    os.close(nowhere)
    _noted.clear()
    opening.release()


os.register_at_fork(before=opening.acquire, after_in_parent=opening.release, after_in_child=_let_go)
