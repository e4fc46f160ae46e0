"""What lists and maps hold: all entries one after another, and where each one's begin."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.types.conversions import same, storage
from arrowsync.types.kinds import NESTED, kind


def entries(array: pa.Array) -> tuple[pa.Array, pa.Array]:
    """How many entries each list or map has, 0 for NULL, and all entries; a map's are structs."""
    if kind(array.type) == "map":
        array = _as_lists(array)
    lengths = pc.list_value_length(array).cast(pa.int64())
    return pc.fill_null(lengths, same(0, lengths)), array.flatten()


def _as_lists(maps: pa.Array) -> pa.Array:
    pairs = pa.StructArray.from_arrays([maps.keys, maps.items], ["key", "value"])
    lists, buffers = pa.list_(pairs.type), maps.buffers()[:2]
    return pa.Array.from_buffers(lists, len(maps), buffers, maps.null_count, maps.offset, [pairs])


def rebuilt(array: pa.Array, type: pa.DataType, leaf: Callable[..., pa.Array]) -> pa.Array:
    """A list, struct or map as another type of its kind, whose innermost values `leaf` makes."""
    if array.type == type:
        return array
    if kind(type) not in NESTED:
        return leaf(array, type=type)
    array = storage(array)
    nulls = array.is_null()
    if kind(type) == "struct":
        values = [
            rebuilt(array.field(at) if not array.type.field(at).nullable else values, field.type, leaf)
            for at, (values, field) in enumerate(zip(array.flatten(), type, strict=True))
        ]
        return pa.StructArray.from_arrays(values, fields=list(type), mask=nulls)
    lengths, items = entries(array)
    starts = bounds(lengths).cast(pa.int32())
    if kind(type) == "list":
        return pa.ListArray.from_arrays(starts, rebuilt(items, type.value_type, leaf), type, mask=nulls)
    keys, values = items.flatten()
    keys, values = rebuilt(keys, type.key_type, leaf), rebuilt(values, type.item_type, leaf)
    return pa.MapArray.from_arrays(starts, keys, values, type, mask=nulls)


def bounds(lengths: pa.Array) -> pa.Array:
    """Where the first begins, and where each ends."""
    return pa.concat_arrays([pa.array([0], lengths.type), pc.cumulative_sum(lengths)])
