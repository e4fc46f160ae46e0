"""SQL's names for Arrow types and back, spelled as PostgreSQL's format_type does.

PostgreSQL's tables have them, and so do SQLite's that arrowsync made: each column reads back as what it was.
"""

from __future__ import annotations

import pyarrow as pa

from arrowsync.types.kinds import JSON, POSTGRESQL, encoded, is_vendors, kind

ARROW_TYPES: dict[str, pa.DataType] = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "text": pa.string(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "time without time zone": pa.time64("us"),
    "timestamp without time zone": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
    "uuid": pa.uuid(),
    "json": JSON,
}

_BY_KIND = {
    "uuid": "uuid",
    "json": "json",
    "uint64": "numeric(20,0)",
    "bool": "boolean",
    "text": "text",
    "bytes": "bytea",
    "date": "date",
    "time": "time without time zone",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "duration": "interval",
    "null": "text",
}


def sql_type(arrow: pa.DataType) -> str | None:
    """The type whose column keeps every value of an Arrow type; None for nested ones, or where none does."""
    if (values := encoded(arrow)) is not None:
        return sql_type(values)
    if is_vendors(arrow, POSTGRESQL):
        return str(arrow.type_name)
    if isinstance(arrow, pa.OpaqueType):
        return sql_type(arrow.storage_type)
    name = kind(arrow)
    if name == "int":
        bits = arrow.bit_width + (not pa.types.is_signed_integer(arrow))
        return "smallint" if bits <= 16 else "integer" if bits <= 32 else "bigint"
    if name == "float":
        return "double precision" if pa.types.is_float64(arrow) else "real"
    if name == "decimal":
        return f"numeric({arrow.precision},{arrow.scale})"
    return _BY_KIND.get(name)
