"""Lists, structs and maps as bytes: equal for equal values, different for any others. Fingerprints hash them.

A value is taken apart as Parquet does it: for each level which of its elements are there and how long its
lists are, for each leaf its values. All rows' elements of a level lie one after another, so that a row's are
a slice of them, which is no copy. The parts of a row follow each other from the outer level to the inner one;
each says how long the next one is, hence two values never share their bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.engine.row_hashes import Canonical
from arrowsync.types.conversions import same, storage
from arrowsync.types.kinds import NESTED, kind
from arrowsync.types.nested import bounds, entries

Leaf = Callable[[pa.Array], Canonical]


def nested_bytes(array: pa.Array, leaf: Leaf) -> pa.Array:
    """The bytes of each value, of which `leaf` makes the innermost canonical; NULL stays NULL."""
    rows = pl.int_range(len(array) + 1, eager=True).to_arrow()
    whole = pc.binary_join_element_wise(*_parts(array, rows, leaf), pa.scalar(b"", pa.large_binary()))
    return pc.if_else(array.is_valid(), whole, same(None, whole)) if array.null_count else whole


def _parts(array: pa.Array, rows: pa.Array, leaf: Leaf) -> Iterator[pa.Array]:
    """The parts of each row whose elements begin at `rows` and end where the next row's begin."""
    array = storage(array)
    name = kind(array.type)
    if name not in NESTED:
        yield from _leaf_parts(leaf(array), rows)
        return
    yield _of_numbers(array.is_valid().cast(pa.uint8()), rows)
    if name == "struct":
        names = "\0".join(field.name for field in array.type)
        yield _of_bytes(pa.array([names.encode()]).take(pa.repeat(pa.scalar(0), len(rows) - 1)), None)
        for field in array.flatten():  # a field is NULL where its struct is
            yield from _parts(field, rows, leaf)
        return
    lengths, items = entries(array)
    yield _of_numbers(lengths, rows)
    yield from _parts(items, bounds(lengths).take(rows), leaf)


def _leaf_parts(leaf: Canonical, rows: pa.Array) -> Iterator[pa.Array]:
    values, apart = leaf
    there = values.is_valid().cast(pa.uint8())
    if apart is None:
        yield _of_numbers(there, rows)
        yield from _value_parts(values, rows)
        return
    stands_apart = apart.is_valid()
    yield _of_numbers(pc.if_else(stands_apart, same(2, there), there), rows)
    yield from _value_parts(values, rows)
    yield from _value_parts(apart.drop_null(), bounds(stands_apart.cast(pa.int64())).take(rows))


def _value_parts(values: pa.Array, rows: pa.Array) -> Iterator[pa.Array]:
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        lengths = pc.binary_length(values).cast(pa.int64())
        yield _of_numbers(pc.fill_null(lengths, same(0, lengths)), rows)
        yield _of_bytes(pc.fill_null(values, b""), rows)
    else:
        yield _of_numbers(pc.fill_null(values, same(0, values)), rows)


def _of_numbers(values: pa.Array, rows: pa.Array) -> pa.Array:
    """The bytes of each row's numbers, none of which is NULL."""
    width = values.type.bit_width // 8
    starts = pc.multiply(pc.add(rows, same(values.offset, rows)), same(width, rows))
    return _slices(starts, values.buffers()[1])


def _of_bytes(values: pa.Array, rows: pa.Array | None) -> pa.Array:
    """The bytes of each row's texts, none of which is NULL; without `rows` each row has one."""
    numbers = pa.int32() if pa.types.is_binary(values.type) else pa.int64()
    buffers = [None, values.buffers()[1]]
    starts = pa.Array.from_buffers(numbers, len(values) + 1, buffers, offset=values.offset).cast(pa.int64())
    return _slices(starts if rows is None else starts.take(rows), values.buffers()[2])


def _slices(starts: pa.Array, data: pa.Buffer | None) -> pa.Array:
    starts = pc.add(starts, same(0, starts))  # a buffer of its own, which begins with the first
    buffers = [None, starts.buffers()[1], data if data is not None else pa.py_buffer(b"")]
    return pa.Array.from_buffers(pa.large_binary(), len(starts) - 1, buffers)
