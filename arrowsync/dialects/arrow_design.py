"""Designs Arrow columns for what another source delivers. Writing them is a format's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from arrowsync.core.contracts import Forms
from arrowsync.core.plan import ColumnPlan, Convert, Fidelity, Form, Route, Storage
from arrowsync.core.table import Column, Key, NativeType, Table, TableName, columns_there
from arrowsync.core.transfer import Transfer
from arrowsync.dialects.arrow_columns import StoredColumn, raw
from arrowsync.dialects.arrow_types import DIALECT, plain, type_named
from arrowsync.errors import ConfigError, SchemaError
from arrowsync.types import conversions
from arrowsync.types.kinds import NESTED, POSTGRESQL, is_vendors, kind
from arrowsync.types.spelling import exactly, parse, parses, spell, spells


def design(
    source: Table, forms: Forms, transfer: Transfer, name: TableName, existing: Sequence[StoredColumn] | None
) -> tuple[Table, tuple[ColumnPlan, ...]]:
    """See Sink.design; `existing` are the columns of the files that rows are added to."""
    if existing is None:
        wanted = [_new(column, forms[column.name], transfer) for column in source.columns]
        table = tuple(want.column() for want in wanted)
    else:
        wanted = _matched(source, existing, transfer)
        table = tuple(want.column() for want in existing)
    if len({want.name for want in wanted}) < len(wanted):
        raise ConfigError("two source columns mean the same target column", hint="See rename")
    columns = tuple(
        ColumnPlan(
            column, want.column(), _routes(forms[column.name], want, column, transfer, existing is None)
        )
        for column, want in zip(source.columns, wanted, strict=True)
    )
    return Table(name, DIALECT, table, kind="file", primary_key=_key(source, transfer)), columns


def _key(source: Table, transfer: Transfer) -> Key | None:
    if source.primary_key is None:
        return None
    return Key(None, tuple(transfer.rename.get(name, name) for name in source.primary_key.columns))


def kept(column: ColumnPlan) -> StoredColumn:
    """The column as this plan's first route fills it."""
    form, storage, target = column.route.form, column.route.storage, column.target
    at_home = target.origin.dialect != DIALECT
    words = _words(form.arrow) if at_home and storage.arrow == pa.string() else None
    return StoredColumn(
        target.name,
        storage.arrow,
        target.nullable,
        target.origin if at_home else None,
        target.base if at_home else None,
        words,
    )


def _new(column: Column, forms: Sequence[Form], transfer: Transfer) -> StoredColumn:
    """A new column: of the type that was asked for, else that of the first form it can hold."""
    name = transfer.rename.get(column.name, column.name)
    if asked := transfer.cast.get(column.name):
        return StoredColumn(name, type_named(asked), column.nullable)
    home = column.origin if column.origin.dialect != DIALECT else None
    # PostgreSQL's own numbers only where there is nothing else: a date is a date to everybody.
    for form in sorted(forms, key=lambda form: _is_raw(form.arrow)):
        words = _words(form.arrow)
        if words is not None:
            origin = home or NativeType("postgresql", words)
            return StoredColumn(name, pa.string(), column.nullable, origin, column.base, words)
        if (type := _plain(form.arrow)) is not None:
            return StoredColumn(name, type, column.nullable, home, column.base)
    raise SchemaError(
        f"no Arrow type holds {column.type}",
        column=column.name,
        hint="Choose one with cast, or leave the column out",
    )


def _routes(
    forms: Sequence[Form], want: StoredColumn, column: Column, transfer: Transfer, new: bool
) -> tuple[Route, ...]:
    asked = column.name in transfer.cast
    routes = [Route(form, storage) for form in forms if (storage := _store(form, want, asked=asked))]
    if asked:
        # Of a date as text, the database's own words say more than the date's.
        routes.sort(key=lambda route: (list(Fidelity).index(route.fidelity), not _words(route.form.arrow)))
    elif new and want.type != pa.string():
        texts = [(form, replace(want, type=pa.string(), words=_words(form.arrow))) for form in forms]
        routes += [
            Route(form, s) for form, text in texts if text.words and (s := _store(form, text, asked=False))
        ]
    if not routes:
        raise SchemaError(
            f"{column.type or 'this column'} does not fit {want.written or want.type}",
            column=column.name,
            hint=f"Choose a type, e.g. cast={{{column.name!r}: 'text'}}, or leave the column out",
        )
    return tuple(routes)


def _matched(source: Table, existing: Sequence[StoredColumn], transfer: Transfer) -> list[StoredColumn]:
    """The existing column of each source column's name. Raises SchemaError."""
    found = [_find(existing, transfer.rename.get(column.name, column.name)) for column in source.columns]
    for want in existing:
        if want not in found and not want.nullable:
            raise SchemaError(
                "the target column takes no NULL, and the source has no such column", column=want.name
            )
    return found


def _find(existing: Sequence[StoredColumn], name: str) -> StoredColumn:
    exact = [want for want in existing if want.name == name]
    found = exact or [want for want in existing if want.name.casefold() == name.casefold()]
    if len(found) == 1:
        return found[0]
    names = [want.name for want in existing]
    raise SchemaError(
        "the target has no such column" if not found else "the target has several such columns",
        column=name,
        hint=f"{columns_there(name, names)}. Use rename, columns or exclude",
    )


# -- from a form to its storage ----------------------------------------------------------------------------


class _Take(NamedTuple):
    """How values of one kind become another; `ask`: only where the user asked for the type."""

    encode: Callable[..., pa.Array] = exactly
    fidelity: Fidelity = Fidelity.EXACT
    reason: str = ""
    ask: bool = True


def _decimal_to_int(array: pa.Array, *, type: pa.DataType) -> pa.Array:
    return pc.cast(conversions.to_scale(array, pa.decimal128(38, 0)), type)


def _float_to_decimal(array: pa.Array, *, type: pa.DataType) -> pa.Array:
    return parse(conversions.double_to_text(array), type=type)


def _to_bool(array: pa.Array, *, type: pa.DataType) -> pa.Array:
    return conversions.to_bool(array)


_WIDER, _LOSSY = Fidelity.WIDENED, Fidelity.LOSSY
_TAKES: Mapping[tuple[str, str], _Take] = {
    ("int", "float"): _Take(ask=False),
    ("int", "decimal"): _Take(ask=False),
    ("json", "text"): _Take(ask=False),
    ("date", "timestamp"): _Take(exactly, _WIDER, "dates as midnight", ask=False),
    ("bool", "int"): _Take(exactly, _WIDER, "booleans as 0 and 1"),
    ("int", "bool"): _Take(_to_bool, _WIDER, "0 and 1 as booleans"),
    ("float", "int"): _Take(),
    ("decimal", "int"): _Take(_decimal_to_int),
    ("float", "decimal"): _Take(_float_to_decimal, _WIDER, "the shortest decimal of each number"),
    ("decimal", "float"): _Take(exactly, _LOSSY, "the nearest binary number to each decimal"),
    ("timestamptz", "timestamp"): _Take(exactly, _LOSSY, "the zone is dropped: wall clock of UTC"),
    ("timestamp", "timestamptz"): _Take(exactly, _LOSSY, "times without zone are taken as UTC"),
}


def _store(form: Form, want: StoredColumn, *, asked: bool) -> Storage | None:
    """How a column takes what the form delivers; None where it does not."""
    if (have := _plain(form.arrow)) is None:
        return _store_words(form.arrow, want, asked=asked)
    found = _conversion(have, want.type, asked=asked)
    if found is None or have == form.arrow:
        return found
    first = partial(exactly, type=have)
    return replace(found, encode=partial(_after, first=first, then=found.encode) if found.encode else first)


def _after(array: pa.Array, *, first: Convert, then: Convert) -> pa.Array:
    return then(first(array))


def _store_words(arrow: pa.OpaqueType, want: StoredColumn, *, asked: bool) -> Storage | None:
    if (words := _words(arrow)) is None:
        return None
    encode = numbers.to_text if _is_raw(arrow) and (numbers := raw(words)) else None
    if want.type == pa.string():
        if want.words == words:
            return Storage(pa.string(), encode)
        return Storage(pa.string(), encode, fidelity=_WIDER, reason=f"{words} as text")
    return _conversion(pa.string(), want.type, asked=asked) if encode is None else None


def _conversion(have: pa.DataType, want: pa.DataType, *, asked: bool) -> Storage | None:
    if have == want:
        return Storage(want)
    a, b = ("int" if kind(type) == "uint64" else kind(type) for type in (have, want))
    take = _Take(ask=False) if a == b and a not in ("other", *NESTED) else _TAKES.get((a, b))
    if take and (asked or not take.ask):
        return Storage(want, partial(take.encode, type=want), fidelity=take.fidelity, reason=take.reason)
    if a == "null":
        return Storage(want, partial(exactly, type=want))
    if asked and b == "text" and spells(have):
        return Storage(want, partial(spell, type=have), fidelity=_WIDER, reason=f"{have} as text")
    if asked and a == "text" and parses(want):
        return Storage(want, partial(parse, type=want), fidelity=_WIDER, reason=f"text as {want}")
    return None


def _plain(arrow: pa.DataType) -> pa.DataType | None:
    """The type whose values a form delivers; None for what only PostgreSQL knows."""
    if isinstance(arrow, pa.OpaqueType):
        return None if is_vendors(arrow, POSTGRESQL) else _plain(arrow.storage_type)
    type = plain(arrow)
    return None if kind(type) == "other" or getattr(type, "scale", 0) < 0 else type


def _words(arrow: pa.DataType) -> str | None:
    """The PostgreSQL type whose text the form delivers, or whose numbers can be spelled as that text."""
    if not is_vendors(arrow, POSTGRESQL):
        return None
    return str(arrow.type_name) if arrow.storage_type == pa.string() or _is_raw(arrow) else None


def _is_raw(arrow: pa.DataType) -> bool:
    numbers = raw(arrow.type_name) if isinstance(arrow, pa.OpaqueType) else None
    return numbers is not None and bool(numbers.storage == arrow.storage_type)
