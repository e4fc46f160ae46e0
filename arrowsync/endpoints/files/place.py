"""Files as a source and as a sink: a file, a folder of parts, a pattern. One place holds one table.

A file is written aside and renamed when its table is published, so it starts over after a kill. A folder gets
one part for each partition; the part's rename is the commit. How rows lie in a file is its format's.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from arrowsync.core.capabilities import Capabilities
from arrowsync.core.contracts import Forms, Lock, Reader, Source
from arrowsync.core.events import Event
from arrowsync.core.plan import ColumnPlan, Published, Snapshot, TablePlan
from arrowsync.core.receipts import Partition, Receipt, Unfinished
from arrowsync.core.status import TransferStatus
from arrowsync.core.table import Key, Table, TableName, Widths
from arrowsync.core.transfer import Transfer
from arrowsync.dialects import arrow_design
from arrowsync.dialects.arrow_columns import StoredColumn, forms
from arrowsync.dialects.arrow_types import DIALECT
from arrowsync.endpoints.files import receipts
from arrowsync.endpoints.files.file_system import version
from arrowsync.endpoints.files.format import Contents, Format, Room, read_contents
from arrowsync.endpoints.files.formats import format_named, format_within
from arrowsync.endpoints.files.journal import FILE, FolderJournal
from arrowsync.endpoints.files.staging import Staging
from arrowsync.endpoints.files.target import Target
from arrowsync.endpoints.files.writer import FileWriter
from arrowsync.endpoints.one_table import OneTable
from arrowsync.errors import ConfigError, ResumeError


@dataclass(frozen=True, repr=False)
class Files(OneTable):
    """Files of one format: `x.parquet`, `dir/*.parquet`, or a folder: `dir/`, with its slash if it is new.

    Picklable; opens nothing until it is used. `suffix` is the format's where the place does not tell.
    """

    place: str
    suffix: str = ""
    capabilities: ClassVar[Capabilities] = Capabilities(
        one_table=True,
        readers=None,
        shareable=True,
        writers=None,
        creates_by_ingest=False,
        journal=True,
        isolates_rows=True,
        identifies_rows=True,  # by the names of its parts
    )

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
        return glob.has_magic(self.place) and not os.path.lexists(Staging.of(self.place).current)

    @property
    def _is_folder(self) -> bool:
        named = Staging(self._real).current
        return not self._is_pattern and (self.place.endswith("/") or named.is_dir())

    @property
    def _target(self) -> Target:
        return Target(self._real, self._is_folder, self._format)

    @property
    def _format(self) -> Format:
        """That of the suffix; a folder's is that of its files."""
        named = self.suffix or ("" if self._is_folder else self.place)
        return format_named(named) or format_within(Staging(self._real).current)

    @property
    def _name(self) -> TableName:
        """The table's: the file's stem, the folder's name, what a pattern begins with."""
        path = self._real
        fixed = re.split(r"[*?\[]", path.name)[0].removesuffix(self._format.suffix).rstrip("-_. ")
        return TableName(fixed or path.parent.name or "files")

    def _of(self, name: TableName) -> Files:
        """The place of a table: this one, or what stands in for it until it is published."""
        if name == self._name:
            return self
        staged = self._target.staged(name.name)
        return Files(f"{staged}/" if self._is_folder else str(staged), self._format.suffix)

    def _paths(self) -> list[str]:
        """The files in name order; none is no error."""
        if not self._is_pattern:
            return [str(path) for path in self._target.files()]
        return sorted(path for path in glob.glob(str(self._real), recursive=True) if os.path.isfile(path))

    def _contents(self) -> Contents:
        """Raises ConfigError where there is no file, SchemaError where the files differ."""
        paths = self._paths()
        if not paths:
            raise self._missing()
        if values := [part for part in Path(paths[0]).parts if re.fullmatch(r"\w+=.*", part)]:
            raise ConfigError(
                f"the values in folder names like {values[0]!r} are no column of the files",
                hint="Read them with polars or DuckDB, and copy that frame",
            )
        return read_contents(self._format, paths)

    def _missing(self) -> ConfigError:
        if self._is_pattern:
            return ConfigError(f"no file matches {self.place!r}")
        if not os.path.lexists(self._real):
            return ConfigError(f"there is no {'folder' if self._is_folder else 'file'} {self.place!r}")
        return ConfigError(
            f"the folder {self.place!r} holds no {self._format.suffix} file",
            hint=f"{self.place.rstrip('/')}/**/*{self._format.suffix} takes those of its subfolders",
        )

    # -- Source --------------------------------------------------------------------------------------------

    def names(self, *, views: bool = False) -> list[TableName]:
        return [self._name]

    def describe(self, names: Sequence[TableName]) -> list[Table]:
        return [self._described(name) for name in names]

    def _described(self, name: TableName) -> Table:
        contents = self._of(name)._contents()
        columns = tuple(column.column() for column in contents.columns.values())
        return Table(
            name,
            DIALECT,
            columns,
            kind="file",
            primary_key=Key(None, contents.key) if contents.key else None,
            rows=contents.rows,
            rows_exact=True,
            bytes=contents.bytes,
            quarantined=contents.quarantined,
        )

    def widths(self, table: Table, where: str | None = None) -> Widths | None:
        return self._format.widths(self._of(table.name)._paths(), [column.name for column in table.columns])

    def forms(self, table: Table) -> Forms:
        columns = self._of(table.name)._contents().columns
        return {column.name: forms(columns[column.name]) for column in table.columns}

    @contextmanager
    def snapshot(self, readers: int = 1, *, locking: Sequence[TablePlan] = ()) -> Iterator[Snapshot]:
        """What the files are now: readers refuse others."""
        yield Snapshot(token=version(self._paths()))

    def partitions(self, table: Table, *, target_bytes: int) -> list[Partition]:
        return self._format.partitions(self._of(table.name)._paths(), target_bytes)

    def states(self, plans: Sequence[TablePlan]) -> list[Mapping[str, Any]]:  # Any: JSON
        return [
            {"shape": plan.source.shape(), "files": version(self._of(plan.source.name)._paths())}
            for plan in plans
        ]

    def unchanged(
        self, plan: TablePlan, receipts: Sequence[Receipt], state: Mapping[str, Any], snapshot: Snapshot
    ) -> bool:
        return snapshot.state == state == self.states([plan])[0]

    def open_reader(
        self, plan: TablePlan, partition: Partition, snapshot: Snapshot, *, batch_bytes: int
    ) -> Reader:
        place = self._of(plan.source.name)
        paths = place._paths()
        if place is self and snapshot.token not in (None, version(paths)):
            raise ResumeError(
                f"the files of {self.place!r} have changed while they were read",
                hint="Run the same command again",
            )
        return self._format.open_reader(paths, partition, plan.columns, batch_bytes=batch_bytes)

    # -- Sink ----------------------------------------------------------------------------------------------

    def largest_partition(self, table: Table, transfer: Transfer) -> int | None:
        return self._format.largest_file(len(table.columns), self._room(transfer))

    def is_source(self, source: Source) -> bool:
        """Whether a file that is read is one of this place, by whatever path."""
        if not isinstance(source, Files):
            return False
        return source._real == self._real or not _numbers(source._paths()).isdisjoint(_numbers(self._paths()))

    def resolve_name(self, name: TableName) -> TableName:
        """The one name that this place has. Raises ConfigError where nothing could be written."""
        if self._is_pattern:
            raise ConfigError(
                f"{self.place!r} is a pattern, not a place to write to", hint="Give a folder: dir/"
            )
        if self._is_folder and self._real.is_file():
            raise ConfigError(
                f"{self.place!r} is a file, not a folder", hint="Leave out the slash at its end"
            )
        if not self._real.parent.is_dir():
            raise ConfigError(f"there is no folder {str(self._real.parent)!r}", hint="Make it first")
        return self._name

    def normalize_name(self, name: TableName) -> TableName:
        return name

    def find(self, name: TableName) -> Table | None:
        return self._described(name) if self._paths() else None

    def is_empty(self, name: TableName) -> bool:
        return self.count(name) == 0

    def count(self, name: TableName, expected: int | None = None) -> int:
        return self._of(name)._contents().rows

    def design(
        self,
        source: Table,
        forms: Forms,
        transfer: Transfer,
        name: TableName,
        existing: Table | None,
        replaced: Table | None = None,
    ) -> tuple[Table, tuple[ColumnPlan, ...]]:
        columns = list(self._contents().columns.values()) if existing else None
        return arrow_design.design(source, forms, transfer, name, columns)

    def reserve_names(self, plans: Sequence[TablePlan]) -> list[TablePlan]:
        return list(plans)

    def statements(self, plan: TablePlan) -> TablePlan:
        """No statements; but a file is one partition, and what is published at once is written aside."""
        if plan.write.adds and not self._is_folder:
            raise ConfigError(
                f"no rows can be added to {self.place!r}: a {self._format.name} file is written once",
                hint="A folder takes further parts: dir/",
            )
        replaces = plan.write.replaces
        self._target.check_writable(aside=replaces)
        if self._target.staging.is_interrupted:
            restored = f"a killed run has taken {self.place!r} away: what it held is put back first"
            plan = replace(plan, warnings=(*plan.warnings, restored))
        plan = replace(plan, held=self._held(plan))
        if not self._is_folder:
            return replace(plan, partitions=(Partition(0),), write=replace(plan.write, aside=True))
        if replaces:
            self._target.check_replaceable()
        return replace(plan, write=replace(plan.write, aside=replaces))

    def _held(self, plan: TablePlan) -> int:
        """What the writer of the largest file holds beside its rows."""
        files = len(plan.partitions) if self._is_folder else 1
        nbytes = (plan.source.bytes or 0) // max(1, files)
        return self._format.held_bytes(len(plan.columns), nbytes, self._room(plan.transfer))

    def _room(self, transfer: Transfer) -> Room:
        return Room(transfer.limits.memory_bytes, transfer.worker_count if self._is_folder else 1)

    def view(self, table: Table, transfer: Transfer) -> tuple[str, ...]:
        return ()

    def journal_for(self, name: TableName, journal: str) -> tuple[TableName, TableName]:
        """The journal's file, and those of the receipts."""
        return TableName(FILE), TableName(f"*{receipts.SUFFIX}")

    def unfinished(self, transfer: str, names: Sequence[TableName], journal: str) -> list[Unfinished]:
        return self._target.unfinished()

    def rows_lost(self, unfinished: Unfinished) -> int:
        return 0  # they are taken back

    def transfers(self, journal: str) -> list[TransferStatus]:
        return self._target.transfers()

    def lock(self, plans: Sequence[TablePlan]) -> Lock:
        [plan] = plans
        return self._target.lock(plan)

    def begin(self, plans: Sequence[TablePlan], found: Sequence[Unfinished]) -> None:
        """Its one table notes itself in `prepare`."""

    def prepare(self, plan: TablePlan, state: Mapping[str, Any] | None) -> tuple[Receipt, ...]:  # Any: JSON
        return self._target.prepare(plan, state)

    def open_writer(self, plan: TablePlan, partition: Partition) -> FileWriter:
        write_folder = self._of(plan.write_table)._real
        journaled = self._is_folder and plan.journal is not None
        part = f"part-{partition.number:05d}-{plan.run or uuid4().hex[:12]}{self._format.suffix}"
        widest = plan.source.widths.widest if plan.source.widths else 0
        return FileWriter(
            write_folder / part if self._is_folder else write_folder,
            self._written(plan),
            plan.target.primary_key.columns if plan.target.primary_key else (),
            encode=partial(self._format.encoder, room=self._room(plan.transfer), widest=widest),
            claim=partial(FolderJournal(write_folder).claim, plan) if journaled else None,
        )

    def _written(self, plan: TablePlan) -> list[StoredColumn]:
        """The columns of a new file: the plan's, and those that only the files before it have."""
        planned = {column.target.name: arrow_design.kept(column) for column in plan.columns}
        if planned.keys() >= {column.name for column in plan.target.columns}:
            return list(planned.values())
        return [planned.get(name, column) for name, column in self._contents().columns.items()]

    def publish(
        self,
        plan: TablePlan,
        receipts: Sequence[Receipt],
        outcome: Mapping[str, Any],  # Any: JSON
        observe: Callable[[Event], None],
    ) -> Published:
        """See Sink.publish."""
        self._target.publish(plan, outcome)
        return Published(warnings=tuple(_texts(plan, receipts)))

    def finish(self, plans: Sequence[TablePlan], partial: Collection[TableName]) -> None:
        """See Sink.finish."""
        [plan] = plans
        self._target.finish(plan)

    def enforce(self, plan: TablePlan) -> Published:
        """Files have no foreign keys."""
        return Published()


def _numbers(paths: Iterable[str]) -> set[tuple[int, int]]:
    """The files' devices and inodes, which their links share."""
    return {(status.st_dev, status.st_ino) for status in map(os.stat, paths)}


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
