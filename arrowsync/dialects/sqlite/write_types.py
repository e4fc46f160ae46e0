"""What SQLite stores of the arrays that forms deliver, and what a column's affinity makes of it."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.core.plan import Convert, Fidelity, Storage
from arrowsync.dialects.sqlite.read_types import TEXTS, affinity, number_of
from arrowsync.errors import Refused
from arrowsync.types import casts, conversions, temporal
from arrowsync.types.kinds import NESTED, encoded, kind
from arrowsync.types.spelling import json_text
from arrowsync.types.sql_types import sql_type

# -- storing -----------------------------------------------------------------------------------------------


def _dates(array: pa.Array) -> pa.Array:
    return temporal.days_to_text(temporal.date_to_days(pc.cast(array, pa.date32())))


def _timestamps(array: pa.Array, *, zone: str) -> pa.Array:
    return temporal.raw_to_text(temporal.plain_timestamp_to_raw(array), zone=zone)


def _times(array: pa.Array) -> pa.Array:
    return temporal.micros_to_text(temporal.time_to_micros(array))


def _spelled(array: pa.Array) -> pa.Array:
    return pc.cast(conversions.storage(array), pa.string())


def _bytes_of(array: pa.Array) -> pa.Array:
    return pc.cast(conversions.storage(array), pa.binary())


def _decoded(array: pa.Array, *, then: Convert | None) -> pa.Array:
    plain = conversions.storage(array)
    return then(plain) if then else plain


# The text on the way to a REAL: the driver binds NaN as NULL, and a REAL column turns −0.0 into 0.0.
_ODD_DOUBLES = (
    "case {} when 'nan' then 'NaN' when '-0' then x'2d302e30' when 'inf' then 9e999 when '-inf' then -9e999 "
    "else cast({} as real) end"
)
_AS_IT_COMES = {"int", "bool", "number"}
_ENCODERS: dict[str, tuple[pa.DataType, Convert]] = {
    "uint64": (pa.string(), _spelled),
    "decimal": (pa.string(), conversions.decimal_to_text),
    "text": (pa.string(), _spelled),
    "words": (pa.string(), conversions.storage),
    "json": (pa.string(), _spelled),
    "uuid": (pa.string(), conversions.uuid_to_text),
    "bytes": (pa.binary(), _bytes_of),
    "date": (pa.string(), _dates),
    "days": (pa.string(), temporal.days_to_text),
    "time": (pa.string(), _times),
    "micros": (pa.string(), temporal.micros_to_text),
    "timestamp": (pa.string(), partial(_timestamps, zone="")),
    "timestamptz": (pa.string(), partial(_timestamps, zone="Z")),
    "raw": (pa.string(), temporal.raw_to_text),
    "rawtz": (pa.string(), partial(temporal.raw_to_text, zone="Z")),
    "duration": (pa.string(), temporal.duration_to_text),
    "null": (pa.string(), _spelled),
}
_NESTED = Storage(pa.string(), json_text, fidelity=Fidelity.WIDENED, reason="nested values become JSON text")


_DECIMALS = {
    pa.int64(): Storage(pa.int64(), conversions.decimal_to_integer),
    pa.float64(): Storage(pa.float64(), conversions.decimal_to_double),
}


def storages(arrow: pa.DataType, type: str = "") -> tuple[Storage, ...]:
    """The ways to keep what a form delivers, best first: in any column, or in one of the PostgreSQL type."""
    if (inner := encoded(arrow)) is not None:
        return tuple(
            Storage(s.arrow, partial(_decoded, then=s.encode), s.staging, s.insert)
            for s in storages(inner, type)
        )
    name = kind(arrow)
    if name == "decimal" and (number := number_of(type)) is not None:
        return (_DECIMALS[number],)
    if name == "float":
        straight = Storage(pa.float64(), conversions.ordinary_double)
        return straight, Storage(pa.string(), conversions.double_to_text, "TEXT", _ODD_DOUBLES)
    if name in _AS_IT_COMES:
        return (Storage(arrow.storage_type if isinstance(arrow, pa.OpaqueType) else arrow),)
    if name in NESTED:
        return (_NESTED,)
    return (Storage(*_ENCODERS[name]),) if name in _ENCODERS else ()


# -- people's columns as targets ---------------------------------------------------------------------------

_CLASS = {"int": "integer", "bool": "integer", "number": "integer", "float": "real"}
_CLASS |= {"decimal": "decimal", "uint64": "decimal", "bytes": "blob"}
_NEVER_NUMBERS = {
    "date",
    "days",
    "time",
    "micros",
    "timestamp",
    "timestamptz",
    "raw",
    "rawtz",
    "uuid",
    "null",
}
_NUMBER_TYPES = re.compile(r"smallint|integer|bigint|real|double precision|boolean|money|oid|xid|cid")
_NUMBER_LIKE = r"^[ \t\n\v\f\r]*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?[ \t\n\v\f\r]*$"


def _unlike_numbers(array: pa.Array, *, first: Convert | None) -> pa.Array:
    """Text that no affinity would turn into a number: '007' becomes 7 in a column declared INTEGER."""
    text = first(array) if first else array
    number = pc.match_substring_regex(text, _NUMBER_LIKE)
    conversions.refuse_unless(pc.invert(number), text, "would become a number in this column")
    return text


def _few_digits(array: pa.Array) -> pa.Array:
    """Decimals, or their text, of at most fifteen digits, which a double keeps."""
    text = conversions.storage(array)
    if not pa.types.is_string(text.type):
        text = conversions.decimal_to_text(
            conversions.to_scale(text, pa.decimal128(38, getattr(text.type, "scale", 0)))
        )
    conversions.refuse_unless(
        pc.match_substring_regex(text, r"^-?[0-9]+(\.[0-9]+)?$"), text, "is no number here"
    )
    digits = pc.utf8_length(pc.utf8_ltrim(pc.replace_substring(text, ".", ""), "-0"))
    few = pc.less_equal(digits, conversions.same(15, digits))
    conversions.refuse_unless(few, text, "has more than fifteen digits, which this column keeps")
    return text


def _exact_double(array: pa.Array) -> pa.Array:
    return casts.cast_exactly(conversions.storage(array), type=pa.float64())


_UNTAGGED = (
    "case substr({}, 1, 1) when 'i' then cast(substr({}, 2) as integer) when 'b' then unhex(substr({}, 2)) "
    "when 't' then case hex(cast('a' as blob)) when '61' then cast(unhex(substr({}, 2)) as text) "
    # An error that says why: raise() is for triggers only, and rows are sorted without one.
    "else json_extract('[]', 'mixed columns go into UTF-8 files only' || substr({}, 1, 0)) end "
    "when 'z' then -0.0 when 'r' then case {} when 'rInf' then 9e999 when 'r-Inf' then -9e999 "
    "else cast(substr({}, 2) as real) end end"
)


_SPACES = "(20|09|0A|0B|0C|0D)*"
_HEX_NUMBER = (  # _NUMBER_LIKE of a text that comes as hex
    f"^t{_SPACES}(2B|2D)?((3[0-9])+(2E(3[0-9])*)?|2E(3[0-9])+)([46]5(2B|2D)?(3[0-9])+)?{_SPACES}$"
)


def _keeping_classes(array: pa.Array, *, own: str) -> pa.Array:
    """Tagged values that a column of that affinity stores in the class they have."""
    if own == "TEXT":
        changed = pc.match_substring_regex(array, "^[irz]")
    else:
        changed = pc.match_substring_regex(
            array, f"^i|^z$|{_HEX_NUMBER}" if own == "REAL" else f"^z$|{_HEX_NUMBER}"
        )
        if own != "REAL":
            changed = pc.or_(changed, _whole_reals(array))
    if pc.any(changed).as_py():
        raise Refused(f"a value that would change its storage class in a column of {own} affinity")
    return array


def _whole_reals(array: pa.Array) -> pa.Array:
    real = pc.starts_with(array, "r")
    values = pc.if_else(real, pc.utf8_slice_codeunits(array, start=1), pa.scalar(None, pa.string()))
    numbers = pc.cast(values, pa.float64())
    small = pc.less_equal(pc.abs(numbers), conversions.same(2.0**63, numbers))
    whole = pc.and_(pc.equal(pc.floor(numbers), numbers), small)
    return pc.fill_null(whole, False)


def storages_by_affinity(arrow: pa.DataType, declared: str, *, same: bool) -> tuple[Storage, ...]:
    """The ways into a column that people declared; `same`: the values come from one of the same affinity.

    What the column's affinity would change is refused, not stored as something else.
    """
    own, name = affinity(declared), kind(arrow)
    if name == "sqlite any":
        keeping = None if same or own == "BLOB" else partial(_keeping_classes, own=own)
        return (Storage(pa.string(), keeping, staging="TEXT", insert=_UNTAGGED),)
    if name.startswith("sqlite "):
        if same:
            return (Storage(arrow.storage_type),)
        arrow = arrow.storage_type
    if name == "words":
        return _words_into(arrow.type_name, own)
    return tuple(_into(own, kind(arrow), storage) for storage in storages(arrow)[:1])


def _words_into(type: str, own: str) -> tuple[Storage, ...]:
    """PostgreSQL's text of a type; that of numbers comes as numbers, too, but for numeric."""
    if own not in ("TEXT", "BLOB"):
        if type.startswith("numeric") and not type.endswith("]"):
            return (Storage(pa.string(), _few_digits),)
        if _NUMBER_TYPES.fullmatch(type):
            return ()
        return (Storage(pa.string(), partial(_unlike_numbers, first=conversions.storage)),)
    if TEXTS.fullmatch(type):
        return (Storage(pa.string(), conversions.storage),)
    return (
        Storage(pa.string(), conversions.storage, fidelity=Fidelity.WIDENED, reason=f"{type} becomes text"),
    )


def _into(own: str, name: str, storage: Storage) -> Storage:
    """The storage with what a column of that affinity asks of it."""
    held = _CLASS.get(name, "text")
    if own == "TEXT" and held in ("integer", "real"):
        spelled = conversions.double_to_text if held == "real" else _spelled
        return Storage(pa.string(), spelled, fidelity=Fidelity.WIDENED, reason="numbers become text")
    if own in ("TEXT", "BLOB") or held == "blob" or name in _NEVER_NUMBERS:
        return storage
    if held == "integer":
        return Storage(pa.float64(), _exact_double) if own == "REAL" else storage
    if held == "decimal":
        return Storage(pa.string(), _few_digits)
    if held == "text":
        return replace(storage, encode=partial(_unlike_numbers, first=storage.encode))
    return storage


# -- the type of a new column for values that have none of their own --------------------------------------


def derive(arrow: pa.DataType) -> str | None:
    """The PostgreSQL type whose column keeps all values of an Arrow type."""
    return "json" if kind(arrow) in NESTED else sql_type(arrow)
