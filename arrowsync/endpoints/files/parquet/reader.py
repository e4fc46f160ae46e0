"""Reads row groups of Parquet files. Which files there are is place.py's, which rows footers.py's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

import pyarrow as pa
import pyarrow.parquet as pq

from arrowsync.core.contracts import LARGEST_READ
from arrowsync.core.plan import ColumnPlan
from arrowsync.core.units import KiB
from arrowsync.dialects.arrow_columns import bring
from arrowsync.endpoints.files.parquet import pages
from arrowsync.endpoints.one_table import OneSliceReader
from arrowsync.errors import ArrowsyncError, ConfigError

# A column chunk is read through a window of this size. Without one every chunk of a row group is loaded
# whole: 3 M rows in one row group took 125 MiB of Arrow's pool, with it 17, and no longer.
WINDOW_BYTES = 64 * KiB
COPIES = 3  # of a batch, while it is decoded
# As quick as 4 MiB, into PostgreSQL, and 12 MiB leaner. Of 1 MiB there are too many to put together: lineitem
# took 3 to 5 % more CPU.
LARGEST = LARGEST_READ // 2

# Of files that are open, shared by all who have them open: one of 524 row groups takes 7 MiB, each time.
_footers: WeakValueDictionary[tuple[int, ...], pq.FileMetaData] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class RowGroups:
    """Some row groups of one file."""

    path: str
    groups: Sequence[int]


@contextmanager
def opened(path: str) -> Iterator[pq.ParquetFile]:
    """The Parquet file, its footer read. Raises ConfigError for a file that is none."""
    with ExitStack() as stack:
        try:
            stored = stack.enter_context(pa.OSFile(path))
            facts = os.fstat(stored.fileno())
            version = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
            footer = _footers.get(version)
            file = pq.ParquetFile(
                stored,
                metadata=footer,
                pre_buffer=False,
                buffer_size=WINDOW_BYTES,
                # Spark's and Impala's INT96: as nanoseconds years after 2262 would wrap silently.
                coerce_int96_timestamp_unit="us",
            )
        except (pa.ArrowException, OSError) as error:
            raise ConfigError(f"cannot read {path!r} as Parquet: {_first_line(error)}") from error
        stack.enter_context(file)
        # Each file has an object of its own for what they share: this one must live as long as the last.
        footer = _footers.setdefault(version, footer or file.metadata)
        yield file


class ParquetReader(OneSliceReader):
    """One partition's batches, each as many rows as hold about `batch_bytes`."""

    def __init__(
        self, units: Sequence[RowGroups], columns: Sequence[ColumnPlan], *, batch_bytes: int
    ) -> None:
        self._units = units
        self._columns = columns
        self._batch_bytes = min(batch_bytes // COPIES, LARGEST)
        self._row_bytes = 1.0  # as Arrow holds it; the last batch's

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for unit in self._units:
            with opened(unit.path) as file, open(unit.path, "rb", buffering=0) as stored:
                names = self._names(file)
                for group in unit.groups:
                    ahead = pages.Ahead(pages.chunks(file, stored.fileno(), group, frozenset(names)))
                    yield from self._group(file, unit.path, group, names, ahead)

    def _group(
        self, file: pq.ParquetFile, path: str, group: int, names: list[str], ahead: pages.Ahead
    ) -> Iterator[pa.RecordBatch]:
        # One thread: pipes are the parallelism, and each column's thread would hold pages of its own.
        batches = file.iter_batches(self._rows(ahead), row_groups=[group], columns=names, use_threads=False)
        while True:
            if self._cancelled:
                raise ArrowsyncError(f"reading {path!r} was cancelled")
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError) as error:
                raise ArrowsyncError(
                    f"cannot read row group {group} of {path!r}: {_first_line(error)}"
                ) from error
            if batch is None:
                return
            batch = bring(batch, self._columns)  # before it is measured: dictionaries are decoded here
            self._row_bytes = _row_bytes(batch)
            ahead.skip(batch.num_rows)
            file.reader.set_batch_size(self._rows(ahead))
            yield batch
            del batch  # or it would stay in memory while the next one is read

    def _rows(self, ahead: pages.Ahead) -> int:
        """The next batch's, by what the pages tell, and by what Arrow made of the last ones."""
        return max(1, min(ahead.fitting(self._batch_bytes), int(self._batch_bytes / self._row_bytes)))

    def _names(self, file: pq.ParquetFile) -> list[str]:
        wanted = {column.route.form.select for column in self._columns}
        return [name for name in file.schema_arrow.names if name in wanted]


def _row_bytes(batch: pa.RecordBatch) -> float:
    return max(1.0, float(batch.nbytes / max(1, batch.num_rows)))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
