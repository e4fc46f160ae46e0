"""Fingerprints of rows: equal values hash equal, whichever form read them. verify.py compares them.

A fingerprint has two lanes: sums of row hashes under two seeds. The first lane's seed is fixed; this lane is
shown and compares across transfers. Under a seed that is known, rows with a wanted sum are made in seconds;
so the second lane's is secret, and drawn anew for each transfer and each verify. Equal means equal in both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial
from hashlib import blake2b

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.core.plan import ColumnPlan, TablePlan
from arrowsync.core.receipts import Fingerprint
from arrowsync.engine.nested_bytes import nested_bytes
from arrowsync.engine.row_hashes import HALF, Canonical, row_hashes
from arrowsync.types.conversions import same, storage
from arrowsync.types.kinds import encoded
from arrowsync.types.kinds import kind as kind_of

# Stands beside every stored fingerprint: others are recomputed, never compared. Polars promises stable hashes
# within one version only.
ALGORITHM = f"5/polars-{pl.__version__}"

# The first lane's: any number; two sides must share it.
SEED = 0x6172726F7773796E << HALF | 0x66696E6765727072

# How many values are canonicalised and hashed at a time. Whole batches of 38 MiB cost 30 MiB more for a
# moment, pieces of 2^18 2 MiB; smaller ones cost time (2^17: 5 ns a value, 2^18: 4, 2^19: 3.7, whole batches
# 3.3). Polars itself takes 6 MiB when it first hashes.
PIECE_VALUES = 1 << 19
LONG_BYTES = 64 << 10  # of a text or binary value

POSTGRESQL_EPOCH = 946_684_800_000_000  # 2000-01-01 in µs of Unix time
LEAST, MOST = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Kind:
    """As what values are compared. Kinds of one family can be brought to each other's scale, others cannot.

    `scale` is for numbers only: that of the decimals, None for integers.
    """

    family: str
    scale: int | None = None


@lru_cache(maxsize=4_096)  # asked for each column of each batch
def canonical_kind(arrow_type: pa.DataType) -> Kind:
    """The kind of what a form's `arrow` means."""
    name = kind_of(arrow_type)
    if name == "words":
        return _kind_of_words(arrow_type)
    if name == "wire":
        # numeric_send(1.50) has other bytes in numeric and in numeric(9,1)
        return Kind(f"wire {arrow_type.type_name}")
    if name == "decimal":
        return _number_kind((encoded(arrow_type) or arrow_type).scale)
    if name not in _FAMILIES and isinstance(arrow_type, pa.BaseExtensionType):
        return canonical_kind(arrow_type.storage_type)
    return Kind(_FAMILIES.get(name, "value"))


_FAMILIES = {
    **dict.fromkeys(("int", "uint64", "bool", "number"), "number"),
    **dict.fromkeys(("text", "json", "null"), "text"),
    **dict.fromkeys(("bytes", "uuid"), "binary"),
    **dict.fromkeys(("date", "days"), "date"),
    **dict.fromkeys(("time", "micros"), "time"),
    **dict.fromkeys(("timestamp", "timestamptz", "raw", "rawtz"), "timestamp"),
    "float": "float",
    "duration": "duration",
}

_NUMERIC = re.compile(r"(?:numeric|decimal)(?:\((\d+)(?:,\s*(-?\d+))?\))?")
# Types whose text is read back as the value it spells; the text of all others is compared as it is.
_SPELT = {
    "boolean": pa.bool_(),
    **dict.fromkeys(("smallint", "integer", "bigint", "oid", "xid", "cid"), pa.int64()),
    "real": pa.float32(),
    "double precision": pa.float64(),
}


def _kind_of_words(arrow_type: pa.OpaqueType) -> Kind:
    name = arrow_type.type_name
    if numeric := _NUMERIC.fullmatch(name):
        return _number_kind(int(numeric[2] or 0) if numeric[1] else _UNKNOWN_SCALE)
    if name in _SPELT:
        return canonical_kind(_SPELT[name])
    return Kind("duration" if name.startswith("interval") else "text")


_UNKNOWN_SCALE = 18  # numeric without (p,s): leaves 20 digits before the point


def _number_kind(scale: int) -> Kind:
    return Kind("number", min(max(scale, 0), 38))


def of_rows(arrays: Sequence[pa.Array], plan: TablePlan) -> Fingerprint:
    """The fingerprint of decoded columns, each compared as its first form's values."""
    types = [column.route.form.arrow for column in plan.columns]
    kinds = [canonical_kind(column.compared_as) for column in plan.columns]
    return fingerprint(arrays, types, kinds, secret=plan.secret)


def fingerprint(
    arrays: Sequence[pa.Array],
    types: Sequence[pa.DataType],
    kinds: Sequence[Kind] | None = None,
    *,
    secret: int,
) -> Fingerprint:
    """The fingerprint of rows whose columns are `arrays`, meaning `types`, compared as `kinds`.

    Equal values in the same places give the same, however they are batched, sliced or stored; names do not
    count. `secret` is the second lane's seed, 128 bits. Nanoseconds a value (2 of them for that lane):
    integers, decimals and dates 4 – 5, floats and timestamps 4 – 7, text and uuid 9 – 11; numbers as text 30,
    decimals of another scale 50, but 250 – 650 near one that does not fit (NaN); intervals as text 1,300.
    """
    rows = len(arrays[0]) if arrays else 0
    first = second = 0
    for piece in _pieces(arrays, types, kinds or [None] * len(arrays)):
        shown, hidden = row_hashes(piece, (SEED, secret))
        first, second = first + int(shown.sum()), second + int(hidden.sum())
    return Fingerprint(rows, first % 2**64, second % 2**64)


def secret_hashes(arrays: Sequence[pa.Array], columns: Sequence[ColumnPlan], secret: int) -> pl.Series:
    """The hash of each row in the second lane, 64 bits."""
    types = [column.route.form.arrow for column in columns]
    kinds = [canonical_kind(column.compared_as) for column in columns]
    pieces = (row_hashes(piece, (secret,))[0] for piece in _pieces(arrays, types, kinds))
    return pl.concat([pl.Series(dtype=pl.UInt64), *pieces])


def _pieces(
    arrays: Sequence[pa.Array], types: Sequence[pa.DataType], kinds: Sequence[Kind | None]
) -> Iterator[list[Canonical]]:
    rows = len(arrays[0]) if arrays else 0
    pieces = math.ceil(rows / max(1_024, PIECE_VALUES // max(1, len(arrays))))
    step = math.ceil(rows / max(1, pieces))
    for start in range(0, rows, step or 1):
        yield [
            canonical(array.slice(start, step), arrow_type, kind)
            for array, arrow_type, kind in zip(arrays, types, kinds, strict=True)
        ]


def canonical(array: pa.Array, arrow_type: pa.DataType, kind: Kind | None = None) -> Canonical:
    """Equal values as equal bits: int64, float64, decimal128(38, scale), int32 days or binary.

    What these cannot hold stands apart. Values of another family than `kind`'s, from a column that fell back
    to text, stay as they are: they compare with nothing.
    """
    own = canonical_kind(arrow_type)
    kind = own if kind is None or kind.family != own.family else kind
    array = storage(array)
    if kind_of(arrow_type) == "words":
        array = array.cast(_SPELT.get(arrow_type.type_name, array.type))
    match kind.family:
        case "number":
            return _number(array, kind.scale)
        case "float":
            return Canonical(_float(array))
        case "timestamp":
            return _timestamp(array)
        case "date":
            return Canonical(
                array.cast(pa.date32()).view(pa.int32()) if pa.types.is_date(array.type) else array
            )
        case "time":
            return _micros(array)
        case "duration":
            return _interval(array)
        case "value":
            return _value(array)
        case _:
            return _bytes(array)


def _kept_apart(fits: pa.BooleanArray, values: pa.Array, others: pa.Array) -> Canonical:
    """The values where they fit, apart the others, which are text or bytes."""
    apart = pc.if_else(fits, same(None, others), others).cast(pa.binary())
    return Canonical(pc.if_else(fits, values, same(None, values)), apart)


def _bytes(array: pa.Array) -> Canonical:
    # Text as its bytes: Polars would check each value's UTF-8, and SQLite's need not be any.
    return _digested(array.cast(pa.large_binary() if pa.types.is_large_string(array.type) else pa.binary()))


def _digested(array: pa.Array) -> Canonical:
    """Long values as their BLAKE2 digests: Polars took four times a value's size to hash it, and kept it."""
    if array.nbytes <= LONG_BYTES:
        return Canonical(array)
    lengths = pc.binary_length(array)
    if (pc.max(lengths).as_py() or 0) <= LONG_BYTES:
        return Canonical(array)
    long = pc.fill_null(pc.greater(lengths, same(LONG_BYTES, lengths)), False)
    places = pc.indices_nonzero(long)
    digests = [blake2b(array[at].as_buffer(), digest_size=32).digest() for at in places.to_pylist()]
    # Not if_else, which makes room for all that it leaves out.
    rows = pl.int_range(len(array), eager=True).to_arrow()
    nth = pc.subtract(pc.cumulative_sum(long.cast(pa.int64())), pa.scalar(1))
    nothing = same(None, rows)
    return Canonical(
        array.take(pc.if_else(long, nothing, rows)),
        pa.array(digests, pa.binary()).take(pc.if_else(long, nth, nothing)),
    )


def _float(array: pa.Array) -> pa.Array:
    array = array.cast(pa.float64())
    array = pc.add(array, same(0.0, array))  # -0.0 + 0.0 is 0.0
    return pc.if_else(pc.is_nan(array), same(float("nan"), array), array)


def _timestamp(array: pa.Array) -> Canonical:
    if pa.types.is_timestamp(array.type):
        return _micros(array)
    # PostgreSQL's own numbers. The driver's timestamps wrap where these do; the infinities stay themselves.
    infinite = pc.or_(pc.equal(array, same(LEAST, array)), pc.equal(array, same(MOST, array)))
    return Canonical(pc.if_else(infinite, array, pc.add(array, same(POSTGRESQL_EPOCH, array))))


_PER_MICROSECOND = {"s": 1_000_000, "ms": 1_000}


def _micros(array: pa.Array) -> Canonical:
    """µs as int64; apart, as text, ns that are no whole µs and what lies beyond the year 294247."""
    unit = getattr(array.type, "unit", "us")
    numbers = array.view(pa.int32() if array.type.bit_width == 32 else pa.int64()).cast(pa.int64())
    if unit == "ns":
        thousand = same(1_000, numbers)
        whole = pc.divide(numbers, thousand)
        fits = pc.equal(pc.multiply(whole, thousand), numbers)
        exact = partial(_decimal, numbers, 3)
    elif unit in _PER_MICROSECOND:
        factor = _PER_MICROSECOND[unit]
        whole = pc.multiply(numbers, same(factor, numbers))
        fits = pc.equal(pc.divide(whole, same(factor, whole)), numbers)
        exact = partial(_decimal, numbers, 0, factor)
    else:
        return Canonical(numbers)
    if pc.all(fits).as_py() is not False:
        return Canonical(whole)
    return _kept_apart(fits, whole, exact().cast(pa.string()))


def _decimal(numbers: pa.Array, scale: int, factor: int = 1) -> pa.Array:
    """The integers times the factor, with the last `scale` digits behind the point."""
    exact = pc.multiply(numbers.cast(pa.decimal128(19, 0)), pa.scalar(Decimal(factor), pa.decimal128(7, 0)))
    return exact.cast(pa.decimal128(38, 0)).view(pa.decimal128(38, scale))


def _value(array: pa.Array) -> Canonical:
    """Lists, structs and maps, each leaf as `canonical` has it, and Arrow's intervals."""
    if pa.types.is_interval(array.type):
        sixteen = pa.binary(array.type.bit_width // 8)
        return _bytes(pa.Array.from_buffers(sixteen, len(array), array.buffers(), offset=array.offset))
    if pa.types.is_string(array.type):
        return _bytes(array)  # a source's own text of values that Arrow has no type for
    return _digested(nested_bytes(array, lambda leaf: canonical(leaf, leaf.type)))


_NUMBER = "-?[0-9]{1,10}"
_ISO_8601 = (
    f"^P(?:(?P<years>{_NUMBER})Y)?(?:(?P<months>{_NUMBER})M)?(?:(?P<days>{_NUMBER})D)?"
    f"(?:T(?:(?P<hours>{_NUMBER})H)?(?:(?P<minutes>{_NUMBER})M)?"
    "(?:(?P<seconds>-?[0-9]{1,13}(?:\\.[0-9]{1,6})?)S)?)?$"
)


def _interval(array: pa.Array) -> Canonical:
    """Months, days and µs as text, of a duration the µs alone; apart a text that spells none.

    However it is spelt: P14M is P1Y2M, and PT-1.500000S is PT-1.5S. A day is not 24 hours.
    """
    if not pa.types.is_string(array.type):
        micros, apart = _micros(array)
        return Canonical(micros.cast(pa.string()).cast(pa.binary()), apart)
    parts = pc.extract_regex(array, _ISO_8601)
    years, months, days, hours, minutes, seconds = (
        pc.if_else(pc.equal(part, same("", part)), same("0", part), part) for part in parts.flatten()
    )
    months, days = _weighted((years, 12), (months, 1)), _weighted((days, 1))
    clock = pc.cast(_weighted((hours, 3_600), (minutes, 60)), pa.decimal128(19, 0))
    clock = pc.add(clock, pc.cast(seconds, pa.decimal128(20, 6)))
    micros = pc.multiply(clock, pa.scalar(Decimal(1_000_000), pa.decimal128(7, 0)))
    micros = pc.cast(pc.cast(micros, pa.decimal128(38, 0)), pa.string())
    is_clock = pc.equal(pc.bit_wise_or(months, days), same(0, days))
    whole = pc.binary_join_element_wise(
        months.cast(pa.string()), days.cast(pa.string()), micros, same(" ", micros)
    )
    spelt = pc.if_else(is_clock, micros, whole)
    spells = pc.and_not(parts.is_valid(), pc.match_substring_regex(array, "[PT]$"))
    return _kept_apart(spells, spelt.cast(pa.binary()), array)


def _weighted(*numbers: tuple[pa.Array, int]) -> pa.Array:
    products = [
        pc.multiply(texts.cast(pa.int64()), pa.scalar(weight, pa.int64())) for texts, weight in numbers
    ]
    return products[0] if len(products) == 1 else pc.add(*products)


# -- numbers ---------------------------------------------------------------------------------------------


def _number(array: pa.Array, scale: int | None) -> Canonical:
    """int64, or decimal128 of that scale; by value, whatever the array's own type and scale."""
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int64())
    if pa.types.is_decimal128(array.type) and array.type.scale == scale:
        return Canonical(array)  # Polars hashes the number, whatever its precision
    try:
        if scale is None:
            return Canonical(array.cast(pa.int64()))
        if _is_short(array, scale):
            return Canonical(array.cast(pa.decimal128(38, scale)))  # 26 ns
        # Through decimal256 (50 ns): pyarrow 26 casts text and decimals to decimal128 without noticing that
        # a higher scale overflows; '3e30' becomes 5515171095741521522303454600.4397391872.
        return Canonical(array.cast(pa.decimal256(76, scale)).cast(pa.decimal128(38, scale)))
    except pa.ArrowInvalid:  # some value does not fit: NaN, more digits, another scale
        return _number_or_digits(_digits(array), scale)


def _is_short(array: pa.Array, scale: int) -> bool:
    """Whether these are texts of numbers that decimal128 holds at that scale, whatever their digits."""
    if not pa.types.is_string(array.type):
        return False
    longest = pc.max(pc.binary_length(array)).as_py()
    if longest is None or longest + scale > 38:
        return longest is None
    _, offsets, data = array.buffers()
    ends = memoryview(offsets).cast("i")
    text = data[ends[array.offset] : ends[array.offset + len(array)]].to_pybytes()
    return b"e" not in text and b"E" not in text  # 0.1 ns a byte; an exponent makes any number long


def _number_or_digits(digits: pa.Array, scale: int | None) -> Canonical:
    """What fits as its number, apart the rest as digits: by value, so that batching changes nothing."""
    before = 38 - (scale or 0)
    whole = f"(0|[1-9][0-9]{{0,{before - 1}}})" if before else "0"
    pattern = f"^-?{whole}(\\.[0-9]{{1,{scale}}})?$" if scale else f"^-?{whole}$"
    fits = pc.match_substring_regex(digits, pattern)
    numbers = pc.if_else(fits, digits, same(None, digits)).cast(pa.decimal128(38, scale or 0))
    if scale is None:
        least, most = same(Decimal(LEAST), numbers), same(Decimal(MOST), numbers)
        fits = pc.and_(pc.greater_equal(numbers, least), pc.less_equal(numbers, most))
        numbers = pc.if_else(fits, numbers, same(None, numbers)).cast(pa.int64())
    return _kept_apart(numbers.is_valid(), numbers, digits)


_CANONICAL_DIGITS = r"^(0|-?[1-9][0-9]*|-?(0|[1-9][0-9]*)\.[0-9]*[1-9])$"


def _digits(array: pa.Array) -> pa.Array:
    """Numbers as text: no exponent, no zeros in front or at the end; NaN, Infinity, -Infinity."""
    text = array.cast(pa.string())
    fractions = pc.match_substring_regex(text, r"^-?[0-9]+\.[0-9]+$")
    text = pc.if_else(fractions, pc.ascii_rtrim(pc.ascii_rtrim(text, "0"), "."), text)
    odd = pc.invert(pc.match_substring_regex(text, _CANONICAL_DIGITS))
    if not pc.any(odd).as_py():
        return text
    return pc.replace_with_mask(text, odd, pa.array(map(_spell, text.filter(odd).to_pylist()), pa.string()))


def _spell(text: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if not number.is_finite():
        return str(number)
    digits = f"{number:f}"
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return "0" if digits == "-0" else digits
