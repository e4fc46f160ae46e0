"""What the footers of a table's Parquet files say: columns, rows, sizes; row groups cut into partitions."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any

import pyarrow.parquet as pq

from arrowsync.core.receipts import Partition
from arrowsync.core.units import KiB, MiB
from arrowsync.dialects.arrow_columns import StoredColumn, quarantine_columns
from arrowsync.endpoints.files.parquet import pages
from arrowsync.endpoints.files.parquet.reader import RowGroups, opened
from arrowsync.endpoints.files.parquet.writer import KEY, RECEIPT
from arrowsync.errors import SchemaError

USUAL_COLUMNS = 64
READER_BYTES = 25 * KiB  # of a column, beside its page: 1,600 columns of 500 numbers took 52 MiB
LARGEST_PAGE = 1 * MiB  # what writers mean to keep a page below
_DIFFER = "Copy the files one by one, or name those that are alike with a pattern"


@dataclass(frozen=True, slots=True)
class Footers:
    """Of one file, or of all of a table's. `ours`: by arrowsync, `quarantined` or not."""

    path: str
    columns: Mapping[str, StoredColumn]
    rows: int
    bytes: int
    ours: bool
    held: Counter[str]  # bytes that a reader holds of each column's dictionary
    pages: Counter[str]  # and of its pages
    key: tuple[str, ...] = ()  # the primary key that the rows had at home
    quarantined: bool = False


def read(paths: Sequence[str]) -> Footers:
    """All files as one table. Raises SchemaError where their columns differ."""
    return reduce(_together, map(_footer, paths))


def _footer(path: str) -> Footers:
    with opened(path) as file:
        metadata, schema = file.metadata.metadata or {}, file.schema_arrow
        if len(set(schema.names)) < len(schema.names):
            raise SchemaError(f"{path!r} has two columns of one name", hint="Rename one")
        ours = RECEIPT in metadata
        added = set() if ours else quarantine_columns(schema)
        stored = (file.schema.column(at) for at in range(len(file.schema)))
        int96 = {column.path for column in stored if column.physical_type == "INT96"}
        columns = {
            field.name: StoredColumn.of(field, imprecise=field.name in int96)
            for field in schema
            if field.name not in added
        }
        key = tuple(json.loads(metadata.get(KEY, b"[]")))
        rows, nbytes = file.metadata.num_rows, sum(_group_bytes(file))
        return Footers(
            path, columns, rows, nbytes, ours or bool(added), _held(file), _pages(file), key, bool(added)
        )


def _together(first: Footers, other: Footers) -> Footers:
    if first.columns.keys() != other.columns.keys():
        odd = ", ".join(sorted(first.columns.keys() ^ other.columns.keys()))
        raise SchemaError(f"{other.path!r} and {first.path!r} differ in the columns {odd}", hint=_DIFFER)
    ours = first.ours and other.ours
    columns = {}
    for name, column in first.columns.items():
        both = column.merged(other.columns[name], ours=ours)
        if both is None:
            types = f"{column.written} in {first.path!r}, {other.columns[name].written} in {other.path!r}"
            raise SchemaError(f"the files differ: {types}", column=name, hint=_DIFFER)
        columns[name] = both
    rows, nbytes = first.rows + other.rows, first.bytes + other.bytes
    held, buffered = first.held | other.held, first.pages | other.pages
    key = first.key if first.key == other.key else ()
    quarantined = first.quarantined and other.quarantined
    return Footers(first.path, columns, rows, nbytes, ours, held, buffered, key, quarantined)


def _held(file: pq.ParquetFile) -> Counter[str]:
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


def page_bytes(footers: Footers, names: Sequence[str]) -> int:
    """What a reader of these columns holds of pages, but for as many columns as every pipe has room for."""
    return sum(sorted(footers.pages[name] for name in names)[:-USUAL_COLUMNS])


def wide(paths: Sequence[str], names: Sequence[str]) -> tuple[int, Counter[str]]:
    """The bytes of the widest row, as far as pages tell, and by how much their largest exceed usual ones."""
    widest, beyond = 0.0, Counter[str]()
    for path in paths:
        with opened(path) as file, open(path, "rb", buffering=0) as stored:
            for group in range(file.metadata.num_row_groups):
                found = pages.chunks(file, stored.fileno(), group, frozenset(names), glance=True)
                widest = max(widest, pages.Ahead(found).widest, *(each.widest for each in found))
                here = Counter[str]()
                for chunk in found:
                    # A row that has a page of its own is held as often as any row.
                    here[chunk.column] += max(0, chunk.page - 3 * max(LARGEST_PAGE, int(chunk.widest)))
                beyond |= here
    return int(widest), beyond


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


TAIL = 4096  # bytes from a file's end: in most files all of the footer


def version(paths: Sequence[str]) -> str:
    """Another one when a file is added, taken away, written, or another one stands in its place."""
    facts = repr([_facts(path) for path in paths])
    return hashlib.sha256(facts.encode()).hexdigest()[:12]


def _facts(path: str) -> tuple[str, int, int, int, int, bytes]:
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        file.seek(max(0, status.st_size - TAIL))
        tail = file.read()
    return path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, tail


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


def _place(bound: str | None) -> tuple[int, int] | None:
    if bound is None:
        return None
    file, group = bound.split(":")
    return int(file), int(group)
