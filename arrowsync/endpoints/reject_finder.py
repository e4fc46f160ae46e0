"""Sorts one batch after another into rows that the target takes and rows that it refuses, in SQL on its side.

The batch goes into a temporary table without constraints, from there into the target. If this takes not all
of it, queries find the rows that the catalogue says it refuses (reject_sql.py), and inserts of ranges find
the rest. With as many columns as the database allows, the temporary table has no room for the ordinal beside
them: then the batch is ingested into the target, again and again without the rows that it refuses.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from arrowsync.core.receipts import Refusal
from arrowsync.dialects.reject_sql import ORDINAL, RejectSQL, Violation
from arrowsync.endpoints.connections import AdbcConnection
from arrowsync.errors import ArrowsyncError, DataError, TransientError

# Rows sent at a time once the staging itself has refused one: each refusal costs sending them again.
STEP = 2048
# Of rows that refer to those just taken out of their batch: a longer chain of them is quicker row by row.
GENERATIONS = 16
TOO_LONG = "54000"  # a row that no page holds
_SAVEPOINT = "arrowsync_sift"


Ingest = Callable[[pa.RecordBatch], int]  # into the target; the rows that it stored


class RejectFinder:
    """Sorts a partition's rows inside the writer's transaction. `meant` rows are to go in, `stored` have."""

    def __init__(self, connection: AdbcConnection, ingest: Ingest) -> None:
        self._connection = connection
        self._ingest = ingest
        self.meant = 0
        self.stored = 0
        self._saved = False  # whether there is a savepoint
        for statement in connection.dialect.capabilities.check_at_once:
            connection.run(statement)

    def find_rejects(self, batch: pa.RecordBatch) -> Iterator[Refusal]:
        """Write what the target takes; yield the rest."""
        self.meant += batch.num_rows
        for refusal in self._refused(batch):
            self.meant -= 1
            yield refusal
        self._settle()

    def _refused(self, batch: pa.RecordBatch) -> Iterator[Refusal]:
        return self._by_ingests(batch, self._store)

    def _store(self, batch: pa.RecordBatch) -> None:
        self.stored += self._ingest(batch)

    def _by_ingests(
        self, batch: pa.RecordBatch, ingest: Callable[[pa.RecordBatch], None]
    ) -> Iterator[Refusal]:
        """Ingest the batch but for refused rows: the error names them, else halving finds them."""
        start, step = 0, max(1, batch.num_rows)
        while start < batch.num_rows:
            error = self._try(lambda: ingest(batch.slice(start, step)))  # noqa: B023  # called at once
            if error is None:
                start, step = start + step, STEP
                continue
            # A row that no page holds is refused after the end was read, as a line behind the only one.
            line = 1 if step == 1 else _line(error)
            if line == 1 or (line and self._try(lambda: ingest(batch.slice(start, line - 1))) is None):  # noqa: B023
                start += line - 1
                yield _refusal(start, error)
                start, step = start + 1, STEP
            else:
                step = min(STEP, max(1, step // 2))

    # -- savepoints ------------------------------------------------------------------------------------------

    def _try(self, work: Callable[[], None]) -> DataError | None:
        try:
            with self._savepoint():
                work()
        except DataError as error:
            return error
        return None

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        """All of what is inside, or nothing of it.

        After a failure the savepoint stays for the next try: two of five round trips less where row after row
        is refused. Whatever else changes something calls `_settle` first.
        """
        if not self._saved:
            self._connection.run(f"savepoint {_SAVEPOINT}")
        try:
            yield
        except ArrowsyncError as error:
            if not isinstance(error, TransientError):  # after which there may be no connection
                self._connection.run(f"rollback to savepoint {_SAVEPOINT}")
                self._saved = True
            raise
        self._saved = True
        self._settle()

    def _settle(self) -> None:
        """Release the savepoint if there is one."""
        if self._saved:
            self._connection.run(f"release savepoint {_SAVEPOINT}")
            self._saved = False


class StagingSifter(RejectFinder):
    """Sorts by way of the temporary table `staging`, so that many refused rows cost few statements.

    `staged`: the plan's own ingests need a table of that name, so that none can be done beside this one.
    """

    def __init__(
        self, connection: AdbcConnection, ingest: Ingest, reject_sql: RejectSQL, staging: str, *, staged: bool
    ) -> None:
        super().__init__(connection, ingest)
        self._reject_sql = reject_sql
        self._staging = staging
        self._staged = staged
        for statement in reject_sql.create:
            connection.run(statement)

    def _refused(self, batch: pa.RecordBatch) -> Iterator[Refusal]:
        yield from self._by_stages(batch)
        self._settle()
        self._connection.run(self._reject_sql.empty)

    def _by_stages(self, batch: pa.RecordBatch) -> Iterator[Refusal]:
        yield from self._stage(batch)
        if self._try(self._insert_all) is None:
            return
        for group in self._reject_sql.violations:
            for _ in range(GENERATIONS):
                refusals = self._judge(group)
                yield from refusals
                if refusals and self._try(self._insert_all) is None:
                    return
                if not refusals:
                    break
        yield from self._insert_by_ranges(batch.num_rows)

    # -- into the staging ------------------------------------------------------------------------------------

    def _stage(self, batch: pa.RecordBatch) -> Iterator[Refusal]:
        """Ingest the batch, but for rows whose values no column of their type takes: labels, JSON."""
        ordinals = pa.array(range(batch.num_rows), pa.int64())
        arrays = [ordinals, *batch.columns]
        numbered = pa.RecordBatch.from_arrays(arrays, names=[ORDINAL, *batch.schema.names])
        for refusal in self._by_ingests(numbered, self._ingest_staged):
            if not self._fits(batch.slice(refusal.place, 1), refusal):
                yield refusal

    def _fits(self, row: pa.RecordBatch, refusal: Refusal) -> bool:
        """Whether the target takes the row, which is eight bytes shorter there: without the ordinal."""
        if refusal.sqlstate != TOO_LONG or self._staged:
            return False
        return self._try(lambda: self._store(row)) is None

    def _ingest_staged(self, batch: pa.RecordBatch) -> None:
        reader = pa.RecordBatchReader.from_batches(batch.schema, [batch])
        self._connection.ingest(self._staging, reader, self._connection.dialect.capabilities.staging_options)

    # -- what the catalogue tells ----------------------------------------------------------------------------

    def _judge(self, group: Sequence[Violation]) -> list[Refusal]:
        """Take the rows out that the group refuses."""
        try:
            with self._savepoint():
                found = self._connection.rows(self._reject_sql.judge(group))
                found = [*found, *self._followers(group, found)]
        except TransientError:
            raise
        except ArrowsyncError:
            return []  # a value, or a right to look, that a check stumbles over: the INSERT will judge
        if found:
            self._connection.run(self._reject_sql.remove([ordinal for ordinal, _ in found]))
        reasons = [(ordinal, group[reason]) for ordinal, reason in found]
        return [
            Refusal(ordinal, each.message, each.sqlstate, each.constraint, each.column)
            for ordinal, each in reasons
        ]

    def _followers(
        self, group: Sequence[Violation], found: Sequence[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """The rows that need one of those found, at however many removes, and the reason.

        A chain of 20,000 rows, each of which made the next one an orphan, took minutes link by link.
        """
        followers: list[tuple[int, int]] = []
        for reason, each in enumerate(group):
            gone = [ordinal for ordinal, _ in (*found, *followers)]
            if not gone or each.needs is None:
                continue
            below = defaultdict[int, list[int]](list)
            for ordinal, needed in self._connection.rows(each.needs):
                below[needed].append(ordinal)
            known = set(gone)
            while gone:
                further = [ordinal for ordinal in below.pop(gone.pop(), ()) if ordinal not in known]
                known.update(further)
                gone += further
                followers += [(ordinal, reason) for ordinal in further]
        return followers

    # -- into the target -------------------------------------------------------------------------------------

    def _insert_by_ranges(self, rows: int) -> Iterator[Refusal]:
        """Insert up to a bad row, which is left out, and so on from there.

        The target names it where it keeps the mark of the row under way, else halving finds it. A row costs a
        try or two where all are bad, and few rows are inserted in vain where few are.
        """
        self._settle()
        for statement in self._reject_sql.for_ranges:
            self._connection.run(statement)
        start, reach = 0, rows
        while start < rows:
            begun, end = start, min(start + reach, rows)
            error = self._insert_range(start, end)
            if error is None:
                start, reach = end, reach * 2
                continue
            marked = self._marked()
            if marked is not None and start <= marked < end - 1:  # else the statement failed at its end
                bad, error = self._up_to(marked, start, error)
            else:
                bad, error = self._halved(start, end, error)
            yield _refusal(bad, error)
            start, reach = bad + 1, rows if marked == bad else max(1, bad - begun)

    def _up_to(self, marked: int, start: int, error: DataError) -> tuple[int, DataError]:
        """The marked row, with those before it inserted; an earlier one where that one is bad, too."""
        earlier = self._insert_range(start, marked) if marked > start else None
        return (marked, error) if earlier is None else self._halved(start, marked, earlier)

    def _halved(self, start: int, end: int, error: DataError) -> tuple[int, DataError]:
        """The first bad row of a range that failed, with those before it inserted."""
        while end - start > 1:
            middle = (start + end) // 2
            if (earlier := self._insert_range(start, middle)) is None:
                start = middle
            else:
                end, error = middle, earlier
        return start, error

    def _insert_range(self, start: int, end: int) -> DataError | None:
        return self._try(lambda: self._insert(self._reject_sql.insert_range(start, end)))

    def _insert_all(self) -> None:
        self._insert(self._reject_sql.insert)

    def _insert(self, statement: str) -> None:
        # What the INSERT reports: after a rolled-back savepoint the server's counters are no guide.
        self.stored += self._connection.change(statement)

    def _marked(self) -> int | None:
        """The row under way when an insert failed; the last one if the statement failed as a whole."""
        return (
            None
            if self._reject_sql.marked is None
            else int(self._connection.rows(self._reject_sql.marked)[0][0])
        )


def _line(error: DataError) -> int | None:
    """Which row of a COPY the server names."""
    match = re.fullmatch(r"line (\d+)", error.row or "")
    return int(match[1]) if match else None


def _refusal(ordinal: int, error: DataError) -> Refusal:
    return Refusal(ordinal, error.message, error.sqlstate, error.constraint, error.column)
