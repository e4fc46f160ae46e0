"""Exact conversions of Arrow arrays, shared by the dialects; which column takes which is theirs to say.

Every function is vectorised over the usual values and raises Refused or pa.ArrowInvalid where a value would
change. `raw` is PostgreSQL's own count of microseconds since 2000-01-01 (infinity: int64's limits), `days`
its driver's count since 1970-01-01, `micros` the microseconds since midnight, 24:00 among them.
"""

from __future__ import annotations

import re
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.core.plan import Convert
from arrowsync.errors import DataError, Refused

INFINITY = 2**63 - 1
MINUS_INFINITY = -(2**63)
DATE_INFINITY = -2_147_472_692  # what the driver's shift from 2000 to 1970 makes of PostgreSQL's int32 limits
DATE_MINUS_INFINITY = -2_147_472_691
DAY = 86_400_000_000  # microseconds
SHORT = 4 << 20  # bytes of a column that may be looked at in one piece; with long rows a copy would count
RAW_EPOCH = 946_684_800_000_000  # 2000-01-01 in microseconds since 1970-01-01

FIRST_DAY, LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31: what Arrow's kernels read and write
FIRST_RAW, LAST_RAW = FIRST_DAY * DAY - RAW_EPOCH, (LAST_DAY + 1) * DAY - 1 - RAW_EPOCH


def storage(array: pa.Array) -> pa.Array:
    """The plain array of an extension array, a dictionary's or of runs; any other as it is."""
    if pa.types.is_dictionary(array.type):
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


# -- timestamps --------------------------------------------------------------------------------------------


def timestamp_to_raw(array: pa.Array) -> pa.Array:
    """The PostgreSQL driver's timestamps as PostgreSQL's own numbers; undoes the driver's wraps.

    Only for what that driver read: a foreign value near the limits would come out as another time.
    """
    return pc.subtract(array.view(pa.int64()), pa.scalar(RAW_EPOCH, pa.int64()))


def raw_to_timestamp(array: pa.Array, *, zone: str | None = None) -> pa.Array:
    """Arrow timestamps; refuses infinities and years past 294246."""
    if not within(array, MINUS_INFINITY + 1, INFINITY - RAW_EPOCH):
        raise Refused("infinity or a year past 294246 is no Arrow timestamp")
    return pc.add(array, pa.scalar(RAW_EPOCH, pa.int64())).view(pa.timestamp("us", zone))


def plain_timestamp_to_raw(array: pa.Array) -> pa.Array:
    """Anybody's timestamps of any unit; refuses a lost fraction and what PostgreSQL has no number for."""
    micros = pc.cast(array, pa.timestamp("us", array.type.tz)).view(pa.int64())
    raw = pc.subtract_checked(micros, pa.scalar(RAW_EPOCH, pa.int64()))
    if not within(raw, MINUS_INFINITY + 1, INFINITY - 1):
        raise Refused("a timestamp that PostgreSQL keeps for infinity")
    return raw


def raw_to_text(array: pa.Array, *, zone: str = "") -> pa.Array:
    """2024-01-31 12:00:00.000000 with `zone` ("" or "Z") behind it; BC, far years and infinity in words."""
    if within(array, FIRST_RAW, LAST_RAW):
        return _near_raw_to_text(array, zone)
    odd = _outside(array, FIRST_RAW, LAST_RAW)
    text = _near_raw_to_text(pc.if_else(odd, pa.scalar(0, pa.int64()), array), zone)
    return pc.replace_with_mask(text, odd, _texts(_odd_raw(v, zone) for v in array.filter(odd).to_pylist()))


def text_to_raw(array: pa.Array, *, zone: str = "") -> pa.Array:
    """The inverse of raw_to_text; also takes what Arrow's strict cast takes."""
    stamp = pa.timestamp("us", "UTC" if zone else None)
    try:
        raw = timestamp_to_raw(pc.cast(array, stamp))
        if within(raw, FIRST_RAW, LAST_RAW):  # Arrow also reads year 0000, which is no year here
            return raw
    except pa.ArrowInvalid:
        pass
    lengths = pc.utf8_length(array)
    odd = _mask(pc.not_equal(lengths, same(26 + len(zone), lengths)))
    near = timestamp_to_raw(pc.cast(pc.if_else(odd, pa.scalar(None, pa.string()), array), stamp))
    if not within(near, FIRST_RAW, LAST_RAW):
        raise Refused("a timestamp in year 0000")
    far = [_parse_raw(text) for text in utf8(array.filter(odd)).to_pylist()]
    return pc.replace_with_mask(near, odd, pa.array(far, pa.int64()))


def _near_raw_to_text(array: pa.Array, zone: str) -> pa.Array:
    # Cast as naive: Arrow takes 886 ns to print a timestamp with a zone, 28 ns without.
    text = pc.cast(pc.add(array, pa.scalar(RAW_EPOCH, pa.int64())).view(pa.timestamp("us")), pa.string())
    return pc.binary_join_element_wise(text, same(zone, text), same("", text)) if zone else text


def _odd_raw(raw: int, zone: str) -> str:
    if raw in (INFINITY, MINUS_INFINITY):
        return "infinity" if raw > 0 else "-infinity"
    days, micros = divmod(raw + RAW_EPOCH, DAY)
    return _odd_date(days, f" {_clock(micros)}", zone)


def _parse_raw(text: str) -> int:
    if text in ("infinity", "-infinity"):
        return INFINITY if text == "infinity" else MINUS_INFINITY
    match = _ODD.fullmatch(text)
    if match is None or match["clock"] is None:
        raise Refused(f"{text!r} is no timestamp")
    hour, minute, second, micro = (int(match[part]) for part in ("hour", "minute", "second", "micro"))
    raw = _parse_days(match) * DAY + ((hour * 60 + minute) * 60 + second) * 1_000_000 + micro - RAW_EPOCH
    if hour > 23 or minute > 59 or second > 59 or not MINUS_INFINITY < raw < INFINITY:
        raise Refused(f"{text!r} is no timestamp")
    return raw


# -- dates -------------------------------------------------------------------------------------------------


def date_to_days(array: pa.Array) -> pa.Array:
    return array.view(pa.int32())


def days_to_date(array: pa.Array) -> pa.Array:
    """Arrow dates; refuses infinities. Years outside 0001..9999 stay what they are."""
    if not within(array, DATE_MINUS_INFINITY + 1, 2**31 - 1):
        raise Refused("an infinite date is no Arrow date")
    return array.view(pa.date32())


def days_to_text(array: pa.Array) -> pa.Array:
    """2024-01-31; BC, far years and infinity in words."""
    if within(array, FIRST_DAY, LAST_DAY):
        return pc.cast(array.view(pa.date32()), pa.string())
    odd = _outside(array, FIRST_DAY, LAST_DAY)
    text = pc.cast(pc.if_else(odd, pa.scalar(0, pa.int32()), array).view(pa.date32()), pa.string())
    return pc.replace_with_mask(text, odd, _texts(_odd_day(v) for v in array.filter(odd).to_pylist()))


def text_to_days(array: pa.Array) -> pa.Array:
    """The inverse of days_to_text."""
    try:
        days = pc.cast(array, pa.date32()).view(pa.int32())
        if within(days, FIRST_DAY, LAST_DAY):
            return days
    except pa.ArrowInvalid:
        pass
    lengths = pc.utf8_length(array)
    odd = _mask(pc.not_equal(lengths, same(10, lengths)))
    near = pc.cast(pc.if_else(odd, pa.scalar(None, pa.string()), array), pa.date32()).view(pa.int32())
    if not within(near, FIRST_DAY, LAST_DAY):
        raise Refused("a date in year 0000")
    far = [_parse_day(text) for text in utf8(array.filter(odd)).to_pylist()]
    return pc.replace_with_mask(near, odd, pa.array(far, pa.int32()))


def _odd_day(days: int) -> str:
    names = {DATE_INFINITY: "infinity", DATE_MINUS_INFINITY: "-infinity"}
    return names.get(days) or _odd_date(days, "", "")


def _parse_day(text: str) -> int:
    names = {"infinity": DATE_INFINITY, "-infinity": DATE_MINUS_INFINITY}
    if text in names:
        return names[text]
    match = _ODD.fullmatch(text)
    if match is None or match["clock"] is not None:
        raise Refused(f"{text!r} is no date")
    return _parse_days(match)


# What PostgreSQL prints for years outside 0001..9999: at least four digits, BC at the end, a zone before it.
_ODD = re.compile(
    r"(?P<year>\d{4,7})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?P<clock> (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)\.(?P<micro>\d{6})(Z|\+00(?= BC))?)?"
    r"(?P<bc> BC)?"
)


def _odd_date(days: int, clock: str, zone: str) -> str:
    year, month, day = _civil(days)
    bc = year < 1
    zone = "+00" if zone and bc else zone
    return f"{1 - year if bc else year:04d}-{month:02d}-{day:02d}{clock}{zone}{' BC' if bc else ''}"


def _parse_days(match: re.Match[str]) -> int:
    written, month, day = int(match["year"]), int(match["month"]), int(match["day"])
    year = 1 - written if match["bc"] else written
    days = _days(year, month, day) if 1 <= month <= 12 else 0
    if written == 0 or _civil(days) != (year, month, day):
        raise Refused(f"{match[0]!r} is no date")
    return days


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of the proleptic Gregorian calendar, whose years begin in March here."""
    era, day_of_era = divmod(days + 719_468, 146_097)
    year = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return era * 400 + year + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def _days(year: int, month: int, day: int) -> int:
    era, year_of_era = divmod(year - (month <= 2), 400)
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - 719_468


# -- times of day ------------------------------------------------------------------------------------------


def time_to_micros(array: pa.Array) -> pa.Array:
    """Times of any unit as microseconds since midnight; refuses a lost fraction."""
    return pc.cast(array, pa.time64("us")).view(pa.int64())


def micros_to_time(array: pa.Array) -> pa.Array:
    """Arrow times; refuses 24:00, which PostgreSQL has and Arrow has not."""
    if not within(array, 0, DAY - 1):
        raise Refused("24:00 is no Arrow time")
    return array.view(pa.time64("us"))


def micros_to_text(array: pa.Array) -> pa.Array:
    """12:00:00.500000; also 24:00:00.000000."""
    if not within(array, 0, DAY):
        raise Refused("a time outside 00:00..24:00")
    text = pc.utf8_slice_codeunits(pc.cast(array.view(pa.timestamp("us")), pa.string()), start=11)
    if within(array, 0, DAY - 1):
        return text
    return pc.if_else(pc.equal(array, same(DAY, array)), same(_clock(DAY), text), text)


def text_to_micros(array: pa.Array) -> pa.Array:
    """The inverse of micros_to_text; Arrow casts no text to a time, hence the day before it."""
    shortest = pc.min(pc.utf8_length(array)).as_py()
    if shortest is not None and shortest < 5:
        raise Refused("a time needs hours and minutes")  # Arrow reads 10 as 10:00
    end = pc.equal(array, same(_clock(DAY), array))
    near = pc.if_else(end, pa.scalar(None, pa.string()), array) if pc.any(end).as_py() else array
    texts = pc.binary_join_element_wise(same("1970-01-01", near), near, same(" ", near))
    stamps = pc.cast(texts, pa.timestamp("us"))
    return pc.if_else(end, pa.scalar(DAY, pa.int64()), stamps.view(pa.int64()))


def duration_to_text(array: pa.Array) -> pa.Array:
    """PT86399.000000S, as PostgreSQL reads an interval; refuses a lost fraction."""
    micros = pc.cast(array, pa.duration("us")).view(pa.int64())
    seconds = decimal_to_text(rescale(micros, precision=19, scale=6))
    begin, end, between = (same(text, seconds) for text in ("PT", "S", ""))
    return pc.binary_join_element_wise(begin, seconds, end, between)


def _clock(micros: int) -> str:
    seconds, micro = divmod(micros, 1_000_000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{micro:06d}"


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
    small = _mask(pc.match_substring(text, "E"))  # Arrow prints 0.0000001 as 1E-7
    if not pc.any(small).as_py():
        return text
    return pc.replace_with_mask(
        text, small, _texts(f"{Decimal(t):f}" for t in text.filter(small).to_pylist())
    )


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
    if pc.min(wide.view(pa.int64())).as_py() == MINUS_INFINITY:
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


def cast_exactly(array: pa.Array, *, type: pa.DataType) -> pa.Array:
    """What a user's cast asks for, where every value survives: there and back it is the same.

    Text must be spelled as the type's own text is read by Arrow's strict cast; `0x1A` is no integer.
    """
    array = storage(array)
    if pa.types.is_string(array.type):
        return _parsed(array, type)
    if pa.types.is_decimal(array.type) and not pa.types.is_floating(type):
        if pa.types.is_string(type):
            return decimal_to_text(array)
        return pc.cast(to_scale(array, pa.decimal128(38, getattr(type, "scale", 0))), type)
    made = pc.cast(array, type.storage_type if isinstance(type, pa.BaseExtensionType) else type)
    back = pc.cast(made, array.type)
    same = pc.equal(back, array)
    if pa.types.is_floating(array.type):
        same = pc.or_(same, pc.and_(pc.is_nan(back), pc.is_nan(array)))
    refuse_unless(same, array, f"would change as {type}")
    return made


def _parsed(array: pa.Array, type: pa.DataType) -> pa.Array:
    if isinstance(type, pa.UuidType):
        return text_to_uuid(array)
    if pa.types.is_time(type):
        return micros_to_time(text_to_micros(array))
    if pa.types.is_integer(type):
        refuse_unless(pc.match_substring_regex(array, "^-?[0-9]+$"), array, "is no integer")
    if pa.types.is_decimal(type):
        return to_scale(array, type)
    if pa.types.is_floating(type):
        array = text_to_double(array)
    if pa.types.is_boolean(type):
        array = _words_to_bool(array)
    made = pc.cast(array, type.storage_type if isinstance(type, pa.BaseExtensionType) else type)
    if pa.types.is_date(type) and not within(made.view(pa.int32()), FIRST_DAY, LAST_DAY):
        raise Refused("a date in year 0000")
    if pa.types.is_timestamp(type) and not within(timestamp_to_raw(made), FIRST_RAW, LAST_RAW):
        raise Refused("a timestamp in year 0000")
    return made


def _words_to_bool(array: pa.Array) -> pa.Array:
    words = pc.utf8_lower(array)
    true = pc.is_in(words, _texts(["true", "t", "yes", "y", "on", "1"]))
    false = pc.is_in(words, _texts(["false", "f", "no", "n", "off", "0"]))
    refuse_unless(pc.or_(pc.or_(true, false), array.is_null()), array, "is no boolean")
    return pc.if_else(array.is_valid(), true, pa.scalar(None, pa.bool_()))


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


def _mask(found: pa.Array) -> pa.Array:
    return pc.fill_null(found, False)


def _outside(array: pa.Array, low: int, high: int) -> pa.Array:
    return _mask(pc.or_(pc.less(array, same(low, array)), pc.greater(array, same(high, array))))


def _texts(values: object) -> pa.Array:
    return pa.array(values, pa.string())
