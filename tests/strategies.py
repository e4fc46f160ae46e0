"""Hypothesis strategies: Arrow columns of every kind that moves, batches of them, and ways to cut batches."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
from hypothesis import strategies as st

INT64 = st.integers(-(2**63), 2**63 - 1)


def decimals(scale: int, digits: int = 38) -> st.SearchStrategy[Decimal]:
    """Numbers of at most so many digits, `scale` of them behind the point."""
    most = 10**digits - 1
    # From digits: arithmetic would round to the 28 of Python's context.
    return st.integers(-most, most).map(lambda unscaled: Decimal(f"{unscaled}E-{scale}"))


def opaque(storage: pa.DataType, name: str) -> pa.DataType:
    return pa.opaque(storage, name, "PostgreSQL")


# What a form may mean, and the values of its storage.
VALUES: dict[pa.DataType, st.SearchStrategy[object]] = {
    pa.int16(): st.integers(-(2**15), 2**15 - 1),
    pa.int64(): INT64,
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.bool_(): st.booleans(),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.decimal128(15, 2): decimals(2, 15),
    pa.decimal128(38, 10): decimals(10),
    pa.decimal256(60, 20): decimals(20, 60),
    pa.string(): st.text(),
    pa.large_string(): st.text(),
    pa.string_view(): st.text(),
    pa.binary(): st.binary(),
    pa.binary(4): st.binary(min_size=4, max_size=4),
    pa.date32(): st.integers(-(2**31), 2**31 - 1),
    pa.time64("us"): st.integers(0, 86_400_000_000 - 1),
    pa.timestamp("us"): INT64,
    pa.timestamp("us", "UTC"): INT64,
    pa.timestamp("ns"): INT64,
    pa.duration("ms"): INT64,
    pa.month_day_nano_interval(): st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 3),
    pa.list_(pa.int64()): st.lists(INT64 | st.none(), max_size=3),
    pa.uuid(): st.binary(min_size=16, max_size=16),
    pa.json_(): st.text(),
    opaque(pa.int64(), "timestamp with time zone"): INT64,
    opaque(pa.int32(), "date"): st.integers(-(2**31), 2**31 - 1),
    opaque(pa.string(), "numeric"): decimals(30, 45).map(str) | st.sampled_from(["NaN", "Infinity"]),
    opaque(pa.string(), "inet"): st.text(),
    opaque(pa.binary(), "interval"): st.binary(),
}


def arrays(arrow_type: pa.DataType, rows: int) -> st.SearchStrategy[pa.Array]:
    storage = arrow_type.storage_type if isinstance(arrow_type, pa.BaseExtensionType) else arrow_type
    values = st.lists(st.none() | VALUES[arrow_type], min_size=rows, max_size=rows)
    return values.map(lambda values: pa.array(values, storage))


@st.composite
def typed_columns(
    draw: st.DrawFn, max_rows: int = 20, max_columns: int = 4
) -> tuple[list[pa.Array], list[pa.DataType]]:
    """Columns of one length, as storage arrays, and what they mean."""
    types = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=max_columns))
    rows = draw(st.integers(0, max_rows))
    return [draw(arrays(arrow_type, rows)) for arrow_type in types], types


@st.composite
def record_batches(draw: st.DrawFn, max_rows: int = 60) -> pa.RecordBatch:
    """A batch of a number, a text of very different widths and a flag; sometimes without columns."""
    rows = draw(st.integers(0, max_rows))
    widths = draw(st.lists(st.none() | st.integers(0, 300), min_size=rows, max_size=rows))
    batch = pa.record_batch(
        {
            "number": pa.array(range(rows), pa.int64()),
            "text": pa.array([None if width is None else "x" * width for width in widths], pa.string()),
            "flag": pa.array([number % 3 == 0 for number in range(rows)]),
        }
    )
    return draw(st.sampled_from([batch, batch, batch.select(["text"]), batch.select([])]))


@st.composite
def cuts(draw: st.DrawFn, rows: int) -> list[tuple[int, int]]:
    """(start, length) of consecutive slices that cover so many rows, empty ones among them."""
    bounds = sorted(draw(st.lists(st.integers(0, rows), max_size=8)))
    return [(start, stop - start) for start, stop in pairwise([0, *bounds, rows])]


@st.composite
def nested_types(draw: st.DrawFn, depth: int = 2) -> pa.DataType:
    """Lists, structs and maps of each other and of plain values."""
    leaves = [pa.int64(), pa.string(), pa.float64(), pa.timestamp("ns"), pa.decimal128(38, 30), pa.bool_()]
    if depth == 0:
        return draw(st.sampled_from([*leaves, pa.large_binary(), pa.uint64()]))
    inner = nested_types(depth=draw(st.integers(0, depth - 1)))
    match draw(st.sampled_from(["list", "fixed", "struct", "map"])):
        case "list":
            return pa.list_(draw(inner))
        case "fixed":
            return pa.list_(draw(inner), 2)
        case "map":
            return pa.map_(draw(st.sampled_from([pa.string(), pa.int64()])), draw(inner))
        case _:
            return pa.struct([pa.field(name, draw(inner)) for name in ("a", "b")])


_LEAVES: dict[pa.DataType, st.SearchStrategy[object]] = {
    pa.int64(): INT64,
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.string(): st.text(max_size=3),
    pa.large_binary(): st.binary(max_size=3),
    pa.float64(): st.floats(allow_nan=False).filter(bool),  # 0.0 equals −0.0
    pa.timestamp("ns"): INT64,
    pa.decimal128(38, 30): decimals(30),
    pa.bool_(): st.booleans(),
}


def nested_values(arrow_type: pa.DataType) -> st.SearchStrategy[object]:
    """Values of such a type, NULL on every level."""
    if pa.types.is_struct(arrow_type):
        value = st.fixed_dictionaries({field.name: nested_values(field.type) for field in arrow_type})
    elif pa.types.is_map(arrow_type):
        entry = st.tuples(_LEAVES[arrow_type.key_type], nested_values(arrow_type.item_type))
        value = st.lists(entry, max_size=3, unique_by=lambda entry: entry[0])
    elif pa.types.is_list(arrow_type):
        value = st.lists(nested_values(arrow_type.value_type), max_size=3)
    elif pa.types.is_fixed_size_list(arrow_type):
        value = st.lists(nested_values(arrow_type.value_type), min_size=2, max_size=2)
    else:
        value = _LEAVES[arrow_type]
    return st.none() | value
