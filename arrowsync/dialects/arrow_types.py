"""Arrow's types as files and frames use them: one for all encodings of the same values, and their names."""

from __future__ import annotations

import pyarrow as pa

from arrowsync.errors import ConfigError
from arrowsync.types.kinds import JSON, NESTED, POSTGRESQL, encoded, is_vendors, kind

DIALECT = "arrow"


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


def holds_coarse(type: pa.DataType) -> bool:
    """Whether it holds seconds or milliseconds, of which `plain` makes microseconds."""
    inner = [type.field(at).type for at in range(type.num_fields)] if kind(type) in NESTED else []
    return getattr(type, "unit", "") in ("s", "ms") or any(map(holds_coarse, inner))


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
