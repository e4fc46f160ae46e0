"""Conversions of Arrow arrays that only PostgreSQL's columns need. They are exact, or refuse."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.core.plan import Convert
from arrowsync.errors import DataError, Refused
from arrowsync.types import conversions, temporal
from arrowsync.types.kinds import JSON


def date_of_days(array: pa.Array) -> pa.Array:
    return array.view(pa.date32())


def date_of_any(array: pa.Array) -> pa.Array:
    return temporal.days_to_date(temporal.date_to_days(pc.cast(array, pa.date32())))


def time_of_micros(array: pa.Array) -> pa.Array:
    return array.view(pa.time64("us"))


def time_of_any(array: pa.Array) -> pa.Array:
    return temporal.time_to_micros(array).view(pa.time64("us"))


def raw_of_date(array: pa.Array) -> pa.Array:
    return temporal.plain_timestamp_to_raw(pc.cast(array, pa.timestamp("us")))


def keeping_steps(array: pa.Array, *, step: int) -> pa.Array:
    """Microseconds that the column's precision keeps; the server would round them silently."""
    numbers = array.view(pa.int64())
    odd = pc.not_equal(pc.multiply(pc.divide(numbers, step), step), numbers)
    infinite = pc.or_(pc.equal(numbers, temporal.INFINITY), pc.equal(numbers, temporal.MINUS_INFINITY))
    if pc.any(pc.and_not(odd, infinite)).as_py():
        raise Refused("a time with more digits than the column keeps")
    return array


def finite_interval(array: pa.Array) -> pa.Array:
    """PostgreSQL 17 made an interval of extremes infinite; before, it is 178956970 years. Text says which."""
    months = pc.binary_slice(array, 12, 16)
    if pc.any(pc.or_(pc.equal(months, b"\x7f\xff\xff\xff"), pc.equal(months, b"\x80\x00\x00\x00"))).as_py():
        raise Refused("an infinite interval, which PostgreSQL before 17 does not have")
    return array


def number_to_text(array: pa.Array) -> pa.Array:
    return pc.cast(array, pa.string())


def json_of_text(array: pa.Array) -> pa.Array:
    return pa.ExtensionArray.from_storage(JSON, pc.cast(conversions.storage(array), pa.string()))


def plain_text(array: pa.Array) -> pa.Array:
    return pc.cast(conversions.storage(array), pa.string())


def ending_in_no_blank(array: pa.Array, *, length: int | None) -> pa.Array:
    """Texts that a column of character(length) keeps: blanks at the end of a shorter one it would forget."""
    array = plain_text(array)
    lost = pc.ends_with(array, " ")
    if length is not None:
        lost = pc.and_(lost, pc.not_equal(pc.utf8_length(array), length))
    conversions.refuse_unless(pc.invert(lost), array, "ends in blanks, which would not count")
    return array


def float_to_text(array: pa.Array) -> pa.Array:
    """The shortest text that reads back as the same number of that width: 1.1 for a float32, too."""
    if pa.types.is_float32(array.type):
        return pc.cast(array, pa.string())
    return conversions.double_to_text(array)


def not_longer(array: pa.Array, *, characters: int) -> pa.Array:
    """Text that varchar(n) takes whole. Raises DataError: no other form would help the row."""
    bytes_at_most = pc.max(pc.binary_length(array)).as_py()  # 1 ns a value, and mostly the answer
    if bytes_at_most is None or bytes_at_most <= characters:
        return array
    length = pc.max(pc.utf8_length(array)).as_py()
    if length > characters:
        raise DataError(
            f"value too long for type character varying({characters}): {length:,} characters",
            sqlstate="22001",
        )
    return array


def plain_bytes(array: pa.Array) -> pa.Array:
    return pc.cast(conversions.storage(array), pa.binary())


def raw_of_seconds(array: pa.Array) -> pa.Array:
    """Whole seconds since 1970 in UTC, as SQLite and Unix keep times in integers."""
    return temporal.plain_timestamp_to_raw(pc.cast(array, pa.int64()).view(pa.timestamp("s")))


def raw_of_julian_days(array: pa.Array) -> pa.Array:
    """Days since noon on 24 November 4714 BC, as SQLite keeps times in reals: to the millisecond."""
    days = double(array)
    unix = pc.subtract(days, conversions.same(_UNIX_JULIAN_DAY, days))
    millis = pc.cast(pc.round(pc.multiply(unix, conversions.same(86_400_000.0, unix))), pa.int64())
    return temporal.plain_timestamp_to_raw(millis.view(pa.timestamp("ms")))


_UNIX_JULIAN_DAY = 2_440_587.5


def date_of_midnights(array: pa.Array) -> pa.Array:
    days = pc.cast(array, pa.date32())
    conversions.refuse_unless(pc.equal(pc.cast(days, array.type), array), array, "is no date alone")
    return date_of_any(days)


def number_text(array: pa.Array) -> pa.Array:
    conversions.refuse_unless(
        pc.match_substring_regex(array, r"^-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$"),
        array,
        "is no number",
    )
    return array


def date_of_text(array: pa.Array) -> pa.Array:
    return temporal.text_to_days(array).view(pa.date32())


def time_of_text(array: pa.Array) -> pa.Array:
    return temporal.text_to_micros(array).view(pa.time64("us"))


def decoded(array: pa.Array, *, then: Convert | None) -> pa.Array:
    array = array.dictionary_decode()
    return then(array) if then else array


def double(array: pa.Array) -> pa.Array:
    return pc.cast(array, pa.float64())


def single(array: pa.Array) -> pa.Array:
    return conversions.to_float32(double(array))
