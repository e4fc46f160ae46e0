"""Which arrays PostgreSQL's built-in types take, and how: the table that write_types.py looks into."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from arrowsync.core.plan import Convert, Fidelity, Storage
from arrowsync.dialects.postgresql import encoders
from arrowsync.types import casts, conversions, temporal
from arrowsync.types.kinds import JSON


@dataclass(frozen=True, slots=True)
class Take:
    """How a built-in type takes one kind of array; `ask`: only under transfer.cast."""

    arrow: pa.DataType | None = None
    encode: Convert | None = None
    fidelity: Fidelity = Fidelity.EXACT
    reason: str = ""
    ask: bool = False
    staged: bool = False


_WIDER = Fidelity.WIDENED
NEAREST = "the binary number nearest to each decimal"


def _integer(type: pa.DataType) -> dict[str, Take]:
    narrow = Take(type, partial(conversions.to_integer, type=type))
    exactly = Take(type, partial(casts.cast_exactly, type=type))
    asked = replace(exactly, ask=True)
    return {"int": narrow, "uint64": narrow, "decimal": exactly, "bool": asked, "float": asked, "text": asked}


def _number(type: pa.DataType, from_double: Convert) -> dict[str, Take]:
    whole = Take(type, partial(conversions.to_integer, type=type))
    text = partial(conversions.in_turn, first=conversions.text_to_double, then=from_double)
    nearest = partial(conversions.in_turn, first=encoders.double, then=from_double)
    return {
        "float": Take(type, from_double),
        "int": whole,
        "uint64": whole,
        "text": Take(type, text, ask=True),
        "decimal": Take(type, nearest, Fidelity.LOSSY, NEAREST, ask=True),
    }


JSON_VALUE = "JSON text as its value: spaces, order and repetition of keys go"
_TEXTUAL = Take(pa.string(), encoders.plain_text)
_SPELLED = {  # text columns take the text of these; equal values stay equal, the type is gone
    "int": Take(pa.string(), encoders.number_to_text, _WIDER, "numbers as text"),
    "uint64": Take(pa.string(), encoders.number_to_text, _WIDER, "numbers as text"),
    "decimal": Take(pa.string(), conversions.decimal_to_text, _WIDER, "numbers as text"),
    "float": Take(pa.string(), encoders.float_to_text, _WIDER, "numbers as text"),
    "uuid": Take(pa.string(), conversions.uuid_to_text, _WIDER, "uuids as text"),
}
_CLOCKS = {
    "int": Take(pa.int64(), encoders.raw_of_seconds, _WIDER, "integers as seconds since 1970", ask=True),
    "float": Take(pa.int64(), encoders.raw_of_julian_days, _WIDER, "reals as Julian days, in ms", ask=True),
}
_ZONE_LOST = "the zone is dropped: wall clock of UTC"
_ZONE_MADE = "times without zone are taken as UTC"

TAKES: dict[str, dict[str, Take]] = {
    "smallint": _integer(pa.int16()),
    "integer": _integer(pa.int32()),
    "bigint": _integer(pa.int64()),
    "real": _number(pa.float32(), encoders.single),
    "double precision": _number(pa.float64(), encoders.double),
    "boolean": {
        "bool": Take(pa.bool_()),
        "int": Take(pa.bool_(), conversions.to_bool, ask=True),
        "text": Take(pa.bool_(), partial(casts.cast_exactly, type=pa.bool_()), ask=True),
    },
    "text": {"text": _TEXTUAL, "json": _TEXTUAL, **_SPELLED},
    "character varying": {"text": _TEXTUAL, **_SPELLED},
    "bpchar": {"text": _TEXTUAL, **_SPELLED},
    "name": {"text": _TEXTUAL},
    "xml": {"text": Take(pa.string(), encoders.plain_text, staged=True)},
    "bytea": {"bytes": Take(pa.binary(), encoders.plain_bytes)},
    "date": {
        "date": Take(pa.date32(), encoders.date_of_any),
        "timestamp": Take(pa.date32(), encoders.date_of_midnights, ask=True),
        "text": Take(pa.date32(), encoders.date_of_text, ask=True),
    },
    "time without time zone": {
        "time": Take(pa.time64("us"), encoders.time_of_any),
        "text": Take(pa.time64("us"), encoders.time_of_text, ask=True),
    },
    "timestamp without time zone": {
        "timestamp": Take(pa.int64(), temporal.plain_timestamp_to_raw),
        "date": Take(pa.int64(), encoders.raw_of_date, _WIDER, "dates as midnight"),
        "timestamptz": Take(pa.int64(), temporal.plain_timestamp_to_raw, Fidelity.LOSSY, _ZONE_LOST),
        "text": Take(pa.int64(), partial(temporal.text_to_raw, zone=""), ask=True),
        **_CLOCKS,
    },
    "timestamp with time zone": {
        "timestamptz": Take(pa.int64(), temporal.plain_timestamp_to_raw),
        "timestamp": Take(pa.int64(), temporal.plain_timestamp_to_raw, Fidelity.LOSSY, _ZONE_MADE),
        "text": Take(pa.int64(), partial(temporal.text_to_raw, zone="Z"), ask=True),
        **_CLOCKS,
    },
    "uuid": {
        "uuid": Take(pa.binary(16), conversions.storage),
        "text": Take(pa.binary(16), conversions.text_to_uuid, ask=True),
        "bytes": Take(pa.binary(16), conversions.bytes_to_uuid, ask=True),
    },
    "json": {"json": Take(pa.string(), encoders.plain_text), "text": _TEXTUAL},
    "jsonb": {
        "json": Take(JSON, encoders.json_of_text),
        "text": Take(JSON, encoders.json_of_text, _WIDER, JSON_VALUE),
    },
    "interval": {
        "duration": Take(pa.duration("us"), partial(conversions.to_integer, type=pa.duration("us")))
    },
}

# Of text of any other type only the server can tell the value.
TEXT_IS_PLAIN = {"numeric", *(name for name, takes in TAKES.items() if "text" in takes)}

# What a domain takes straight: the driver does not know a domain and sends what the Arrow type suggests.
DOMAIN_TAKES = {"text", "character varying", "bpchar", "name", "bytea", "date", "uuid", "json", "boolean"}
DOMAIN_TAKES |= {"smallint", "integer", "bigint", "real", "double precision"}
DOMAIN_TAKES |= {f"{t} {z} time zone" for t in ("time", "timestamp") for z in ("with", "without")}

RAW: dict[str, Storage] = {
    "date": Storage(pa.date32(), encoders.date_of_days),
    "time without time zone": Storage(pa.time64("us"), encoders.time_of_micros),
    "timestamp without time zone": Storage(pa.int64()),
    "timestamp with time zone": Storage(pa.int64()),
    "money": Storage(pa.int64()),
    "oid": Storage(pa.int32(), conversions.number_to_oid),
    "xid": Storage(pa.int32(), conversions.number_to_oid),
    "cid": Storage(pa.int32(), conversions.number_to_oid),
}
