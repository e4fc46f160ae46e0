"""Writes one file aside and gives it its name when it is whole. Which name and when is place.py's."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.core.receipts import Receipt, Refusal
from arrowsync.dialects.arrow_columns import StoredColumn
from arrowsync.endpoints.files import receipts
from arrowsync.endpoints.files.file_system import aside, storing, sync
from arrowsync.endpoints.files.format import KEY, Encoder
from arrowsync.errors import DataError


class FileWriter:
    """One partition's file. Its rename after fsync is the commit; leaving without one leaves nothing.

    `claim` raises where the transfer is no longer this run's; None where nothing is resumed, and there are no
    receipts.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[StoredColumn],
        key: Sequence[str],
        *,
        encode: Callable[[pa.NativeFile, pa.Schema], Encoder],
        claim: Callable[[], None] | None,
    ) -> None:
        self._path = path
        self._unnamed = aside(path)
        self._schema = pa.schema([column.field() for column in columns], {KEY: json.dumps(list(key))})
        self._encode = encode
        self._claim = claim
        self.done: Receipt | None = None

    def __enter__(self) -> Self:
        if self._claim:
            self._claim()
            self.done = receipts.read(self._path)
        if self.done is None:
            with storing(self._path):
                self._file = pa.OSFile(str(self._unnamed), "wb")
            self._encoder = self._encode(self._file, self._schema)
        return self

    def __exit__(self, *exc: object) -> None:
        if self.done is None:
            self._encoder.abandon()
            with contextlib.suppress(OSError):
                self._file.close()
                self._unnamed.unlink(missing_ok=True)

    def write(self, batches: Iterator[pa.RecordBatch]) -> int:
        rows = 0
        for batch in batches:
            for refusal in self._refusals(batch):
                raise DataError(refusal.message, column=refusal.column, sqlstate=refusal.sqlstate)
            self._add(batch)
            rows += batch.num_rows
            del batch  # or it would stay in memory while the next one waits for room
        return rows

    def find_rejects(self, batch: pa.RecordBatch) -> Iterator[Refusal]:
        refused = {refusal.place: refusal for refusal in self._refusals(batch)}
        yield from refused.values()
        if refused:
            batch = batch.filter(pa.array([place not in refused for place in range(batch.num_rows)]))
        self._add(batch)

    def _refusals(self, batch: pa.RecordBatch) -> Iterator[Refusal]:
        """A file refuses nothing but NULL where it declares that there is none."""
        for field in self._schema:
            if not field.nullable and batch.column(field.name).null_count:
                for place in pc.indices_nonzero(batch.column(field.name).is_null()).to_pylist():
                    yield Refusal(place, "NULL in a column that takes none", "23502", None, field.name)

    def _add(self, batch: pa.RecordBatch) -> None:
        batch = pa.RecordBatch.from_arrays(list(self._arrays(batch)), schema=self._schema)
        with storing(self._path):
            self._encoder.add(batch)

    def _arrays(self, batch: pa.RecordBatch) -> Iterator[pa.Array]:
        given = set(batch.schema.names)
        for field in self._schema:
            missing = field.name not in given  # a column that only the files before this one have
            yield pa.nulls(batch.num_rows, field.type) if missing else batch.column(field.name)

    def commit(self, receipt: Receipt) -> None:
        with storing(self._path):
            self._encoder.close()
            self._file.close()
            sync(self._unnamed)
            if self._claim:
                self._claim()
                receipts.write(self._path, self._unnamed, receipt)
            os.replace(self._unnamed, self._path)
            sync(self._path.parent)

    def cancel(self) -> None:
        """Nothing to do: a write to a file cannot be interrupted, and the next batch is not asked for."""
