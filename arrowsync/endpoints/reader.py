"""Reads one partition over an ADBC connection. Which rows and columns is the dialect's to say."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Self

import pyarrow as pa

from arrowsync.core.contracts import LARGEST_READ
from arrowsync.core.plan import Snapshot, TablePlan
from arrowsync.core.receipts import Partition
from arrowsync.endpoints.connections import AdbcConnection, Address
from arrowsync.endpoints.snapshot import joined
from arrowsync.errors import ArrowsyncError, DataError


class DatabaseReader:
    """One partition's stream. The connection joins the snapshot, or is one of its own, used in turn."""

    def __init__(
        self, address: Address, plan: TablePlan, partition: Partition, snapshot: Snapshot, *, batch_bytes: int
    ) -> None:
        self._address = address
        self._plan = plan
        self._partition = partition
        self._snapshot = snapshot
        self._batch_bytes = min(batch_bytes, LARGEST_READ)
        self._connection: AdbcConnection | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._connection = stack.enter_context(
                joined(self._address, self._snapshot, self._plan, self._partition)
            )
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
