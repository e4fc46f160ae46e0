"""Casts that users ask for, from any Arrow type to any other; what they are made of is in conversions.py."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.errors import Refused
from arrowsync.types import conversions, temporal
from arrowsync.types.spelling import words_to_bool


def cast_exactly(array: pa.Array, *, type: pa.DataType) -> pa.Array:
    """What a user's cast asks for, where every value survives: there and back it is the same.

    Text must be spelled as the type's own text is read by Arrow's strict cast; `0x1A` is no integer.
    """
    array = conversions.storage(array)
    if pa.types.is_string(array.type):
        return _parsed(array, type)
    if pa.types.is_decimal(array.type) and not pa.types.is_floating(type):
        if pa.types.is_string(type):
            return conversions.decimal_to_text(array)
        return pc.cast(conversions.to_scale(array, pa.decimal128(38, getattr(type, "scale", 0))), type)
    made = pc.cast(array, type.storage_type if isinstance(type, pa.BaseExtensionType) else type)
    back = pc.cast(made, array.type)
    same = pc.equal(back, array)
    if pa.types.is_floating(array.type):
        same = pc.or_(same, pc.and_(pc.is_nan(back), pc.is_nan(array)))
    conversions.refuse_unless(same, array, f"would change as {type}")
    return made


def _parsed(array: pa.Array, type: pa.DataType) -> pa.Array:
    if isinstance(type, pa.UuidType):
        return conversions.text_to_uuid(array)
    if pa.types.is_time(type):
        return temporal.micros_to_time(temporal.text_to_micros(array))
    if pa.types.is_integer(type):
        conversions.refuse_unless(pc.match_substring_regex(array, "^-?[0-9]+$"), array, "is no integer")
    if pa.types.is_decimal(type):
        return conversions.to_scale(array, type)
    if pa.types.is_floating(type):
        array = conversions.text_to_double(array)
    if pa.types.is_boolean(type):
        array = words_to_bool(array)
    made = pc.cast(array, type.storage_type if isinstance(type, pa.BaseExtensionType) else type)
    if pa.types.is_date(type) and not conversions.within(
        made.view(pa.int32()), temporal.FIRST_DAY, temporal.LAST_DAY
    ):
        raise Refused("a date in year 0000")
    if pa.types.is_timestamp(type) and not conversions.within(
        temporal.timestamp_to_raw(made), temporal.FIRST_RAW, temporal.LAST_RAW
    ):
        raise Refused("a timestamp in year 0000")
    return made
