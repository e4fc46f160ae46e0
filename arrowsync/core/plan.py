"""How a transfer will be done: forms and routes of columns, statements, what is gone on with.

A column travels by a *route*: a form in which the source can read it and a storage by which the sink
takes it. Forms and storages never change a value: they raise Refused, and the column's next route is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from secrets import randbits
from typing import Any

import pyarrow as pa

from arrowsync.core.receipts import Partition, Phase, Unfinished
from arrowsync.core.table import Column, Table, TableName
from arrowsync.core.transfer import Transfer
from arrowsync.core.write_modes import Write
from arrowsync.errors import Refused

# Vectorised and picklable (a module-level function, or a functools.partial of one); raises Refused or
# pa.ArrowInvalid where a value would change.
Convert = Callable[[pa.Array], pa.Array]


class Fidelity(StrEnum):
    """What a route does to a column's values."""

    EXACT = "exact"
    WIDENED = "widened"
    LOSSY = "lossy"


@dataclass(frozen=True, slots=True)
class Form:
    """One way in which a source reads a column.

    `select` is an expression in the source's SQL; the driver delivers `read`; `decode` makes `arrow` of it.
    `arrow` says what the values mean to a sink: an Arrow type, or `arrow.opaque` for what only the vendor
    knows: opaque<string, T, PostgreSQL> is T's text, opaque<binary, T, …> its binary send format,
    opaque<int64 | int32, T, …> its internal number. `signature` stands for what T is made of, where somebody
    made it: another database may call another type so. `pin` is a literal of the storage class that SQLite
    must infer, `guard` an expression that is 1 for a value the select would change.
    """

    select: str
    read: pa.DataType
    arrow: pa.DataType
    decode: Convert | None = None
    fidelity: Fidelity = Fidelity.EXACT
    reason: str = ""
    pin: str | None = None
    guard: str | None = None
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Storage:
    """One way in which a sink takes a column: `encode` makes `arrow` of the form's array, for the ingest.

    With `staging` (a column type) the rows pass a temporary table and `insert`, an expression over the quoted
    staging column `{}`, brings them into the target; without, they are ingested straight.
    """

    arrow: pa.DataType
    encode: Convert | None = None
    staging: str | None = None
    insert: str = "{}"
    fidelity: Fidelity = Fidelity.EXACT
    reason: str = ""
    agreed: bool = False  # a loss that an option has asked for by name


@dataclass(frozen=True, slots=True)
class Route:
    """A form and a storage that fit together."""

    form: Form
    storage: Storage

    @property
    def fidelity(self) -> Fidelity:
        """The worse of the two halves."""
        return max(self.form.fidelity, self.storage.fidelity, key=list(Fidelity).index)

    @property
    def reason(self) -> str:
        return "; ".join(part for part in (self.form.reason, self.storage.reason) if part)


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """One column's way: `routes` best first, at least one.

    Fingerprints compare the values as what the very first form means by them, whichever form reads them.
    """

    source: Column
    target: Column
    routes: tuple[Route, ...]
    first: pa.DataType | None = None  # the first form's `arrow`, once its route has been left

    @property
    def route(self) -> Route:
        return self.routes[0]

    @property
    def compared_as(self) -> pa.DataType:
        return self.first or self.route.form.arrow

    def without_route(self) -> ColumnPlan:
        return replace(self, routes=self.routes[1:], first=self.compared_as)


@dataclass(frozen=True, slots=True)
class RowsHeld:
    """How many rows a table holds, by count or by the database's estimate."""

    rows: int
    exact: bool = True

    def __str__(self) -> str:
        return f"{'' if self.exact else 'about '}{self.rows:,} row{'s' * (self.rows != 1)}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent view of a source.

    `token` lets another connection, also on another machine, see the same rows; `shared` is a resource of
    this process that readers use in turn (SQLite's read transactions) and is left behind by pickling, as are
    the `warnings` about tables that could not be locked. `state` is what `Source.states` said of the table to
    be read before the snapshot was taken: readers refuse a table that DDL has changed since. None: not asked.
    """

    token: str | None = None
    shared: object | None = field(default=None, compare=False, repr=False)
    state: Mapping[str, Any] | None = field(default=None, repr=False)  # Any: JSON
    warnings: Mapping[TableName, str] = field(default_factory=dict)

    def __reduce__(self) -> tuple[Any, ...]:  # Any: pickle's own protocol
        return (Snapshot, (self.token, None, self.state))


@dataclass(frozen=True, slots=True)
class Skipped:
    """A table that cannot be copied and that nobody has named: the others are copied without it."""

    table: TableName
    reason: str
    hint: str | None = None

    @property
    def sentence(self) -> str:
        """Why, and what to do about it."""
        return f"{self.reason}. {self.hint}" if self.hint else self.reason

    def __str__(self) -> str:
        return f"{self.table}: skipped: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Published:
    """What is to be said of a finished table; `unenforced` are foreign keys, and make the table partial."""

    warnings: tuple[str, ...] = ()
    unenforced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key to add when the table it references is in: checked, or for new rows only.

    `orphans` is the query that finds the rows that break it, `comment` a statement for when it is there.
    """

    name: str
    references: TableName
    add: str
    add_unchecked: str
    orphans: str
    comment: str | None = None

    def to_dict(self) -> dict[str, Any]:  # Any: JSON
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Reference:  # Any: JSON
        """The inverse of to_dict."""
        return cls(**{**values, "references": TableName(**values["references"])})


@dataclass(frozen=True, slots=True)
class TablePlan:
    """How one table will be copied. Nothing has been written yet.

    `target` is the table as it is or will be; `write` says how rows get into it, and `where` which rows of
    the source are meant. `number` counts the tables of the transfer; names of our own making are
    `arrowsync_<transfer>_<number>`. `run` names this beginning of the transfer in the journal, whose tables
    are `journal` (transfers, receipts; None: without). Without partitions no row is copied: publishing makes
    what there is to make. `discards` are unfinished transfers into the same table that are given up. A writer
    whose `fencing_token` is not the journal's must not commit: the run has been taken over by another
    process. `sampled`: the types are those of a sample,
    and the copy proves them: where a column refuses a value, the table is started over with types that all
    values allow. `held` are the bytes that a writer holds beside its rows. `reserved_names` are identifiers
    that the target or this transfer already uses.
    `secret` is the seed of the fingerprints' second lane, 128 bits; it is never shown.
    """

    transfer: Transfer
    source: Table
    target: Table
    columns: tuple[ColumnPlan, ...]
    partitions: tuple[Partition, ...] = (Partition(0),)
    write: Write = field(default_factory=Write)
    where: str | None = None
    references: tuple[Reference, ...] = ()
    warnings: tuple[str, ...] = ()
    number: int = 0
    fell_back: tuple[str, ...] = ()  # columns whose first route refused some partition's values
    resumes: Unfinished | None = None  # what an earlier run of this transfer has done already
    journal: tuple[TableName, TableName] | None = None
    run: str = ""
    fencing_token: str = ""
    discards: tuple[Unfinished, ...] = ()
    sampled: bool = False
    held: int = 0
    reserved_names: tuple[str, ...] = ()
    secret: int = field(default_factory=lambda: randbits(128), repr=False, compare=False)

    @property
    def noted(self) -> dict[str, Any]:  # Any: JSON
        """What a journal keeps to know which table of its transfer this is."""
        return {
            "table": [self.source.name.name, self.source.name.schema],
            "place": [self.target.name.name, self.target.name.schema],
            "number": self.number,
        }

    @property
    def is_finished(self) -> bool:
        """Whether an earlier run of this transfer has copied and published the table."""
        return self.resumes is not None and self.resumes.phase is Phase.PUBLISHED

    @property
    def refers_to_itself(self) -> bool:
        """Whether rows may need later ones to be there at the end of their ingest."""
        return any(key.references == self.target.name for key in self.target.foreign_keys)

    @property
    def own_name(self) -> str:
        """A name no user has, for the new table under `replace` and for staging; not derived from theirs."""
        return f"arrowsync_{self.transfer.id}_{self.number}"

    @property
    def staging_name(self) -> str:
        """The relation that rows for `write_table` are staged in. SQLite's triggers know no schemas."""
        return f"{self.own_name}_staging"

    @property
    def may_be_emptied(self) -> bool:
        """Whether no row at all may take the place of those that are there."""
        names = (self.source.name, self.target.name)
        return self.transfer.schema_only or any(map(self.transfer.may_empty, names))

    @property
    def write_table(self) -> TableName:
        """The table that the partitions' rows go into."""
        return replace(self.target.name, name=self.own_name) if self.write.is_beside else self.target.name

    @property
    def staged(self) -> bool:
        """Whether rows pass a temporary table."""
        return any(column.route.storage.staging for column in self.columns)

    @property
    def row_bytes(self) -> int | None:
        """Average width of a source row in bytes, None when unknown."""
        if not self.source.rows or self.source.bytes is None:
            return None
        return max(1, self.source.bytes // self.source.rows)

    def alone(self, partition: Partition) -> TablePlan:
        """What a writer of the partition needs of the plan: small, whatever the table's size."""
        return replace(
            self,
            partitions=(partition,),
            write=replace(self.write, before=(), builds=(), last=()),
            references=(),
            warnings=(),
            resumes=None,
            discards=(),
            reserved_names=(),
        )

    def can_do_without(self, refused: Refused) -> bool:
        """Whether there is another way for what was refused: a next route, or other types."""
        return self.sampled or self.without_route(refused.column or "") is not None

    def without_route(self, name: str) -> TablePlan | None:
        """The plan in which the source column `name` takes its next route; None when it has no other."""
        columns = tuple(
            column.without_route() if column.source.name == name else column for column in self.columns
        )
        if not all(column.routes for column in columns):
            return None
        return replace(self, columns=columns, fell_back=(*self.fell_back, name))


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """How a transfer will be done: a plan for each table, and what was found unfinished when it was made.

    `warnings` are about the transfer as a whole; those about one table are its plan's.
    """

    tables: tuple[TablePlan, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    found: tuple[Unfinished, ...] = ()
    warnings: tuple[str, ...] = ()
