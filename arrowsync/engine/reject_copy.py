"""Copies a partition with rows that the target refuses: batch by batch, good ones in, the others aside.

pipe.py has tried first, and quicker. Counting and keeping bad rows is quarantine.py's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.core.contracts import Writer
from arrowsync.core.events import BatchWritten, PartitionCommitted, RowsQuarantined
from arrowsync.core.plan import ColumnPlan, Form, Route, Storage, TablePlan
from arrowsync.core.receipts import Fingerprint, Receipt, Refusal
from arrowsync.core.table import Column, NativeType
from arrowsync.core.transfer import Nul
from arrowsync.core.units import MiB
from arrowsync.engine import batches, fingerprint
from arrowsync.engine.deadline import Deadline
from arrowsync.engine.pipe import CopyContext, Task, found
from arrowsync.engine.prefetch import Prefetch, as_read
from arrowsync.engine.quarantine import BadRowFile, Tally, as_text, file, folder, remove
from arrowsync.engine.replacing import commit
from arrowsync.engine.sizing import AdaptiveSizer
from arrowsync.errors import ArrowsyncError, DataError, Refused

# Each batch costs a dozen statements, whatever its size: batches of 256 KiB took twice as long.
LARGEST_BATCH = 8 * MiB
PLACED_SHARE = 0.1  # of the waiting rows: what places fewer could go on for as many rounds as there are rows


def copy_rejecting(task: Task, sizer: AdaptiveSizer, context: CopyContext, tally: Tally) -> Receipt:
    """Copy the partition's good rows in one transaction; its bad ones are in a file before the commit.

    Raises DataError when more rows are bad than the transfer allows; else what copy_partition raises.
    """
    task = replace(task, plan=_deliverable(task.plan, task.source.capabilities.most_columns))
    kept = tuple(
        _Kept(column.source.name, f"{_TWIN}{place}", _readable(column))
        for place, column in enumerate(task.plan.columns)
    )
    if not task.batch_by_batch:  # else the batches were too large for the deadline
        sizer = AdaptiveSizer(
            row_bytes=task.plan.row_bytes,
            ceiling_bytes=task.batch_bytes,
            table_rows=task.plan.source.rows,
            fixed_rows=task.plan.transfer.limits.batch_rows,
            first_bytes=min(LARGEST_BATCH, task.batch_bytes // 2),
        )
    while True:
        try:
            with context.reading.take(context.cancellation), context.writing.take(context.cancellation):
                return _RejectCopy(task, sizer, context, tally, kept).copy()
        except Refused as refused:
            if not (refused.column or "").startswith(_TWIN):
                raise
            kept = tuple(each.next() if each.twin == refused.column else each for each in kept)


# -- how refused rows are kept -------------------------------------------------------------------------------


_TWIN = "arrowsync_kept_"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A source column as refused rows keep it, in the first of `forms`.

    Where this is read otherwise than the value travels, it is read a second time, as the column `twin`; it is
    under that name too that a value is refused which does not fit.
    """

    name: str
    twin: str
    forms: tuple[Form, ...]

    def next(self) -> _Kept:
        return replace(self, forms=self.forms[1:])


def _readable(column: ColumnPlan) -> tuple[Form, ...]:
    """Forms that people can read and repair, best first: Arrow's own types, then text, then what travels."""
    forms = [route.form for route in column.routes]
    plain = [form for form in forms if not isinstance(form.arrow, pa.OpaqueType)]
    texts = [
        form
        for form in forms
        if isinstance(form.arrow, pa.OpaqueType) and form.arrow.storage_type == pa.string()
    ]
    return *plain, *texts, forms[0]


def _travels_as_kept(column: ColumnPlan, kept: Form) -> bool:
    """Whether the value that travels is the one to keep, so that it need not be read twice."""
    return replace(kept, arrow=None, decode=None) == replace(column.route.form, arrow=None, decode=None)


def _deliverable(plan: TablePlan, most: int | None) -> TablePlan:
    """The plan whose last columns travel as they are kept, where a query cannot deliver all their twins."""
    twins = [
        column.source.name for column in plan.columns if not _travels_as_kept(column, _readable(column)[0])
    ]
    surplus = 0 if most is None else max(0, len(plan.columns) + len(twins) - most)
    single = set(twins[len(twins) - min(surplus, len(twins)) :])
    columns, fell_back = [], list(plan.fell_back)
    for column in plan.columns:
        kept = _readable(column)[0]
        while column.source.name in single and not _travels_as_kept(column, kept):
            column = column.without_route()
            fell_back.append(column.source.name)
        columns.append(column)
    return replace(plan, columns=tuple(columns), fell_back=tuple(fell_back))


def _reading(plan: TablePlan, kept: tuple[_Kept, ...]) -> tuple[TablePlan, tuple[int, ...]]:
    """The plan with a twin where a value travels otherwise than it is kept; where each column to keep is."""
    columns, places = list(plan.columns), []
    for place, (column, keeps) in enumerate(zip(plan.columns, kept, strict=True)):
        form = keeps.forms[0]
        if _travels_as_kept(column, form):
            places.append(place)
        else:
            places.append(len(columns))
            twin = replace(column.source, name=keeps.twin)
            columns.append(ColumnPlan(twin, column.target, (Route(form, Storage(form.arrow)),)))
    return replace(plan, columns=tuple(columns)), tuple(places)


_FindRejects = Callable[[pa.RecordBatch], Iterator[Refusal]]
ORPHAN = "23503"
NUL = "22021"  # a character that the server's encoding cannot hold


# -- one attempt ---------------------------------------------------------------------------------------------


class _RejectCopy:
    """One attempt at a partition."""

    def __init__(
        self,
        task: Task,
        sizer: AdaptiveSizer,
        context: CopyContext,
        tally: Tally,
        kept: tuple[_Kept, ...],
    ) -> None:
        self._task = task
        self._plan = task.plan
        self._sizer = sizer
        self._context = context
        self._tally = tally
        self._kept = kept
        self._reading, self._places = _reading(task.plan, kept)
        self._fingerprint = Fingerprint()
        self._read = 0
        # Rows that may refer to later ones, where the table refers to itself; None where it does not.
        self._waiting: list[pa.RecordBatch] | None = [] if task.plan.refers_to_itself else None
        self._reason = ""

    def copy(self) -> Receipt:
        task, started = self._task, time.monotonic()
        path = file(self._plan, task.partition)
        self._context.cancellation.check()
        writer = task.sink.open_writer(self._plan, task.partition)
        with self._context.cancellation.calling(writer.cancel), writer:
            if writer.done is not None:
                return found(writer.done, task, self._context)
            self._tally.begin(task.partition.number)
            with BadRowFile(path) as bad, self._prefetch() as feed:
                self._sort_all(feed, writer, bad)
                if bad.rows:
                    bad.publish()
                else:
                    remove(self._plan, task.partition)
            receipt = self._receipt(feed, bad)
            commit(writer, receipt, self._plan, task.sink)
        self._tell(receipt, time.monotonic() - started, feed)
        return receipt

    def _prefetch(self) -> Prefetch:
        task, context = self._task, self._context
        return Prefetch(
            task.source,
            self._reading,
            task.partition,
            task.snapshot,
            batch_bytes=task.batch_bytes,
            sizer=self._sizer,
            tracker=context.tracker,
            cancellation=context.cancellation,
            observe=context.observe,
            prepare=as_read,
        )

    def _receipt(self, feed: Prefetch, bad: BadRowFile) -> Receipt:
        return Receipt(
            self._task.partition.number,
            self._fingerprint.rows,
            self._fingerprint,
            feed.bytes,
            quarantined=bad.rows,
            quarantine=str(folder(self._plan)) if bad.rows else None,
            fell_back=self._plan.fell_back,
            algorithm=fingerprint.ALGORITHM,
        )

    def _tell(self, receipt: Receipt, seconds: float, feed: Prefetch) -> None:
        table = str(self._plan.source.name)
        self._context.observe(
            PartitionCommitted(
                table=table, receipt=receipt, seconds=seconds, query_seconds=feed.query_seconds
            )
        )
        if receipt.quarantine is not None:
            self._context.observe(
                RowsQuarantined(
                    table=table,
                    partition=receipt.partition,
                    rows=receipt.quarantined,
                    path=receipt.quarantine,
                    reason=self._reason,
                )
            )

    def _sort_all(self, feed: Prefetch, writer: Writer, bad: BadRowFile) -> None:
        seconds = self._plan.transfer.limits.batch_seconds
        with Deadline(seconds, writer.cancel) as deadline:

            def find_rejects(batch: pa.RecordBatch) -> Iterator[Refusal]:
                return _each(writer.find_rejects(batch), deadline)

            while (ready := feed.take()) is not None:
                with ready.lease:
                    started = time.monotonic()
                    self._tally.read(self._task.partition.number, ready.batch.num_rows)
                    self._sort(ready.batch, find_rejects, bad)
                    self._read += ready.batch.num_rows
                    self._written(ready.batch.num_rows, ready.nbytes, time.monotonic() - started)
                del ready  # or its memory would wait with us for the next one
            self._sort_waiting(find_rejects, bad)

    def _sort_waiting(self, find_rejects: _FindRejects, bad: BadRowFile) -> None:
        """Try the rows whose parents may have come in later, as long as enough of them go in each time."""
        before = math.inf
        while self._waiting:
            rows = pa.concat_batches(self._waiting)
            self._waiting = [] if rows.num_rows <= before * (1 - PLACED_SHARE) else None
            before = rows.num_rows
            self._sort(rows, find_rejects, bad)

    def _written(self, rows: int, nbytes: int, seconds: float) -> None:
        if self._context.tracker.pressure:
            self._sizer.shrink()
        self._context.observe(
            BatchWritten(
                table=str(self._plan.source.name),
                partition=self._task.partition.number,
                rows=rows,
                bytes=nbytes,
                seconds=seconds,
                next_rows=self._sizer.rows,
                memory=self._context.tracker.used,
            )
        )

    # -- one batch -------------------------------------------------------------------------------------------

    def _sort(self, rows: pa.RecordBatch, find_rejects: _FindRejects, bad: BadRowFile) -> None:
        """The batch's good rows into the target, its bad ones into the file."""
        batch, refused = rows.select(list(range(len(self._plan.columns)))), []
        places: list[int] | None = None  # of the rows that could be conformed, when not all could
        try:
            arrays, conformed = self._conform(batch)
        except (DataError, Refused) as error:
            if self._has_next_route(error):
                raise
            refused = [self._counted(rows, refusal) for refusal in self._unfit(rows)]
            unfit = {refusal.place for refusal in refused}
            places = [place for place in range(rows.num_rows) if place not in unfit]
            arrays, conformed = self._conform(batch.take(pa.array(places, pa.int64())))
        dropped = []
        for refusal in find_rejects(conformed) if conformed.num_rows else ():
            dropped.append(refusal.place)
            place = places[refusal.place] if places is not None else refusal.place
            if self._waiting is not None and refusal.sqlstate == ORPHAN:
                self._waiting.append(rows.take(pa.array([place])))  # a slice would keep the whole batch
            else:
                refused.append(self._counted(rows, replace(refusal, place=place)))
        self._fingerprint += fingerprint.of_rows(_without(arrays, dropped), self._plan)
        if refused:
            refused.sort(key=lambda refusal: refusal.place)
            bad.add(self._keep(rows, refused), refused, self._task.partition.number)

    def _conform(self, batch: pa.RecordBatch) -> tuple[list[pa.Array], pa.RecordBatch]:
        arrays = batches.decode(batch, self._plan.columns)
        return arrays, batches.encode(arrays, self._plan.columns, batch.num_rows)

    def _has_next_route(self, error: ArrowsyncError) -> bool:
        return isinstance(error, Refused) and self._plan.can_do_without(error)

    def _unfit(self, rows: pa.RecordBatch) -> Iterator[Refusal]:
        """The rows with a value that no form carries into its column."""
        found: set[int] = set()
        for number, column in enumerate(self._plan.columns):
            for place, error in _failing(rows.select([number]), column):
                if self._has_next_route(error):
                    raise error
                if error.sqlstate == NUL and self._plan.transfer.nul is Nul.ERROR:
                    raise error.at(row=self._name(rows, place))
                if place not in found:
                    found.add(place)
                    yield Refusal(place, error.message, error.sqlstate, error.constraint, error.column)

    def _counted(self, rows: pa.RecordBatch, refusal: Refusal) -> Refusal:
        self._reason = self._reason or refusal.message
        self._tally.refuse(self._task.partition.number, refusal, lambda: self._name(rows, refusal.place))
        return refusal

    def _keep(self, rows: pa.RecordBatch, refused: list[Refusal]) -> pa.RecordBatch:
        """The refused rows with the source's columns, as its types."""
        rows = rows.take(pa.array([refusal.place for refusal in refused], pa.int64()))
        arrays = [
            _kept_values(rows.select([place]), keeps)
            for place, keeps in zip(self._places, self._kept, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, names=[keeps.name for keeps in self._kept])

    def _name(self, rows: pa.RecordBatch, place: int) -> str:
        """The row's key values; without a key its number as it was read."""
        source = self._plan.source
        key = self._plan.transfer.key or (source.primary_key.columns if source.primary_key else ())
        names = [keeps.name for keeps in self._kept]
        if not key or not set(key) <= set(names):
            return f"{self._read + place + 1:,} of its partition"
        row = rows.slice(place, 1)
        values = []
        for name in key:
            number = names.index(name)
            value = _kept_values(row.select([self._places[number]]), self._kept[number])
            values.append(f"{name}={as_text(value)[0].as_py()}")
        return ", ".join(values)


def _each(refusals: Iterator[Refusal], deadline: Deadline) -> Iterator[Refusal]:
    """The refusals, each with a deadline of its own: finding many may take longer than a batch may."""
    while True:
        with deadline.running():
            refusal = next(refusals, None)
        if refusal is None:
            return
        yield refusal


def _failing(
    batch: pa.RecordBatch, column: ColumnPlan, first: int = 0
) -> Iterator[tuple[int, DataError | Refused]]:
    """The places of a column's values that cannot be conformed, found by halves: 60 µs each."""
    try:
        batches.conform(batch, [column])
    except (DataError, Refused) as error:
        if batch.num_rows == 1:
            yield first, error
            return
        half = batch.num_rows // 2
        yield from _failing(batch.slice(0, half), column, first)
        yield from _failing(batch.slice(half), column, first + half)


def _without(arrays: list[pa.Array], places: list[int]) -> list[pa.Array]:
    if not places or not arrays:
        return arrays
    dropped = pa.array(range(len(arrays[0])), pa.int64())
    mask = pc.invert(pc.is_in(dropped, value_set=pa.array(places, pa.int64())))
    return [array.filter(mask) for array in arrays]


def _kept_values(values: pa.RecordBatch, keeps: _Kept) -> pa.Array:
    """One column's values as they are kept. Where they fit no form: as text of what was read."""
    form = keeps.forms[0]
    column = Column(keeps.name, "", NativeType("", ""))
    try:
        route = Route(form, Storage(form.arrow))
        return batches.conform(values, [ColumnPlan(column, column, (route,))]).column(0)
    except Refused as refused:
        if len(keeps.forms) > 1:
            raise Refused(refused.message, column=keeps.twin) from refused
        return as_text(values.column(0))
