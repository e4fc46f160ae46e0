"""Exact conversions of numbers and texts, shared by the dialects; which column takes which is theirs to say.

Every function is vectorised over the usual values and raises Refused or pa.ArrowInvalid where a value would
change. Dates and times are in temporal.py, a user's casts in casts.py.
"""

from __future__ import annotations

import re
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.core.plan import Convert
from arrowsync.errors import DataError, Refused

SHORT = 4 << 20  # bytes of a column that may be looked at in one piece; with long rows a copy would count


def storage(array: pa.Array) -> pa.Array:
    """The plain array of an extension array, a dictionary's or of runs; any other as it is."""
    if pa.types.is_dictionary(array.type):
        if pa.types.is_string_view(array.type.value_type):
            # Arrow decodes no dictionary of string views, which is what polars makes of its categories.
            texts = pc.cast(array.dictionary, pa.string())
            array = pa.DictionaryArray.from_arrays(array.indices, texts)
        return array.dictionary_decode()
    if pa.types.is_run_end_encoded(array.type):
        return pc.run_end_decode(array)
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def same(value: object, array: pa.Array) -> pa.Scalar:
    """The value as a scalar of the array's type: kernels get no other.

    To guess the type of a bare value pyarrow looks for dateutil, each time anew where it is not installed:
    34 µs, three kernels' time on a batch, and 0.7 of the 4.7 s of a copy of texts.
    """
    return pa.scalar(value, array.type)


def all_true(mask: pa.Array) -> bool:
    """Whether nothing is false; nulls count as true."""
    return bool(pc.all(mask, min_count=0).as_py())


def refuse_unless(mask: pa.Array, array: pa.Array, what: str) -> None:
    """Raise Refused with the first value whose mask is false."""
    if not all_true(mask):
        first = array.filter(pc.invert(mask))[:1]
        raise Refused(f"{utf8(first)[0].as_py()!r} {what}")


def within(array: pa.Array, low: int, high: int) -> bool:
    """Whether every integer lies in low..high."""
    ends = pc.min_max(array)
    least, most = ends["min"].as_py(), ends["max"].as_py()
    return least is None or (low <= least and most <= high)


# -- numbers -----------------------------------------------------------------------------------------------


def to_integer(array: pa.Array, *, type: pa.DataType) -> pa.Array:
    """A narrower or wider integer; refuses what does not fit."""
    return pc.cast(array, type)


def to_bool(array: pa.Array) -> pa.Array:
    """0 and 1; a plain cast would make 2 true."""
    if not within(array, 0, 1):
        raise Refused("a number other than 0 and 1 is no boolean")
    return pc.cast(array, pa.bool_())


def oid_to_number(array: pa.Array) -> pa.Array:
    """The driver's int32 of an oid as 0..4294967295."""
    return pc.cast(array.view(pa.uint32()), pa.int64())


def number_to_oid(array: pa.Array) -> pa.Array:
    return pc.cast(array, pa.uint32()).view(pa.int32())


def text_to_cents(array: pa.Array) -> pa.Array:
    """PostgreSQL's text of money, -$1,234.50 under lc_monetary C, as its own number."""
    refuse_unless(
        pc.match_substring_regex(array, r"^-?\$[0-9]{1,3}(,[0-9]{3})*\.[0-9]{2}$"), array, "is no money"
    )
    return pc.cast(pc.replace_substring_regex(array, r"[$,.]", ""), pa.int64())


def text_to_decimal(array: pa.Array, *, precision: int, scale: int) -> pa.Array:
    """A decimal; refuses NaN, infinity and digits beyond precision or scale."""
    return to_scale(array, pa.decimal128(precision, scale))


def to_scale(array: pa.Array, type: pa.DataType) -> pa.Array:
    """Integers, text or decimals as decimals of another scale; refuses those that do not fit.

    By way of 256 bits, 14 ns a value: where 128 do not hold a number that is scaled up, pyarrow wraps it
    without a word ('3e30' as decimal128(38, 10) is 5515171095741521522303454600.4397391872).
    """
    if pa.types.is_integer(array.type):
        # Straight away Arrow asks for room for 19 digits, whatever the values.
        array = pc.cast(array, pa.decimal128(20, 0))
    if pa.types.is_string(array.type) or type.precision > 38:
        _refuse_beyond_256_bits(array, scale=type.scale)
    return pc.cast(pc.cast(array, pa.decimal256(76, type.scale)), type)


def _refuse_beyond_256_bits(array: pa.Array, *, scale: int) -> None:
    """256 bits wrap as well: a text's exponent alone may pass them."""
    numbers = pc.cast(pc.ascii_ltrim(array, "+") if pa.types.is_string(array.type) else array, pa.float64())
    most = 1.1 * 10.0 ** (76 - max(scale, 0))  # doubles are inexact; 256 bits hold 5.7e76
    refuse_unless(pc.less(pc.abs(numbers), same(most, numbers)), array, "has too many digits")


def digits_to_decimal(array: pa.Array, *, precision: int, scale: int) -> pa.Array:
    """A decimal of text that has `scale` digits after the point, as numeric(precision,scale) is printed."""
    return pc.cast(array, pa.decimal128(precision, scale))


def decimal_to_text(array: pa.Array) -> pa.Array:
    """All digits, the trailing zeros too, and no exponent."""
    text = pc.cast(array, pa.string())
    small = mask(pc.match_substring(text, "E"))  # Arrow prints 0.0000001 as 1E-7
    if not pc.any(small).as_py():
        return text
    return pc.replace_with_mask(text, small, texts(f"{Decimal(t):f}" for t in text.filter(small).to_pylist()))


def decimal_to_integer(array: pa.Array) -> pa.Array:
    """The number that a decimal is without its point: 1234 for 12.34. Refuses what 64 bits do not hold."""
    return pc.cast(_point_moved(array, pa.decimal128(38, 0)), pa.int64())


def decimal_to_double(array: pa.Array) -> pa.Array:
    """The nearest doubles, 3 ns a value; refuses more than the fifteen digits that a double keeps."""
    whole = decimal_to_integer(array)
    if not within(whole, 1 - 10**15, 10**15 - 1):
        raise Refused("more than the fifteen digits that a double keeps")
    # Both are exact, so the quotient is rounded once: pyarrow's own cast may be one off.
    numbers = pc.cast(whole, pa.float64())
    return pc.divide(numbers, same(10.0**array.type.scale, numbers))


def double_to_decimal(array: pa.Array, *, precision: int, scale: int) -> pa.Array:
    """The decimal(precision <= 15, scale) whose nearest double each value is; refuses all others.

    Fifteen digits survive a double, so the answer is the only one; a plain cast rounds 0.129 to 0.13.
    """
    shift = same(10.0**scale, array)
    whole = pc.round(pc.multiply(array, shift))
    near = pc.equal(pc.divide(whole, shift), array)
    exact = pc.and_(near, pc.less(pc.abs(whole), same(10.0**precision, whole)))
    refuse_unless(exact, array, f"is no numeric({precision},{scale})")
    return rescale(pc.cast(whole, pa.int64()), precision=precision, scale=scale)


def rescale(array: pa.Array, *, precision: int, scale: int) -> pa.Array:
    """Integers of at most `precision` digits read as decimals of that scale: 1234 and scale 2 are 12.34."""
    return _point_moved(pc.cast(array, pa.decimal128(19, 0)), pa.decimal128(precision, scale))


def _point_moved(array: pa.Array, type: pa.DataType) -> pa.Array:
    """The same buffers under another decimal type: no kernel moves the point without multiplying."""
    return pa.Array.from_buffers(type, len(array), array.buffers(), array.null_count, array.offset)


def to_float32(array: pa.Array) -> pa.Array:
    """Doubles that are float32 values."""
    narrow = pc.cast(array, pa.float32())
    same = pc.or_(pc.equal(pc.cast(narrow, pa.float64()), array), pc.is_nan(array))
    refuse_unless(same, array, "is no float32")
    return narrow


def ordinary_double(array: pa.Array) -> pa.Array:
    """Floats without NaN and −0.0, which SQLite would turn into NULL and 0.0; infinity passes."""
    wide = pc.cast(array, pa.float64())
    if pc.any(pc.is_nan(wide)).as_py():
        raise Refused("NaN is no number in SQLite")
    # −0.0 is the one double whose bits are int64's least value.
    if pc.min(wide.view(pa.int64())).as_py() == -(2**63):
        raise Refused("−0.0 becomes 0.0 in SQLite")
    return wide


def double_to_text(array: pa.Array) -> pa.Array:
    """The shortest text that reads back as the same double: nan, inf, -inf and -0 among them."""
    return pc.cast(pc.cast(array, pa.float64()), pa.string())


def text_to_double(array: pa.Array) -> pa.Array:
    """Doubles from text, words for NaN and infinity among it; refuses 1e400, to Arrow an infinity."""
    numbers = pc.cast(array, pa.float64())
    infinite = pc.is_inf(numbers)
    if pc.any(infinite).as_py():
        worded = pc.match_substring(array, "inf", ignore_case=True)
        refuse_unless(pc.or_(worded, pc.invert(infinite)), array, "is beyond a double")
    return numbers


def in_turn(array: pa.Array, *, first: Convert, then: Convert) -> pa.Array:
    """One conversion after another, as one that can be pickled."""
    return then(first(array))


# -- text and bytes ----------------------------------------------------------------------------------------


_DASHES = (8, 13, 18, 23)
_DIGITS = tuple(at for at in range(36) if at not in _DASHES)


def uuid_to_text(array: pa.Array) -> pa.Array:
    """Sixteen bytes as 8-4-4-4-12 lower-case hexadecimal digits."""
    array = pc.cast(storage(array), pa.binary(16))
    count, data = len(array), array.buffers()[1]
    if not count or data is None:
        return pa.nulls(count, pa.string())
    digits = data[array.offset * 16 : (array.offset + count) * 16].to_pybytes().hex().encode()
    text = bytearray(b"-" * 36 * count)
    for number, at in enumerate(_DIGITS):  # strides of bytes: 90 ns a value, Arrow's slices took 400
        text[at::36] = digits[number::32]
    whole = pa.Array.from_buffers(pa.binary(36), count, [None, pa.py_buffer(text)])
    return pc.if_else(array.is_valid(), pc.cast(whole, pa.string()), pa.scalar(None, pa.string()))


def text_to_uuid(array: pa.Array) -> pa.Array:
    """The inverse of uuid_to_text; refuses every other spelling, capitals too."""
    count = len(array)
    try:
        whole = pc.cast(pc.fill_null(array, "00000000-0000-0000-0000-000000000000"), pa.binary(36))
        text = whole.buffers()[1][: 36 * count].to_pybytes() if count else b""
        digits = text.translate(None, b"-")
        data = bytes.fromhex(digits.decode("ascii"))
    except ValueError:  # also ArrowInvalid, for another length
        raise Refused("a text that is no uuid") from None
    dashes = all(text[at::36] == b"-" * count for at in _DASHES)
    if not dashes or len(data) != 16 * count or text != text.lower():  # fromhex passes over spaces
        raise Refused("a text that is no uuid as PostgreSQL spells it")
    plain = pa.Array.from_buffers(pa.binary(16), count, [None, pa.py_buffer(data)])
    return pc.if_else(array.is_valid(), plain, pa.scalar(None, pa.binary(16)))


def bytes_to_uuid(array: pa.Array) -> pa.Array:
    """Sixteen bytes each, which is how a uuid is stored."""
    try:
        return pc.cast(array, pa.binary(16))
    except pa.ArrowInvalid:
        raise Refused("bytes that are no uuid: it has 16") from None


def utf8(array: pa.Array) -> pa.Array:
    """Text that is UTF-8; SQLite stores any bytes as text."""
    if not _is_plainly_utf8(array):
        try:
            array.validate(full=True)
        except pa.ArrowInvalid as error:
            raise Refused("a text that is not UTF-8") from error
    return array


def _is_plainly_utf8(array: pa.Array) -> bool:
    """Whether all the texts one after another are UTF-8, and none begins inside a character.

    Not where a NULL covers other bytes, or the texts are long. 0.04 ns a byte of ASCII and 0.2 of other text,
    where validate() takes 0.2 and 1.3.
    """
    if not pa.types.is_string(array.type) or (text := _bytes_of(array)).size > SHORT:
        return False
    if text.to_pybytes().isascii():
        return True
    whole = pa.Array.from_buffers(
        pa.binary(), 1, [None, pa.array([0, text.size], pa.int32()).buffers()[1], text]
    )
    try:
        pl.Series(whole).cast(pl.String)
    except pl.exceptions.PolarsError:
        return False
    ends = pc.subtract(_ends(array), _ends(array)[0])
    inside = ends.filter(pc.less(ends, same(text.size, ends)))
    begin = pa.Array.from_buffers(pa.uint8(), text.size, [None, text]).take(inside)
    continued = pc.and_(pc.greater_equal(begin, same(0x80, begin)), pc.less(begin, same(0xC0, begin)))
    return not pc.any(continued).as_py()


def _ends(array: pa.Array) -> pa.Array:
    """Where the first text begins, and where each ends."""
    return pa.Array.from_buffers(pa.int32(), len(array) + 1, [None, array.buffers()[1]], offset=array.offset)


def _bytes_of(array: pa.Array) -> pa.Buffer:
    """The bytes of all texts; what a NULL covers may be anything."""
    data = array.buffers()[2]
    if data is None or not len(array):
        return pa.py_buffer(b"")
    ends = _ends(array)
    return data[ends[0].as_py() : ends[-1].as_py()]


def without_nul(array: pa.Array, *, column: str) -> pa.Array:
    """Text that PostgreSQL can store. Raises DataError: no other form would help the row."""
    if holds_nul(array):
        message = "a text holds U+0000, which PostgreSQL cannot store"
        raise DataError(message, column=column, sqlstate="22021", hint="See nul=")
    return array


def strip_nul(array: pa.Array) -> pa.Array:
    return pc.replace_substring(array, "\0", "") if holds_nul(array) else array


_NUL = re.compile(b"\0")


def holds_nul(array: pa.Array) -> bool:
    """Whether any text has a U+0000, which is a byte of no other character."""
    if pa.types.is_string(array.type):
        # All bytes at once, in C: 0.1 ns a byte; value by value they took 1.2.
        text = _bytes_of(array)
        found = _NUL.search(memoryview(text)) if text.size > SHORT else b"\0" in text.to_pybytes()
        if not found:
            return False
    # What a NULL covers may be anything.
    return bool(pc.any(pc.match_substring(array, "\0")).as_py())


# -- shared ------------------------------------------------------------------------------------------------


def mask(found: pa.Array) -> pa.Array:
    return pc.fill_null(found, False)


def outside(array: pa.Array, low: int, high: int) -> pa.Array:
    return mask(pc.or_(pc.less(array, same(low, array)), pc.greater(array, same(high, array))))


def texts(values: object) -> pa.Array:
    return pa.array(values, pa.string())
