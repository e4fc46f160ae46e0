"""Exact conversions of dates, times and timestamps, as conversions.py has those of numbers and texts.

`raw` is PostgreSQL's own count of microseconds since 2000-01-01 (infinity: int64's limits), `days` its
driver's count since 1970-01-01, `micros` the microseconds since midnight, 24:00 among them.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.errors import Refused
from arrowsync.types.conversions import decimal_to_text, mask, outside, rescale, same, texts, utf8, within

INFINITY = 2**63 - 1
MINUS_INFINITY = -(2**63)
DATE_INFINITY = -2_147_472_692  # what the driver's shift from 2000 to 1970 makes of PostgreSQL's int32 limits
DATE_MINUS_INFINITY = -2_147_472_691
DAY = 86_400_000_000  # microseconds
RAW_EPOCH = 946_684_800_000_000  # 2000-01-01 in microseconds since 1970-01-01

FIRST_DAY, LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31: what Arrow's kernels read and write
FIRST_RAW, LAST_RAW = FIRST_DAY * DAY - RAW_EPOCH, (LAST_DAY + 1) * DAY - 1 - RAW_EPOCH


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
    odd = outside(array, FIRST_RAW, LAST_RAW)
    text = _near_raw_to_text(pc.if_else(odd, pa.scalar(0, pa.int64()), array), zone)
    return pc.replace_with_mask(text, odd, texts(_odd_raw(v, zone) for v in array.filter(odd).to_pylist()))


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
    odd = mask(pc.not_equal(lengths, same(26 + len(zone), lengths)))
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
    odd = outside(array, FIRST_DAY, LAST_DAY)
    text = pc.cast(pc.if_else(odd, pa.scalar(0, pa.int32()), array).view(pa.date32()), pa.string())
    return pc.replace_with_mask(text, odd, texts(_odd_day(v) for v in array.filter(odd).to_pylist()))


def text_to_days(array: pa.Array) -> pa.Array:
    """The inverse of days_to_text."""
    try:
        days = pc.cast(array, pa.date32()).view(pa.int32())
        if within(days, FIRST_DAY, LAST_DAY):
            return days
    except pa.ArrowInvalid:
        pass
    lengths = pc.utf8_length(array)
    odd = mask(pc.not_equal(lengths, same(10, lengths)))
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
