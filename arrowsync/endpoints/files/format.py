"""What a folder asks of the format of its files. A format knows no transfer, no commit and no other file."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

import pyarrow as pa

from arrowsync.core.contracts import Reader
from arrowsync.core.plan import ColumnPlan
from arrowsync.core.receipts import Partition
from arrowsync.core.table import Widths
from arrowsync.dialects.arrow_columns import StoredColumn, quarantine_columns
from arrowsync.errors import SchemaError

# Of a file's metadata, where arrowsync wrote it: the primary key that its rows had at home, as JSON.
KEY = b"arrowsync.key"
_DIFFER = "Copy the files one by one, or name those that are alike with a pattern"


@dataclass(frozen=True, slots=True)
class Contents:
    """Of one file, or of all of a table's. `ours`: by arrowsync, `quarantined` or not."""

    path: str
    columns: Mapping[str, StoredColumn]
    rows: int
    bytes: int  # about, as Arrow holds them
    ours: bool
    key: tuple[str, ...] = ()  # the primary key that the rows had at home
    quarantined: bool = False

    @classmethod
    def of(
        cls, path: str, schema: pa.Schema, rows: int, nbytes: int, imprecise: Collection[str] = ()
    ) -> Contents:
        """One file's, by its schema with all metadata; `imprecise`: columns of INT96."""
        if len(set(schema.names)) < len(schema.names):
            raise SchemaError(f"{path!r} has two columns of one name", hint="Rename one")
        key = (schema.metadata or {}).get(KEY)
        added = set() if key else quarantine_columns(schema)
        columns = {
            field.name: StoredColumn.of(field, imprecise=field.name in imprecise)
            for field in schema
            if field.name not in added
        }
        at_home = tuple(json.loads(key or b"[]"))
        return cls(path, columns, rows, nbytes, bool(key or added), at_home, bool(added))

    def together(self, other: Contents) -> Contents:
        """Both as one table. Raises SchemaError where their columns differ."""
        if self.columns.keys() != other.columns.keys():
            odd = ", ".join(sorted(self.columns.keys() ^ other.columns.keys()))
            raise SchemaError(f"{other.path!r} and {self.path!r} differ in the columns {odd}", hint=_DIFFER)
        ours = self.ours and other.ours
        columns = {}
        for name, column in self.columns.items():
            both = column.merged(other.columns[name], ours=ours)
            if both is None:
                types = f"{column.written} in {self.path!r}, {other.columns[name].written} in {other.path!r}"
                raise SchemaError(f"the files differ: {types}", column=name, hint=_DIFFER)
            columns[name] = both
        rows, nbytes = self.rows + other.rows, self.bytes + other.bytes
        key = self.key if self.key == other.key else ()
        return Contents(self.path, columns, rows, nbytes, ours, key, self.quarantined and other.quarantined)


@dataclass(frozen=True, slots=True)
class Room:
    """The memory that a transfer may take, and how many files it writes at once."""

    memory_bytes: int
    writers: int


class Encoder(Protocol):
    """Writes rows into one open file. What fails there may be raised by any later call."""

    def add(self, batch: pa.RecordBatch) -> None: ...

    def close(self) -> None:
        """The file is whole then, its schema and metadata too."""

    def abandon(self) -> None:
        """Let go of everything; the file is thrown away. Also after `close`."""


class Format(Protocol):
    """How rows lie in a file: a module, or any other value that holds nothing open."""

    name: str
    suffix: str

    def contents(self, path: str) -> Contents:
        """What one file holds. Raises ConfigError for one that is no such file."""
        ...

    def widths(self, paths: Sequence[str], columns: Sequence[str]) -> Widths | None:
        """How wide rows of these columns are, and what a reader holds besides; None where nothing tells."""
        ...

    def partitions(self, paths: Sequence[str], target_bytes: int) -> list[Partition]:
        """Slices of all files that cover each row once, whatever files there are when they are read."""
        ...

    def open_reader(
        self, paths: Sequence[str], partition: Partition, columns: Sequence[ColumnPlan], *, batch_bytes: int
    ) -> Reader: ...

    def largest_file(self, columns: int, room: Room) -> int | None:
        """The bytes of rows beyond which one file's writer takes too much memory; None: any number."""
        ...

    def held_bytes(self, columns: int, nbytes: int, room: Room) -> int:
        """What the writer of a file of so many bytes holds beside its rows."""
        ...

    def encoder(self, file: pa.NativeFile, schema: pa.Schema, room: Room, *, widest: int) -> Encoder:
        """`schema` has metadata, which the file keeps. `widest`: bytes of a row, 0 where nobody knows."""
        ...


def read_contents(format: Format, paths: Sequence[str]) -> Contents:
    """All files as one table. Raises SchemaError where their columns differ."""
    return reduce(Contents.together, map(format.contents, paths))
