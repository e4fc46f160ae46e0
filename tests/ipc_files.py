"""Arrow IPC as a format of files, as small as one can be: it shows all that a format has to bring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pyarrow as pa

from arrowsync.core.plan import ColumnPlan
from arrowsync.core.receipts import Partition
from arrowsync.dialects.arrow_columns import bring
from arrowsync.endpoints.files.format import Contents, Room
from arrowsync.endpoints.one_table import OneSliceReader

name = "Arrow"
suffix = ".arrow"


def contents(path: str) -> Contents:
    table = pa.ipc.open_file(pa.memory_map(path)).read_all()
    return Contents.of(path, table.schema, table.num_rows, table.nbytes)


def widths(paths: Sequence[str], columns: Sequence[str]) -> None:
    return None


def partitions(paths: Sequence[str], target_bytes: int) -> list[Partition]:
    bounds = [None, *map(str, range(1, len(paths))), None]
    return [
        Partition(number, "file", lower=low, upper=up) for number, (low, up) in enumerate(pairwise(bounds))
    ]


class Reader(OneSliceReader):
    def __init__(self, paths: Sequence[str], columns: Sequence[ColumnPlan]) -> None:
        self.paths = paths
        self.columns = columns

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for path in self.paths:
            for batch in pa.ipc.open_file(pa.memory_map(path)).read_all().to_batches():
                yield bring(batch, self.columns)


def open_reader(
    paths: Sequence[str], partition: Partition, columns: Sequence[ColumnPlan], *, batch_bytes: int
) -> Reader:
    last = int(partition.upper) if partition.upper else None
    return Reader(paths[int(partition.lower or 0) : last], columns)


def largest_file(columns: int, room: Room) -> None:
    return None


def held_bytes(columns: int, nbytes: int, room: Room) -> int:
    return 0


class Encoder:
    def __init__(self, file: pa.NativeFile, schema: pa.Schema) -> None:
        self.writer = pa.ipc.new_file(file, schema)

    def add(self, batch: pa.RecordBatch) -> None:
        self.writer.write_batch(batch)

    def close(self) -> None:
        self.writer.close()

    def abandon(self) -> None: ...


def encoder(file: pa.NativeFile, schema: pa.Schema, room: Room, *, widest: int) -> Encoder:
    return Encoder(file, schema)
