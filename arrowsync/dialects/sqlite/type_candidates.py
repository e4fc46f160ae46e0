"""The forms in which a column of a user's table can be read, best first: values decide, names are hints.

What its values are is found by type_inference.py, which also sees whether every value has the form chosen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.core.plan import Convert, Fidelity, Form
from arrowsync.core.table import Column
from arrowsync.dialects.sqlite.read_types import affinity, other_than_text
from arrowsync.dialects.sqlite.sql import quote
from arrowsync.errors import Refused
from arrowsync.types import conversions, temporal
from arrowsync.types.kinds import JSON, POSTGRESQL, SQLITE

EXACT = 2**53  # doubles hold every integer up to here


@dataclass(frozen=True, slots=True)
class ValueSummary:
    """The storage classes of a column's values; `big`: integers that a double would change."""

    classes: frozenset[str] = frozenset()
    big: bool = False


def of_column(form: Form, name: str) -> Form:
    """A form over `{}` for the column of that name."""
    quoted = quote(name)
    guard = form.guard and form.guard.replace("{}", quoted)
    return replace(form, select=form.select.replace("{}", quoted), guard=guard)


def is_big(name: str) -> str:
    return f"(typeof({name}) = 'integer' and {name} collate binary not between -{EXACT} and {EXACT})"


# -- hints -------------------------------------------------------------------------------------------------

_HINTS = (
    ("boolean", re.compile(r"BOOL", re.IGNORECASE)),
    ("datetime", re.compile(r"DATETIME|TIMESTAMP", re.IGNORECASE)),
    ("date", re.compile(r"DATE", re.IGNORECASE)),
    ("time", re.compile(r"TIME", re.IGNORECASE)),
    ("uuid", re.compile(r"UUID|GUID|UNIQUEIDENTIFIER", re.IGNORECASE)),
    ("json", re.compile(r"JSON", re.IGNORECASE)),
)
_DECIMAL = re.compile(r"(?:DEC|NUM|MONEY|CURRENCY)\w*\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", re.IGNORECASE)


def _hint(declared: str) -> str:
    return next((hint for hint, pattern in _HINTS if pattern.search(declared)), "")


def _digits(declared: str) -> tuple[int, int] | None:
    """Precision and scale where fifteen digits or fewer make them exact in a double."""
    match = _DECIMAL.search(declared)
    if match is None:
        return None
    precision, scale = int(match[1]), int(match[2] or 0)
    return (precision, scale) if scale <= precision <= 15 else None


# -- candidates --------------------------------------------------------------------------------------------

_TRUE, _FALSE = ("1", "t", "true", "y", "yes", "on"), ("0", "f", "false", "n", "no", "off")
_WORDS = " ".join(f"when '{word}' then {int(word in _TRUE)}" for word in (*_TRUE, *_FALSE))
_NUMERIC = pa.opaque(pa.string(), "numeric", POSTGRESQL)


def _strict_date(array: pa.Array) -> pa.Array:
    dates = pc.cast(array, pa.date32())
    if not conversions.within(dates.view(pa.int32()), temporal.FIRST_DAY, temporal.LAST_DAY):
        raise Refused("a date in year 0")
    return dates


def _strict_timestamp(array: pa.Array, *, zone: str | None) -> pa.Array:
    stamps = pc.cast(array, pa.timestamp("us", zone))
    if not conversions.within(temporal.timestamp_to_raw(stamps), temporal.FIRST_RAW, temporal.LAST_RAW):
        raise Refused("a timestamp outside the years 1 to 9999")
    return stamps


def _strict_time(array: pa.Array) -> pa.Array:
    return temporal.micros_to_time(temporal.text_to_micros(array))


def _integers(arrow: pa.DataType, decode: Convert | None = None) -> Form:
    return Form("{}", pa.int64(), arrow, decode, pin="0")


def _texts(arrow: pa.DataType, decode: Convert) -> Form:
    return Form("{}", pa.string(), arrow, decode, pin="''")


def _decimals(precision: int, scale: int) -> Form:
    decode = partial(conversions.double_to_decimal, precision=precision, scale=scale)
    return Form("{}", pa.float64(), pa.decimal128(precision, scale), decode, pin="0.0")


# Forms by what they make, over `{}`. The last one of a column's candidates takes whatever the summary found.
_BIGINT = _integers(pa.int64())
_BOOLEAN = _integers(pa.bool_(), conversions.to_bool)
_WORDED_BOOLEAN = replace(
    _BOOLEAN,
    select=f"case lower(cast({{}} as text)) {_WORDS} else {{}} end",
    fidelity=Fidelity.WIDENED,
    reason="words for true and false become booleans",
)
_DOUBLE = Form("{}", pa.float64(), pa.float64(), pin="0.0", guard="typeof({}) not in ('real', 'null')")
_REAL = replace(_DOUBLE, guard=None)  # a column of REAL affinity turns integers into doubles itself
_MIXED_DOUBLE = replace(
    _DOUBLE,
    select="cast({} as real)",
    guard=f"typeof({{}}) not in ('real', 'integer', 'null') or {is_big('{}')}",
    fidelity=Fidelity.WIDENED,
    reason="integers among the numbers become doubles",
)
_WORDED_DOUBLE = Form(
    "cast({} as text)",
    pa.string(),
    pa.float64(),
    conversions.text_to_double,
    pin="''",
    guard="typeof({}) = 'blob'",
)
_ANY_NUMERIC = Form(
    "cast({} as text)",
    pa.string(),
    _NUMERIC,
    pin="''",
    guard="typeof({}) not in ('integer', 'real', 'null')",
)
_DATE = _texts(pa.date32(), _strict_date)
_TIMESTAMP = _texts(pa.timestamp("us"), partial(_strict_timestamp, zone=None))
_TIMESTAMPTZ = _texts(pa.timestamp("us", "UTC"), partial(_strict_timestamp, zone="UTC"))
_TIME = _texts(pa.time64("us"), _strict_time)
_UUID = _texts(pa.uuid(), conversions.text_to_uuid)
_JSON = replace(
    _texts(JSON, conversions.utf8), guard="typeof({}) not in ('text', 'null') or not json_valid({})"
)
_TEXT = replace(_texts(pa.string(), conversions.utf8), guard=other_than_text(""))
_MIXED_TEXT = replace(
    _texts(pa.string(), conversions.utf8),
    select="cast({} as text)",
    guard="typeof({}) = 'blob'",
    fidelity=Fidelity.WIDENED,
    reason="numbers among the texts become texts",
)
_BYTES = Form("{}", pa.binary(), pa.binary(), pin="x''", guard="typeof({}) not in ('blob', 'null')")
_MIXED_BYTES = Form(
    "cast({} as blob)",
    pa.binary(),
    pa.binary(),
    pin="x''",
    fidelity=Fidelity.WIDENED,
    reason="texts and numbers among the blobs become bytes",
)

_BY_HINT: Mapping[str, tuple[Form, ...]] = {
    "date": (_DATE, _TIMESTAMP, _TIMESTAMPTZ),
    "datetime": (_TIMESTAMP, _TIMESTAMPTZ),
    "time": (_TIME,),
    "uuid": (_UUID,),
    "json": (_JSON,),
}
_EMPTY = {"INTEGER": _BIGINT, "REAL": _REAL, "TEXT": _TEXT, "NUMERIC": _ANY_NUMERIC}
_EMPTY_BY_HINT = {"boolean": _BOOLEAN, **{hint: forms[0] for hint, forms in _BY_HINT.items()}}


def candidates_for(column: Column, summary: ValueSummary) -> Iterator[Form]:
    """The forms to try, most telling first; the last holds for every value the summary has seen."""
    hint, digits, held = _hint(column.type), _digits(column.type), summary.classes
    own = affinity(column.type)
    decimal = [_decimals(*digits)] if digits else []
    if not held:
        tried = [_EMPTY_BY_HINT[hint]] if hint else decimal
        default = _BYTES if column.type.upper() == "BLOB" else _EMPTY.get(own, _TEXT)
        tried = tried[:1] or [default]
    elif "blob" in held:
        tried = [_BYTES if held == {"blob"} else _MIXED_BYTES]
    elif held == {"integer"}:
        tried = [*([_BOOLEAN] if hint == "boolean" else decimal), _BIGINT]
    elif held <= {"integer", "real"}:
        tried = [*decimal, _numbers(own, summary)]
    elif held == {"text"}:
        tried = [*([_WORDED_BOOLEAN] if hint == "boolean" else _BY_HINT.get(hint, ())), _TEXT]
    else:
        words = [_WORDED_BOOLEAN] if hint == "boolean" else [_WORDED_DOUBLE] if own == "REAL" else []
        tried = [*words, _MIXED_TEXT]
    yield from (of_column(_lightened(form, own), column.name) for form in tried)


def _lightened(form: Form, own: str) -> Form:
    """Text with a guard no dearer than its column needs."""
    return replace(form, guard=other_than_text(own)) if form == _TEXT else form


def _numbers(own: str, summary: ValueSummary) -> Form:
    if own == "REAL":
        return _REAL
    if own == "NUMERIC" or summary.big:
        return _ANY_NUMERIC
    return _DOUBLE if summary.classes == {"real"} else _MIXED_DOUBLE


# -- SQLite's own values, for another SQLite ---------------------------------------------------------------

_NATIVE: Mapping[str, Form] = {
    "integer": replace(_BIGINT, arrow=pa.opaque(pa.int64(), "integer", SQLITE)),
    "real": replace(_DOUBLE, arrow=pa.opaque(pa.float64(), "real", SQLITE)),
    "text": replace(_TEXT, arrow=pa.opaque(pa.string(), "text", SQLITE)),
    "blob": replace(_BYTES, arrow=pa.opaque(pa.binary(), "blob", SQLITE)),
}
# A column of NUMERIC affinity turns whole doubles back into integers, as it did when they came.
_NATIVE_NUMBERS = replace(
    _MIXED_DOUBLE,
    select="{}",
    arrow=pa.opaque(pa.float64(), "real", SQLITE),
    fidelity=Fidelity.EXACT,
    reason="",
)
# One letter for the class, then the value. Text as hex: SQL cuts text at U+0000 and Arrow wants UTF-8.
# atan2 is what tells −0.0 from 0.0 here; its text is 0.0 too. A union, so that no other sink takes it.
_ANY = pa.dense_union(
    [
        pa.field("integer", pa.int64()),
        pa.field("real", pa.float64()),
        pa.field("text", pa.string()),
        pa.field("blob", pa.binary()),
    ]
)
_TAGGED = Form(
    "case typeof({}) when 'integer' then 'i' || {} when 'text' then 't' || hex({}) "
    "when 'blob' then 'b' || hex({}) "
    "when 'real' then case when {} = 0.0 and atan2({}, -1) < 0 then 'z' else 'r' || {} end end",
    pa.string(),
    pa.opaque(_ANY, "any", SQLITE),
    pin="''",
)


def natives(column: Column, summary: ValueSummary, *, tagged: bool) -> Iterator[Form]:
    """Values with their storage classes: straight where there is one class, tagged where there are more."""
    held = summary.classes
    if len(held) <= 1:
        yield of_column(_NATIVE[next(iter(held), "integer")], column.name)
    elif held == {"integer", "real"} and not summary.big and affinity(column.type) in ("NUMERIC", "INTEGER"):
        yield of_column(_NATIVE_NUMBERS, column.name)
    if tagged:
        yield of_column(_TAGGED, column.name)
