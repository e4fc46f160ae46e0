"""Keeps a second run of a transfer into the same table from wasting work; exactly once rests on claims."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from arrowsync import fork_safety
from arrowsync.core.status import INTERRUPTED, RUNNING, TransferStatus
from arrowsync.core.table import TableName
from arrowsync.endpoints.connections import AdbcConnection, Address
from arrowsync.errors import ArrowsyncError, ResumeError

PATIENCE_SECONDS = 10.0  # a killed run's sessions let go within a second or two
LOOK_SECONDS = 0.1  # flock() can wait for ever or not at all


def _taken(what: str) -> ResumeError:
    return ResumeError(
        f"another run is copying into {what}", hint="Wait for it to end, then run the same command again"
    )


def transfer_key(transfer: str) -> str:
    """What the lock of a transfer is called, beside those of tables, which have their names."""
    return f"transfer {transfer}"


class ServerLock:
    """Locks of the database's own, held by one connection."""

    def __init__(self, address: Address, transfer: str) -> None:
        self._address = address
        self._key = transfer_key(transfer)
        self.waited = False

    def __enter__(self) -> Self:
        self._connection = AdbcConnection(self._address, read_only=False)
        try:
            self.waited = self._take(self._key, "these tables")
        except BaseException:
            self._connection.close()
            raise
        return self

    def _take(self, key: str, what: str) -> bool:
        """Whether another run had it first. Raises ResumeError when that one keeps it."""
        dialect = self._address.dialect
        if dialect.lock(self._connection, key, 0):
            return False
        if not dialect.lock(self._connection, key, PATIENCE_SECONDS):
            raise _taken(what)
        return True

    def __exit__(self, *exc: object) -> None:
        self._connection.close()

    @contextmanager
    def table(self, name: TableName) -> Iterator[bool]:
        key = str(name)
        self._connect_again()
        waited = self._take(key, f"table {name}")
        try:
            yield waited
        finally:
            with suppress(ArrowsyncError):  # the connection is gone, and the lock with it
                self._address.dialect.unlock(self._connection, key)

    def renew(self, name: TableName) -> None:
        if self._connect_again():
            self._take(str(name), f"table {name}")

    def _connect_again(self) -> bool:
        """Whether the connection had gone, and the transfer's lock with it; both are back then."""
        try:
            self._connection.rows("select 1")
        except ArrowsyncError:
            self._connection.close()
            self._connection = AdbcConnection(self._address, read_only=False)
            self._take(self._key, "these tables")
            return True
        return False


class FileLock:
    """Locks of the operating system's on files beside the data; they end with the process.

    `path` is the transfer's file, `of_table` gives that of a table, where these have locks of their own.
    """

    def __init__(self, path: Path, of_table: Callable[[TableName], Path] | None = None) -> None:
        self._path = path
        self._of_table = of_table
        self.waited = False

    def __enter__(self) -> Self:
        self._descriptor, self.waited = _locked(self._path, "these tables")
        return self

    def __exit__(self, *exc: object) -> None:
        _unlocked(self._path, self._descriptor)

    @contextmanager
    def table(self, name: TableName) -> Iterator[bool]:
        if self._of_table is None:
            yield False
            return
        path = self._of_table(name)
        descriptor, waited = _locked(path, f"table {name}")
        try:
            yield waited
        finally:
            _unlocked(path, descriptor)

    def renew(self, name: TableName) -> None:
        """The operating system takes it from nobody."""


def _locked(path: Path, what: str) -> tuple[int, bool]:
    """The locked file's descriptor, and whether another run had it first. Raises ResumeError."""
    until = time.monotonic() + PATIENCE_SECONDS
    waited = False
    while (descriptor := _try_lock(path)) is None:
        waited = True
        if time.monotonic() > until:
            raise _taken(what)
        time.sleep(LOOK_SECONDS)
    return descriptor, waited


def _try_lock(path: Path) -> int | None:
    with fork_safety.opening:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        fork_safety.note([(descriptor, os.fstat(descriptor).st_ino)])
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its owner removes the file before letting go: one that is not there any more locks nobody out.
        with suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                return descriptor
    os.close(descriptor)
    return None


def _unlocked(path: Path, descriptor: int) -> None:
    path.unlink(missing_ok=True)
    os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a run holds the lock on that file, which is never made here.

    One that a killed run has left is locked for some microseconds: the system tells in no other way.
    """
    with fork_safety.opening:
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
    # Held meanwhile, so that nobody comes to hold a file that is gone.
    if path.exists() and (descriptor := _try_lock(path)) is not None:
        _unlocked(path, descriptor)


def with_locks(
    look: Callable[[], list[TransferStatus]], held: Callable[[TransferStatus], bool]
) -> list[TransferStatus]:
    """What `look` finds, interrupted where no run holds the lock.

    A run may end after the first look and before its lock is asked for: the second one finds it done.
    """
    found = look()
    left = {each.transfer for each in found if each.status == RUNNING and not held(each)}
    return [
        _interrupted(each) if each.status == RUNNING and each.transfer in left else each
        for each in (look() if left else found)
    ]


def _interrupted(transfer: TransferStatus) -> TransferStatus:
    tables = (
        replace(table, status=INTERRUPTED) if table.status == RUNNING else table for table in transfer.tables
    )
    return replace(transfer, status=INTERRUPTED, tables=tuple(tables))
