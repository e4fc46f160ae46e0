"""A database's snapshot: which connections see it, here and in other processes. Reading is reader.py's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from queue import SimpleQueue
from typing import Any

from arrowsync.core.plan import Snapshot, TablePlan
from arrowsync.core.receipts import Partition
from arrowsync.core.table import TableName
from arrowsync.endpoints.connections import AdbcConnection, Address
from arrowsync.errors import ArrowsyncError, LockHeld, SnapshotLost, TransientError

WHOLE = Partition(0)
IN_LINE = "100ms"  # for a lock that nobody can hold, but may be waiting for before us
TRIES = 5  # to begin between two commits: at 9,000 a second every other try succeeds, of four connections


class Readers:
    """The connections of this process that see the snapshot, each for one reader at a time."""

    def __init__(self, connections: Sequence[AdbcConnection]) -> None:
        self._idle: SimpleQueue[AdbcConnection] = SimpleQueue()
        for connection in connections:
            self._idle.put(connection)

    @contextmanager
    def borrow(self) -> Iterator[AdbcConnection]:
        """A connection of one's own; waits while all are in use."""
        connection = self._idle.get()
        try:
            yield connection
        finally:
            self._idle.put(connection)


@contextmanager
def same_snapshot(address: Address, readers: int) -> Iterator[list[AdbcConnection]]:
    """So many connections that see the same rows; fewer, at least one, where that cannot be proved.

    What proves it: each further connection is asked for the number of commits it knows of (`commits`)
    before the first one begins its transaction, and again in its own, which begins later. Where both answers
    are the same nobody has committed between, thus neither before nor after the first one began. Nobody can
    commit later where transactions lock, and where they do not each one keeps its view.

    The file's size and time would not do. A commit to a write-ahead log writes and syncs its frames before it
    shows them, in shared memory: whoever begins in between sees the old rows, who begins after it the new
    ones, and no file has changed meanwhile. But only the path tells of a file that another one has replaced.
    """
    dialect = address.dialect
    file = dialect.file(address.uri)
    with ExitStack() as stack:
        first = stack.enter_context(AdbcConnection(address, read_only=True))
        further: list[AdbcConnection] = []
        if dialect.capabilities.commits is not None:
            with suppress(ArrowsyncError):  # too many open files: fewer readers will do
                further.extend(stack.enter_context(first.another()) for _ in range(1, readers))
        if dialect.file(address.uri) != file:
            further = []
        agreeing = _begun(first, further)
        for connection in further:
            if connection not in agreeing:
                connection.close()
        yield [first, *agreeing]


def _begun(first: AdbcConnection, further: Sequence[AdbcConnection]) -> list[AdbcConnection]:
    """Begin on all; those of `further` that provably see what the first one sees."""
    for remaining in reversed(range(TRIES)):
        known = [_commits(connection) for connection in further]
        _begin(first)
        pairs = zip(further, known, strict=True)
        agreeing = [connection for connection, before in pairs if _joins(connection, before)]
        if len(agreeing) == len(further) or not remaining:
            break
        for connection in (first, *further):
            with suppress(ArrowsyncError):  # it did not begin
                connection.run("rollback")
    return agreeing


def _joins(connection: AdbcConnection, before: object) -> bool:
    with suppress(ArrowsyncError):  # locked just now: the others read for it
        _begin(connection)
        return _commits(connection) == before
    return False


def _begin(connection: AdbcConnection) -> None:
    for statement in connection.dialect.capabilities.begin_snapshot:
        connection.run(statement)


def _commits(connection: AdbcConnection) -> object:
    return connection.rows(connection.dialect.capabilities.commits or "")


class Holder(Readers):
    """The session that exported the snapshot, and holds the locks of the tables in `locked`."""

    def __init__(self, connection: AdbcConnection, locked: frozenset[TableName]) -> None:
        super().__init__([connection])
        self.locked = locked


@contextmanager
def exported(address: Address, locking: Sequence[TablePlan]) -> Iterator[Snapshot]:
    """A snapshot that other connections can join, taken when the plans' tables are locked against DDL."""
    dialect = address.dialect
    with AdbcConnection(address, read_only=True) as connection:
        _begin(connection)
        refused = dialect.hold(connection, locking) if locking else {}
        token = str(connection.rows(dialect.capabilities.export_snapshot or "")[0][0])
        locked = {plan.source.name for plan in locking} - refused.keys()
        yield Snapshot(token, shared=Holder(connection, frozenset(locked)), warnings=refused)


@contextmanager
def joined(
    address: Address, snapshot: Snapshot, plan: TablePlan, partition: Partition = WHOLE
) -> Iterator[AdbcConnection]:
    """A connection that sees the snapshot, for reading that partition of the plan's table.

    Raises SnapshotLost when the snapshot's session has died, TableChanged where DDL has changed the table.
    """
    shared = snapshot.shared
    with ExitStack() as stack:
        if isinstance(shared, Readers) and not isinstance(shared, Holder):
            yield stack.enter_context(shared.borrow())
            return
        connection = stack.enter_context(AdbcConnection(address, read_only=True))
        _join(connection, snapshot.token)
        if snapshot.state is not None:
            if isinstance(shared, Holder) and plan.source.name in shared.locked:
                connection = _in_line(stack, connection, shared, plan, partition, snapshot.state)
            else:
                address.dialect.check_unchanged(connection, plan, partition, snapshot.state)
        yield connection


def _in_line(
    stack: ExitStack,
    connection: AdbcConnection,
    holder: Holder,
    plan: TablePlan,
    partition: Partition,
    state: Mapping[str, Any],  # Any: JSON
) -> AdbcConnection:
    """The connection, or that of the holder where DDL stands between: it waits for the holder's lock to go.

    Whoever comes later for the same lock waits behind it, and would do so until the copy has ended.
    """
    connection.run(f"set local lock_timeout = '{IN_LINE}'")
    try:
        connection.dialect.check_unchanged(connection, plan, partition, state)
        return connection
    except LockHeld:
        connection.close()
    held = stack.enter_context(holder.borrow())
    held.dialect.check_unchanged(held, plan, partition, state)
    return held


def _join(connection: AdbcConnection, token: str | None) -> None:
    """Begin the transaction that sees the snapshot: as it was exported, or as long as nothing has changed."""
    dialect = connection.dialect
    exported = token is not None and dialect.capabilities.export_snapshot is not None
    for statement in dialect.join_snapshot(token or "") if exported else dialect.capabilities.begin_snapshot:
        try:
            connection.run(statement)
        except ArrowsyncError as error:
            if isinstance(error, TransientError):
                raise
            hint = dialect.snapshot_lost_hint(connection)
            raise SnapshotLost(f"the source's snapshot is gone: {error.message}", hint=hint) from error
    if token is not None and not exported and dialect.snapshot_token(connection) != token:
        raise SnapshotLost("the source has changed since the copy began")
