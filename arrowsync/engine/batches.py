"""Brings batches to the wanted size and to the types that the target takes; refuses rather than changes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from arrowsync.core.plan import ColumnPlan
from arrowsync.errors import ArrowsyncError, Refused
from arrowsync.types.conversions import storage
from arrowsync.types.kinds import NESTED, kind
from arrowsync.types.nested import entries


def nbytes(batch: pa.RecordBatch) -> int:
    """Bytes of these rows: of a slice the slice's, not those of the batch that it keeps alive.

    27 µs for 16 columns, 2.6 ms for 1,600, as anything that touches every column. Slices of string_view and
    binary_view count all the text they came with: readers deliver string and binary.
    """
    return int(batch.nbytes)


# What a value inside a list takes beside its own bytes on its way: levels, offsets, the text of a number.
# A row of 524,288 numbers (4 MiB) took 48 MiB into a Parquet file, 117 into SQLite as JSON.
INNER_VALUE_BYTES = 32


def row_bytes(batch: pa.RecordBatch) -> int:
    """What a batch of one wide row counts as: its bytes, and more for each value inside a list."""
    return nbytes(batch) + INNER_VALUE_BYTES * sum(_inner_values(column) for column in batch.columns)


def _inner_values(array: pa.Array, *, inside: bool = False) -> int:
    """How many values there are inside the array's lists and maps, at any depth."""
    array = storage(array)
    name = kind(array.type)
    if name == "struct":
        return sum(_inner_values(field, inside=inside) for field in array.flatten())
    if name in NESTED:
        return _inner_values(entries(array)[1], inside=True)
    return len(array) if inside else 0


def regroup(
    batches: Iterable[pa.RecordBatch], rows: Callable[[], int], max_bytes: Callable[[], int]
) -> Iterator[pa.RecordBatch]:
    """The same rows in the same order, `rows()` a batch, fewer where these would exceed `max_bytes()`.

    Slicing is zero-copy, merging copies; a single row always passes, empty batches vanish. Between two
    batches it keeps nothing alive but rows that are still to come.
    """
    pending = _Pending()
    for batch in batches:
        rest = batch if batch.num_rows else None
        del batch  # the name would keep the whole batch while its last rows wait for more
        while rest is not None:
            count = _fitting(rest, rows() - pending.rows, max_bytes() - pending.nbytes)
            if count or not pending.rows:
                head, rest = _cut(rest, max(1, count))
                pending.add(head)
                del head
            if rest is not None or pending.rows >= rows():
                yield pending.take()
    if pending.rows:
        yield pending.take()


class _Pending:
    """Pieces that will make one batch."""

    def __init__(self) -> None:
        self.pieces: list[pa.RecordBatch] = []
        self.rows = 0
        self.nbytes = 0

    def add(self, piece: pa.RecordBatch) -> None:
        self.pieces.append(piece)
        self.rows += piece.num_rows
        self.nbytes += nbytes(piece)

    def take(self) -> pa.RecordBatch:
        pieces, self.pieces, self.rows, self.nbytes = self.pieces, [], 0, 0
        return pieces[0] if len(pieces) == 1 else pa.concat_batches(pieces)


def _fitting(batch: pa.RecordBatch, rows: int, room: int) -> int:
    """How many of the batch's first rows are at most `rows` and `room` bytes."""
    rows = max(0, min(rows, batch.num_rows))
    if not rows or nbytes(batch.slice(0, rows)) <= room:
        return rows
    return max(0, bisect_right(range(rows), room, key=lambda count: nbytes(batch.slice(0, count))) - 1)


def _cut(batch: pa.RecordBatch, rows: int) -> tuple[pa.RecordBatch, pa.RecordBatch | None]:
    return (batch.slice(0, rows), batch.slice(rows)) if rows < batch.num_rows else (batch, None)


def decode(batch: pa.RecordBatch, columns: Sequence[ColumnPlan]) -> list[pa.Array]:
    """Each column as its form's `arrow` means it, ready for fingerprints. Raises Refused."""
    arrays = []
    for array, column in zip(batch.columns, columns, strict=True):
        with _refusing(column):
            form = column.route.form
            array = _as(array, form.read)
            arrays.append(array if form.decode is None else form.decode(array))
    return arrays


def encode(arrays: Sequence[pa.Array], columns: Sequence[ColumnPlan], rows: int) -> pa.RecordBatch:
    """Decoded columns as the target's driver takes them, under the target's names. Raises Refused."""
    encoded = []
    for array, column in zip(arrays, columns, strict=True):
        with _refusing(column):
            storage = column.route.storage
            array = array if storage.encode is None else storage.encode(array)
            encoded.append(_as(array, storage.arrow))
    if not encoded:  # a batch without columns still has rows
        return pa.record_batch({"": pa.nulls(rows)}).select([])
    return pa.RecordBatch.from_arrays(encoded, schema=ingest_schema(columns))


def conform(batch: pa.RecordBatch, columns: Sequence[ColumnPlan]) -> pa.RecordBatch:
    """The batch as the target's driver takes it. Raises Refused; NULLs are left to the target."""
    return encode(decode(batch, columns), columns, batch.num_rows)


def ingest_schema(columns: Sequence[ColumnPlan]) -> pa.Schema:
    return pa.schema([pa.field(column.target.name, column.route.storage.arrow) for column in columns])


def _as(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """The array with its extension type put on or taken off; another storage type is refused, never cast."""
    if array.type == wanted:
        return array
    storage = array.storage if isinstance(array.type, pa.BaseExtensionType) else array
    bare = wanted.storage_type if isinstance(wanted, pa.BaseExtensionType) else wanted
    if storage.type != bare:
        raise Refused(f"values came as {array.type}, not as {wanted}")
    return storage if wanted is bare else pa.ExtensionArray.from_storage(wanted, storage)


@contextmanager
def _refusing(column: ColumnPlan) -> Iterator[None]:
    """What goes wrong inside is this column's: Arrow's refusals, which quote the first value, and ours."""
    try:
        yield
    except ArrowsyncError as error:
        error.at(column=column.source.name)
        raise
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError) as error:
        raise Refused(str(error).partition("\n")[0], column=column.source.name) from error
