"""Counts refused rows against what is allowed and keeps them as Parquet files. reject_copy.py finds them."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from arrowsync.core.plan import TablePlan
from arrowsync.core.receipts import REASONS, REASONS_KEY, Partition, Receipt, Refusal
from arrowsync.core.transfer import BadRows, Transfer
from arrowsync.core.units import MiB
from arrowsync.errors import ArrowsyncError, DataError

GROUP_BYTES = 4 * MiB  # of refused rows in memory before they become a row group
REASONS_SHOWN = 3


def folder(plan: TablePlan) -> Path:
    """Where the table's refused rows are kept; the name is one path segment, whatever it holds."""
    return plan.transfer.quarantine_folder / quote(str(plan.source.name), safe="")


def file(plan: TablePlan, partition: Partition) -> Path:
    return folder(plan) / f"part-{partition.number}.parquet"


def remove(plan: TablePlan, partition: Partition) -> None:
    """Take away what an attempt left that was not committed: this one has refused nothing."""
    path = file(plan, partition)
    with _changing(path), suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()


def set_aside(plan: TablePlan) -> None:
    """Give way to a new transfer: rows that an earlier one put here are renamed, never replaced."""
    here = folder(plan)
    with _changing(here):
        if here.exists():
            number = 1
            while (there := here.with_name(f"{here.name}.{number}")).exists():
                number += 1
            here.rename(there)


def forget(plan: TablePlan) -> None:
    """Take away all that a run has put aside of a table that it copies again."""
    here = folder(plan)
    with _changing(here), suppress(FileNotFoundError, NotADirectoryError):
        shutil.rmtree(here)


@contextmanager
def _changing(path: Path) -> Iterator[None]:
    """Say of a disk that is full or read-only what it keeps from being done there."""
    try:
        yield
    except OSError as error:
        raise ArrowsyncError(
            f"refused rows cannot be kept in {str(path.parent)!r}: {error.strerror or error}",
            hint="Make room there, or name another folder with quarantine (--quarantine), then run the same "
            "command again",
        ) from error


class Tally:
    """The rows of one table that were read and refused so far, in all its partitions. For any thread.

    It begins with those of the receipts, and with `read` and `refused` more.
    """

    def __init__(
        self, transfer: Transfer, receipts: Sequence[Receipt] = (), *, read: int = 0, refused: int = 0
    ) -> None:
        self._transfer = transfer
        self._lock = threading.Lock()
        self._counts: dict[int, tuple[int, int]] = {}  # partition -> rows read, rows refused
        self._read = read
        self._refused = refused
        self._first: list[str] = []
        for receipt in receipts:
            self.settle(receipt)

    @property
    def counts(self) -> tuple[int, int]:
        """Rows read and rows refused."""
        with self._lock:
            return self._read, self._refused

    def check(self) -> None:
        """Raises DataError when more rows are bad than the transfer allows."""
        with self._lock:
            if not self._transfer.allows(self._refused, self._read):
                raise self._too_many()

    def begin(self, partition: int) -> None:
        """Forget what an earlier attempt counted."""
        self._set(partition, 0, 0)

    def settle(self, receipt: Receipt) -> None:
        self._set(receipt.partition, receipt.rows + receipt.quarantined, receipt.quarantined)

    def read(self, partition: int, rows: int) -> None:
        with self._lock:
            read, refused = self._counts[partition]
            self._counts[partition] = (read + rows, refused)
            self._read += rows

    def refuse(self, partition: int, refusal: Refusal, row: Callable[[], str]) -> None:
        """Count a row, which `row` names. Raises DataError when it is one too many."""
        with self._lock:
            read, refused = self._counts[partition]
            self._counts[partition] = (read, refused + 1)
            self._refused += 1
            if len(self._first) < REASONS_SHOWN:
                self._first.append(f"row {row()}: {refusal.message}")
            passed = not self._transfer.allows(self._refused, self._read)
            error = self._too_many() if passed else None
        if self._transfer.on_bad_rows is BadRows.STOP:
            raise _stopping(refusal, row())
        if error is not None:
            raise error

    def _set(self, partition: int, read: int, refused: int) -> None:
        with self._lock:
            before = self._counts.get(partition, (0, 0))
            self._counts[partition] = (read, refused)
            self._read += read - before[0]
            self._refused += refused - before[1]

    def _too_many(self) -> DataError:
        share = f" of {self._read:,} read" if str(self._transfer.max_bad_rows).endswith("%") else ""
        first = f". The first: {'; '.join(self._first)}" if self._first else ""
        return DataError(
            f"the target refused {self._refused:,} row{'s' * (self._refused != 1)}{share}, more than "
            f"max_bad_rows={self._transfer.max_bad_rows} allows{first}",
            hint="Repair the rows or the target, then run the same command again; those of partitions that "
            f"were committed are in {self._transfer.quarantine_folder}",
        )


def _stopping(refusal: Refusal, row: str) -> DataError:
    return DataError(
        refusal.message,
        column=refusal.column,
        row=row,
        sqlstate=refusal.sqlstate,
        constraint=refusal.constraint,
        hint='on_bad_rows="quarantine" puts such rows aside and goes on',
    )


class BadRowFile:
    """One partition's refused rows, written aside until `publish`; leaving without it leaves nothing.

    Not thread-safe. Where a column comes as another type than before it becomes text in the whole file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside = path.with_name(f"{path.name}.aside")
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(OSError):  # of a disk that is full, which is known by now, or of one that is read-only
            self._close()
        with suppress(OSError):
            self._aside.unlink()

    def add(self, rows: pa.RecordBatch, refusals: Sequence[Refusal], partition: int) -> None:
        """Add rows, each with the refusal at its place."""
        reasons = (
            pa.array([refusal.message for refusal in refusals], pa.string()),
            pa.array([refusal.sqlstate for refusal in refusals], pa.string()),
            pa.array([refusal.constraint for refusal in refusals], pa.string()),
            pa.array([partition] * len(refusals), pa.int64()),
        )
        own = rows.schema.names
        arrays, names = [*rows.columns, *reasons], [*own, *(_free(name, own) for name in REASONS)]
        self._pending.append(pa.RecordBatch.from_arrays(arrays, names=names))
        self._pending_bytes += rows.nbytes
        self.rows += rows.num_rows
        if self._pending_bytes >= GROUP_BYTES:
            with _changing(self._path):
                self._flush()

    def publish(self) -> None:
        """Make the file last: whoever sees the receipt will find it."""
        with _changing(self._path):
            self._flush()
            self._close()
            _sync(self._aside)
            os.replace(self._aside, self._path)
            _sync(self._path.parent)

    def _flush(self) -> None:
        batches, self._pending, self._pending_bytes = self._pending, [], 0
        for schema in {batch.schema: None for batch in batches}:
            rows = [batch for batch in batches if batch.schema.equals(schema)]
            self._write(pa.Table.from_batches(rows))

    def _write(self, table: pa.Table) -> None:
        if self._writer is None:
            self._open(table.schema)
        elif (common := _common(self._writer.schema, table.schema)) != self._writer.schema:
            self._rewrite(common)
        assert self._writer is not None, "opened above"
        self._writer.write_table(_as(table, self._writer.schema))

    def _open(self, schema: pa.Schema) -> None:
        self._aside.parent.mkdir(parents=True, exist_ok=True)
        marks = {REASONS_KEY: json.dumps(schema.names[-len(REASONS) :])}
        self._writer = pq.ParquetWriter(self._aside, schema.with_metadata(marks), compression="zstd")

    def _rewrite(self, schema: pa.Schema) -> None:
        self._close()
        before = self._aside.with_suffix(".before")
        os.replace(self._aside, before)
        self._open(schema)
        with pq.ParquetFile(before) as old:
            for group in range(old.num_row_groups):
                self._write(old.read_row_group(group))
        before.unlink()

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _common(one: pa.Schema, other: pa.Schema) -> pa.Schema:
    return pa.schema(
        [
            mine if mine.type == theirs.type else pa.field(mine.name, pa.string())
            for mine, theirs in zip(one, other, strict=True)
        ]
    )


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        column if column.type == field.type else pa.chunked_array(map(as_text, column.chunks), pa.string())
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def as_text(array: pa.Array) -> pa.Array:
    """Any values as text; bytes that spell none as hex."""
    array = array.storage if isinstance(array, pa.ExtensionArray) else array
    try:
        return array.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        values = array.to_pylist()
        texts = [value.hex() if isinstance(value, bytes) else str(value) for value in values]
        return pa.array(
            [None if value is None else text for value, text in zip(values, texts, strict=True)], pa.string()
        )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
