"""Hands a table to the caller as batches, read ahead inside the memory limit. Nothing is written anywhere."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from arrowsync.core.contracts import Forms, Source
from arrowsync.core.plan import ColumnPlan, Form, Route, Storage, TablePlan
from arrowsync.core.receipts import Partition
from arrowsync.core.table import Table
from arrowsync.core.transfer import Transfer
from arrowsync.engine import batches
from arrowsync.engine.cancellation import Cancellation
from arrowsync.engine.memory import batch_ceiling, process_tracker, widths_of
from arrowsync.engine.prefetch import Prefetch
from arrowsync.engine.sizing import AdaptiveSizer
from arrowsync.engine.snapshot import SourceSnapshot
from arrowsync.engine.table_selection import row_filter


def reading_plan(transfer: Transfer, table: Table, forms: Forms) -> TablePlan:
    """The plan that reads each column in its first form that Arrow itself understands, else as its text."""
    columns = tuple(
        ColumnPlan(column, column, tuple(_routes(forms[column.name]))) for column in table.columns
    )
    return TablePlan(transfer, table, table, columns, where=row_filter(transfer))


def _routes(forms: tuple[Form, ...]) -> Iterator[Route]:
    plain = [form for form in forms if not isinstance(form.arrow, pa.OpaqueType)]
    text = [
        form
        for form in forms
        if isinstance(form.arrow, pa.OpaqueType) and pa.types.is_string(form.arrow.storage_type)
    ]
    for form in (plain + text) or forms:
        yield Route(form, Storage(form.read if isinstance(form.arrow, pa.OpaqueType) else form.arrow))


def stream(source: Source, plan: TablePlan) -> pa.RecordBatchReader:
    """The table's rows. A value that a column's form cannot carry raises Refused in the middle.

    The reader holds a connection until it is exhausted or closed.
    """
    return pa.RecordBatchReader.from_batches(batches.ingest_schema(plan.columns), _rows(source, plan))


def _rows(source: Source, plan: TablePlan) -> Iterator[pa.RecordBatch]:
    limits = plan.transfer.limits
    ceiling = batch_ceiling(limits.memory_bytes, 1, widths_of(plan))
    sizer = AdaptiveSizer(
        row_bytes=plan.row_bytes,
        ceiling_bytes=ceiling,
        table_rows=plan.source.rows,
        fixed_rows=limits.batch_rows,
    )
    with (
        process_tracker(limits.memory_bytes) as tracker,
        Cancellation() as cancellation,
        SourceSnapshot([plan], source, 1, cancellation, locks=False) as source_snapshot,
        Prefetch(
            source,
            plan,
            Partition(0),
            source_snapshot.of(plan),
            batch_bytes=ceiling,
            sizer=sizer,
            tracker=tracker,
            cancellation=cancellation,
            observe=lambda event: None,
        ) as feed,
    ):
        while (ready := feed.take()) is not None:
            with ready.lease:
                yield ready.batch
            del ready
