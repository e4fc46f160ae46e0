"""What all places have in common that hold one table and know no SQL: files, frames, streams."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Self

import pyarrow as pa

from arrowsync.core.contracts import Forms
from arrowsync.core.plan import Snapshot, TablePlan
from arrowsync.core.receipts import Partition
from arrowsync.core.table import Table, TableName, Widths
from arrowsync.errors import ConfigError


class OneTable:
    """The part of a Source that has the same answers for all of them."""

    server: str | None = None

    def default_schema(self) -> None:
        return None

    def describe_query(self, name: TableName, query: str) -> Table:
        raise ConfigError(
            f"a query needs a database, and {self} is none",
            hint="Query it with DuckDB or polars, and copy that frame",
        )

    def check_reading(self, table: Table, where: str | None = None) -> None:
        if where is not None:
            raise ConfigError(f"where: {self} knows no SQL")

    def widths(self, table: Table, where: str | None = None) -> Widths | None:
        return None

    def sampled(self, table: Table) -> Forms | None:
        return None

    def slices(self, plan: TablePlan, *, target_bytes: int) -> list[tuple[Partition, ...]]:
        return [(partition,) for partition in plan.partitions]

    def rows_meant(self, plan: TablePlan, snapshot: Snapshot) -> int | None:
        return None


class OneSliceReader(ABC):
    """The part of a Reader that neither cuts its partition nor can interrupt a read."""

    _cancelled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._cancelled = True

    @abstractmethod
    def __iter__(self) -> Iterator[pa.RecordBatch]: ...

    def slice(self, part: Partition) -> Iterator[pa.RecordBatch]:
        return iter(self)

    def cancel(self) -> None:
        """End with the batch under way."""
        self._cancelled = True
