"""What lies beside a target: names that every command knows, the exchange, what killed runs left."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from arrowsync.endpoints import lock
from arrowsync.endpoints.files.exchange import exchange
from arrowsync.endpoints.files.file_system import sync
from arrowsync.endpoints.files.journal import FolderJournal


@dataclass(frozen=True, slots=True)
class Staging:
    """The hidden names beside `target`, which is a file or a folder.

    Each ends with what the target's name alone gives, so that the next command into the target knows them,
    whichever transfer it is of.
    """

    target: Path

    @classmethod
    def of(cls, place: str) -> Staging:
        """What lies beside a place that a user names; not of the place that a link there leads to."""
        return cls(Path(os.path.abspath(place)))

    @property
    def _key(self) -> str:
        return hashlib.sha256(os.fsencode(self.target.name)).hexdigest()[:12]

    def named(self, name: str) -> Path:
        return self.target.parent / f".{name}_{self._key}"

    @property
    def lock(self) -> Path:
        return self.named("arrowsync_lock")

    @property
    def _old(self) -> Path:
        """The old version between two renames, where names cannot be exchanged: always a whole one."""
        return self.named("arrowsync_old")

    @property
    def current(self) -> Path:
        """Where the target's rows are: a killed run may have taken its folder away and put no other there."""
        missing = not os.path.lexists(self.target) and self._old.is_dir()
        return self._old if missing else self.target

    @property
    def is_interrupted(self) -> bool:
        """Whether the target has to be restored."""
        return self.current != self.target

    def restore(self) -> None:
        """Put the old version back where a killed run has left none. Waits for a run that is just there."""
        if self.is_interrupted:
            with lock.FileLock(self.lock):
                if self.is_interrupted:
                    os.replace(self._old, self.target)
                    sync(self.target.parent)

    def put(self, new: Path) -> None:
        """Let `new` take the target's place. At every moment one of both versions is there, or is `_old`.

        What was there remains beside it, to be cleared.
        """
        if not self.target.is_dir():
            os.replace(new, self.target)
        elif not exchange(new, self.target):
            self._remove_old()
            os.replace(self.target, self._old)
            os.replace(new, self.target)
        sync(self.target.parent)

    def journals(self) -> list[FolderJournal]:
        """Where a transfer into the target may have begun: in it, or beside it to replace it."""
        folders = (path for path in self._names() if path.is_dir())
        return [FolderJournal(self.target), *map(FolderJournal, folders)]

    def clear(self) -> None:
        """Take away what no run can go on with. Not while another run may be writing beside the target."""
        if os.path.lexists(self.target):
            self._remove_old()
        for path in self._names():
            if path == self.lock:
                lock.clear(path)
            elif path != self._old and not (path.is_dir() and FolderJournal(path).run):
                remove([path])

    def _remove_old(self) -> None:
        if self._old.is_dir():
            gone = self.named("arrowsync_gone")
            remove([gone])
            os.replace(self._old, gone)  # its name promises a whole version
            remove([gone])

    def _names(self) -> list[Path]:
        return sorted(self.target.parent.glob(f".arrowsync_*_{self._key}*"))


def remove(paths: Iterable[Path]) -> None:
    """Take files and folders away, if they are there."""
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
