"""The contracts between the engine and where data lives: Source, Reader, Sink, Writer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, Self

import pyarrow as pa

from arrowsync.core.capabilities import Capabilities
from arrowsync.core.events import Event
from arrowsync.core.plan import ColumnPlan, Form, Published, Snapshot, TablePlan
from arrowsync.core.receipts import Partition, Receipt, Refusal, Unfinished
from arrowsync.core.table import Table, TableName, Widths
from arrowsync.core.transfer import Transfer
from arrowsync.core.units import MiB

# Of one batch of a reader, whatever memory allows: PostgreSQL → PostgreSQL, two workers, took 11.6 s and
# 166 – 196 MB with reads of 1 – 4 MiB, 12.5 s and 250 – 350 MB with the driver's default of 16.
# Reads and batches of 2 MiB take less memory (56 MiB instead of 102 there) and lineitem as long, but texts
# SQLite → PostgreSQL took 3.7 s instead of 3.3: each batch costs 0.7 ms of CPU.
LARGEST_READ = 4 * MiB

Depth = Literal["db_schemas", "tables", "all"]  # of GetObjects
Forms = Mapping[str, tuple[Form, ...]]  # column name -> the ways to read it, best first


class Connection(Protocol):
    """One database connection in autocommit mode; errors are arrowsync's own. For one thread at a time."""

    def run(self, statement: str, parameters: Sequence[object] = ()) -> None:
        """Run one statement, its rows unread."""

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:  # Any: SQL values
        """All rows of a small query."""

    def stream(
        self, query: str, options: Mapping[str, str | int]
    ) -> AbstractContextManager[Iterator[pa.RecordBatch]]:
        """The query's batches as they arrive."""
        ...

    def another(self) -> AbstractContextManager[Connection]:
        """A further connection like this one, for another thread."""
        ...

    def schema(self, query: str) -> pa.Schema:
        """The Arrow schema that the driver gives the query."""

    def objects(self, depth: Depth, **named: str) -> list[dict[str, Any]]:  # Any: of Arrow
        """What the driver's catalogue tells (GetObjects), as its Arrow structs."""
        ...

    def option(self, name: str) -> str | None:
        """What the connection says of an ADBC option; None where the driver has none of that name."""
        ...


class BareConnection(Connection, Protocol):
    """A connection in whose session nothing has been set: through a pooler it may be somebody else's next."""

    @property
    def own_end(self) -> tuple[str, int] | None:
        """Address and port of its TCP socket at this end; None where it has none, or it is not certain."""
        ...

    def another_bare(self) -> AbstractContextManager[Connection]:
        """A further one. Raises Unanswered when it is kept waiting much longer than this one was."""
        ...


class Reader(Protocol):
    """One partition's batches. A context manager: leaving it ends the query, also in the middle."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Batches with one column per ColumnPlan, in order, as `form.read`; Refused where a guard spoke."""
        ...

    def slice(self, part: Partition) -> Iterator[pa.RecordBatch]:
        """The batches of one of the partition's slices; the stream before it has ended."""
        ...

    def cancel(self) -> None:
        """Make a blocked call return with an error. From another thread; returns within seconds."""


class Source(Protocol):
    """Where rows are read. Picklable; every method opens what it needs and closes it again."""

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def identity(self) -> str:
        """Scheme, host, port, database or real path: no user, no password."""
        ...

    def default_schema(self) -> str | None:
        """The schema of tables that are named without one; None where there are no schemas."""
        ...

    @property
    def server(self) -> str | None:
        """The server that counts connections; None where there is none."""
        ...

    def names(self, *, views: bool = False) -> list[TableName]:
        """Every table that is copied when none is named, in name order; views too when wanted."""
        ...

    def describe_query(self, name: TableName, query: str) -> Table: ...

    def describe(self, names: Sequence[TableName]) -> list[Table]: ...

    def check_reading(self, table: Table, where: str | None = None) -> None:
        """Raises TableUnusable for a table whose rows cannot be read, ConfigError for a bad condition.

        A condition is bad, too, where it leaves the parentheses that are put around it.
        """

    def widths(self, table: Table, where: str | None = None) -> Widths | None:
        """How wide the rows are; None where that is not cheap to find out, or cannot matter.

        Raises ConfigError for a condition that is none here.
        """
        ...

    def forms(self, table: Table) -> Forms: ...

    def sampled(self, table: Table) -> Forms | None:
        """The same by a sample of its rows, where `forms` reads them all and they are many; else None.

        Where each column's first form carries every row, `forms` would have chosen forms of the same `arrow`.
        """
        ...

    def snapshot(
        self, readers: int = 1, *, locking: Sequence[TablePlan] = ()
    ) -> AbstractContextManager[Snapshot]:
        """One consistent view for all readers, held until the context ends.

        `readers`: how many are to read at once. There may be more; where the view cannot be shared they wait
        for each other. `locking`: plans whose tables are locked against DDL as long, where that is possible;
        `Snapshot.warnings` says of which it was not.
        """
        ...

    def partitions(self, table: Table, *, target_bytes: int) -> list[Partition]:
        """Slices that cover each row once; [Partition(0)] where the table has no stable range."""
        ...

    def slices(self, plan: TablePlan, *, target_bytes: int) -> list[tuple[Partition, ...]]:
        """Each of the plan's partitions cut into what several readers read at once, in order.

        A partition's slices cover its rows, each once, however the table has grown; one where it is not cut.
        """
        ...

    def rows_meant(self, plan: TablePlan, snapshot: Snapshot) -> int | None:
        """How many rows the plan means, whatever its partitions; None where nothing else can tell."""
        ...

    def states(self, plans: Sequence[TablePlan]) -> list[Mapping[str, Any]]:  # Any: JSON
        """What tells, later, whether the plans' tables have changed since. Asked before the snapshot.

        Two states of one `shape` have the same columns: names, types, how they are generated.
        """
        ...

    def unchanged(
        self, plan: TablePlan, receipts: Sequence[Receipt], state: Mapping[str, Any], snapshot: Snapshot
    ) -> bool:
        """Whether `snapshot` provably holds, in the receipts' partitions, what was there at `state`."""
        ...

    def open_reader(
        self, plan: TablePlan, partition: Partition, snapshot: Snapshot, *, batch_bytes: int
    ) -> Reader:
        """A reader of `partition` whose batches hold at most about `batch_bytes` and LARGEST_READ."""
        ...


class Writer(Protocol):
    """One partition's transaction in the target. A context manager: leaving without commit rolls back."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...

    @property
    def done(self) -> Receipt | None:
        """The receipt when another run has committed this partition: then there is nothing to write."""
        ...

    def write(self, batches: Iterator[pa.RecordBatch]) -> int:
        """ONE ingest, the driver pulls. Rows sent; raises DataError, or what `batches` raised."""
        ...

    def find_rejects(self, batch: pa.RecordBatch) -> Iterator[Refusal]:
        """Write the rows that the target takes and yield the others, each as it is found.

        Done when exhausted; whoever leaves earlier leaves without commit. Not together with `write`.
        """
        ...

    def commit(self, receipt: Receipt) -> None:
        """Rows and receipt become durable together. Raises VerificationError when fewer rows were stored."""
        ...

    def cancel(self) -> None:
        """Make a blocked call return with an error. From another thread; returns within seconds."""


class Lock(Protocol):
    """The right to be the one run of a transfer, from entering on. Waits, then ResumeError."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...

    @property
    def waited(self) -> bool:
        """Whether another run had it first."""
        ...

    def table(self, name: TableName) -> AbstractContextManager[bool]:
        """Also the right to be the one run of any transfer into that table; whether another had it first."""
        ...

    def renew(self, name: TableName) -> None:
        """Take both again if they were lost with their connection."""


class Sink(Source, Protocol):
    """Where rows are written; a source too, since what was written is read back to prove it."""

    def largest_partition(self, table: Table, transfer: Transfer) -> int | None:
        """The bytes of a partition beyond which its writer would hold too much; None: any."""
        ...

    def is_source(self, source: Source) -> bool:
        """Whether that source is this very place under another address: its tables are the ones here."""
        ...

    def resolve_name(self, name: TableName) -> TableName:
        """The name a table gets here: the default schema filled in, or dropped where there are no schemas.

        Raises ConfigError for a schema that does not exist.
        """
        ...

    def normalize_name(self, name: TableName) -> TableName:
        """The name without what does not tell tables apart here: letters' case, in SQLite."""
        ...

    def find(self, name: TableName) -> Table | None:
        """The target table as it is; None when there is none."""
        ...

    def design(
        self,
        source: Table,
        forms: Forms,
        transfer: Transfer,
        name: TableName,
        existing: Table | None,
        replaced: Table | None = None,
    ) -> tuple[Table, tuple[ColumnPlan, ...]]:
        """The target table and, per column, the routes of forms that it stores exactly, best first.

        Rows go into `existing`, or into a new table, which takes the place of `replaced` if there is one.
        Raises SchemaError for a column it cannot store, or that does not fit `existing`.
        """
        ...

    def reserve_names(self, plans: Sequence[TablePlan]) -> list[TablePlan]:
        """The plans of one transfer, each with the identifiers that the target or the others already use."""
        ...

    def statements(self, plan: TablePlan) -> TablePlan:
        """The plan with the statements that make, and after the rows finish, its target table.

        Raises ConfigError when the right to run them is missing.
        """
        ...

    def view(self, table: Table, transfer: Transfer) -> tuple[str, ...]:
        """The statements that make a view as a view; none where it can only be a table of its rows."""
        ...

    def journal_for(self, name: TableName, journal: str) -> tuple[TableName, TableName]:
        """Where receipts of transfers into that table are kept: transfers, receipts. Raises ConfigError."""
        ...

    def unfinished(self, transfer: str, names: Sequence[TableName], journal: str) -> list[Unfinished]:
        """What has begun and is not over: all of this transfer, and of others what goes into these tables."""
        ...

    def rows_lost(self, unfinished: Unfinished) -> int:
        """How many rows have gone, as far as is known, from the table that it has appended to."""
        ...

    def lock(self, plans: Sequence[TablePlan]) -> Lock:
        """Keeps a second run of these plans' transfer, and others into the same tables, from wasting work."""
        ...

    def begin(self, plans: Sequence[TablePlan], found: Sequence[Unfinished]) -> None:
        """Note all tables of a transfer, and give up what was `found` in planning and no plan goes on with.

        One transaction; a second call does no harm. Raises ResumeError when the journal is not as it was.
        """
        ...

    def prepare(self, plan: TablePlan, state: Mapping[str, Any] | None) -> tuple[Receipt, ...]:
        """What is committed already. A new run also makes its table and notes its bounds and `state`.

        One transaction; a second call does no harm. `state` replaces that of a run that is resumed, unless
        None. Raises ResumeError when the journal is not as the plan found it.
        """
        ...

    def open_writer(self, plan: TablePlan, partition: Partition) -> Writer: ...

    def publish(
        self,
        plan: TablePlan,
        receipts: Sequence[Receipt],
        outcome: Mapping[str, Any],  # Any: JSON
        observe: Callable[[Event], None],
    ) -> Published:
        """Finish the table: indexes, swap, sequences, foreign keys; the journal remembers `outcome`."""
        ...

    def enforce(self, plan: TablePlan) -> Published:
        """Add the foreign keys that had to wait for other tables."""
        ...

    def finish(self, plans: Sequence[TablePlan], partial: Collection[TableName]) -> None:
        """Mark the transfer, whose tables are all finished, as over; `partial` are tables that are just so.

        Nothing resumes it any more; the last act of a copy.
        """
        ...

    def is_empty(self, name: TableName) -> bool: ...

    def count(self, name: TableName, expected: int | None = None) -> int:
        """How many rows the table holds; not counted where server statistics prove that it is `expected`."""
        ...
