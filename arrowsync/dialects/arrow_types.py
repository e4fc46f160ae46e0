"""Arrow's types as files and frames use them, and conversions between them that are exact or refuse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.core.plan import Convert
from arrowsync.errors import ConfigError, Refused
from arrowsync.types import conversions, temporal
from arrowsync.types.kinds import NESTED, POSTGRESQL, encoded, is_vendors, kind

DIALECT = "arrow"
JSON = pa.json_(pa.string())


# -- types -------------------------------------------------------------------------------------------------


def plain(type: pa.DataType) -> pa.DataType:
    """The one type for all that hold the same values: string for large_string, views and dictionaries."""
    if (values := encoded(type)) is not None:
        return plain(values)
    if isinstance(type, pa.BaseExtensionType):
        return _plain_extension(type)
    match kind(type):
        case "text":
            return pa.string()
        case "bytes":
            return pa.binary()
        case "date":
            return pa.date32()
        case "time" | "timestamp" | "timestamptz" | "duration" if type.unit in ("s", "ms"):
            return _in_microseconds(type)
        case "decimal" if type.scale < 0:  # Parquet has none
            return _without_scale(type)
        case "decimal" if type.precision <= 38:
            return pa.decimal128(type.precision, type.scale)
        case "float" if pa.types.is_float16(type):
            return pa.float32()
        case "list":
            return pa.list_(type.value_field.with_type(plain(type.value_type)))
        case "struct":
            return pa.struct([field.with_type(plain(field.type)) for field in type])
        case "map":
            key, item = (field.with_type(plain(field.type)) for field in (type.key_field, type.item_field))
            return pa.map_(key, item)
    return type


def _plain_extension(type: pa.BaseExtensionType) -> pa.DataType:
    if kind(type) in ("uuid", "json"):
        return type
    if is_vendors(type, POSTGRESQL) and kind(type) != "words":
        return type  # wire bytes or numbers that only PostgreSQL reads, in a file of refused rows
    return plain(type.storage_type)


def _in_microseconds(type: pa.DataType) -> pa.DataType:
    if pa.types.is_time(type):
        return pa.time64("us")
    return pa.duration("us") if pa.types.is_duration(type) else pa.timestamp("us", type.tz)


def _without_scale(type: pa.DataType) -> pa.DataType:
    """Whole hundreds as integers; 77 digits and more have no such type."""
    digits = type.precision - type.scale
    if digits > 76:
        return type
    return pa.decimal128(digits, 0) if digits <= 38 else pa.decimal256(digits, 0)


# The names that `cast` takes, beside Arrow's own: SQL's.
_SQL_NAMES = {
    **dict.fromkeys(("smallint", "int2"), pa.int16()),
    **dict.fromkeys(("int", "integer", "int4"), pa.int32()),
    **dict.fromkeys(("bigint", "int8"), pa.int64()),
    **dict.fromkeys(("real", "float4"), pa.float32()),
    **dict.fromkeys(("double", "double precision", "float", "float8"), pa.float64()),
    **dict.fromkeys(("bool", "boolean"), pa.bool_()),
    **dict.fromkeys(("text", "varchar", "string"), pa.string()),
    **dict.fromkeys(("bytea", "blob", "binary"), pa.binary()),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "uuid": pa.uuid(),
    "json": JSON,
}


def type_named(name: str) -> pa.DataType:
    """The type that `cast` means. Raises ConfigError."""
    text = name.strip().lower()
    if text in _SQL_NAMES:
        return _SQL_NAMES[text]
    word, _, digits = text.removesuffix(")").partition("(")
    try:
        if word.strip() in ("decimal", "numeric", "decimal128", "decimal256"):
            precision, scale = (*(int(number) for number in digits.split(",")), 0)[:2]
            if scale < 0:
                raise ValueError("no file keeps a negative scale")
            return (pa.decimal128 if precision <= 38 else pa.decimal256)(precision, scale)
        return pa.type_for_alias(text)
    except ValueError:
        known = ", ".join(sorted(_SQL_NAMES))
        raise ConfigError(f"no Arrow type {name!r}", hint=f"There are decimal(p,s), {known}") from None


# -- conversions -------------------------------------------------------------------------------------------


def exactly(array: pa.Array, *, type: pa.DataType) -> pa.Array:
    """The same values in another type; refuses what would change."""
    if pa.types.is_float32(type) and array.type != pa.float16():
        return conversions.to_float32(pc.cast(array, pa.float64()))
    if pa.types.is_decimal(type):
        return conversions.to_scale(conversions.storage(array), type)
    return pc.cast(conversions.storage(array), type)


def spell_interval(array: pa.Array) -> pa.Array:
    """ISO 8601, as PostgreSQL reads it: P1M-2DT3.000000S. Refuses nanoseconds."""

    def spell(value: pa.MonthDayNano) -> str:
        micros, nanos = divmod(value.nanoseconds, 1_000)
        if nanos:
            raise Refused(f"{value} has nanoseconds")
        return f"P{value.months}M{value.days}DT{Decimal(micros).scaleb(-6):f}S"

    return pa.array((None if value is None else spell(value) for value in array.to_pylist()), pa.string())


def _spell_time(array: pa.Array) -> pa.Array:
    try:
        return temporal.micros_to_text(temporal.time_to_micros(array))
    except pa.ArrowInvalid:  # nanoseconds that are no whole microseconds
        return pc.cast(array, pa.string())


def _spell_timestamp(array: pa.Array, *, zone: str = "") -> pa.Array:
    try:
        return temporal.raw_to_text(temporal.plain_timestamp_to_raw(array), zone=zone)
    except pa.ArrowInvalid:
        text = pc.cast(array.view(pa.timestamp(array.type.unit)), pa.string())
        return pc.binary_join_element_wise(text, conversions.same(zone, text), conversions.same("", text))


def _spell_nested(array: pa.Array) -> pa.Array:
    def spell(value: object) -> str | None:
        return (
            None
            if value is None
            else json.dumps(value, default=_jsonable, ensure_ascii=False, allow_nan=False)
        )

    try:
        return pa.array((spell(value) for value in array.to_pylist()), pa.string())
    except (TypeError, ValueError) as error:
        raise Refused(f"a nested value that JSON cannot say: {error}") from error


def _jsonable(value: object) -> str:
    if isinstance(value, bytes):
        raise TypeError("bytes inside")
    return str(value)


# What conversions.py reads back: six digits after the second, infinity and 24:00 as PostgreSQL's words.
_SPELL: Mapping[str, Convert] = {
    "int": lambda a: pc.cast(a, pa.string()),
    "uint64": lambda a: pc.cast(a, pa.string()),
    "bool": lambda a: pc.cast(a, pa.string()),
    "float": conversions.double_to_text,
    "decimal": conversions.decimal_to_text,
    "uuid": conversions.uuid_to_text,
    "json": lambda a: pc.cast(conversions.storage(a), pa.string()),
    "date": lambda a: temporal.days_to_text(temporal.date_to_days(pc.cast(a, pa.date32()))),
    "time": _spell_time,
    "timestamp": _spell_timestamp,
    "timestamptz": partial(_spell_timestamp, zone="Z"),
    "duration": temporal.duration_to_text,
    "interval": spell_interval,
    **dict.fromkeys(NESTED, _spell_nested),
}
_DIGITS = r"^-?[0-9]+$"
_NUMBER = r"^-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$"
_TRUE, _FALSE = ["true", "t", "yes", "y", "on", "1"], ["false", "f", "no", "n", "off", "0"]


def _matching(array: pa.Array, pattern: str) -> pa.Array:
    """Arrow itself would read 0x1A as 26."""
    conversions.refuse_unless(pc.match_substring_regex(array, pattern), array, "is no number")
    return array


def _parse_bool(array: pa.Array) -> pa.Array:
    words = pc.utf8_lower(array)
    true = pc.is_in(words, pa.array(_TRUE, pa.string()))
    known = pc.or_(pc.or_(true, pc.is_in(words, pa.array(_FALSE, pa.string()))), pc.is_null(array))
    conversions.refuse_unless(known, array, "is no boolean")
    return pc.if_else(array.is_valid(), true, pa.scalar(None, pa.bool_()))


_PARSE: Mapping[str, Convert] = {
    "int": lambda a: _matching(a, _DIGITS),
    "uint64": lambda a: _matching(a, _DIGITS),
    "float": conversions.text_to_double,
    "decimal": lambda a: _matching(a, _NUMBER),
    "bool": _parse_bool,
    "uuid": conversions.text_to_uuid,
    "json": lambda a: a,
    "date": lambda a: temporal.days_to_date(temporal.text_to_days(a)),
    "time": lambda a: temporal.micros_to_time(temporal.text_to_micros(a)),
    "timestamp": lambda a: temporal.raw_to_timestamp(temporal.text_to_raw(a)),
    "timestamptz": lambda a: temporal.raw_to_timestamp(temporal.text_to_raw(a, zone="Z"), zone="UTC"),
}


def spells(type: pa.DataType) -> bool:
    return kind(type) in _SPELL


def parses(type: pa.DataType) -> bool:
    return kind(type) in _PARSE


def spell(array: pa.Array, *, type: pa.DataType) -> pa.Array:
    """Values of `type` as text, the same for the same value; the array may be the type's storage."""
    return _SPELL[kind(type)](array)


def parse(array: pa.Array, *, type: pa.DataType) -> pa.Array:
    """Text as values of that type; refuses what is none."""
    parsed = _PARSE[kind(type)](array)
    if isinstance(type, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(type, pc.cast(parsed, type.storage_type))
    return exactly(parsed, type=type)


def to_json(array: pa.Array) -> pa.Array:
    return pa.ExtensionArray.from_storage(JSON, _spell_nested(array))
