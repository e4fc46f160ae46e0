"""Parquet files as a source and as a sink: a file, a folder of parts, a pattern. One place holds one table.

A file is written aside and renamed when its table is published, so it starts over after a kill. A folder gets
one part for each partition; the part's rename is the commit.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from arrowsync.core.contracts import Forms, Lock
from arrowsync.core.plan import ColumnPlan, Partition, Published, Receipt, Snapshot, TablePlan, Unfinished
from arrowsync.core.status import TransferStatus
from arrowsync.core.table import Key, Table, TableName, Widths
from arrowsync.core.transfer import Transfer, WriteMode
from arrowsync.endpoints import arrow_design, parquet_footers
from arrowsync.endpoints.arrow_columns import Kept, forms
from arrowsync.endpoints.arrow_types import DIALECT
from arrowsync.endpoints.lock import FileLock, is_held, with_locks
from arrowsync.endpoints.parquet_journal import FILE, FolderJournal
from arrowsync.endpoints.parquet_reader import ParquetReader
from arrowsync.endpoints.parquet_writer import UNFINISHED, ParquetWriter, group_bytes, storing, sync
from arrowsync.errors import ConfigError, ResumeError

SUFFIX = ".parquet"
_LOCK = ".lock"


@dataclass(frozen=True, repr=False)
class Files:
    """Parquet files: `x.parquet`, `dir/*.parquet`, or the folder `dir/`, with its slash where it is new.

    Picklable; opens nothing until it is used.
    """

    place: str

    def __repr__(self) -> str:
        return f"Files({self.place!r})"

    def __str__(self) -> str:
        return self.place

    @property
    def identity(self) -> str:
        return f"file://{self._real}"

    @property
    def _real(self) -> Path:
        """Where the place really is; of a pattern its folder."""
        path = Path(os.path.abspath(self.place))
        if not self._is_pattern:
            return Path(os.path.realpath(path))
        fixed = next(parent for parent in path.parents if not glob.has_magic(str(parent)))
        return Path(os.path.realpath(fixed)) / path.relative_to(fixed)

    @property
    def _is_pattern(self) -> bool:
        return glob.has_magic(self.place) and not os.path.lexists(self.place)

    @property
    def _is_folder(self) -> bool:
        return not self._is_pattern and (self.place.endswith("/") or os.path.isdir(self.place))

    @property
    def _name(self) -> TableName:
        """The table's: the file's stem, the folder's name, what a pattern begins with."""
        path = self._real
        fixed = re.split(r"[*?\[]", path.name)[0].removesuffix(SUFFIX).rstrip("-_. ")
        return TableName(fixed or path.parent.name or "files")

    def _of(self, name: TableName) -> Files:
        """The place of a table: this one, or what stands in for it until it is published."""
        if name == self._name:
            return self
        aside = self._real.parent / f".{name.name}"
        return Files(f"{aside}/" if self._is_folder else f"{aside}{SUFFIX}")

    def _paths(self) -> list[str]:
        """The files in name order; none is no error."""
        found: Iterable[str] = [str(self._real)]
        if self._is_pattern:
            found = glob.glob(str(self._real), recursive=True)
        elif self._is_folder:
            found = (str(path) for path in self._real.glob(f"*{SUFFIX}") if path.name[0] not in "._")
        return sorted(path for path in found if os.path.isfile(path))

    def _footers(self) -> parquet_footers.Footers:
        """Raises ConfigError where there is no file, SchemaError where the files differ."""
        paths = self._paths()
        if not paths:
            raise self._missing()
        if values := [part for part in Path(paths[0]).parts if re.fullmatch(r"\w+=.*", part)]:
            raise ConfigError(
                f"the values in folder names like {values[0]!r} are no column of the files",
                hint="Read them with polars or DuckDB, and copy that frame",
            )
        return parquet_footers.read(paths)

    def _missing(self) -> ConfigError:
        if self._is_pattern:
            return ConfigError(f"no file matches {self.place!r}")
        if not os.path.lexists(self._real):
            return ConfigError(f"there is no {'folder' if self._is_folder else 'file'} {self.place!r}")
        return ConfigError(
            f"the folder {self.place!r} holds no {SUFFIX} file",
            hint=f"{self.place.rstrip('/')}/**/*{SUFFIX} takes those of its subfolders",
        )

    # -- Source --------------------------------------------------------------------------------------------

    @property
    def server(self) -> str | None:
        return None

    @property
    def is_one_table(self) -> bool:
        return True

    @property
    def shareable(self) -> bool:
        return True

    @property
    def readers(self) -> int | None:
        return None

    def names(self, *, views: bool = False) -> list[TableName]:
        return [self._name]

    def describe_query(self, name: TableName, query: str) -> Table:
        raise ConfigError(
            "a query needs a database, and these are files",
            hint="Query them with DuckDB or polars, and copy that frame",
        )

    def describe(self, names: Sequence[TableName]) -> list[Table]:
        return [self._described(name) for name in names]

    def _described(self, name: TableName) -> Table:
        footers = self._of(name)._footers()
        columns = tuple(column.column() for column in footers.columns.values())
        return Table(
            name,
            DIALECT,
            columns,
            kind="file",
            primary_key=Key(None, footers.key) if footers.key else None,
            rows=footers.rows,
            rows_exact=True,
            bytes=footers.bytes,
            quarantined=footers.quarantined,
        )

    def check_reading(self, table: Table, where: str | None = None) -> None:
        if where is not None:
            raise ConfigError(f"where: {self} knows no SQL")

    def widths(self, table: Table, where: str | None = None) -> Widths | None:
        """Footers know no rows, but the dictionaries that a reader has to hold."""
        held = self._of(table.name)._footers().held
        mine = {column.name: held[column.name] for column in table.columns if column.name in held}
        if not mine:
            return None
        return Widths((), held=sum(mine.values()), holder=max(mine, key=mine.__getitem__))

    def forms(self, table: Table) -> Forms:
        columns = self._of(table.name)._footers().columns
        return {column.name: forms(columns[column.name]) for column in table.columns}

    def presumed(self, table: Table) -> Forms | None:
        return None

    @contextmanager
    def snapshot(self, readers: int = 1) -> Iterator[Snapshot]:
        """What the files are now: readers refuse others."""
        yield Snapshot(token=parquet_footers.version(self._paths()))

    def partitions(self, table: Table, *, target_bytes: int) -> list[Partition]:
        return parquet_footers.partitions(self._of(table.name)._paths(), target_bytes)

    def slices(self, plan: TablePlan, *, target_bytes: int) -> list[tuple[Partition, ...]]:
        return [(partition,) for partition in plan.partitions]

    def rows_meant(self, plan: TablePlan, snapshot: Snapshot) -> int | None:
        return None

    def states(self, tables: Sequence[Table]) -> list[Mapping[str, Any]]:  # Any: JSON
        return [{"files": parquet_footers.version(self._of(table.name)._paths())} for table in tables]

    def unchanged(
        self, plan: TablePlan, receipts: Sequence[Receipt], state: Mapping[str, Any], snapshot: Snapshot
    ) -> bool:
        return self.states([plan.source]) == [state]

    def open_reader(
        self, plan: TablePlan, partition: Partition, snapshot: Snapshot, *, batch_bytes: int
    ) -> ParquetReader:
        place = self._of(plan.source.name)
        paths = place._paths()
        if place is self and snapshot.token not in (None, parquet_footers.version(paths)):
            raise ResumeError(
                f"the files of {self.place!r} have changed while they were read",
                hint="Run the same command again",
            )
        groups = parquet_footers.row_groups(paths, partition)
        return ParquetReader(list(groups), plan.columns, batch_bytes=batch_bytes)

    # -- Sink ----------------------------------------------------------------------------------------------

    @property
    def writers(self) -> int | None:
        return None

    @property
    def adds_references(self) -> bool:
        return True

    def locate(self, name: TableName) -> TableName:
        """The one name that this place has. Raises ConfigError where nothing could be written."""
        if self._is_pattern:
            raise ConfigError(
                f"{self.place!r} is a pattern, not a place to write to", hint="Give a folder: dir/"
            )
        if not self._real.parent.is_dir():
            raise ConfigError(f"there is no folder {str(self._real.parent)!r}", hint="Make it first")
        return self._name

    def folded(self, name: TableName) -> TableName:
        return name

    def find(self, name: TableName) -> Table | None:
        return self._described(name) if self._paths() else None

    def is_empty(self, name: TableName) -> bool:
        return self.count(name) == 0

    def count(self, name: TableName, expected: int | None = None) -> int:
        return self._of(name)._footers().rows

    def design(
        self, source: Table, forms: Forms, transfer: Transfer, name: TableName, existing: Table | None
    ) -> tuple[Table, tuple[ColumnPlan, ...]]:
        if transfer.mode is WriteMode.APPEND and not self._is_folder:
            raise ConfigError(
                f"no rows can be added to {self.place!r}: a Parquet file is written once",
                hint="A folder takes further parts: dir/",
            )
        conforms = existing is not None and transfer.mode is not WriteMode.REPLACE
        columns = list(self._footers().columns.values()) if conforms else None
        return arrow_design.design(source, forms, transfer, name, columns)

    def apart(self, plans: Sequence[TablePlan]) -> list[TablePlan]:
        return list(plans)

    def statements(self, plan: TablePlan) -> TablePlan:
        """No statements; but a file is one partition, and what is published at once is written aside."""
        replaces = plan.transfer.mode is WriteMode.REPLACE
        here = self._writable(aside=replaces)
        if not os.access(here, os.W_OK):
            raise ConfigError(f"no right to write into the folder {str(here)!r}")
        if not self._is_folder:
            return replace(plan, partitions=(Partition(0),), aside=True)
        if replaces and (others := self._not_parts()):
            raise ConfigError(
                f"to replace the folder {self.place!r} would take away {others[0]!r} too",
                hint=f"Only a folder that holds nothing but {SUFFIX} files can be replaced",
            )
        return replace(plan, aside=replaces)

    def _writable(self, *, aside: bool) -> Path:
        """The folder that a transfer needs to write into: a folder of parts may be all that one has."""
        parts = self._is_folder and self._real.is_dir() and not aside
        return self._real if parts else self._real.parent

    def view(self, table: Table, transfer: Transfer) -> tuple[str, ...]:
        return ()

    def _not_parts(self) -> list[str]:
        paths = sorted(self._real.iterdir()) if self._real.exists() else []
        ours = ".arrowsync"
        return [p.name for p in paths if p.is_dir() or not (p.suffix == SUFFIX or p.name.startswith(ours))]

    def journal_for(self, name: TableName, journal: str) -> tuple[TableName, TableName]:
        """The journal's file, and the parts, whose metadata are the receipts."""
        return TableName(FILE), TableName(f"*{SUFFIX}")

    def unfinished(self, name: TableName, journal: tuple[TableName, TableName]) -> list[Unfinished]:
        found = (journal.unfinished(self._real) for journal in self._journals())
        return [transfer for transfer in found if transfer is not None]

    def transfers(self, journal: str) -> list[TransferStatus]:
        """What is being written into the folder, or was interrupted; what has finished is just parts."""

        def look() -> list[TransferStatus]:
            found = (journal.status(self._real) for journal in self._journals())
            return [status for status in found if status is not None]

        def held(status: TransferStatus) -> bool:
            # Beside the folder where it will take its place.
            locks = f".arrowsync_{status.transfer}_*{_LOCK}"
            folders = (self._real, self._real.parent)
            return any(is_held(path) for folder in folders for path in folder.glob(locks))

        return with_locks(look, held)

    def _journals(self) -> list[FolderJournal]:
        """Where a transfer into this folder may have begun: here, or beside it to replace it."""
        if not self._is_folder:
            return []
        folders = (self._real, *self._real.parent.glob(".arrowsync_*_*/"))
        return [FolderJournal(folder) for folder in folders]

    def lock(self, plan: TablePlan) -> Lock:
        if self._is_folder and not plan.aside:
            # Made first: a second run, which finds it there, must look for the lock where this one has it.
            with storing(self._real):
                self._real.mkdir(exist_ok=True)
        return FileLock(self._writable(aside=plan.aside) / f".{plan.own_name}{_LOCK}")

    def prepare(self, plan: TablePlan, state: Mapping[str, Any] | None) -> tuple[Receipt, ...]:  # Any: JSON
        """See Sink.prepare."""
        journal = FolderJournal(self._of(plan.landing)._real)
        with storing(journal.folder):
            if not self._is_folder or plan.journal is None:
                _remove(path for path in self._left_by(plan) if path.suffix != _LOCK)
                if self._is_folder:
                    journal.folder.mkdir(exist_ok=True)
                return ()
            if plan.resumes is None and journal.run != plan.run:
                self._begin(plan, journal, state or {})
                return ()
            journal.check(plan)
            if state is not None:
                journal.remember(state)
            return journal.receipts(plan.run)

    def _begin(self, plan: TablePlan, journal: FolderJournal, state: Mapping[str, Any]) -> None:  # Any: JSON
        if journal.run not in (None, *(old.run for old in plan.discards)):
            raise ResumeError(
                f"another run has begun to write into {self.place!r} since this was planned",
                hint="Run the same command again",
            )
        journal.folder.mkdir(exist_ok=True)
        # First noted, then cleared: from here on no part of another run can be committed.
        remembered = {"exists": plan.exists, "landing": [plan.landing.name, plan.landing.schema]}
        journal.begin(plan, self._real, {**remembered, **state})
        for old in plan.discards:
            self._discard(old, journal.folder)
        _remove(path for path in self._left_by(plan) if path != journal.folder and path.suffix != _LOCK)
        self._check_empty(plan)

    def _discard(self, old: Unfinished, landing: Path) -> None:
        """Take back what a transfer that is given up has made; rows that it appended stay."""
        folder = self._of(TableName(*old.state["landing"]))._real
        if folder not in (landing, self._real):
            _remove([folder])
            return
        if old.request["mode"] != WriteMode.APPEND:
            _remove(FolderJournal(folder).parts(old.run))
        if folder != landing:
            FolderJournal(folder).finish()

    def _check_empty(self, plan: TablePlan) -> None:
        """What `create` found absent or empty must be so when its first row, or its only file, comes."""
        if (
            plan.transfer.mode is WriteMode.CREATE
            and self._paths()
            and (not plan.exists or self._footers().rows)
        ):
            raise ConfigError(f"{self.place!r} holds rows since this was planned", hint="See mode")

    def _left_by(self, plan: TablePlan) -> list[Path]:
        """Whatever this transfer has written aside."""
        beside = self._real.parent.glob(f".{plan.own_name}*")
        folders = {self._of(plan.landing)._real, self._real}
        patterns = (f".part-*{UNFINISHED}", f"{FILE}.*")
        inside = (path for folder in folders for pattern in patterns for path in folder.glob(pattern))
        return [*beside, *inside]

    def open_writer(self, plan: TablePlan, partition: Partition) -> ParquetWriter:
        landing, transfer = self._of(plan.landing)._real, plan.transfer
        journaled = self._is_folder and plan.journal is not None
        part = f"part-{partition.number:05d}-{plan.run or uuid4().hex[:12]}{SUFFIX}"
        writers = transfer.worker_count if self._is_folder else 1
        return ParquetWriter(
            landing / part if self._is_folder else landing,
            self._written(plan),
            plan.target.primary_key.columns if plan.target.primary_key else (),
            group_bytes=group_bytes(transfer.limits.memory_bytes, writers),
            claim=partial(FolderJournal(landing).claim, plan) if journaled else _free,
        )

    def _written(self, plan: TablePlan) -> list[Kept]:
        """The columns of a new file: the plan's, and those that only the files before it have."""
        planned = {column.target.name: arrow_design.kept(column) for column in plan.columns}
        if planned.keys() >= {column.name for column in plan.target.columns}:
            return list(planned.values())
        return [planned.get(name, column) for name, column in self._footers().columns.items()]

    def publish(self, plan: TablePlan, receipts: Sequence[Receipt], status: str) -> Published:
        """See Sink.publish. Goes on where an earlier call was interrupted; a second call does no harm."""
        landing, target = self._of(plan.landing)._real, self._real
        with storing(target):
            if self._is_folder and plan.journal is not None and FolderJournal(landing).run is not None:
                FolderJournal(landing).check(plan)
            if plan.aside and landing.exists():
                self._check_empty(plan)
                _swap(landing, target, target.parent / f".{plan.own_name}_old")
            if self._is_folder:
                FolderJournal(target).finish()
            _remove(self._left_by(plan))
            sync(target.parent)
        return Published(warnings=tuple(_texts(plan, receipts)))

    def enforce(self, plan: TablePlan) -> Published:
        """Files have no foreign keys."""
        return Published()


def _free() -> None:
    """The claim of a writer that nobody can be in the way of."""


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _swap(new: Path, target: Path, old: Path) -> None:
    """Put `new` in the place of `target`; of folders there is neither for a moment."""
    if new.is_dir() and target.exists():
        os.replace(target, old)
    os.replace(new, target)


def _texts(plan: TablePlan, receipts: Sequence[Receipt]) -> list[str]:
    """Where text had to stand in for values of a column's type."""
    warnings = []
    for column in plan.columns:
        falls = max((receipt.fell_back.count(column.source.name) for receipt in receipts), default=0)
        if column.routes[falls].storage.arrow != column.route.storage.arrow:
            warnings.append(
                f"column {column.target.name!r} is text where values are no {column.route.storage.arrow}; "
                f"cast={{{column.source.name!r}: 'text'}} makes it text throughout"
            )
    return warnings
