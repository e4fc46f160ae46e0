"""What lists and maps hold: all entries one after another, and where each one's begin."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.types.conversions import same
from arrowsync.types.kinds import kind


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


def bounds(lengths: pa.Array) -> pa.Array:
    """Where the first begins, and where each ends."""
    return pa.concat_arrays([pa.array([0], lengths.type), pc.cumulative_sum(lengths)])
