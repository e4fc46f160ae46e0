"""The query that reads a table in given forms, and what its batches are cleaned of.

ADBC's SQLite driver takes a column's type from the first batch alone. So the query begins with a row of
literals that pins each type, and ends with a column that tells which guard spoke; both are taken off again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.core.contracts import Connection
from arrowsync.core.plan import Form, TablePlan
from arrowsync.core.receipts import Partition
from arrowsync.core.table import Table, Widths
from arrowsync.core.units import KiB
from arrowsync.dialects.sqlite.catalog import Listed, listed, rowid_bounds, rowid_name
from arrowsync.dialects.sqlite.sql import quote
from arrowsync.errors import Refused

BATCH_ROWS = "adbc.sqlite.query.batch_rows"
LARGEST_BATCH_ROWS = 65_536  # the driver reserves its buffers up front
DEFAULT_ROW_BYTES = 100  # until statistics tell better
VALUE_BYTES = 9  # what the driver reserves for each value of a batch, be it a boolean
SPLIT = 16 * KiB  # wider rows are read on their own where a batch safe for them held too few of the others
FEW_ROWS = (
    256  # a batch; reading 1,024 at a time costs a tenth more than 30,000, 256 at a time half as much again
)

Named = Sequence[tuple[str, Form]]  # column names and the form each is read in


def relation(table: Table) -> str:
    # The newline ends a comment that ends the query.
    return f"({table.definition}\n)" if table.kind == "query" else quote(table.name.name)


def query(named: Named, source: str, conditions: Sequence[str] = ()) -> str:
    """Row one pins the types; the last column is 0, or the 1-based position of a column whose guard spoke."""
    pins = [f"{form.pin} as {quote(name)}" for name, form in named]
    selects = [form.select for _, form in named]
    if guards := _guards(named):
        pins.append("0")
        selects.append(f"case {' '.join(guards)} else 0 end")
    where = f" where {' and '.join(conditions)}" if conditions else ""
    return f"select {', '.join(pins)} union all select {', '.join(selects)} from {source}{where}"


def _guards(named: Named) -> list[str]:
    return [f"when {form.guard} then {at}" for at, (_, form) in enumerate(named, 1) if form.guard]


def unpinned(batches: Iterator[pa.RecordBatch], named: Named) -> Iterator[pa.RecordBatch]:
    """The batches without the pinned row and the guard. Raises Refused with the column's name."""
    guarded = bool(_guards(named))
    first = True
    try:
        for batch in batches:
            if first:
                _check_types(batch, named)
                batch = batch.slice(1)
                first = False
            if guarded:
                _check_guard(batch.columns[-1], named)
                batch = batch.select(range(len(named)))
            if batch.num_rows:
                yield batch
    except Refused as refused:
        if (refused.column or "").isdigit():  # the driver knows positions only, translate() passes them on
            refused.column = named[int(refused.column or 0)][0]
        raise


def _check_types(batch: pa.RecordBatch, named: Named) -> None:
    for array, (name, form) in zip(batch.columns, named, strict=False):
        if array.type != form.read:
            raise Refused(f"{array.type} among {form.read} values", column=name)


def _check_guard(spoken: pa.Array, named: Named) -> None:
    if at := pc.max(spoken).as_py():
        name, form = named[at - 1]
        raise Refused(f"a value of another storage class than {form.read}", column=name)


def select(plan: TablePlan, partition: Partition, *further: str) -> str:
    named = [(column.source.name, column.route.form) for column in plan.columns]
    conditions = [*_bounds(partition), *further]
    if plan.where:
        conditions.append(f"({plan.where}\n)")  # the newline ends a comment
    return query(named, relation(plan.source), conditions)


def _bounds(partition: Partition) -> Iterator[str]:
    """`lower` and `upper` are SQL literals of the key's own storage class."""
    if partition.by == "whole" or partition.column is None:
        return
    key = partition.column if partition.by == "rowid" else quote(partition.column)
    if partition.lower is not None:
        yield f"{key} >= {partition.lower}"
    if partition.upper is not None:
        yield f"{key} < {partition.upper}"


def reads(plan: TablePlan, partition: Partition, batch_bytes: int) -> Iterator[tuple[str, dict[str, str]]]:
    """One query; two where rows are of very different widths, since a batch has a fixed number of rows."""
    table, columns = plan.source, len(plan.columns)
    classes = table.widths.classes if table.widths else ()
    wide = Widths(tuple(each for each in classes if each[0] > SPLIT))
    narrow = Widths(classes[len(wide.classes) :])
    whole = batch_rows(table, columns, batch_bytes)
    if whole >= FEW_ROWS or not wide.classes or not narrow.classes:
        yield select(plan, partition), {BATCH_ROWS: str(whole)}
        return
    for widths, sign in ((narrow, "<="), (wide, ">")):
        rows = batch_rows(replace(table, widths=widths), columns, batch_bytes)
        yield select(plan, partition, f"{octets(table)} {sign} {SPLIT}"), {BATCH_ROWS: str(rows)}


def batch_rows(table: Table, columns: int, batch_bytes: int) -> int:
    """How many rows the driver may read at a time, whichever rows of the table come together."""
    mean = (table.bytes or 0) // table.rows if table.rows else DEFAULT_ROW_BYTES
    rows = min(LARGEST_BATCH_ROWS, batch_bytes // max(1, mean, VALUE_BYTES * columns))
    return max(1, min(rows, table.widths.rows_within(batch_bytes)) if table.widths else rows)


def octets(table: Table) -> str:
    """A row's width: the bytes of its values as text, found in its header."""
    widths = [f"coalesce(octet_length({quote(column.name)}), 0)" for column in table.columns]
    # SQLite's expressions are at most 1,000 deep.
    sums = [f"({' + '.join(widths[start : start + 100])})" for start in range(0, len(widths), 100)]
    return f"({' + '.join(sums)})"


def partitions(connection: Connection, table: Table, target_bytes: int) -> list[Partition]:
    """Ranges of the rowid, or of a single key column where there is none; the whole of views and queries."""
    count = -(-(table.bytes or 0) // target_bytes)
    if table.kind != "table" or count < 2 or not table.rows:
        return [Partition(0)]
    entry = next((entry for entry in listed(connection) if entry.name == table.name.name), None)
    if entry is None or entry.kind != "table":
        return [Partition(0)]
    if (rowid := rowid_name(connection, table)) is not None:
        return _ranges("rowid", rowid, _rowid_cuts(connection, table, rowid, count))
    if _sliced_by_key(entry, table):
        key = table.primary_key.columns[0] if table.primary_key else ""
        return _ranges("key", key, _walked(connection, table, quote(key), -(-table.rows // count)))
    return [Partition(0)]


def _sliced_by_key(entry: Listed, table: Table) -> bool:
    return entry.without_rowid and table.primary_key is not None and len(table.primary_key.columns) == 1


def _ranges(by: str, column: str, cuts: Sequence[str]) -> list[Partition]:
    bounds = [None, *cuts, None]
    return [
        Partition(number, "rowid" if by == "rowid" else "key", column, lower, upper)
        for number, (lower, upper) in enumerate(pairwise(bounds))
    ]


def _rowid_cuts(connection: Connection, table: Table, rowid: str, count: int) -> list[str]:
    """Equal steps where the rowids are dense, as they nearly always are; else every so many rows."""
    if (bounds := rowid_bounds(connection, table, rowid)) is None:
        return []
    low, high = bounds
    span, rows = high - low + 1, table.rows or 1
    if span > 2 * rows:
        return _walked(connection, table, rowid, -(-rows // count))
    return [str(low + span * number // count) for number in range(1, min(count, span))]


def _walked(connection: Connection, table: Table, key: str, rows: int) -> list[str]:
    """Every so many rows along the key, each beyond the last: one walk over its tree, 30 ns a row."""
    cuts: list[str] = []
    beyond, offset = "", rows
    while found := connection.rows(
        f"select {_literal(key)} from {quote(table.name.name)} {beyond} "
        f"order by {key} limit 1 offset {offset}"
    ):
        cuts.append(str(found[0][0]))
        beyond, offset = f"where {key} > {cuts[-1]}", rows - 1
    return cuts


def _literal(key: str) -> str:
    # quote() ends a text at its first U+0000, and leaves broken UTF-8 as it is. Without the + the bound would
    # have the cast's affinity, and numbers would be compared with it as text.
    text = f"'+cast(x''' || hex({key}) || ''' as text)'"
    return f"iif(typeof({key}) = 'text', {text}, quote({key}))"
