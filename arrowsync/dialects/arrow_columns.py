"""Columns of Arrow data at rest: what files and frames keep of a column, and the forms in which it is read.

A column that came from a database keeps its type there in its field's metadata, so that it can go home. What
no Arrow type holds exactly is kept as text: all that only PostgreSQL knows, and values beyond the usual type
of their column (infinity, 24:00, NaN), whose partition then has text where others have the type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import pyarrow as pa

from arrowsync.core.plan import ColumnPlan, Convert, Fidelity, Form
from arrowsync.core.receipts import REASONS, REASONS_KEY
from arrowsync.core.table import Column, NativeType
from arrowsync.dialects.arrow_types import DIALECT, plain
from arrowsync.errors import Refused
from arrowsync.types import conversions, temporal
from arrowsync.types.kinds import JSON, NESTED, POSTGRESQL, is_vendors, kind
from arrowsync.types.spelling import exactly, parse, spell, spell_interval, to_json

ORIGIN = b"arrowsync.origin"  # a field's "postgresql numeric(10,2)": dialect and type at home
BASE = b"arrowsync.base"  # the built-in type under that domain
WORDS = b"arrowsync.words"  # the PostgreSQL type whose text the column holds
_UNNAMED_LEVEL = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column as files or frames keep it: what its values are, and what they were at home.

    `words` names the PostgreSQL type whose text it holds; with another `type` than string, or with `texts`,
    only some files hold text, where values did not fit the type.
    """

    name: str
    type: pa.DataType
    nullable: bool = True
    origin: NativeType | None = None
    base: str | None = None
    words: str | None = None
    texts: bool = False
    imprecise: bool = False  # INT96, of which only microseconds are read
    written: str = ""  # the type as it is spelled in the file

    @classmethod
    def of(cls, field: pa.Field, *, imprecise: bool = False) -> StoredColumn:
        marks = {key: value.decode() for key, value in (field.metadata or {}).items()}
        dialect, _, name = marks.get(ORIGIN, "").partition(" ")
        spelt = is_vendors(field.type, POSTGRESQL)
        return cls(
            field.name,
            plain(field.type),
            field.nullable,
            NativeType(dialect, name) if name else None,
            marks.get(BASE),
            marks.get(WORDS)
            or (field.type.type_name if spelt and plain(field.type) == pa.string() else None),
            imprecise=imprecise,
            written=_spelt(field.type),
        )

    def field(self) -> pa.Field:
        marks = {
            ORIGIN: f"{self.origin.dialect} {self.origin.name}" if self.origin else None,
            BASE: self.base,
            WORDS: self.words,
        }
        return pa.field(self.name, self.type, self.nullable, {k: v for k, v in marks.items() if v} or None)

    def column(self) -> Column:
        spelt = self.written or _spelt(self.type)
        return Column(
            self.name, spelt, self.origin or NativeType(DIALECT, spelt), self.nullable, base=self.base
        )

    def merged(self, other: StoredColumn, *, ours: bool) -> StoredColumn | None:
        """One column for two files; None where they differ. `ours`: arrowsync wrote both."""
        both = replace(self, nullable=self.nullable or other.nullable, texts=self.texts or other.texts)
        if self.type == other.type:
            same = self.words == other.words
            return both if same else replace(both, words=(self.words or other.words) if both.texts else None)
        if "null" in (kind(self.type), kind(other.type)):
            return replace(other if kind(self.type) == "null" else self, nullable=True)
        if ours and (type := _retold(self.type, other.type)):
            return replace(both, type=type)
        if ours and pa.string() in (self.type, other.type):
            typed, text = (other, self) if self.type == pa.string() else (self, other)
            return replace(typed, nullable=both.nullable, words=text.words or typed.words, texts=True)
        return None


def _retold(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type of two files where pandas has written one of them anew.

    It makes floats of integers beside NULL, and each file's decimals as wide as its longest one.
    """
    kinds = {kind(one), kind(other)}
    if kinds in ({"int", "float"}, {"uint64", "float"}):
        return other if kind(one) == "float" else one
    if kinds != {"decimal"}:
        return None
    scale = max(one.scale, other.scale)
    digits = max(one.precision - one.scale, other.precision - other.scale) + scale
    return pa.decimal128(digits, scale) if digits <= 38 else None


def _spelt(type: pa.DataType) -> str:
    if isinstance(type, pa.BaseExtensionType):
        return str(type.extension_name).removeprefix("arrow.")
    return str(type)


def quarantine_columns(schema: pa.Schema) -> set[str]:
    """What quarantined rows have beside their own columns; nothing where they are no such rows.

    The file says which; but polars and pandas, with which people repair rows, write it without that word, and
    pandas with an index that it made up.
    """
    metadata = schema.metadata or {}
    if named := metadata.get(REASONS_KEY.encode()):
        return set(json.loads(named))
    found = {
        reason: max((name for name in schema.names if name.rstrip("_") == reason), key=len, default="")
        for reason in REASONS
    }
    return {*found.values(), *_unnamed_index(metadata)} if all(found.values()) else set()


def _unnamed_index(metadata: Mapping[bytes, bytes]) -> list[str]:
    """The columns that pandas makes of an index without a name."""
    index = json.loads(metadata.get(b"pandas", b"{}")).get("index_columns", [])
    return [name for name in index if isinstance(name, str) and _UNNAMED_LEVEL.fullmatch(name)]


_INTERVAL = pa.opaque(pa.string(), "interval", POSTGRESQL)


class Raw(NamedTuple):
    """PostgreSQL's own numbers of a type, and their text."""

    storage: pa.DataType
    from_text: Convert
    to_text: Convert


_RAW = {
    "date": Raw(pa.int32(), temporal.text_to_days, temporal.days_to_text),
    "time": Raw(pa.int64(), temporal.text_to_micros, temporal.micros_to_text),
    "timestamp": Raw(pa.int64(), temporal.text_to_raw, temporal.raw_to_text),
    "timestamptz": Raw(
        pa.int64(), partial(temporal.text_to_raw, zone="Z"), partial(temporal.raw_to_text, zone="Z")
    ),
}


def raw(type_name: str) -> Raw | None:
    if type_name.endswith("[]"):
        return None
    zone = "tz" if type_name.endswith("with time zone") else ""
    return _RAW.get(type_name.split("(")[0].split(" ")[0] + zone)


def forms(column: StoredColumn) -> tuple[Form, ...]:
    """The ways to read a column, best first; readers bring every file's array to `Form.read`."""
    name, type, words = column.name, column.type, column.words
    as_it_is = Form(name, type, type)
    if kind(type) == "interval":
        # Never as it is: neither Parquet nor the client's hashing knows months, days and nanoseconds.
        return (replace(as_it_is, arrow=_INTERVAL, decode=spell_interval),)
    if column.imprecise:
        as_it_is = replace(
            as_it_is, fidelity=Fidelity.WIDENED, reason="INT96 times are read to the microsecond"
        )
    if words is None and not column.texts:
        return (*_as_numbers(column), as_it_is, *_in_other_words(as_it_is))
    text: tuple[Form, ...] = (Form(name, pa.string(), pa.string()),)
    if words is not None:
        text = (Form(name, pa.string(), pa.opaque(pa.string(), words, POSTGRESQL)), *text)
        if numbers := raw(words):
            arrow = pa.opaque(numbers.storage, words, POSTGRESQL)
            text = (Form(name, pa.string(), arrow, numbers.from_text), *text)
        if words == "money":  # the text is the file's, but SQLite keeps the number
            text = (
                Form(name, pa.string(), pa.opaque(pa.int64(), words, POSTGRESQL), conversions.text_to_cents),
                *text,
            )
    return text if type == pa.string() else (as_it_is, *text)


def _as_numbers(column: StoredColumn) -> tuple[Form, ...]:
    """PostgreSQL's own numbers, of types that Arrow has no other name for."""
    home = column.origin if column.origin and column.origin.dialect == "postgresql" else None
    name = column.base or (home and home.name)
    if home is None or column.type != pa.int64() or name not in ("oid", "xid", "cid", "money"):
        return ()
    return (Form(column.name, column.type, pa.opaque(column.type, name, POSTGRESQL)),)


def _in_other_words(form: Form) -> tuple[Form, ...]:
    """For sinks without such a type, and for `cast`."""
    if kind(form.read) == "duration":
        return (replace(form, arrow=_INTERVAL, decode=temporal.duration_to_text),)
    wider: tuple[pa.DataType, Convert, str]
    if kind(form.read) in NESTED:
        wider = JSON, to_json, "nested values as JSON"
    elif getattr(form.read, "unit", "") == "ns":
        wider = pa.string(), partial(spell, type=form.read), "nanoseconds as text"
    else:
        return ()
    arrow, decode, reason = wider
    return (replace(form, arrow=arrow, decode=decode, fidelity=Fidelity.WIDENED, reason=reason),)


def bring(batch: pa.RecordBatch, columns: Sequence[ColumnPlan]) -> pa.RecordBatch:
    """The plan's columns of a batch as it was stored, each as its `Form.read`. Raises Refused."""
    return bring_arrays([batch.column(column.route.form.select) for column in columns], columns)


def bring_arrays(stored: Sequence[pa.Array], columns: Sequence[ColumnPlan]) -> pa.RecordBatch:
    """The same of arrays that stand in the columns' order."""
    arrays = []
    for array, column in zip(stored, columns, strict=True):
        try:
            arrays.append(_brought(array, column.route.form.read))
        except Refused as refused:
            raise refused.at(column=column.source.name) from None
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise Refused(str(error).partition("\n")[0], column=column.source.name) from error
    return pa.RecordBatch.from_arrays(arrays, names=[column.source.name for column in columns])


def _brought(array: pa.Array, read: pa.DataType) -> pa.Array:
    if array.type == read:
        return array
    if (usual := plain(array.type)) != array.type:
        array = exactly(array, type=usual)
    if array.type == read:
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), read)
    if array.type == pa.string():
        return parse(array, type=read)
    return spell(array, type=array.type) if read == pa.string() else exactly(array, type=read)
