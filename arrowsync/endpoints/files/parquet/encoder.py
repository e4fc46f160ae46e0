"""Encodes the rows of one Parquet file, in as much memory as there is."""

from __future__ import annotations

import contextlib
import math
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from arrowsync.core.units import KiB, MiB
from arrowsync.endpoints.files.format import Room

# As Arrow holds it: what is gathered before it is written. With 64 MiB lineitem's file was no smaller, and
# took 200 MiB of memory instead of 150; with 16 MiB 110, but a file 2 % larger.
LARGEST_GROUP = 32 * MiB
SMALLEST_GROUP = 4 * MiB  # lineitem's file then takes 157 MiB instead of 150
FIXED_BYTES = 48 * MiB  # what a pipe takes besides
WIDE_BYTES = 64 * KiB
COLUMN_BYTES = 12 * KiB  # what a column's encoder takes: 1,600 columns cost 20 MiB more than into SQLite
ENTRY_BYTES = 900  # and what the footer holds of it for each row group, until the file is whole
FOOTER_SHARE = 16  # of the memory limit: what the entries of one file may take of it
# Of a file's first rows: what tells which of its columns repeat their values.
SAMPLE_ROWS = 1 << 14  # to count distinct texts among 65,536 takes 22 MiB, four times as much
SAMPLE_BYTES = 8 * MiB


def group_bytes(room: Room) -> int:
    """How much to gather for a row group; while it is written it takes up to three times as much."""
    # What is left is the next group's and the readers'.
    share = (room.memory_bytes - FIXED_BYTES) // 6 // max(1, room.writers)
    return min(LARGEST_GROUP, max(SMALLEST_GROUP, share))


def largest_file(columns: int, room: Room) -> int:
    """The bytes of rows beyond which the entries of a file's row groups take too much memory."""
    groups = room.memory_bytes // FOOTER_SHARE // (max(1, columns) * ENTRY_BYTES)
    return max(1, groups) * group_bytes(room)


def held_bytes(columns: int, nbytes: int, room: Room) -> int:
    """What the writer of a file of so many bytes holds beside its rows."""
    return columns * (COLUMN_BYTES + ENTRY_BYTES * math.ceil(nbytes / group_bytes(room)))


def encoder(file: pa.NativeFile, schema: pa.Schema, room: Room, *, widest: int) -> ParquetEncoder:
    return ParquetEncoder(file, schema, group_bytes=group_bytes(room), widest=widest)


class ParquetEncoder:
    """Gathers rows into row groups.

    A row group is encoded on a thread of its own while the next one is gathered: PostgreSQL → Parquet left
    2.0 of 16 core seconds idle without. `widest` are the bytes of the widest row, 0 where all are narrow or
    nobody knows.
    """

    def __init__(self, file: pa.NativeFile, schema: pa.Schema, *, group_bytes: int, widest: int) -> None:
        self._file = file
        self._schema = schema
        self._group_bytes = group_bytes
        self._widest = widest
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="arrowsync-encode")
        self._encoding: Future[None] | None = None
        self._parquet: pq.ParquetWriter | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        self._pending.append(batch)
        self._pending_bytes += batch.nbytes
        if self._pending_bytes >= self._group_bytes:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._encoded()
        self._open(_without_rows(self._schema)).close()

    def abandon(self) -> None:
        self._encoder.shutdown()
        self._pending.clear()
        if self._parquet is not None:
            with contextlib.suppress(pa.ArrowException, OSError):  # what is thrown away need not be whole
                self._parquet.close()

    def _open(self, rows: pa.Table) -> pq.ParquetWriter:
        """The file's encoder, which depends on the first row group."""
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(
                self._file,
                self._schema,
                compression="zstd",
                use_dictionary=_repeating(rows),
                write_statistics=_compared(rows.schema, self._widest),
                # int64 instead of seven bytes a value: 5 % less CPU for lineitem.
                store_decimal_as_integer=True,
            )
        return self._parquet

    def _flush(self) -> None:
        """Hand over what is gathered, after the row group before it. Raises what that one met."""
        self._encoded()
        if self._pending:
            pending, self._pending, self._pending_bytes = self._pending, [], 0
            self._encoding = self._encoder.submit(self._encode, pending)
            del pending
            if self._group_bytes <= SMALLEST_GROUP:
                self._encoded()  # there is memory for one of both

    def _encoded(self) -> None:
        encoding, self._encoding = self._encoding, None
        if encoding is not None:
            encoding.result()

    def _encode(self, pending: list[pa.RecordBatch]) -> None:
        table = pa.Table.from_batches(pending, self._schema)
        pending.clear()
        self._open(table).write_table(table, row_group_size=max(1, table.num_rows))
        del table
        if self._group_bytes < LARGEST_GROUP:
            # Else Arrow's allocator keeps what was needed for a moment: at 4 MiB 58 MiB of RSS instead of
            # 35. With room it may: getting the pages again took 0.4 s of lineitem's 6.7.
            pa.default_memory_pool().release_unused()


def _repeating(rows: pa.Table) -> list[str]:
    """The paths of the columns that get a dictionary: not those whose values are mostly distinct.

    Parquet's writer gives up a dictionary when it has filled 1 MiB, in each row group anew: without these
    lineitem takes 0.15 of 0.95 s CPU less, and 57 MiB instead of 64. Inside a list it looks only when a row
    has ended: a row of 524,288 distinct numbers took 129 MiB to encode, 17 without a dictionary. Texts in
    lists are more often few.
    """
    count = max(1, min(SAMPLE_ROWS, rows.num_rows * SAMPLE_BYTES // max(1, rows.nbytes)))
    sample = rows.slice(0, count)
    distinct = {name for name in sample.schema.names if _mostly_distinct(sample.column(name))}
    return [
        path
        for path, stored in _stored(rows.schema)
        if path not in distinct and not (stored.max_repetition_level and stored.physical_type != "BYTE_ARRAY")
    ]


def _compared(schema: pa.Schema, widest: int) -> list[str]:
    """The paths of the columns that get statistics: no bytes, and no texts that may be as wide as a row.

    Least and largest value are held for each page and row group: a row of 4 MiB took 13 times its size to
    encode, without them 3 times.
    """
    return [path for path, stored in _stored(schema) if not _may_be_wide(stored, widest)]


def _may_be_wide(stored: Any, widest: int) -> bool:  # Any: pyarrow has no stubs
    is_text = stored.logical_type.type == "STRING"
    return stored.physical_type == "BYTE_ARRAY" and not (is_text and widest <= WIDE_BYTES)


def _mostly_distinct(column: pa.ChunkedArray) -> bool:
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    try:
        return bool(2 * pc.count_distinct(column).as_py() > len(column) - column.null_count)
    except pa.ArrowNotImplementedError:  # nested values
        return False


def _without_rows(schema: pa.Schema) -> pa.Table:
    return pa.Table.from_batches([], schema)  # empty_table() knows no uuid in a list or struct


def _stored(schema: pa.Schema) -> list[tuple[str, Any]]:  # Any: pyarrow has no stubs
    """A schema's columns as Parquet stores them, by the names that it gives those of nested values."""
    empty = pa.BufferOutputStream()
    pq.write_table(_without_rows(schema), empty)
    stored = pq.read_metadata(pa.BufferReader(empty.getvalue())).schema
    return [(stored.column(number).path, stored.column(number)) for number in range(len(stored))]
