"""What the footers of a table's Parquet files say: columns, rows, sizes; row groups cut into partitions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pyarrow.parquet as pq

from arrowsync.core.plan import ColumnPlan
from arrowsync.core.receipts import Partition
from arrowsync.core.table import Widths
from arrowsync.core.units import KiB, MiB
from arrowsync.endpoints.files.format import Contents
from arrowsync.endpoints.files.parquet import pages
from arrowsync.endpoints.files.parquet.reader import ParquetReader, RowGroups, opened

# Of the page that a wide row has for itself, stored, unpacked and decoded, beside the row's own copies:
# rows of 4 MiB took up to 70 MiB into a folder, one after another on a busy machine.
PAGE_COPIES = 3
USUAL_COLUMNS = 64
READER_BYTES = 25 * KiB  # of a column, beside its page: 1,600 columns of 500 numbers took 52 MiB
LARGEST_PAGE = 1 * MiB  # what writers mean to keep a page below


def contents(path: str) -> Contents:
    with opened(path) as file:
        schema = file.schema_arrow
        # Where Arrow's own schema is stored, pyarrow leaves out what else the file says of itself.
        schema = schema.with_metadata({**(schema.metadata or {}), **(file.metadata.metadata or {})})
        stored = (file.schema.column(at) for at in range(len(file.schema)))
        int96 = {column.path for column in stored if column.physical_type == "INT96"}
        return Contents.of(path, schema, file.metadata.num_rows, sum(_group_bytes(file)), int96)


# -- what readers hold -------------------------------------------------------------------------------------


def widths(paths: Sequence[str], names: Sequence[str]) -> Widths:
    """As far as pages' headers tell, with what a reader holds of dictionaries and of large pages."""
    rows, widest, beyond = 0, 0.0, Counter[str]()
    dictionaries, buffered = Counter[str](), Counter[str]()
    for path in paths:
        with opened(path) as file, open(path, "rb", buffering=0) as stored:
            rows += file.metadata.num_rows
            dictionaries, buffered = dictionaries | _dictionaries(file), buffered | _pages(file)
            for group in range(file.metadata.num_row_groups):
                found = pages.chunks(file, stored.fileno(), group, frozenset(names), glance=True)
                widest = max(widest, pages.Ahead(found).widest, *(each.widest for each in found))
                beyond |= _beyond_usual(found)
    # A dictionary is a page, too, and counted with what is made of it.
    held = beyond | Counter({name: dictionaries[name] for name in names if name in dictionaries})
    # Every pipe has room for the pages of as many columns as are usual.
    many = sum(sorted(buffered[name] for name in names)[:-USUAL_COLUMNS])
    holder = max(held, key=held.__getitem__, default=None)
    wide = PAGE_COPIES * int(widest)
    return Widths(((int(widest), rows),), held=held.total() + many + wide, holder=holder)


def _beyond_usual(chunks: Sequence[pages.Chunk]) -> Counter[str]:
    """By how much the largest page of each column exceeds usual ones."""
    beyond: Counter[str] = Counter()
    for chunk in chunks:
        # A row that has a page of its own is held as often as any row.
        beyond[chunk.column] += max(0, chunk.page - 3 * max(LARGEST_PAGE, int(chunk.widest)))
    return beyond


def _dictionaries(file: pq.ParquetFile) -> Counter[str]:
    """About how many bytes a reader holds of each column's dictionary in its largest row group.

    A dictionary is one page, which pyarrow holds as it was stored, unpacked, and decoded. Writers mean to
    keep it below 1 MiB, but look only after a thousand values, however wide they are.
    """
    names = set(file.schema_arrow.names)
    wide: list[tuple[int, str]] = []  # the others' values are few bytes, and their dictionaries below 1 MiB
    for at in range(len(file.schema)):
        stored = file.schema.column(at)
        if stored.physical_type == "BYTE_ARRAY":
            wide.append((at, pages.column_of(stored.path, names)))
    held: Counter[str] = Counter()
    for number in range(file.metadata.num_row_groups):
        group, here = file.metadata.row_group(number), Counter[str]()
        for at, name in wide:
            chunk = group.column(at)
            if chunk.has_dictionary_page:
                here[name] += _dictionary_bytes(chunk)
        held |= here  # the larger of both, for each column
    return held


def _pages(file: pq.ParquetFile) -> Counter[str]:
    """About how many bytes a reader holds of each column's pages: one as it is stored, and unpacked."""
    buffered: Counter[str] = Counter()
    names = set(file.schema_arrow.names)
    count = file.metadata.num_row_groups
    if not count or len(file.schema) <= USUAL_COLUMNS:
        return buffered
    largest = max(map(file.metadata.row_group, range(count)), key=lambda group: group.total_byte_size)
    for at in range(len(file.schema)):
        chunk = largest.column(at)
        sizes = (chunk.total_compressed_size, chunk.total_uncompressed_size)
        name = pages.column_of(chunk.path_in_schema, names)
        buffered[name] += READER_BYTES + sum(min(LARGEST_PAGE, size) for size in sizes)
    return buffered


def _dictionary_bytes(chunk: Any) -> int:  # Any: pyarrow has no stubs
    """One column's in one row group. Footers tell where it ends, not how large it is unpacked."""
    all_stored, all_unpacked = chunk.total_compressed_size, chunk.total_uncompressed_size
    stored = max(0, chunk.data_page_offset - chunk.dictionary_page_offset)
    if (
        stored > all_stored / 2
    ):  # the dictionary dominates; the rest are dictionary indices, which barely compress
        return int(stored + 2 * (all_unpacked - (all_stored - stored)))
    return int(stored + 2 * stored * all_unpacked // max(1, all_stored))


def _group_bytes(file: pq.ParquetFile) -> Iterator[int]:
    """About how many bytes each row group takes as Arrow; texts in dictionaries take more than is told."""
    widths = [_width(field.type) for field in file.schema_arrow]
    fixed = sum(width for width in widths if width is not None)
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        if group.num_columns != len(widths):  # nested columns have several
            yield max(group.total_byte_size, fixed * group.num_rows)
            continue
        encoded = (
            group.column(at).total_uncompressed_size for at, width in enumerate(widths) if width is None
        )
        yield fixed * group.num_rows + sum(encoded)


def _width(type: Any) -> int | None:  # Any: pyarrow has no stubs
    try:
        return -(-int(type.bit_width) // 8)
    except ValueError:  # texts and lists have none
        return None


# -- partitions --------------------------------------------------------------------------------------------


def partitions(paths: Sequence[str], target_bytes: int) -> list[Partition]:
    """Runs of row groups, as many as would have `target_bytes`, about equal; a bound is "file:row group".

    Together they cover each row once, whatever files there are when they are read.
    """
    groups = list(_all_groups(paths))
    total = sum(nbytes for _, nbytes in groups)
    count = math.ceil(total / target_bytes)
    starts: dict[int, str] = {}  # where each run begins: a group belongs to the run in which its middle lies
    before = 0
    for place, nbytes in groups:
        starts.setdefault((2 * before + nbytes) * count // (2 * total) if total else 0, place)
        before += nbytes
    bounds = [None, *list(starts.values())[1:], None]
    return [
        Partition(number, "file", lower=lower, upper=upper)
        for number, (lower, upper) in enumerate(pairwise(bounds))
    ]


def _all_groups(paths: Sequence[str]) -> Iterator[tuple[str, int]]:
    for number, path in enumerate(paths):
        with opened(path) as file:
            for group, nbytes in enumerate(_group_bytes(file)):
                yield f"{number}:{group}", nbytes


def row_groups(paths: Sequence[str], partition: Partition) -> Iterator[RowGroups]:
    """What a partition means."""
    first, end = _place(partition.lower) or (0, 0), _place(partition.upper) or (len(paths), 0)
    for number in range(first[0], min(end[0] + 1, len(paths))):
        with opened(paths[number]) as file:
            count = file.metadata.num_row_groups
        last = min(end[1], count) if number == end[0] else count
        yield RowGroups(paths[number], range(first[1] if number == first[0] else 0, last))


def open_reader(
    paths: Sequence[str], partition: Partition, columns: Sequence[ColumnPlan], *, batch_bytes: int
) -> ParquetReader:
    return ParquetReader(list(row_groups(paths, partition)), columns, batch_bytes=batch_bytes)


def _place(bound: str | None) -> tuple[int, int] | None:
    if bound is None:
        return None
    file, group = bound.split(":")
    return int(file), int(group)
