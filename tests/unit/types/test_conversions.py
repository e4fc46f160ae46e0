"""Conversions are exact or refuse; the odd values are PostgreSQL's."""

import datetime as dt
import pickle
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from arrowsync.errors import DataError, Refused
from arrowsync.types import casts, conversions, temporal

REFUSALS = (Refused, pa.ArrowInvalid)

ODD_RAW = {
    temporal.INFINITY: "infinity",
    temporal.MINUS_INFINITY: "-infinity",
    temporal.FIRST_RAW: "0001-01-01 00:00:00.000000",
    temporal.FIRST_RAW - 1: "0001-12-31 23:59:59.999999 BC",
    temporal.LAST_RAW: "9999-12-31 23:59:59.999999",
    temporal.LAST_RAW + 1: "10000-01-01 00:00:00.000000",
    9_223_371_331_199_999_999: "294276-12-31 23:59:59.999999",
    -211_813_488_000_000_000: "4714-11-24 00:00:00.000000 BC",
    0: "2000-01-01 00:00:00.000000",
}
ODD_DAYS = {
    temporal.DATE_INFINITY: "infinity",
    temporal.DATE_MINUS_INFINITY: "-infinity",
    temporal.FIRST_DAY: "0001-01-01",
    temporal.FIRST_DAY - 1: "0001-12-31 BC",
    temporal.LAST_DAY + 1: "10000-01-01",
    2_145_042_541: "5874897-01-01",
    -2_440_588: "4714-11-24 BC",
    11_016: "2000-02-29",
}


def int64(*values: int | None) -> pa.Array:
    return pa.array(values, pa.int64())


def int32(*values: int | None) -> pa.Array:
    return pa.array(values, pa.int32())


def refused(convert: Callable[[pa.Array], pa.Array], array: pa.Array) -> bool:
    try:
        convert(array)
    except REFUSALS:
        return True
    return False


# -- timestamps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", ODD_RAW)
def test_a_timestamp_is_written_as_postgresql_writes_it_and_reads_back(raw: int) -> None:
    array = int64(raw, None)
    text = temporal.raw_to_text(array)
    assert text.to_pylist() == [ODD_RAW[raw], None]
    assert temporal.text_to_raw(text).equals(array)


def test_a_zone_stands_at_the_end_but_before_bc() -> None:
    text = temporal.raw_to_text(
        int64(0, temporal.FIRST_RAW - 1, temporal.LAST_RAW + 1, temporal.INFINITY), zone="Z"
    )
    assert text.to_pylist() == [
        "2000-01-01 00:00:00.000000Z",
        "0001-12-31 23:59:59.999999+00 BC",
        "10000-01-01 00:00:00.000000Z",
        "infinity",
    ]
    assert temporal.text_to_raw(text, zone="Z").to_pylist() == [
        0,
        temporal.FIRST_RAW - 1,
        temporal.LAST_RAW + 1,
        temporal.INFINITY,
    ]


@given(
    st.lists(st.none() | st.integers(-211_813_488_000_000_000, 9_223_371_331_199_999_999), max_size=20),
    st.sampled_from(["", "Z"]),
)
def test_every_timestamp_of_postgresql_survives_as_text(raws: list[int | None], zone: str) -> None:
    array = int64(*raws)
    assert temporal.text_to_raw(temporal.raw_to_text(array, zone=zone), zone=zone).equals(array)


def test_a_slice_with_an_offset_is_converted_from_its_own_start() -> None:
    array = int64(5, temporal.INFINITY, None, 0)[1:]
    assert temporal.raw_to_text(array).to_pylist() == ["infinity", None, "2000-01-01 00:00:00.000000"]


@pytest.mark.parametrize(
    "text",
    ["now", "", "2024-02-30 00:00:00.000000", "0000-01-01 00:00:00.000000", "2024-01-01 24:00:00.000000",
     "10000-13-01 00:00:00.000000", "0044-03-15 BC", "999999-01-01 00:00:00.000000",
     "0000-01-01 00:00:00.000000 BC"],
)  # fmt: skip
def test_text_that_is_no_timestamp_is_refused(text: str) -> None:
    assert refused(temporal.text_to_raw, pa.array([text]))


def test_the_driver_wraps_where_postgresql_numbers_end() -> None:
    stamps = int64(temporal.INFINITY, temporal.MINUS_INFINITY).to_pylist()
    wrapped = [(n + temporal.RAW_EPOCH + 2**63) % 2**64 - 2**63 for n in stamps]
    driver = pa.array(wrapped, pa.int64()).view(pa.timestamp("us"))
    assert temporal.timestamp_to_raw(driver).to_pylist() == stamps


@pytest.mark.parametrize(
    "raw", [temporal.INFINITY, temporal.MINUS_INFINITY, temporal.INFINITY - temporal.RAW_EPOCH + 1]
)
def test_infinity_is_no_arrow_timestamp(raw: int) -> None:
    assert refused(temporal.raw_to_timestamp, int64(raw))


def test_raw_numbers_become_arrow_timestamps() -> None:
    made = temporal.raw_to_timestamp(int64(0, None), zone="UTC")
    assert made.type == pa.timestamp("us", "UTC")
    assert made.to_pylist() == [dt.datetime(2000, 1, 1, tzinfo=dt.UTC), None]


@pytest.mark.parametrize(
    ("unit", "number", "raw"),
    [("s", 1, 1_000_000), ("ms", -1, -1_000), ("us", 7, 7), ("ns", 5_000, 5)],
)
def test_timestamps_of_every_unit_become_raw(unit: str, number: int, raw: int) -> None:
    array = int64(number).view(pa.timestamp(unit))
    assert temporal.plain_timestamp_to_raw(array).to_pylist() == [raw - temporal.RAW_EPOCH]


@pytest.mark.parametrize(
    ("unit", "number"), [("ns", 1), ("s", 2**62), ("us", -(2**63)), ("us", -(2**63) + 946_684_800_000_000)]
)
def test_a_foreign_timestamp_that_would_become_another_is_refused(unit: str, number: int) -> None:
    assert refused(temporal.plain_timestamp_to_raw, int64(number).view(pa.timestamp(unit)))


# -- dates and times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", ODD_DAYS)
def test_a_date_is_written_as_postgresql_writes_it_and_reads_back(days: int) -> None:
    array = int32(days, None)
    text = temporal.days_to_text(array)
    assert text.to_pylist() == [ODD_DAYS[days], None]
    assert temporal.text_to_days(text).equals(array)


@given(st.lists(st.none() | st.integers(-2_440_588, 2_145_042_541), max_size=20))
def test_every_date_of_postgresql_survives_as_text(days: list[int | None]) -> None:
    array = int32(*days)
    assert temporal.text_to_days(temporal.days_to_text(array)).equals(array)


@given(st.dates())
def test_the_calendar_is_pythons_where_python_has_one(day: dt.date) -> None:
    assert temporal._civil(day.toordinal() - 719_163) == (day.year, day.month, day.day)


@pytest.mark.parametrize(
    "text", ["today", "2023-02-29", "0000-01-01", "2024-02-29 10:00:00", "5-1-1", "0004-02-30 BC"]
)
def test_text_that_is_no_date_is_refused(text: str) -> None:
    assert refused(temporal.text_to_days, pa.array([text]))


def test_an_infinite_date_is_no_arrow_date() -> None:
    assert temporal.days_to_date(int32(0, None)).to_pylist() == [dt.date(1970, 1, 1), None]
    for days in (temporal.DATE_INFINITY, temporal.DATE_MINUS_INFINITY):
        assert refused(temporal.days_to_date, int32(days))


def test_times_of_day_have_a_twenty_fourth_hour_in_text_only() -> None:
    micros = int64(0, temporal.DAY, None, temporal.DAY - 1, 500_000)
    text = temporal.micros_to_text(micros)
    assert text.to_pylist() == [
        "00:00:00.000000",
        "24:00:00.000000",
        None,
        "23:59:59.999999",
        "00:00:00.500000",
    ]
    assert temporal.text_to_micros(text).equals(micros)
    assert refused(temporal.micros_to_time, micros)
    assert temporal.micros_to_time(int64(0)).to_pylist() == [dt.time()]


@pytest.mark.parametrize("text", ["24:00", "10:00:60", "25:00:00", "1 day", "10", ""])
def test_text_that_is_no_time_is_refused(text: str) -> None:
    assert refused(temporal.text_to_micros, pa.array([text]))


@pytest.mark.parametrize("micros", [-1, temporal.DAY + 1])
def test_a_number_outside_the_day_is_no_time(micros: int) -> None:
    assert refused(temporal.micros_to_text, int64(micros))


def test_a_nanosecond_is_not_dropped_from_a_time() -> None:
    assert refused(temporal.time_to_micros, int64(1).view(pa.time64("ns")))
    assert temporal.time_to_micros(int64(1_000).view(pa.time64("ns"))).to_pylist() == [1]


# -- numbers -----------------------------------------------------------------------------------------------


@given(st.integers(1, 15), st.data())
def test_a_double_is_the_decimal_that_made_it(precision: int, data: st.DataObject) -> None:
    scale = data.draw(st.integers(0, precision))
    number = Decimal(data.draw(st.integers(-(10**precision) + 1, 10**precision - 1))).scaleb(-scale)
    made = conversions.double_to_decimal(pa.array([float(number), None]), precision=precision, scale=scale)
    assert made.to_pylist() == [number, None]
    assert made.type == pa.decimal128(precision, scale)


@pytest.mark.parametrize("value", [0.129, float("nan"), float("inf"), 1e9, 0.1 + 0.2 + 1e-9])
def test_a_double_that_is_no_such_decimal_is_refused(value: float) -> None:
    assert refused(partial(conversions.double_to_decimal, precision=10, scale=2), pa.array([1.0, value]))


@given(st.integers(1, 15), st.data())
def test_a_decimal_of_fifteen_digits_becomes_its_nearest_double(precision: int, data: st.DataObject) -> None:
    scale = data.draw(st.integers(0, precision))
    most = 10**precision - 1
    numbers = [Decimal(n).scaleb(-scale) for n in data.draw(st.lists(st.integers(-most, most), min_size=1))]
    array = pa.array([None, *numbers, None], pa.decimal128(precision, scale))
    nearest = [None, *map(float, numbers), None]  # Python's is the correctly rounded one
    assert conversions.decimal_to_double(array).to_pylist() == nearest
    assert conversions.decimal_to_double(array[1:]).to_pylist() == nearest[1:]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_decimal_of_sixteen_digits_is_no_double_whatever_its_type_says(sign: int) -> None:
    wide = pa.array([Decimal(sign * 10**15).scaleb(-2)], pa.decimal128(16, 2))
    lying = pa.Array.from_buffers(pa.decimal128(15, 2), 1, wide.buffers())
    assert refused(conversions.decimal_to_double, wide)
    assert refused(conversions.decimal_to_double, lying)
    assert conversions.decimal_to_double(pa.array([Decimal("9999999999999.99") * sign])).to_pylist() == [
        sign * 9999999999999.99
    ]


def test_a_whole_decimal_is_an_integer_of_64_bits_or_refused() -> None:
    numbers = [Decimal(10**18 - 1), None, Decimal(-5)]
    assert conversions.decimal_to_integer(pa.array(numbers, pa.decimal128(18, 0))).to_pylist() == numbers
    assert refused(conversions.decimal_to_integer, pa.array([Decimal(10**19)], pa.decimal128(20, 0)))


@pytest.mark.parametrize("text", ["NaN", "inf", "1.234", "123456789.00", "abc", ""])
def test_text_that_is_no_such_decimal_is_refused(text: str) -> None:
    assert refused(partial(conversions.text_to_decimal, precision=10, scale=2), pa.array([text]))


def test_a_decimal_is_written_without_an_exponent() -> None:
    numbers = [Decimal("1E-10"), Decimal("-0.5"), None, Decimal("12345678901234567890123456.1")]
    array = pa.array(numbers, pa.decimal128(38, 10))
    assert conversions.decimal_to_text(array).to_pylist() == [
        "0.0000000001", "-0.5000000000", None, "12345678901234567890123456.1000000000",
    ]  # fmt: skip


def test_integers_are_read_as_decimals_by_moving_the_point() -> None:
    made = conversions.rescale(int64(1234, None, -5)[1:], precision=18, scale=2)
    assert made.to_pylist() == [None, Decimal("-0.05")]


def test_only_zero_and_one_are_booleans() -> None:
    assert conversions.to_bool(int64(0, 1, None)).to_pylist() == [False, True, None]
    assert refused(conversions.to_bool, int64(2))
    assert refused(conversions.to_bool, int64(-1))


def test_an_integer_that_does_not_fit_is_refused() -> None:
    assert refused(partial(conversions.to_integer, type=pa.int16()), int64(40_000))


def test_an_oid_beyond_two_billion_is_negative_to_the_driver_only() -> None:
    driver = int32(-1, None, 5)
    numbers = conversions.oid_to_number(driver)
    assert numbers.to_pylist() == [4_294_967_295, None, 5]
    assert conversions.number_to_oid(numbers).equals(driver)


@pytest.mark.parametrize("value", [float("nan"), -0.0])
def test_doubles_that_sqlite_would_change_are_refused(value: float) -> None:
    assert refused(conversions.ordinary_double, pa.array([1.0, value]))
    assert conversions.ordinary_double(pa.array([0.0, float("inf"), None])).to_pylist() == [
        0.0,
        float("inf"),
        None,
    ]


@given(st.lists(st.floats(allow_nan=False)))
def test_a_double_survives_as_text(values: list[float]) -> None:
    array = pa.array(values, pa.float64())
    assert (
        conversions.text_to_double(conversions.double_to_text(array))
        .view(pa.int64())
        .equals(array.view(pa.int64()))
    )


def test_words_for_doubles_are_read_and_a_number_too_large_is_refused() -> None:
    made = conversions.text_to_double(pa.array(["NaN", "Inf", "-infinity", None])).to_pylist()
    assert str(made) == "[nan, inf, -inf, None]"
    assert refused(conversions.text_to_double, pa.array(["1e400"]))


def test_a_double_that_is_no_float32_is_refused() -> None:
    assert conversions.to_float32(pa.array([0.5, None, float("inf")])).to_pylist() == [
        0.5,
        None,
        float("inf"),
    ]
    assert refused(conversions.to_float32, pa.array([0.1]))


CASTS = [
    (pa.array(["7", None]), pa.int32(), [7, None]),
    (pa.array([1.0]), pa.int64(), [1]),
    (pa.array([0.1]), pa.decimal128(4, 2), [Decimal("0.10")]),
    (pa.array([Decimal("7.00")]), pa.int16(), [7]),
    (pa.array(["t", "OFF", None]), pa.bool_(), [True, False, None]),
    (pa.array([1, 0]), pa.bool_(), [True, False]),
    (pa.array([7]), pa.string(), ["7"]),
    (pa.array(["2024-02-29"]), pa.date32(), [dt.date(2024, 2, 29)]),
    (pa.array([dt.datetime(2024, 2, 29)]), pa.date32(), [dt.date(2024, 2, 29)]),
    (pa.array(["10:30"]), pa.time64("us"), [dt.time(10, 30)]),
    (pa.array(["1.5"]), pa.float64(), [1.5]),
    (pa.array(["00000000-0000-0000-0000-000000000001"]), pa.uuid(), [UUID(int=1).bytes]),
]


@pytest.mark.parametrize(("array", "type", "values"), CASTS, ids=[f"{a.type}-{t}" for a, t, _ in CASTS])
def test_a_cast_that_keeps_every_value_is_made(
    array: pa.Array, type: pa.DataType, values: list[object]
) -> None:
    assert casts.cast_exactly(array, type=type).to_pylist() == values


LOSSY = [
    (pa.array(["0x1A"]), pa.int32()),
    (pa.array([" 7"]), pa.int32()),
    (pa.array([1.5]), pa.int64()),
    (pa.array([0.129]), pa.decimal128(4, 2)),
    (pa.array([Decimal("7.50")]), pa.int16()),
    (pa.array([2]), pa.bool_()),
    (pa.array(["maybe"]), pa.bool_()),
    (pa.array([dt.datetime(2024, 2, 29, 1)]), pa.date32()),
    (pa.array(["0000-01-01"]), pa.date32()),
    (pa.array(["0000-01-01"]), pa.timestamp("us")),
    (pa.array([2**53 + 1]), pa.float64()),
    (pa.array([0.1]), pa.float32()),
]


@pytest.mark.parametrize(("array", "type"), LOSSY, ids=[f"{a.type}-{t}-{a[0]}" for a, t in LOSSY])
def test_a_cast_that_would_change_a_value_is_refused(array: pa.Array, type: pa.DataType) -> None:
    assert refused(partial(casts.cast_exactly, type=type), array)


# -- text and bytes ----------------------------------------------------------------------------------------


@given(st.lists(st.none() | st.uuids(), min_size=1))
def test_a_uuid_survives_as_text(uuids: list[UUID | None]) -> None:
    array = pa.array([u and u.bytes for u in uuids], pa.binary(16))[1:]
    text = conversions.uuid_to_text(array)
    assert text.to_pylist() == [u and str(u) for u in uuids[1:]]
    assert conversions.text_to_uuid(text).equals(array)


@pytest.mark.parametrize(
    "text",
    ["79797979-7979-7979-7979-7979797979AB", "7979797979797979797979797979797a", "", "x" * 36,
     "79797979-7979-7979-7979-79797979797", "7979-79797979-7979-7979-797979797979",
     "79 79797-7979-7979-7979-797979797979"],
)  # fmt: skip
def test_a_uuid_spelled_otherwise_is_refused(text: str) -> None:
    assert refused(conversions.text_to_uuid, pa.array(["79797979-7979-7979-7979-797979797979", text]))


def test_text_that_is_not_utf8_is_refused() -> None:
    broken = pa.array([b"\xff"]).view(pa.string())
    assert refused(conversions.utf8, broken)
    assert conversions.utf8(pa.array(["é", None])).to_pylist() == ["é", None]


@given(
    st.lists(st.none() | st.binary(max_size=4) | st.text(max_size=4).map(str.encode), max_size=8),
    st.integers(0, 8),
)
@example([b"\xc3", b"\xa9"], 0)  # together they are é
@example(["é".encode(), b"", None, b"a"], 1)
def test_text_is_utf8_when_each_value_is_on_its_own(values: list[bytes | None], start: int) -> None:
    texts = pa.array(values, pa.binary()).cast(pa.string(), safe=False).slice(start)
    try:
        for value in values[start:]:
            (value or b"").decode()
    except UnicodeDecodeError:
        assert refused(conversions.utf8, texts)
    else:
        assert conversions.utf8(texts) is texts


def test_what_a_null_covers_need_not_be_utf8() -> None:
    broken = pa.array([b"a", b"\xff"], pa.binary()).buffers()
    covered = pa.Array.from_buffers(pa.string(), 2, [pa.py_buffer(b"\x01"), *broken[1:]])
    assert conversions.utf8(covered).to_pylist() == ["a", None]


def test_text_with_a_nul_is_an_error_that_names_the_column_or_loses_it() -> None:
    array = pa.array(["a\0b", None, "c"])
    with pytest.raises(DataError, match=r"U\+0000.*column 'note'"):
        conversions.without_nul(array, column="note")
    assert conversions.strip_nul(array).to_pylist() == ["ab", None, "c"]
    assert conversions.without_nul(array[1:], column="note").to_pylist() == [None, "c"]


EVERY = [
    (partial(temporal.raw_to_text, zone="Z"), pa.int64()),
    (temporal.text_to_raw, pa.string()),
    (temporal.days_to_text, pa.int32()),
    (temporal.text_to_days, pa.string()),
    (temporal.micros_to_text, pa.int64()),
    (temporal.text_to_micros, pa.string()),
    (conversions.decimal_to_text, pa.decimal128(5, 2)),
    (partial(conversions.double_to_decimal, precision=5, scale=2), pa.float64()),
    (conversions.to_float32, pa.float64()),
    (conversions.ordinary_double, pa.float64()),
    (conversions.text_to_double, pa.string()),
    (conversions.uuid_to_text, pa.binary(16)),
    (conversions.text_to_uuid, pa.string()),
    (conversions.to_bool, pa.int64()),
    (partial(casts.cast_exactly, type=pa.int16()), pa.string()),
]


def name_of(value: Any) -> str:  # what a test is called may not hold an address: every worker has others
    return getattr(getattr(value, "func", value), "__name__", str(value))


@pytest.mark.parametrize("length", [0, 3])
@pytest.mark.parametrize(("convert", "type"), EVERY, ids=name_of)
def test_nothing_and_nulls_stay_what_they_are(
    convert: Callable[[pa.Array], pa.Array], type: pa.DataType, length: int
) -> None:
    convert = pickle.loads(pickle.dumps(convert))
    assert convert(pa.nulls(length, type)).null_count == length


@pytest.mark.parametrize("text", ["3e30", "9" * 38, "1" * 77, f"{2**180}e76", "NaN", "1.99999999999"])
def test_a_number_that_a_decimal_does_not_hold_is_refused_not_wrapped(text: str) -> None:
    with pytest.raises(REFUSALS):
        conversions.text_to_decimal(pa.array(["1", text]), precision=38, scale=10)


@given(
    texts=st.lists(st.none() | st.text(alphabet="a\0é", max_size=3), max_size=6),
    start=st.integers(0, 6),
    length=st.integers(0, 6),
)
def test_a_nul_is_found_in_any_slice_and_nowhere_else(
    texts: list[str | None], start: int, length: int
) -> None:
    for arrow in (pa.string(), pa.large_string()):
        array = pa.array(texts, arrow).slice(start, length)
        assert conversions.holds_nul(array) == any("\0" in text for text in array.to_pylist() if text)


def test_what_a_null_covers_is_no_nul() -> None:
    covered = pa.StringArray.from_buffers(
        2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"\0x"), pa.py_buffer(b"\2"), 1
    )
    assert covered.to_pylist() == [None, "x"]
    assert not conversions.holds_nul(covered)
