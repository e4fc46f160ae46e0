"""Asking who holds a lock, and what that says of a transfer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from arrowsync.core.status import TransferStatus
from arrowsync.endpoints import lock


def test_who_asks_for_a_lock_makes_none_and_keeps_none(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert (lock.is_held(path), path.exists()) == (False, False)
    with lock.FileLock(path):
        assert lock.is_held(path)
    path.touch()  # as a killed run leaves it
    assert not lock.is_held(path)
    with lock.FileLock(path) as taken:
        assert not taken.waited


def test_a_copy_that_ends_while_status_looks_was_not_interrupted() -> None:
    running = TransferStatus("1", "s", "create", "running", "", None, 0.0)
    looks = iter([[running], [replace(running, status="complete")]])
    assert [each.status for each in lock.with_locks(lambda: next(looks), lambda _: False)] == ["complete"]
