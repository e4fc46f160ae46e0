"""Keeps a second run of a transfer into the same table from wasting work; exactly once rests on claims."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from arrowsync.core.status import INTERRUPTED, RUNNING, TransferStatus
from arrowsync.core.table import TableName
from arrowsync.endpoints import inherited
from arrowsync.endpoints.connections import AdbcConnection, Address
from arrowsync.errors import ArrowsyncError, ResumeError

PATIENCE_SECONDS = 10.0  # a killed run's sessions let go within a second or two
LOOK_SECONDS = 0.1  # flock() can wait for ever or not at all


def _taken() -> ResumeError:
    return ResumeError(
        "another run is copying into this table", hint="Wait for it to end, then run the same command again"
    )


class ServerLock:
    """A lock of the database's own, held by a connection."""

    def __init__(self, address: Address, name: TableName) -> None:
        self._address = address
        self._name = name
        self.waited = False

    def __enter__(self) -> Self:
        self._connection = AdbcConnection(self._address, read_only=False)
        try:
            self._take()
        except BaseException:
            self._connection.close()
            raise
        return self

    def _take(self) -> None:
        dialect = self._address.dialect
        self.waited = not dialect.lock(self._connection, self._name, 0)
        if self.waited and not dialect.lock(self._connection, self._name, PATIENCE_SECONDS):
            raise _taken()

    def __exit__(self, *exc: object) -> None:
        self._connection.close()

    def renew(self) -> None:
        try:
            self._connection.rows("select 1")
        except ArrowsyncError:
            self._connection.close()
            self._connection = AdbcConnection(self._address, read_only=False)
            self._take()


class FileLock:
    """A lock of the operating system's on a file beside the database; it ends with the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.waited = False

    def __enter__(self) -> Self:
        until = time.monotonic() + PATIENCE_SECONDS
        while not self._try():
            self.waited = True
            if time.monotonic() > until:
                raise _taken()
            time.sleep(LOOK_SECONDS)
        return self

    def _try(self) -> bool:
        with inherited.opening:
            self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o666)
            inherited.note([(self._descriptor, os.fstat(self._descriptor).st_ino)])
        with suppress(BlockingIOError):
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its owner removes the file before letting go: one that is not there any more locks nobody out.
            with suppress(FileNotFoundError):
                if os.stat(self._path).st_ino == os.fstat(self._descriptor).st_ino:
                    return True
        os.close(self._descriptor)
        return False

    def __exit__(self, *exc: object) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def renew(self) -> None:
        """The operating system takes it from nobody."""


def is_held(path: Path) -> bool:
    """Whether a run holds the lock on that file, which is never made here.

    One that a killed run has left is locked for some microseconds: the system tells in no other way.
    """
    with inherited.opening:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        except PermissionError:
            return True  # another user's: whose run has it, or could go on with it, is not ours to say
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


def clear(path: Path) -> None:
    """Remove the lock's file where a killed run has left it."""
    left = FileLock(path)
    if path.exists() and left._try():  # held meanwhile, so that nobody comes to hold a file that is gone
        left.__exit__()


def with_locks(
    look: Callable[[], list[TransferStatus]], held: Callable[[TransferStatus], bool]
) -> list[TransferStatus]:
    """What `look` finds, interrupted where no run holds the lock.

    A run may end after the first look and before its lock is asked for: the second one finds it done.
    """
    found = look()
    left = {(each.transfer, each.table) for each in found if each.status == RUNNING and not held(each)}
    return [
        replace(each, status=INTERRUPTED)
        if each.status == RUNNING and (each.transfer, each.table) in left
        else each
        for each in (look() if left else found)
    ]
