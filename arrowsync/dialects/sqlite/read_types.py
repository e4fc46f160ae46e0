"""How SQLite keeps values of other databases' types: declared type, stored text or number, the forms back.

A table that arrowsync made declares each column as PostgreSQL's format_type, as one quoted name, so that it
reads back as what it was. What arrays are stored as is in write_types.py; columns that users declared are
in type_inference.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from arrowsync.core.plan import Convert, Form
from arrowsync.types import conversions, temporal
from arrowsync.types.kinds import JSON, NESTED, POSTGRESQL
from arrowsync.types.sql_types import ARROW_TYPES


def affinity(declared: str) -> str:
    """What SQLite does to values on their way into a column: its five rules, in its order."""
    name = declared.upper()
    for words, kind in _AFFINITIES:
        if any(word in name for word in words):
            return kind
    return "NUMERIC" if name else "BLOB"


_AFFINITIES = (
    (("INT",), "INTEGER"),
    (("CHAR", "CLOB", "TEXT"), "TEXT"),
    (("BLOB",), "BLOB"),
    (("REAL", "FLOA", "DOUB"), "REAL"),
)


TEXTS = re.compile(r"text|name|character( varying)?(\(\d+\))?")


@dataclass(frozen=True, slots=True)
class Stored:
    """How a type is kept: `takes` are the meanings of forms it stores, cheapest first; `gives` reads back.

    The selects of `gives` are over `{}`, the quoted column.
    """

    declared: str
    takes: tuple[str, ...]
    gives: tuple[Form, ...]


# -- reading back ------------------------------------------------------------------------------------------


def _integer(arrow: pa.DataType, decode: Convert | None = None) -> Form:
    return Form("{}", pa.int64(), arrow, decode, pin="0")


def _real(arrow: pa.DataType, decode: Convert | None = None) -> Form:
    return Form("{}", pa.float64(), arrow, decode, pin="0.0")


def _text(arrow: pa.DataType, decode: Convert) -> Form:
    """Text that only its decoding could take for something else; numbers and blobs do not decode."""
    return Form("{}", pa.string(), arrow, decode, pin="''")


def other_than_text(own: str) -> str:
    """True for a value that is no text, in a column of that affinity.

    SQLite orders numbers < text < blobs. A comparison costs 20 ns, typeof() 45; a collation that an
    application brought along is not here, so that the comparison names another.
    """
    blob = "{} collate binary >= x''"
    return blob if own == "TEXT" else f"{{}} collate binary < '' or {blob}"


def _plain_text(arrow: pa.DataType, declared: str) -> Form:
    return Form(
        "{}", pa.string(), arrow, conversions.utf8, pin="''", guard=other_than_text(affinity(declared))
    )


def _as_text(arrow: pa.DataType, decode: Convert = conversions.utf8) -> Form:
    return Form("cast({} as text)", pa.string(), arrow, decode, pin="''")


def _blob() -> Form:
    return Form("{}", pa.binary(), pa.binary(), None, pin="x''", guard="typeof({}) not in ('blob', 'null')")


def _opaque(storage: pa.DataType, type: str) -> pa.DataType:
    return pa.opaque(storage, type, POSTGRESQL)


def _text_to_float32(array: pa.Array) -> pa.Array:
    return conversions.to_float32(conversions.text_to_double(array))


def _text_to_date(array: pa.Array) -> pa.Array:
    return temporal.days_to_date(temporal.text_to_days(array))


def _text_to_timestamp(array: pa.Array, *, zone: str) -> pa.Array:
    return temporal.raw_to_timestamp(temporal.text_to_raw(array, zone=zone), zone="UTC" if zone else None)


def _text_to_time(array: pa.Array) -> pa.Array:
    return temporal.micros_to_time(temporal.text_to_micros(array))


# -- one type each -----------------------------------------------------------------------------------------

_INTEGERS = {
    "smallint": ("int2", pa.int16()),
    "integer": ("int4", pa.int32()),
    "bigint": ("int8", pa.int64()),
}


def _integers(type: str) -> Stored:
    # Not `integer`: people's INTEGER holds 64 bits.
    declared, arrow = _INTEGERS[type]
    decode = None if arrow == pa.int64() else partial(conversions.to_integer, type=arrow)
    return Stored(declared, ("int",), (_integer(arrow, decode),))


def _floats(type: str) -> Stored:
    single = type == "real"
    arrow, to_arrow, from_text = (
        (pa.float32(), conversions.to_float32, _text_to_float32)
        if single
        else (pa.float64(), None, conversions.text_to_double)
    )
    # NaN and −0.0 are kept as text and blob, which the second form reads.
    return Stored(
        "float4" if single else "float8", ("float",), (_real(arrow, to_arrow), _as_text(arrow, from_text))
    )


def number_of(type: str) -> pa.DataType | None:
    """The number that SQLite keeps all values of a numeric as, so that sums work in SQL; None: their text."""
    precision, scale = numeric_digits(type) or (0, -1)
    if scale == 0 and precision <= 18:
        return pa.int64()
    return pa.float64() if precision <= 15 and 0 <= scale <= 15 else None  # a double keeps fifteen digits


def _numeric(type: str) -> Stored:
    words = _as_text(_opaque(pa.string(), type))
    as_text = f"TEXT {type}", ("words", "decimal", "int", "uint64")
    arrow = arrow_type(type)
    if arrow is None or arrow.precision + -arrow.scale % 4 > 38:  # more than PostgreSQL's driver does fast
        return Stored(*as_text, (words,))
    read = partial(conversions.text_to_decimal, precision=arrow.precision, scale=arrow.scale)
    if (number := number_of(type)) is None:
        return Stored(*as_text, (_as_text(arrow, read), words))
    whole = number == pa.int64()
    convert = partial(conversions.rescale if whole else conversions.double_to_decimal, **read.keywords)
    # Words for NaN only: a number costs 50 ns less to write than its text.
    takes = ("decimal", "words", "int", "uint64")
    return Stored(type, takes, (_integer(arrow, convert) if whole else _real(arrow, convert), words))


def _timestamp(type: str) -> Stored:
    zone = "Z" if "with time zone" in type else ""
    stamp = pa.timestamp("us", "UTC" if zone else None)
    raw = _text(_opaque(pa.int64(), type), partial(temporal.text_to_raw, zone=zone))
    plain = _text(stamp, partial(_text_to_timestamp, zone=zone))
    return Stored(type, ("rawtz", "timestamptz") if zone else ("raw", "timestamp"), (raw, plain))


def _date(type: str) -> Stored:
    return Stored(
        type,
        ("days", "date"),
        (_text(_opaque(pa.int32(), type), temporal.text_to_days), _text(pa.date32(), _text_to_date)),
    )


def _time(type: str) -> Stored:
    return Stored(
        type,
        ("micros", "time"),
        (_text(_opaque(pa.int64(), type), temporal.text_to_micros), _text(pa.time64("us"), _text_to_time)),
    )


def _number(type: str) -> Stored:
    return Stored(type, ("number", "int"), (_integer(_opaque(pa.int64(), type)), _integer(pa.int64())))


def _texts(type: str) -> Stored:
    return Stored(type, ("text", "words"), (_plain_text(pa.string(), type),))


def _other_texts(type: str) -> Stored:
    return Stored(f"TEXT {type}", ("text", "words"), (_plain_text(pa.string(), "TEXT"),))


def _json(type: str) -> Stored:
    return Stored(f"TEXT {type}", ("json", "words", "text", *sorted(NESTED)), (_plain_text(JSON, "TEXT"),))


def _boolean(type: str) -> Stored:
    return Stored(type, ("bool",), (_integer(pa.bool_(), conversions.to_bool),))


def _bytes(type: str) -> Stored:
    return Stored("BLOB", ("bytes",), (_blob(),))


def _uuid(type: str) -> Stored:
    return Stored(
        type,
        ("words", "uuid"),
        (_text(pa.uuid(), conversions.text_to_uuid), _as_text(_opaque(pa.string(), type))),
    )


def _words(type: str) -> Stored:
    """Any other type, also those that somebody made: PostgreSQL's own text."""
    takes = ("words", "duration") if type.startswith("interval") else ("words",)
    return Stored(f"TEXT {_without_int(type)}", takes, (_as_text(_opaque(pa.string(), type)),))


# PostgreSQL's format_type -> how it is kept. Modifiers as they come; the rest is _words.
_KEPT: tuple[tuple[str, Callable[[str], Stored]], ...] = (
    (r"smallint|integer|bigint", _integers),
    (r"boolean", _boolean),
    (r"real|double precision", _floats),
    (r"numeric(\(\d+,-?\d+\))?", _numeric),
    (r"text|character varying(\(\d+\))?|character(\(\d+\))?", _texts),
    (r"name", _other_texts),
    (r"jsonb?", _json),
    (r"bytea", _bytes),
    (r"date", _date),
    (r"time(\(\d\))? without time zone", _time),
    (r"timestamp(\(\d\))? with(out)? time zone", _timestamp),
    (r"uuid", _uuid),
    (r"oid|xid|cid|money", _number),
)
_PATTERNS = tuple((re.compile(pattern), kept) for pattern, kept in _KEPT)
_BY_DECLARED = {declared: type for type, (declared, _) in _INTEGERS.items()}
_BY_DECLARED |= {"float4": "real", "float8": "double precision", "blob": "bytea", "text": "text"}


def stored(type: str) -> Stored:
    """How a column of the PostgreSQL type is kept."""
    keep = next((kept for pattern, kept in _PATTERNS if pattern.fullmatch(type)), _words)
    return keep(type)


def original_type(declared: str) -> str | None:
    """The PostgreSQL type that a declared type of ours stands for; None for what we never declare."""
    type = _BY_DECLARED.get(declared.lower(), declared)  # PRAGMAs give text and blob in capitals
    if declared.startswith("TEXT "):
        type = _with_int(declared.removeprefix("TEXT "))
    return type if stored(type).declared.casefold() == declared.casefold() else None


def numeric_digits(type: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"numeric\((\d+),(-?\d+)\)", type)
    return (int(match[1]), int(match[2])) if match else None


# INT anywhere in a declared type gives INTEGER affinity, TEXT before it or not. Harmless where no value looks
# like a number; an enum "maintenance" with the label '010' would become 10.
_HARMLESS = re.compile(r"interval.*|point|int[48](multi)?range|.*\[\]", re.DOTALL)
_IDENTIFIER = re.compile(r'"(?:[^"]|"")*"|\w+')


def _without_int(type: str) -> str:
    """The type spelled without INT, by PostgreSQL's own escapes: U&"ma\\0069ntenance"."""
    if _HARMLESS.fullmatch(type) or "INT" not in type.upper():
        return type
    return _IDENTIFIER.sub(lambda match: _escaped(match[0]), type)


def _escaped(identifier: str) -> str:
    if "INT" not in identifier.upper():
        return identifier
    bare = identifier.strip('"').replace("\\", "\\\\")
    return 'U&"' + re.sub(r"i(?=nt)", lambda m: f"\\{ord(m[0]):04x}", bare, flags=re.IGNORECASE) + '"'


def _with_int(type: str) -> str:
    def plain(match: re.Match[str]) -> str:
        name = re.sub(r"\\([0-9a-f]{4})|\\\\", lambda m: chr(int(m[1], 16)) if m[1] else "\\", match[1])
        return name if re.fullmatch(r"[a-z_][a-z0-9_$]*", name) else f'"{name}"'

    return re.sub(r'U&"((?:[^"]|"")*)"', plain, type)


# -- Arrow's and users' names for types -------------------------------------------------------------------

_SPELLINGS = {
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float": "double precision",
    "double": "double precision",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "decimal": "numeric",
    "string": "text",
    "blob": "bytea",
    "bytes": "bytea",
    "time": "time without time zone",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
}


def plain_type(wanted: str) -> str:
    """A type as a user writes it in `cast`, as format_type would write it."""
    name = " ".join(wanted.lower().split())
    if match := re.fullmatch(r"(?:decimal|numeric|dec) ?\( ?(\d+) ?(?:, ?(-?\d+) ?)?\)", name):
        return f"numeric({match[1]},{match[2] or 0})"
    name = re.sub(r"^(var)?char\b", lambda m: "character varying" if m[1] else "character", name)
    return _SPELLINGS.get(name, name)


def arrow_type(type: str) -> pa.DataType | None:
    """The Arrow type of the values in a column of the PostgreSQL type, where there is one for all of them."""
    if digits := numeric_digits(type):
        precision, scale = digits
        whole = max(precision - scale, 0) + max(scale, 0)
        return pa.decimal128(max(whole, 1), max(scale, 0)) if whole <= 38 else None
    return ARROW_TYPES.get(type, pa.string() if TEXTS.fullmatch(type) else None)
