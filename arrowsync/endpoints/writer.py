"""Writes one partition in one transaction over an ADBC connection: claim, bulk ingest, receipt, commit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import pyarrow as pa

from arrowsync.core.plan import TablePlan
from arrowsync.core.receipts import Partition, Receipt, Refusal
from arrowsync.core.table import TableName
from arrowsync.endpoints.connections import AdbcConnection, Address
from arrowsync.endpoints.journal import Journal
from arrowsync.endpoints.reject_finder import RejectFinder, StagingSifter
from arrowsync.endpoints.short_tries import in_short_tries
from arrowsync.errors import ArrowsyncError, LockHeld, TransientError, VerificationError


class DatabaseWriter:
    """One partition's transaction. Without a journal it also makes the table, so that one commit does all."""

    def __init__(self, address: Address, plan: TablePlan, partition: Partition) -> None:
        self._address = address
        self._plan = plan
        self._partition = partition
        self._dialect = address.dialect
        self._sent = 0
        self._reject_finder: RejectFinder | None = None
        self._open = False
        self._staging_made = False
        self._makes_table = self._dialect.capabilities.creates_by_ingest and plan.write.makes_table
        self._opened: AdbcConnection | None = None
        self._cancelled = False
        self.done: Receipt | None = None

    @property
    def _connection(self) -> AdbcConnection:
        assert self._opened is not None, "used inside its `with`"
        return self._opened

    def __enter__(self) -> Self:
        self._opened = AdbcConnection(self._address, read_only=False)
        try:
            if self._cancelled:
                raise TransientError("cancelled while the connection was opened")
            self._begin()
        except BaseException:
            self._connection.close()
            raise
        return self

    def _begin(self) -> None:
        self._connection.run(self._dialect.capabilities.begin_write)
        self._open = True
        if self._plan.journal is None:
            for statement in self._plan.write.before:
                self._connection.run(statement)
        else:
            self.done = self._claim()
        if self.done is None:
            self._stored_before = self._stored()

    def _claim(self) -> Receipt | None:
        try:
            return self._journal.claim(self._plan, self._partition)
        except LockHeld as held:
            raise LockHeld(
                f"another session has begun to write this partition, and does not end: {held.message}",
                hint=f"It is what a killed or stalled run has left. {held.hint}",
                sqlstate=held.sqlstate,
            ) from held

    @property
    def _journal(self) -> Journal:
        assert self._plan.journal is not None, "asked only where there is one"
        return Journal(self._connection, self._plan.journal)

    def __exit__(self, *exc: object) -> None:
        try:
            if self._open:
                # Also ends a COPY that a failing producer left open, with its lock, whatever the autocommit.
                self._connection.run("rollback")
        except ArrowsyncError:
            pass  # the connection is gone, and the transaction with it
        finally:
            self._connection.close()

    def write(self, batches: Iterator[pa.RecordBatch]) -> int:
        self._make_staging()
        return self._ingest(_Guarded(self._schema, batches))

    def _make_staging(self) -> None:
        if self._plan.staged and not self._staging_made:
            for statement in self._dialect.staging(self._plan):
                self._connection.run(statement)
            self._staging_made = True

    def find_rejects(self, batch: pa.RecordBatch) -> Iterator[Refusal]:
        if self._reject_finder is None:
            self._reject_finder = self._make_sifter()
        return self._reject_finder.find_rejects(batch)

    def _make_sifter(self) -> RejectFinder:
        most = self._dialect.capabilities.most_columns
        if most is not None and len(self._plan.columns) >= most:
            self._make_staging()  # no savepoint that is rolled back may take it along
            return RejectFinder(self._connection, self._store)
        plan, reject_sql = self._plan, self._dialect.reject_sql(self._connection, self._plan)
        return StagingSifter(self._connection, self._store, reject_sql, plan.staging_name, staged=plan.staged)

    def _store(self, batch: pa.RecordBatch) -> int:
        """Ingest the batch; the rows that the target has stored of it."""
        before = self._stored()
        self.write(iter([batch]))
        return self._stored() - before

    def _stored(self) -> int:
        """See Dialect.stored; of a table that the first ingest has yet to make there are no rows."""
        return 0 if self._makes_table else self._dialect.stored(self._connection, self._plan.write_table)

    @property
    def _schema(self) -> pa.Schema:
        return pa.schema([(c.target.name, c.route.storage.arrow) for c in self._plan.columns])

    def _ingest(self, guarded: _Guarded) -> int:
        plan, dialect = self._plan, self._dialect
        into = TableName(plan.staging_name) if plan.staged else plan.write_table
        options = dialect.capabilities.staging_options if plan.staged else dialect.ingest_options(into)
        try:
            rows = self._connection.ingest(
                into.name, guarded.reader(), options, mode="create" if self._makes_table else "append"
            )
        except ArrowsyncError:
            if guarded.error is not None:
                raise guarded.error from None
            raise
        # A driver may take a failing producer for the end of the stream (DuckDB does) and report success.
        if guarded.error is not None:
            raise guarded.error
        if not guarded.finished or rows != guarded.rows:
            raise VerificationError(f"the driver took {rows} of {guarded.rows} rows")
        self._makes_table = False
        if plan.staged:
            for statement in dialect.insert_from_staging(plan):
                self._connection.run(statement)
        self._sent += rows
        return rows

    def commit(self, receipt: Receipt) -> None:
        self._check_count()
        if self._plan.journal is None:
            self._commit_all()
        else:
            self._journal.complete(self._plan, receipt)
            self._open = False
            self._connection.run("commit")

    def _commit_all(self) -> None:
        """Without a journal, the one transaction also finishes the table."""
        plan = self._plan
        for statement in (*plan.write.builds, *self._dialect.capabilities.durable):
            self._connection.run(statement)
        if plan.write.last:
            with self._connection.over_tries():
                in_short_tries(self._finish_table, hint="Nothing was changed")
        self._open = False
        try:
            self._connection.run("commit")
        except TransientError as error:
            raise ArrowsyncError(
                f"the commit was not answered: {error.message}",
                hint="Without a journal nobody knows whether the rows are in: look before you copy again",
            ) from error

    def _finish_table(self) -> None:
        """The statements that keep others from the table. Raises LockHeld, and has no lock then."""
        self._connection.run("savepoint arrowsync_finish")
        try:
            for statement in (*self._dialect.capabilities.short_waits, *self._plan.write.last):
                self._connection.run(statement)
        except LockHeld:
            self._connection.run("rollback to savepoint arrowsync_finish")
            raise

    def _check_count(self) -> None:
        if self._reject_finder is not None:
            sent, stored = self._reject_finder.meant, self._reject_finder.stored
        else:
            sent, stored = self._sent, self._stored() - self._stored_before
        if stored != sent:
            names = ", ".join(self._dialect.triggers(self._connection, self._plan.write_table))
            culprit = f"A trigger ({names})" if names else "A trigger or rule"
            raise VerificationError(
                f"{sent} rows were sent, {stored} were stored",
                hint=f"{culprit} of the target drops or adds rows: disable it first",
            )

    def cancel(self) -> None:
        self._cancelled = True
        if self._opened is not None:
            self._opened.cancel()


class _Guarded:
    """A producer for a driver: counts the rows and keeps the error that the driver would hide or rephrase."""

    def __init__(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        self._schema = schema
        self._batches = batches
        self.rows = 0
        self.error: BaseException | None = None
        self.finished = False

    def reader(self) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(self._schema, self._each())

    def _each(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._batches:
                self.rows += batch.num_rows
                yield batch
            self.finished = True
        except BaseException as error:
            self.error = error
            raise
