"""Which kind of values an Arrow type holds: the one table that dialects, files, frames and fingerprints ask.

However values are encoded, their kind is the same: a dictionary of large strings is text. Vendors' types,
which are opaque to Arrow, have kinds of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import pyarrow as pa

POSTGRESQL = "PostgreSQL"  # vendors of opaque types
SQLITE = "SQLite"
NESTED = frozenset({"list", "struct", "map"})
JSON = pa.json_(pa.string())

_KINDS: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (lambda t: isinstance(t, pa.UuidType), "uuid"),
    (lambda t: isinstance(t, pa.JsonType), "json"),
    (pa.types.is_boolean, "bool"),
    (pa.types.is_uint64, "uint64"),  # the one integer that int64 does not hold
    (pa.types.is_integer, "int"),
    (pa.types.is_floating, "float"),
    (pa.types.is_decimal, "decimal"),
    (lambda t: pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_string_view(t), "text"),
    (lambda t: pa.types.is_binary(t) or pa.types.is_large_binary(t) or pa.types.is_binary_view(t), "bytes"),
    (pa.types.is_fixed_size_binary, "bytes"),
    (pa.types.is_date, "date"),
    (pa.types.is_time, "time"),
    (lambda t: pa.types.is_timestamp(t) and t.tz is None, "timestamp"),
    (pa.types.is_timestamp, "timestamptz"),
    (pa.types.is_duration, "duration"),
    (pa.types.is_interval, "interval"),
    (pa.types.is_null, "null"),
    (pa.types.is_map, "map"),
    (pa.types.is_struct, "struct"),
    (lambda t: pa.types.is_nested(t) and not pa.types.is_union(t), "list"),
)


@lru_cache(maxsize=4_096)  # asked for each column of each batch
def kind(type: pa.DataType) -> str:
    """The kind of an Arrow type's values; "other" for what nobody here reads."""
    if isinstance(type, pa.OpaqueType):
        return _opaque_kind(type)
    if (values := encoded(type)) is not None:
        return kind(values)
    name = next((name for test, name in _KINDS if test(type)), "other")
    if name in NESTED and any(kind(type.field(at).type) == "other" for at in range(type.num_fields)):
        return "other"
    return name


def encoded(type: pa.DataType) -> pa.DataType | None:
    """The type of the values of a dictionary or of runs; None for an array of values."""
    is_encoded = pa.types.is_dictionary(type) or pa.types.is_run_end_encoded(type)
    return type.value_type if is_encoded else None


def is_vendors(type: pa.DataType, vendor: str) -> bool:
    return isinstance(type, pa.OpaqueType) and bool(type.vendor_name == vendor)


def _opaque_kind(type: pa.OpaqueType) -> str:
    if type.vendor_name == SQLITE:
        return f"sqlite {type.type_name}"
    if type.vendor_name == POSTGRESQL:
        return _postgresql_kind(kind(type.storage_type), type)
    return kind(type.storage_type)


def _postgresql_kind(stored: str, type: pa.OpaqueType) -> str:
    """PostgreSQL's own text ("words"), bytes ("wire") or numbers of a type, which temporal.py describes."""
    if stored in ("text", "bytes"):
        return "words" if stored == "text" else "wire"
    if stored != "int":
        return "other"
    if type.type_name.startswith("date"):
        return "days"
    if type.type_name.startswith("timestamp"):
        return "rawtz" if "with time zone" in type.type_name else "raw"
    return "micros" if type.type_name.startswith("time") else "number"
