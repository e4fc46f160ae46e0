"""PostgreSQL's types as a sink: how a column of each takes what a form delivers, and which type fits a form.

Binary COPY converts nothing: what has the right width is stored as it is, an int64 in a double among them. So
every array is brought to its column's own Arrow type before the driver sees it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from arrowsync.core.plan import Convert, Fidelity, Form, Storage
from arrowsync.core.transfer import Nul
from arrowsync.dialects.postgresql import encoders
from arrowsync.dialects.postgresql.read_types import READS, fast_decimal
from arrowsync.dialects.postgresql.takes import DOMAIN_TAKES, JSON_VALUE, NEAREST, RAW, TAKES, TEXT_IS_PLAIN
from arrowsync.dialects.postgresql.typename import TypeName
from arrowsync.types import conversions
from arrowsync.types.kinds import NESTED, POSTGRESQL, encoded, kind
from arrowsync.types.sql_types import ARROW_TYPES, sql_type

NUMERIC_WIRE = (
    "pg_temp.arrowsync_numeric"  # a domain over numeric: the driver sends numeric's own bytes only there
)


@dataclass(frozen=True, slots=True)
class Target:
    """The type of a target column, and what its values were at first. `base` lies under a domain."""

    type: TypeName
    base: TypeName
    origin: str = ""
    enum: bool = False
    cast: bool = False  # the user asked for this type: conversions that drop a spelling are wanted

    @property
    def domain(self) -> bool:
        return self.type != self.base


_WIDER = Fidelity.WIDENED

# -- from a form to its storage ----------------------------------------------------------------------------


def store(form: Form, target: Target) -> Storage | None:
    """How a column of that type takes what the form delivers; None where it does not."""
    storage = _store(form, target)
    if storage is None or storage.staging or storage.arrow != pa.string():
        return storage
    return _within_length(storage, target.base)


def _within_length(storage: Storage, type: TypeName) -> Storage:
    """Refuse longer texts: blanks beyond the length would be cut off without a word."""
    if type.bare != "character varying" or not type.modifiers:
        return storage
    guard = partial(encoders.not_longer, characters=type.modifiers[0])
    return replace(
        storage,
        encode=partial(conversions.in_turn, first=storage.encode, then=guard) if storage.encode else guard,
    )


def _store(form: Form, target: Target) -> Storage | None:
    arrow = form.arrow
    if (values := encoded(arrow)) is not None:
        inner = _store(replace(form, arrow=values), target)
        return inner and replace(inner, encode=partial(encoders.decoded, then=inner.encode))
    if isinstance(arrow, pa.OpaqueType):
        if arrow.vendor_name == POSTGRESQL:
            return _store_native(TypeName.parse(arrow.type_name), arrow.storage_type, target)
        return _store(replace(form, arrow=arrow.storage_type), target)
    return _store_plain(arrow, target)


def _store_native(name: TypeName, storage: pa.DataType, target: Target) -> Storage | None:
    """PostgreSQL's own text, bytes or numbers of a type."""
    if storage == pa.string():
        return _store_words(name, target)
    if name.cast != target.base.cast:
        return None
    if storage == pa.binary():
        return _store_wire(name, target)
    if name.bare not in RAW:
        return None
    return _keeping_digits(RAW[name.bare], name, target)


def _store_wire(name: TypeName, target: Target) -> Storage | None:
    if not target.base.holds(name):
        return None  # the server would round a numeric or an interval to the column's digits without a word
    if name.cast == "numeric" and not target.domain:
        return Storage(pa.binary(), staging=NUMERIC_WIRE, insert="{}::numeric")
    return Storage(pa.binary(), encoders.finite_interval if name.cast == "interval" else None)


def _store_words(name: TypeName, target: Target) -> Storage | None:
    """The text of a type: into its own type through a staging column, into a text column as it is."""
    if name.cast in (target.type.cast, target.base.cast):
        return _staged(target, exact=target.base.holds(name))
    if target.base.cast in ("text", "character varying"):
        return Storage(pa.string(), None, fidelity=_WIDER, reason=f"{name} as text")
    # The server reads text liberally ('now', '0x1A', a timestamp as its date): where there is a plain form,
    # its strict conversion has the last word.
    strict = name.bare in READS and target.base.bare in (*TAKES, "numeric") and not target.base.array
    if target.cast and name.cast == "numeric" and target.base.cast in ("real", "double precision"):
        return replace(_staged(target, exact=False), fidelity=Fidelity.LOSSY, reason=NEAREST)
    if target.cast and not strict:
        return replace(_staged(target, exact=False), fidelity=_WIDER, reason=f"{name} as {target.type}")
    return None


def _staged(target: Target, *, exact: bool) -> Storage:
    """Text that the server reads into the type, without its modifiers: `::varchar(3)` would cut silently."""
    bare = target.type.cast
    value = f"{{}}::{bare}" if _reads_text(target.type) else _through_input(bare)
    if bare in _READ_BY_ANOTHER:
        value = f"{{}}::{_READ_BY_ANOTHER[bare]}::{bare}"
    if not exact and (target.base.modifiers or target.base.fields or target.base.bare == '"char"'):
        # An error that holds the value: PostgreSQL has no expression that raises one.
        complaint = f"({{}} || ' is no {str(target.type).replace(chr(39), chr(39) * 2)}')::int::text::{bare}"
        value = f"case when {_unchanged(target.base)} or {{}} is null then {value} else {complaint} end"
    return Storage(pa.string(), staging="text", insert=value)


def _unchanged(type: TypeName) -> str:
    """Whether the type's digits or fields keep the text's value; under a domain its cast cuts as silently."""
    if type.bare == '"char"':
        return f"{{}}::{type.cast}::text{'[]' * type.array} = {{}}::text{'[]' * type.array}"
    # 1 year 1 mon -30 days equals 1 year: only their texts differ.
    compared = "::text" if type.bare == "interval" else ""
    return f"{{}}::{type.cast}::{type}{compared} = {{}}::{type.cast}{compared}"


_READ_BY_ANOTHER = {
    "regproc": "regprocedure",
    "regoper": "regoperator",
}  # these read the names of overloaded ones


def _reads_text(type: TypeName) -> bool:
    """Whether `text::type` is the type's input function; for reg* and users' types it may be another."""
    return type.array or (type.is_builtin and not type.bare.startswith("reg"))


def _through_input(bare: str) -> str:
    quoted = """replace(replace({}, '\\', '\\\\'), '"', '\\"')"""
    return f"""(('{{"' || {quoted} || '"}}')::{bare}[])[1]"""


def _store_plain(arrow: pa.DataType, target: Target) -> Storage | None:
    name = kind(arrow)
    if name == "null":
        return Storage(pa.null())
    if target.enum and name == "text":
        return Storage(pa.string(), encoders.plain_text)
    strange = target.base.array or target.base.bare not in TEXT_IS_PLAIN
    if strange and target.cast and name == "text":
        reason = f"text as {target.type}, as the server reads it"
        return replace(
            _staged(target, exact=False), encode=encoders.plain_text, fidelity=_WIDER, reason=reason
        )
    if name in NESTED or target.base.array:
        return _store_list(arrow, target)
    if target.base.bare == "numeric":
        return _store_numeric(arrow, name, target)
    take = TAKES.get(target.base.bare, {}).get(name)
    if take is None or (take.ask and not target.cast):
        return None
    if take.staged or (target.domain and target.base.bare not in DOMAIN_TAKES):
        return _staged_text(name, target)
    if target.base.bare == "bpchar" and name == "text" and not _padded(target):
        return _padding(target)
    fidelity, reason = take.fidelity, take.reason
    if target.base.bare == "jsonb" and name == "json" and target.origin != "jsonb":
        fidelity, reason = _WIDER, JSON_VALUE
    if take.ask and fidelity is Fidelity.EXACT:
        fidelity, reason = _WIDER, f"{name} as {target.type}, as the cast says"
    return _keeping_digits(Storage(take.arrow, take.encode, None, "{}", fidelity, reason), None, target)


def _padded(target: Target) -> bool:
    """Whether the values come from such a column, where blanks at the end mean nothing already."""
    return target.origin == str(target.type) or re.match(r"bpchar|character\(", target.origin) is not None


def _padding(target: Target) -> Storage:
    """Any other text; blanks at its end would be taken for padding."""
    length = target.base.modifiers[0] if target.base.modifiers else None
    encode = partial(encoders.ending_in_no_blank, length=length)
    reason = f"{target.base} pads texts with blanks, which do not count"
    return Storage(pa.string(), encode, fidelity=_WIDER, reason=reason)


_AS_TEXT = {
    "text": encoders.plain_text,
    "json": encoders.plain_text,
    "decimal": conversions.decimal_to_text,
    "int": encoders.number_to_text,
    "uint64": encoders.number_to_text,
}


def _staged_text(name: str, target: Target) -> Storage | None:
    return replace(_staged(target, exact=True), encode=_AS_TEXT[name]) if name in _AS_TEXT else None


def _store_numeric(arrow: pa.DataType, name: str, target: Target) -> Storage | None:
    if name in ("int", "uint64"):
        rounds = target.base.modifiers[1:] and target.base.modifiers[1] < 0
        if target.domain or rounds:
            return replace(_staged(target, exact=False), encode=_AS_TEXT[name])
        return Storage(arrow)
    if name == "decimal":
        return _store_decimal(arrow, target)
    if not target.cast or name not in ("text", "float"):
        return None
    staged = replace(_staged(target, exact=False), fidelity=_WIDER)
    if name == "text":
        reason = f"text as {target.type}, as the cast says"
        return replace(staged, encode=encoders.number_text, reason=reason)
    precision, scale = (*target.base.modifiers, 0, 0)[:2]
    if target.domain or not 0 < precision <= 15 or scale < 0:
        return replace(staged, encode=encoders.float_to_text, reason="the shortest decimal of each number")
    nearest = partial(conversions.double_to_decimal, precision=precision, scale=scale)
    return Storage(
        pa.decimal128(precision, scale),
        partial(conversions.in_turn, first=encoders.double, then=nearest),
        fidelity=_WIDER,
        reason="the decimal nearest to each number",
    )


def _store_decimal(arrow: pa.DataType, target: Target) -> Storage | None:
    """Straight where the driver is fast and the column restores the trailing zeros it drops; else as text."""
    mine = fast_decimal(target.base)
    if mine is None or target.domain or not pa.types.is_decimal128(arrow):
        written = TypeName("numeric", (arrow.precision, arrow.scale))
        return replace(_staged(target, exact=target.base.holds(written)), encode=conversions.decimal_to_text)
    if target.base.modifiers[1:] and target.base.modifiers[1] < 0:
        written = TypeName("numeric", (arrow.precision, arrow.scale))
        same = arrow == mine  # read from such a column: whole hundreds, which COPY stores as they are
        return (
            Storage(arrow)
            if same
            else replace(_staged(target, exact=False), encode=conversions.decimal_to_text)
        )
    if arrow.scale <= mine.scale:
        return Storage(arrow)
    return Storage(mine, partial(conversions.to_scale, type=mine))


def _store_list(arrow: pa.DataType, target: Target) -> Storage | None:
    """Lists whose items the driver writes as the array's element type wants them."""
    if kind(arrow) != "list":
        return None
    item = _LIST_ITEMS.get(target.base.bare)
    if not target.base.array or item is None or target.domain or kind(arrow.value_type) != kind(item):
        return None
    lists = pa.list_(item)
    return Storage(lists, partial(conversions.to_integer, type=lists))


# The driver writes no lists of the others.
_LIST_ITEMS = {
    name: type for name, type in ARROW_TYPES.items() if name not in ("time without time zone", "uuid", "json")
}


def _keeping_digits(storage: Storage, name: TypeName | None, target: Target) -> Storage | None:
    """Refuse the times that the column's precision would round."""
    base = target.base
    if base.fields:
        return None  # an interval of years or days alone: the server would cut a duration to them
    timed = " time zone" in base.bare or base.bare == "interval"
    if not timed or not base.modifiers or (name and base.holds(name)):
        return storage
    whole = partial(encoders.keeping_steps, step=10 ** (6 - base.modifiers[0]))
    encode = partial(conversions.in_turn, first=storage.encode, then=whole) if storage.encode else whole
    return replace(storage, encode=encode)


def watching_nul(storage: Storage, column: str, nul: Nul) -> Storage:
    """The storage for text that may hold U+0000, which PostgreSQL cannot store."""
    guard: Convert = (
        conversions.strip_nul if nul is Nul.STRIP else partial(conversions.without_nul, column=column)
    )
    encode = partial(conversions.in_turn, first=storage.encode, then=guard) if storage.encode else guard
    watching = replace(storage, encode=encode)
    if nul is not Nul.STRIP:
        return watching
    reason = "U+0000 is taken out of texts, as nul says"
    return replace(watching, fidelity=Fidelity.LOSSY, reason=reason, agreed=True)


# -- the type of a new column ------------------------------------------------------------------------------


def derive(arrow: pa.DataType) -> TypeName | None:
    """The type that holds every value of an Arrow type; None where PostgreSQL has none."""
    if kind(arrow) != "list":
        return TypeName.parse(name) if (name := sql_type(arrow)) else None
    if (values := encoded(arrow)) is not None:
        return derive(values)
    if isinstance(arrow, pa.OpaqueType):
        return derive(arrow.storage_type)
    item = derive(arrow.value_type)
    # Lists of lists need not all be as long as an array wants them.
    if item is None or item.array or kind(arrow.value_type) != kind(_LIST_ITEMS.get(item.bare, pa.null())):
        return None
    return replace(item, array=True) if item.bare in _LIST_ITEMS else None
