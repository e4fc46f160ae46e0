"""Fingerprints: equal for equal rows however they are stored and batched, different for anything else."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from hashlib import blake2b

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from arrowsync.core.receipts import Fingerprint
from arrowsync.engine import fingerprint as fingerprints
from arrowsync.engine.fingerprint import ALGORITHM, Kind, canonical_kind
from tests.strategies import VALUES, cuts, decimals, nested_types, nested_values, opaque, typed_columns

PG_EPOCH = 946_684_800_000_000
INFINITY, MINUS_INFINITY = 2**63 - 1, -(2**63)
SECRET = 0x243F6A8885A308D313198A2E03707344  # the tests' own
fingerprint = partial(fingerprints.fingerprint, secret=SECRET)
NUMERIC = opaque(pa.string(), "numeric")
PG_TIMESTAMP = opaque(pa.int64(), "timestamp without time zone")
PG_DATE = opaque(pa.int32(), "date")
WIRE, TEXT = opaque(pa.binary(), "interval"), opaque(pa.string(), "interval")


def of(values: Sequence[object], arrow_type: pa.DataType, kind: Kind | None = None) -> Fingerprint:
    """The fingerprint of one column."""
    array = pa.array(values, storage(arrow_type))
    return fingerprint([array], [arrow_type], None if kind is None else [kind])


def storage(arrow_type: pa.DataType) -> pa.DataType:
    return arrow_type.storage_type if isinstance(arrow_type, pa.BaseExtensionType) else arrow_type


# -- adding up -------------------------------------------------------------------------------------------


@given(data=st.data(), columns=typed_columns())
def test_fingerprints_add_in_any_order_and_any_batching(
    data: st.DataObject, columns: tuple[list[pa.Array], list[pa.DataType]]
) -> None:
    arrays, types = columns
    pieces = [
        fingerprint([array.slice(start, length) for array in arrays], types)
        for start, length in data.draw(cuts(len(arrays[0])).flatmap(st.permutations))
    ]
    assert sum(pieces, Fingerprint()) == fingerprint(arrays, types)


def test_the_pieces_in_which_a_large_batch_is_hashed_do_not_show() -> None:
    numbers = pa.array(range(600_000), pa.int64())
    halves = [
        fingerprint([half], [pa.int64()]) for half in (numbers.slice(0, 300_007), numbers.slice(300_007))
    ]
    assert fingerprint([numbers], [pa.int64()]) == halves[0] + halves[1]


def test_no_rows_are_zero() -> None:
    assert of([], pa.int64()) == fingerprint([], []) == Fingerprint(0, 0)


def test_the_algorithm_names_polars_and_its_version() -> None:
    assert pl.__version__ in ALGORITHM


# -- what must show --------------------------------------------------------------------------------------


@given(data=st.data(), columns=typed_columns())
def test_a_changed_value_shows(
    data: st.DataObject, columns: tuple[list[pa.Array], list[pa.DataType]]
) -> None:
    arrays, types = columns
    assume(len(arrays[0]))
    row = data.draw(st.integers(0, len(arrays[0]) - 1))
    place = data.draw(st.integers(0, len(arrays) - 1))
    value = data.draw(st.none() | VALUES[types[place]])
    assume(value == value)  # NaN
    other = pa.array([value], arrays[place].type)
    assume(not arrays[place].slice(row, 1).equals(other))
    replaced = pa.concat_arrays([arrays[place].slice(0, row), other, arrays[place].slice(row + 1)])
    assert fingerprint(arrays, types) != fingerprint(
        [replaced if number == place else array for number, array in enumerate(arrays)], types
    )


@given(st.lists(st.tuples(st.integers(-3, 3) | st.none(), st.text(max_size=2) | st.none()), min_size=2))
def test_values_that_swap_rows_show(rows: list[tuple[int | None, str | None]]) -> None:
    (first_number, first_text), (second_number, second_text), *_ = rows
    assume(first_number != second_number)
    assume(first_text != second_text)
    numbers, texts = (pa.array(values) for values in zip(*rows, strict=True))
    swapped = pa.array([second_text, first_text, *texts.to_pylist()[2:]], pa.string())
    types = [pa.int64(), pa.string()]
    numbers, texts = numbers.cast(pa.int64()), texts.cast(pa.string())
    assert fingerprint([numbers, texts], types) != fingerprint([numbers, swapped], types)


def test_swaps_of_small_values_in_large_tables_do_not_cancel_out() -> None:
    chance = random.Random(7)
    rows = 20_000
    ones = pa.array([chance.randrange(4) for _ in range(rows)], pa.int64())
    others = [chance.randrange(4) for _ in range(rows)]
    types = [pa.int64(), pa.int64()]
    seen = set()
    for row in range(0, 400, 2):
        swapped = others.copy()
        swapped[row], swapped[row + 1] = swapped[row + 1], swapped[row]
        if ones[row] != ones[row + 1] and swapped != others:
            seen.add(fingerprint([ones, pa.array(swapped, pa.int64())], types))
    assert len(seen) > 5
    assert fingerprint([ones, pa.array(others, pa.int64())], types) not in seen


@pytest.mark.parametrize("element", [pa.int64(), pa.string(), pa.list_(pa.int64())])
def test_long_lists_hash_alike_alone_and_among_short_ones(element: pa.DataType) -> None:
    makes = {pa.int64(): int, pa.string(): "ä{}".format}.get(element, lambda number: [number])
    # Their texts are just below 64 KiB, just above, and far above.
    long = [[makes(7)] * 9_000, [makes(7)] * 21_845, [makes(7)] * 21_846, [*map(makes, range(50_000)), None]]
    rows = [[makes(1), None], None, [], *long] * 2 + [[makes(2)]] * 10_000
    array = pa.array(rows, pa.list_(element))
    together = fingerprint([array], [array.type])
    alone = (fingerprint([array.slice(at, 1)], [array.type]) for at in range(len(rows)))
    assert sum(alone, Fingerprint()) == together
    other = pa.array([[*map(makes, range(50_000)), makes(3)]], array.type)
    assert fingerprint([other], [array.type]) != fingerprint([array.slice(6, 1)], [array.type])


@given(st.lists(st.integers(0, 3), min_size=1), st.data())
def test_a_row_that_is_lost_or_doubled_shows(values: list[int], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(values) - 1))
    lost, doubled = values[:row] + values[row + 1 :], [*values, values[row]]
    whole = of(values, pa.int64())
    assert whole.hash != of(lost, pa.int64()).hash
    assert whole.hash != of(doubled, pa.int64()).hash


def test_the_order_of_columns_shows() -> None:
    one, other = pa.array([1, 2]), pa.array([3, 4])
    types = [pa.int64(), pa.int64()]
    assert fingerprint([one, other], types) != fingerprint([other, one], types)


def test_null_zero_and_nothing_are_three_things() -> None:
    assert of([None], pa.int64()) != of([0], pa.int64())
    assert of([None], pa.string()) != of([""], pa.string())
    assert of([None], pa.float64()) != of([float("nan")], pa.float64())
    assert of([None], NUMERIC) != of(["NaN"], NUMERIC)


@pytest.mark.parametrize(
    ("arrow_type", "values"),
    [
        (pa.float64(), [0.0, 5e-324, 1.0, float("inf"), float("-inf"), float("nan"), None]),
        (
            NUMERIC,
            ["0", "1", "-1", "NaN", "Infinity", "-Infinity", "9" * 60, "9" * 61, "1." + "1" * 40, None],
        ),
        (PG_TIMESTAMP, [INFINITY, MINUS_INFINITY, INFINITY - 1, MINUS_INFINITY + 1, 0, -PG_EPOCH, None]),
        (PG_DATE, [-2147472692, -2147472691, 0, 2932896, None]),
        (pa.timestamp("ns"), [0, 1, -1, 999, -999, 1_000, 1_001, -1_000, None]),
        (pa.time64("ns"), [0, 1, 1_000, 1_001]),
        (pa.month_day_nano_interval(), [(0, 0, 0), (1, 0, 0), (0, 30, 0), (0, 0, 1), None]),
        (pa.list_(pa.int64()), [[], [None], [1], [1, 2], [2, 1], None]),
        (pa.decimal256(76, 40), [Decimal("1e-40"), Decimal("1e30"), Decimal(0), None]),
        (pa.uint64(), [0, 2**63 - 1, 2**63, 2**64 - 1, None]),
        (pa.string(), ["", "a", "A", "a ", "é", "e\u0301", "\0", None]),
    ],
    ids=str,
)
def test_different_values_hash_differently(arrow_type: pa.DataType, values: list[object]) -> None:
    assert len({of([value], arrow_type) for value in values}) == len(values)


# -- the second lane -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrow_type", "value"),
    [
        *((pa.int64(), 5), (pa.date32(), 5), (pa.float64(), 0.5), (pa.decimal128(9, 2), Decimal(5))),
        *((pa.string(), ""), (pa.string(), "text"), (pa.binary(), b"b" * 300), (pa.int64(), None)),
        *((NUMERIC, "NaN"), (pa.timestamp("ns"), 1), (pa.binary(), b"b" * 100_000)),
    ],
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else str(value),
)
def test_the_second_lane_of_every_value_depends_on_the_secret_and_the_first_does_not(
    arrow_type: pa.DataType, value: object
) -> None:
    array = pa.array([value], storage(arrow_type))
    found = [fingerprint([array], [arrow_type], secret=number << 64) for number in range(9)]
    assert len({each.second for each in found}) == 9
    assert len({each.hash for each in found}) == 1


def test_both_halves_of_the_secret_count() -> None:
    numbers = pa.array([1, 2, 3])
    secrets = (SECRET, SECRET + 1, SECRET + 2**64, SECRET + 2**127)
    assert len({fingerprint([numbers], [pa.int64()], secret=each).second for each in secrets}) == 4


def test_texts_that_rows_have_exchanged_do_not_cancel_out_under_any_secret() -> None:
    one, other, types = ["a", "b"], ["c", "d"], [pa.string()] * 2
    differences = []
    for secret in range(0, 256 << 56, 1 << 56):
        pairs, exchanged = (
            fingerprint([pa.array(one), pa.array(texts)], types, secret=secret << 64 | secret)
            for texts in (other, other[::-1])
        )
        differences.append(pairs.second - exchanged.second)
    assert 0 not in differences
    assert sum(difference % 64 == 0 for difference in differences) < 16  # of 256; by chance 4


def test_the_second_lane_is_part_of_what_is_equal_and_is_not_shown() -> None:
    one, other = (fingerprint([pa.array([1])], [pa.int64()], secret=secret) for secret in (1, 2))
    assert one != other
    assert one.shown == other.shown
    assert str(one) == str(other)
    assert repr(one) == repr(other)


def test_a_receipts_text_keeps_both_lanes() -> None:
    both = of([1, 2, 3], pa.int64())
    assert Fingerprint.parse(both.to_text()) == both
    assert Fingerprint.parse(str(both)) == both.shown  # as earlier releases wrote it


LONG = b"b" * 100_000


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((pa.binary(), LONG), (pa.binary(), blake2b(LONG, digest_size=32).digest())),
        ((pa.timestamp("ns"), 1), (pa.timestamp("us"), 2**53)),
        ((pa.timestamp("ns"), -999), (pa.timestamp("us"), -999 * 2**53)),
        ((pa.timestamp("s"), 0), (pa.timestamp("s"), 2**58)),
        ((pa.timestamp("ms"), 7), (pa.timestamp("ms"), 7 + 2**61)),
        ((TEXT, "PT1.5S"), (TEXT, "1500000")),
        ((TEXT, "P14M-3DT1.5S"), (TEXT, "14 -3 1500000")),
        ((TEXT, "PT0S"), (pa.duration("ns"), 2**53 + 1)),
    ],
    ids=lambda side: f"{side[0]} {str(side[1])[:20]}",
)
def test_a_value_is_not_what_stands_for_another_one(
    one: tuple[pa.DataType, object], other: tuple[pa.DataType, object]
) -> None:
    kind = canonical_kind(one[0])
    a, b = (of([value], arrow_type, kind) for arrow_type, value in (one, other))
    assert a.hash != b.hash
    assert a.second != b.second


@pytest.mark.parametrize("kind", [Kind("number"), Kind("number", 2)])
def test_a_number_that_does_not_fit_is_no_number_that_does(kind: Kind) -> None:
    """It was replaced by 64 bits of a hash of its digits, which are a number, too."""
    digits = str(2**70)
    bits = pl.Series([digits]).hash(0x6172726F7773796E).to_arrow().view(pa.int64())
    number = bits if kind.scale is None else bits.cast(pa.decimal128(19, 0)).view(pa.decimal128(38, 2))
    assert fingerprint([number], [number.type], [kind]) != of([digits], NUMERIC, kind)


def test_what_stands_apart_counts_for_its_own_column() -> None:
    nothing, long = pa.array([None], pa.binary()), pa.array([LONG])
    types = [pa.binary()] * 2
    assert fingerprint([nothing, long], types) != fingerprint([long, nothing], types)


def test_moments_beyond_all_microseconds_are_equal_in_every_unit() -> None:
    kind = canonical_kind(pa.timestamp("s"))
    beyond = 2**63 // 1_000_000 + 1  # seconds
    assert of([beyond, 0], pa.timestamp("s"), kind) == of([beyond * 1_000, 0], pa.timestamp("ms"), kind)


# -- what must not show ----------------------------------------------------------------------------------

DAY = date(2024, 2, 29)
MOMENT = datetime(2024, 2, 29, 12, 30, 15, 123_000)
UNIX = (MOMENT - datetime(1970, 1, 1)) // timedelta(microseconds=1)


# The same values as each type spells them; the first type's kind is the one they are compared as.
EQUAL: dict[str, dict[pa.DataType, Sequence[object]]] = {
    "integers and booleans": {
        **dict.fromkeys([pa.int64(), pa.int16(), pa.uint64(), pa.bool8()], (1, 0, None)),
        opaque(pa.int64(), "oid"): (1, 0, None),
        pa.bool_(): (True, False, None),
        opaque(pa.string(), "bigint"): ("1", "0", None),
        opaque(pa.string(), "boolean"): ("true", "false", None),
    },
    "integers beyond 63 bits": {
        pa.uint64(): (2**63, 5, None),
        pa.decimal128(38, 0): (Decimal(2**63), Decimal(5), None),
        NUMERIC: ("9223372036854775808", "5.0", None),
    },
    "floats": {
        pa.float64(): (-0.0, 0.5, float("nan"), float("-inf"), None),
        pa.float32(): (0.0, 0.5, float("nan"), float("-inf"), None),
        opaque(pa.string(), "double precision"): ("-0", "0.5", "NaN", "-Infinity", None),
        opaque(pa.string(), "real"): ("0", "5e-1", "NaN", "-Infinity", None),
    },
    "the float nearest to a tenth": {pa.float32(): [0.1], opaque(pa.string(), "real"): ["0.1"]},
    "moments": {
        **dict.fromkeys([pa.timestamp("us"), pa.timestamp("ms"), pa.timestamp("ns")], (MOMENT, None)),
        pa.timestamp("us", "UTC"): (UNIX, None),
        PG_TIMESTAMP: (UNIX - PG_EPOCH, None),
        opaque(pa.int64(), "timestamp(3) with time zone"): (UNIX - PG_EPOCH, None),
    },
    "the epoch": {pa.timestamp("s"): [0], PG_TIMESTAMP: [-PG_EPOCH]},
    "days": {
        **dict.fromkeys([pa.date32(), pa.date64()], (DAY, None)),
        PG_DATE: ((DAY - date(1970, 1, 1)).days, None),
    },
    "times of day": {
        pa.time64("us"): [1_000_000],
        pa.time64("ns"): [1_000_000_000],
        pa.time32("ms"): [1_000],
        pa.time32("s"): [1],
        opaque(pa.int64(), "time without time zone"): [1_000_000],
    },
    "durations": {
        pa.duration("us"): (-1_500_000, 0, 90_000_000_000, None),
        pa.duration("ms"): (-1_500, 0, 90_000_000, None),
        pa.duration("ns"): (-1_500_000_000, 0, 90_000_000_000_000, None),
        TEXT: ("PT-1.5S", "PT0S", "PT25H", None),
        opaque(pa.string(), "interval(6)"): ("PT-1.500000S", "P0M0DT0.000000S", "PT90000S", None),
    },
    "intervals": {
        TEXT: ("P1Y2M-3DT1.5S", "P-1D", "infinity"),
        opaque(pa.string(), "interval day to second"): ("P14M-3DT1.500000S", "P0M-1DT0S", "infinity"),
    },
    "uuids": dict.fromkeys([pa.uuid(), pa.binary(16)], (b"0123456789abcdef", None)),
    "texts": dict.fromkeys(
        [
            *(pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())),
            *(pa.json_(), opaque(pa.string(), "citext")),
        ],
        ("a", "a text too long for a view", None),
    ),
    "bytes": dict.fromkeys(
        [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(1)],
        (b"a", None),
    ),
    "nothing at all": dict.fromkeys([pa.null(), pa.string()], (None,)),
}


@pytest.mark.parametrize("what", EQUAL)
def test_equal_values_in_different_forms_hash_equal(what: str) -> None:
    kinds = [canonical_kind(arrow_type) for arrow_type in EQUAL[what]]
    assert len({kind.family for kind in kinds}) == 1
    assert len({of(values, arrow_type, kinds[0]) for arrow_type, values in EQUAL[what].items()}) == 1


@given(
    numbers=st.lists(decimals(2) | decimals(2, 12), max_size=6),
    kind=st.sampled_from([Kind("number"), Kind("number", 2), Kind("number", 5), Kind("number", 18)]),
    spelling=st.sampled_from(["{:f}", "{:E}", "{:f}0"]),
)
@example([Decimal("-0.00"), Decimal("0.00")], Kind("number", 2), "{:f}")
@example(
    [Decimal(2**63), Decimal(2**63 - 1), Decimal(-(2**63)), Decimal(-(2**63) - 1)], Kind("number"), "{:f}"
)
@example([Decimal(10**20), Decimal(10**20 - 1), Decimal("1.50")], Kind("number", 18), "{:E}")
@example([Decimal("24613008509450541776228744433317.80")], Kind("number", 18), "{:f}")  # wraps in pyarrow 26
def test_numbers_hash_by_value_whatever_their_scale_and_form(
    numbers: list[Decimal], kind: Kind, spelling: str
) -> None:
    texts = [spelling.format(number) if "." in f"{number:f}" else f"{number:f}" for number in numbers]
    forms = {
        of(numbers, pa.decimal256(60, 2), kind),
        of(numbers, pa.decimal256(60, 7), kind),
        of(texts, NUMERIC, kind),
        of(texts, opaque(pa.string(), "numeric(38,2)"), kind),
    }
    if all(abs(number) < 10**34 for number in numbers):
        forms |= {of(numbers, pa.decimal128(38, scale), kind) for scale in (2, 3)}
    if all(number == int(number) and abs(number) < 2**63 for number in numbers):
        forms.add(of([int(number) for number in numbers], pa.int64(), kind))
    assert len(forms) == 1


@given(st.lists(decimals(2, 12), min_size=1), st.data())
def test_one_number_that_does_not_fit_leaves_the_others_hashes_as_they_are(
    numbers: list[Decimal], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(numbers)))
    texts = [str(number) for number in numbers]
    with_nan = [*texts[:place], "NaN", *texts[place:]]
    kind = Kind("number", 2)
    assert of(with_nan, NUMERIC, kind) == of(texts, NUMERIC, kind) + of(["NaN"], NUMERIC, kind)


def test_odd_spellings_of_numbers_count_by_value_beside_one_that_does_not_fit() -> None:
    odd = of(["NaN", "-0.00", "1E+2", "007", "5e-1", "1e40", "-1e-40"], NUMERIC)
    plain = of(["0", "100", "7", "0.5", f"1{'0' * 40}", f"-0.{'0' * 39}1", "nan"], NUMERIC)
    assert odd == plain


def test_text_that_is_no_number_in_a_column_of_numbers_is_told_apart() -> None:
    assert len({of([text], NUMERIC) for text in ("", "oops", "oops ", "0", "NaN")}) == 5


@pytest.mark.parametrize("kind", ["timestamp", "date", "time", "float", "number", "wire numeric", "value"])
def test_a_column_that_fell_back_to_text_is_hashed_as_text(kind: str) -> None:
    text = opaque(pa.string(), "price")
    assert of(["infinity", "1.50"], text, Kind(kind)) == of(["infinity", "1.50"], text)


def test_text_that_is_no_utf8_is_hashed_as_it_is() -> None:
    odd = pa.array([b"\xff", b"\xfe"]).view(pa.string())
    assert fingerprint([odd.slice(0, 1)], [pa.string()]) != fingerprint([odd.slice(1)], [pa.string()])


# -- nested values ---------------------------------------------------------------------------------------


def otherwise_stored(array: pa.Array) -> pa.Array:
    """The same values in other encodings, on every level."""
    if pa.types.is_struct(array.type):
        fields = [otherwise_stored(field) for field in array.flatten()]
        return pa.StructArray.from_arrays(fields, [field.name for field in array.type], mask=array.is_null())
    if pa.types.is_map(array.type):
        return pa.concat_arrays([array.slice(0, 0), array])
    if pa.types.is_list(array.type) or pa.types.is_fixed_size_list(array.type):
        lengths = pc.fill_null(pc.list_value_length(array), 0).cast(pa.int64())
        ends = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths)])
        items = otherwise_stored(array.flatten())
        return pa.LargeListArray.from_arrays(ends, items, mask=array.is_null())
    if pa.types.is_string(array.type):
        return array.dictionary_encode()
    return array


@given(data=st.data(), arrow_type=nested_types())
def test_nested_values_are_the_same_however_they_are_stored_and_cut(
    data: st.DataObject, arrow_type: pa.DataType
) -> None:
    values = data.draw(st.lists(nested_values(arrow_type), max_size=6))
    array = pa.array(values, arrow_type)
    whole = fingerprint([array], [arrow_type])
    padded = pa.concat_arrays([array, array]).slice(len(array))
    cut = [fingerprint([array.slice(row, 1)], [arrow_type]) for row in range(len(array))]
    other = otherwise_stored(array)
    assert whole == fingerprint([padded], [arrow_type]) == sum(cut, Fingerprint())
    assert whole == fingerprint([other], [other.type])


@given(data=st.data(), arrow_type=nested_types())
def test_different_nested_values_hash_differently(data: st.DataObject, arrow_type: pa.DataType) -> None:
    one, other = data.draw(st.tuples(nested_values(arrow_type), nested_values(arrow_type)))
    arrays = [pa.array([value], arrow_type) for value in (one, other)]
    hashes = {fingerprint([array], [arrow_type]) for array in arrays}
    assert (len(hashes) == 1) == arrays[0].equals(arrays[1])


PAIRS = pa.struct([("a", pa.string()), ("b", pa.string())])
SLOTS = pa.struct([("a", pa.int64())])


@pytest.mark.parametrize(
    ("arrow_type", "values"),
    [
        (pa.list_(pa.string()), [["ab", "c"], ["a", "bc"], ["abc"], ["", "abc"], ["abc", ""], ["abc", None]]),
        (
            pa.list_(pa.list_(pa.int64())),
            [[[1], [2]], [[1, 2]], [[1, 2], []], [[1, 2], None], [[]], [None], []],
        ),
        (
            PAIRS,
            [{"a": "x", "b": None}, {"a": None, "b": "x"}, {"a": None, "b": None}, {"a": "", "b": "x"}, None],
        ),
        (pa.list_(SLOTS), [[{"a": None}], [None], [], None, [{"a": 0}]]),
        (
            pa.map_(pa.string(), pa.int64()),
            [[("a", 1), ("b", 2)], [("b", 2), ("a", 1)], [("a", 2), ("b", 1)], []],
        ),
        (pa.list_(pa.timestamp("ns")), [[0, 1], [1, 0], [0, 1_000], [0, None], [None, 0]]),
        (pa.list_(pa.uint64()), [[2**63, 1], [1, 2**63], [2**63 + 1, 1], [None, 1]]),
        (pa.list_(pa.float64()), [[0.0], [float("nan")], [None], [float("inf")]]),
    ],
    ids=str,
)
def test_where_a_nested_values_parts_begin_shows(arrow_type: pa.DataType, values: list[object]) -> None:
    assert len({of([value], arrow_type) for value in values}) == len(values)


def test_what_a_null_list_covers_does_not_show() -> None:
    items, ends = pa.array([1, 2, 3]), pa.array([0, 1, 2, 3], pa.int32())
    covered = pa.ListArray.from_arrays(ends, items, mask=pa.array([False, True, False]))
    assert fingerprint([covered], [covered.type]) == of([[1], None, [3]], pa.list_(pa.int64()))


def test_floats_in_lists_are_compared_by_value() -> None:
    wide, narrow = pa.list_(pa.float64()), pa.list_(pa.float32(), 2)
    assert of([[0.5, -0.0], None], wide) == of([[0.5, 0.0], None], narrow)


# -- kinds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"), [("P1D", "PT24H"), ("P1M", "P30D"), ("PT0S", "PT"), ("PT1S", "1 s")]
)
def test_intervals_that_only_last_as_long_or_spell_none_are_different(one: str, other: str) -> None:
    a, b = (fingerprint([pa.array([text])], [TEXT]) for text in (one, other))
    assert a != b


def test_wire_and_text_of_a_type_are_different_kinds() -> None:
    assert canonical_kind(WIRE) != canonical_kind(TEXT)


def test_wire_bytes_are_one_kind_within_one_type_only() -> None:
    assert canonical_kind(opaque(pa.binary(), "numeric")) != canonical_kind(
        opaque(pa.binary(), "numeric(9,1)")
    )


@pytest.mark.parametrize(
    ("a", "b", "chosen"),
    [
        ([WIRE, TEXT], [WIRE, TEXT], (WIRE, WIRE)),
        ([WIRE, TEXT], [TEXT], (TEXT, TEXT)),
        ([WIRE, TEXT], [pa.duration("ns")], (TEXT, pa.duration("ns"))),
        ([pa.int64()], [pa.decimal128(38, 2)], (pa.int64(), pa.decimal128(38, 2))),
        ([pa.decimal128(38, 2), NUMERIC], [NUMERIC], (pa.decimal128(38, 2), NUMERIC)),
        ([WIRE], [TEXT], None),
        ([pa.float64()], [pa.decimal128(38, 2)], None),
    ],
)
def test_two_sides_are_compared_in_forms_of_one_kind(
    a: list[pa.DataType], b: list[pa.DataType], chosen: tuple[pa.DataType, pa.DataType] | None
) -> None:
    alike = ((one, other) for one in a for other in b if family(one) == family(other))
    assert next(alike, None) == chosen


def family(arrow_type: pa.DataType) -> str:
    return canonical_kind(arrow_type).family


@pytest.mark.parametrize("storage", [pa.int64(), pa.float64(), pa.string(), pa.binary()], ids=str)
def test_another_vendors_own_types_are_what_they_are_stored_as(storage: pa.DataType) -> None:
    assert canonical_kind(pa.opaque(storage, "date", "SQLite")) == canonical_kind(storage)


def test_values_that_arrow_has_no_type_for_are_compared_by_their_sources_text() -> None:
    either = pa.opaque(
        pa.dense_union([pa.field("n", pa.int64()), pa.field("t", pa.string())]), "any", "SQLite"
    )
    tagged = pa.array(["i7", "t37", None])
    assert fingerprint([tagged], [either]) == fingerprint([tagged], [pa.string()])


def test_a_decimal_and_its_text_are_of_one_kind_so_that_a_partition_may_fall_back() -> None:
    assert canonical_kind(pa.decimal128(38, 2)) == canonical_kind(opaque(pa.string(), "numeric(15,2)"))
    assert canonical_kind(pa.decimal128(38, 0)) == canonical_kind(opaque(pa.string(), "numeric(5,-2)"))
