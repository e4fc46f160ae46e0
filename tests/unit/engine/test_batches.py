"""Batches change their size and their types, never their rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowsync.core.plan import ColumnPlan, Form, Route, Storage
from arrowsync.core.table import Column, NativeType
from arrowsync.core.units import MiB
from arrowsync.engine.batches import (
    INNER_VALUE_BYTES,
    conform,
    decode,
    encode,
    ingest_schema,
    nbytes,
    regroup,
    row_bytes,
)
from arrowsync.errors import DataError, Refused
from tests.strategies import cuts, opaque, record_batches

NO_LIMIT = 1 << 40


def concat(batches: list[pa.RecordBatch], like: pa.RecordBatch) -> pa.RecordBatch:
    return pa.concat_batches(batches) if batches else like.slice(0, 0)


@given(data=st.data(), batch=record_batches(), most_bytes=st.integers(0, 4_000))
def test_regroup_keeps_rows_and_order_and_stays_inside_its_bounds(
    data: st.DataObject, batch: pa.RecordBatch, most_bytes: int
) -> None:
    pieces = [batch.slice(start, length) for start, length in data.draw(cuts(batch.num_rows))]
    wanted: list[int] = []

    def rows() -> int:
        wanted.append(data.draw(st.integers(1, 30)))
        return wanted[-1]

    regrouped = []
    for made in regroup(pieces, rows, lambda: most_bytes):
        assert 1 <= made.num_rows <= max(wanted)
        assert made.num_rows == 1 or nbytes(made) <= most_bytes + SLACK
        regrouped.append(made)
    assert concat(regrouped, batch).equals(batch)


# Each piece of a merged batch rounds its bitmaps up to bytes and has one more offset: 3 columns, 30 pieces.
SLACK = 200


@given(data=st.data(), batch=record_batches(), rows=st.integers(1, 30))
def test_regroup_fills_every_batch_but_the_last(
    data: st.DataObject, batch: pa.RecordBatch, rows: int
) -> None:
    pieces = [batch.slice(start, length) for start, length in data.draw(cuts(batch.num_rows))]
    sizes = [made.num_rows for made in regroup(pieces, lambda: rows, lambda: NO_LIMIT)]
    assert all(size == rows for size in sizes[:-1])
    assert sum(sizes) == batch.num_rows
    assert 0 not in sizes


def test_large_batches_are_sliced_without_copying() -> None:
    batch = pa.record_batch({"a": pa.array(range(100), pa.int64())})
    before = pa.total_allocated_bytes()
    sliced = list(regroup([batch], lambda: 10, lambda: NO_LIMIT))
    assert len(sliced) == 10
    assert pa.total_allocated_bytes() == before


def test_a_row_above_the_bound_passes_alone() -> None:
    texts = ["a", "b", "x" * 10_000, "c", "d"]
    batch = pa.record_batch({"a": texts})
    made = list(regroup([batch], lambda: 100, lambda: 1_000))
    assert [piece.column(0).to_pylist() for piece in made] == [["a", "b"], ["x" * 10_000], ["c", "d"]]


def test_a_wide_row_does_not_join_those_that_wait() -> None:
    narrow, wide = pa.record_batch({"a": ["a"]}), pa.record_batch({"a": ["x" * 10_000]})
    made = list(regroup([narrow, wide, narrow], lambda: 100, lambda: 1_000))
    assert [piece.num_rows for piece in made] == [1, 1, 1]


def test_rows_of_a_table_without_columns_are_counted() -> None:
    batch = pa.record_batch({"a": range(5)}).select([])
    assert [made.num_rows for made in regroup([batch, batch], lambda: 4, lambda: NO_LIMIT)] == [4, 4, 2]


def held_between_reads(batch_rows: int, rows: int) -> list[int]:
    """Bytes in Arrow's pool each time that regroup asks for another batch of 8 bytes a row."""
    before = pa.total_allocated_bytes()
    held: list[int] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for _ in range(5):
            held.append(pa.total_allocated_bytes() - before)
            yield pa.record_batch({"a": pa.nulls(batch_rows, pa.int64())})

    for made in regroup(batches(), lambda: rows, lambda: NO_LIMIT):
        del made
    return held


def test_while_regroup_waits_it_holds_the_batch_of_the_rows_to_come_and_no_other() -> None:
    assert max(held_between_reads(batch_rows=MiB // 8, rows=50_000)) == MiB


def test_a_batch_that_ends_with_its_slice_is_let_go_before_the_next_is_read() -> None:
    assert held_between_reads(batch_rows=1_000, rows=500) == [0] * 5


def test_a_slice_counts_its_own_bytes() -> None:
    batch = pa.record_batch({"a": ["x" * 1_000] * 100})
    assert nbytes(batch.slice(10, 1)) < 1_100


def column(name: str, form: Form, storage: Storage, target: str | None = None) -> ColumnPlan:
    native = NativeType("sqlite", "TEXT")
    return ColumnPlan(
        Column(name, "TEXT", native), Column(target or name, "text", native), (Route(form, storage),)
    )


PLAIN = column("id", Form("id", pa.int64(), pa.int64()), Storage(pa.int64()))
DATE = column(
    "born",
    Form("born", pa.string(), pa.date32(), decode=partial(pc.cast, target_type=pa.date32())),
    Storage(pa.string(), encode=partial(pc.cast, target_type=pa.string())),
    target="Born On",
)


def test_columns_travel_through_decode_and_encode_under_the_targets_names() -> None:
    batch = pa.record_batch({"id": pa.array([1, None]), "born": ["2024-02-29", None]})
    arrays = decode(batch, [PLAIN, DATE])
    assert [array.type for array in arrays] == [pa.int64(), pa.date32()]
    made = encode(arrays, [PLAIN, DATE], 2)
    assert made.schema == ingest_schema([PLAIN, DATE])
    assert made.to_pydict() == {"id": [1, None], "Born On": ["2024-02-29", None]}
    assert conform(batch, [PLAIN, DATE]).equals(made)


def test_a_value_that_its_form_cannot_carry_is_refused_with_column_and_value() -> None:
    batch = pa.record_batch({"id": [1], "born": ["yesterday"]})
    with pytest.raises(Refused, match="yesterday") as caught:
        decode(batch, [PLAIN, DATE])
    assert caught.value.column == "born"


def test_an_error_of_encode_gets_its_column_too() -> None:
    def no_nul(array: pa.Array) -> pa.Array:
        raise DataError("U+0000 in a text")

    text = column("note", Form("note", pa.string(), pa.string()), Storage(pa.string(), encode=no_nul))
    with pytest.raises(DataError) as caught:
        conform(pa.record_batch({"note": ["\0"]}), [text])
    assert caught.value.column == "note"


def test_a_type_that_is_not_the_forms_is_refused_and_not_cast() -> None:
    batch = pa.record_batch({"id": pa.array([1.0])})
    with pytest.raises(Refused, match=re.escape("values came as double, not as int64")):
        decode(batch, [PLAIN])


@pytest.mark.parametrize("arrow", [pa.json_(), opaque(pa.string(), "jsonb")], ids=["json", "opaque"])
def test_extension_types_are_put_on_and_taken_off(arrow: pa.DataType) -> None:
    plain, extended = pa.array(["{}"]), pa.ExtensionArray.from_storage(arrow, pa.array(["{}"]))
    off = column("doc", Form("doc", pa.string(), arrow), Storage(pa.string()))
    on = column("doc", Form("doc", pa.string(), arrow), Storage(arrow))
    assert conform(pa.record_batch({"doc": extended}), [off]).column(0).equals(plain)
    assert conform(pa.record_batch({"doc": plain}), [on]).column(0).equals(extended)


def test_a_batch_without_columns_keeps_its_rows() -> None:
    batch = pa.record_batch({"a": range(5)}).select([])
    assert conform(batch, []).num_rows == 5


@pytest.mark.parametrize(
    ("array", "inner"),
    [
        (pa.array(["x"]), 0),
        (pa.array([[1, 2], [3]]).slice(1), 1),
        (pa.array([[[1, 2], [3]], None], pa.list_(pa.list_(pa.int8()))), 3),
        (pa.array([[("a", 1), ("b", 2)], [("c", 3)]], pa.map_(pa.string(), pa.int8())).slice(1), 2),
        (pa.array([{"a": [1.0, 2.0], "b": 1}]), 2),
        (pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)).slice(1), 2),
        (pa.array([[1, 2]], pa.list_view(pa.int8())), 2),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else None,
)
def test_values_inside_lists_count_for_more_than_their_bytes(array: pa.Array, inner: int) -> None:
    batch = pa.record_batch({"v": array})
    assert row_bytes(batch) == batch.nbytes + inner * INNER_VALUE_BYTES
