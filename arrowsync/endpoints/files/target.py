"""A transfer's way into a file or folder: begun, taken back, published.

What killed runs have left is known by its name, and goes with the next command. Names are staging.py's, the
parts and receipts of a run journal.py's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrowsync.core.contracts import Lock
from arrowsync.core.plan import TablePlan
from arrowsync.core.receipts import Leftover, Receipt, Unfinished
from arrowsync.core.status import TransferStatus
from arrowsync.endpoints.files import receipts
from arrowsync.endpoints.files.file_system import UNFINISHED, storing, sync
from arrowsync.endpoints.files.format import Format, read_contents
from arrowsync.endpoints.files.journal import FILE, FolderJournal
from arrowsync.endpoints.files.staging import Staging, remove
from arrowsync.endpoints.lock import FileLock, clear, is_held, with_locks
from arrowsync.errors import ConfigError, ResumeError

_LOCK = ".arrowsync.lock"  # in a folder that gets further parts
# What a killed run may leave among the parts, beside the journal and the lock.
_LEFTOVERS = (f".part-*{UNFINISHED}", f"{FILE}.*")
_RECEIPTS = f".part-*{receipts.SUFFIX}"


@dataclass(frozen=True, slots=True)
class Target:
    """The real place, which gets further parts where it is a folder, or another version of itself."""

    path: Path
    is_folder: bool
    format: Format

    @property
    def staging(self) -> Staging:
        return Staging(self.path)

    def staged(self, name: str) -> Path:
        """Where a new version is written that is called `name` until it is published."""
        staged = self.staging.named(name)
        return staged if self.is_folder else staged.with_name(f"{staged.name}{self.format.suffix}")

    def write_folder(self, plan: TablePlan) -> Path:
        """Where the plan's rows are written."""
        return self.staged(plan.own_name) if plan.write.aside else self.path

    def files(self) -> list[Path]:
        """What holds the target's rows."""
        current = self.staging.current
        if not self.is_folder:
            return [current] if current.is_file() else []
        found = (path for path in current.glob(f"*{self.format.suffix}") if path.name[0] not in "._")
        return sorted(path for path in found if path.is_file())

    # -- planning ------------------------------------------------------------------------------------------

    def check_writable(self, *, aside: bool) -> None:
        """Raises ConfigError where there is no right to write: a folder of parts may be all that one has."""
        parts = self.is_folder and self.path.is_dir() and not aside
        here = self.path if parts else self.path.parent
        if not os.access(here, os.W_OK):
            raise ConfigError(f"no right to write into the folder {str(here)!r}")

    def check_replaceable(self) -> None:
        """Raises ConfigError for a folder that cannot give its place to another one."""
        if others := self._not_parts():
            raise ConfigError(
                f"to replace the folder {str(self.path)!r} would take away {others[0]!r} too",
                hint=f"Only a folder that holds nothing but {self.format.suffix} files can be replaced",
            )
        if os.path.ismount(self.path):
            raise ConfigError(
                f"the folder {str(self.path)!r} is where a disk is mounted: no other can take its place",
                hint=f"Give a folder on it: {self.path}/rows/",
            )

    def _not_parts(self) -> list[str]:
        current = self.staging.current
        paths = set(current.iterdir()) if current.is_dir() else set()
        names = (f"*{self.format.suffix}", ".arrowsync*", _RECEIPTS, *_LEFTOVERS)
        ours = {path for pattern in names for path in current.glob(pattern)}
        return sorted(path.name for path in paths if path.is_dir() or path not in ours)

    def unfinished(self) -> list[Unfinished]:
        """Transfers into the folder that have begun and are not over; into a file there are none."""
        found = (journal.unfinished(self.path) for journal in self._journals())
        return [transfer for transfer in found if transfer is not None]

    def transfers(self) -> list[TransferStatus]:
        """What is being written into the folder, or was interrupted; what has finished is just parts."""

        def look() -> list[TransferStatus]:
            found = (journal.status(self.path) for journal in self._journals())
            return [status for status in found if status is not None]

        locks = (self.path / _LOCK, self.staging.lock)
        return with_locks(look, lambda _: any(map(is_held, locks)))

    def _journals(self) -> list[FolderJournal]:
        return self.staging.journals() if self.is_folder else []

    # -- beginning -----------------------------------------------------------------------------------------

    def lock(self, plan: TablePlan) -> Lock:
        with storing(self.path):
            self.staging.restore()
            if plan.write.aside:
                return FileLock(self.staging.lock)
            # Made first: a second run, which finds it there, must look for the lock where this one has it.
            self.path.mkdir(exist_ok=True)
        return FileLock(self.path / _LOCK)

    def prepare(self, plan: TablePlan, state: Mapping[str, Any] | None) -> tuple[Receipt, ...]:  # Any: JSON
        """See Sink.prepare."""
        journal = FolderJournal(self.write_folder(plan))
        with storing(journal.folder):
            if not self.is_folder or plan.journal is None:
                self._prepare_anew(plan)
                return ()
            if plan.resumes is None and journal.run != plan.run:
                self._begin(plan, journal, state or {})
            else:
                journal.check(plan)
                self._check_empty(plan, journal.given_up)
                if state is not None:
                    journal.remember(state)
            self._take_back(journal)
            self._sweep(plan)
            return journal.receipts(plan.run)

    def _prepare_anew(self, plan: TablePlan) -> None:
        """For a file, or without a journal: nothing that an earlier run has left is of use."""
        if plan.journal is None:
            self.staging.restore()
        self._clear(plan)
        if self.is_folder:
            self.write_folder(plan).mkdir(exist_ok=True)
            self._sweep(plan)

    def _begin(self, plan: TablePlan, journal: FolderJournal, state: Mapping[str, Any]) -> None:  # Any: JSON
        if journal.run not in (None, *(old.run for old in plan.discards)):
            raise ResumeError(
                f"another run has begun to write into {str(self.path)!r} since this was planned",
                hint="Run the same command again",
            )
        # A published replace has put its rows in the place of others: they are the users' now.
        given_up = {old.run for old in plan.discards if old.leftover is not Leftover.NOTHING}
        # What these were about to take back, too, when they were killed.
        given_up.update(*(each.given_up for each in self._journals() if each.run in given_up))
        self._check_empty(plan, given_up)
        journal.folder.mkdir(exist_ok=True)
        # First noted, then cleared: from here on no part of another run can be committed.
        remembered = {
            "exists": plan.write.exists,
            "landing": [plan.write_table.name, plan.write_table.schema],
        }
        journal.begin(plan, self.path, {**remembered, **state}, given_up)
        self._clear(plan)

    def _check_empty(self, plan: TablePlan, given_up: Iterable[str]) -> None:
        """Refuse rows of others that are in the way: all but this run's parts, and those it takes back."""
        if not plan.write.needs_empty:
            return
        journal = FolderJournal(self.path)
        ours = {path for run in (plan.run, *given_up) for path in journal.parts(run)}
        others = [str(path) for path in self.files() if path not in ours]
        if others and (not plan.write.exists or read_contents(self.format, others).rows):
            raise ConfigError(f"{others[0]!r} holds rows since this was planned", hint="See mode")

    # -- what others have left -----------------------------------------------------------------------------

    def _take_back(self, journal: FolderJournal) -> None:
        """Take away what the runs that this one gives up have written."""
        given_up = journal.given_up
        for other in self._journals():
            remove(path for run in given_up for path in other.files(run))
            if other.run in given_up:
                other.finish()
                if other.folder != self.path:
                    remove([other.folder])

    def _sweep(self, plan: TablePlan) -> None:
        """Leave nothing of killed runs among the parts; a new version is this run's parts alone."""
        write_folder = FolderJournal(self.write_folder(plan))
        if plan.write.aside:
            own = {*write_folder.files(plan.run), write_folder.folder / FILE}
            remove(set(write_folder.folder.iterdir()) - own)
        else:
            _tidy(write_folder.folder)

    def _clear(self, plan: TablePlan) -> None:
        """Take away what killed runs have left beside the target, if no other run may be there now."""
        locked = plan.write.aside and plan.journal is not None
        if locked or (os.access(self.path.parent, os.W_OK) and not is_held(self.staging.lock)):
            self.staging.clear()
        if locked and self.is_folder:
            clear(self.path / _LOCK)

    # -- publishing ----------------------------------------------------------------------------------------

    def publish(self, plan: TablePlan, outcome: Mapping[str, Any]) -> None:  # Any: JSON
        """Goes on where an earlier call was interrupted; a second call does no harm."""
        write_folder = FolderJournal(self.write_folder(plan))
        with storing(self.path):
            if self.is_folder and plan.journal is not None and write_folder.run is not None:
                write_folder.check(plan)
                write_folder.publish(outcome)
            if plan.write.aside and self._is_staged(plan, write_folder):
                self._check_empty(plan, ())
                self._put(plan, write_folder)
            if self.is_folder and not plan.write.aside:
                self._sweep(plan)
            self._clear(plan)
            sync(self.path.parent)

    def finish(self, plan: TablePlan) -> None:
        """From here on the parts are just files; what a run that was killed before left beside them goes."""
        with storing(self.path):
            self._clear(plan)
            if self.is_folder:
                FolderJournal(self.path).finish()
                _tidy(self.path)
                sync(self.path)

    def _is_staged(self, plan: TablePlan, write_folder: FolderJournal) -> bool:
        """Whether the new version is still beside the target; after an exchange the old one is."""
        return bool(write_folder.parts(plan.run)) if self.is_folder else write_folder.folder.exists()

    def _put(self, plan: TablePlan, write_folder: FolderJournal) -> None:
        if self.is_folder:
            self._sweep(plan)
            # Where the old version will lie, a journal that it holds would be taken for an unfinished run's.
            FolderJournal(self.path).finish()
        self.staging.put(write_folder.folder)


def _tidy(folder: Path) -> None:
    """Take away what killed runs have left among the parts, and receipts that nobody asks for any more."""
    journal = FolderJournal(folder)
    used = set(journal.files(journal.run)) if journal.run else set()
    remove(path for pattern in (*_LEFTOVERS, _RECEIPTS) for path in folder.glob(pattern) if path not in used)
