"""What the headers of Parquet's pages say: where in a row group rows are wide. Footers know averages."""

from __future__ import annotations

import os
import struct
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from arrowsync.core.units import KiB, MiB

HEADER_BYTES = 256  # of one with the usual statistics
LARGEST_HEADER = 16 * MiB  # Arrow takes none that is larger
LARGEST_GLANCE = 16 * MiB  # the largest dictionary that is unpacked while a copy is only planned
DATA, DICTIONARY, DATA_V2 = 0, 2, 3  # kinds of pages
BY_NUMBER = (2, 8)  # encodings that store the numbers of a dictionary's entries
RLE = 3
# So much wider than the average may a dictionary's widest value be before batches get smaller for it: one odd
# text must not slow all the others down.
SKEW = 4
FIXED_BYTES = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 8, "FLOAT": 4, "DOUBLE": 8}
NARROW = 1 * KiB  # a thousand such values, which writers put into a page at least, are no large one
DEEPEST = 4  # structs in a header
MANY = 1_000  # pages without values: pyarrow's writer makes some


_LENGTH = struct.Struct("<I").unpack_from


class Unreadable(Exception):
    """No pages, or of a kind that is not known here."""


# What is raised where bytes end too early, sizes are no sizes, or a file is damaged.
_ODD = (Unreadable, IndexError, struct.error, OverflowError, MemoryError, OSError, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class Page:
    """What its header tells; `rows` is None where nothing tells how many lists begin in it."""

    kind: int
    encoding: int
    values: int
    rows: int | None
    stored: int
    unpacked: int
    at: int  # where its content begins

    @property
    def held(self) -> int:
        """The bytes that a reader takes for it: stored, unpacked, and as much room for what it decodes."""
        return self.stored + 2 * self.unpacked


@dataclass(frozen=True, slots=True)
class Chunk:
    """One column's part of a row group: runs of (rows, their bytes as Arrow), the widest value and page."""

    column: str
    runs: Sequence[tuple[int, float]]
    widest: float
    page: int = 0


class Ahead:
    """The rows of a row group that are still to come, and their bytes."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        changes: defaultdict[int, float] = defaultdict(float)
        for chunk in chunks:
            at = 0
            for rows, nbytes in chunk.runs:
                changes[at] += nbytes / rows
                at += rows
                changes[at] -= nbytes / rows
        self._runs: deque[tuple[int, float]] = deque()  # rows, and the bytes of each
        at, width = 0, 0.0
        for place in sorted(changes):
            if place > at:
                self._runs.append((place - at, max(1.0, width)))
            at, width = place, width + changes[place]

    @property
    def widest(self) -> float:
        return max((width for _, width in self._runs), default=0.0)

    def fitting(self, room: float) -> int:
        """How many of the next rows take so many bytes; at least one. Those unknown take one each."""
        count = 0
        for rows, width in self._runs:
            if rows * width > room:
                return max(1, count + int(room / width))
            count, room = count + rows, room - rows * width
        return max(1, count + int(room))

    def skip(self, rows: int) -> None:
        while rows and self._runs:
            run, width = self._runs.popleft()
            if run > rows:
                self._runs.appendleft((run - rows, width))
            rows = max(0, rows - run)


def chunks(file: Any, fd: int, group: int, columns: Set[str], *, glance: bool = False) -> list[Chunk]:
    """These columns' parts of a row group. `glance`: without what takes more than reading headers."""
    facts, found = file.metadata.row_group(group), []
    names = frozenset(file.schema_arrow.names)
    for at in range(facts.num_columns):
        stored = file.schema.column(at)
        name = column_of(stored.path, names)
        if name in columns and facts.num_rows:
            found.append(_chunk(name, fd, facts.column(at), stored, facts.num_rows, glance))
    return found


def column_of(path: str, names: Set[str]) -> str:
    """The column that a path of Parquet belongs to, which names the parts of nested values, too."""
    return path if path in names else path.partition(".")[0]


def _chunk(name: str, fd: int, facts: Any, column: Any, rows: int, glance: bool) -> Chunk:  # Any: no stubs
    width = column.length if "FIXED" in column.physical_type else FIXED_BYTES.get(column.physical_type)
    lists = column.max_repetition_level > 0
    if width is not None and width <= NARROW and not lists:
        return Chunk(name, [(rows, float(rows * width))], width)
    nbytes = float(max(facts.total_uncompressed_size, facts.num_values * (width or 0)))
    even = Chunk(name, [(rows, nbytes)], nbytes / rows)
    try:
        paged = _PagedChunk(fd, facts, column, width, glance)
        if glance and lists:  # to know how many lists begin in a page may take reading it
            return replace(even, page=paged.largest())
        return paged.chunk(name, rows)
    except _ODD:  # whether that can be read at all, and what is wrong with it, Arrow tells better
        return even


class _PagedChunk:
    """Finds out about one column chunk. Raises one of _ODD."""

    def __init__(self, fd: int, facts: Any, column: Any, width: int | None, glance: bool) -> None:
        self._fd = fd
        self._facts = facts
        self._lists = column.max_repetition_level
        self._width = width
        self._glance = glance
        self._entry: tuple[float, int] | None = None  # a dictionary's average and widest value
        self._widest = 0.0

    def largest(self) -> int:
        return max(page.held for page in pages(self._fd, self._facts))

    def chunk(self, name: str, rows: int) -> Chunk:
        runs: list[tuple[int, float]] = []
        largest = 0
        for page in pages(self._fd, self._facts):
            largest = max(largest, page.held)
            if page.kind == DICTIONARY:
                self._entry = self._entries(page)
            elif page.values:
                _add(runs, self._begun(page), self._bytes(page))
        if sum(count for count, _ in runs) != rows:
            raise Unreadable
        widest = max(self._widest, *(nbytes / count for count, nbytes in runs))
        return Chunk(name, runs, widest, largest)

    def _begun(self, page: Page) -> int:
        """How many rows begin in it."""
        if not self._lists:
            return page.values
        if page.rows is not None:
            return page.rows
        content = self._content(page)
        (size,) = _LENGTH(content)
        return zeros(bytes(content[4 : 4 + size]), page.values, self._lists.bit_length())

    def _bytes(self, page: Page) -> float:
        if self._width is not None:
            return float(page.values * self._width)
        if page.encoding not in BY_NUMBER:
            return float(page.unpacked)
        if self._entry is None:
            raise Unreadable
        average, widest = self._entry
        self._widest = max(self._widest, widest)
        return page.values * max(average, widest / SKEW)

    def _entries(self, page: Page) -> tuple[float, int]:
        average = page.unpacked / max(1, page.values)
        if self._width is not None or (self._glance and page.unpacked > LARGEST_GLANCE):
            return average, int(average)
        content, at, widest = self._content(page), 0, 0
        for _ in range(page.values):  # 80 ns each, with max() 180
            (length,) = _LENGTH(content, at)
            at += 4 + length
            if length > widest:
                widest = length
        return average, 4 + widest

    def _content(self, page: Page) -> memoryview:
        stored = os.pread(self._fd, page.stored, page.at)
        codec = self._facts.compression.lower()
        if codec == "uncompressed":
            return memoryview(stored)
        codec = "lz4_raw" if codec == "lz4" else codec
        return memoryview(pa.decompress(stored, page.unpacked, codec=codec))


def _add(runs: list[tuple[int, float]], rows: int, nbytes: float) -> None:
    """Add a page's rows. One in which no row begins is more of the last row, which thus stands apart."""
    if rows:
        runs.append((rows, nbytes))
        return
    before, of_them = runs.pop()
    if before > 1:
        runs.append((before - 1, of_them * (before - 1) / before))
    runs.append((1, of_them / before + nbytes))


def pages(fd: int, facts: Any) -> Iterator[Page]:
    """The pages of a column chunk, as Arrow would read them. Takes 11 µs each."""
    at = facts.data_page_offset
    if facts.has_dictionary_page and 0 < facts.dictionary_page_offset < at:
        at = facts.dictionary_page_offset
    end, missing, patience = at + facts.total_compressed_size, facts.num_values, facts.num_values + MANY
    while missing > 0 and patience > 0:
        page = _page(fd, at)
        at, patience = page.at + page.stored, patience - 1
        if at > end:
            raise Unreadable
        if page.kind != DICTIONARY:
            missing -= page.values
        yield page
    if missing:
        raise Unreadable


def _page(fd: int, at: int) -> Page:
    size = HEADER_BYTES
    while True:
        head = os.pread(fd, size, at)
        try:
            facts, length = _struct(head, 0)
            break
        except IndexError:
            if len(head) < size or size >= LARGEST_HEADER:
                raise Unreadable from None
            size *= 16
    try:
        kind, unpacked, stored = facts[1], facts[2], facts[3]
        told = facts[{DATA: 5, DICTIONARY: 7, DATA_V2: 8}[kind]]
        values, rows = told[1], told[3] if kind == DATA_V2 else None
        encoding = told[4] if kind == DATA_V2 else told[2]
        levels = told[4] if kind == DATA else RLE
    except (KeyError, TypeError) as error:
        raise Unreadable from error
    if min(unpacked, stored, values, rows or 0) < 0 or levels != RLE:
        raise Unreadable
    return Page(kind, encoding, values, rows, stored, unpacked, at + length)


# -- bytes -------------------------------------------------------------------------------------------------


def _struct(data: bytes, at: int, depth: int = 1) -> tuple[dict[int, Any], int]:
    """The numbers and structs of a struct in Thrift's compact protocol by field, and where it ends."""
    fields: dict[int, Any] = {}
    field = 0
    while head := data[at]:
        at += 1
        if step := head >> 4:
            field += step
        else:
            number, at = _varint(data, at)
            field = _signed(number)
        type = head & 15
        if type in (1, 2):  # true and false
            fields[field] = type == 1
        elif type in (4, 5, 6):
            number, at = _varint(data, at)
            fields[field] = _signed(number)
        elif type == 8:  # texts are passed over: they may end behind `data`
            number, at = _varint(data, at)
            at += number
        elif type == 12 and depth < DEEPEST:
            fields[field], at = _struct(data, at, depth + 1)
        else:
            raise Unreadable
    return fields, at + 1


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while shift < 64:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise Unreadable


def _signed(number: int) -> int:
    return (number >> 1) ^ -(number & 1)


def zeros(levels: bytes, count: int, bits: int) -> int:
    """How many of so many levels, `bits` each in runs of equal ones and of packed ones, are 0: rows begin."""
    found = at = 0
    while count > 0:
        head, at = _varint(levels, at)
        packed, length = head & 1, head >> 1
        run = levels[at : at + (length * bits if packed else (bits + 7) // 8)]
        if packed and len(run) < length * bits:
            raise Unreadable
        lanes = min(count, length * 8 if packed else length)
        if packed:
            found += lanes - _filled(int.from_bytes(run, "little"), lanes, bits)
        elif not any(run):
            found += lanes
        at, count = at + len(run), count - lanes
    return found


def _filled(run: int, lanes: int, bits: int) -> int:
    """How many of a number's lanes of so many bits are not 0."""
    lowest = ((1 << lanes * bits) - 1) // ((1 << bits) - 1)  # of each lane
    folded = 0
    for bit in range(bits):
        folded |= run >> bit
    return (folded & lowest).bit_count()
