"""PostgreSQL's types as a source: the forms in which a column of each can be read, best first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import pyarrow as pa

from arrowsync.core.plan import Convert, Form
from arrowsync.dialects.postgresql.typename import TypeName
from arrowsync.types import conversions, temporal
from arrowsync.types.kinds import JSON, POSTGRESQL


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """What the catalogue says about a type: the one under its domains, and how to send it.

    `wire` is an expression over `{c}` that gives the binary send format; None where those bytes would not
    survive (xml loses its declaration, reg* are OIDs) or there are none.
    """

    name: TypeName
    base: TypeName
    domain: bool = False
    wire: str | None = None


class Read(NamedTuple):
    """A form before its column is known. With `raw` the numbers are PostgreSQL's own, of that width."""

    read: pa.DataType
    decode: Convert | None = None
    arrow: pa.DataType | None = None
    raw: pa.DataType | None = None
    select: str = "{c}"


def _finite_date(array: pa.Array) -> pa.Array:
    return temporal.days_to_date(temporal.date_to_days(array))


def _finite_timestamp(array: pa.Array) -> pa.Array:
    return temporal.raw_to_timestamp(temporal.timestamp_to_raw(array), zone=array.type.tz)


def _micros(array: pa.Array) -> pa.Array:
    return array.view(pa.int64())


def _time(array: pa.Array) -> pa.Array:
    return temporal.micros_to_time(_micros(array))


def _timestamp(zone: str | None) -> tuple[Read, ...]:
    stamp = pa.timestamp("us", zone)
    return (Read(stamp, temporal.timestamp_to_raw, raw=pa.int64()), Read(stamp, _finite_timestamp))


_OID = Read(pa.int32(), conversions.oid_to_number, raw=pa.int64())
_NUMBER = Read(pa.int64(), raw=pa.int64(), select="{c}::text::int8")  # the driver gives their wire bytes

# Types whose values travel as something cheaper than their wire bytes. Every list ends with the text.
READS: dict[str, tuple[Read, ...]] = {
    "smallint": (Read(pa.int16()),),
    "integer": (Read(pa.int32()),),
    "bigint": (Read(pa.int64()),),
    "real": (Read(pa.float32()),),
    "double precision": (Read(pa.float64()),),
    "boolean": (Read(pa.bool_()),),
    "bytea": (Read(pa.binary()),),
    "text": (Read(pa.string()),),
    "character varying": (Read(pa.string()),),
    "bpchar": (Read(pa.string()),),
    "name": (Read(pa.string()),),
    "uuid": (Read(pa.uuid()),),
    "json": (Read(JSON),),
    "jsonb": (Read(JSON),),
    "date": (Read(pa.date32(), temporal.date_to_days, raw=pa.int32()), Read(pa.date32(), _finite_date)),
    "time without time zone": (Read(pa.time64("us"), _micros, raw=pa.int64()), Read(pa.time64("us"), _time)),
    "timestamp without time zone": _timestamp(None),
    "timestamp with time zone": _timestamp("UTC"),
    "money": (Read(pa.int64(), raw=pa.int64()),),
    "oid": (_OID, _OID._replace(raw=None, arrow=pa.int64())),
}
_AFTER_WIRE: dict[str, tuple[Read, ...]] = {"xid": (_NUMBER,), "cid": (_NUMBER,)}

# Names the object whatever the search_path is, where `::text` leaves out a schema that is on it.
_NAMED = "coalesce((pg_identify_object('pg_catalog.{0}'::regclass, {{c}}::oid, 0)).identity, {{c}}::text)"
_TEXTS = {
    "regclass": _NAMED.format("pg_class"),
    "regtype": _NAMED.format("pg_type"),
    "regproc": _NAMED.format("pg_proc"),
    "regprocedure": _NAMED.format("pg_proc"),
    "regoper": _NAMED.format("pg_operator"),
    "regoperator": _NAMED.format("pg_operator"),
    "regcollation": _NAMED.format("pg_collation"),
    "regconfig": _NAMED.format("pg_ts_config"),
    "regdictionary": _NAMED.format("pg_ts_dict"),
}


def fast_decimal(type: TypeName) -> pa.DataType | None:
    """The Arrow decimal for a numeric that the driver ingests fast: 0.4 µs a value, beyond it 20 µs."""
    if type.bare != "numeric" or type.array or not type.modifiers:
        return None
    precision, scale = (*type.modifiers, 0)[:2]
    digits = max(precision - scale, 0) + max(scale, 0)
    if digits + (-scale % 4 if scale > 0 else 0) > 38:
        return None
    return pa.decimal128(max(digits, 1), max(scale, 0))


def forms(column: str, facts: TypeFacts, signature: str = "") -> tuple[Form, ...]:
    """The ways to read a column whose quoted name is `column`, best first; `signature` is its type's."""
    base = facts.base
    plain = () if base.array else READS.get(base.bare, ())
    if facts.domain and base.bare in ("json", "jsonb"):
        plain = ()  # without a catalogue the driver sends a domain over json without jsonb's version byte
    if decimal := fast_decimal(base):
        to_decimal = partial(conversions.digits_to_decimal, precision=decimal.precision, scale=decimal.scale)
        plain = (Read(pa.string(), to_decimal, decimal, select="{c}::text"),)
    # What has a plain form falls back to its text, which compares with it; wire bytes would not.
    wire = (Read(pa.binary(), raw=pa.binary(), select=facts.wire),) if facts.wire and not plain else ()
    after = () if base.array else _AFTER_WIRE.get(base.bare, ())
    text = Read(
        pa.string(), raw=pa.string(), select="{c}::text" if base.array else _TEXTS.get(base.bare, "{c}::text")
    )
    return tuple(_form(column, facts, signature, read) for read in (*plain, *wire, *after, text))


def _form(column: str, facts: TypeFacts, signature: str, read: Read) -> Form:
    # Numbers and bytes are those of the type under a domain, text is read by the domain itself.
    name = facts.name if read.raw == pa.string() else facts.base
    arrow = pa.opaque(read.raw, str(name), POSTGRESQL) if read.raw else read.arrow or read.read
    return Form(read.select.replace("{c}", column), read.read, arrow, read.decode, signature=signature)
