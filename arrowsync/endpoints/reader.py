"""Reads one partition over an ADBC connection. Which rows and columns is the dialect's to say."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Self

import pyarrow as pa

from arrowsync.core.plan import Partition, Snapshot, TablePlan
from arrowsync.endpoints.connections import AdbcConnection, Address
from arrowsync.errors import ArrowsyncError, DataError, SnapshotLost, TransientError


@dataclass(frozen=True, slots=True)
class OneReader:
    """The connection whose read transaction is the snapshot, and the turn to use it."""

    connection: AdbcConnection
    turn: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def joined(address: Address, snapshot: Snapshot) -> Iterator[AdbcConnection]:
    """A connection that sees the snapshot. Raises SnapshotLost when its session has died."""
    if isinstance(shared := snapshot.shared, OneReader):
        with shared.turn:
            yield shared.connection
        return
    with AdbcConnection(address, read_only=True) as connection:
        _join(connection, snapshot.token)
        yield connection


def _join(connection: AdbcConnection, token: str | None) -> None:
    """Begin the transaction that sees the snapshot: as it was exported, or as long as nothing has changed."""
    dialect = connection.dialect
    exported = token is not None and dialect.export_snapshot is not None
    for statement in dialect.join_snapshot(token or "") if exported else dialect.begin_snapshot:
        try:
            connection.run(statement)
        except ArrowsyncError as error:
            if isinstance(error, TransientError):
                raise
            raise SnapshotLost(f"the source's snapshot is gone: {error.message}") from error
    if token is not None and not exported and dialect.witness(connection) != token:
        raise SnapshotLost("the source has changed since the copy began")


class DatabaseReader:
    """One partition's stream. The connection joins the snapshot, or is the snapshot's own, used in turn."""

    def __init__(
        self, address: Address, plan: TablePlan, partition: Partition, snapshot: Snapshot, *, batch_bytes: int
    ) -> None:
        self._address = address
        self._plan = plan
        self._partition = partition
        self._snapshot = snapshot
        self._batch_bytes = batch_bytes
        self._connection: AdbcConnection | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._connection = stack.enter_context(joined(self._address, self._snapshot))
            self._streams = stack.enter_context(ExitStack())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.slice(self._partition)

    def slice(self, part: Partition) -> Iterator[pa.RecordBatch]:
        assert self._connection is not None, "used inside its `with`"
        dialect = self._address.dialect
        for read in dialect.reads(self._plan, part, batch_bytes=self._batch_bytes):
            with self._failing_by_itself(read[0]):
                self._streams.close()  # the one before
                batches = self._streams.enter_context(self._connection.stream(*read))
                yield from dialect.unwrap(batches, self._plan)

    @contextmanager
    def _failing_by_itself(self, query: str) -> Iterator[None]:
        """What the source's own SQL makes of its values, a division by zero, is no bad row of the target."""
        try:
            yield
        except DataError as error:
            query = textwrap.shorten(self._plan.transfer.query or query, 300, placeholder=" …")
            raise ArrowsyncError(
                f"the source's query failed: {error.message}", sqlstate=error.sqlstate, hint=f"It is: {query}"
            ) from error

    def cancel(self) -> None:
        if self._connection is not None:
            self._connection.cancel()
