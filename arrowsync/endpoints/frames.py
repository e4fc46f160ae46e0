"""Frames as a source: whatever hands out an Arrow stream, such as those of polars, pandas, pyarrow, DuckDB.

A frame is one partition without a name, read in this process only: a run that is interrupted starts over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self, runtime_checkable
from uuid import uuid4
from weakref import WeakValueDictionary

import pyarrow as pa

from arrowsync.core.capabilities import Capabilities
from arrowsync.core.contracts import LARGEST_READ, Forms
from arrowsync.core.plan import ColumnPlan, Snapshot, TablePlan
from arrowsync.core.receipts import Partition, Receipt
from arrowsync.core.table import Table, TableName
from arrowsync.dialects.arrow_columns import StoredColumn, bring, forms, quarantine_columns
from arrowsync.dialects.arrow_types import DIALECT
from arrowsync.endpoints import pandas_index
from arrowsync.endpoints.one_table import OneSliceReader, OneTable
from arrowsync.endpoints.pandas_index import is_pandas
from arrowsync.errors import ArrowsyncError, ConfigError

_COLLECT = "Collect it first, or write it to a Parquet file and copy that"


@runtime_checkable
class ArrowStream(Protocol):
    """What exports itself as an Arrow C stream."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


_used: WeakValueDictionary[int, ArrowStream] = WeakValueDictionary()  # by id(): streams read, or about to be


class _Streams:
    """The streams of an object. One without a length is taken for one that can be read only once."""

    def __init__(self, rows: ArrowStream, index: bool | None = None) -> None:
        self.rows = rows
        self.levels = pandas_index.levels(rows, index) if is_pandas(rows) else None
        # A pyarrow reader that is exported a second time has no rows, and raises nothing.
        self._once = not hasattr(rows, "__len__")
        if self._once and id(rows) in _used:
            raise ConfigError(f"this {type(rows).__name__} has been planned or read before", hint=_COLLECT)
        self._first: pa.RecordBatchReader | None = None
        self._gone = False
        self.schema = self._read_schema()

    def _read_schema(self) -> pa.Schema:
        try:
            reader = self._reader()
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise ConfigError(f"a {type(self.rows).__name__} is no table: {error}") from error
        if self._once:
            self._first = reader
            with suppress(TypeError):  # what takes no weak reference is not remembered
                _used[id(self.rows)] = self.rows
        else:
            reader.close()  # DuckDB runs one query at a time
        return reader.schema

    @property
    def size(self) -> tuple[int | None, int | None]:
        """Rows and bytes, as far as the object knows them."""
        rows = self.rows
        if self.levels is not None:
            return len(rows), None  # type: ignore[arg-type]  # a frame has a length; a column may be named nbytes
        return getattr(rows, "num_rows", getattr(rows, "height", None)), getattr(rows, "nbytes", None)

    @property
    def remarks(self) -> tuple[str, ...]:
        return () if self.levels is None else tuple(pandas_index.remarks(self.rows, self.levels))

    def _reader(self) -> pa.RecordBatchReader:
        if self.levels is not None:
            return pandas_index.table(self.rows, self.levels).to_reader()
        return pa.RecordBatchReader.from_stream(self.rows)

    def open(self) -> pa.RecordBatchReader:
        if not self._once:
            return self._reader()
        if self._gone:
            raise ArrowsyncError(
                "the stream can be read only once, and some of its rows have gone by", hint=_COLLECT
            )
        self._gone = True
        return self._first


@dataclass(frozen=True)
class Frame(OneTable):
    """A frame or stream. Its identity is its own: nothing that another frame has begun is gone on with."""

    streams: _Streams = field(repr=False)
    identity: str
    capabilities: ClassVar[Capabilities] = Capabilities(one_table=True)

    @classmethod
    def of(cls, rows: ArrowStream, index: bool | None = None) -> Self:
        made_by = type(rows).__module__.partition(".")[0]
        return cls(_Streams(rows, index), f"frame:{made_by}/{uuid4().hex[:12]}")

    def __str__(self) -> str:
        return f"a {type(self.streams.rows).__name__}"

    def names(self, *, views: bool = False) -> list[TableName]:
        return [TableName("frame")]

    def describe(self, names: Sequence[TableName]) -> list[Table]:
        schema = self.streams.schema
        if len(set(schema.names)) < len(schema.names):
            raise ConfigError(f"{self} has two columns of one name", hint="Rename one")
        added = quarantine_columns(schema)
        columns = tuple(StoredColumn.of(field).column() for field in schema if field.name not in added)
        count, nbytes = self.streams.size
        return [
            Table(
                name,
                DIALECT,
                columns,
                kind="frame",
                rows=count,
                rows_exact=count is not None,
                bytes=nbytes,
                remarks=self.streams.remarks,
                quarantined=bool(added),
            )
            for name in names
        ]

    def forms(self, table: Table) -> Forms:
        columns = {column.name: StoredColumn.of(column) for column in self.streams.schema}
        return {column.name: forms(columns[column.name]) for column in table.columns}

    @contextmanager
    def snapshot(self, readers: int = 1, *, locking: Sequence[TablePlan] = ()) -> Iterator[Snapshot]:
        yield Snapshot()

    def partitions(self, table: Table, *, target_bytes: int) -> list[Partition]:
        return [Partition(0)]

    def states(self, plans: Sequence[TablePlan]) -> list[Mapping[str, Any]]:  # Any: JSON
        return [{} for _ in plans]

    def unchanged(
        self, plan: TablePlan, receipts: Sequence[Receipt], state: Mapping[str, Any], snapshot: Snapshot
    ) -> bool:
        return False

    def open_reader(
        self, plan: TablePlan, partition: Partition, snapshot: Snapshot, *, batch_bytes: int
    ) -> FrameReader:
        return FrameReader(self.streams, plan.columns, batch_bytes=batch_bytes)


class FrameReader(OneSliceReader):
    """The frame's batches, cut to about `batch_bytes`: a frame may be one batch."""

    def __init__(self, streams: _Streams, columns: Sequence[ColumnPlan], *, batch_bytes: int) -> None:
        self._streams = streams
        self._columns = columns
        self._batch_bytes = min(batch_bytes, LARGEST_READ)

    def __enter__(self) -> Self:
        self._reader = self._streams.open()
        return self

    def __exit__(self, *exc: object) -> None:
        self._reader.close()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._next()) is not None:
            rows = max(1, self._batch_bytes * batch.num_rows // max(1, batch.nbytes))
            for start in range(0, batch.num_rows, rows):
                yield bring(batch.slice(start, rows), self._columns)
            del batch  # or it would stay in memory while the next one is made

    def _next(self) -> pa.RecordBatch | None:
        if self._cancelled:
            raise ArrowsyncError("reading the frame was cancelled")
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            return None
        except (pa.ArrowException, OSError) as error:
            raise ArrowsyncError(f"the frame cannot be read: {error}") from error
