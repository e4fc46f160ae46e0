"""The target table and its columns' routes: pairs a source's forms with what SQLite keeps unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import pyarrow as pa

from arrowsync.core.contracts import Forms
from arrowsync.core.plan import ColumnPlan, Fidelity, Form, Route, Storage
from arrowsync.core.table import Column, ForeignKey, Index, Key, NativeType, Table, TableName
from arrowsync.core.transfer import Transfer
from arrowsync.dialects.column_mapping import matched, new_names
from arrowsync.dialects.sqlite.defaults import carried_default
from arrowsync.dialects.sqlite.read_types import TEXTS, affinity, arrow_type, plain_type, stored
from arrowsync.dialects.sqlite.sql import moved_index, renamed
from arrowsync.dialects.sqlite.write_types import derive, storages, storages_by_affinity
from arrowsync.errors import SchemaError, TableUnusable
from arrowsync.types import casts, conversions
from arrowsync.types.kinds import POSTGRESQL, kind

DIALECT = "sqlite"
OURS = "postgresql"  # the origin of columns that are declared as PostgreSQL's types
RESERVED = "sqlite_"
_STRICT_TYPES = {"INT", "INTEGER", "REAL", "TEXT", "BLOB", ""}  # "": ANY
_NEXT = re.compile(r"nextval\('(?:[^']|'')*'::regclass\)")


def design(
    source: Table,
    forms: Forms,
    transfer: Transfer,
    name: TableName,
    existing: Table | None,
    replaced: Table | None = None,
) -> tuple[Table, tuple[ColumnPlan, ...]]:
    """See Sink.design."""
    if existing is None:
        target = _new_table(source, forms, transfer, name)
        # Triggers go with the old table and are made again on the new one.
        kept = [each for each in replaced.dependents if each.definition] if replaced else []
        target = replace(target, dependents=tuple(kept))
        pairs = list(zip(source.columns, target.columns, strict=True))
    else:
        target = existing
        pairs = matched(source, existing, transfer)
    plans = tuple(
        _column_plan(column, into, target, forms[column.name], transfer)
        for column, into in pairs
        if into.generated is None
    )
    return target, plans


# -- routes ------------------------------------------------------------------------------------------------


def _column_plan(
    column: Column, into: Column, table: Table, forms: Sequence[Form], transfer: Transfer
) -> ColumnPlan:
    # A SQLite column takes what comes; who casts wants every value to be of that type.
    cast = tuple(_cast_routes(into, forms)) if column.name in transfer.cast else ()
    routes = cast or tuple(_routes(column, into, forms))
    if not routes:
        raise SchemaError(
            f"{column.type or 'this column'} does not fit {into.type or 'a column without a type'}",
            table=str(table.name),
            column=column.name,
            hint=f"Choose the type, e.g. cast={{{column.name!r}: 'text'}}, or convert it in a query",
        )
    return ColumnPlan(
        column, into, tuple(sorted(routes, key=lambda route: list(Fidelity).index(route.fidelity)))
    )


def _routes(column: Column, into: Column, forms: Sequence[Form]) -> Iterator[Route]:
    """What a column takes as it is: of ours by its type's table, of people's by its affinity."""
    if into.origin.dialect != OURS:
        same = column.origin.dialect == DIALECT and affinity(column.type) == affinity(into.type)
        # A SQLite source's own values first: they keep their storage classes.
        for form in sorted(
            _keeping_values(forms, into, same=same),
            key=lambda form: not kind(form.arrow).startswith("sqlite "),
        ):
            yield from (
                Route(form, storage) for storage in storages_by_affinity(form.arrow, into.type, same=same)
            )
        return
    type = into.origin.name
    for taken in (*stored(type).takes, "null"):
        for form in forms:
            if kind(form.arrow) == taken and (taken != "words" or _speaks(form.arrow, type)):
                yield from (
                    Route(form, _checked(storage, form.arrow, type)) for storage in storages(form.arrow, type)
                )


def _keeping_values(forms: Sequence[Form], into: Column, *, same: bool) -> Sequence[Form]:
    """Forms that leave each value what it is: no bytes of numbers; their text in columns of text only."""
    tagged = [form for form in forms if kind(form.arrow) == "sqlite any"]
    own = affinity(into.type)
    widened = {form.arrow for form in forms if form.fidelity is Fidelity.WIDENED}
    if same or own == "BLOB":
        return forms
    if tagged and (pa.binary() in widened or (pa.string() in widened and own != "TEXT")):
        return tagged
    as_bytes = {pa.binary()} & widened
    return [form for form in forms if form not in tagged and form.arrow not in as_bytes]


def _speaks(arrow: pa.OpaqueType, type: str) -> bool:
    """Whether the text of one type may stand in a column of another: its own, or any column of text."""
    return arrow.type_name == type or TEXTS.fullmatch(type) is not None


def _checked(storage: Storage, arrow: pa.DataType, type: str) -> Storage:
    """The storage behind a check that the values fit a narrower type than they come in."""
    into = arrow_type(type)
    if into is None or into == arrow or kind(into) != kind(arrow):
        return storage
    if kind(arrow) not in ("int", "decimal", "float"):
        return storage
    narrowing = partial(casts.cast_exactly, type=into)
    if storage.encode is None:
        return replace(storage, arrow=into, encode=narrowing)
    return replace(storage, encode=partial(conversions.in_turn, first=narrowing, then=storage.encode))


def _cast_routes(into: Column, forms: Sequence[Form]) -> Iterator[Route]:
    """The wanted type through its Arrow type, for forms that have a plain one."""
    wanted = arrow_type(into.origin.name if into.origin.dialect == OURS else plain_type(into.type))
    if wanted is None:
        yield from _as_words(into, forms)
        return
    for form in forms:
        if isinstance(form.arrow, pa.OpaqueType) and form.arrow.storage_type != pa.string():
            continue
        first = partial(casts.cast_exactly, type=wanted)
        for storage in storages(wanted):
            encode = (
                partial(conversions.in_turn, first=first, then=storage.encode) if storage.encode else first
            )
            kept = replace(
                storage, encode=encode, fidelity=Fidelity.WIDENED, reason=f"as {into.type}, as the cast says"
            )
            yield Route(form, kept)


def _as_words(into: Column, forms: Sequence[Form]) -> Iterator[Route]:
    """Text into a column of a type that is kept as PostgreSQL's text: nobody here can tell what is none."""
    type = into.origin.name
    if into.origin.dialect != OURS or "words" not in stored(type).takes:
        return
    for form in forms:
        if kind(form.arrow) == "text":
            for storage in storages(pa.opaque(pa.string(), type, POSTGRESQL), type):
                reason = f"text as {into.type}, as the cast says"
                yield Route(form, replace(storage, fidelity=Fidelity.WIDENED, reason=reason))


# -- a new table -------------------------------------------------------------------------------------------


def _new_table(source: Table, forms: Forms, transfer: Transfer, name: TableName) -> Table:
    """The source's table under its new names, with what SQLite can carry of it."""
    if name.name.lower().startswith(RESERVED):
        raise TableUnusable(
            f"SQLite keeps names like {name.name!r} for itself", hint="Name the table with --target-table"
        )
    names = new_names(source, transfer)
    same = source.dialect == DIALECT
    columns = tuple(
        _new_column(column, forms[column.name], transfer, names, same) for column in source.columns
    )
    folded = [column.name.lower() for column in columns]
    if len(set(folded)) < len(folded):
        twice = next(name for name in folded if folded.count(name) > 1)
        raise SchemaError(
            "two columns differ in case only, which SQLite does not tell apart",
            column=twice,
            hint="Use rename",
        )
    key = source.primary_key and _key(source.primary_key, names, same)
    return Table(
        name,
        DIALECT,
        columns,
        primary_key=key,
        unique=tuple(_key(key, names, same) for key in source.unique),
        checks=tuple(check for check in source.checks if same and _unchanged(check.expression, names)),
        foreign_keys=tuple(_foreign_key(key, names, source.name, name) for key in source.foreign_keys),
        indexes=tuple(_indexes(source, name, names, same)),
        options=tuple(_options(source, columns, key)) if same else (),
    )


def _options(source: Table, columns: Sequence[Column], key: Key | None) -> Iterator[str]:
    """Those that the new table can have: a cast may name a type that STRICT does not know."""
    if "strict" in source.options and all(column.type.upper() in _STRICT_TYPES for column in columns):
        yield "strict"
    if "without rowid" in source.options and key:
        yield "without rowid"


def _new_column(
    column: Column, forms: Sequence[Form], transfer: Transfer, names: Mapping[str, str], same: bool
) -> Column:
    wanted = transfer.cast.get(column.name)
    if wanted is None and column.origin.dialect == DIALECT:
        declared, origin = column.type, column.origin
    else:
        type = plain_type(wanted) if wanted else _type(column, forms)
        declared = stored(type).declared
        origin = NativeType(OURS, type) if column.origin.dialect != DIALECT else NativeType(DIALECT, declared)
    kept = same and wanted is None
    identity = column.identity or _counting(column)
    return Column(
        names[column.name],
        declared,
        origin,
        nullable=column.nullable,
        default=_default(column, declared, kept),
        identity=identity,
        generated=column.generated if kept and _unchanged(column.generated or "", names) else None,
        collation=column.collation if kept else None,
        virtual=column.virtual and kept,
        on_null=column.on_null if kept else None,
        serial=column.serial if identity else None,
    )


def _counting(column: Column) -> Literal["by default"] | None:
    """PostgreSQL's serial numbers new rows as an identity does."""
    owned = column.serial is not None and column.serial.owned
    return "by default" if owned and _NEXT.fullmatch(column.default or "") else None


def _default(column: Column, declared: str, kept: bool) -> str | None:
    """In another file an expression is the same; the time is told in the column's own text."""
    carried = carried_default(column.default, declared) if column.origin.dialect != DIALECT else None
    return carried or (column.default if kept else None)


def _type(column: Column, forms: Sequence[Form]) -> str:
    if column.origin.dialect == OURS:
        return column.origin.name
    if type := next((type for form in forms if (type := derive(form.arrow))), None):
        return type
    raise SchemaError(
        f"SQLite has no type for {forms[0].arrow}",
        column=column.name,
        hint="Choose one with cast, or a query",
    )


def _unchanged(expression: str, names: Mapping[str, str]) -> bool:
    """Whether an expression may stand in the new table: it mentions no column that is renamed."""
    return not any(old != new and old.casefold() in expression.casefold() for old, new in names.items())


def _key(key: Key, names: Mapping[str, str], same: bool) -> Key:
    columns = tuple(names[name] for name in key.columns)
    if not same:
        return Key(key.name, columns)
    return replace(key, columns=columns, definition=_renamed(key.definition, names))


def _renamed(definition: str | None, names: Mapping[str, str]) -> str | None:
    changed = any(old != new for old, new in names.items())
    return renamed(definition, names) if definition and changed else definition


def _foreign_key(
    key: ForeignKey, names: Mapping[str, str], source: TableName, target: TableName
) -> ForeignKey:
    """A key to the table itself follows it to its new name."""
    columns = tuple(names[name] for name in key.columns)
    other, referenced = TableName(key.references.name), key.referenced
    if key.references == source:
        other, referenced = target, tuple(names.get(name, name) for name in referenced)
    return replace(
        key,
        columns=columns,
        references=other,
        referenced=referenced,
        definition=None,
        comment=None,
        constraint_options=(),
    )


def _indexes(source: Table, target: TableName, names: Mapping[str, str], same: bool) -> Iterator[Index]:
    for index in source.indexes:
        if not all(name in names for name in index.columns):
            continue
        columns = tuple(names[name] for name in index.columns)
        plain = bool(columns) and not index.where
        if same and (plain or _unchanged(f"{index.definition} {index.where}", names)):
            definition = _renamed(index.definition, names) if plain else index.definition
            index = replace(index, columns=columns, definition=definition)
            yield index if source.name.name == target.name else _moved(index, target.name)
        elif plain:
            yield replace(index, columns=columns, definition=None, comment=None, constraint_options=())


def _moved(index: Index, table: str) -> Index:
    """The index for a copy under another name, perhaps in the same file: there each name stands once."""
    name = f"{table}_{index.name}"
    return replace(index, name=name, definition=moved_index(index.definition or "", name, table))
