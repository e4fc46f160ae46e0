"""Values of any Arrow type as text, nested ones as JSON."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowsync.errors import Refused
from arrowsync.types.spelling import json_text, spell, spell_interval

TEXT = st.none() | st.text()
RECORDS = pa.struct(
    {
        "text": pa.string(),
        "items": pa.list_(pa.struct({"é\n": pa.int64(), "f": pa.float64()})),
        "": pa.bool_(),
    }
)
ITEMS = st.fixed_dictionaries(
    {
        "é\n": st.none() | st.integers(-(2**63), 2**63 - 1),
        "f": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    }
)
VALUES = st.none() | st.fixed_dictionaries(
    {"text": TEXT, "items": st.none() | st.lists(st.none() | ITEMS), "": st.none() | st.booleans()}
)


@given(st.lists(VALUES))
def test_nested_values_are_spelled_as_json_reads_them(values: list[object]) -> None:
    spelled = json_text(pa.array(values, RECORDS)).to_pylist()
    assert [None if text is None else json.loads(text) for text in spelled] == values


@given(st.lists(st.none() | st.lists(TEXT)))
def test_texts_in_lists_are_spelled_as_python_does(values: list[list[str] | None]) -> None:
    expected = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    encoded = pa.array(values, pa.large_list(pa.string()))
    assert json_text(encoded).to_pylist() == expected
    assert json_text(pa.concat_arrays([encoded, encoded]).slice(len(values))).to_pylist() == expected


@pytest.mark.parametrize(
    ("arrow", "value", "text"),
    [
        (pa.list_(pa.date32()), [dt.date.max, None], '["9999-12-31", null]'),
        (pa.list_(pa.timestamp("s", "UTC")), [0], '["1970-01-01 00:00:00.000000Z"]'),
        (pa.list_(pa.decimal128(9, 2)), [Decimal("1.50")], '["1.50"]'),
        (pa.list_(pa.float64()), [1.0, 1e300, -0.0], "[1.0, 1e+300, -0.0]"),
        (pa.map_(pa.string(), pa.int64()), [("a", 1), ("b", None)], '[["a", 1], ["b", null]]'),
        (pa.list_(pa.list_(pa.int8()), 2), [[1], None], "[[1], null]"),
        (pa.list_(pa.null()), [None], "[null]"),
        (pa.struct([]), {}, "{}"),
    ],
    ids=str,
)
def test_what_json_has_no_word_for_is_its_text(arrow: pa.DataType, value: object, text: str) -> None:
    assert json_text(pa.array([None, value], arrow)).to_pylist() == [None, text]


@pytest.mark.parametrize("type", [pa.timestamp("ns"), pa.timestamp("ns", "UTC"), pa.time64("ns")], ids=str)
def test_a_value_is_spelled_the_same_whatever_stands_beside_it(type: pa.DataType) -> None:
    array = pa.array([0, 7, 1_500_000, None, 999], pa.int64()).view(type)
    alone = [spell(array.slice(at, 1), type=type)[0].as_py() for at in range(len(array))]
    assert spell(array, type=type).to_pylist() == alone


@pytest.mark.parametrize(
    "array",
    [pa.array([[float("nan")]]), pa.array([[float("inf")]]), pa.array([[b"x"]]), pa.array([{"a": [b"x"]}])],
    ids=str,
)
def test_bytes_and_what_is_no_number_are_refused_in_json(array: pa.Array) -> None:
    with pytest.raises(Refused):
        json_text(array)


def test_a_value_that_a_null_covers_is_not_refused() -> None:
    covered = pa.StructArray.from_arrays([pa.array([float("nan"), 1.0])], ["a"], mask=pa.array([True, False]))
    assert json_text(covered).to_pylist() == [None, '{"a": 1.0}']


def test_intervals_are_spelled_with_all_their_parts() -> None:
    values = [(1, -2, 3_000_000_000), None, (0, 0, -500_000), (-(2**31), 2**31 - 1, 0)]
    array = pa.array([(9, 9, 9), *values], pa.month_day_nano_interval()).slice(1)
    texts = ["P1M-2DT3.000000S", None, "P0M0DT-0.000500S", "P-2147483648M2147483647DT0.000000S"]
    assert spell_interval(array).to_pylist() == texts


def test_an_interval_with_nanoseconds_is_refused() -> None:
    with pytest.raises(Refused, match="nanoseconds"):
        spell_interval(pa.array([(0, 0, 1_001)], pa.month_day_nano_interval()))
